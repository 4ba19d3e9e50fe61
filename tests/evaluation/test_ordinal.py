"""Classifiers of stars, read as regressors."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.evaluation.ordinal import ExpectedStarRegressor, MedianStarRegressor, OrdinalClassifier
from pipeline.taguchi import UnitSpaceClassifier, UnitSpaceClassifierCV

# scikit-learn checks a regressor with targets that are no classes.
CONTINUOUS = "a classifier of stars takes evenly spaced stars only"
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


CLASSIFIERS = [
    LogisticRegression(),
    OrdinalClassifier(LogisticRegression()),
    UnitSpaceClassifier("pooled"),
    UnitSpaceClassifierCV(),
    GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, scoring="neg_mean_absolute_error", cv=3),
]


@pytest.mark.parametrize("reader", [ExpectedStarRegressor, MedianStarRegressor])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda each: type(each).__name__)
class TestParts:
    @pytest.mark.parametrize("parts", [2, 4, 5, 10])
    def test_parts_of_stars_are_read_as_whole_ones_are(self, table, reader, classifier, parts):
        X, y = table
        whole, small = reader(classifier).fit(X, y), reader(classifier).fit(X, y / parts)
        np.testing.assert_allclose(small.predict(X), whole.predict(X) / parts, rtol=1e-9)

    def test_whole_stars_reach_the_classifier_as_they_are(self, table, reader, classifier):
        X, y = table
        for given in (y, y.astype(float), y - 1, y.tolist()):
            model = reader(classifier).fit(X, given)
            assert model.classifier_.classes_.tolist() == sorted(set(np.asarray(given).tolist()))
            assert model.classes_per_star_ == 1

    def test_a_continuous_target_is_refused(self, table, reader, classifier):
        X, y = table
        with pytest.raises(ValueError, match="Unknown label type"):
            reader(classifier).fit(X, y + np.random.default_rng(0).normal(size=80))


def test_what_is_chosen_inside_is_chosen_by_the_error_in_stars(table):
    """Stars that are missing leave a gap in the classes, too: 0.5, 1, 5."""
    X, y = table
    stars = np.array([0.5, 1.0, 1.0, 5.0, 5.0])[y - 1]
    search = GridSearchCV(LogisticRegression(), {"C": [1e-3, 1.0]}, scoring="neg_mean_absolute_error", cv=3)
    halves, doubled = (ExpectedStarRegressor(search).fit(X, values).classifier_ for values in (stars, 2 * stars))
    np.testing.assert_array_equal(halves.cv_results_["mean_test_score"], doubled.cv_results_["mean_test_score"])
    assert halves.classes_.tolist() == [1, 2, 10]


TEN = np.tile(np.arange(1, 11), 12)


def written(y: np.ndarray, kind: str) -> Any:
    if kind == "text":
        return y.astype(str)
    if kind == "objects":
        return y.astype(object)
    names = [f"{'zyxwvutsrq'[i]} step" for i in range(10)]
    return pd.Series(pd.Categorical([names[i - 1] for i in y], categories=names, ordered=True))


@pytest.mark.parametrize("kind", ["text", "objects", "ordered categories"])
@pytest.mark.parametrize("reader", [ExpectedStarRegressor, MedianStarRegressor])
def test_stars_that_are_an_order_are_read_as_numbers(kind: str, reader: type) -> None:
    X = TEN[:, None] + np.random.default_rng(0).normal(size=(120, 1))
    for classifier in (LogisticRegression(), OrdinalClassifier(LogisticRegression())):
        expected = reader(classifier).fit(X, TEN).predict(X)
        np.testing.assert_allclose(reader(classifier).fit(X, written(TEN, kind)).predict(X), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["text", "ordered categories"])
def test_ordinal_regression_knows_that_10_comes_after_2(kind: str) -> None:
    X = TEN[:, None] + np.random.default_rng(0).normal(size=(120, 1))
    y = written(TEN, kind)
    model = OrdinalClassifier(LogisticRegression()).fit(X, y)
    assert model.classes_.tolist() == list(dict.fromkeys(y))
    expected = OrdinalClassifier(LogisticRegression()).fit(X, TEN).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected)


def test_words_without_an_order_are_no_stars() -> None:
    with pytest.raises(ValueError, match="ExpectedStarRegressor needs numbers as target y, got 'good' at position 0"):
        ExpectedStarRegressor(LogisticRegression()).fit([[0.0], [1.0]], ["good", "bad"])
