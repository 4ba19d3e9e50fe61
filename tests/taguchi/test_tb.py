import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import FIVE_STARS, SEEDS, close, noisy, reference_cases, same, with_gaps

from pipeline.taguchi import TbRegressor, sensitivity_and_sn_ratio, sn_ratio

seeds = st.integers(0, SEEDS)


def sn_ratios_of_all_origins(x, y, weight, subtract=True):
    """The definition: for one item, beta and eta with each row as the origin; eta is 0 where there is no signal."""
    there = ~np.isnan(x) & (weight > 0)
    beta, eta = np.zeros(len(x)), np.zeros(len(x))
    for i in np.flatnonzero(there):
        M, X, w = y[there] - y[i], x[there] - x[i], weight[there]
        n, r, L, S_T = w.sum(), w @ M**2, w @ (M * X), w @ X**2
        S_beta = L**2 / r
        V_e = (S_T - S_beta) / (n - 1)
        beta[i] = L / r
        eta[i] = max((S_beta - subtract * V_e) / (r * V_e), 0)
    return beta, eta


def by_the_loop(X, y, weight, subtract):
    """Origin, beta and eta of each item by as many fits as there are rows; origins with the subtraction always."""
    result = []
    for x in X.T:
        beta, eta = sn_ratios_of_all_origins(x, y, weight)
        i = int(np.argmax(eta >= eta.max() * (1 - 1e-10)))
        result.append((i, beta[i], eta[i], sn_ratios_of_all_origins(x, y, weight, subtract)[1][i]))
    return [np.array(values) for values in zip(*result, strict=True)]


def predicted_by_the_loop(X, y, weight, subtract, new):
    """Average of the single estimates that there are, moved as far as M_0 is from the average of the origins."""
    origin, beta, subtracted, eta = by_the_loop(X, y, weight, subtract)
    m = y[origin]
    M_0 = m @ subtracted / subtracted.sum()
    single = m + (new - X[origin, np.arange(X.shape[1])]) / beta
    moved = M_0 - m @ eta / eta.sum()
    return np.array(
        [M_0 if np.isnan(s).all() else np.average(s[~np.isnan(s)], weights=eta[~np.isnan(s)]) + moved for s in single]
    )


class TestReference:
    @pytest.mark.parametrize("case", reference_cases())
    def test_every_reference_case_agrees_with_mtsys(self, case):
        X, y, expected = case.X, case.y, case.values["Tb"]
        train, test = case.rows("train_rows_Ta_Tb"), case.rows("test_rows")
        model = TbRegressor(subtract_error=case.values["subtracts_V_e"]).fit(X[train], y[train])
        assert model.origin_.tolist() == [i - 1 for i in expected["center_train_index"]]
        same(model.center_, expected["center_X"])
        same(model.item_target_center_, expected["center_y"])
        same(model.target_center_, expected["M_0"])
        same(model.beta_, expected["beta_hat"])
        same(model.eta_, expected["eta_hat"])
        same(model.sn_ratio_, 10 * np.log10(expected["eta_hat"]))
        same(model.predict(X[train]) - model.target_center_, expected["M_hat_train"])
        same(model.predict(X[test]), expected["y_hat_test"])
        # MTSYS leaves out the subtraction in the overall S/N ratio, too.
        M, M_hat = y[train] - model.target_center_, model.predict(X[train]) - model.target_center_
        overall = sensitivity_and_sn_ratio(M @ M, M @ M_hat, M_hat @ M_hat, len(M), model.subtract_error)
        same(10 * np.log10(overall.eta), expected["overall_eta_db"])
        if model.subtract_error:
            overall_db = sn_ratio(y[train], model.predict(X[train]), center=model.target_center_)
            same(overall_db, expected["overall_eta_db"])


