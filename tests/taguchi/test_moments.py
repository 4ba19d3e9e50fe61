import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from t_data import FIVE_STARS, SEEDS, close, noisy, sparse_forms, with_gaps, with_zeros

from pipeline.taguchi import TMoments, t_moments

seeds = st.integers(0, SEEDS)


def plain(X, y, weight):
    """The definition: for each item the rows in which it is there, their means, and sums about these."""
    result = []
    for x in X.T:
        there = ~np.isnan(x)
        w, x, t = weight[there], x[there], y[there]
        total = w.sum()
        if total == 0:
            result.append([0, 0, 0, 0, 0, 0])
            continue
        dx, dt = x - w @ x / total, t - w @ t / total
        result.append([total, w @ x / total, w @ t / total, w @ dx**2, w @ (dx * dt), w @ dt**2])
    return np.array(result).T


def listed(moments):
    """The same six values of each item from Moments; weight and target of an item without rows count as 0."""
    n_items = len(moments.x_mean)
    values = [moments.weight, moments.x_mean, moments.y_mean, moments.xx, moments.xy, moments.yy]
    values = np.array([np.broadcast_to(value, n_items) for value in values])
    return np.where(values[0] > 0, values, 0)


def agree(a, b, tol=1e-9):
    for x, y in ((a.unit, b.unit), (a.signal, b.signal)):
        close(listed(x), listed(y), tol)
        close(x.target, y.target, tol)
        assert (x.gram is None) == (y.gram is None)
        if x.gram is not None:
            close(x.gram, y.gram, tol)
    assert a.target_range == b.target_range


def shards_of(rng, n, count):
    """Cut n rows into `count` groups of any size, in any order."""
    return np.split(rng.permutation(n), np.sort(rng.integers(1, n, size=count - 1)))


class TestDefinition:
    @settings(max_examples=40)
    @given(seed=seeds, weighted=st.booleans(), gaps=st.booleans(), offset=st.sampled_from([0.0, 1e6]))
    def test_means_and_sums_are_those_of_the_rows_of_each_group(self, seed, weighted, gaps, offset):
        X, y, mask = noisy(seed)
        X = (with_gaps(X, seed) if gaps else X) + offset
        weight = np.random.default_rng(seed).uniform(0, 3, size=len(y)) if weighted else np.ones(len(y))
        total = t_moments(X, y, mask, weight)
        for group, rows in ((total.unit, mask), (total.signal, ~mask), (total.all, mask | ~mask)):
            close(listed(group), plain(X, y, weight * rows), 1e-9)
            w = weight * rows
            mean = w @ y / w.sum()
            close(group.target, (w.sum(), mean, w @ (y - mean) ** 2))

    def test_worked_example_by_hand(self):
        X = np.array([[1.0, 9.0], [3.0, np.nan], [5.0, 3.0]])
        unit = t_moments(X, [1, 2, 6]).unit
        assert unit.weight.tolist() == [3, 2]
        assert unit.x_mean.tolist() == [3, 6]
        np.testing.assert_allclose(unit.y_mean, [3, 3.5])
        np.testing.assert_allclose(unit.xx, [8, 18])
        np.testing.assert_allclose(unit.xy, [10, -15])
        np.testing.assert_allclose(unit.yy, [14, 12.5])
        assert unit.target == pytest.approx((3, 3, 14))

    def test_what_is_the_same_for_all_items_is_one_number(self):
        X, y, mask = noisy(0)
        for group in (t_moments(X, y, mask).unit, t_moments(X, y, mask).signal):
            assert group.weight.shape == group.y_mean.shape == group.yy.shape == ()

    @settings(max_examples=20)
    @given(seed=seeds)
    def test_about_gives_the_sums_about_any_point(self, seed):
        X, y, mask = noisy(seed)
        x_0, y_0 = np.random.default_rng(seed).normal(size=4), 0.7
        r, L, S_T = t_moments(X, y, mask).signal.about(x_0, y_0)
        M, D = y[~mask] - y_0, X[~mask] - x_0
        close(r, M @ M)
        close(L, M @ D)
        close(S_T, (D**2).sum(axis=0))

    @settings(max_examples=20)
    @given(seed=seeds, weighted=st.booleans())
    def test_gram_is_the_products_of_all_pairs(self, seed, weighted):
        X, y, mask = noisy(seed)
        weight = np.random.default_rng(seed).integers(0, 4, size=len(y)) + weighted * 0.5
        total = t_moments(X, y, mask, weight, gram=True)
        for group, rows in ((total.unit, mask), (total.signal, ~mask)):
            D = X - group.x_mean
            close(group.gram, (D * (weight * rows)[:, None]).T @ D)
            close(group.gram.diagonal(), group.xx)

    def test_rounding_and_range_are_those_of_the_rows_that_count(self):
        X, y, _ = noisy(0)
        weight = (y < y.max()).astype(float)
        assert t_moments(X, y, sample_weight=weight).target_range == (y.min(), np.sort(y)[-2])
        assert t_moments(X, y).eps == np.finfo(np.float64).eps
        assert t_moments(X.astype(np.float32), y).eps == np.finfo(np.float32).eps

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("special", ["plain", "offset", "missing", "tiny", "huge", "sorted"])
    def test_many_rows_agree_with_the_definition(self, special, dtype):
        # More than two chunks of rows, so that the fast way, the careful way and their sum all take part.
        X, y, mask = noisy(1, n=20_000)
        if special == "offset":
            X += 1000
        elif special == "missing":
            X = with_gaps(X, 1, 0.01)
        elif special == "tiny":
            X[:9000, 1] = 0
            X[9000:, 1] *= 1e-20
        elif special == "huge":
            X[10_000, 2] = 1e10
        elif special == "sorted":
            X, y = np.sort(X, axis=0), np.sort(y)
        X = X.astype(dtype)
        total = t_moments(X, y, mask)
        tol = 1e-10 if dtype == np.float64 else 5e-6
        for group, rows in ((total.unit, mask), (total.signal, ~mask)):
            for value, expected in zip(listed(group).T, plain(X.astype(float), y, 1.0 * rows).T, strict=True):
                np.testing.assert_allclose(value[:3], expected[:3], rtol=tol, atol=tol * np.sqrt(expected[3]))
                np.testing.assert_allclose(value[[3, 5]], expected[[3, 5]], rtol=tol)
                np.testing.assert_allclose(value[4], expected[4], atol=tol * np.sqrt(expected[3] * expected[5]))


