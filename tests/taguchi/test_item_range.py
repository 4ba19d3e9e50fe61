"""Items limited to the range that they were learned in: inside nothing changes, beyond it nothing carries away."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from t_data import noisy, seeds, with_gaps, with_zeros

from pipeline.taguchi import (
    MSRRegressor,
    TbRegressor,
    TMethodRegressor,
    UnitSpaceClassifier,
    UnitSpaceClassifierCV,
    class_moments,
    t_moments,
)
from pipeline.taguchi.item_range import ItemRange, find_item_range, limited

T_METHODS = [
    TMethodRegressor(),
    TMethodRegressor("all", recalibrate=True),
    TMethodRegressor("all", "full"),
    TbRegressor(),
]
UNIT_SPACES = [
    UnitSpaceClassifier(),
    UnitSpaceClassifier("own", 0.5),
    UnitSpaceClassifierCV(shrinkages=(0.3, 1.0), cv=2),
]
MODELS = [*T_METHODS, MSRRegressor(), *UNIT_SPACES, UnitSpaceClassifierCV(cv=2, recalibrate=True)]
FITTED = st.sampled_from(MODELS)


def rated(seed):
    """Items that each say something about the stars, from 1 to 5."""
    X, y, _ = noisy(seed)
    return X, np.clip(np.round(2 * y) / 2, -1, 1) * 2 + 3


def name(model):
    return repr(model)


def readings(model, X):
    """All that is predicted; no distances."""
    methods = ["predict", "predict_proba", "expected_class", "median_class"]
    return [getattr(model, method)(X) for method in methods if hasattr(model, method)]


def with_limits(model):
    return clone(model).set_params(limit_items=True)


@settings(max_examples=40)
@given(seed=seeds, model=FITTED)
def test_inside_the_range_of_the_training_rows_nothing_changes(seed, model):
    X, y = rated(seed)
    low, high = X.min(axis=0), X.max(axis=0)
    inside = np.vstack([X, np.random.default_rng(seed).uniform(low, high, (20, X.shape[1]))])
    free, guarded = clone(model).fit(X, y), with_limits(model).fit(X, y)
    for a, b in zip(readings(free, inside), readings(guarded, inside), strict=True):
        np.testing.assert_array_equal(a, b)
    reach = 10 / 30 * (high - low)
    np.testing.assert_allclose(guarded.item_limits_, [low - reach, high + reach])
    assert free.item_limits_ is None


@settings(max_examples=40)
@given(seed=seeds, model=FITTED, size=st.sampled_from([1.0, 1e3, 1e100]))
def test_a_row_beyond_the_range_is_read_at_its_end(seed, model, size):
    X, y = rated(seed)
    far = size * np.random.default_rng(seed).normal(size=(20, X.shape[1]))
    before = far.copy()
    guarded = with_limits(model).fit(X, y)
    at_the_end = np.clip(far, *guarded.item_limits_)
    for a, b in zip(readings(guarded, far), readings(clone(model).fit(X, y), at_the_end), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(far, before)


@settings(max_examples=20)
@given(seed=seeds, model=st.sampled_from([*T_METHODS, MSRRegressor()]))
def test_a_prediction_stays_between_those_of_the_corners(seed, model):
    X, y = rated(seed)
    guarded = with_limits(model).fit(X, y)
    ends = np.where(guarded.coef_ > 0, guarded.item_limits_[::-1], guarded.item_limits_)
    highest, lowest = guarded.predict(ends)
    span = 1e-9 * (highest - lowest)
    anything = guarded.predict(1e50 * np.random.default_rng(seed).normal(size=(50, X.shape[1])))
    assert lowest - span <= anything.min() <= anything.max() <= highest + span


@pytest.mark.parametrize("model", UNIT_SPACES, ids=name)
def test_a_distance_has_no_limit(model):
    X, y = rated(3)
    free, guarded = clone(model).fit(X, y), with_limits(model).fit(X, y)
    np.testing.assert_array_equal(guarded.distance(1e6 + X), free.distance(1e6 + X))
    assert guarded.distance(1e6 + X).min() > 1e3


@pytest.mark.parametrize("model", [m for m in MODELS if not isinstance(m, MSRRegressor)], ids=name)
def test_a_row_of_weight_zero_has_no_part_in_the_range(model):
    X, y = rated(5)
    X[0] = 1e3
    guarded = with_limits(model).fit(X, y, sample_weight=np.arange(len(y)) > 0)
    np.testing.assert_allclose(guarded.item_limits_, with_limits(model).fit(X[1:], y[1:]).item_limits_)


@pytest.mark.parametrize("model", [TMethodRegressor(), TbRegressor()], ids=name)
def test_a_missing_value_stays_missing(model):
    X, y = rated(7)
    X = with_gaps(X, 7)
    X[:, 0] = np.nan  # an item that no row has
    guarded = with_limits(model).fit(X, y)
    assert np.isnan(guarded.item_limits_[:, 0]).all()
    low, high = guarded.item_limits_
    assert (np.isnan(X) | ((low < X) & (high > X))).all()
    np.testing.assert_array_equal(guarded.predict(X), clone(model).fit(X, y).predict(X))
    far = np.where(np.isnan(X), np.nan, 1e9)
    far[:, 0] = 5
    assert np.isfinite(guarded.predict(far)).all()


@settings(max_examples=30)
@given(seed=seeds, kind=st.sampled_from([sparse.csr_array, sparse.csc_array]), gaps=st.booleans(), full=st.booleans())
def test_sparse_rows_are_limited_as_dense_ones_and_stay_sparse(seed, kind, gaps, full):
    X, y = rated(seed)
    X = with_zeros(X, seed, 0.5)
    if full:
        X[:, 1] = 2 + np.abs(X[:, 1])  # never 0: an empty place is beyond its range
    X = with_gaps(X, seed) if gaps else X
    far = with_zeros(50 * np.random.default_rng(seed).normal(size=X.shape), seed, 0.5)
    limits = find_item_range(X).limits()
    np.testing.assert_array_equal(find_item_range(kind(X)).limits(), limits)
    result, given_rows = limited(kind(far), limits), kind(far)
    assert result.format == given_rows.format
    np.testing.assert_array_equal(result.toarray(), limited(far, limits))
    np.testing.assert_array_equal(given_rows.toarray(), far)
    dense, thin = (with_limits(TMethodRegressor("all")).fit(rows, y) for rows in (X, kind(X)))
    np.testing.assert_allclose(thin.predict(kind(far)), dense.predict(far), rtol=1e-9, atol=1e-9)


def test_values_stored_twice_in_a_sparse_matrix_are_limited_as_their_sum():
    twice = sparse.csr_array((np.array([3.0, 4.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 2))
    assert limited(twice, np.array([[0.0, 0.0], [5.0, 5.0]])).toarray().tolist() == [[5.0, 0.0]]
    assert twice.nnz == 2


@settings(max_examples=20)
@given(seed=seeds, cut=st.integers(0, 30))
def test_ranges_of_shards_unite_to_the_range_of_all_rows(seed, cut):
    X, _ = rated(seed)
    X = with_gaps(X, seed)
    both, whole = find_item_range(X[:cut]) + find_item_range(X[cut:]), find_item_range(X)
    np.testing.assert_array_equal(both.limits(), whole.limits())
    assert both.n == whole.n == 30


def test_batches_give_the_limits_of_one_fit():
    X, y = rated(11)
    whole = TMethodRegressor((3, 3), limit_items=True).fit(X, y)
    batches = TMethodRegressor((3, 3), limit_items=True)
    for rows in (slice(0, 12), slice(12, 30)):
        batches.partial_fit(X[rows], y[rows])
    np.testing.assert_array_equal(batches.item_limits_, whole.item_limits_)
    np.testing.assert_allclose(batches.predict(100 * X), whole.predict(100 * X), rtol=1e-9)
    free = TMethodRegressor().fit(X, y).set_params(limit_items=True)
    with pytest.raises(ValueError, match="the range of each item, which the fit before did not keep: fit all rows"):
        free.partial_fit(X, y)


@pytest.mark.parametrize("model", [TMethodRegressor(), *UNIT_SPACES], ids=name)
def test_sums_alone_know_no_range(model):
    X, y = rated(11)
    sums = class_moments(X, y)
    with pytest.raises(ValueError, match="limit_items=True needs rows, since sums know no range of the items"):
        with_limits(model).fit_moments(sums)
    assert clone(model).fit_moments(sums).item_limits_ is None
    again = with_limits(model).fit(X, y).set_params(limit_items=False).fit_moments(sums)
    assert again.item_limits_ is None
    with pytest.raises(ValueError, match="needs rows"):
        TMethodRegressor(limit_items=True).fit_moments(t_moments(X, y, y == 3))


@pytest.mark.parametrize("model", [TMethodRegressor(), UnitSpaceClassifier(), UNIT_SPACES[-1]], ids=name)
def test_beside_know_how_there_are_no_limits(model):
    # One row would hold every item at its value, and the prediction of every row with it.
    known = class_moments(*rated(12))
    with pytest.raises(ValueError, match="limit_items=True needs rows, since sums know no range of the items"):
        with_limits(model).set_params(know_how=known).fit(*rated(11))


@pytest.mark.parametrize("model", [TMethodRegressor(clip="range"), UnitSpaceClassifier()], ids=name)
def test_contributions_add_up_to_what_is_predicted_beyond_the_range(model):
    X, y = rated(15)
    guarded = with_limits(model).fit(X, y)
    base, items, _, rest = guarded.contributions(50 * X)
    predicted = guarded.expected_class(50 * X) if hasattr(guarded, "expected_class") else guarded.predict(50 * X)
    np.testing.assert_allclose(base + items.sum(axis=1) + rest, predicted, atol=1e-9)


@pytest.mark.parametrize("model", [*T_METHODS, *UNIT_SPACES], ids=name)
def test_a_weight_of_two_counts_as_two_rows(model):
    X, y = rated(19)
    twice = with_limits(model).fit(X, y, sample_weight=np.full(len(y), 2))
    np.testing.assert_allclose(twice.item_limits_, ItemRange(X.min(axis=0), X.max(axis=0), 60).limits())


def test_several_targets_share_the_ranges():
    X, y = rated(13)
    both = with_limits(TMethodRegressor("all")).fit(X, np.column_stack([y, -(y**2)]))
    assert both.item_limits_.shape == (2, X.shape[1])
    for target, column in enumerate((y, -(y**2))):
        one = with_limits(TMethodRegressor("all")).fit(X, column)
        np.testing.assert_allclose(both.predict(30 * X)[:, target], one.predict(30 * X), rtol=1e-12)


@pytest.mark.parametrize("model", [TMethodRegressor(), TbRegressor(), MSRRegressor(), UnitSpaceClassifier()], ids=name)
def test_float32_items_stay_float32_and_keep_their_own_range(model):
    X, y = rated(17)
    X = X.astype(np.float32)
    guarded = with_limits(model).fit(X, y)
    assert guarded.item_limits_.dtype == np.float64
    assert limited(X, guarded.item_limits_).dtype == np.float32
    for a, b in zip(readings(guarded, X), readings(clone(model).fit(X, y), X), strict=True):
        np.testing.assert_array_equal(a, b)
    copy = pickle.loads(pickle.dumps(guarded))
    np.testing.assert_array_equal(copy.predict(1e9 * X), guarded.predict(1e9 * X))


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_a_limit_is_a_boolean(model):
    X, y = rated(1)
    with pytest.raises(ValueError, match="'limit_items' parameter"):
        clone(model).set_params(limit_items="range").fit(X, y)
