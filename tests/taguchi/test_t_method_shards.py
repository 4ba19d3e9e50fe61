"""Sample weights, batches and shards."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError
from t_data import (
    DIAGONAL,
    FIVE_STARS,
    OPTIONS,
    agree,
    noisy,
    options,
    seeds,
    with_gaps,
    with_zeros,
)

from pipeline.taguchi import TMethodRegressor, t_moments


class TestWeights:
    @settings(max_examples=40)
    @given(seed=seeds, option=options, masked=st.booleans(), gaps=st.booleans())
    def test_a_weight_is_that_many_rows(self, seed, option, masked, gaps):
        X, y, mask = noisy(seed, n=40)
        X = with_gaps(X, seed) if gaps and option in DIAGONAL else X
        times = np.random.default_rng(seed).integers(0, 4, size=len(y))
        assume(times[mask].any())
        rows = np.repeat(np.arange(len(y)), times)
        a = TMethodRegressor(**option).fit(X, y, mask if masked else None, sample_weight=times)
        b = TMethodRegressor(**option).fit(X[rows], y[rows], mask[rows] if masked else None)
        agree(a, b, X)

    @settings(max_examples=20)
    @given(seed=seeds, option=options)
    def test_a_weight_is_that_many_rows_of_a_sparse_matrix(self, seed, option):
        X, y, mask = noisy(seed)
        X = with_zeros(X, seed, 0.3)
        times = np.random.default_rng(seed).integers(0, 3, size=len(y))
        assume(times[mask].any())
        rows = np.repeat(np.arange(len(y)), times)
        a = TMethodRegressor(**option).fit(sparse.csr_array(X), y, mask, times)
        b = TMethodRegressor(**option).fit(sparse.csc_array(X[rows]), y[rows], mask[rows])
        agree(a, b, X)

    @settings(max_examples=20)
    @given(seed=seeds, option=options)
    def test_weights_of_one_are_none(self, seed, option):
        X, y, _ = noisy(seed)
        a, b = TMethodRegressor(**option).fit(X, y), TMethodRegressor(**option).fit(X, y, sample_weight=np.ones(30))
        agree(a, b, X, 1e-12)

    def test_rows_of_weight_zero_do_not_place_the_unit_space(self):
        X, y, _ = noisy(1)
        wider = np.append(y, 100.0), np.append(np.ones(30), 0)
        a = TMethodRegressor().fit(np.vstack([X, X[0]]), wider[0], sample_weight=wider[1])
        agree(a, TMethodRegressor().fit(X, y), X, 1e-12)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("outlier", [1e8, 1e9, 1e15, 1e200])
    def test_an_outlier_of_weight_zero_does_not_count(self, outlier, option):
        X, y, mask = noisy(0, n=100)
        rest, weight = X[1:], 1.0 * (np.arange(100) > 0)
        expected = TMethodRegressor(**option).fit(rest, y[1:], mask[1:])
        X[0] = outlier
        for form in (np.asarray, sparse.csr_array, sparse.csc_array):
            agree(TMethodRegressor(**option).fit(form(X), y, mask, weight), expected, rest)
        y[0] = outlier
        agree(TMethodRegressor(**option).fit(X, y, mask, weight), expected, rest)

    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array])
    def test_a_target_outlier_of_weight_zero_does_not_count_beside_sparse_items(self, form):
        X, y, mask = noisy(0)
        expected = TMethodRegressor().fit(X[1:], y[1:], mask[1:])
        y[0] = 1e200
        model = TMethodRegressor().fit(form(X), y, mask, 1.0 * (np.arange(30) > 0))
        np.testing.assert_allclose(model.coef_, expected.coef_)

    @pytest.mark.parametrize(("p", "gaps"), [(4, True), (70, False)])
    def test_an_outlier_of_weight_zero_does_not_count_in_the_recalibration(self, p, gaps):
        X, y, _ = noisy(0, p=p)
        X = with_gaps(X, 0) if gaps else X
        expected = TMethodRegressor("all", recalibrate=True).fit(X[1:], y[1:])
        X[0] = 1e200
        model = TMethodRegressor("all", recalibrate=True).fit(X, y, sample_weight=1.0 * (np.arange(30) > 0))
        np.testing.assert_allclose(model.recalibration_, expected.recalibration_)

    def test_many_first_rows_of_weight_zero_do_not_count(self):
        X, y, _ = noisy(0, n=20_000)
        weight = 1.0 * (np.arange(20_000) >= 9000)
        a, b = TMethodRegressor("all").fit(X, y, sample_weight=weight), TMethodRegressor("all").fit(X[9000:], y[9000:])
        agree(a, b, X)


class TestShards:
    @settings(max_examples=40)
    @given(seed=seeds, option=options, masked=st.booleans(), weighted=st.booleans(), cuts=st.integers(1, 6))
    def test_batches_equal_one_fit(self, seed, option, masked, weighted, cuts):
        rng = np.random.default_rng(seed)
        X, y, mask = noisy(seed)
        option = option if masked else option | {"unit_space": "all"}
        weight = rng.integers(1, 4, size=len(y)) if weighted else np.ones(len(y))
        model = TMethodRegressor(**option)
        batches = [rows for rows in np.split(np.arange(30), np.sort(rng.integers(1, 30, size=cuts))) if len(rows)]
        for rows in batches:
            model.partial_fit(X[rows], y[rows], mask[rows] if masked else None, weight[rows])
        agree(model, TMethodRegressor(**option).fit(X, y, mask if masked else None, weight), X)

    @settings(max_examples=20)
    @given(seed=seeds, several=st.booleans(), form=st.sampled_from([np.asarray, sparse.csr_array, sparse.csc_array]))
    def test_batches_with_gaps_several_targets_and_sparse_items(self, seed, several, form):
        X, y, mask = noisy(seed)
        X = with_gaps(with_zeros(X, seed, 0.3), seed)
        y = np.column_stack([y, np.random.default_rng(seed + 1).normal(size=30) - y]) if several else y
        model = TMethodRegressor()
        for rows in (slice(0, 4), slice(4, 19), slice(19, 30)):
            model.partial_fit(form(X[rows]), y[rows], mask[rows])
        agree(model, TMethodRegressor().fit(X, y, mask), X)

    @settings(max_examples=20)
    @given(seed=seeds, option=options, weighted=st.booleans())
    def test_moments_of_shards_equal_one_fit(self, seed, option, weighted):
        rng = np.random.default_rng(seed)
        X, y, mask = noisy(seed)
        weight = rng.integers(1, 4, size=len(y)) if weighted else np.ones(len(y))
        shards = [
            t_moments(X[rows], y[rows], mask[rows], weight[rows], gram=True)
            for rows in np.array_split(rng.permutation(30), 4)
        ]
        expected = TMethodRegressor(**option).fit(X, y, mask, weight)
        for total in (sum(shards), shards[0] + shards[1] + shards[2] + shards[3], sum(shards[::-1])):
            agree(TMethodRegressor(**option).fit_moments(total), expected, X)

    def test_the_moments_of_a_fit_can_be_fitted_again(self):
        X, y, mask = noisy(2)
        model = TMethodRegressor().fit(X, y, mask)
        other = TMethodRegressor(subtract_error=False).fit_moments(model.moments_)
        agree(other, TMethodRegressor(subtract_error=False).fit(X, y, mask), X)

    def test_the_first_batch_places_the_unit_space(self):
        X, y, _ = noisy(3, n=40)
        y[:20], y[20:] = np.tile(FIVE_STARS, 4), np.tile([-3.0, 3, 3.3, 11], 5)
        model = TMethodRegressor("middle").partial_fit(X[:20], y[:20])
        np.testing.assert_allclose(model.unit_space_interval_, [2.6, 3.4])
        model.partial_fit(X[20:], y[20:])
        np.testing.assert_allclose(model.unit_space_interval_, [2.6, 3.4])
        agree(model, TMethodRegressor().fit(X, y, (y >= 2.6) & (y <= 3.4)), X)

    def test_fit_forgets_the_batches_before(self):
        X, y, mask = noisy(4)
        model = TMethodRegressor().partial_fit(X * 7, y + 9).partial_fit(X + 3, y)
        agree(model.fit(X, y), TMethodRegressor().fit(X, y), X, 1e-15)
        agree(model.fit_moments(t_moments(X, y, mask)), TMethodRegressor().fit(X, y, mask), X, 1e-15)

    def test_a_fit_on_moments_forgets_the_names_of_items(self):
        X, y, mask = noisy(4)
        model = TMethodRegressor().fit(pd.DataFrame(X, columns=list("abcd")), y)
        model.fit_moments(t_moments(X[:, :3], y, mask))
        assert not hasattr(model, "feature_names_in_")
        agree(model, TMethodRegressor().fit(X[:, :3], y, mask), X[:, :3])

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_array])
    def test_batches_go_on_from_a_fit(self, form, option):
        X, y, mask = noisy(5)
        X = with_zeros(X, 5, 0.3)
        model = TMethodRegressor(**option).fit(form(X[:20]), y[:20], mask[:20])
        model.partial_fit(form(X[20:]), y[20:], mask[20:])
        agree(model, TMethodRegressor(**option).fit(X, y, mask), X)

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_recalibration_goes_on_from_a_fit_for_up_to_64_items(self, form):
        X, y, mask = noisy(6, p=65)
        model = TMethodRegressor(recalibrate=True).fit(form(X[:20, 1:]), y[:20], mask[:20])
        model.partial_fit(form(X[20:, 1:]), y[20:], mask[20:])
        agree(model, TMethodRegressor(recalibrate=True).fit(X[:, 1:], y, mask), X[:, 1:])
        model.fit(form(X), y, mask)
        with pytest.raises(ValueError, match="did not keep: begin with partial_fit"):
            model.partial_fit(form(X), y, mask)

    def test_recalibration_of_many_items_takes_batches_from_the_start(self):
        X, y, mask = noisy(6, p=65)
        model = TMethodRegressor(recalibrate=True)
        for rows in (slice(0, 20), slice(20, 30)):
            model.partial_fit(X[rows], y[rows], mask[rows])
        agree(model, TMethodRegressor(recalibrate=True).fit(X, y, mask), X)

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_recalibration_does_not_go_on_from_a_fit_with_missing_values(self, form):
        X, y, mask = noisy(7)
        model = TMethodRegressor(recalibrate=True).fit(form(with_gaps(X, 7)), y, mask)
        with pytest.raises(ValueError, match="did not keep: begin with partial_fit"):
            model.partial_fit(form(X), y, mask)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            TMethodRegressor(recalibrate=True).partial_fit(form(with_gaps(X, 7)), y, mask)

    def test_recalibration_does_not_go_on_from_a_fit_without_it(self):
        X, y, mask = noisy(8)
        model = TMethodRegressor().fit(X, y, mask).set_params(recalibrate=True)
        with pytest.raises(ValueError, match="begin with partial_fit"):
            model.partial_fit(X, y, mask)

    def test_until_the_rows_suffice_nothing_is_predicted(self):
        X, y, _ = noisy(6)
        model = TMethodRegressor()
        for rows, inside in ((slice(0, 1), True), (slice(1, 5), True), (slice(5, 6), False)):
            model.partial_fit(X[rows], y[rows], np.full(len(y[rows]), inside))
            if inside and rows.stop == 1:
                with pytest.raises(NotFittedError, match="not fitted yet"):
                    model.predict(X)
        with pytest.raises(NotFittedError):
            TMethodRegressor().partial_fit(X[:5], y[:5], np.zeros(5, dtype=bool)).predict(X)
        model.partial_fit(X[6:9], y[6:9], np.zeros(3, dtype=bool))
        agree(model, TMethodRegressor().fit(X[:9], y[:9], np.arange(9) < 5), X)

    def test_another_number_of_items_or_targets(self):
        X, y, mask = noisy(7)
        with pytest.raises(ValueError, match="X has 3 features, but TMethodRegressor is expecting 4"):
            TMethodRegressor().partial_fit(X, y).partial_fit(X[:, :3], y)
        for inside in (mask, None):
            with pytest.raises(ValueError, match="y has 2 targets, but there were 1 before"):
                TMethodRegressor().partial_fit(X, y, inside).partial_fit(X, np.column_stack([y, y]), inside)

    def test_moments_without_products_are_refused_where_they_are_needed(self):
        X, y, mask = noisy(8)
        for option in ({"covariance": "full"}, {"recalibrate": True}):
            with pytest.raises(ValueError, match="need moments that were made with gram=True"):
                TMethodRegressor(**option).fit_moments(t_moments(X, y, mask))

    def test_moments_that_do_not_suffice(self):
        X, y, _ = noisy(9)
        with pytest.raises(ValueError, match="The unit space is empty"):
            TMethodRegressor().fit_moments(t_moments(X, y, np.zeros(30, dtype=bool)))
        with pytest.raises(ValueError, match="needs 2 or more signal rows outside the unit space, got 1"):
            TMethodRegressor().fit_moments(t_moments(X, y, np.arange(30) > 0))


class TestWhatAFailureLeaves:
    def test_the_unit_space_of_a_batch_that_failed_is_forgotten(self):
        X, y, _ = noisy(0)
        wrong = X.copy()
        wrong[0, 0] = np.inf
        model = TMethodRegressor()
        with pytest.raises(ValueError, match="infinity"):
            model.partial_fit(wrong, 100 * y)
        np.testing.assert_array_equal(
            model.partial_fit(X, y).unit_space_interval_, TMethodRegressor().fit(X, y).unit_space_interval_
        )

    def test_nothing_of_an_earlier_fit_is_left_after_one_that_failed(self):
        X, y, mask = noisy(0)
        model = TMethodRegressor().fit(X, y)
        with pytest.raises(ValueError, match="constant"):
            model.fit(X[:, :2], np.ones(len(y)))
        model.partial_fit(X[mask][:, :2], y[mask], mask[mask])
        with pytest.raises(NotFittedError):
            model.predict(X[:, :2])

    def test_the_rows_of_the_unit_space_alone_predict_nothing_yet(self):
        X, y, mask = noisy(1)
        model = TMethodRegressor().partial_fit(X[mask], y[mask], mask[mask])
        with pytest.raises(NotFittedError):
            model.predict(X)
        model.partial_fit(X[~mask], y[~mask], mask[~mask])
        np.testing.assert_allclose(model.coef_, TMethodRegressor().fit(X, y, mask).coef_)
        assert TMethodRegressor("all").partial_fit(X[mask], y[mask], mask[mask]).predict(X).shape == (30,)