class TestSum:
    @settings(max_examples=40)
    @given(seed=seeds, count=st.integers(2, 8), gaps=st.booleans(), weighted=st.booleans())
    def test_shards_in_any_order_add_up_to_all_rows(self, seed, count, gaps, weighted):
        rng = np.random.default_rng(seed)
        X, y, mask = noisy(seed)
        X = with_gaps(X, seed) if gaps else X
        weight = rng.integers(0, 3, size=len(y)).astype(float) if weighted else np.ones(len(y))
        shards = [
            t_moments(X[rows], y[rows], mask[rows], weight[rows], gram=not gaps)
            for rows in shards_of(rng, len(y), count)
        ]
        expected = t_moments(X, y, mask, weight, gram=not gaps)
        agree(sum(shards), expected)
        agree(sum(shards[::-1]), expected)

    def test_a_large_offset_costs_no_digits(self):
        X, y, mask = noisy(3, n=400)
        parts = [t_moments(X[rows] + 1e9, y[rows], mask[rows]) for rows in (slice(0, 7), slice(7, 400))]
        # 1e9 + x keeps x to about 1e-7.
        close(sum(parts).signal.xx, t_moments(X, y, mask).signal.xx, 1e-7)

    def test_shards_of_one_group_only(self):
        X, y, mask = noisy(4)
        agree(t_moments(X[mask], y[mask]) + t_moments(X[~mask], y[~mask], mask[~mask]), t_moments(X, y, mask))

    @pytest.mark.parametrize("gram", [False, True])
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_array])
    def test_a_shard_without_rows_or_weight_adds_nothing(self, form, gram):
        X, y, mask = noisy(8)
        X = form(with_zeros(X, 8))
        total = t_moments(X, y, mask, gram=gram)
        for nothing in (
            t_moments(X[:0], y[:0], mask[:0], gram=gram),
            t_moments(X[:5], y[:5], mask[:5], np.zeros(5), gram),
        ):
            agree(nothing + total, total, 0)
            agree(total + nothing, total, 0)

    def test_no_shard_is_changed(self):
        X, y, mask = noisy(5)
        a, b = (t_moments(X[rows], y[rows], mask[rows], gram=True) for rows in (slice(0, 9), slice(9, 30)))
        before = a.unit.gram.copy(), a.unit.xx.copy()
        assert isinstance(a + b, TMoments)
        np.testing.assert_array_equal(a.unit.gram, before[0])
        np.testing.assert_array_equal(a.unit.xx, before[1])

    def test_the_coarser_floating_point_counts(self):
        X, y, _ = noisy(6)
        assert (t_moments(X, y) + t_moments(X.astype(np.float32), y)).eps == np.finfo(np.float32).eps

    def test_shards_that_do_not_belong_together(self):
        X, y, _ = noisy(7)
        with pytest.raises(ValueError, match="must have the same items, got 4 and 3 of them"):
            t_moments(X, y) + t_moments(X[:, :3], y)
        with pytest.raises(ValueError, match="made with the same `gram`"):
            t_moments(X, y) + t_moments(X, y, gram=True)
        with pytest.raises(TypeError):
            t_moments(X, y) + 1


