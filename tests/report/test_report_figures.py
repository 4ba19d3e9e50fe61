"""The figures of the sections: what is drawn, where, and that any data can be drawn."""

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.project.paths import DatasetPaths
from pipeline.report.costs import _pareto, frontier
from pipeline.report.curves import _legend, _model_curves, _sure_changes, side_curves
from pipeline.report.figure import INK, _to_svg, drawing, looks
from pipeline.report.predictions import _confusion, _predicted_against_true
from pipeline.report.results import Results
from pipeline.report.robustness import _calibration_curves
from pipeline.scale import Scale


def drawn(figure):
    """Render as the report does; whatever is not finite or does not fit warns here."""
    assert _to_svg(figure, "title").startswith("<svg")
    return figure.axes[0]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with drawing():
            yield


def points(axes):
    return np.asarray(axes.collections[0].get_offsets())


@pytest.mark.parametrize(
    "stars",
    [[1, 2, 4, 5, 5], [5], [3, 3, 3], [1, 5], list(range(1, 6)) * 200],
    ids=["no 3 stars", "one review", "one star", "two stars", "many"],
)
@pytest.mark.parametrize("constant", [True, False])
def test_any_selection_of_stars_can_be_drawn(stars, constant):
    predictions = np.full(len(stars), 3.2) if constant else np.linspace(-40, 40, len(stars))
    axes = drawn(_predicted_against_true(pd.Series(stars), pd.Series(predictions), "Ta on text_stats: QWK 0.5"))
    assert len(points(axes)) == len(stars)


def test_each_point_stands_at_its_star_and_its_prediction():
    stars, predictions = pd.Series([1, 2, 3, 4, 5]), pd.Series([1.5, 2.5, 0.5, 4.0, 5.5])
    shown = points(drawn(_predicted_against_true(stars, predictions, "Ta")))
    np.testing.assert_array_equal(np.round(shown[:, 0]), stars)
    np.testing.assert_array_equal(shown[:, 1], predictions)


def test_points_outside_the_range_sit_on_its_edge():
    axes = drawn(_predicted_against_true(pd.Series([1, 5, 3]), pd.Series([-1e6, 1e6, 3.0]), "Ta"))
    low, high = axes.get_ylim()
    assert low < 1
    assert high > 5
    np.testing.assert_array_equal(points(axes)[:, 1], [low, high, 3.0])


def test_rows_with_another_index_are_drawn_the_same():
    stars, predictions = pd.Series([1, 3, 5, 5]), pd.Series([1.0, 2.0, 3.0, 4.0])
    moved = _predicted_against_true(stars.set_axis([9, 7, 5, 3]), predictions.set_axis([9, 7, 5, 3]), "Ta")
    np.testing.assert_array_equal(
        points(drawn(moved)), points(drawn(_predicted_against_true(stars, predictions, "Ta")))
    )


def test_a_confusion_matrix_counts_every_review_once():
    stars, rounded = [1, 1, 1, 2, 5, 5], [1, 1, 2, 2, 5, 4]
    axes = drawn(_confusion(stars, rounded, "T"))
    texts = {(text.get_position()[0], round(text.get_position()[1])): text.get_text() for text in axes.texts[1::2]}
    assert texts == {(1, 1): "2", (2, 1): "1", (2, 2): "1", (4, 5): "1", (5, 5): "1"}
    assert [text.get_text() for text in axes.texts[::2]] == ["67%", "33%", "100%", "50%", "50%"]


@pytest.mark.parametrize("scale", [Scale(0, 10), Scale(1, 5, 0.5), Scale(0, 100, 5)], ids=str)
def test_other_scales_have_a_row_and_a_column_for_each_of_their_stars(scale):
    stars, n = pd.Series([scale.low, scale.low + scale.step, scale.high, scale.high]), len(scale.values)
    predictions = stars + np.array([-9, 0.6, 0, -1]) * scale.step
    axes = drawn(_confusion(stars, predictions, "T", scale))
    names = [f"{star:g}" for star in scale.values]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == names
    assert [tick.get_text() for tick in axes.get_yticklabels()] == names
    assert len(axes.patches) == n**2
    places = [(scale.low, scale.low), (scale.low + 2 * scale.step, scale.low + scale.step), (scale.high, scale.high)]
    places.append((scale.high - scale.step, scale.high))
    shown = axes.texts if n > 11 else axes.texts[1::2]
    # A column, and a row in which the count stands below its middle.
    found = {(text.get_position()[0], scale.round(text.get_position()[1]).item()): text.get_text() for text in shown}
    assert found == dict.fromkeys(places, "1")

    axes = drawn(_predicted_against_true(stars, predictions, "T", scale))
    np.testing.assert_array_equal(scale.round(points(axes)[:, 0]), stars)
    low, high = axes.get_ylim()
    assert (scale.low - low, high - scale.high) == pytest.approx(2 * [0.375 * (scale.high - scale.low)])
    assert {scale.low, scale.high} <= set(axes.get_yticks()) <= set(scale.values)

    bins = pd.DataFrame({"side": ["T", "T"], "predicted": [scale.low, scale.high], "true": [scale.low, scale.high]})
    axes = drawn(_calibration_curves(bins, scale))
    assert axes.get_ylim()[0] < scale.low < scale.high < axes.get_ylim()[1]


