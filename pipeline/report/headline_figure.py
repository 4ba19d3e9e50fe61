"""The picture of the answer: by how much the two sides of the question differ, by training reviews."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.evaluation.verdict import sure_leads
from pipeline.format import cut, interval
from pipeline.report.figure import BLUE, INK, ORANGE, Picture, legend_below, new_axes, picture
from pipeline.report.live import hint_bands
from pipeline.report.phrases import spans
from pipeline.report.results import Results
from pipeline.report.table import cell

_WIDEST = 40  # columns of a side's name
_AXIS = 56  # characters that fit below the axis


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the first contrast."""
    contrasts = results.contrasts
    a, b = contrasts.iloc[0][["a", "b"]]
    at = contrasts[(contrasts["a"] == a) & (contrasts["b"] == b)].sort_values("n_train")
    leads = {ahead: sizes for ahead, _, sizes in sure_leads(at, results.n_held_out)}
    measured = at["n_train"].tolist()
    sure = [f"{side} is surely ahead with {spans(sizes, measured, measured[-1])}" for side, sizes in leads.items()]
    shown = cell(interval, "difference", "low", "high", sign=True)
    values = "; ".join(f"{row['n_train']:,} reviews {shown(row)}" for row in at.to_dict("records"))
    text = (
        f"{', and '.join(sure) or 'Neither side is surely ahead at any size'}. "
        f"Agreement of {a} minus {b}, with 95% intervals, by training reviews: {values}."
    )
    yield picture("headline", "headline", text, _differences(at, leads, len(contrasts)))


def _values(at: pd.DataFrame, leads: dict[str, list[int]]) -> list[str]:
    """Return what a reader who points at a size is told."""
    ahead = {size: side for side, sizes in leads.items() for size in sizes}
    shown = cell(interval, "difference", "low", "high", sign=True)
    return [
        f"{row['n_train']:,} reviews\ndifference {shown(row)}, "
        + (f"{ahead[row['n_train']]} surely ahead" if row["n_train"] in ahead else "could be chance")
        for row in at.to_dict("records")
    ]


def _differences(at: pd.DataFrame, leads: dict[str, list[int]], n_comparisons: int) -> Figure:
    """Draw the differences with their intervals; what is sure differs in colour and shape, and is filled.

    Parameters
    ----------
    at : DataFrame with columns a, b, n_train, difference, low, high
        One contrast, in ascending order of sizes, which stand side by side: on a log scale the largest would overlap.
    leads : dict of str to list of int
        At which sizes a side is surely ahead.
    n_comparisons : int
        For how many comparisons the p-values are corrected.
    """
    figure, axes = new_axes(4.6, 2.2)
    a, b = at.iloc[0][["a", "b"]]
    above, below = (cut(side, _WIDEST) for side in (a, b))
    axes.axhline(0, color=INK, linewidth=1)
    at = at.assign(place=range(len(at)))
    for_a, for_b = (at["n_train"].isin(leads.get(side, [])) for side in (a, b))
    unsure = at[~for_a & ~for_b]
    chance = "could be chance"
    if ((unsure["low"] > 0) | (unsure["high"] < 0)).any():
        chance += f", as {n_comparisons} comparisons were made"
    for rows, color, marker, face, label in (
        (at[for_a], BLUE, "^", BLUE, f"{above} surely ahead"),
        (at[for_b], ORANGE, "v", ORANGE, f"{below} surely ahead"),
        (unsure, INK, "o", "none", chance),
    ):
        if len(rows):
            axes.vlines(rows["place"], rows["low"], rows["high"], color=color, linewidth=1.8)
            look: Any = {"color": color, "marker": marker, "markerfacecolor": face, "markersize": 8}
            axes.plot(rows["place"], rows["difference"], label=label, linestyle="none", **look)
    low, high = min(0.0, at["low"].min()), max(0.0, at["high"].max())
    # Room for the names of the halves, clear of every bar.
    room = 0.22 * (high - low) or 0.1
    axes.set(ylim=(low - room, high + room), xlim=(-0.5, len(at) - 0.5))
    hint_bands(axes, at["place"].tolist(), _values(at, leads))
    corner: dict[str, Any] = {"x": 0.99, "transform": axes.transAxes, "ha": "right", "fontsize": 11}
    axes.text(**corner, y=0.98, s=f"{above} ahead ↑", va="top")
    axes.text(**corner, y=0.02, s=f"{below} ahead ↓", va="bottom")
    step = math.ceil(len(at) / (_AXIS // (len(str(at["n_train"].max())) + 1)))
    # The last size is named whatever the step.
    named = at[::-1][::step]
    axes.set_xticks(named["place"].tolist(), named["n_train"].astype(str).tolist(), fontsize=9)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="training reviews (bars: 95% intervals)", ylabel="difference in\nagreement")
    legend_below(figure, axes)
    return figure
