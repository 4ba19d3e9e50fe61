"""The mean of several estimates: what it is, what items add to it, and scikit-learn's contract."""

import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import noisy, seeds, with_gaps

from pipeline.evaluation import ExpectedStarRegressor, MedianStarRegressor
from pipeline.experiment.saved import load, save
from pipeline.taguchi import MeanRegressor, TMethodRegressor, UnitSpaceClassifier, UnitSpaceClassifierCV

WEIGHTS = st.none() | st.lists(st.floats(0.01, 100), min_size=3, max_size=3)


def three(weights=None):
    """Ta within its range, unit spaces, and their median star: each with another rest."""
    parts = [
        ("Ta", TMethodRegressor("all", clip="range")),
        ("unit spaces", ExpectedStarRegressor(UnitSpaceClassifierCV())),
        ("median", MedianStarRegressor(UnitSpaceClassifier())),
    ]
    return MeanRegressor(parts, weights=weights)


def rows(seed):
    """Rows, and their targets as whole stars."""
    X, y, _ = noisy(seed)
    return X, 1 + y.argsort().argsort() * 5 // len(y)


@given(seed=seeds, weights=WEIGHTS)
def test_it_is_the_mean_of_its_parts(seed, weights):
    X, y = rows(seed)
    model = three(weights).fit(X, y)
    parts = [estimator.fit(X, y).predict(X) for _, estimator in three().estimators]
    np.testing.assert_allclose(model.predict(X), np.average(parts, axis=0, weights=weights), rtol=1e-12)


@given(seed=seeds, weights=WEIGHTS, far=st.sampled_from([0.0, 1.0, 30.0, 1e3]))
def test_contributions_add_up_to_the_prediction(seed, weights, far):
    X, y = rows(seed)
    model = three(weights).fit(X, y)
    parts = model.contributions(far * X)
    np.testing.assert_allclose(parts.total, model.predict(far * X), rtol=1e-9, atol=1e-9)
    assert parts.items.shape == parts.slopes.shape == X.shape


@pytest.mark.slow
@given(seed=seeds, weights=WEIGHTS)
def test_each_contribution_is_the_mean_of_those_to_the_parts(seed, weights):
    X, y = rows(seed)
    model = three(weights).fit(X, y)
    for field in ("base", "items", "slopes", "rest"):
        parts = [getattr(estimator.contributions(X), field) for estimator in model.estimators_]
        np.testing.assert_allclose(
            getattr(model.contributions(X), field), np.average(parts, axis=0, weights=weights), rtol=1e-9, atol=1e-12
        )
    # Each part is measured from the mean of all rows, so that the slopes belong to distances from it.
    items = model.contributions(X).slopes * (X - model.named_estimators_["Ta"].center_)
    np.testing.assert_allclose(model.contributions(X).items, items, atol=1e-9)


def test_a_part_without_weight_adds_nothing():
    X, y = rows(0)
    model, alone = three([1, 0, 0]).fit(X, y), TMethodRegressor("all", clip="range").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    for part, expected in zip(model.contributions(X), alone.contributions(X), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_a_part_that_is_dropped_counts_for_nothing():
    X, y = rows(0)
    model = three([1, 2, 5]).set_params(median="drop").fit(X, y)
    expected = MeanRegressor(three().estimators[:2], weights=[1, 2]).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    np.testing.assert_array_equal(model.contributions(X).items, expected.contributions(X).items)


def test_rows_may_count_more_than_once():
    X, y = rows(0)
    weight = np.arange(len(y)) % 3
    counted = three().set_params(**{"unit spaces": "drop"})
    repeated = clone(counted).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(counted.fit(X, y, sample_weight=weight).predict(X), repeated.predict(X))


def test_missing_values_where_all_parts_take_them():
    X, y = rows(0)
    X = with_gaps(X, 0)
    model = MeanRegressor([("T(1)", TMethodRegressor()), ("Ta", TMethodRegressor("all"))]).fit(X, y)
    parts = model.contributions(X)
    np.testing.assert_allclose(parts.total, model.predict(X), atol=1e-9)
    assert (parts.items[np.isnan(X)] == 0).all()


@pytest.mark.parametrize("other", [LinearRegression(), ExpectedStarRegressor(LogisticRegression())])
def test_a_part_that_does_not_say_what_its_items_add_is_refused_in_one_line(other):
    X, y = rows(0)
    model = MeanRegressor([("Ta", TMethodRegressor("all")), ("other", other)]).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    message = "LinearRegression does not say what its items add|unit spaces as classifier, .* got LogisticRegression"
    with pytest.raises(ValueError, match=message) as refused:
        model.contributions(X)
    assert "\n" not in str(refused.value)


def test_it_learns_first():
    with pytest.raises(NotFittedError):
        three().contributions([[1.0, 2.0]])
    with pytest.raises(ValueError, match="should be a non-empty list of"):
        MeanRegressor([]).fit(*rows(0))
    with pytest.raises(ValueError, match="Number of `estimators` and weights must be equal"):
        three([1, 2]).fit(*rows(0))


def test_it_survives_clone_and_pickle_and_skops(tmp_path):
    X, y = rows(0)
    table = pd.DataFrame(X, columns=[f"item {i}" for i in range(X.shape[1])])
    weights = np.array([1.0, 2.0, 0.5])
    model = three(weights).fit(table, y)
    assert model.feature_names_in_.tolist() == list(table)
    assert model.n_features_in_ == X.shape[1]
    assert weights.tolist() == [1, 2, 0.5]
    before = table.copy()
    expected, parts = model.predict(table), model.contributions(table)
    pd.testing.assert_frame_equal(table, before)
    save(tmp_path / "model.skops", model)
    types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert "pipeline.taguchi.mean.MeanRegressor" in types
    copies = [clone(model).fit(table, y), pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skops", "score")[0]]
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(table), expected)
        for part, same in zip(copy.contributions(table), parts, strict=True):
            np.testing.assert_array_equal(part, same)


@parametrize_with_checks([MeanRegressor([("T(1)", TMethodRegressor()), ("Ta", TMethodRegressor("all"))])])
def test_it_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


def test_parts_that_are_fitted_already_make_the_same_mean():
    X, y = rows(0)
    taken = three([1, 2, 3]).take_fitted([estimator.fit(X, y) for _, estimator in three().estimators])
    fitted = three([1, 2, 3]).fit(X, y)
    np.testing.assert_array_equal(taken.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(taken.contributions(X).items, fitted.contributions(X).items)
    assert taken.n_features_in_ == fitted.n_features_in_
    assert list(taken.named_estimators_) == list(fitted.named_estimators_)