def test_text_on_the_cells_can_be_read_in_both_schemes():
    axes = drawn(_confusion([1], [1], "T"))
    (fill,) = {patch.get_facecolor() for patch in axes.patches if patch.get_facecolor()[3] > 0}

    def luminance(colour):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for ink, paper in ((0x1B1B1F, 0xFFFFFF), (0xE8E8EC, 0x16181D)):
        ink, paper = (np.array([value >> 16, value >> 8 & 255, value & 255]) / 255 for value in (ink, paper))
        cell = fill[3] * np.array(fill[:3]) + (1 - fill[3]) * paper
        light, dark = sorted((luminance(ink), luminance(cell)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def sides(n_sizes=3):
    sizes = [10, 100, 1000][:n_sizes]
    rows = [(side, n, 0.5 + 0.1 * i, 0.4, 0.8) for side in ("T", "attention") for i, n in enumerate(sizes)]
    return pd.DataFrame(rows, columns=["side", "n_train", "qwk", "qwk_low", "qwk_high"])


def crossings(n):
    columns = ["a", "b", "n", "n_low", "n_high", "ahead_large"]
    return pd.DataFrame([("T", "attention", 50.0, 20.0, 90.0, "attention")] * n, columns=columns)


@pytest.mark.parametrize("n_sizes", [1, 3])
@pytest.mark.parametrize("n_crossings", [0, 1, 3])
def test_learning_curves_say_where_the_lead_changes(n_sizes, n_crossings):
    figure = side_curves(sides(n_sizes), crossings(n_crossings))
    axes = drawn(figure)
    assert len(axes.lines) == 2
    texts = [text.get_text() for strip in figure.axes[1:] for text in strip.texts]
    assert texts == ["attention overtakes T at about 50"] * n_crossings


@pytest.mark.parametrize(
    ("p_holm", "differences", "is_drawn"),
    [
        ([0.01, 0.9, 0.01], [0.2, 0.1, -0.2], True),
        ([0.01, 0.9, 0.2], [0.2, 0.1, -0.2], False),
        ([0.2, 0.9, 0.01], [0.2, 0.1, -0.2], False),
        ([0.01, 0.9, 0.01], [0.2, 0.1, 0.2], False),
    ],
    ids=["both ends sure", "only the first", "only the last", "no change"],
)
def test_a_change_of_the_lead_is_drawn_only_where_both_sides_of_it_are_sure(p_holm, differences, is_drawn):
    results = Results(DatasetPaths("nowhere"))
    found = pd.DataFrame({"a": "T", "b": "attention", "n_train": [10, 100, 1000], "difference": differences})
    crossovers = crossings(1).assign(ahead_small="T")
    vars(results).update(n_held_out=400, contrasts=found.assign(p_holm=p_holm, p=0.01), crossovers=crossovers)
    assert len(side_curves(sides(), _sure_changes(results)).axes) == 1 + is_drawn


def test_a_lead_that_does_not_change_is_not_drawn():
    none = crossings(1).assign(n=np.nan, n_low=np.nan, n_high=np.nan)
    assert len(side_curves(sides(), none).axes) == 1


def test_lines_differ_in_more_than_their_colour():
    known = looks([f"model {i}" for i in range(12)])
    assert len(set(known.values())) == 12
    assert len({(look.marker, look.linestyle) for look in known.values()}) == 12


def test_a_model_looks_the_same_in_its_panel_and_in_the_legend():
    curves = sides().rename(columns={"side": "model"})
    known = looks(["attention", "T"])
    lines = drawn(_model_curves(curves, known, (0, 1), "text_stats")).lines
    assert [(line.get_color(), line.get_marker()) for line in lines] == [known["T"][:2], known["attention"][:2]]
    figure = _legend(known)
    handles = figure.legends[0].legend_handles
    assert [(line.get_color(), line.get_marker()) for line in handles] == [look[:2] for look in known.values()]


def cost_rows(qwk):
    seconds = [0.1, 0.11, 5.0, 0.0][: len(qwk)]
    table = pd.DataFrame({"features": "words", "model": "Ridge", "total_seconds": seconds, "qwk": qwk})
    return table.assign(qwk_low=table["qwk"] - 0.05, qwk_high=table["qwk"] + 0.05)


@pytest.mark.parametrize("qwk", [[0.5, 0.6, 0.7, 0.0], [np.nan, 0.5, 0.4, 0.3], [0.5]])
def test_quality_against_cost_numbers_the_frontier(qwk):
    axes = drawn(_pareto(cost_rows(qwk), ["Taguchi", "other", "other", "baseline"][: len(qwk)]))
    numbers = [text.get_text() for text in axes.texts if text.get_text().isdigit()]
    # What is not shown has no number.
    best = frontier(cost_rows(qwk))
    assert numbers == [str(place) for place in best.loc[best["qwk"] >= max(best["qwk"]) - 0.5, "place"]]
    left_out = [text.get_text() for text in axes.texts if "not shown" in text.get_text()]
    assert left_out == (["1 line below 0.20 not shown"] if 0.0 in qwk else [])


@pytest.mark.parametrize("seconds", [[1.0] * 4, [0.1, 0.11, 0.12, 50.0]], ids=["at once", "nearly at once"])
def test_no_number_of_the_frontier_covers_another_or_a_point(seconds):
    rows = cost_rows([0.5, 0.505, 0.51, 0.52]).assign(total_seconds=np.add(seconds, [0, 1e-6, 2e-6, 3e-6]))
    axes = drawn(_pareto(rows, ["Taguchi", "other", "Taguchi", "baseline"]))
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 6
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    points = axes.transData.transform(rows[["total_seconds", "qwk"]].to_numpy())
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert {text.get_text().partition(",")[0] for text in axes.texts[4:]} == {"best", "cheapest"}


def test_the_sides_of_the_question_are_coloured_and_the_diagonal_lies_on_all():
    names = ["other", "attention", "T", "T(1) on words"]
    bins = pd.DataFrame({"side": names * 2, "predicted": [1.0] * 4 + [5.0] * 4, "true": [2.0] * 4 + [4.0] * 4})
    axes = drawn(_calibration_curves(bins, question=["T", "attention"]))
    *curves, diagonal = axes.lines
    assert len(curves) == 4
    assert axes.get_legend_handles_labels()[1] == ["T", "attention", "other lines"]
    assert [line.get_color() == INK for line in curves] == [False, False, True, True]
    assert diagonal.get_zorder() > max(line.get_zorder() for line in curves)
    assert diagonal.get_xydata().tolist() == [[1, 1], [5, 5]]
    assert [text.get_text() for text in axes.texts] == ["dashed: prediction = truth"]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_any_number_of_calibration_bins_can_be_drawn(n):
    bins = pd.DataFrame({"side": ["T"] * n, "predicted": np.linspace(0, 6, n), "true": np.linspace(1, 5, n)})
    assert len(drawn(_calibration_curves(bins)).lines) == 1 + (n > 0)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["T-method", "combined"], 1),
        (["T(1) on trained_attention+words+text_stats"] * 6, 6),
        (["words+text_stats"] * 13, 7),
    ],
    ids=["short", "long", "many"],
)
def test_the_legend_lies_within_the_picture_and_takes_no_room_from_the_axes(names, rows):
    names = [f"{name}{i}" for i, name in enumerate(names)]
    bins = pd.DataFrame({"side": names, "predicted": 3.0, "true": 3.0})
    axes = drawn(_calibration_curves(bins))
    figure = axes.get_figure()
    figure.draw_without_rendering()
    (legend,) = figure.legends
    where = legend.get_window_extent()
    assert where.x0 >= figure.bbox.x0
    assert where.x1 <= figure.bbox.x1
    assert where.y0 >= figure.bbox.y0
    assert where.y1 <= axes.get_window_extent().y0
    assert axes.get_window_extent().height / figure.dpi > 2.9
    assert len({round(text.get_window_extent().y0) for text in legend.get_texts()}) == rows


def test_what_is_drawn_in_ink_follows_the_scheme():
    svg = _to_svg(side_curves(sides(), crossings(1)), "Curves")
    assert INK not in svg.split("</style>")[1]
    assert "currentColor" in svg
    assert "<text" in svg


def test_points_are_pixels_and_everything_else_is_not():
    stars = pd.Series([1, 2, 3, 4, 5] * 400)
    svg = _to_svg(_predicted_against_true(stars, stars.astype(float), "T"), "Points")
    assert svg.count("<image") == 1
    assert svg.count("<use") < 50


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were():
    import matplotlib

    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        with drawing():
            pass
        assert dict(matplotlib.rcParams) == before
