"""Sparse items, missing values and several targets."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from t_data import (
    DIAGONAL,
    FIVE_STARS,
    LEARNED,
    OPTIONS,
    RULES,
    agree,
    assert_finite,
    close,
    diagonal_options,
    no_warning_but_of_few_rows,
    noisy,
    options,
    seeds,
    sparse_forms,
    with_gaps,
    with_zeros,
)

from pipeline.taguchi import TMethodRegressor, t_moments


def by_the_formula(model, X):
    """Integrated estimate of each row from the items that it has, one after the other."""
    result = []
    for row in X:
        there = ~np.isnan(row) & (model.eta_ > 0)
        if not there.any():
            result.append(model.target_center_)
            continue
        single = model.item_target_center_ + (row - model.center_) / np.where(model.beta_ == 0, 1, model.beta_)
        result.append(np.average(single[there], weights=model.eta_[there]))
    return np.array(result)


class TestSparse:
    @settings(max_examples=15)
    @given(seed=seeds, option=options, gaps=st.booleans(), dtype=st.sampled_from([np.float32, np.float64]))
    def test_every_form_equals_dense(self, seed, option, gaps, dtype):
        X, y, mask = noisy(seed)
        X = with_zeros(X, seed)
        X[:, 2] = 0
        if gaps and option in DIAGONAL:
            X = with_gaps(X, seed)
        X = X.astype(dtype)
        dense = TMethodRegressor(**option).fit(X, y, mask)
        for form in sparse_forms(X):
            assert form.dtype == dtype
            model = TMethodRegressor(**option).fit(form, y, mask)
            tol = 1e-9 if dtype == np.float64 else 1e-5
            agree(model, dense, X, tol)
            close(model.predict(form), dense.predict(X), tol)
            assert model.predict(form).dtype == dtype

    @pytest.mark.parametrize("parts", [[np.nan, 2.0], [2.0, np.nan], [np.nan, np.nan]], ids=str)
    def test_parts_of_a_missing_value_are_one_missing_value(self, parts):
        X, y, _ = noisy(0, p=2)
        model = TMethodRegressor("all").fit(X, y)
        row = sparse.csr_array(([*parts, 4.0], [0, 0, 1], [0, 3]), shape=(1, 2))
        assert row.nnz == 3
        np.testing.assert_allclose(model.predict(row), model.predict([[np.nan, 4.0]]))

    def test_other_sparse_formats_are_converted(self):
        X, y, _ = noisy(0)
        X = with_zeros(X, 0)
        expected = TMethodRegressor().fit(X, y)
        for form in (sparse.coo_array(X), sparse.lil_array(X), sparse.dok_array(X)):
            agree(TMethodRegressor().fit(form, y), expected, form.tocsr())

    def test_the_matrix_is_not_changed(self):
        X, y, _ = noisy(1)
        for form in sparse_forms(with_zeros(X, 1)):
            before = form.copy()
            for option in OPTIONS:
                TMethodRegressor(**option).fit(form, y).predict(form)
            assert form.nnz == before.nnz
            for name in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(getattr(form, name), getattr(before, name))

    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
    def test_what_would_be_80_gigabytes_stays_sparse(self, form):
        rng = np.random.default_rng(0)
        shape, n = (200_000, 50_000), 300_000
        y = rng.integers(1, 6, size=shape[0]).astype(float)
        rows = rng.integers(shape[0], size=n)
        X = form((rng.random(n) + y[rows], (rows, rng.integers(20, shape[1], size=n))), shape=shape)
        for option in ({}, {"unit_space": "all", "recalibrate": True, "clip": "range"}):
            y_hat = TMethodRegressor(**option).fit(X, y).predict(X)
            assert y_hat.shape == y.shape
            assert np.isfinite(y_hat).all()
            assert np.corrcoef(y, y_hat)[0, 1] > 0

    def test_infinity(self):
        X, y, _ = noisy(2)
        X[4, 2] = -np.inf
        for form in (sparse.csr_array, sparse.csc_array):
            with pytest.raises(ValueError, match="Input X contains infinity"):
                TMethodRegressor().fit(form(X), y)

    def test_missing_values_are_not_for_the_full_covariance(self):
        X, y, _ = noisy(3)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            TMethodRegressor(covariance="full").fit(sparse.csr_array(with_gaps(X, 3)), y)

    @pytest.mark.parametrize("offset", [1e6, 1e9])
    @pytest.mark.parametrize("gaps", [False, True])
    def test_fractional_weights_cost_no_digits_of_a_column_far_from_zero(self, gaps, offset):
        X, y, _ = noisy(0, n=200)
        X[:, 0], X[:, 1] = X[:, 0] + offset, 7
        X = with_gaps(X, 0) if gaps else X
        weight = np.random.default_rng(0).uniform(0.1, 2, size=200)
        options = {"unit_space": "all", "subtract_error": False}
        a, b = (TMethodRegressor(**options).fit(items, y, sample_weight=weight) for items in (sparse.csr_array(X), X))
        assert a.coef_[1] == 0
        np.testing.assert_allclose(a.predict(X), b.predict(X), atol=1e-4)

    @pytest.mark.parametrize("covariance", ["diagonal", "full"])
    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
    def test_a_column_far_from_zero_costs_no_more_digits_than_dense(self, form, covariance):
        X, y, _ = noisy(12, n=300)
        X[:, 0] += 1e7
        X[::2, 1] = 0
        a, b = (TMethodRegressor(covariance=covariance).fit(items, y) for items in (form(X), X))
        np.testing.assert_allclose(a.eta_, b.eta_, rtol=1e-6)


class TestMissingValues:
    @settings(max_examples=30)
    @given(seed=seeds, subtract=st.booleans(), masked=st.booleans(), share=st.floats(0, 0.6))
    def test_an_item_learns_from_the_rows_in_which_it_is_there(self, seed, subtract, masked, share):
        X, y, mask = noisy(seed)
        X, mask = with_gaps(X, seed, share), mask | np.isin(np.arange(30), [1, 2])
        mask[0] = False
        mask = mask if masked else np.ones(30, dtype=bool)
        model = TMethodRegressor(subtract_error=subtract).fit(X, y, mask)
        for j in range(4):
            there = ~np.isnan(X[:, j])
            assume(masked <= (there[~mask].sum() > 1))
            alone = TMethodRegressor(subtract_error=subtract).fit(X[there, j : j + 1], y[there], mask[there])
            for name in ("center_", "beta_", "eta_", "item_target_center_"):
                close(getattr(model, name)[j], getattr(alone, name)[0])
            assert model.item_target_center_[j] == pytest.approx(alone.target_center_)

    @settings(max_examples=30)
    @given(seed=seeds, option=diagonal_options, share=st.floats(0, 0.9))
    def test_the_items_that_are_there_make_the_estimate(self, seed, option, share):
        X, y, _ = noisy(seed)
        model = TMethodRegressor(**option).fit(with_gaps(X, seed), y)
        new = with_gaps(np.vstack([X, X, X]), seed + 1, share)
        intercept, slope = model.recalibration_
        expected = intercept + slope * by_the_formula(model, new)
        if "clip" in option:
            expected = np.clip(expected, y.min(), y.max())
        close(model.predict(new), expected)
        close(model.predict(sparse.csr_array(new)), expected)

    @settings(max_examples=20)
    @given(seed=seeds, option=diagonal_options)
    def test_a_row_without_any_item_is_the_centre(self, seed, option):
        X, y, _ = noisy(seed)
        model = TMethodRegressor(**option | {"clip": None, "recalibrate": False}).fit(with_gaps(X, seed), y)
        for form in (np.asarray, sparse.csr_array, sparse.csc_array):
            assert model.predict(form(np.full((2, 4), np.nan))).tolist() == [model.target_center_] * 2

    def test_a_gap_in_an_item_that_carries_nothing_changes_nothing(self):
        X, y, _ = noisy(0)
        X[:, 1] = 7
        model = TMethodRegressor().fit(X, y)
        gaps = X.copy()
        gaps[:, 1] = np.nan
        np.testing.assert_allclose(model.predict(gaps), model.predict(X), rtol=1e-12)

    @pytest.mark.parametrize("where", ["everywhere", "unit space", "signal"])
    def test_an_item_that_is_nowhere_has_weight_exactly_zero(self, where):
        X, y, mask = noisy(1)
        X[{"everywhere": slice(None), "unit space": mask, "signal": ~mask}[where], 2] = np.nan
        for form in (np.asarray, sparse.csr_array, sparse.csc_array):
            with no_warning_but_of_few_rows():
                model = TMethodRegressor().fit(form(X), y, mask)
                y_hat = model.predict(form(X))
            assert (model.beta_[2], model.eta_[2], model.coef_[2]) == (0, 0, 0)
            others = [0, 1, 3]
            np.testing.assert_allclose(y_hat, TMethodRegressor().fit(X[:, others], y, mask).predict(X[:, others]))

    @settings(max_examples=60)
    @given(seed=seeds)
    def test_an_item_that_is_there_only_at_the_unit_spaces_mean_has_weight_exactly_zero(self, seed):
        rng = np.random.default_rng(seed)
        y, row = rng.normal(size=40), np.arange(40)
        # The first item's unit space is the first three rows, its signal are the seven that follow.
        y[3:10] = y[:3].mean()
        X = np.column_stack([np.where(row < 10, rng.normal(size=40), np.nan), y + rng.normal(size=40)])
        model = TMethodRegressor().fit(X, y, (row < 3) | (row >= 30))
        assert (model.beta_[0], model.eta_[0], model.coef_[0]) == (0, 0, 0)

    @pytest.mark.parametrize("rule", RULES)
    def test_where_a_perfect_item_is_missing_the_other_one_makes_the_estimate(self, rule):
        _, y, _ = noisy(0)
        other = y + 0.1 * np.random.default_rng(1).normal(size=30)
        model = TMethodRegressor(rule).fit(np.column_stack([2 * y, other]), y)
        for form in (np.asarray, sparse.csr_array):
            assert model.predict(form([[np.nan, 1.5]]))[0] == pytest.approx(1.5, abs=0.2)

    @settings(max_examples=40)
    @given(seed=seeds, option=diagonal_options, share=st.floats(0, 1), p=st.integers(1, 6))
    def test_predictions_are_never_missing(self, seed, option, share, p):
        X, y, _ = noisy(seed, p=p)
        assert_finite(np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X), y, option)

    @pytest.mark.parametrize("step", ["fit", "predict", "partial_fit"])
    def test_the_full_covariance_refuses_them_with_scikit_learns_message(self, step):
        X, y, _ = noisy(2)
        model = TMethodRegressor(covariance="full").fit(X, y)
        arguments = (with_gaps(X, 2),) if step == "predict" else (with_gaps(X, 2), y)
        with pytest.raises(ValueError, match=r"Input X contains NaN\.\nTMethodRegressor does not accept missing"):
            getattr(model, step)(*arguments)


class TestSeveralTargets:
    def test_their_moments_can_be_fitted_again(self):
        X, y, _ = noisy(0)
        model = TMethodRegressor().fit(X, np.column_stack([y, -y]))
        again = TMethodRegressor().fit_moments(model.moments_)
        np.testing.assert_allclose(again.predict(X), model.predict(X))

    def test_moments_take_one_at_a_time(self):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match="1d array"):
            t_moments(X, np.column_stack([y, y]))

    @settings(max_examples=30)
    @given(
        seed=seeds,
        option=options,
        masked=st.booleans(),
        weighted=st.booleans(),
        kind=st.sampled_from(["plain", "gaps", "sparse"]),
    )
    def test_each_is_fitted_alone(self, seed, option, masked, weighted, kind):
        rng = np.random.default_rng(seed + 1)
        X, y, mask = noisy(seed)
        Y = np.column_stack([y, rng.normal(size=30) - 3 * y, np.tile(FIVE_STARS, 6)])
        weight = rng.integers(1, 3, size=30) if weighted else None
        if kind == "gaps" and option in DIAGONAL:
            X = with_gaps(X, seed)
        X = sparse.csr_array(with_zeros(X, seed, 0.3)) if kind == "sparse" else X
        model = TMethodRegressor(**option).fit(X, Y, mask if masked else None, weight)
        y_hat = model.predict(X)
        for k in range(3):
            alone = TMethodRegressor(**option).fit(X, Y[:, k], mask if masked else None, weight)
            close(y_hat[:, k], alone.predict(X), 1e-12)
            for name in (*LEARNED, "sn_ratio_", "target_range_"):
                np.testing.assert_array_equal(getattr(model, name)[k], getattr(alone, name))

    @pytest.mark.parametrize("n_targets", [1, 3])
    def test_shapes_are_those_documented(self, n_targets):
        X, y, _ = noisy(0)
        model = TMethodRegressor("low", recalibrate=True).fit(X, np.outer(y, np.arange(1, n_targets + 1)))
        for name in ("center_", "beta_", "eta_", "sn_ratio_", "coef_", "item_target_center_"):
            assert getattr(model, name).shape == (n_targets, 4)
        for name in ("target_range_", "recalibration_", "unit_space_interval_"):
            assert getattr(model, name).shape == (n_targets, 2)
        for name in ("target_center_", "shrinkage_"):
            assert getattr(model, name).shape == (n_targets,)
        assert len(model.moments_) == n_targets
        assert model.predict(X).shape == (30, n_targets)

    def test_one_target_has_no_axis_of_its_own(self):
        X, y, _ = noisy(0)
        model = TMethodRegressor("low", recalibrate=True).fit(X, y)
        for name in ("center_", "beta_", "eta_", "sn_ratio_", "coef_", "item_target_center_"):
            assert getattr(model, name).shape == (4,)
        for name in ("target_range_", "recalibration_", "unit_space_interval_"):
            assert getattr(model, name).shape == (2,)
        assert isinstance(model.target_center_, float)
        assert isinstance(model.shrinkage_, float)
        assert model.predict(X).shape == (30,)

    def test_a_constant_one_is_an_error(self):
        X, y, _ = noisy(1)
        with pytest.raises(ValueError, match=r"The target y is constant \(2\)"):
            TMethodRegressor().fit(X, np.column_stack([y, np.full(30, 2.0)]))
