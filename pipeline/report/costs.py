"""Quality against cost: the frontier, its figure, and what each line costs."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from pipeline.format import short
from pipeline.report.figure import BLUE, GREEN, INK, ORANGE, Picture, new_axes, picture
from pipeline.report.results import Results, lines_of
from pipeline.report.table import LINE, QWK, Cell, Table, cell, long_table

# Shifts of a label from its point in points, the nearest first: to the upper left nothing is better and cheaper.
_BESIDE = [
    (distance * float(np.cos(angle)), distance * float(np.sin(angle)))
    for distance in (9, 14, 20, 27, 35, 44, 54, 65, 80)
    for angle in np.radians([135, 160, 110, 175, 95, 60])
]
_ABOVE = [(x, y) for y in (14, 24, 36, 50, 70, 95, 0, -20, -40, -70) for x in (-14, -40, -80, 14, 40, -120, 80)]
_SPAN = 0.5  # QWK below the best from which a line is left out of the picture of costs
_FAMILIES = {"Taguchi": (BLUE, "o"), "other": (ORANGE, "s"), "baseline": (GREEN, "^")}
_CELLS: dict[str, Cell] = {
    "line": LINE,
    "QWK (95%)": QWK,
    **{f"{part} s": cell(short, f"{part}_seconds") for part in ("total", "encode", "learn", "fit")},
    "predict, µs a review": cell(short, "predict_us"),
    "peak MB": cell(short, "peak_mb"),
}


def frontier(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the lines that no other line beats in quality and cost, the cheapest first, with their place from 1 on.

    Examples
    --------
    >>> costs = pd.DataFrame({"total_seconds": [1.0, 2.0, 3.0], "qwk": [0.5, 0.4, 0.8]})
    >>> frontier(costs)[["place", "qwk"]].values.tolist()
    [[1.0, 0.5], [2.0, 0.8]]
    """
    ranked = costs[costs["qwk"].notna()].sort_values(["total_seconds", "qwk"], ascending=[True, False])
    best = ranked[ranked["qwk"] > ranked["qwk"].cummax().shift(fill_value=-np.inf)]
    return best.assign(place=range(1, len(best) + 1))


def line_costs(costs: pd.DataFrame, caption: str) -> Table:
    """Return what each line costs, in the order given."""
    return long_table(caption, costs, _CELLS)


def frontier_table(costs: pd.DataFrame) -> Table:
    """Return the lines on the frontier of quality and cost, numbered as in the figure."""
    names = ("line", "QWK (95%)", "total s", "predict, µs a review")
    cells = {name: _CELLS[name] for name in names} | {"line": "{place}. {model} on {features}".format_map}
    return long_table("The frontier: no other line is both better and cheaper", frontier(costs), cells)


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the quality of all lines against their cost."""
    costs = results.costs
    families = [results.family(line) for line in lines_of(costs)]
    step = "{place}. {model} on {features}, {total_seconds:.3g} s, QWK {qwk:.2f}"
    steps = "; ".join(step.format_map(line) for line in frontier(costs).to_dict("records"))
    text = f"QWK against seconds of training for {len(costs)} lines. On the frontier: {steps or 'none'}."
    yield picture("pareto", "pareto", text, _pareto(costs, families))


def _pareto(costs: pd.DataFrame, families: Sequence[str]) -> Figure:
    """Draw quality against the seconds of the whole training, the frontier numbered from its cheapest line.

    Lines far below the best one are left out; only those on the frontier have their interval drawn.

    Parameters
    ----------
    costs : DataFrame with columns features, model, total_seconds, qwk, qwk_low, qwk_high
    families : sequence of str
        Taguchi, other or baseline, one for each row.
    """
    figure, axes = new_axes(5.1, 4.1)
    costs = costs.assign(total_seconds=costs["total_seconds"].clip(lower=1e-4), family=list(families))
    least = float(costs["qwk"].max()) - _SPAN
    shown, best = costs[costs["qwk"] >= least], frontier(costs)
    best = best[best["qwk"] >= least]
    axes.step(best["total_seconds"], best["qwk"], where="post", color=INK, linewidth=1, alpha=0.6)
    for family, (color, marker) in _FAMILIES.items():
        lines, leading = (table[table["family"] == family] for table in (shown, best))
        if len(lines):
            look: Any = {"color": color, "marker": marker, "linestyle": "none", "label": family}
            axes.plot(lines["total_seconds"], lines["qwk"], markersize=4, alpha=0.45, markeredgewidth=0, **look)
            axes.plot(leading["total_seconds"], leading["qwk"], markersize=5.5, **{**look, "label": None})
            whiskers = leading["total_seconds"], leading["qwk_low"], leading["qwk_high"]
            axes.vlines(*whiskers, color=color, alpha=0.35, linewidth=1)
    axes.set(xscale="log", xlabel="seconds to train from raw texts (log scale)", ylabel="QWK on held-out reviews")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if below := len(costs) - len(shown) - int(costs["qwk"].isna().sum()):
        words = f"{below} {'line' if below == 1 else 'lines'} below {least:.2f} not shown"
        axes.text(0.99, 0.02, words, transform=axes.transAxes, ha="right", fontsize=9)
    if len(costs):
        for handle in figure.legend(loc="outside lower center", ncols=3).legend_handles:
            cast(Artist, handle).set_alpha(1)
        # Room for the labels, which stand where nothing is better and cheaper.
        axes.margins(x=0.12, y=0.22)
        figure.draw_without_rendering()
        _label(axes, best, shown)
    return figure


def _label(axes: Axes, best: pd.DataFrame, shown: pd.DataFrame) -> None:
    """Write the numbers of the frontier beside its points, and what the cheapest and the best line are."""
    points = axes.transData.transform(shown[["total_seconds", "qwk"]].to_numpy(float))
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in points]
    taken += [text.get_window_extent() for text in axes.texts]
    for line in best.to_dict("records"):
        _place(axes, str(line["place"]), line, _BESIDE, taken)
    ends = best.iloc[[-1, 0]] if len(best) > 1 else best
    for name, line in zip(("best", "cheapest"), ends.to_dict("records"), strict=False):
        what = f"{line['model']}\non {line['features']}"
        _place(axes, f"{name}, {short(line['total_seconds'])} s:\n{what}", line, _ABOVE, taken)


def _place(
    axes: Axes, text: str, line: dict[Any, Any], shifts: Sequence[tuple[float, float]], taken: list[Bbox]
) -> None:
    """Write a text near the point of a line, at the first shift where it meets least; what it takes is added."""
    arrow = {"arrowstyle": "-", "color": INK, "alpha": 0.5, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    look: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9, "arrowprops": arrow}

    def write(shift: tuple[float, float]) -> Annotation:
        where = (line["total_seconds"], line["qwk"])
        label = axes.annotate(text, where, shift, ha="right" if shift[0] < 0 else "left", **look)
        # Else the axes would shrink to make room for it.
        label.set_in_layout(False)
        return label

    def meets(shift: tuple[float, float]) -> int:
        label = write(shift)
        box, room = _extent(label), axes.bbox
        label.remove()
        inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
        return len(taken) * (not inside) + box.count_overlaps(taken)

    free = next((shift for shift in shifts if not meets(shift)), None)
    taken.append(_extent(write(free or min(shifts, key=meets))))


def _extent(label: Annotation) -> Bbox:
    # Only the extent with its arrow moves the text to its place.
    label.get_window_extent()
    return Text.get_window_extent(label).padded(3)
