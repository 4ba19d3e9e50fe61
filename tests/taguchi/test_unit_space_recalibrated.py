"""Unit spaces that read the probabilities of unit spaces: they are the two stages, one after the other."""

import pickle

import numpy as np
import pytest
import skops.io
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_unit_space import stars

from pipeline.taguchi import UnitSpaceClassifier, UnitSpaceClassifierCV, class_moments

seeds = st.integers(0, 2**32 - 1)


@parametrize_with_checks([UnitSpaceClassifierCV([0.2, 0.7], cv=2, recalibrate=True)])
def test_contract(estimator, check):
    check(estimator)


def logarithms(model, X):
    """Return the logarithms of the probabilities, measured from their mean over the classes."""
    linear = (X - model.center_) @ model.coef_.T + (model.intercept_ + model.coef_ @ model.center_)
    return linear - linear.mean(axis=1, keepdims=True)


def two_stages(X, y, new, weight=None):
    """Return the probabilities of the second of two explicit stages, and the first."""
    first = UnitSpaceClassifierCV().fit(X, y, weight)
    columns = np.zeros((len(X), len(first.classes_)))
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        part = None if weight is None else weight[train]
        fold = UnitSpaceClassifier(shrinkage=first.shrinkage_).fit(X[train], y[train], part)
        columns[test] = logarithms(fold, X[test])
    second = UnitSpaceClassifierCV().fit(columns, y, weight)
    return softmax(logarithms(second, logarithms(first, new)), axis=1), first


@settings(max_examples=20)
@given(seed=seeds, p=st.sampled_from([1, 4, 80]), weighted=st.booleans())
def test_it_is_two_stages_and_the_rest_is_the_first(seed, p, weighted):
    (X, y), (new, _) = stars(seed, p=p), stars(seed + 1, p=p)
    weight = np.random.default_rng(seed).uniform(0.5, 3, size=len(y)) if weighted else None
    model = UnitSpaceClassifierCV(recalibrate=True).fit(X, y, weight)
    probability, first = two_stages(X, y, new, weight)
    np.testing.assert_allclose(model.predict_proba(new), probability, atol=1e-9)
    np.testing.assert_allclose(model.expected_class(new), probability @ [1, 2, 3], atol=1e-9)
    assert model.shrinkage_ == first.shrinkage_
    np.testing.assert_array_equal(model.distance(new), first.distance(new))
    for name in ("scores_", "means_", "center_", "class_prior_", "scale_", "log_det_", "root_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(first, name))


@settings(max_examples=10)
@given(seed=seeds, p=st.sampled_from([1, 4, 80]))
def test_weights_are_repeated_rows_that_are_held_out_together(seed, p):
    X, y = stars(seed, p=p)
    times = np.random.default_rng(seed).integers(0, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), times)
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    splits = [tuple(np.flatnonzero(np.isin(rows, part)) for part in fold) for fold in folds]
    weighted = UnitSpaceClassifierCV(cv=folds, recalibrate=True).fit(X, y, sample_weight=times)
    repeated = UnitSpaceClassifierCV(cv=splits, recalibrate=True).fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-7)


@given(seed=seeds)
def test_names_of_the_classes_do_not_matter(seed):
    (X, y), (new, _) = stars(seed), stars(seed + 1)
    names = np.array(["c", "a", "b"])
    numbers = UnitSpaceClassifierCV(recalibrate=True).fit(X, y).predict_proba(new)
    named = UnitSpaceClassifierCV(recalibrate=True).fit(X, names[y - 1]).predict_proba(new)
    np.testing.assert_allclose(named, numbers[:, np.argsort(names)], atol=1e-9)


@example(seed=1, n=3, n_classes=3, case="far")
@given(seed=seeds, n=st.integers(1, 30), n_classes=st.integers(1, 5), case=st.sampled_from(["apart", "noise", "far"]))
def test_few_rows_and_classes_that_a_fold_lacks_give_no_infinities(seed, n, n_classes, case):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    X = np.column_stack([rng.normal(size=(n, 2)), np.full(n, 7.1)])
    if case == "apart":
        X[:, 0] = y
    if case == "far":
        X[0, :2] = 1e150
    model = UnitSpaceClassifierCV(recalibrate=True).fit(X, y)
    probability = model.predict_proba(X)
    assert np.isfinite(model.coef_).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (model.coef_[:, 2] == 0).all()


def test_classes_that_are_apart_stay_apart():
    y = np.tile([1, 2, 5], 20)
    X = np.column_stack([y, np.random.default_rng(0).normal(size=60)])
    model = UnitSpaceClassifierCV(recalibrate=True).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), y)
    np.testing.assert_array_equal(model.expected_class(X), y)


def test_a_large_offset_costs_no_digits():
    (X, y), (new, _) = stars(3), stars(4)
    plain, shifted = (
        UnitSpaceClassifierCV(recalibrate=True).fit(X + offset, y).predict_proba(new + offset) for offset in (0, 1e6)
    )
    np.testing.assert_allclose(shifted, plain, atol=1e-6)


def test_a_saved_model_predicts_alike():
    X, y = stars(0)
    model = UnitSpaceClassifierCV(recalibrate=True).fit(X, y)
    assert clone(model).recalibrate
    data = skops.io.dumps(model)
    for again in (
        pickle.loads(pickle.dumps(model)),
        skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data)),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_what_it_cannot_learn_from():
    X, y = stars(0)
    known = class_moments(X, y)
    with pytest.raises(ValueError, match="recalibrate=True needs the rows, and know_how has sums in their place"):
        UnitSpaceClassifierCV(know_how=known, recalibrate=True).fit(X, y)
    with pytest.raises(ValueError, match="recalibrate=True needs the rows, and fit_moments has sums"):
        UnitSpaceClassifierCV(recalibrate=True).fit_moments(known)
    with pytest.raises(ValueError, match=r"a cv that holds out every row, got one that never holds out 54 of 60"):
        UnitSpaceClassifierCV(cv=ShuffleSplit(1, random_state=0), recalibrate=True).fit(X, y)


def test_the_first_stage_is_a_fit_without_the_second():
    X, y = stars(0, p=4)
    both = UnitSpaceClassifierCV(recalibrate=True).fit(X, y)
    before = both.predict_proba(X)
    first, plain = both.first_stage(), UnitSpaceClassifierCV().fit(X, y)
    assert first.get_params() == plain.get_params()
    np.testing.assert_array_equal(first.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(first.distance(X), plain.distance(X))
    np.testing.assert_array_equal(both.predict_proba(X), before)