class TestDefinition:
    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(6, 40), p=st.integers(1, 6), subtract=st.booleans(), weighted=st.booleans())
    def test_it_is_the_best_of_as_many_fits_as_there_are_rows(self, seed, n, p, subtract, weighted):
        X, y, _ = noisy(seed, n, p)
        weight = np.random.default_rng(seed).integers(0, 4, size=n) + 0.5 * weighted
        weight[:3] = 1
        model = TbRegressor(subtract).fit(X, y, sample_weight=weight)
        origin, beta, subtracted, eta = by_the_loop(X, y, weight, subtract)
        signal = subtracted > 0
        np.testing.assert_array_equal(model.origin_, np.where(signal, origin, -1))
        same(model.beta_[signal], beta[signal], 1e-7)
        same(model.eta_[signal], eta[signal], 1e-7)
        if signal.all():
            new = np.random.default_rng(seed).normal(size=(5, p))
            close(model.predict(new), predicted_by_the_loop(X, y, weight, subtract, new), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, subtract=st.booleans())
    def test_missing_values_drop_an_item_from_its_rows(self, seed, subtract):
        X, y, _ = noisy(seed)
        X, weight = with_gaps(X, seed), np.random.default_rng(seed).integers(1, 3, size=30)
        model = TbRegressor(subtract).fit(X, y, sample_weight=weight)
        origin, beta, _, eta = by_the_loop(X, y, weight, subtract)
        np.testing.assert_array_equal(model.origin_, origin)
        same(model.beta_, beta, 1e-7)
        same(model.eta_, eta, 1e-7)
        assert not np.isnan(model.center_).any()
        close(model.predict(X), predicted_by_the_loop(X, y, weight, subtract, X), 1e-7)

    @settings(max_examples=40)
    @given(seed=seeds, levels=st.integers(2, 6))
    def test_of_equally_good_origins_the_first_is_taken(self, seed, levels):
        # Whole numbers have many ties; fractions know them exactly.
        rng = np.random.default_rng(seed)
        y = rng.integers(0, levels, size=14)
        y[:2] = 0, 1
        X = rng.integers(0, levels, size=(14, 3)) + np.outer(y, [1, -1, 2])
        model = TbRegressor().fit(X, y)
        for j, x in enumerate(X.T):
            etas = [exact_sn_ratio(x, y, i) for i in range(14)]
            best = max(etas)
            if best == np.inf:
                assert 1e12 < model.eta_[j] < np.inf
                continue
            assert model.origin_[j] == (etas.index(best) if best > 0 else -1)
            assert model.eta_[j] == pytest.approx(max(float(best), 0), rel=1e-9)

    def test_whole_numbers_are_not_truncated(self):
        X, y = np.array([[1, 9], [2, 3], [4, 7], [3, 1]]), np.array([10, 20, 37, 33])
        a, b = TbRegressor().fit(X, y), TbRegressor().fit(X.astype(float), y.astype(float))
        np.testing.assert_array_equal(a.predict(X), b.predict(X.astype(float)))
        assert a.predict(X).dtype == np.float64

    @settings(max_examples=20)
    @given(seed=seeds, subtract=st.booleans())
    def test_a_weight_is_that_many_rows(self, seed, subtract):
        X, y, _ = noisy(seed)
        X, times = with_gaps(X, seed), np.random.default_rng(seed).integers(0, 4, size=30)
        times[:3] = 1
        rows = np.repeat(np.arange(30), times)
        a, b = TbRegressor(subtract).fit(X, y, times), TbRegressor(subtract).fit(X[rows], y[rows])
        np.testing.assert_array_equal(a.origin_, rows[b.origin_])
        for name in ("center_", "target_center_", "item_target_center_", "beta_", "eta_", "coef_"):
            close(getattr(a, name), getattr(b, name))
        close(a.predict(X), b.predict(X))

    @pytest.mark.parametrize("outlier", [1e8, 1e9, 1e15, 1e200])
    def test_an_outlier_of_weight_zero_does_not_count(self, outlier):
        X, y, _ = noisy(0, n=100)
        weight = np.ones(100)
        X[0], weight[0] = outlier, 0
        a, b = TbRegressor().fit(X, y, weight), TbRegressor().fit(X[1:], y[1:])
        np.testing.assert_array_equal(a.origin_, b.origin_ + 1)
        np.testing.assert_allclose(a.eta_, b.eta_, rtol=1e-9)
        np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-9)

    def test_many_rows_in_blocks_agree_with_few(self, monkeypatch):
        X, y, _ = noisy(1, n=100)
        expected = TbRegressor().fit(X, y)
        monkeypatch.setattr("pipeline.taguchi.base._BLOCK_BYTES", 8 * 4 * 7)
        model = TbRegressor().fit(X, y)
        np.testing.assert_array_equal(model.origin_, expected.origin_)
        np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-12)


def exact_sn_ratio(x, y, i):
    M, X = ([Fraction(int(value - values[i])) for value in values] for values in (y, x))
    r, L, S_T = sum(m * m for m in M), sum(m * a for m, a in zip(M, X, strict=True)), sum(a * a for a in X)
    V_e = (S_T - L * L / r) / (len(M) - 1)
    return (L * L / r - V_e) / (r * V_e) if V_e else np.inf


