"""The chosen shrinkage is that of a grid search over UnitSpaceClassifier, and so are the probabilities."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_unit_space import stars

from pipeline.taguchi import UnitSpaceClassifier, UnitSpaceClassifierCV

GRID = (0.03, 0.1, 0.3, 0.5, 0.7, 1.0)


@parametrize_with_checks([UnitSpaceClassifierCV(), UnitSpaceClassifierCV([0.2], cv=2)])
def test_contract(estimator, check):
    check(estimator)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), p=st.sampled_from([1, 3, 10, 80]))
def test_probabilities_and_choice_are_those_of_the_plain_classifier_and_a_loop(seed, p):
    (X, y), (new, _) = stars(seed, p=p), stars(seed + 1, p=p)
    model = UnitSpaceClassifierCV(GRID).fit(X, y)
    truth = np.eye(3)[y - 1]
    errors = np.zeros(len(GRID))
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        for i, shrinkage in enumerate(GRID):
            plain = UnitSpaceClassifier("shrunk", shrinkage=shrinkage).fit(X[train], y[train])
            errors[i] += ((plain.predict_proba(X[test]) - truth[test]) ** 2).sum()
    np.testing.assert_allclose(model.scores_, errors / len(X), rtol=1e-7, atol=1e-12)
    assert model.scores_[GRID.index(model.shrinkage_)] <= model.scores_.min() * (1 + 1e-9)
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


@pytest.mark.parametrize("wrong", [[0.0, 0.5], [1.1], [], [[0.1, 0.2]]])
def test_shrinkages_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match="expected numbers above 0 and up to 1"):
        UnitSpaceClassifierCV(wrong).fit([[0.0], [1.0]], [1, 5])


def test_it_survives_clone_and_pickle():
    X, y = stars(0)
    model = UnitSpaceClassifierCV((0.1, 0.5), cv=3).fit(X, y)
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
