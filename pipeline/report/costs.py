"""Quality against cost: the frontier, its figure, and what each line costs."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pipeline.format import short
from pipeline.report.figure import BLUE, GREEN, INK, ORANGE, Picture, new_axes, picture
from pipeline.report.results import Results, lines_of
from pipeline.report.table import LINE, QWK, Cell, Table, cell, long_table

_WIDTH = 310  # points, about, of the axes of a large figure
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
    cells = {**_CELLS, "line": "{place}. {model} on {features}".format_map}
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

    Parameters
    ----------
    costs : DataFrame with columns total_seconds, qwk, qwk_low, qwk_high
    families : sequence of str
        Taguchi, other or baseline, one for each row.
    """
    figure, axes = new_axes(5.1, 4.1)
    costs = costs.assign(total_seconds=costs["total_seconds"].clip(lower=1e-4), family=list(families))
    best = frontier(costs)
    axes.step(best["total_seconds"], best["qwk"], where="post", color=INK, linewidth=1, alpha=0.6)
    for family, (color, marker) in _FAMILIES.items():
        lines = costs[costs["family"] == family]
        if len(lines):
            points: Any = {"fmt": marker, "color": color, "markersize": 4.5, "label": family}
            bars: Any = {"ecolor": (*to_rgb(color), 0.3), "elinewidth": 1}
            below, above = lines["qwk"] - lines["qwk_low"], lines["qwk_high"] - lines["qwk"]
            yerr = [below.clip(lower=0), above.clip(lower=0)]
            axes.errorbar(lines["total_seconds"], lines["qwk"], yerr, **points, **bars)
    axes.set(xscale="log", xlabel="seconds to train from raw texts (log scale)", ylabel="QWK on held-out reviews")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _number(axes, best)
    _leave_out(axes, costs)
    if len(costs):
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _number(axes: Axes, best: pd.DataFrame) -> None:
    """Write the numbers of the frontier above its points, side by side where these are nearly one."""
    low, high = np.log10(axes.get_xlim())
    places = (np.log10(best["total_seconds"]) - low) / (high - low)
    taken = -1.0
    for place, line in zip(places, best.to_dict("records"), strict=True):
        taken = max(place, taken + 0.03)
        shift = (taken - place) * _WIDTH
        where = (line["total_seconds"], max(line["qwk"], line["qwk_high"]))
        axes.annotate(str(line["place"]), where, (shift, 3), textcoords="offset points", ha="center")


def _leave_out(axes: Axes, costs: pd.DataFrame) -> None:
    """Leave out lines far below the best one, and write how many they are."""
    least = float(costs["qwk"].max()) - _SPAN
    if below := int((costs["qwk"] < least).sum()):
        axes.set_ylim(bottom=least)
        words = f"{below} {'line' if below == 1 else 'lines'} below {least:.2f} not shown"
        axes.text(0.99, 0.02, words, transform=axes.transAxes, ha="right", fontsize=9)
