import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.evaluation.ordinal import ExpectedStarRegressor, MedianStarRegressor
from pipeline.experiment.models import BASELINES, MODELS
from pipeline.taguchi import MahalanobisTaguchi, RTMethod
from pipeline.taguchi.unit_space_items import UnitSpaceItems

# scikit-learn checks a regressor with targets that are no classes.
CONTINUOUS = "a classifier of stars takes whole stars only"
EXPECTED_FAILURES = dict.fromkeys(
    [
        "check_regressors_train",
        "check_regressor_data_not_an_array",
        "check_regressors_no_decision_function",
        "check_fit_idempotent",
        "check_fit_check_is_fitted",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
    ],
    CONTINUOUS,
)


@parametrize_with_checks(
    [ExpectedStarRegressor(LogisticRegression())], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_contract(estimator, check):
    check(estimator)


@pytest.fixture
def table():
    """Three items that grow or shrink with the stars."""
    rng = np.random.default_rng(0)
    y = np.tile([1, 2, 3, 4, 5], 16)
    return np.outer(y, [1.0, -1.0, 0.5]) + rng.normal(scale=0.8, size=(80, 3)), y


class TestExpectedStar:
    def test_it_is_the_sum_of_star_times_probability(self, table):
        X, y = table
        model = ExpectedStarRegressor(LogisticRegression()).fit(X, y)
        probabilities = LogisticRegression().fit(X, y).predict_proba(X)
        expected = [sum(p * star for p, star in zip(row, range(1, 6), strict=True)) for row in probabilities]
        np.testing.assert_allclose(model.predict(X), expected)

    def test_it_stays_between_the_lowest_and_the_highest_star_seen(self, table):
        X, y = table
        model = ExpectedStarRegressor(LogisticRegression()).fit(X[(y > 1) & (y < 5)], y[(y > 1) & (y < 5)])
        predictions = model.predict(1000 * X)
        assert predictions.min() >= 2 - 1e-9
        assert predictions.max() <= 4 + 1e-9

    def test_the_stars_count_and_not_their_order(self):
        X = np.array([[0.0], [1.0], [2.0], [3.0]])
        model = ExpectedStarRegressor(LogisticRegression()).fit(X, [2, 2, 5, 5])
        assert model.predict([[1.5]]) == pytest.approx([3.5], abs=1e-3)

    def test_the_given_classifier_is_left_alone(self, table):
        classifier = LogisticRegression()
        model = ExpectedStarRegressor(classifier).fit(*table)
        assert not hasattr(classifier, "coef_")
        assert model.classifier is classifier

    def test_it_says_so_when_it_is_not_fitted(self):
        with pytest.raises(NotFittedError, match="ExpectedStarRegressor instance is not fitted"):
            ExpectedStarRegressor(LogisticRegression()).predict([[1.0]])

    def test_the_classifiers_parameters_are_its_own_in_a_grid_search(self, table):
        X, y = table
        search = GridSearchCV(ExpectedStarRegressor(LogisticRegression()), {"classifier__C": [1e-6, 1.0]}, cv=2)
        assert search.fit(X, y).best_params_ == {"classifier__C": 1.0}


class TestMedianStar:
    def test_it_is_the_star_at_which_half_of_the_probability_is_reached(self, table):
        X, y = table
        model = MedianStarRegressor(LogisticRegression()).fit(X, y)
        for row, star in zip(LogisticRegression().fit(X, y).predict_proba(X), model.predict(X), strict=True):
            assert row[: int(star)].sum() >= 0.5 - 1e-12
            assert row[: int(star) - 1].sum() < 0.5

    def test_it_has_less_absolute_error_than_the_expected_star(self, table):
        X, y = table
        errors = [
            np.abs(make(LogisticRegression(C=0.1)).fit(X, y).predict(X) - y).mean()
            for make in (MedianStarRegressor, ExpectedStarRegressor)
        ]
        assert errors[0] < errors[1]


class TestUnitSpaceItems:
    def test_the_columns_are_the_distances_from_the_unit_space_of_each_star(self, table):
        X, y = table
        items = UnitSpaceItems(MahalanobisTaguchi()).fit(X, y).transform(X)
        for column, star in zip(items.T, range(1, 6), strict=True):
            np.testing.assert_array_equal(column, MahalanobisTaguchi().fit(X[y == star]).distance(X))

    def test_a_transformers_columns_stand_side_by_side(self, table):
        X, y = table
        items = UnitSpaceItems(RTMethod()).fit(X, y)
        assert items.transform(X).shape == (80, 15)
        np.testing.assert_array_equal(items.transform(X)[:, 3:6], RTMethod().fit(X[y == 2]).transform(X))
        assert len(items.get_feature_names_out()) == 15

    def test_tables_give_tables(self, table):
        X, y = table
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        items = UnitSpaceItems(MahalanobisTaguchi()).set_output(transform="pandas").fit_transform(frame, y)
        assert isinstance(items, pd.DataFrame)
        np.testing.assert_array_equal(items.to_numpy(), UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, y))

    def test_no_training_row_is_read_against_a_unit_space_that_it_made(self):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(60, 8)), np.tile([1, 5], 30)
        items = UnitSpaceItems(MahalanobisTaguchi())
        own = np.arange(60) % 2
        apart = items.fit_transform(X, y)
        inside = items.transform(X)
        # In the space that it made a row is nearer than a new one, though the stars say nothing here.
        closer = [(rows[np.arange(60), 1 - own] - rows[np.arange(60), own]).mean() for rows in (apart, inside)]
        assert abs(closer[0]) < 0.15
        assert closer[1] > 0.2

    def test_a_star_with_two_rows_is_dealt_to_two_parts_and_one_with_one_row_cannot_be(self):
        X = np.random.default_rng(0).normal(size=(12, 1))
        y = np.array([1] * 10 + [5] * 2)
        with pytest.raises(ValueError, match="The unit space of star 5 has 1 training row; 2 or more are needed"):
            UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, y)
        assert UnitSpaceItems(MahalanobisTaguchi("svp")).fit(X, y).transform(X).shape == (12, 2)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_and_survives_clone_and_pickle(name, table):
    X, y = table
    model = MODELS[name]().fit(X, y)
    predictions = model.predict(X)
    assert predictions.shape == (80,)
    assert np.corrcoef(predictions, y)[0, 1] > 0.9
    np.testing.assert_allclose(clone(model).fit(X, y).predict(X), predictions)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), predictions)