class TestProperties:
    @settings(max_examples=40)
    @given(
        seed=seeds,
        subtract=st.booleans(),
        gaps=st.booleans(),
        exponents=st.lists(st.floats(-9, 9), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
    )
    def test_predictions_are_invariant_to_shift_scale_and_sign_of_each_item(
        self, seed, subtract, gaps, exponents, signs, shifts
    ):
        X, y, _ = noisy(seed)
        X = with_gaps(X, seed) if gaps else X
        scale = signs * 10.0 ** np.array(exponents)
        changed = scale * (X + shifts)
        a, b = (TbRegressor(subtract).fit(items, y) for items in (X, changed))
        np.testing.assert_array_equal(a.origin_, b.origin_)
        np.testing.assert_allclose(b.predict(changed), a.predict(X), rtol=0, atol=1e-8)

    @settings(max_examples=20)
    @given(seed=seeds, exponent=st.floats(-9, 9), shift=st.floats(-1000, 1000))
    def test_predictions_follow_the_unit_and_the_zero_of_the_target(self, seed, exponent, shift):
        X, y, _ = noisy(seed)
        scale = 10.0**exponent
        a, b = TbRegressor().fit(X, y), TbRegressor().fit(X, scale * (y + shift))
        np.testing.assert_array_equal(a.origin_, b.origin_)
        np.testing.assert_allclose(b.predict(X) / scale - shift, a.predict(X), rtol=0, atol=1e-8)

    @settings(max_examples=20)
    @given(seed=seeds, order=st.permutations(range(30)))
    def test_order_of_the_rows_changes_nothing(self, seed, order):
        X, y, _ = noisy(seed)
        order = np.array(order)
        a, b = TbRegressor().fit(X, y), TbRegressor().fit(X[order], y[order])
        np.testing.assert_array_equal(a.origin_, order[b.origin_])
        close(a.predict(X), b.predict(X))

    @settings(max_examples=30)
    @given(
        X=arrays(float, (10, 3), elements=st.floats(-1, 1)),
        constant=st.floats(-1e9, 1e9),
        slope=st.floats(1e-6, 1e6),
        exponents=st.lists(st.sampled_from([-170, -150, -9, 0, 9, 150]), min_size=3, max_size=3),
        subtract=st.booleans(),
        share=st.sampled_from([0, 0.1, 0.5, 1]),
    )
    def test_degenerate_items_never_give_nan_or_inf(self, X, constant, slope, exponents, subtract, share):
        y = np.tile(FIVE_STARS, 2)
        X = X * 10.0 ** np.array(exponents)
        perfect = slope * y + constant
        X = np.column_stack([X, X[:, 0], -2 * X[:, 0], np.full(10, constant), np.zeros(10), perfect, 3 * perfect])
        X[np.random.default_rng(0).random(X.shape) < share] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = TbRegressor(subtract).fit(X, y)
            predictions = model.predict(X)
        for values in (model.center_, model.beta_, model.eta_, model.coef_, predictions):
            assert np.isfinite(values).all()
        assert not np.isnan(model.sn_ratio_).any()

    @pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e9 + 0.1, 1e-300, np.nan])
    def test_a_constant_item_has_weight_exactly_zero(self, value):
        y = np.tile(FIVE_STARS, 3)
        model = TbRegressor().fit(np.column_stack([np.full(15, value), np.arange(15) ** 2]), y)
        assert (model.origin_[0], model.eta_[0], model.coef_[0], model.sn_ratio_[0]) == (-1, 0, 0, -np.inf)

    def test_an_item_that_varies_by_rounding_only_has_weight_exactly_zero(self):
        rounded = np.where(FIVE_STARS > 3, 0.1 + 0.2, 0.3)
        assert len(set(rounded)) == 2
        X = np.tile(np.column_stack([rounded, FIVE_STARS]), (3, 1))
        model = TbRegressor().fit(X, X[:, 1])
        assert (model.origin_[0], model.coef_[0]) == (-1, 0)

    @settings(max_examples=60)
    @given(seed=seeds)
    def test_an_item_that_is_there_at_one_target_only_has_weight_exactly_zero(self, seed):
        rng = np.random.default_rng(seed)
        y = rng.integers(1, 6, size=60).astype(float)
        items = y[:, None] + rng.normal(size=(60, 2))
        items[y != 5, 0] = np.nan
        model = TbRegressor().fit(items, y)
        assert (model.origin_[0], model.eta_[0], model.coef_[0]) == (-1, 0, 0)
        assert model.eta_[1] > 0

    def test_where_a_perfect_item_is_missing_the_other_one_makes_the_estimate(self):
        _, y, _ = noisy(0)
        other = y + 0.1 * np.random.default_rng(1).normal(size=30)
        model = TbRegressor().fit(np.column_stack([2 * y, other]), y)
        assert model.predict([[np.nan, 1.5]])[0] == pytest.approx(1.5, abs=0.2)

    def test_where_no_item_carries_anything_the_mean_is_predicted(self):
        model = TbRegressor().fit(np.full((10, 2), 0.1), np.tile(FIVE_STARS, 2))
        assert model.target_center_ == 3
        assert model.predict([[7.0, -7.0], [0.1, np.nan]]).tolist() == [3, 3]


