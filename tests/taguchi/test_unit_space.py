import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.covariance import oas
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import no_warning_but_of_few_rows

from pipeline.taguchi.mahalanobis import MahalanobisTaguchi
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.unit_space import UnitSpaceClassifier

COVARIANCES = ["shrunk", "pooled", "own"]
MODELS = [
    UnitSpaceClassifier(),
    UnitSpaceClassifier("pooled", prior="uniform"),
    UnitSpaceClassifier("own", prior="uniform"),
    UnitSpaceClassifier("own", shrinkage=0.0),
    UnitSpaceClassifier("shrunk", shrinkage=1.0),
]


def stars(seed, n=60, p=4, n_classes=3):
    """Correlated items whose means depend on the class, and classes of different sizes."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.repeat(np.arange(n_classes), 8), rng.choice(n_classes, size=n - 8 * n_classes)]) + 1
    mixing = np.eye(p) + np.triu(0.5 * rng.normal(size=(p, p)), 1)
    return rng.normal(size=(n, p)) @ mixing + rng.normal(size=(n_classes + 1, p))[y], y


class TestDiscriminantAnalysis:
    @settings(max_examples=30)
    @given(seed=st.integers(0, 2**32 - 1), p=st.integers(1, 10))
    def test_pooled_is_linear_discriminant_analysis(self, seed, p):
        (X, y), (new, _) = stars(seed, p=p), stars(seed + 1, p=p)
        expected = LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)
        # scikit-learn divides the sums by the rows, here it is by the degrees of freedom.
        score = (expected.decision_function(new) - np.log(expected.priors_)) * (len(y) - 3) / len(y)
        for prior, priors in (("empirical", expected.priors_), ("uniform", 1)):
            model = UnitSpaceClassifier("pooled", prior=prior).fit(X, y)
            probability = softmax(score + np.log(priors), axis=1)
            np.testing.assert_allclose(model.predict_proba(new), probability, rtol=0, atol=1e-8)

    @pytest.mark.parametrize("solver", ["svd", "lsqr", "eigen"])
    @pytest.mark.parametrize("prior", ["empirical", "uniform"])
    def test_pooled_decides_as_every_solver_does_where_classes_are_equally_large(self, solver, prior):
        (X, y), (new, _) = stars(0, n=120), stars(1, n=500)
        rows = np.concatenate([np.flatnonzero(y == star)[:20] for star in (1, 2, 3)])
        expected = LinearDiscriminantAnalysis(solver=solver).fit(X[rows], y[rows])
        model = UnitSpaceClassifier("pooled", prior=prior).fit(X[rows], y[rows])
        np.testing.assert_array_equal(model.predict(new), expected.predict(new))

    @settings(max_examples=30)
    @given(seed=st.integers(0, 2**32 - 1), p=st.integers(1, 5), prior=st.sampled_from(["uniform", "empirical"]))
    def test_own_without_shrinkage_is_quadratic_discriminant_analysis(self, seed, p, prior):
        (X, y), (new, _) = stars(seed, p=p), stars(seed + 1, p=p)
        model = UnitSpaceClassifier("own", shrinkage=0.0, prior=prior).fit(X, y)
        density = [
            multivariate_normal(X[y == star].mean(axis=0), np.cov(X[y == star].T)).logpdf(new) for star in (1, 2, 3)
        ]
        expected = softmax(np.transpose(density) + np.log(model.class_prior_), axis=1)
        np.testing.assert_allclose(model.predict_proba(new), expected, rtol=0, atol=1e-6)

    def test_shrunk_without_shrinkage_is_pooled(self):
        X, y = stars(0)
        a, b = UnitSpaceClassifier("pooled"), UnitSpaceClassifier("shrunk", shrinkage=0.0)
        np.testing.assert_array_equal(a.fit(X, y).predict_proba(X), b.fit(X, y).predict_proba(X))


class TestDistance:
    @pytest.mark.parametrize("covariance", ["shrunk", "pooled"])
    def test_the_nearest_unit_space_is_predicted(self, covariance):
        (X, y), (new, _) = stars(0), stars(1, n=500)
        model = UnitSpaceClassifier(covariance, prior="uniform").fit(X, y)
        np.testing.assert_array_equal(model.predict(new), model.classes_[model.distance(new).argmin(axis=1)])

    def test_own_is_the_mt_distance_of_each_class(self):
        (X, y), (new, _) = stars(0), stars(1)
        distance = UnitSpaceClassifier("own", shrinkage=0.0).fit(X, y).distance(new)
        for star in (1, 2, 3):
            expected = MahalanobisTaguchi().fit(X[y == star]).distance(new)
            np.testing.assert_allclose(distance[:, star - 1], expected, rtol=1e-9)

    @pytest.mark.parametrize("covariance", COVARIANCES)
    def test_the_means_are_at_distance_zero_and_probabilities_follow_the_distance(self, covariance):
        X, y = stars(0)
        model = UnitSpaceClassifier(covariance, shrinkage=0.3).fit(X, y)
        np.testing.assert_allclose(np.diag(model.distance(model.means_)), 0, atol=1e-12)
        log_odds = np.log(model.class_prior_) - (4 * model.distance(X) ** 2 + model.log_det_) / 2
        probability = np.exp(log_odds) / np.exp(log_odds).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(X), probability, rtol=0, atol=1e-9)

    def test_the_metric_is_the_shrunk_within_class_covariance(self):
        X, y = stars(0)
        deviation = X - np.array([X[y == star].mean(axis=0) for star in (1, 2, 3)])[y - 1]
        covariance = deviation.T @ deviation / (len(X) - 3)
        shrunk = 0.7 * covariance + 0.3 * np.diag(np.diag(covariance))
        model = UnitSpaceClassifier(shrinkage=0.3).fit(X, y)
        difference = X[:, None] - model.means_
        expected = np.einsum("ncp,pq,ncq->nc", difference, np.linalg.inv(shrunk), difference) / 4
        np.testing.assert_allclose(model.distance(X) ** 2, expected, rtol=1e-9)
        assert model.log_det_[0] == pytest.approx(np.linalg.slogdet(shrunk)[1])


class TestShrinkage:
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), p=st.integers(2, 30))
    def test_the_formula_is_that_of_scikit_learn(self, seed, n, p):
        rng = np.random.default_rng(seed)
        Z = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
        Z /= np.sqrt((Z**2).mean(axis=0))
        expected = oas(Z, assume_centered=True)[1]
        assert oas_shrinkage(Z.T @ Z / n, n) == pytest.approx(expected, rel=1e-9)

    def test_the_classifier_takes_it_from_the_within_class_correlations_and_degrees_of_freedom(self):
        X, y = stars(0)
        deviation = X - np.array([X[y == star].mean(axis=0) for star in (1, 2, 3)])[y - 1]
        expected = oas_shrinkage(deviation.T @ deviation / np.outer(*[np.linalg.norm(deviation, axis=0)] * 2), 57)
        assert 0 < expected < 1
        assert UnitSpaceClassifier().fit(X, y).shrinkage_ == pytest.approx([expected])

    def test_own_shrinks_small_classes_more(self):
        X, y = stars(0, n=200, p=10)
        y[y == 2] = 1
        y[:4] = 2
        shrinkage = UnitSpaceClassifier("own").fit(X, y).shrinkage_
        assert shrinkage[1] == shrinkage.max() > 2 * shrinkage[0]

    @pytest.mark.parametrize("p", [1, 3])
    def test_uncorrelated_items_are_shrunk_entirely(self, p):
        assert oas_shrinkage(np.eye(p), 100) == 1


class TestProperties:
    @settings(max_examples=40)
    @given(
        seed=st.integers(0, 2**32 - 1),
        model=st.sampled_from(MODELS),
        exponents=st.lists(st.floats(-6, 6), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
        order=st.permutations(range(60)),
    )
    def test_shift_scale_and_sign_of_items_and_order_of_rows_change_nothing(
        self, seed, model, exponents, signs, shifts, order
    ):
        (X, y), (new, _) = stars(seed), stars(seed + 1)
        scale, order = signs * 10.0 ** np.array(exponents), np.array(order)
        a, b = clone(model).fit(X, y), clone(model).fit((scale * (X + shifts))[order], y[order])
        changed = scale * (new + shifts)
        np.testing.assert_allclose(b.predict_proba(changed), a.predict_proba(new), rtol=0, atol=1e-6)
        np.testing.assert_allclose(b.distance(changed), a.distance(new), rtol=1e-6)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 2**32 - 1), model=st.sampled_from(MODELS))
    def test_weights_are_repeated_rows_and_weight_zero_is_absence(self, seed, model):
        X, y = stars(seed)
        times = np.random.default_rng(seed).integers(0, 4, size=len(y))
        a = clone(model).fit(X, y, sample_weight=times)
        b = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
        np.testing.assert_array_equal(a.classes_, b.classes_)
        np.testing.assert_allclose(a.distance(X), b.distance(X), rtol=1e-6)
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=0, atol=1e-8)

    def test_a_class_of_weight_zero_does_not_exist(self):
        X, y = stars(0)
        model = UnitSpaceClassifier().fit(X, y, sample_weight=y != 2)
        assert model.classes_.tolist() == [1, 3]

    @settings(max_examples=60)
    @given(
        X=arrays(float, (10, 3), elements=st.floats(-1e6, 1e6)),
        y=arrays(int, 10, elements=st.integers(1, 5)),
        model=st.sampled_from(MODELS),
    )
    def test_degenerate_items_and_classes_never_give_nan_or_inf(self, X, y, model):
        X = np.column_stack([X, X[:, 0], X[:, 0] - X[:, 1], np.full(10, 0.1), np.zeros(10), y, -3.0 * y])
        with no_warning_but_of_few_rows():
            model = clone(model).fit(X, y)
            for new in (X, X + 1, 1e9 * X[::-1]):
                probability = model.predict_proba(new)
                assert np.isfinite(model.distance(new)).all()
                np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-9)
                assert np.isfinite(model.expected_class(new)).all()
            # The stars are among the items.
            np.testing.assert_array_equal(model.predict(X), y)

    @pytest.mark.parametrize("model", MODELS, ids=str)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_more_items_than_rows_give_probabilities(self, model, dtype):
        X, y = stars(0, n=30, p=80)
        model = clone(model).fit(X.astype(dtype), y)
        assert np.isfinite(model.distance(X.astype(dtype))).all()
        assert model.score(X.astype(dtype), y) > 0.9

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_rows_far_beyond_the_unit_spaces_give_probabilities(self, model):
        X, y = stars(0)
        probability = clone(model).fit(X, y).predict_proba(np.vstack([1e150 * X, 1e200 * X]))
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-9)


class TestItemsAndClassesThatSayLittle:
    @pytest.mark.parametrize("model", MODELS, ids=str)
    @pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1])
    def test_a_constant_item_has_no_weight(self, model, value):
        X, y = stars(0)
        a = clone(model).fit(X, y)
        b = clone(model).fit(np.column_stack([np.full(60, value), X]), y)
        wider = np.column_stack([np.arange(60.0), X])
        np.testing.assert_allclose(b.distance(wider), a.distance(X), rtol=1e-9)
        np.testing.assert_allclose(b.predict_proba(wider), a.predict_proba(X), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_an_item_that_is_constant_within_every_class_decides(self, model):
        X, y = stars(0)
        perfect = np.array([7.0, 9.0, 2.0])
        model = clone(model).fit(np.column_stack([X, perfect[y - 1]]), y)
        other = np.roll(y, 13)
        np.testing.assert_array_equal(model.predict(np.column_stack([X, perfect[other - 1]])), other)

    @pytest.mark.parametrize("covariance", COVARIANCES)
    def test_of_one_row_for_each_class_the_nearest_is_predicted(self, covariance):
        X = np.array([[0.0, 0], [1, 10], [2, -10]])
        model = UnitSpaceClassifier(covariance).fit(X, [1, 2, 3])
        assert model.predict([[0.1, 0], [1, 9], [1.6, -8]]).tolist() == [1, 2, 3]

    def test_a_class_of_one_row_borrows_the_pooled_covariance(self):
        X, y = stars(0)
        y[np.flatnonzero(y == 3)[1:]] = 2
        separate, pooled = (
            UnitSpaceClassifier(covariance, shrinkage=0.1).fit(X, y) for covariance in ("own", "shrunk")
        )
        np.testing.assert_allclose(separate.distance(X)[:, 2], pooled.distance(X)[:, 2], rtol=1e-9)

    def test_an_item_that_is_constant_within_one_class_borrows_its_pooled_variance(self):
        X, y = stars(0)
        X[y == 2, 1] = 7
        separate, pooled = (UnitSpaceClassifier(covariance).fit(X, y) for covariance in ("own", "shrunk"))
        assert separate.scale_[1, 1] == pytest.approx(pooled.scale_[0, 1])
        assert separate.scale_[1, 0] != pytest.approx(pooled.scale_[0, 0])

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_one_class_is_always_predicted(self, model):
        X, _ = stars(0)
        model = clone(model).fit(X, np.full(60, 4))
        assert set(model.predict(X)) == {4}
        assert (model.predict_proba(X) == 1).all()

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_without_any_item_the_prior_is_predicted(self, model):
        model = clone(model).fit(np.full((3, 2), 0.1), [1, 2, 2])
        expected = [1 / 3, 2 / 3] if model.prior == "empirical" else [0.5, 0.5]
        np.testing.assert_allclose(model.predict_proba([[3.0, 4.0]]), [expected])
        assert not model.distance([[3.0, 4.0]]).any()


class TestExpectedAndMedianClass:
    def test_they_follow_from_the_probabilities(self):
        X, y = stars(0)
        model = UnitSpaceClassifier().fit(X, 2.0 * y)
        probability = model.predict_proba(X)
        np.testing.assert_allclose(model.expected_class(X), probability @ [2, 4, 6])
        median = [2 * (1 + (np.cumsum(row) < 0.5).sum()) for row in probability]
        np.testing.assert_array_equal(model.median_class(X), median)

    def test_they_have_the_smallest_squared_and_absolute_error_under_the_probabilities(self):
        X, y = stars(0, n=200, n_classes=5)
        model = UnitSpaceClassifier().fit(X, y)
        probability, grid = model.predict_proba(X), np.linspace(1, 5, 401)
        for chosen, power in ((model.expected_class(X), 2), (model.median_class(X), 1)):
            error = (probability * np.abs(chosen[:, None] - model.classes_) ** power).sum(axis=1)
            smallest = (probability[:, None] * np.abs(grid[:, None] - model.classes_) ** power).sum(axis=2).min(axis=1)
            assert (error <= smallest + 1e-9).all()

    def test_of_two_equal_halves_the_lower_one_is_the_median(self):
        model = UnitSpaceClassifier().fit([[1.0], [2], [3], [7], [8], [9]], [1, 1, 1, 5, 5, 5])
        assert model.median_class([[5.0]]).tolist() == [1]
        assert model.expected_class([[5.0]]).tolist() == pytest.approx([3])

    @pytest.mark.parametrize("method", ["expected_class", "median_class"])
    def test_they_need_numbers(self, method):
        X, y = stars(0)
        model = UnitSpaceClassifier().fit(X, np.array(["bad", "fair", "good"])[y - 1])
        with pytest.raises(
            ValueError, match=rf"{method} needs classes that are numbers, got \['bad', 'fair', 'good'\]"
        ):
            getattr(model, method)(X)


class TestErrors:
    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (UnitSpaceClassifier("full"), "'covariance' parameter of UnitSpaceClassifier must be a str among"),
            (UnitSpaceClassifier(shrinkage=1.5), "'shrinkage' parameter of UnitSpaceClassifier must be"),
            (UnitSpaceClassifier(prior="equal"), "'prior' parameter of UnitSpaceClassifier must be a str among"),
        ],
    )
    def test_wrong_parameters(self, model, message):
        with pytest.raises(ValueError, match=message):
            model.fit(*stars(0))

    def test_a_continuous_target(self):
        X, y = stars(0)
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            UnitSpaceClassifier().fit(X, y + 0.5 * (y == 1))

    def test_weights(self):
        X, y = stars(0)
        with pytest.raises(ValueError, match=r"Sample weights .*zero"):
            UnitSpaceClassifier().fit(X, y, sample_weight=np.zeros(60))
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            UnitSpaceClassifier().fit(X, y, sample_weight=-np.ones(60))

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_values_whose_squares_leave_float64(self, model):
        X, y = stars(0)
        with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
            clone(model).fit(1e200 * X, y)
        assert not clone(model).fit(1e-200 * X, y).distance(1e-200 * X).any()


class TestScikitLearn:
    @parametrize_with_checks(MODELS)
    def test_contract(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_clone_and_pickle_keep_parameters_and_probabilities(self, model):
        X, y = stars(0)
        fitted = clone(model).fit(X, y)
        assert clone(fitted).get_params() == model.get_params()
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), fitted.predict_proba(X))

    @pytest.mark.parametrize("model", MODELS, ids=str)
    def test_float32_items_give_float32_distances_and_probabilities(self, model):
        X, y = stars(0)
        X = X.astype(np.float32)
        narrow, wide = clone(model).fit(X, y), clone(model).fit(X.astype(float), y)
        for method in ("distance", "predict_proba"):
            values = getattr(narrow, method)(X)
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, getattr(wide, method)(X.astype(float)), rtol=1e-5, atol=1e-30)
        assert narrow.expected_class(X).dtype == np.float64

    def test_column_names_are_checked_and_inputs_are_not_changed(self):
        X, y = stars(0)
        table, weight = pd.DataFrame(X, columns=list("abcd")), np.arange(60.0)
        before = table.copy(), y.copy(), weight.copy()
        model = UnitSpaceClassifier().fit(table, y, sample_weight=weight)
        model.median_class(table)
        pd.testing.assert_frame_equal(table, before[0])
        np.testing.assert_array_equal(y, before[1])
        np.testing.assert_array_equal(weight, before[2])
        assert model.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="feature names should match"):
            model.distance(table[list("dcba")])

    def test_grid_search_over_its_parameters(self):
        X, y = stars(0)
        grid = {"covariance": COVARIANCES, "shrinkage": ["auto", 0.5], "prior": ["uniform", "empirical"]}
        search = GridSearchCV(UnitSpaceClassifier(), grid, cv=3, scoring="neg_log_loss").fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_a_new_fit_forgets_the_old_one(self):
        X, y = stars(0)
        model = UnitSpaceClassifier().fit(X, y).set_params(covariance="own").fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), UnitSpaceClassifier("own").fit(X, y).predict_proba(X))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_rows_beyond_one_block_give_what_they_give_alone(covariance):
    X, y = stars(0, n=140_000)
    model = UnitSpaceClassifier(covariance).fit(X[:300], y[:300])
    assert len(X) > 2**22 / 8 / 4
    for method in (model.distance, model.predict_proba):
        np.testing.assert_allclose(method(X)[-3:], method(X[-3:]), rtol=1e-9)
