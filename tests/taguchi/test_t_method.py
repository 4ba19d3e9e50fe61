import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.covariance import oas
from sklearn.cross_decomposition import PLSRegression
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import (
    FIVE_STARS,
    SEEDS,
    close,
    noisy,
    reference_cases,
    same,
    sparse_forms,
    with_gaps,
    with_zeros,
)

from pipeline.taguchi import TMethodRegressor, sensitivity_and_sn_ratio, sn_ratio, t_moments
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.t_method import _shares

RULES = ["middle", "low", "high", "all"]
# What may be combined with everything else: weights, gaps, sparse items, shards, several targets.
DIAGONAL = [
    {},
    {"unit_space": "low", "subtract_error": False},
    {"unit_space": "high", "recalibrate": True},
    {"unit_space": "all", "recalibrate": True, "clip": "range"},
]
FULL = [
    {"covariance": "full"},
    {"covariance": "full", "unit_space": "all", "shrinkage": 0.0, "subtract_error": False},
    {"covariance": "full", "unit_space": "low", "shrinkage": 0.3, "recalibrate": True, "clip": "range"},
]
OPTIONS = DIAGONAL + FULL
LEARNED = ["center_", "target_center_", "item_target_center_", "beta_", "eta_", "coef_", "recalibration_", "shrinkage_"]

seeds = st.integers(0, SEEDS)
options = st.sampled_from(OPTIONS)
diagonal_options = st.sampled_from(DIAGONAL)

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


def agree(a, b, X, tol=1e-9):
    """Two models have learned the same and predict the same."""
    for name in LEARNED:
        close(getattr(a, name), getattr(b, name), tol)
    np.testing.assert_array_equal(a.target_range_, b.target_range_)
    close(a.predict(X), b.predict(X), tol)


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


def errors_of(model, X, y):
    """Errors ``x_j - beta_j M`` of the items."""
    return X - model.center_ - np.outer(y - model.target_center_, model.beta_)


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


def assert_finite(X, y, option):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TMethodRegressor(**option).fit(X, y)
        predictions = model.predict(X)
    for values in (model.center_, model.beta_, model.eta_, model.coef_, model.recalibration_, predictions):
        assert np.isfinite(values).all()
    assert not np.isnan(model.sn_ratio_).any()
    assert not np.isposinf(model.sn_ratio_).any()


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
        expected = {"middle": 3, "low": 1, "high": 5, "all": 3}[rule]
        assert model.predict([[7.0, -7.0], [0.1, 0.0]]).tolist() == [expected, expected]

    def test_adding_an_item_that_carries_nothing_changes_no_prediction(self):
        X, y, mask = noisy(3)
        wider = np.column_stack([X, np.full(len(y), 0.1)])
        a, b = TMethodRegressor().fit(X, y, mask), TMethodRegressor().fit(wider, y, mask)
        np.testing.assert_allclose(b.predict(wider), a.predict(X), rtol=1e-12)


class TestUnitSpace:
    @pytest.mark.parametrize(
        ("rule", "inside"),
        [("middle", [3]), ("low", [1]), ("high", [5]), ("all", [1, 2, 3, 4, 5])],
    )
    def test_the_rule_picks_the_stars(self, rule, inside):
        y = np.tile(FIVE_STARS, 4)
        X = np.random.default_rng(0).normal(size=(20, 2))
        model = TMethodRegressor(rule).fit(X, y)
        np.testing.assert_allclose(model.center_, X[np.isin(y, inside)].mean(axis=0), atol=1e-12)
        assert model.target_center_ == np.mean(inside)

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
        inside = {"middle": [4, 5, 6], "low": [0, 1], "high": [9, 10], "all": y}[rule]
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


