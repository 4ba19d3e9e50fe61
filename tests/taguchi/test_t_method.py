"""T(1), T(2) and Ta: reference values of MTSYS, the rules of the unit space, and invariances."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import r2_score
from t_data import (
    FIVE_STARS,
    OPTIONS,
    RULES,
    assert_finite,
    close,
    noisy,
    options,
    reference_cases,
    same,
    seeds,
)

from pipeline.taguchi import TMethodRegressor, sensitivity_and_sn_ratio, sn_ratio, t_moments

# R's data set `stackloss` (K. A. Brownlee, "Statistical Theory and Methodology in Science and Engineering", 1965):
# air flow, water temperature, acid concentration, stack loss. The expected values are those of the R package
# MTSYS 1.2.0, functions T1 and Ta, in the split of its documentation.
STACKLOSS = np.array(
    [
        [80, 27, 89, 42], [80, 27, 88, 37], [75, 25, 90, 37], [62, 24, 87, 28], [62, 22, 87, 18], [62, 23, 87, 18],
        [62, 24, 93, 19], [62, 24, 93, 20], [58, 23, 87, 15], [58, 18, 80, 14], [58, 18, 89, 14], [58, 17, 88, 13],
        [58, 18, 82, 11], [58, 19, 93, 12], [50, 18, 89, 8], [50, 18, 86, 7], [50, 19, 72, 8], [50, 19, 79, 8],
        [50, 20, 80, 9], [56, 20, 82, 15], [70, 20, 91, 15],
    ]
)  # fmt: skip
UNIT_ROWS, TEST_ROWS = np.array([9, 10, 11, 20, 21]) - 1, np.array([2, 12, 19]) - 1
TRAIN_ROWS = np.setdiff1d(np.arange(21), TEST_ROWS)
STACKLOSS_EXPECTED = {
    "T1": {
        "beta": [0.718741967894946, 0.2770287636983901, 0.2248054770194173],
        "eta": [0.03617076513258632, 0.03334640961517911, 0.0010883240945789205],
        "y_hat": [41.28104637193634, 8.551742560893976, 7.415636429178066],
        "sn_db": -9.80308447557156,
    },
    "Ta": {
        "beta": [0.7725514790425421, 0.26330093028117485, 0.22431274171631652],
        "eta": [0.04362343549850356, 0.03174929299639258, 0.0012812475279160693],
        "y_hat": [41.32554177654189, 9.388709023000423, 7.618633151464882],
        "sn_db": -11.104871956415433,
    },
}


class TestReference:
    @pytest.mark.parametrize("method", ["T1", "Ta"])
    def test_stackloss_agrees_with_mtsys(self, method):
        train, expected = STACKLOSS[TRAIN_ROWS], STACKLOSS_EXPECTED[method]
        X, y = train[:, :3], train[:, 3]
        unit = np.isin(TRAIN_ROWS, UNIT_ROWS)
        model = TMethodRegressor(unit_space="all").fit(X, y, unit_space_mask=unit if method == "T1" else None)
        signal = ~unit if method == "T1" else np.ones(len(y), dtype=bool)
        same(model.beta_, expected["beta"])
        same(model.eta_, expected["eta"])
        same(model.sn_ratio_, 10 * np.log10(expected["eta"]))
        same(model.predict(STACKLOSS[TEST_ROWS, :3]), expected["y_hat"])
        same(sn_ratio(y[signal], model.predict(X[signal]), center=model.target_center_), expected["sn_db"])

    @pytest.mark.parametrize("method", ["T1", "Ta"])
    @pytest.mark.parametrize("case", reference_cases())
    def test_every_reference_case_agrees_with_mtsys(self, case, method):
        X, y, expected = case.X, case.y, case.values[method]
        unit, signal, test = (case.rows(name) for name in ("unit_rows", "signal_rows", "test_rows"))
        model = TMethodRegressor(subtract_error=case.values["subtracts_V_e"])
        if method == "T1":
            rows = np.concatenate([unit, signal])
            model.fit(X[rows], y[rows], unit_space_mask=np.isin(rows, unit))
            same(model.center_, expected["unit_mean_X"])
            same(model.target_center_, expected["unit_mean_y"])
            M_hat = expected["M_hat_signal"]
        else:
            signal = case.rows("train_rows_Ta_Tb")
            model.set_params(unit_space="all").fit(X[signal], y[signal])
            same(model.center_, expected["mean_X"])
            same(model.target_center_, expected["mean_y"])
            M_hat = expected["M_hat_train"]
        same(model.beta_, expected["beta_hat"])
        same(model.eta_, expected["eta_hat"])
        same(model.predict(X[signal]) - model.target_center_, M_hat)
        same(model.predict(X[test]), expected["y_hat_test"])
        same(
            sn_ratio(y[signal], model.predict(X[signal]), center=model.target_center_),
            expected["overall"]["eta_db"],
        )

        sums = expected["intermediates"]
        for subtract, eta in ((True, "eta_T1"), (False, "eta_noVe")):
            result = sensitivity_and_sn_ratio(sums["r"][0], sums["L"], sums["S_T"], len(signal), subtract)
            same(result.beta, sums["beta"])
            same(result.eta, sums[eta])

    @pytest.mark.parametrize("case", reference_cases())
    def test_the_ratio_of_variations_is_the_sn_ratio_without_subtraction_in_another_unit(self, case):
        # S_beta / S_e = eta r / (n - 1) with eta = S_beta / (r V_e): the same weights, hence the same estimate.
        X, y, expected = case.X, case.y, case.values["T1_with_eta_T2"]
        unit, signal = case.rows("unit_rows"), case.rows("signal_rows")
        rows = np.concatenate([unit, signal])
        model = TMethodRegressor(subtract_error=False).fit(X[rows], y[rows], unit_space_mask=np.isin(rows, unit))
        M = y[signal] - model.target_center_
        same(model.eta_ * (M @ M) / (len(M) - 1), expected["eta"])
        same(model.predict(X[signal]) - model.target_center_, expected["M_hat_signal"])
        same(model.predict(X[case.rows("test_rows")]), expected["y_hat_test"])

    def test_the_rule_low_is_the_one_sided_reference_case(self):
        # y <= 7 + (42 - 7) / 10 picks the rows that T(2)'s reference takes as unit space: 15 to 18.
        train = STACKLOSS[TRAIN_ROWS]
        by_rule = TMethodRegressor(unit_space="low").fit(train[:, :3], train[:, 3])
        same(by_rule.center_, [50, 18.5, 81.5])
        same(by_rule.target_center_, 7.75)
        same(by_rule.eta_, [0.036623430426106524, 0.025718566926406058, 0.005038655495112069])


class TestProperties:
    @settings(max_examples=60)
    @given(
        seed=seeds,
        option=options,
        exponents=st.lists(st.floats(-9, 9), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
    )
    def test_predictions_are_invariant_to_shift_scale_and_sign_of_each_item(
        self, seed, option, exponents, signs, shifts
    ):
        X, y, _ = noisy(seed)
        scale = signs * 10.0 ** np.array(exponents)
        changed = scale * (X + shifts)
        a, b = (TMethodRegressor(**option).fit(items, y) for items in (X, changed))
        np.testing.assert_allclose(b.predict(changed), a.predict(X), rtol=0, atol=1e-8)
        np.testing.assert_allclose(b.eta_, a.eta_, rtol=0, atol=1e-8 * a.eta_.max())
        np.testing.assert_allclose(b.coef_ * scale, a.coef_, rtol=0, atol=1e-8)

    @settings(max_examples=40)
    @given(seed=seeds, option=options, exponent=st.floats(-9, 9), shift=st.floats(-1000, 1000))
    def test_predictions_follow_the_unit_and_the_zero_of_the_target(self, seed, option, exponent, shift):
        X, y, _ = noisy(seed)
        scale = 10.0**exponent
        a, b = TMethodRegressor(**option).fit(X, y), TMethodRegressor(**option).fit(X, scale * (y + shift))
        np.testing.assert_allclose(b.predict(X) / scale - shift, a.predict(X), rtol=0, atol=1e-8)

    @settings(max_examples=20)
    @given(seed=seeds, option=options)
    def test_a_turned_target_turns_the_prediction(self, seed, option):
        X, y, _ = noisy(seed)
        turned = {"low": "high", "high": "low"}
        other = option | {"unit_space": turned.get(option.get("unit_space"), option.get("unit_space", "middle"))}
        close(TMethodRegressor(**other).fit(X, -y).predict(X), -TMethodRegressor(**option).fit(X, y).predict(X))

    def test_perfect_items_keep_their_weights_when_their_unit_changes(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            y = rng.normal(size=20)
            X, scale = np.column_stack([2 * y + 1, 0.7 - 3.3 * y]), 10.0 ** rng.uniform(-6, 6, size=2)
            a, b = TMethodRegressor().fit(X, y), TMethodRegressor().fit(X * scale, y)
            np.testing.assert_allclose(b.coef_ * scale, a.coef_, rtol=1e-6)

    @settings(max_examples=40)
    @given(
        seed=seeds,
        n=st.integers(8, 60),
        p=st.integers(1, 80),
        subtract=st.booleans(),
        covariance=st.sampled_from(["diagonal", "full"]),
    )
    def test_slope_of_the_estimate_on_the_signal_is_one(self, seed, n, p, subtract, covariance):
        X, y, mask = noisy(seed, n, p)
        model = TMethodRegressor(covariance=covariance, subtract_error=subtract).fit(X, y, unit_space_mask=mask)
        assume(model.eta_.any())
        M, M_hat = y[~mask] - model.target_center_, model.predict(X[~mask]) - model.target_center_
        assert M @ M_hat / (M @ M) == pytest.approx(1, abs=1e-9)

    @settings(max_examples=40)
    @given(seed=seeds, n=st.integers(8, 60), p=st.integers(1, 80), covariance=st.sampled_from(["diagonal", "full"]))
    def test_r2_of_ta_in_its_own_data_is_two_minus_one_over_squared_correlation(self, seed, n, p, covariance):
        X, y, _ = noisy(seed, n, p)
        model = TMethodRegressor(unit_space="all", covariance=covariance).fit(X, y)
        assume(model.eta_.any())
        y_hat = model.predict(X)
        assert r2_score(y, y_hat) == pytest.approx(2 - 1 / np.corrcoef(y, y_hat)[0, 1] ** 2, rel=1e-9, abs=1e-9)

    @settings(max_examples=40)
    @given(seed=seeds, option=options, order=st.permutations(range(30)))
    def test_order_of_the_rows_changes_nothing(self, seed, option, order):
        X, y, mask = noisy(seed)
        order = np.array(order)
        new = np.random.default_rng(seed).normal(size=(5, 4))
        a, b = TMethodRegressor(**option).fit(X, y), TMethodRegressor(**option).fit(X[order], y[order])
        np.testing.assert_allclose(b.predict(new), a.predict(new), rtol=0, atol=1e-9)
        a.fit(X, y, unit_space_mask=mask)
        b.fit(X[order], y[order], unit_space_mask=mask[order])
        np.testing.assert_allclose(b.predict(new), a.predict(new), rtol=0, atol=1e-9)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @settings(max_examples=10)
    @given(
        X=arrays(float, (10, 3), elements=st.floats(-1e6, 1e6)),
        constant=st.floats(-1e9, 1e9),
        slope=st.floats(1e-6, 1e6),
        exponents=st.lists(st.sampled_from([-9, 0, 9, 150]), min_size=3, max_size=3),
    )
    def test_degenerate_items_never_give_nan_or_inf(self, option, X, constant, slope, exponents):
        y = np.tile(FIVE_STARS, 2)
        perfect = slope * y + constant
        X = X.round() / 1e6 * 10.0 ** np.array(exponents)
        X = np.column_stack([X, X[:, 0], -2 * X[:, 0], np.full(10, constant), np.zeros(10), perfect, 3 * perfect])
        assert_finite(X, y, option)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @settings(max_examples=6)
    @given(seed=seeds, n=st.integers(5, 12), p=st.integers(13, 60))
    def test_more_items_than_rows_never_give_nan_or_inf(self, option, seed, n, p):
        X, y, _ = noisy(seed, n, p)
        assert_finite(X, np.concatenate([FIVE_STARS, y[5:]]), option)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("power", [-290, -170, -160, -150, 150])
    def test_tiny_or_huge_values_never_give_nan_or_inf(self, power, option):
        X, y, _ = noisy(0)
        assert_finite(np.column_stack([X, X * 10.0**power, np.full(30, 10.0**power)]), y, option)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("scale", [1e-140, [1e-140, 1, 1e140, 1], 1e140], ids=str)
    def test_predictions_do_not_depend_on_tiny_or_huge_units(self, scale, option):
        X, y, _ = noisy(0)
        changed = X * scale
        a, b = (TMethodRegressor(**option).fit(items, y) for items in (X, changed))
        close(b.predict(changed), a.predict(X), 1e-8)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("scale", [1e25, 1e30])
    def test_large_float32_values_warn_of_nothing(self, scale):
        # Their squares overflow as float32; many rows are added up in several threads.
        X, y, _ = noisy(0, n=40_000)
        model = TMethodRegressor("all").fit((X * scale).astype(np.float32), y)
        np.testing.assert_allclose(model.coef_ * scale, TMethodRegressor("all").fit(X, y).coef_, rtol=1e-4)


class TestItemsThatCarryNothing:
    @pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e9 + 0.1, 1e-300])
    @pytest.mark.parametrize("rule", RULES)
    def test_a_constant_item_has_weight_exactly_zero(self, rule, value):
        X = np.column_stack([np.full(15, value), np.arange(15) ** 2])
        model = TMethodRegressor(rule).fit(X, np.tile(FIVE_STARS, 3))
        assert (model.beta_[0], model.eta_[0], model.coef_[0]) == (0, 0, 0)
        assert model.sn_ratio_[0] == -np.inf

    @pytest.mark.parametrize("rule", RULES)
    def test_the_mean_of_a_constant_item_is_exact_over_many_rows(self, rule):
        y = np.tile(FIVE_STARS, 20_000)
        model = TMethodRegressor(rule).fit(np.column_stack([np.full(len(y), 0.1), y]), y)
        assert model.center_[0] == 0.1
        assert model.coef_[0] == 0

    @pytest.mark.parametrize("rule", RULES)
    def test_an_item_that_varies_by_rounding_only_has_weight_exactly_zero(self, rule):
        rounded = np.where(FIVE_STARS > 3, 0.1 + 0.2, 0.3)
        assert len(set(rounded)) == 2
        X = np.tile(np.column_stack([rounded, FIVE_STARS]), (3, 1))
        assert TMethodRegressor(rule).fit(X, X[:, 1]).coef_[0] == 0

    def test_an_item_without_linear_relation_has_weight_exactly_zero(self):
        X = np.column_stack([(FIVE_STARS - 3) ** 2, FIVE_STARS])
        assert TMethodRegressor(unit_space="all").fit(X, FIVE_STARS).coef_[0] == 0

    def test_an_item_whose_noise_outweighs_its_signal_has_weight_exactly_zero(self):
        noise = np.array([9.0, -9, 0, -9, 9])
        X = np.column_stack([0.1 * FIVE_STARS + noise, FIVE_STARS])
        assert TMethodRegressor(unit_space="all").fit(X, FIVE_STARS).coef_[0] == 0
        assert TMethodRegressor(unit_space="all", subtract_error=False).fit(X, FIVE_STARS).coef_[0] != 0

    @pytest.mark.parametrize("rule", RULES)
    def test_where_no_item_carries_anything_the_unit_spaces_mean_is_predicted(self, rule):
        X = np.column_stack([np.full(10, 0.1), np.zeros(10)])
        model = TMethodRegressor(rule).fit(X, np.tile(FIVE_STARS, 2))
        expected = {"middle": 3, "median": 3, "low": 1, "high": 5, "all": 3}[rule]
        assert model.predict([[7.0, -7.0], [0.1, 0.0]]).tolist() == [expected, expected]

    def test_adding_an_item_that_carries_nothing_changes_no_prediction(self):
        X, y, mask = noisy(3)
        wider = np.column_stack([X, np.full(len(y), 0.1)])
        a, b = TMethodRegressor().fit(X, y, mask), TMethodRegressor().fit(wider, y, mask)
        np.testing.assert_allclose(b.predict(wider), a.predict(X), rtol=1e-12)


class TestUnitSpace:
    @pytest.mark.parametrize(
        ("rule", "inside"),
        [
            ("middle", [3]),
            ("median", [3]),
            ("low", [1]),
            ("high", [5]),
            ("all", [1, 2, 3, 4, 5]),
            ((2, 3), [2, 3]),
            ([3.0, 3.0], [3]),
            ((-np.inf, 2.5), [1, 2]),
        ],
    )
    def test_the_rule_picks_the_stars(self, rule, inside):
        y = np.tile(FIVE_STARS, 4)
        X = np.random.default_rng(0).normal(size=(20, 2))
        model = TMethodRegressor(rule).fit(X, y)
        np.testing.assert_allclose(model.center_, X[np.isin(y, inside)].mean(axis=0), atol=1e-12)
        assert model.target_center_ == np.mean(inside)
        assert model.n_unit_space_ == np.isin(y, inside).sum()

    def test_without_three_star_rows_the_nearest_stars_are_the_middle(self):
        y = np.array([1.0, 1, 2, 5, 5, 4])
        X = np.arange(12.0).reshape(6, 2) ** 2
        np.testing.assert_allclose(TMethodRegressor().fit(X, y).center_, X[[2, 5]].mean(axis=0))

    @pytest.mark.parametrize("scale", [0.1, 0.3, 1 / 3])
    @pytest.mark.parametrize("rule", RULES)
    def test_rounding_does_not_decide_which_rows_are_at_the_end_of_the_interval(self, rule, scale):
        # The reach of 1, a tenth of the range, ends at targets that there are.
        y = np.tile(np.arange(11.0), 3)
        X = np.random.default_rng(0).normal(size=(33, 2)) + y[:, None]
        a, b = TMethodRegressor(rule).fit(X, y), TMethodRegressor(rule).fit(X, scale * y)
        inside = {"middle": [4, 5, 6], "median": [4, 5, 6], "low": [0, 1], "high": [9, 10], "all": y}[rule]
        same(a.center_, X[np.isin(y, inside)].mean(axis=0))
        same(b.center_, a.center_)
        same(b.predict(X), scale * a.predict(X))

    @pytest.mark.parametrize("scale", [0.1, 0.7, 1 / 3, 1e-9, 1e9])
    @pytest.mark.parametrize("shift", [0.1, -7.7])
    def test_rounding_does_not_decide_which_rows_are_nearest_to_the_middle(self, scale, shift):
        y = np.array([1.0, 1, 2, 5, 5, 4])
        X = np.arange(12.0).reshape(6, 2) ** 2
        np.testing.assert_allclose(TMethodRegressor().fit(X, scale * (y + shift)).center_, X[[2, 5]].mean(axis=0))

    def test_with_one_and_five_star_rows_only_every_row_is_the_middle(self):
        X, y = np.random.default_rng(0).normal(size=(6, 2)), np.array([1.0, 5, 5, 1, 1, 1])
        a, b = TMethodRegressor("middle").fit(X, y), TMethodRegressor("all").fit(X, y)
        assert a.target_center_ == pytest.approx(y.mean(), rel=1e-15)
        np.testing.assert_array_equal(a.predict(X), b.predict(X))

    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(10, 60), wild=st.sampled_from([1e3, -1e6, 1e12]))
    def test_the_median_takes_a_fifth_of_the_rows_and_no_wild_target_moves_it(self, seed, n, wild):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(n, 2)), rng.normal(size=n)
        plain = TMethodRegressor("median").fit(X, y)
        distance = np.abs(y - np.median(y))
        inside = distance <= np.sort(distance)[int(np.ceil(n / 5)) - 1]
        same(plain.target_center_, y[inside].mean())
        assert plain.n_unit_space_ == inside.sum()
        others, wild_y = np.delete(y, np.argmax(y)), np.where(np.arange(n) == np.argmax(y), wild, y)
        moved = TMethodRegressor("median").fit(X, wild_y)
        from_median = np.sort(np.abs(others - np.median(wild_y)))
        assert abs(moved.target_center_ - np.median(wild_y)) <= from_median[int(np.ceil(n / 5)) - 1] + 1e-12

    def test_a_weight_of_two_is_a_repeated_row_for_the_median_too(self):
        X, y, _ = noisy(0)
        weight = np.random.default_rng(0).integers(0, 3, size=30)
        a = TMethodRegressor("median").fit(X, y, sample_weight=weight)
        b = TMethodRegressor("median").fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        same(a.unit_space_interval_, b.unit_space_interval_)
        assert a.n_unit_space_ == b.n_unit_space_
        same(a.predict(X), b.predict(X))

    def test_a_range_is_that_of_every_shard(self):
        X, y, _ = noisy(0)
        inside = (y >= -0.5) & (y <= 0.5)
        whole = TMethodRegressor((-0.5, 0.5)).fit(X, y)
        batches, moments = TMethodRegressor((-0.5, 0.5)), []
        order = np.argsort(y)
        for rows in np.array_split(order, 5):
            batches.partial_fit(X[rows], y[rows])
            moments.append(t_moments(X[rows], y[rows], inside[rows]))
        same(batches.predict(X), whole.predict(X))
        same(TMethodRegressor().fit_moments(sum(moments)).predict(X), whole.predict(X))
        assert batches.n_unit_space_ == whole.n_unit_space_ == inside.sum()
        assert (
            TMethodRegressor((-0.5, 0.5)).fit(X, np.column_stack([y, y])).n_unit_space_.tolist() == [inside.sum()] * 2
        )

    @pytest.mark.parametrize("rule", [(5, 1), (1, 2, 3), (np.nan, 1), ("1", "3"), [[1, 2]], [], {1: 2}], ids=str)
    def test_a_range_that_is_not_two_rising_numbers(self, rule):
        X, y, _ = noisy(0)
        with pytest.raises(
            ValueError, match=r"unit_space must be a rule or two numbers, the lower one first, got|must be"
        ):
            TMethodRegressor(rule).fit(X, y)

    def test_a_range_without_any_target(self):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match=r"unit space is empty: .* none of the targets, which go from -?[\d.]+ to"):
            TMethodRegressor((100, 200)).fit(X, y)

    def test_a_mask_that_is_all_true_means_ta(self):
        X, y, _ = noisy(1)
        a = TMethodRegressor("low").fit(X, y, unit_space_mask=np.ones(len(y), dtype=bool))
        b = TMethodRegressor("all").fit(X, y)
        np.testing.assert_array_equal(a.coef_, b.coef_)
        assert a.target_center_ == b.target_center_

    @pytest.mark.parametrize("kind", [list, np.array, pd.Series])
    def test_a_mask_overrides_the_rule(self, kind):
        X, y, mask = noisy(2)
        model = TMethodRegressor("high").fit(X, y, unit_space_mask=kind(mask.tolist()))
        np.testing.assert_allclose(model.center_, X[mask].mean(axis=0), atol=1e-12)
        assert model.target_center_ == pytest.approx(y[mask].mean())