class TestErrors:
    def test_constant_target(self):
        with pytest.raises(
            ValueError, match=r"The target y is constant \(3\): a T-method needs at least two different"
        ):
            TbRegressor().fit(np.arange(10.0).reshape(5, 2), [3.0] * 5)
        with pytest.raises(ValueError, match=r"The target y is constant \(3\)"):
            TbRegressor().fit(np.arange(10.0).reshape(5, 2), [3, 3, 3, 3, 9], sample_weight=[1, 1, 1, 1, 0])

    @pytest.mark.filterwarnings("error")
    def test_values_that_are_not_numbers(self):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match="values whose squares overflow"):
            TbRegressor().fit(X * 1e200, y)
        with pytest.raises(ValueError, match="The target y holds values whose squares overflow: scale it down"):
            TbRegressor().fit(X, y * 1e200)
        X[2, 1] = np.inf
        with pytest.raises(ValueError, match="Input X contains infinity"):
            TbRegressor().fit(X, y)

    def test_weights_below_zero(self):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            TbRegressor().fit(X, y, sample_weight=np.arange(30) - 1)

    def test_parameters_out_of_range(self):
        with pytest.raises(ValueError, match="The 'subtract_error' parameter of TbRegressor must be"):
            TbRegressor(subtract_error="yes").fit([[1.0], [2]], [1, 2])


class TestScikitLearn:
    @parametrize_with_checks([TbRegressor(), TbRegressor(subtract_error=False)])
    def test_contract(self, estimator, check):
        check(estimator)

    @settings(max_examples=20)
    @given(seed=seeds, weighted=st.booleans(), gaps=st.booleans())
    def test_each_of_several_targets_is_fitted_alone(self, seed, weighted, gaps):
        X, y, _ = noisy(seed)
        X = with_gaps(X, seed) if gaps else X
        Y = np.column_stack([y, np.random.default_rng(seed + 1).normal(size=30) - 3 * y])
        weight = np.arange(1.0, 31) if weighted else None
        model = TbRegressor().fit(X, Y, weight)
        for k in range(2):
            alone = TbRegressor().fit(X, Y[:, k], weight)
            close(model.predict(X)[:, k], alone.predict(X), 1e-12)
            for name in ("origin_", "center_", "target_center_", "item_target_center_", "beta_", "eta_", "coef_"):
                np.testing.assert_array_equal(getattr(model, name)[k], getattr(alone, name))

    @pytest.mark.parametrize("n_targets", [1, 3])
    def test_shapes_are_those_documented(self, n_targets):
        X, y, _ = noisy(0)
        model = TbRegressor().fit(X, np.outer(y, np.arange(1, n_targets + 1)))
        for name in ("origin_", "center_", "beta_", "eta_", "sn_ratio_", "coef_", "item_target_center_"):
            assert getattr(model, name).shape == (n_targets, 4)
        assert model.target_center_.shape == (n_targets,)
        assert model.predict(X).shape == (30, n_targets)
        assert np.issubdtype(model.origin_.dtype, np.integer)

    def test_float32_items_give_what_their_float64_copies_give(self):
        X, y, _ = noisy(1)
        X = X.astype(np.float32)
        a, b = TbRegressor().fit(X, y), TbRegressor().fit(X.astype(np.float64), y)
        assert a.predict(X).dtype == a.coef_.dtype == np.float32
        np.testing.assert_array_equal(a.origin_, b.origin_)
        np.testing.assert_allclose(a.predict(X), b.predict(X.astype(np.float64)), atol=1e-5)

    def test_pickle_and_clone(self):
        X, y, _ = noisy(2)
        model = TbRegressor(subtract_error=False).fit(X, y)
        assert clone(model).get_params() == {"subtract_error": False, "limit_items": False, "interval": None}
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