class TestFacts:
    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(20, 60), p=st.integers(1, 8), weighted=st.booleans())
    def test_the_full_covariance_without_shrinkage_is_least_squares_over_its_r2(self, seed, n, p, weighted):
        X, y, _ = noisy(seed, n, p)
        weight = np.random.default_rng(seed).integers(1, 4, size=n) if weighted else None
        model = TMethodRegressor("all", covariance="full", shrinkage=0, subtract_error=False)
        model.fit(X, y, sample_weight=weight)
        least_squares = LinearRegression().fit(X, y, sample_weight=weight)
        mean, r2 = np.average(y, weights=weight), least_squares.score(X, y, sample_weight=weight)
        new = np.random.default_rng(seed).normal(size=(10, p))
        close(model.predict(new) - mean, (least_squares.predict(new) - mean) / r2, 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds)
    def test_with_a_unit_space_it_is_least_squares_through_its_centre(self, seed):
        X, y, mask = noisy(seed)
        model = TMethodRegressor(covariance="full", shrinkage=0, subtract_error=False).fit(X, y, mask)
        D, M = X[~mask] - X[mask].mean(axis=0), y[~mask] - y[mask].mean()
        coef = np.linalg.lstsq(D, M)[0]
        close(model.coef_, coef * (M @ M) / (M @ D @ coef), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 6), shrinkage=st.floats(0.1, 1), subtract=st.booleans())
    def test_the_full_covariance_by_its_definition(self, seed, p, shrinkage, subtract):
        X, y, mask = noisy(seed, n=60, p=p)
        option = {"covariance": "full", "shrinkage": shrinkage, "subtract_error": subtract}
        model = TMethodRegressor(**option).fit(X, y, mask)
        used = model.eta_ > 0
        assume(used.any())
        beta = model.beta_[used]
        E, M = errors_of(model, X[~mask], y[~mask])[:, used], y[~mask] - model.target_center_
        V_e, S_beta = (E**2).sum(axis=0) / (len(M) - 1), beta**2 * (M @ M)
        D = np.diag(np.sqrt(V_e))
        R = np.linalg.inv(D) @ (E.T @ E / (len(M) - 1)) @ np.linalg.inv(D)
        precision = np.linalg.inv(D @ ((1 - shrinkage) * R + shrinkage * np.eye(len(beta))) @ D)
        b = beta * (1 - V_e / S_beta) if subtract else beta
        coef = b @ precision
        # Where correlations leave nothing of what is subtracted from, another rule holds.
        assume(coef @ beta > 0.5 * (beta @ precision @ beta))
        close(model.coef_[used], coef / (coef @ beta), 1e-7)
        assert (model.coef_[~used] == 0).all()

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 40), subtract=st.booleans(), masked=st.booleans())
    def test_complete_shrinkage_is_the_diagonal_t_method(self, seed, p, subtract, masked):
        X, y, mask = noisy(seed, p=p)
        full, diagonal = (
            TMethodRegressor("all", covariance=covariance, shrinkage=1.0, subtract_error=subtract).fit(
                X, y, mask if masked else None
            )
            for covariance in ("full", "diagonal")
        )
        agree(full, diagonal, X)

    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(8, 60), p=st.integers(2, 40), masked=st.booleans())
    def test_the_automatic_shrinkage_is_scikit_learns_oas_of_the_standardised_errors(self, seed, n, p, masked):
        X, y, mask = noisy(seed, n, p)
        signal = ~mask if masked else np.ones(n, dtype=bool)
        model = TMethodRegressor("all", covariance="full", subtract_error=False).fit(X, y, mask if masked else None)
        E = errors_of(model, X[signal], y[signal])
        E /= np.sqrt((E**2).mean(axis=0))
        _, expected = oas(E, assume_centered=True)
        assert model.shrinkage_ == pytest.approx(expected, rel=1e-6)
        assert oas_shrinkage(E.T @ E / len(E), len(E)) == pytest.approx(expected, rel=1e-9)

    def test_the_share_of_shrinkage_is_kept(self):
        X, y, _ = noisy(0)
        assert TMethodRegressor(covariance="full", shrinkage=0.3).fit(X, y).shrinkage_ == 0.3
        assert TMethodRegressor(shrinkage=0.3).fit(X, y).shrinkage_ == 1

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 40))
    def test_ta_without_subtraction_is_diagonal_inverse_regression(self, seed, p):
        X, y, _ = noisy(seed, p=p)
        model = TMethodRegressor("all", subtract_error=False).fit(X, y)
        V_e = (errors_of(model, X, y) ** 2).sum(axis=0) / (len(y) - 1)
        same(model.coef_, model.beta_ / V_e / (model.beta_**2 / V_e).sum(), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(2, 40))
    def test_on_items_of_equal_error_it_is_the_first_component_of_pls(self, seed, p):
        X, y, _ = noisy(seed, p=p)
        model = TMethodRegressor("all", subtract_error=False).fit(X, y)
        X = X / errors_of(model, X, y).std(axis=0)
        coef = model.fit(X, y).coef_
        component = PLSRegression(n_components=1, scale=False).fit(X, y).x_weights_[:, 0]
        close(coef / np.linalg.norm(coef), component * np.sign(component @ coef), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, option=options, weighted=st.booleans())
    def test_recalibration_leaves_residuals_that_have_nothing_to_do_with_the_estimate(self, seed, option, weighted):
        X, y, _ = noisy(seed)
        weight = np.random.default_rng(seed).uniform(0.5, 3, size=len(y)) if weighted else np.ones(len(y))
        option = option | {"recalibrate": False, "clip": None}
        estimate = TMethodRegressor(**option).fit(X, y, sample_weight=weight).predict(X)
        model = TMethodRegressor(**option | {"recalibrate": True}).fit(X, y, sample_weight=weight)
        assume(model.eta_.any())
        y_hat = model.predict(X)
        intercept, slope = model.recalibration_
        close(y_hat, intercept + slope * estimate)
        assert weight @ (y - y_hat) == pytest.approx(0, abs=1e-8)
        assert (weight * (y - y_hat)) @ y_hat == pytest.approx(0, abs=1e-8)
        covariance = np.cov(y, estimate, aweights=weight)
        rho = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert r2_score(y, y_hat, sample_weight=weight) == pytest.approx(rho**2, abs=1e-9)

    def test_recalibration_of_an_estimate_that_says_nothing_is_the_mean(self):
        y = np.array([1.0, 2, 3, 4, 5, 5])
        model = TMethodRegressor(recalibrate=True).fit(np.zeros((6, 2)), y)
        assert model.recalibration_.tolist() == pytest.approx([y.mean(), 0])
        assert model.predict([[0.0, 9]]) == pytest.approx([y.mean()])

    def test_without_recalibration_the_line_is_the_identity(self):
        X, y, _ = noisy(0)
        assert TMethodRegressor().fit(X, y).recalibration_.tolist() == [0, 1]

    @settings(max_examples=20)
    @given(seed=seeds, option=options)
    def test_clip_cuts_the_prediction(self, seed, option):
        X, y, _ = noisy(seed)
        free = TMethodRegressor(**option | {"clip": None}).fit(X, y)
        limits = [(-0.5, 0.25), [-0.5, 0.25], np.array([-0.5, 0.25])]
        for clip, low, high in [*((limit, -0.5, 0.25) for limit in limits), ("range", y.min(), y.max())]:
            model = TMethodRegressor(**option | {"clip": clip}).fit(X, y)
            np.testing.assert_array_equal(model.predict(3 * X), np.clip(free.predict(3 * X), low, high))
        assert model.target_range_.tolist() == [y.min(), y.max()]


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


