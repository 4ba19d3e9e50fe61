import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.taguchi import TMethodRegressor, sensitivity_and_sn_ratio, sn_ratio

RULES = ["middle", "low", "high", "all"]
FIVE_STARS = np.array([1.0, 2, 3, 4, 5])

REFERENCE = Path(__file__).parents[2] / "shared/reference/mts_reference.json"
CASES = (
    json.loads(REFERENCE.read_text(encoding="utf-8"))["t_methods"]
    if REFERENCE.is_file()
    else {"-": pytest.param(None, marks=pytest.mark.skip(reason="the reference values of MTSYS are not there"))}
)

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


def same(actual, expected, rtol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-12)


def noisy(seed, n=30, p=4):
    """Items that each say something about the target, and a mask with some rows of a unit space."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    X = np.outer(y, rng.choice([-2, -1, 1, 2], size=p)) + rng.normal(size=(n, p))
    mask = np.zeros(n, dtype=bool)
    mask[rng.choice(n, size=n // 4, replace=False)] = True
    return X, y, mask


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
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    def test_every_reference_case_agrees_with_mtsys(self, case, method):
        data, target = np.array(case["data"], dtype=float), case["columns"].index(case["target"])
        X, y = np.delete(data, target, axis=1), data[:, target]
        unit, signal, train, test = (
            np.array(case[rows]) - 1 for rows in ("unit_rows", "signal_rows", "train_rows_Ta_Tb", "test_rows")
        )
        expected = case[method]
        model = TMethodRegressor(subtract_error=case["subtracts_V_e"])
        if method == "T1":
            rows = np.concatenate([unit, signal])
            model.fit(X[rows], y[rows], unit_space_mask=np.isin(rows, unit))
            same(model.center_, expected["unit_mean_X"])
            same(model.target_center_, expected["unit_mean_y"])
            M_hat = expected["M_hat_signal"]
        else:
            signal = train
            model.set_params(unit_space="all").fit(X[train], y[train])
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

    def test_the_rule_low_is_the_one_sided_reference_case(self):
        # y <= 7 + (42 - 7) / 10 picks the rows that T(2)'s reference takes as unit space: 15 to 18.
        train = STACKLOSS[TRAIN_ROWS]
        by_rule = TMethodRegressor(unit_space="low").fit(train[:, :3], train[:, 3])
        same(by_rule.center_, [50, 18.5, 81.5])
        same(by_rule.target_center_, 7.75)
        same(by_rule.eta_, [0.036623430426106524, 0.025718566926406058, 0.005038655495112069])


class TestProperties:
    @settings(max_examples=40)
    @given(
        seed=st.integers(0, 2**32 - 1),
        rule=st.sampled_from(RULES),
        subtract=st.booleans(),
        exponents=st.lists(st.floats(-6, 6), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
    )
    def test_predictions_are_invariant_to_shift_scale_and_sign_of_each_item(
        self, seed, rule, subtract, exponents, signs, shifts
    ):
        X, y, _ = noisy(seed)
        scale = signs * 10.0 ** np.array(exponents)
        changed = scale * (X + shifts)
        a, b = (TMethodRegressor(rule, subtract_error=subtract).fit(items, y) for items in (X, changed))
        np.testing.assert_allclose(b.predict(changed), a.predict(X), rtol=0, atol=1e-8)
        np.testing.assert_allclose(b.eta_, a.eta_, rtol=0, atol=1e-8 * a.eta_.max())

    def test_perfect_items_keep_their_weights_when_their_unit_changes(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            y = rng.normal(size=20)
            X, scale = np.column_stack([2 * y + 1, 0.7 - 3.3 * y]), 10.0 ** rng.uniform(-6, 6, size=2)
            a, b = TMethodRegressor().fit(X, y), TMethodRegressor().fit(X * scale, y)
            np.testing.assert_allclose(b.coef_ * scale, a.coef_, rtol=1e-6)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 60), p=st.integers(1, 80), subtract=st.booleans())
    def test_slope_of_the_estimate_on_the_signal_is_one(self, seed, n, p, subtract):
        X, y, mask = noisy(seed, n, p)
        model = TMethodRegressor(subtract_error=subtract).fit(X, y, unit_space_mask=mask)
        assume(model.eta_.any())
        M, M_hat = y[~mask] - model.target_center_, model.predict(X[~mask]) - model.target_center_
        assert M @ M_hat / (M @ M) == pytest.approx(1, abs=1e-9)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(8, 60), p=st.integers(1, 80))
    def test_r2_of_ta_in_its_own_data_is_two_minus_one_over_squared_correlation(self, seed, n, p):
        X, y, _ = noisy(seed, n, p)
        model = TMethodRegressor(unit_space="all").fit(X, y)
        assume(model.eta_.any())
        y_hat = model.predict(X)
        assert r2_score(y, y_hat) == pytest.approx(2 - 1 / np.corrcoef(y, y_hat)[0, 1] ** 2, rel=1e-9, abs=1e-9)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 2**32 - 1), rule=st.sampled_from(RULES), order=st.permutations(range(30)))
    def test_order_of_the_rows_changes_nothing(self, seed, rule, order):
        X, y, mask = noisy(seed)
        order = np.array(order)
        new = np.random.default_rng(seed).normal(size=(5, 4))
        a, b = TMethodRegressor(rule).fit(X, y), TMethodRegressor(rule).fit(X[order], y[order])
        np.testing.assert_allclose(b.predict(new), a.predict(new), rtol=0, atol=1e-9)
        a.fit(X, y, unit_space_mask=mask)
        b.fit(X[order], y[order], unit_space_mask=mask[order])
        np.testing.assert_allclose(b.predict(new), a.predict(new), rtol=0, atol=1e-9)

    @settings(max_examples=40)
    @given(
        X=arrays(float, (10, 3), elements=st.floats(-1e6, 1e6)),
        constant=st.floats(-1e9, 1e9),
        slope=st.floats(1e-6, 1e6),
        rule=st.sampled_from(RULES),
        subtract=st.booleans(),
    )
    def test_degenerate_items_never_give_nan_or_inf(self, X, constant, slope, rule, subtract):
        y = np.tile(FIVE_STARS, 2)
        perfect = slope * y + constant
        X = np.column_stack([X, X[:, 0], -2 * X[:, 0], np.full(10, constant), np.zeros(10), perfect, 3 * perfect])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = TMethodRegressor(rule, subtract_error=subtract).fit(X, y)
            predictions = model.predict(X)
        for values in (model.beta_, model.eta_, model.coef_, predictions):
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

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, value):
        X = self.X.copy()
        X[2, 1] = value
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            TMethodRegressor().fit(X, FIVE_STARS)


class TestScikitLearn:
    @parametrize_with_checks(
        [
            TMethodRegressor(),
            TMethodRegressor("low", subtract_error=False),
            TMethodRegressor("high"),
            TMethodRegressor("all", subtract_error=False),
        ]
    )
    def test_contract(self, estimator, check):
        check(estimator)

    def test_clone_and_pickle_keep_parameters_and_predictions(self):
        X, y, _ = noisy(4)
        model = TMethodRegressor("low", subtract_error=False).fit(X, y)
        assert clone(model).get_params() == {"unit_space": "low", "subtract_error": False}
        assert not hasattr(clone(model), "coef_")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))

    def test_column_names_are_remembered_and_checked(self):
        X, y, _ = noisy(5)
        table = pd.DataFrame(X, columns=["w", "x", "y", "z"])
        model = TMethodRegressor().fit(table, y)
        assert model.feature_names_in_.tolist() == ["w", "x", "y", "z"]
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[["z", "y", "x", "w"]])

    def test_inputs_are_not_changed(self):
        X, y, mask = noisy(6)
        before = X.copy(), y.copy(), mask.copy()
        TMethodRegressor().fit(X, y, unit_space_mask=mask).predict(X)
        for now, then in zip((X, y, mask), before, strict=True):
            np.testing.assert_array_equal(now, then)

    def test_grid_search_over_its_parameters(self):
        X, y, _ = noisy(7)
        search = GridSearchCV(TMethodRegressor(), {"unit_space": RULES, "subtract_error": [True, False]}, cv=3)
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

    def test_float32_items_give_what_their_float64_copies_give(self):
        X, y, _ = noisy(9)
        X = X.astype(np.float32)
        a, b = TMethodRegressor().fit(X, y), TMethodRegressor().fit(X.astype(np.float64), y)
        np.testing.assert_array_equal(a.coef_, b.coef_)
        np.testing.assert_array_equal(a.predict(X), b.predict(X.astype(np.float64)))
        assert a.predict(X).dtype == np.float64


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
    np.testing.assert_allclose(model.center_, center, rtol=1e-10)
    np.testing.assert_allclose(model.eta_, eta, rtol=1e-8, atol=1e-15)
    expected = target_center + ((X - center) / (L / r) * eta).sum(axis=1) / eta.sum()
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=1e-8)
