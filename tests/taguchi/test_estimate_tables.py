"""A T-method as a linear model and as tables: intercept and weights, what items add, and workbooks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectKBest, SelectorMixin, f_regression
from sklearn.pipeline import make_pipeline
from t_data import close, noisy, options, seeds, with_gaps

from pipeline.taguchi import MSRRegressor, TbRegressor, TMethodRegressor

NAMES = ["width", "rest", "speed", "base"]


class Gains(SelectorMixin, BaseEstimator):
    """A selector that is told the gains of its items."""

    def __init__(self, gains):
        self.gains = gains

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        if isinstance(X, pd.DataFrame):
            self.feature_names_in_ = X.columns.to_numpy(dtype=object)
        self.item_gains_ = np.array(self.gains)
        return self

    def _get_support_mask(self):
        return self.item_gains_ > 0


class TestIntercept:
    @given(seed=seeds, option=options)
    def test_intercept_and_coef_make_the_prediction_before_clip(self, seed, option):
        X, y, _ = noisy(seed)
        option = option | {"clip": None}
        model = TMethodRegressor(**option).fit(X, y)
        assert isinstance(model.intercept_, float)
        close(model.intercept_ + X @ model.coef_, model.predict(X))
        Y = np.column_stack([y, y**3])
        both = TMethodRegressor(**option).fit(X, Y)
        assert both.intercept_.shape == (2,)
        close(both.intercept_ + X @ both.coef_.T, both.predict(X), 1e-8)

    @pytest.mark.parametrize("model", [TbRegressor(), MSRRegressor()])
    def test_of_tb_and_msr_too(self, model):
        X, y, _ = noisy(1)
        model.fit(X, y)
        assert isinstance(model.intercept_, float)
        close(model.intercept_ + X @ model.coef_, model.predict(X))
        assert not hasattr(clone(model), "intercept_")

    @given(seed=seeds, option=options)
    def test_weights_are_shares_whatever_the_recalibration(self, seed, option):
        X, y, _ = noisy(seed)
        a, b = (TMethodRegressor(**option | {"recalibrate": each}).fit(X, y) for each in (False, True))
        close(a.weight_, a.coef_ * a.beta_)
        close(a.weight_.sum(), 1)
        close(b.coef_, b.recalibration_[1] * a.coef_)
        if b.recalibration_[1]:
            close(b.weight_, a.weight_)

    def test_unfitted_models_have_none(self):
        for name in ("intercept_", "weight_"):
            assert not hasattr(TMethodRegressor(), name)


class TestExplain:
    @given(seed=seeds, option=options)
    def test_it_is_the_contributions_under_the_names(self, seed, option):
        X, y, _ = noisy(seed)
        table = pd.DataFrame(X, columns=["a", "b", "c", "d"], index=[f"part {i}" for i in range(30)])
        model = TMethodRegressor(**option).fit(table, y)
        explained, parts = model.explain(table), model.contributions(table)
        assert explained.index.equals(table.index)
        assert explained.columns.tolist() == ["base", "a", "b", "c", "d", "rest"]
        np.testing.assert_array_equal(explained[["a", "b", "c", "d"]], parts.items)
        close(explained.sum(axis=1), model.predict(table))

    def test_gaps_and_rows_without_names(self):
        X, y, _ = noisy(3)
        X = with_gaps(X, 3)
        model = TbRegressor().fit(X, y)
        explained = model.explain(X)
        assert explained.columns.tolist() == ["base", "x0", "x1", "x2", "x3", "rest"]
        assert explained.index.equals(pd.RangeIndex(30))
        close(explained.sum(axis=1), model.predict(X))

    def test_items_called_base_and_rest_are_told_from_the_parts(self):
        X, y, _ = noisy(4)
        table = pd.DataFrame(X, columns=NAMES)
        explained = TMethodRegressor().fit(table, y).explain(table)
        assert explained.columns.tolist() == ["base", "width", "rest (item)", "speed", "base (item)", "rest"]
        table.columns = ["base", "base (item)", "c", "d"]
        explained = TMethodRegressor().fit(table, y).explain(table)
        assert explained.columns.tolist() == ["base", "base (item) (item)", "base (item)", "c", "d", "rest"]

    def test_several_targets_are_refused(self):
        X, y, _ = noisy(5)
        with pytest.raises(ValueError, match="needs a target of one dimension, got 2 columns: fit each alone"):
            TMethodRegressor().fit(X, np.column_stack([y, y**3])).explain(X)


class TestItemsTable:
    def test_the_columns_are_the_fitted_attributes(self):
        X, y, _ = noisy(6)
        X[:, 2] = 7
        model = TMethodRegressor(recalibrate=True).fit(pd.DataFrame(X, columns=NAMES), y)
        table = model.items_table()
        assert table.columns.tolist() == ["beta", "eta", "sn_ratio_db", "weight"]
        assert table.index.tolist() == NAMES
        assert table.index.name == "item"
        for column, values in (("beta", model.beta_), ("eta", model.eta_), ("sn_ratio_db", model.sn_ratio_)):
            np.testing.assert_array_equal(table[column], values)
        assert table.weight.sum() == pytest.approx(1)
        assert table.loc["speed", ["eta", "sn_ratio_db", "weight"]].tolist() == [0, -np.inf, 0]

    def test_several_targets_are_a_level(self):
        X, y, _ = noisy(7)
        both = TMethodRegressor().fit(X, np.column_stack([y, y**3])).items_table()
        assert both.index.names == ["target", "item"]
        pd.testing.assert_frame_equal(both.loc[1], TMethodRegressor().fit(X, y**3).items_table())

    @pytest.mark.parametrize("names", [NAMES, None])
    def test_with_the_selector_there_is_a_row_for_every_item_that_it_saw(self, names):
        X, y, _ = noisy(8)
        X = X if names is None else pd.DataFrame(X, columns=names)
        selector, model = make_pipeline(Gains([1.5, -0.5, 2.0, 0.0]), TMethodRegressor()).fit(X, y)
        table = model.items_table(selector)
        assert table.index.tolist() == (names or ["x0", "x1", "x2", "x3"])
        assert table.columns.tolist() == ["beta", "eta", "sn_ratio_db", "weight", "gain_db", "kept"]
        assert table.gain_db.tolist() == [1.5, -0.5, 2.0, 0.0]
        assert table.kept.tolist() == [True, False, True, False]
        np.testing.assert_array_equal(table.beta, [model.beta_[0], np.nan, model.beta_[1], np.nan])
        assert (table.weight[~table.kept] == 0).all()
        assert table.weight.sum() == pytest.approx(1)

    def test_a_selector_of_other_items(self):
        X, y, _ = noisy(9)
        selector = Gains([1.0, 1.0, 1.0, -1.0]).fit(X)
        with pytest.raises(ValueError, match="The selector keeps 3 items, but the model was fitted on 2: give the"):
            TMethodRegressor().fit(X[:, :2], y).items_table(selector)
        table = pd.DataFrame(X, columns=NAMES)
        with pytest.raises(ValueError, match=r"keeps width, rest, speed, \.\.\., but the model was fitted on rest,"):
            TMethodRegressor().fit(table[NAMES[1:]], y).items_table(Gains([1.0, 1.0, 1.0, -1.0]).fit(table))

    def test_a_selector_without_gains(self):
        X, y, _ = noisy(9)
        selector = SelectKBest(f_regression, k=2).fit(X, y)
        with pytest.raises(
            ValueError, match=r"needs a fitted selector with item_gains_, such as Orth.*, got SelectKBest"
        ):
            TMethodRegressor().fit(selector.transform(X), y).items_table(selector)

    def test_a_workbook_and_a_text_file_hold_it(self, tmp_path):
        pytest.importorskip("openpyxl", reason="a workbook needs the extra workbench")
        X, y, _ = noisy(10)
        X[:, 0] = 1
        selector, model = make_pipeline(Gains([0.5, 1.0, -1.0, 2.0]), TMethodRegressor()).fit(
            pd.DataFrame(X, columns=NAMES), y
        )
        table = model.items_table(selector)
        table.to_excel(tmp_path / "items.xlsx")
        table.to_csv(tmp_path / "items.csv")
        assert pd.read_excel(tmp_path / "items.xlsx", dtype=object).iloc[0]["sn_ratio_db"] == "-inf"
        workbook = pd.read_excel(tmp_path / "items.xlsx", index_col="item").astype({"sn_ratio_db": float})
        text = pd.read_csv(tmp_path / "items.csv", index_col="item")
        for back in (workbook, text):
            pd.testing.assert_frame_equal(back, table)


@pytest.mark.parametrize("recalibrate", [False, True])
def test_a_recalibrated_model_of_an_earlier_version_is_refused(recalibrate):
    """Its `coef_` has another meaning: it would predict wrong numbers."""
    model = TMethodRegressor("all", recalibrate=recalibrate).fit([[1.0], [2.0], [3.2], [4.0]], [1, 2, 3, 4])
    state = model.__getstate__()
    del state["interval"]
    earlier = TMethodRegressor.__new__(TMethodRegressor)
    if not recalibrate:
        earlier.__setstate__(state)
        assert earlier.predict([[2.0]]) == model.predict([[2.0]])
        return
    with pytest.raises(ValueError, match="saved by an earlier version"):
        earlier.__setstate__(state)


@pytest.mark.parametrize("model", [TMethodRegressor("all"), TbRegressor(), MSRRegressor()])
def test_a_model_of_an_earlier_version_has_the_parameters_that_came_later(model):
    X, y, _ = noisy(11)
    state = clone(model).fit(X, y).__getstate__()
    del state["interval"]
    earlier = type(model).__new__(type(model))
    earlier.__setstate__(state)
    assert repr(earlier) == repr(model)
    assert clone(earlier).get_params() == model.get_params()
    np.testing.assert_array_equal(earlier.predict(X), clone(model).fit(X, y).predict(X))