class TestSharesOfCorrelatedItems:
    def test_where_shrunken_sensitivities_leave_no_signal_all_of_them_count(self):
        # Five items whose errors nearly cancel, with F between 1.3 and 31.
        rng = np.random.default_rng(0)
        fell_back = 0
        for _ in range(20_000):
            A = rng.normal(size=(5, 6))
            R = np.corrcoef(A)
            F = 1 + rng.exponential(5, 5) ** 2
            u, kept = np.sqrt(F) * rng.choice([-1, 1], 5), 1 - 1 / F
            inverse = np.linalg.inv(R)
            share = _shares(R, u, kept, 0.0)
            if u @ inverse @ (kept * u) < kept.min() * (u @ inverse @ u):
                fell_back += 1
                kept = np.ones(5)
            a = inverse @ (kept * u)
            np.testing.assert_allclose(share, u * a / (u @ a), rtol=1e-3, atol=1e-4)
        assert fell_back


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
            with warnings.catch_warnings():
                warnings.simplefilter("error")
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


class TestErrors:
    X = np.arange(10.0).reshape(5, 2)

    def test_empty_mask(self):
        with pytest.raises(ValueError, match="The unit space is empty: unit_space_mask has no True row"):
            TMethodRegressor().fit(self.X, FIVE_STARS, unit_space_mask=np.zeros(5, dtype=bool))

    @pytest.mark.parametrize("rule", RULES)
    def test_constant_target(self, rule):
        with pytest.raises(
            ValueError, match=r"The target y is constant \(3\): a T-method needs at least two different"
        ):
            TMethodRegressor(rule).fit(self.X, [3.0] * 5)

    def test_one_signal_row(self):
        with pytest.raises(ValueError, match="needs 2 or more signal rows outside the unit space, got 1"):
            TMethodRegressor().fit(self.X, FIVE_STARS, unit_space_mask=[True, True, True, True, False])
        with pytest.raises(ValueError, match="needs 2 or more signal rows outside the unit space, got 1"):
            TMethodRegressor("low").fit(self.X, [1, 1, 1, 1, 5])

    def test_signal_rows_that_all_equal_the_unit_spaces_mean(self):
        with pytest.raises(ValueError, match=r"all 3 signal rows equals the unit space's mean \(2\)"):
            TMethodRegressor().fit(self.X, [1.0, 3, 2, 2, 2], unit_space_mask=[True, True, False, False, False])

    def test_mask_of_another_length(self):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[5, 2\]"):
            TMethodRegressor().fit(self.X, FIVE_STARS, unit_space_mask=[True, False])

    def test_unknown_rule(self):
        with pytest.raises(ValueError, match="'unit_space' parameter of TMethodRegressor must be a str among"):
            TMethodRegressor("centre").fit(self.X, FIVE_STARS)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    def test_infinity(self, value, option):
        X = self.X.copy()
        X[2, 1] = value
        model = TMethodRegressor(**option)
        with pytest.raises(ValueError, match="Input X contains infinity"):
            model.fit(X, FIVE_STARS)
        with pytest.raises(ValueError, match="Input X contains infinity"):
            model.fit(self.X, FIVE_STARS).predict(X)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_targets_that_are_not_finite(self, value):
        with pytest.raises(ValueError, match=r"Input y contains (NaN|infinity)"):
            TMethodRegressor().fit(self.X, [1, 2, 3, 4, value])

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    @pytest.mark.parametrize("n", [30, 40_000])
    def test_squares_that_overflow(self, n, option):
        # Many rows are added up in several threads.
        X, y, _ = noisy(0, n)
        for items in (X * 1e200, sparse.csr_array(X * 1e200)):
            with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
                TMethodRegressor(**option).fit(items, y)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    def test_targets_whose_squares_overflow(self, option):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match="The target y holds values whose squares overflow: scale it down"):
            TMethodRegressor(**option).fit(X, y * 1e200)

    @pytest.mark.parametrize("clip", [(5, 1), (1, 1), (1, 2, 3), (np.nan, 1), (1, np.nan), [[1, 2]], []], ids=str)
    def test_clip_that_is_not_two_rising_numbers(self, clip):
        with pytest.raises(ValueError, match="clip must be two numbers, the lower one first, got"):
            TMethodRegressor(clip=clip).fit(self.X, FIVE_STARS)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("clip", "stars"),
            ("clip", 5),
            ("covariance", "spherical"),
            ("covariance", None),
            ("shrinkage", -0.1),
            ("shrinkage", 1.1),
            ("shrinkage", "oas"),
            ("shrinkage", None),
            ("shrinkage", np.nan),
            ("subtract_error", "yes"),
            ("recalibrate", 3),
        ],
    )
    def test_parameters_out_of_range(self, name, value):
        moments = t_moments(self.X, FIVE_STARS, gram=True)
        model = TMethodRegressor(**{name: value})
        for call in (lambda: model.fit(self.X, FIVE_STARS), lambda: model.partial_fit(self.X, FIVE_STARS)):
            with pytest.raises(ValueError, match=f"The '{name}' parameter of TMethodRegressor must be"):
                call()
        with pytest.raises(ValueError, match=f"The '{name}' parameter of TMethodRegressor must be"):
            model.fit_moments(moments)

    @pytest.mark.parametrize(
        ("mask", "kind"), [([1, 0, 0, 0, 1], "int64"), ([1.0, 0, 0, 0, 1], "float64"), (list("tffft"), "<U1")]
    )
    def test_mask_of_anything_but_booleans(self, mask, kind):
        with pytest.raises(ValueError, match=f"must hold booleans, as `y == 3` does, got {kind}"):
            TMethodRegressor().fit(self.X, FIVE_STARS, unit_space_mask=mask)

    def test_a_nearly_weightless_outlier_of_the_target_takes_no_item_away(self):
        X, y, _ = noisy(0)
        expected = TMethodRegressor("all").fit(X[1:], y[1:])
        y[0], weight = 1e9, np.ones(30)
        weight[0] = 1e-20
        model = TMethodRegressor("all").fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.eta_, expected.eta_, rtol=0.05)

    def test_weights_that_are_shares(self):
        X, y, mask = noisy(0)
        with pytest.raises(ValueError, match="A sample weight counts as that many rows"):
            TMethodRegressor().fit(X, y, mask, np.full(30, 1 / 30))

    def test_weights_that_are_none(self):
        with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
            TMethodRegressor().fit(self.X, FIVE_STARS, sample_weight=[1, 1, 1, -1, 1])
        with pytest.raises(ValueError, match="sample_weight"):
            TMethodRegressor().fit(self.X, FIVE_STARS, sample_weight=[1, 1])
        with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
            TMethodRegressor().fit(self.X, FIVE_STARS, sample_weight=np.zeros(5))

    def test_weights_that_leave_nothing_of_a_group(self):
        mask = np.array([True, True, False, False, False])
        with pytest.raises(ValueError, match="The unit space is empty"):
            TMethodRegressor().fit(self.X, FIVE_STARS, mask, [0, 0, 1, 1, 1])
        with pytest.raises(ValueError, match="needs 2 or more signal rows outside the unit space, got 1"):
            TMethodRegressor().fit(self.X, FIVE_STARS, mask, [1, 1, 1, 0, 0])

    def test_one_item(self):
        model = TMethodRegressor("all").fit([[1.0], [2], [3]], [2, 4, 6])
        np.testing.assert_allclose(model.predict([[2.5]]), [5])


