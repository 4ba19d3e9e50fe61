"""Errors, and scikit-learn's contract."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import (
    DIAGONAL,
    FIVE_STARS,
    OPTIONS,
    RULES,
    agree,
    noisy,
    with_gaps,
)

from pipeline.taguchi import OrthogonalArraySelector, TMethodRegressor, t_moments


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
        ("mask", "told"),
        [
            ([1, 0, 0, 0, 1], "got int64 (1, 0, 0, ...): give `mask == 1`."),
            ([1.0, 0, 0, 0, 1], "got float64 (1.0, 0.0, 0.0, ...): give `mask == 1`."),
            (pd.Series([1, 0, 0, 0, 1], dtype="Int8"), "(1.0, 0.0, 0.0, ...): give `mask == 1`."),
            (np.array([True, False, 1, 0, True], dtype=object), "got object (True, False, 1, ...): give `mask == 1`."),
            ([0, 2], "got int64 (0, 2): positions of rows become a mask by `np.isin(np.arange(len(y)), rows)`."),
            ([0.5, 0, 0, 0, 1], "got float64 (0.5, 0.0, 0.0, ...): give a comparison such as `y == 3`."),
            (list("tffft"), "got <U1 (t, f, f, ...): give a comparison such as `y == 3`."),
        ],
    )
    @pytest.mark.parametrize("model", [TMethodRegressor(), OrthogonalArraySelector(cv=2)])
    def test_mask_of_anything_but_booleans(self, model, mask, told):
        with pytest.raises(ValueError, match=f"unit_space_mask must hold booleans, .*{re.escape(told)}"):
            model.fit(self.X, FIVE_STARS, unit_space_mask=mask)

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
            "know_how": None,
            "limit_items": False,
            "interval": None,
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
