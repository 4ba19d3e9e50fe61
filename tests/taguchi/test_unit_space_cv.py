"""The chosen shrinkage agrees with a grid search over UnitSpaceClassifier, and the fitted model with the classifier."""

import pickle

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_unit_space import stars

from pipeline.taguchi import UnitSpaceClassifier, UnitSpaceClassifierCV

GRID = (0.03, 0.1, 0.3, 0.5, 0.7, 1.0)


@parametrize_with_checks([UnitSpaceClassifierCV(), UnitSpaceClassifierCV([0.2], cv=2)])
def test_contract(estimator, check):
    check(estimator)


def largest_as_good(errors):
    """Return the largest candidate whose errors do not differ from the smallest ones in a t test of pairs."""
    best = errors.mean(axis=1).argmin()
    equal = np.isclose(errors.mean(axis=1), errors[best].mean(), rtol=1e-9, atol=0)
    return max(
        shrinkage for i, shrinkage in enumerate(GRID) if equal[i] or ttest_rel(errors[i], errors[best]).pvalue >= 0.05
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), p=st.sampled_from([1, 3, 10, 80]))
def test_probabilities_and_choice_are_those_of_the_plain_classifier_and_a_loop(seed, p):
    (X, y), (new, _) = stars(seed, p=p), stars(seed + 1, p=p)
    model = UnitSpaceClassifierCV(GRID).fit(X, y)
    truth = np.eye(3)[y - 1]
    errors = np.zeros((len(GRID), len(X)))
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        for i, shrinkage in enumerate(GRID):
            plain = UnitSpaceClassifier("shrunk", shrinkage=shrinkage).fit(X[train], y[train])
            errors[i, test] = ((plain.predict_proba(X[test]) - truth[test]) ** 2).sum(axis=1)
    np.testing.assert_allclose(model.scores_, errors.mean(axis=1), rtol=1e-7, atol=1e-12)
    assert model.shrinkage_ == largest_as_good(errors)
    plain = UnitSpaceClassifier("shrunk", shrinkage=model.shrinkage_).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(new), plain.predict_proba(new), atol=1e-9)
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-7 * np.abs(plain.coef_).max())
    np.testing.assert_array_equal(model.predict(new), plain.predict(new))


def test_a_class_that_a_fold_does_not_have_gets_no_probability_there_and_the_choice_goes_on():
    X, y = stars(0, n=40)
    y = np.where(np.arange(40) == 7, 9, y)
    model = UnitSpaceClassifierCV().fit(X, y)
    assert np.isfinite(model.scores_).all()
    assert model.predict_proba(X).shape == (40, 4)


def test_an_item_that_tells_the_classes_apart_without_error_decides_and_a_constant_one_has_no_weight():
    rng = np.random.default_rng(0)
    y = np.tile([1, 5], 20)
    X = np.column_stack([y, np.full(40, 7.0), rng.normal(size=40)])
    model = UnitSpaceClassifierCV().fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    assert (model.coef_[:, 1] == 0).all()
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_large_offset_costs_no_digits():
    (X, y), (new, _) = stars(3), stars(4)
    plain, shifted = (UnitSpaceClassifierCV().fit(X + offset, y).predict_proba(new + offset) for offset in (0, 1e6))
    np.testing.assert_allclose(shifted, plain, atol=1e-6)


def test_of_equal_candidates_the_larger_one_is_taken():
    X, y = np.array([[1.0], [2.0], [3.0], [7.0], [8.0], [9.0]]), [1, 1, 1, 5, 5, 5]
    # A single item has no correlations to shrink.
    assert UnitSpaceClassifierCV([0.1, 0.9, 0.4], cv=3).fit(X, y).shrinkage_ == 0.9


@pytest.mark.parametrize("n", [1, 2])
def test_a_row_that_cannot_be_held_out_speaks_against_nothing(n):
    X, y = stars(0)
    model = UnitSpaceClassifierCV([0.1, 0.7, 0.3]).fit(X[:n], y[:n])
    assert model.shrinkage_ == 0.7
    assert np.isnan(model.scores_).all() == (n == 1)
    # Two rows that count as one.
    assert UnitSpaceClassifierCV([0.1, 0.7, 0.3]).fit(X[:2], y[:2], [0.5, 0.5]).shrinkage_ == 0.7


def test_a_row_that_is_held_out_twice_counts_once():
    X, y = stars(0)
    once, twice = (UnitSpaceClassifierCV(GRID, cv=list(KFold(3).split(X)) * times).fit(X, y) for times in (1, 2))
    np.testing.assert_allclose(once.scores_, twice.scores_)
    assert once.shrinkage_ == twice.shrinkage_


@pytest.mark.parametrize("wrong", [[0.0, 0.5], [1.1], [], [[0.1, 0.2]]])
def test_shrinkages_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected numbers above 0 and up to 1"):
        UnitSpaceClassifierCV(wrong).fit([[0.0], [1.0]], [1, 5])


def test_it_survives_clone_and_pickle():
    X, y = stars(0)
    model = UnitSpaceClassifierCV((0.1, 0.5), cv=3).fit(X, y)
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