class TestScikitLearn:
    @parametrize_with_checks(
        [
            TMethodRegressor(),
            TMethodRegressor("low", subtract_error=False),
            TMethodRegressor("high"),
            TMethodRegressor("all", subtract_error=False),
            TMethodRegressor(covariance="full"),
            TMethodRegressor("all", covariance="full", shrinkage=0.0, subtract_error=False),
            TMethodRegressor("all", clip="range"),
            TMethodRegressor("all", recalibrate=True),
            TMethodRegressor("high", recalibrate=True, clip="range"),
            TMethodRegressor("low", covariance="full", recalibrate=True, clip=(-9, 9)),
        ]
    )
    def test_contract(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    def test_clone_and_pickle_keep_parameters_and_predictions(self, option):
        X, y, _ = noisy(4)
        model = TMethodRegressor(**option).fit(X, y)
        defaults = TMethodRegressor().get_params()
        assert clone(model).get_params() == defaults | option
        assert TMethodRegressor().set_params(**option).get_params() == defaults | option
        assert not hasattr(clone(model), "coef_")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))

    def test_a_pickle_takes_further_batches(self):
        X, y, mask = noisy(4)
        model = pickle.loads(pickle.dumps(TMethodRegressor().partial_fit(X[:20], y[:20], mask[:20])))
        agree(model.partial_fit(X[20:], y[20:], mask[20:]), TMethodRegressor().fit(X, y, mask), X)

    def test_parameters(self):
        assert TMethodRegressor().get_params() == {
            "unit_space": "middle",
            "covariance": "diagonal",
            "shrinkage": "auto",
            "subtract_error": True,
            "recalibrate": False,
            "clip": None,
        }

    def test_column_names_are_remembered_and_checked(self):
        X, y, _ = noisy(5)
        table = pd.DataFrame(X, columns=["w", "x", "y", "z"])
        model = TMethodRegressor().fit(table, y)
        assert model.feature_names_in_.tolist() == ["w", "x", "y", "z"]
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[["z", "y", "x", "w"]])
        with pytest.raises(ValueError, match="feature names should match"):
            TMethodRegressor().partial_fit(table, y).partial_fit(table[["z", "y", "x", "w"]], y)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    def test_inputs_are_not_changed(self, option):
        X, y, mask = noisy(6)
        X = with_gaps(X, 6) if option in DIAGONAL else X
        weight = np.ones(30)
        before = [part.copy() for part in (X, y, mask, weight)]
        for part in (X, y, mask, weight):
            part.flags.writeable = False
        TMethodRegressor(**option).fit(X, y, mask, weight).predict(X)
        for now, then in zip((X, y, mask, weight), before, strict=True):
            np.testing.assert_array_equal(now, then)

    def test_grid_search_over_its_parameters(self):
        X, y, _ = noisy(7)
        grid = {"unit_space": RULES, "covariance": ["diagonal", "full"], "recalibrate": [True, False]}
        search = GridSearchCV(TMethodRegressor(), grid, cv=3)
        search.fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_the_mask_is_routed_through_a_pipeline(self):
        X, y, mask = noisy(8)
        with sklearn.config_context(enable_metadata_routing=True):
            model = Pipeline(
                [("scale", StandardScaler()), ("t", TMethodRegressor().set_fit_request(unit_space_mask=True))]
            ).fit(X, y, unit_space_mask=mask)
            with pytest.raises(ValueError, match=r"\[unit_space_mask\] are passed but are not explicitly set"):
                make_pipeline(StandardScaler(), TMethodRegressor()).fit(X, y, unit_space_mask=mask)
        # Scaling is no difference to a T-method, so the pipeline must agree with the regressor alone.
        np.testing.assert_allclose(model.predict(X), TMethodRegressor().fit(X, y, mask).predict(X), atol=1e-9)

    def test_weights_and_mask_are_routed_together(self):
        X, y, mask = noisy(9)
        weight = np.arange(1.0, 31)
        with sklearn.config_context(enable_metadata_routing=True):
            t_method = TMethodRegressor().set_fit_request(unit_space_mask=True, sample_weight=True)
            model = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), t_method)
            model.fit(X, y, unit_space_mask=mask, sample_weight=weight)
        np.testing.assert_allclose(model.predict(X), TMethodRegressor().fit(X, y, mask, weight).predict(X), atol=1e-9)

    def test_weights_and_mask_are_routed_to_batches(self):
        X, y, mask = noisy(10)
        Y, weight = np.column_stack([y, y**3]), np.arange(1.0, 31)
        with sklearn.config_context(enable_metadata_routing=True):
            t_method = TMethodRegressor().set_partial_fit_request(unit_space_mask=True, sample_weight=True)
            model = MultiOutputRegressor(t_method)
            for rows in (slice(0, 12), slice(12, 30)):
                model.partial_fit(X[rows], Y[rows], unit_space_mask=mask[rows], sample_weight=weight[rows])
        np.testing.assert_allclose(model.predict(X), TMethodRegressor().fit(X, Y, mask, weight).predict(X), atol=1e-9)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    def test_float32_items_give_what_their_float64_copies_give(self, option):
        X, y, _ = noisy(9)
        X = X.astype(np.float32)
        a, b = (TMethodRegressor(**option).fit(items, y) for items in (X, X.astype(np.float64)))
        for name in ("beta_", "eta_", "coef_", "sn_ratio_"):
            assert getattr(a, name).dtype == np.float32
            assert getattr(b, name).dtype == np.float64
        agree(a, b, X, 1e-6)
        assert a.predict(X).dtype == np.float32
        assert a.predict(X.astype(np.float64)).dtype == np.float64
        np.testing.assert_allclose(a.predict(X), b.predict(X.astype(np.float64)), atol=1e-5)

    def test_float32_items_far_from_zero_shift_no_prediction(self):
        X, y, _ = noisy(9, n=300)
        X = (X + 1e6 + 0.3).astype(np.float32)
        a, b = (TMethodRegressor().fit(items, y) for items in (X, X.astype(np.float64)))
        assert abs(np.mean(a.predict(X) - b.predict(X.astype(np.float64)))) < 1e-6

    @pytest.mark.parametrize("outlier", [1e2, 1e3, 1e4])
    def test_float32_outliers_in_the_first_rows_cost_no_digits(self, outlier):
        # Rows are summed up in chunks of 10,000; the second item is one that is far from 0.
        X, y, mask = noisy(0, n=20_000)
        X[:, 1] += 100
        X[[0, 10_000], 0], mask[[0, 10_000]] = outlier, True
        X = X.astype(np.float32)
        a, b = (TMethodRegressor().fit(items, y, mask) for items in (X, X.astype(np.float64)))
        np.testing.assert_allclose(a.eta_, b.eta_, rtol=1e-4)

    @pytest.mark.parametrize("option", OPTIONS, ids=str)
    def test_integers_are_numbers(self, option):
        X, y, _ = noisy(11)
        X, y = np.rint(3 * X).astype(int), np.rint(3 * y).astype(int)
        agree(TMethodRegressor(**option).fit(X, y), TMethodRegressor(**option).fit(1.0 * X, 1.0 * y), X, 1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["middle", "all"])
