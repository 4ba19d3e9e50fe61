"""Figures of predictions and items: matplotlib figures without any global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.report.figure import INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is lost on white.
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER, INK)
_MARKERS = "osD^vPX*<>"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (6, 2, 1.2, 2)))
_SHOWN = (-0.5, 6.5)
_STARS = range(1, 6)


class Look(NamedTuple):
    """How a line is drawn: colour, marker and dashes all differ, so that colour is never the only cue."""

    color: str
    marker: str
    linestyle: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name, the same in every figure that is given the same names.

    Examples
    --------
    >>> looks(["T-method", "attention"])["attention"].marker
    's'
    """
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, name in enumerate(dict.fromkeys(names))
    }


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of that size in inches, which makes room for its labels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def rgb(colour: str) -> tuple[float, float, float]:
    """Return a colour as red, green and blue from 0 to 1, to which a share of opacity can be added."""
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def predicted_against_true(stars: "pd.Series[int]", predictions: "pd.Series[float]", title: str) -> "Figure":
    """Draw the raw predictions of each true star as points and a box; what lies outside sits on the edge."""
    figure = new_figure(4.2, 3.5)
    axes = figure.subplots()
    shown = predictions.clip(*_SHOWN)
    spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(stars))
    alpha = min(1, 60 / len(stars) ** 0.75 + 0.1)
    axes.plot([1, 5], [1, 5], color=INK, alpha=0.5, linewidth=1, zorder=1)
    axes.scatter(stars + spread, shown, s=6, alpha=alpha, color=BLUE, linewidths=0, rasterized=True)
    line = {"color": INK}
    axes.boxplot(
        [shown[stars == star] for star in _STARS],
        positions=list(_STARS),
        widths=0.5,
        showfliers=False,
        manage_ticks=False,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops={"color": ORANGE, "linewidth": 2},
    )
    for low, high in ((_SHOWN[0], 1), (5, _SHOWN[1])):
        axes.axhspan(low, high, color=INK, alpha=0.08, linewidth=0)
    axes.set(xlabel="true stars", ylabel="predicted stars", ylim=_SHOWN, xticks=_STARS, yticks=range(7))
    axes.grid(visible=False)
    axes.set_title(title)
    return figure


def strongest_items(items: "pd.DataFrame", title: str) -> "Figure":
    """Draw the S/N ratio of items in dB, the strongest on top, coloured and hatched by the sign of the sensitivity."""
    figure = new_figure(5.4, 1.3 + 0.27 * max(len(items), 3))
    axes = figure.subplots()
    floor = float(np.floor(items["sn_db"].min() - 1)) if len(items) else 0.0
    position = np.arange(len(items))
    for sign, color, hatch, label in ((1, BLUE, "", "more stars"), (-1, ORANGE, "///", "fewer stars")):
        own = (np.sign(items["beta"]) == sign).to_numpy()
        width = items["sn_db"][own] - floor
        axes.barh(position[own], width, left=floor, color=color, hatch=hatch, label=f"grows with {label}")
    axes.set_yticks(position, items["item"].tolist())
    axes.set_ylim(max(len(items), 1) - 0.4, -0.6)
    axes.set(xlabel="S/N ratio in dB", xlim=(floor, None))
    axes.grid(visible=False, axis="y")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def confusion(stars: npt.ArrayLike, rounded: npt.ArrayLike, title: str) -> "Figure":
    """Draw how often each true star was predicted as which: shade and percentage are of the row, counts below."""
    y, predicted = np.asarray(stars, dtype=np.int64), np.asarray(rounded, dtype=np.int64)
    counts = np.zeros((len(_STARS), len(_STARS)), dtype=np.int64)
    np.add.at(counts, (y - 1, predicted - 1), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(3.9, 3.7)
    axes = figure.subplots()
    for (row, column), share in np.ndenumerate(shares):
        corner = (column + 0.5, row + 0.5)
        # Never so deep that the text on it, which is light or dark with the scheme, is lost.
        axes.add_patch(_square(corner, 0.55 * share))
        if counts[row, column]:
            axes.text(column + 1, row + 0.9, f"{share:.0%}", ha="center", va="center")
            axes.text(column + 1, row + 1.22, str(counts[row, column]), ha="center", va="center", fontsize=8)
    axes.set(xlim=(0.5, 5.5), ylim=(5.5, 0.5), xticks=_STARS, yticks=_STARS, aspect="equal")
    axes.set(xlabel="predicted stars, rounded", ylabel="true stars")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_title(title)
    return figure


def _square(corner: tuple[float, float], alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor=(*rgb(BLUE), alpha), edgecolor=(*rgb(INK), 0.2), linewidth=0.8)


def calibration(bins: "pd.DataFrame") -> "Figure":
    """Draw the mean true star of reviews with about the same prediction, a line for each side.

    Parameters
    ----------
    bins : DataFrame with columns side, predicted, true
    """
    figure = new_figure(5.1, 4.4)
    axes = figure.subplots()
    axes.plot([1, 5], [1, 5], color=INK, alpha=0.5, linewidth=1)
    for side, look in looks(bins["side"].tolist()).items():
        own = bins[bins["side"] == side].sort_values("predicted")
        axes.plot(own["predicted"], own["true"], **look._asdict(), label=side, markersize=5)
    axes.set(xlabel="mean predicted stars, raw", ylabel="mean true stars", ylim=(0.8, 5.2), yticks=_STARS)
    if len(bins):
        figure.legend(loc="outside lower center", ncols=3)
    return figure
