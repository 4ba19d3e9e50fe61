"""The displays: what is drawn is what `frame` returns, any names and values can be drawn, bad input in one line."""

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.taguchi import (
    MahalanobisTaguchi,
    MahalanobisTaguchiSelector,
    OrthogonalArraySelector,
    RTMethod,
    TMethodRegressor,
    parameter_design,
    sn_ratio,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from pipeline.taguchi.plots import (  # noqa: E402
    ContributionsDisplay,
    DistanceDisplay,
    EffectChartDisplay,
    EstimateDisplay,
    ItemsDisplay,
    OperatingCharacteristicDisplay,
)

NAMES = ["temperature", "pressure", "time", "operator"]
JAPANESE = ["温度", "圧力", "時間", "作業者"]
LONG = [f"the very long name of the item in the column {i} of the table" for i in range(4)]
DOLLARS = ["$x_{$ and $y$", "b$", "__c__", "d__e\n"]

# Not imported: that would make its font matplotlib's default.
needs_japanese_font = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib_fontja") is None, reason="matplotlib-fontja is not installed"
)


@pytest.fixture(autouse=True)
def _warnings_are_errors_and_figures_are_closed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The unit space")
        yield
    pyplot.close("all")


def table(names=NAMES, n_rows=60, seed=0):
    """Items 0 and 1 follow the target, item 2 is noise, item 3 is constant."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n_rows)
    noise = rng.normal(size=(n_rows, 3))
    X = np.column_stack([2 * y + noise[:, 0], noise[:, 1] - y, noise[:, 2], np.ones(n_rows)])
    return pd.DataFrame(X, columns=names), y


@pytest.fixture(scope="module")
def selector():
    return OrthogonalArraySelector(unit_space="all").fit(*table())


@pytest.fixture(scope="module")
def design():
    def run(settings, _):
        return [settings["two"] + 3.0, settings["three"] + 2.0]

    return parameter_design(run, {"two": [0, 1], "three": [0, 4, 1]}, sn="larger")


@pytest.fixture(scope="module")
def detector():
    return MahalanobisTaguchi(threshold=2.0).fit(table()[0])


def abnormal_rows():
    return table(seed=1, n_rows=20)[0] + [0, 8, 0, 0]


def drawn(display):
    """Render: whatever is not finite, has no glyph or does not fit warns or fails here."""
    figure = display.figure_
    figure.canvas.draw()
    for axes in figure.axes:
        shown, whole = axes.get_tightbbox(), figure.bbox.padded(1)
        assert whole.x0 <= shown.x0 <= shown.x1 <= whole.x1
        assert whole.y0 <= shown.y0 <= shown.y1 <= whole.y1
    return display.ax_


def texts(labels):
    return [label.get_text() for label in labels]


class TestEffectChart:
    def test_the_points_of_an_item_are_the_means_of_the_runs_with_and_without_it(self, selector):
        display = EffectChartDisplay.from_estimator(selector)
        axes, frame = drawn(display), display.frame()
        np.testing.assert_array_equal(np.concatenate([line.get_ydata() for line in axes.lines[:4]]), frame.sn_ratio_db)
        for column in range(3):
            for level in (1, 2):
                mean = selector.run_sn_ratios_[selector.orthogonal_array_[:, column] == level].mean()
                at = frame[(frame.item == NAMES[column]) & (frame.level == level)]
                np.testing.assert_allclose(at.sn_ratio_db, mean)
        np.testing.assert_allclose(axes.lines[-1].get_ydata(), selector.run_sn_ratios_.mean())
        assert display.grand_mean == selector.run_sn_ratios_.mean()
        assert texts(axes.get_xticklabels()) == NAMES

    @pytest.mark.parametrize("fold_over", [False, True])
    def test_the_selector_of_mt_has_a_chart_too(self, fold_over):
        X, abnormal = table()[0], abnormal_rows()
        rows, state = np.vstack([X, abnormal]), np.repeat([0, 1], [len(X), len(abnormal)])
        selector = MahalanobisTaguchiSelector(fold_over=fold_over).fit(rows, state)
        display = EffectChartDisplay.from_estimator(selector)
        means = display.frame().pivot(index="item", columns="level", values="sn_ratio_db")
        np.testing.assert_allclose(means[1] - means[2], selector.item_gains_, atol=1e-9)
        drawn(display)
        drawn(ItemsDisplay.from_estimator(selector))

    def test_the_level_of_what_is_kept_is_filled(self, selector):
        display = EffectChartDisplay.from_estimator(selector)
        frame = display.frame()
        assert frame[frame.level == 1].chosen.tolist() == selector.get_support().tolist()
        filled = drawn(display).lines[4].get_ydata()
        np.testing.assert_array_equal(np.isfinite(filled), frame.chosen)

    def test_an_item_without_gain_is_a_level_line(self, selector):
        frame = EffectChartDisplay.from_estimator(selector).frame()
        assert frame[frame.item == "operator"].sn_ratio_db.nunique() == 1

    def test_of_many_items_the_largest_effects_are_drawn_in_the_order_of_the_columns(self):
        X, y = table()
        wide = np.column_stack([np.random.default_rng(2).normal(size=(60, 60)), X])
        selector = OrthogonalArraySelector(unit_space="all").fit(wide, y)
        display = EffectChartDisplay.from_estimator(selector)
        shown = [int(name[1:]) for name in display.frame().item.unique()]
        assert shown == sorted(shown)
        least = np.abs(selector.item_gains_[shown]).min()
        assert len(shown) == 40
        assert (np.abs(np.delete(selector.item_gains_, shown)) <= least).all()
        assert drawn(display).get_title() == "40 of 64 items: the largest effects"
        everything = EffectChartDisplay.from_estimator(selector, max_items=None)
        assert everything.frame().item.nunique() == 64

    def test_a_pipeline_brings_its_selector(self):
        pipeline = make_pipeline(OrthogonalArraySelector(unit_space="all"), TMethodRegressor()).fit(*table())
        frame = EffectChartDisplay.from_estimator(pipeline).frame()
        pd.testing.assert_frame_equal(frame, EffectChartDisplay.from_estimator(pipeline[0]).frame())

    def test_a_nested_factor_takes_two_lines_and_an_item_one(self):
        design = parameter_design(lambda settings, _: [settings["a__b"]], {"a__b": [1, 2]}, sn="larger")
        assert texts(drawn(EffectChartDisplay.from_design(design)).child_axes[0].get_xticklabels()) == ["a\nb"]
        selector = OrthogonalArraySelector(unit_space="all").fit(*table(["__x__", "a__b", "c", "d"]))
        axes = drawn(EffectChartDisplay.from_estimator(selector))
        assert texts(axes.get_xticklabels()) == ["__x__", "a__b", "c", "d"]

    def test_a_design_has_its_level_means_and_names_levels_and_factors(self, design):
        display = EffectChartDisplay.from_design(design)
        axes, frame = drawn(display), display.frame()
        np.testing.assert_array_equal(frame.sn_ratio_db, design.level_means.sn_ratio)
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), frame.sn_ratio_db[2:])
        assert texts(axes.get_xticklabels()) == ["0", "1", "0", "4", "1"]
        assert texts(axes.child_axes[0].get_xticklabels()) == ["two", "three"]
        assert dict(frame[frame.chosen][["item", "level"]].to_numpy()) == design.optimum

    def test_the_chart_of_a_design_is_this_one_without_pyplot(self, design):
        chart, display = design.effect_chart(), EffectChartDisplay.from_design(design)
        for here, there in zip(chart.axes[0].lines, display.ax_.lines, strict=True):
            np.testing.assert_array_equal(here.get_ydata(), there.get_ydata())
        assert pyplot.get_fignums() == [display.figure_.number]


class TestItems:
    def test_bars_are_the_items_table_and_what_has_no_signal_is_marked(self):
        X, y = table()
        model = TMethodRegressor().fit(X, y)
        display = ItemsDisplay.from_estimator(model)
        axes, frame = drawn(display), display.frame()
        np.testing.assert_array_equal(frame.sn_ratio_db, model.sn_ratio_)
        np.testing.assert_array_equal(
            [bar.get_width() for bar in axes.patches], np.where(model.eta_ > 0, model.sn_ratio_, 0)
        )
        assert frame.index.tolist() == texts(axes.get_yticklabels()) == NAMES
        assert texts(axes.texts) == ["−∞"] * int((model.eta_ == 0).sum())
        assert axes.texts[-1].xy == (0, 3)

    def test_gains_stand_beside_and_the_bars_of_dropped_items_are_hollow(self, selector):
        X, y = table()
        kept = selector.get_support()
        model = TMethodRegressor().fit(X.loc[:, kept], y)
        display = ItemsDisplay.from_estimator(model, selector)
        left, right = drawn(display)
        np.testing.assert_array_equal([bar.get_width() for bar in right.patches], selector.item_gains_)
        assert [bar.get_facecolor()[3] > 0 for bar in right.patches] == kept.tolist()
        assert texts(left.texts) == ["dropped"] * int((~kept).sum())
        assert display.frame().columns.tolist() == ["sn_ratio_db", "gain_db", "kept"]

    def test_a_pipeline_brings_its_selector(self):
        X, y = table()
        pipeline = make_pipeline(OrthogonalArraySelector(unit_space="all"), TMethodRegressor()).fit(X, y)
        frame = ItemsDisplay.from_estimator(pipeline).frame()
        pd.testing.assert_frame_equal(frame, ItemsDisplay.from_estimator(pipeline[1], pipeline[0]).frame())

    def test_a_selector_alone_has_gains(self, selector):
        display = ItemsDisplay.from_estimator(selector)
        np.testing.assert_array_equal([bar.get_width() for bar in drawn(display).patches], selector.item_gains_)

    def test_the_axes_say_which_end_is_better(self, selector):
        X, y = table()
        left, right = ItemsDisplay.from_estimator(
            TMethodRegressor().fit(X.loc[:, selector.get_support()], y), selector
        ).ax_
        assert left.get_xlabel() == "S/N ratio (dB), right is better"
        assert right.get_xlabel() == "gain (dB), right is better"

    def test_no_item_with_a_signal_can_be_drawn(self):
        axes = drawn(ItemsDisplay(pd.DataFrame({"sn_ratio_db": [-np.inf, -np.inf]}, index=["a", "b"])).plot())
        assert texts(axes.texts) == ["−∞", "−∞"]

    def test_two_panels_need_two_axes(self, selector):
        X, y = table()
        model = TMethodRegressor().fit(X.loc[:, selector.get_support()], y)
        with pytest.raises(ValueError, match=r"sn_ratio_db and gain_db: give 2 axes, got 1\.$"):
            ItemsDisplay.from_estimator(model, selector, ax=Figure().subplots())
        pair = Figure().subplots(2)
        assert list(ItemsDisplay.from_estimator(model, selector, ax=pair).ax_) == list(pair)


class TestEstimate:
    def test_points_slope_and_sn_ratio(self):
        y, y_pred = np.array([1.0, 2, 3, 4, 5]), np.array([1.5, 1.0, 3.0, 4.0, 4.5])
        display = EstimateDisplay.from_predictions(y, y_pred, center=2.0)
        axes = drawn(display)
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), display.frame())
        assert display.slope == pytest.approx((y - 2) @ (y_pred - 2) / ((y - 2) @ (y - 2)))
        assert display.sn_ratio_db == sn_ratio(y, y_pred, center=2.0)
        assert [line.get_slope() for line in axes.lines[1:]] == [display.slope, 1]
        assert f"S/N ratio {display.sn_ratio_db:.1f} dB".replace("-", "−") in texts(axes.get_legend().get_texts())[0]

    def test_in_the_signal_data_the_slope_of_a_t_method_is_1(self):
        X, y = table()
        model = TMethodRegressor(unit_space="all").fit(X, y)
        display = EstimateDisplay.from_estimator(model, X, y)
        assert display.center == model.target_center_
        assert display.slope == pytest.approx(1)

    def test_any_regressor_is_measured_from_the_mean(self):
        X, y = table()
        display = EstimateDisplay.from_estimator(make_pipeline(StandardScaler(), Ridge()).fit(X, y), X, y)
        assert display.center == pytest.approx(y.mean())

    def test_intervals_are_lines_and_an_infinite_end_is_at_the_edge(self):
        interval = [[0.0, 2.0], [-np.inf, np.inf], [3.5, 4.5]]
        display = EstimateDisplay.from_predictions([1, 2, 3], [1, 2, 4], interval)
        axes = drawn(display)
        ends = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
        assert ends == [[0, 2], [0, 4.5], [3.5, 4.5]]
        assert texts(axes.get_legend().get_texts())[0] == "interval: 67% of the rows inside"
        np.testing.assert_array_equal(display.frame()[["low", "high"]], interval)

    def test_a_pipeline_brings_the_intervals_of_its_last_step(self):
        X, y = table()
        pipeline = make_pipeline(StandardScaler(), TMethodRegressor(interval="sn_ratio")).fit(X, y)
        display = EstimateDisplay.from_estimator(pipeline, X, y, confidence=0.8)
        y_pred, interval = pipeline.predict(X, return_interval=True, confidence=0.8)
        np.testing.assert_array_equal(display.frame(), np.column_stack([y, y_pred, interval]))
        drawn(display)

    @pytest.mark.parametrize("interval", [None, [[-np.inf, np.inf]] * 3])
    def test_estimates_without_signal_can_be_drawn(self, interval):
        falling = EstimateDisplay.from_predictions([1, 2, 3], [3, 2, 1], interval)
        assert falling.sn_ratio_db == -np.inf
        assert "−∞ dB" in "".join(texts(drawn(falling).get_legend().get_texts()))
        constant = EstimateDisplay.from_predictions([2, 2, 2], [3, 2, 1], interval)
        assert np.isnan(constant.slope)
        assert "slope 1" in texts(drawn(constant).get_legend().get_texts())

    def test_the_index_of_the_target_stays(self):
        frame = EstimateDisplay.from_predictions(pd.Series([1, 2, 3], index=list("abc")), [1, 2, 4]).frame()
        assert frame.index.tolist() == ["a", "b", "c"]

    def test_columns_with_other_labels_are_refused(self):
        y, y_pred = pd.Series([1, 2, 3]), pd.Series([3, 2, 1], index=[2, 1, 0])
        with pytest.raises(ValueError, match=r"y_true and y_pred have different row labels: .* order of y_true\.$"):
            EstimateDisplay.from_predictions(y, y_pred)
        with pytest.raises(ValueError, match=r"y_true and interval have different"):
            EstimateDisplay.from_predictions(y, y, pd.DataFrame({"low": y_pred, "high": y_pred}))
        same = EstimateDisplay.from_predictions(y, y_pred.loc[y.index]).frame()
        assert same["y_pred"].tolist() == [1, 2, 3]

    def test_a_pipeline_in_a_pipeline_has_intervals_too(self):
        X, y = table()
        inner = make_pipeline(StandardScaler(), TMethodRegressor(interval="sn_ratio"))
        display = EstimateDisplay.from_estimator(make_pipeline(inner).fit(X, y), X, y, confidence=0.8)
        assert {"low", "high"} <= set(display.frame())


class TestDistance:
    def test_every_row_is_drawn_and_counted_as_the_model_does(self, detector):
        X, abnormal = table(seed=3)[0], abnormal_rows()
        display = DistanceDisplay.from_estimator(detector, X, abnormal)
        axes, frame = drawn(display), display.frame()
        heights = np.concatenate([line.get_ydata() for line in axes.lines[:-1]])
        np.testing.assert_array_equal(np.sort(heights), np.sort(frame.distance))
        beyond = [(detector.predict(rows) == -1).sum() for rows in (X, abnormal)]
        assert frame.groupby("group", sort=False).beyond.sum().tolist() == beyond
        assert texts(axes.get_xticklabels())[1].startswith(f"abnormal\n{beyond[1]} of 20 beyond")
        np.testing.assert_array_equal(axes.lines[-1].get_ydata(), [2.0, 2.0])

    def test_a_row_that_differs_in_a_constant_is_a_cross_and_counts(self, detector):
        abnormal = table(seed=1, n_rows=5)[0]
        abnormal.loc[2, "operator"] = 2.0
        display = DistanceDisplay.from_estimator(detector, table()[0], abnormal)
        crosses = [line for line in drawn(display).lines if line.get_marker() == "x"]
        row = display.frame().query("group == 'abnormal' and differs_in == 'operator'")
        assert crosses[-1].get_ydata().tolist() == row.distance.tolist()
        assert row.beyond.all()
        assert "differs in what is constant" in texts(display.ax_.get_legend().get_texts())

    def test_an_infinite_distance_is_a_triangle_on_the_edge(self):
        display = DistanceDisplay.from_predictions([1.0, 2.0], [3.0, np.inf, np.inf], threshold=2.5)
        triangles = [len(line.get_xdata()) for line in drawn(display).lines if line.get_marker() == "^"]
        assert triangles == [0, 2]
        assert display.frame().beyond.tolist() == [False, False, True, True, True]

    def test_the_axis_is_logarithmic_where_distances_range_widely(self):
        assert drawn(DistanceDisplay.from_predictions([1.0, 2.0], [100.0], threshold=3.0)).get_yscale() == "log"
        assert drawn(DistanceDisplay.from_predictions([1.0, 2.0], [10.0], threshold=3.0)).get_yscale() == "linear"
        assert drawn(DistanceDisplay.from_predictions([1.0], threshold=0.0)).get_yscale() == "linear"
        assert drawn(DistanceDisplay.from_predictions([1.0, 2.0], [3.0], threshold=np.inf)).get_yscale() == "linear"

    def test_a_distance_of_0_is_on_the_axis_and_does_not_squeeze_the_others(self):
        axes = drawn(DistanceDisplay.from_predictions([0.0, 0.001, 1.0], [5000.0], threshold=3.0))
        assert axes.get_yscale() == "symlog"
        heights = axes.transAxes.inverted().transform(axes.transData.transform([[0, d] for d in (0, 0.001, 1, 5000)]))
        assert (np.diff(heights[:, 1]) > 0.05).all()
        assert heights[0, 1] > 0
        assert "0" in texts(axes.get_yticklabels())

    def test_rows_keep_labels_that_differ_and_are_counted_else(self, detector):
        X = table()[0]
        assert DistanceDisplay.from_estimator(detector, X, abnormal_rows()).frame().index.tolist() == list(range(80))
        labelled = DistanceDisplay.from_estimator(detector, X[5:], abnormal_rows()[:5]).frame()
        assert labelled.index.tolist() == [*range(5, 60), *range(5)]


OC = pd.DataFrame(
    {
        "threshold": [1.0, 3.0, 2.0],
        "false_alarm_rate": [0.6, 0.0, 0.1],
        "detection_rate": [1.0, 0.5, 0.9],
        "chosen": [False, False, True],
    }
)


class TestOperatingCharacteristic:
    def test_the_curve_runs_through_the_table_and_the_chosen_point_is_named(self):
        display = OperatingCharacteristicDisplay.from_predictions(OC)
        curve, _, point = drawn(display).lines
        np.testing.assert_array_equal(curve.get_xydata(), [[0, 0.5], [0.1, 0.9], [0.6, 1]])
        np.testing.assert_array_equal(point.get_xydata(), [[0.1, 0.9]])
        assert texts(display.ax_.texts) == ["threshold 2\n90% detected\n10% false alarms"]
        pd.testing.assert_frame_equal(display.frame(), OC)

    def test_two_curves_share_axes_and_have_names(self):
        display = OperatingCharacteristicDisplay.from_predictions(OC, name="MT")
        OperatingCharacteristicDisplay.from_predictions(OC, name="RT", ax=display.ax_, color="black")
        words = "threshold 2\n90% detected\n10% false alarms"
        assert texts(drawn(display).get_legend().get_texts()) == [f"MT\n{words}", f"RT\n{words}"]
        assert texts(display.ax_.texts) == []

    def test_a_label_is_a_name_and_names_are_no_formulas(self):
        display = OperatingCharacteristicDisplay.from_predictions(OC, label="$x_{$ and $y$")
        OperatingCharacteristicDisplay.from_predictions(OC, name="RT", ax=display.ax_)
        shown = drawn(display).get_legend().get_texts()
        assert [text.get_text().split("\n")[0] for text in shown] == ["$x_{$ and $y$", "RT"]

    @needs_japanese_font
    def test_the_first_name_of_two_is_japanese(self):
        display = OperatingCharacteristicDisplay.from_predictions(OC, name=JAPANESE[0])
        drawn(OperatingCharacteristicDisplay.from_predictions(OC, name="RT", ax=display.ax_))

    @pytest.mark.parametrize("point", [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.9, 0.1)])
    def test_wherever_the_chosen_point_is_its_words_are_in_the_square(self, point):
        table = pd.DataFrame([[2.0, *point, True]], columns=OC.columns)
        display = OperatingCharacteristicDisplay.from_predictions(table)
        (words,) = drawn(display).texts
        inside, shown = display.ax_.get_window_extent(), words.get_window_extent()
        assert inside.x0 <= shown.x0 <= shown.x1 <= inside.x1
        assert inside.y0 <= shown.y0 <= shown.y1 <= inside.y1

    def test_of_held_out_rows_and_of_the_rows_of_the_fit(self):
        X, abnormal = table()[0], abnormal_rows()
        model = MahalanobisTaguchi(threshold="roc").fit(X, abnormal=abnormal)
        display = OperatingCharacteristicDisplay.from_estimator(model)
        pd.testing.assert_frame_equal(display.frame(), model.operating_characteristic_)
        display = OperatingCharacteristicDisplay.from_estimator(model, X, abnormal)
        pd.testing.assert_frame_equal(display.frame(), model.operating_characteristic(X, abnormal))
        drawn(display)

    def test_it_needs_abnormal_rows(self, detector):
        with pytest.raises(ValueError, match=r"needs abnormal rows, got none in the fit: give X and abnormal\.$"):
            OperatingCharacteristicDisplay.from_estimator(detector)
        with pytest.raises(ValueError, match=r"needs X and abnormal, or neither"):
            OperatingCharacteristicDisplay.from_estimator(detector, table()[0])
        with pytest.raises(ValueError, match=r"missing: chosen\.$"):
            OperatingCharacteristicDisplay.from_predictions(OC.drop(columns="chosen"))


class TestContributions:
    @pytest.mark.parametrize("max_items", [1, 2, 4, None])
    def test_they_sum_up_to_the_squared_distance(self, detector, max_items):
        X = abnormal_rows()
        display = ContributionsDisplay.from_estimator(detector, X, 7, max_items=max_items)
        frame = display.frame()
        np.testing.assert_allclose(frame.contribution.sum(), detector.distance(X)[7] ** 2)
        assert display.total == pytest.approx(detector.distance(X)[7] ** 2)
        bars = drawn(display).patches
        np.testing.assert_array_equal([bar.get_width() for bar in bars], frame.contribution)
        named = frame.contribution.abs()[: max_items or 4]
        assert named.is_monotonic_decreasing
        assert (max_items or 4) == 4 or frame.index[-1] == f"{4 - max_items} others"

    def test_they_sum_up_to_the_prediction_with_base_and_rest(self):
        X, y = table()
        model = TMethodRegressor(clip=(-0.5, 0.5)).fit(X, y)
        row = int(np.argmax(y))
        display = ContributionsDisplay.from_estimator(model, X, row)
        frame = display.frame()
        assert display.total == model.predict(X)[row] == 0.5
        assert display.base + frame.contribution.sum() == pytest.approx(0.5)
        assert frame.index[-1] == "rest"
        np.testing.assert_array_equal(frame.value[NAMES], X.iloc[row])
        drawn(display)

    def test_a_pipeline_names_what_its_last_step_sees(self):
        X, y = table()
        pipeline = make_pipeline(OrthogonalArraySelector(unit_space="all"), TMethodRegressor()).fit(X, y)
        display = ContributionsDisplay.from_estimator(pipeline, X, -1)
        assert display.total == pytest.approx(pipeline.predict(X)[-1])
        assert set(display.frame().index) == set(pipeline[:-1].get_feature_names_out())

    def test_what_the_squared_distance_does_not_say_is_said(self, detector):
        X = table()[0].assign(operator=3.0)
        axes = drawn(ContributionsDisplay.from_estimator(detector, X))
        assert axes.get_title("left").endswith("\nabnormal by what is constant: operator")

    def test_the_terms_of_rt_are_those_of_its_two_variables(self):
        X = table()[0] + [9, 5, 7, 3]
        model = RTMethod().fit(X)
        display = ContributionsDisplay.from_estimator(model, X, 3)
        assert sorted(display.frame().index) == ["Y1", "Y2"]
        np.testing.assert_allclose(display.frame().value[["Y1", "Y2"]], model.transform(X)[3, :2])
        assert display.total == pytest.approx(model.distance(X)[3] ** 2)

    @pytest.mark.parametrize("row", [60, 1.0, "a"])
    def test_there_must_be_such_a_row(self, detector, row):
        with pytest.raises(ValueError, match=rf"row must count one of the 60 rows of X from 0, got {row!r}\.$"):
            ContributionsDisplay.from_estimator(detector, table()[0], row)

    @pytest.mark.parametrize("clip", [None, (-0.5, 0.5)])
    @pytest.mark.parametrize("names", [["rest", "2 others", "(2 others)", "a"], ["2 others", "rest", "a", "(rest)"]])
    def test_bars_of_items_and_of_sums_may_share_a_name(self, names, clip):
        X, y = table(names)
        model = TMethodRegressor(unit_space="all", clip=clip).fit(X, y)
        display = ContributionsDisplay.from_estimator(model, X, int(np.argmax(y)), max_items=2)
        frame = display.frame()
        assert len(frame) == 3 + (clip is not None)
        assert frame.index.is_unique
        assert display.base + frame.contribution.sum() == pytest.approx(display.total)


# Every display --------------------------------------------------------------------------------------------------------


def every_display(names, ax=None, **options):
    """Yield each display of a table with such names."""
    X, y = table(names)
    selector = OrthogonalArraySelector(unit_space="all").fit(X, y)
    model, detector = TMethodRegressor().fit(X, y), MahalanobisTaguchi().fit(X)
    yield EffectChartDisplay.from_estimator(selector, ax=ax, **options)
    yield ItemsDisplay.from_estimator(model, ax=ax, **options)
    yield EstimateDisplay.from_estimator(model, X, y, ax=ax, **options)
    yield DistanceDisplay.from_estimator(detector, X, ax=ax, **options)
    yield OperatingCharacteristicDisplay.from_predictions(OC, name=names[0], ax=ax, **options)
    yield ContributionsDisplay.from_estimator(model, X, ax=ax, **options)


@pytest.mark.parametrize("names", [NAMES, LONG, DOLLARS], ids=["short", "long", "dollars"])
def test_any_names_are_drawn_and_none_is_cut_off(names):
    for display in every_display(names):
        drawn(display)


@needs_japanese_font
def test_japanese_and_chinese_names_are_drawn():
    for display in every_display(JAPANESE):
        drawn(display)


def test_the_colour_that_is_given_is_drawn():
    for display in every_display(NAMES, color="#123456"):
        artist = display.ax_.patches[0].get_facecolor() if display.ax_.patches else display.ax_.lines[0].get_color()
        assert matplotlib.colors.to_hex(artist) == "#123456"


def test_given_axes_are_drawn_on_and_nothing_global_changes():
    figure, before = Figure(), dict(matplotlib.rcParams)
    for display in every_display(JAPANESE, ax=figure.subplots(), color="black"):
        assert display.figure_ is figure
        display.ax_.clear()
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


def test_without_axes_pyplot_shows_the_figure():
    numbers = [display.figure_.number for display in every_display(NAMES)]
    assert pyplot.get_fignums() == numbers


def test_a_display_is_drawn_again_and_its_frame_is_a_copy():
    for display in every_display(NAMES):
        first, before, changed = display.figure_, display.frame(), display.frame()
        changed.iloc[:, 0] = changed.iloc[0, 0]
        assert display.plot().figure_ is not first
        pd.testing.assert_frame_equal(display.frame(), before)


@pytest.mark.parametrize("display", [EffectChartDisplay, ItemsDisplay])
@pytest.mark.parametrize("max_items", [0, 1.5])
def test_max_items_is_a_number(selector, display, max_items):
    with pytest.raises(ValueError, match=rf"max_items must be .* got {max_items}\.$"):
        display.from_estimator(selector, max_items=max_items)


X, Y = table()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: EffectChartDisplay.from_estimator(OrthogonalArraySelector()), NotFittedError, "not fitted"),
        (lambda: ItemsDisplay.from_estimator(TMethodRegressor()), NotFittedError, "not fitted"),
        (lambda: EstimateDisplay.from_estimator(TMethodRegressor(), X, Y), NotFittedError, "not fitted"),
        (lambda: DistanceDisplay.from_estimator(MahalanobisTaguchi(), X), NotFittedError, "not fitted"),
        (lambda: OperatingCharacteristicDisplay.from_estimator(MahalanobisTaguchi()), NotFittedError, "not fitted"),
        (lambda: ContributionsDisplay.from_estimator(TMethodRegressor(), X), NotFittedError, "not fitted"),
        (lambda: EffectChartDisplay.from_estimator(Ridge().fit(X, Y)), TypeError, "with item_gains_, got Ridge"),
        (lambda: ItemsDisplay.from_estimator(Ridge().fit(X, Y)), TypeError, "with items_table, got Ridge"),
        (lambda: ItemsDisplay.from_estimator(MahalanobisTaguchi().fit(X)), TypeError, "or gain_db, got that of Mahal"),
        (
            lambda: EffectChartDisplay.from_estimator(make_pipeline(StandardScaler(), Ridge()).fit(X, Y)),
            TypeError,
            "with item_gains_, got Ridge",
        ),
        (
            lambda: EstimateDisplay.from_estimator(Ridge().fit(X, Y), X, Y, confidence=0.9),
            TypeError,
            "confidence needs an estimator whose predict takes return_interval, got Ridge",
        ),
        (
            lambda: EstimateDisplay.from_predictions([1, 2], [1, 2], [[np.nan, 1]] * 2),
            ValueError,
            "interval holds NaN in 2 of 4 ends",
        ),
        (lambda: DistanceDisplay.from_predictions([1], threshold=np.nan), ValueError, "threshold must be .* got nan"),
        (lambda: DistanceDisplay.from_predictions([1], threshold="roc"), ValueError, "threshold must be .* got 'roc'"),
        (lambda: DistanceDisplay.from_predictions([1], threshold=-1), ValueError, "threshold must be .* got -1"),
        (
            lambda: DistanceDisplay.from_predictions([1], [2, -1.5], threshold=1),
            ValueError,
            r"abnormal_distance is below 0 in 1 of 2 rows \(lowest -1\.5\)",
        ),
        (lambda: ItemsDisplay.from_estimator(TMethodRegressor().fit(X, np.c_[Y, Y])), ValueError, "a model of 2: fit"),
        (lambda: DistanceDisplay.from_estimator(Ridge().fit(X, Y), X), TypeError, "with diagnosis, got Ridge"),
        (lambda: ContributionsDisplay.from_estimator(Ridge().fit(X, Y), X), TypeError, "with contributions, got R"),
        (lambda: EstimateDisplay.from_predictions([1, 2], [1, 2, 3]), ValueError, "inconsistent numbers of samples"),
        (lambda: EstimateDisplay.from_predictions([[1, 2]] * 3, [[1, 2]] * 3), ValueError, "draw each target alone"),
        (lambda: EstimateDisplay.from_predictions([1, np.nan], [1, 2]), ValueError, "y_true contains NaN"),
        (
            lambda: EstimateDisplay.from_predictions([1, 2], [1, 2], [1, 2]),
            ValueError,
            r"interval must .* shape \(2,\)",
        ),
        (lambda: EstimateDisplay.from_predictions([1, 2], [1, 2], [[1, 0]] * 2), ValueError, "a lower end above"),
        (
            lambda: DistanceDisplay.from_predictions([1, np.nan], threshold=1),
            ValueError,
            "distance holds NaN in 1 of 2",
        ),
        (lambda: DistanceDisplay.from_predictions([], threshold=1), ValueError, "0 sample"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert pyplot.get_fignums() == []