def test_rows_beyond_one_block_give_the_formula_over_all_rows(rule, dtype):
    rng = np.random.default_rng(0)
    n, p = 200_000, 4
    y = rng.integers(1, 6, size=n).astype(float)
    X = (np.outer(y, [1, -2, 0.5, 0]) + rng.normal(scale=3, size=(n, p)) + [0, 5, 100, -7]).astype(dtype)
    model = TMethodRegressor(rule).fit(X, y)

    unit, signal = (y == 3, y != 3) if rule == "middle" else (y > 0, y > 0)
    assert signal.sum() > 2**22 / 8 / p
    center, target_center = X[unit].mean(axis=0, dtype=np.float64), y[unit].mean()
    M, D = y[signal] - target_center, X[signal] - center
    r, L = M @ M, M @ D
    V_e = ((D**2).sum(axis=0) - L**2 / r) / (len(M) - 1)
    eta = np.maximum((L**2 / r - V_e) / (r * V_e), 0)
    tol = 1e-10 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(model.center_, center, rtol=tol)
    np.testing.assert_allclose(model.eta_, eta, rtol=100 * tol, atol=1e-15 if dtype == np.float64 else 1e-9)
    expected = target_center + ((X - center) / (L / r) * eta).sum(axis=1) / eta.sum()
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=100 * tol)


class TestMemory:
    @pytest.fixture(params=[(50_000, 200), (100_000, 100)], ids=str)
    def data(self, monkeypatch, request):
        # Every processor has blocks of its own.
        monkeypatch.setattr("joblib.cpu_count", lambda: 2)
        X = np.random.default_rng(0).normal(size=request.param).astype(np.float32)
        return X, np.tile(FIVE_STARS, len(X) // 5)

    def peak(self, call):
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("option", [{}, {"unit_space": "all", "recalibrate": True}], ids=str)
    def test_a_fit_takes_little_beyond_its_input(self, data, option):
        X, y = data
        assert self.peak(lambda: TMethodRegressor(**option).fit(X, y)) < 0.1 * X.nbytes

    def test_a_prediction_takes_little_beyond_its_output(self, data):
        X, y = data
        model = TMethodRegressor(recalibrate=True, clip="range").fit(X[:1000], y[:1000])
        output = model.predict(X[:1]).itemsize * len(X)
        assert self.peak(lambda: model.predict(X)) < output + 0.1 * X.nbytes