class TestSparse:
    @settings(max_examples=20)
    @given(seed=seeds, gaps=st.booleans(), weighted=st.booleans(), gram=st.booleans())
    def test_every_form_equals_dense(self, seed, gaps, weighted, gram):
        X, y, mask = noisy(seed)
        X = with_zeros(X, seed)
        X[:, 2] = 0
        if gaps and not gram:
            X = with_gaps(X, seed)
        weight = np.random.default_rng(seed).uniform(0, 2, size=len(y)) if weighted else None
        expected = t_moments(X, y, mask, weight, gram)
        for form in sparse_forms(X):
            agree(t_moments(form, y, mask, weight, gram), expected)

    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
    def test_many_chunks_equal_dense(self, form, monkeypatch):
        monkeypatch.setattr("pipeline.taguchi.summation._CHUNK_VALUES", 7)
        X, y, mask = noisy(1, n=100, p=9)
        for items in (with_zeros(X, 1), with_gaps(with_zeros(X, 1), 1)):
            agree(t_moments(form(items), y, mask), t_moments(items, y, mask))

    def test_an_empty_matrix_has_moments_of_zeros(self):
        _, y, mask = noisy(2)
        for form in sparse_forms(np.zeros((30, 3))):
            agree(t_moments(form, y, mask), t_moments(np.zeros((30, 3)), y, mask))

    def test_the_matrix_is_not_changed(self):
        X, y, mask = noisy(3)
        for form in sparse_forms(with_gaps(with_zeros(X, 3), 3)):
            before = form.copy()
            t_moments(form, y, mask)
            assert form.nnz == before.nnz
            for name in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(form, name), getattr(before, name))


class TestErrors:
    @pytest.mark.parametrize("power", [160, 200, 300])
    def test_squares_that_overflow(self, power):
        X, y, mask = noisy(0)
        for items in (X * 10.0**power, sparse.csr_array(X * 10.0**power)):
            with pytest.raises(ValueError, match="values whose squares overflow: scale the items down"):
                t_moments(items, y, mask)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("gram", [False, True])
    @pytest.mark.parametrize("n", [30, 40_000])
    def test_infinity(self, n, gram):
        # Many rows are added up in several threads.
        X, y, mask = noisy(0, n)
        X[3, 1] = np.inf
        for items in (X, sparse.csr_array(X), sparse.csc_array(X)):
            with pytest.raises(ValueError, match="Input X contains infinity"):
                t_moments(items, y, mask, gram=gram)

    @pytest.mark.filterwarnings("error")
    def test_targets_whose_squares_overflow(self):
        X, y, mask = noisy(0)
        for items in (X, sparse.csr_array(X)):
            with pytest.raises(ValueError, match="The target y holds values whose squares overflow: scale it down"):
                t_moments(items, y * 1e200, mask)

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("y", np.ones(9), r"inconsistent numbers of samples: \[30, 9\]"),
            ("y", np.where(np.arange(30) == 3, np.nan, 1), "Input y contains NaN"),
            ("y", np.where(np.arange(30) == 3, np.inf, 1), "Input y contains infinity"),
            ("unit_space_mask", [True], r"inconsistent numbers of samples: \[30, 1\]"),
            (
                "unit_space_mask",
                np.ones(30, dtype=int),
                r"must hold booleans, got int64 \(1, 1, 1, \.\.\.\): give `mask == 1`",
            ),
            ("sample_weight", [1.0], "sample_weight must have one value for each of 30 rows"),
            ("sample_weight", -np.ones(30), "Negative values in data passed to `sample_weight`"),
            ("sample_weight", np.full(30, np.nan), "Input sample_weight contains NaN"),
        ],
    )
    def test_arguments_that_do_not_fit_the_items(self, name, value, message):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match=message):
            t_moments(X, **{"y": y, name: value})

    def test_gram_takes_no_missing_values(self):
        X, y, mask = noisy(0)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            t_moments(with_gaps(X, 0), y, mask, gram=True)


@pytest.mark.parametrize("missing", [False, True])
def test_memory_beyond_the_data_is_a_few_blocks(missing, monkeypatch):
    # Each processor has one block.
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50_000, 200)).astype(np.float32), np.tile(FIVE_STARS, 10_000)
    if missing:
        X[::7, 3] = np.nan
    tracemalloc.start()
    try:
        t_moments(X, y, y == 3)
        assert tracemalloc.get_traced_memory()[1] < (0.25 if missing else 0.1) * X.nbytes
    finally:
        tracemalloc.stop()
