"""Figures of quality against training reviews and against cost: matplotlib figures without any global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.report.figure import INK
from pipeline.report.plots import BLUE, GREEN, ORANGE, Look, looks, new_figure, rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = [base * 10**power for power in range(7) for base in (1, 3)]
_WIDTH = 310  # points, about, of the axes of a large figure
_SPAN = 0.5  # QWK below the best from which a line is left out of the picture of costs
_FAMILIES = {"Taguchi": (BLUE, "o"), "other": (ORANGE, "s"), "baseline": (GREEN, "^")}


def side_curves(sides: pd.DataFrame, crossovers: pd.DataFrame) -> "Figure":
    """Draw the learning curve of each side with its 95% band, and below it where the lead changes.

    Parameters
    ----------
    sides : DataFrame with columns side, n_train, qwk, qwk_low, qwk_high
    crossovers : DataFrame with columns a, b, n, n_low, n_high, ahead_large
        Rows without `n` are left out: there the lead does not change.
    """
    found = crossovers[crossovers["n"].notna()]
    strip = 0.55 * len(found)
    figure = new_figure(5.1, 4.1 + strip)
    axes, *below = np.atleast_1d(
        figure.subplots(1 + bool(len(found)), sharex=True, height_ratios=[4, strip][: 1 + bool(len(found))])
    )
    for side, look in looks(sides["side"].tolist()).items():
        own = sides[sides["side"] == side].sort_values("n_train")
        axes.fill_between(own["n_train"], own["qwk_low"], own["qwk_high"], color=look.color, alpha=0.13, linewidth=0)
        axes.plot(own["n_train"], own["qwk"], **look._asdict(), label=side, markersize=5)
    _reviews_axis(axes, sides["n_train"])
    axes.set(ylabel="QWK on held-out reviews")
    for strip_axes in below:
        _lead_changes(strip_axes, found)
    (below or [axes])[-1].set_xlabel("training reviews (log scale)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _lead_changes(axes: "Axes", found: pd.DataFrame) -> None:
    for row, line in enumerate(found.to_dict("records")):
        behind = line["b"] if line["ahead_large"] == line["a"] else line["a"]
        axes.plot([line["n_low"], line["n_high"]], [row, row], color=INK, linewidth=2, alpha=0.5)
        axes.plot([line["n"]], [row], color=INK, marker="D", markersize=5)
        text = f"{line['ahead_large']} overtakes {behind} at about {line['n']:.0f}"
        axes.text(0.01, row - 0.4, text, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
    axes.set(ylim=(len(found) - 0.6, -0.75), yticks=[])
    axes.spines["left"].set_visible(False)


def model_curves(curves: pd.DataFrame, look_of: dict[str, Look], limits: tuple[float, float], title: str) -> "Figure":
    """Draw the learning curve of each model on one feature set.

    Parameters
    ----------
    curves : DataFrame with columns model, n_train, qwk
    look_of : dict of str to Look
        The same for every feature set, see `legend`.
    limits : (float, float)
        Ends of the QWK axis, the same for every feature set.
    title : str
    """
    figure = new_figure(4.2, 3.2)
    axes = figure.subplots()
    for model, own in curves.sort_values("n_train").groupby("model", sort=False):
        axes.plot(own["n_train"], own["qwk"], **look_of[str(model)]._asdict(), markersize=4, linewidth=1.3)
    _reviews_axis(axes, curves["n_train"])
    axes.set(xlabel="training reviews (log scale)", ylabel="QWK", ylim=limits)
    axes.set_title(title)
    return figure


def legend(look_of: dict[str, Look]) -> "Figure":
    """Draw which line is which, for figures that share their looks."""
    from matplotlib.lines import Line2D

    figure = new_figure(4.2, 0.3 + 0.22 * len(look_of))
    handles = [Line2D([], [], **look._asdict(), markersize=5, label=name) for name, look in look_of.items()]
    figure.legend(handles=handles, loc="center left", handlelength=4)
    return figure


def _reviews_axis(axes: "Axes", sizes: "pd.Series[int]") -> None:
    """Make a log scale of training reviews with whole numbers on it."""
    low, high = float(sizes.min()) / 1.15, float(sizes.max()) * 1.15
    ticks = [tick for tick in _TICKS if low <= tick <= high] or [int(sizes.min())]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)


def frontier(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the lines that no other line beats in both quality and cost, the cheapest first.

    Examples
    --------
    >>> costs = pd.DataFrame({"total_seconds": [1.0, 2.0, 3.0], "qwk": [0.5, 0.4, 0.8]})
    >>> frontier(costs)["qwk"].tolist()
    [0.5, 0.8]
    """
    ranked = costs[costs["qwk"].notna()].sort_values(["total_seconds", "qwk"], ascending=[True, False])
    return ranked[ranked["qwk"] > ranked["qwk"].cummax().shift(fill_value=-np.inf)]


def pareto(costs: pd.DataFrame, families: Sequence[str]) -> "Figure":
    """Draw quality against the seconds of the whole training, the frontier numbered from its cheapest line.

    Parameters
    ----------
    costs : DataFrame with columns total_seconds, qwk, qwk_low, qwk_high
    families : sequence of str
        Taguchi, other or baseline, one for each row.
    """
    figure = new_figure(5.1, 4.1)
    axes = figure.subplots()
    seconds = costs["total_seconds"].clip(lower=1e-4)
    best = frontier(costs.assign(total_seconds=seconds))
    axes.step(best["total_seconds"], best["qwk"], where="post", color=INK, linewidth=1, alpha=0.6)
    for family, (color, marker) in _FAMILIES.items():
        own = np.array([name == family for name in families], dtype=bool)
        if own.any():
            bars: Any = (costs["qwk"] - costs["qwk_low"])[own], (costs["qwk_high"] - costs["qwk"])[own]
            axes.errorbar(
                seconds[own],
                costs["qwk"][own],
                yerr=np.clip(np.array(bars, dtype=float), 0, None),
                fmt=marker,
                color=color,
                ecolor=(*rgb(color), 0.3),
                elinewidth=1,
                markersize=4.5,
                label=family,
            )
    axes.set_xscale("log")
    axes.set(xlabel="seconds to train from raw texts (log scale)", ylabel="QWK on held-out reviews")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _number(axes, best)
    _leave_out(axes, costs)
    if len(costs):
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _number(axes: "Axes", best: pd.DataFrame) -> None:
    """Write the numbers of the frontier above its points, side by side where these are nearly one."""
    low, high = np.log10(axes.get_xlim())
    places = (np.log10(best["total_seconds"]) - low) / (high - low)
    taken = -1.0
    for number, (place, line) in enumerate(zip(places, best.to_dict("records"), strict=True), start=1):
        taken = max(place, taken + 0.03)
        shift = (taken - place) * _WIDTH
        where = (line["total_seconds"], max(line["qwk"], line["qwk_high"]))
        axes.annotate(str(number), where, (shift, 3), textcoords="offset points", ha="center")


def _leave_out(axes: "Axes", costs: pd.DataFrame) -> None:
    """End the axis where quality is of no interest any more, and say how many lines that leaves out."""
    least = float(costs["qwk"].max()) - _SPAN
    if below := int((costs["qwk"] < least).sum()):
        axes.set_ylim(bottom=least)
        words = f"{below} {'line' if below == 1 else 'lines'} below {least:.2f} not shown"
        axes.text(0.99, 0.02, words, transform=axes.transAxes, ha="right", fontsize=9)