class TestAsUnitSpaceClassifier:
    """With the chosen shrinkage it is UnitSpaceClassifier, from fewer rows than items and from more."""

    @pytest.mark.parametrize("p", [1, 4, 80])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_distances_classes_and_attributes(self, p, weighted):
        (X, y), (new, _) = stars(5, p=p), stars(6, p=p)
        X[:, 0], new[:, 0] = 7.1, 7.1
        weight = np.random.default_rng(0).integers(0, 3, size=60) if weighted else None
        model = UnitSpaceClassifierCV().fit(X, y, weight)
        plain = UnitSpaceClassifier("shrunk", shrinkage=model.shrinkage_).fit(X, y, weight)
        for method in ("distance", "expected_class", "predict_proba"):
            np.testing.assert_allclose(getattr(model, method)(new), getattr(plain, method)(new), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(model.median_class(new), plain.median_class(new))
        for name in ("means_", "center_", "class_prior_", "scale_", "log_det_", "coef_", "intercept_"):
            np.testing.assert_allclose(getattr(model, name), getattr(plain, name), rtol=1e-8, atol=1e-10)
        assert model.root_.shape == plain.root_.shape
        inverses = [each.root_[0] @ each.root_[0].T for each in (model, plain)]
        np.testing.assert_allclose(*inverses, rtol=1e-8, atol=1e-10)

    def test_the_means_are_at_distance_zero_also_of_items_that_vary_between_the_classes_only(self):
        X, y = stars(0, p=70)
        X[:, 3] = np.array([7.0, 9.0, 2.0])[y - 1]
        model = UnitSpaceClassifierCV().fit(X, y)
        np.testing.assert_allclose(np.diag(model.distance(model.means_)), 0, atol=1e-12)
        np.testing.assert_array_equal(model.distance(X).argmin(axis=1), y - 1)
        plain = UnitSpaceClassifier("shrunk", shrinkage=model.shrinkage_).fit(X, y)
        np.testing.assert_allclose(model.log_det_, plain.log_det_, rtol=1e-9)

    def test_distances_of_float32_items_are_float64(self):
        X, y = stars(0)
        model = UnitSpaceClassifierCV().fit(X.astype(np.float32), y)
        assert model.predict_proba(X.astype(np.float32)).dtype == model.distance(X.astype(np.float32)).dtype == float

    def test_the_expected_class_needs_numbers(self):
        X, y = stars(0)
        with pytest.raises(ValueError, match="expected_class needs classes that are numbers"):
            UnitSpaceClassifierCV().fit(X, np.array(["bad", "fair", "good"])[y - 1]).expected_class(X)

    @pytest.mark.parametrize("p", [4, 80])
    def test_a_saved_model_measures_alike(self, p):
        X, y = stars(0, p=p)
        model = UnitSpaceClassifierCV().fit(X, y)
        data = skops.io.dumps(model)
        again = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
        assert type(again.shrinkage_) is float
        np.testing.assert_array_equal(again.distance(X), model.distance(X))


class TestWeights:
    @settings(max_examples=15)
    @given(seed=st.integers(0, 2**32 - 1), p=st.sampled_from([1, 4, 80]))
    def test_they_are_repeated_rows_that_are_held_out_together(self, seed, p):
        X, y = stars(seed, p=p)
        times = np.random.default_rng(seed).integers(0, 4, size=len(y))
        rows = np.repeat(np.arange(len(y)), times)
        present = np.flatnonzero(times)
        folds = [
            (present[train], present[test]) for train, test in KFold(5, shuffle=True, random_state=0).split(present)
        ]
        splits = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
        weighted = UnitSpaceClassifierCV(GRID).fit(X, y, sample_weight=times)
        repeated = UnitSpaceClassifierCV(GRID, cv=splits).fit(X[rows], y[rows])
        np.testing.assert_allclose(weighted.scores_, repeated.scores_, rtol=1e-7, atol=1e-12)
        assert weighted.shrinkage_ == repeated.shrinkage_
        np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-8)
        same_folds = UnitSpaceClassifierCV(GRID, cv=folds).fit(X, y, sample_weight=times)
        np.testing.assert_array_equal(same_folds.scores_, weighted.scores_)

    def test_rows_of_weight_zero_are_absent(self):
        X, y = stars(0)
        a = UnitSpaceClassifierCV().fit(X, y, sample_weight=y != 2)
        b = UnitSpaceClassifierCV().fit(X[y != 2], y[y != 2])
        assert a.classes_.tolist() == [1, 3]
        np.testing.assert_allclose(a.scores_, b.scores_)
        with pytest.raises(ValueError, match=r"Sample weights .*zero"):
            UnitSpaceClassifierCV().fit(X, y, sample_weight=np.zeros(60))


@pytest.mark.parametrize("n", [40, 400])
def test_a_constant_item_whose_mean_is_not_exact_has_no_weight(n):
    X, y = stars(0, n=n, p=60)
    X[:, 0] = 7.1
    assert (UnitSpaceClassifierCV().fit(X, y).coef_[:, 0] == 0).all()


@pytest.mark.parametrize("n", [40, 400])
def test_values_whose_squares_overflow(n):
    X, y = stars(0, n=n, p=60)
    with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
        UnitSpaceClassifierCV().fit(1e200 * X, y)