@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
def test_every_call_makes_an_estimator_of_its_own(name):
    make = {**MODELS, **BASELINES}[name]
    assert make() is not make()
    assert repr(make()) == repr(make())


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_reads_raw_texts(name, texts, stars):
    predictions = BASELINES[name]().fit(texts, stars).predict([*texts, ""])
    assert predictions.shape == (13,)
    assert np.isfinite(predictions).all()


def test_the_two_t_methods_differ_in_their_unit_space(table):
    X, y = table
    t1, ta = MODELS["T(1)"]().fit(X, y), MODELS["Ta"]().fit(X, y)
    np.testing.assert_allclose(t1.center_, X[y == 3].mean(axis=0))
    np.testing.assert_allclose(ta.center_, X.mean(axis=0))


def test_the_baseline_mean_predicts_the_training_mean(texts, stars):
    assert BASELINES["mean"]().fit(texts, stars).predict(["anything"]) == pytest.approx([np.mean(stars)])


def test_tfidf_learns_words(texts, stars):
    model = BASELINES["TF-IDF + Ridge"]().fit(texts, stars)
    assert model.predict(["good service"])[0] != pytest.approx(model.predict(["the waiter was rude"])[0])


@pytest.mark.parametrize(
    ("wrong", "message"), [("one text", "put it into a list"), (["text", None], "Expected str, got NoneType")]
)
def test_tfidf_refuses_what_is_no_sequence_of_texts(wrong, message):
    with pytest.raises(ValueError, match=message):
        BASELINES["TF-IDF + Ridge"]().fit(wrong, [1, 5])


@pytest.mark.parametrize(
    "texts",
    [
        ["とても美味しい", "最悪でした", "普通", "接客が良い", "高すぎる"],
        ["Great", "Bad", "Fine", "Lovely", "Rude"],
        ["😀", "😡", "!", "?", "…"],
    ],
    ids=["Japanese", "one word", "no word"],
)
def test_the_baselines_take_what_reviews_there_are(texts):
    for name, make in BASELINES.items():
        if name == "TF-IDF + Ridge" and not any(map(str.isalpha, "".join(texts))):
            continue
        assert np.isfinite(make().fit(texts, [5, 1, 3, 4, 2]).predict(texts)).all()
