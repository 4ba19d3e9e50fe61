"""Figures of the report: matplotlib figures without any global state."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#8a8a8a"
_SHOWN = (-0.5, 6.5)


def predicted_against_true(stars: "pd.Series[int]", predictions: "pd.Series[float]", title: str) -> "Figure":
    """Draw the raw predictions of each true star as points and a box; what lies outside sits on the edge."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.subplots()
    shown = predictions.clip(*_SHOWN)
    spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(stars))
    axes.plot([1, 5], [1, 5], color=_GREY, linewidth=1, zorder=1)
    axes.scatter(stars + spread, shown, s=6, alpha=min(1, 60 / len(stars) ** 0.75 + 0.1), color=_BLUE, linewidths=0)
    groups = [shown[stars == star] for star in range(1, 6)]
    axes.boxplot(
        groups,
        positions=range(1, 6),
        widths=0.5,
        showfliers=False,
        manage_ticks=False,
        medianprops={"color": _ORANGE, "linewidth": 2},
    )
    axes.axhspan(_SHOWN[0], 1, color=_GREY, alpha=0.12, linewidth=0)
    axes.axhspan(5, _SHOWN[1], color=_GREY, alpha=0.12, linewidth=0)
    axes.set(xlabel="true stars", ylabel="predicted stars", ylim=_SHOWN, xticks=range(1, 6), yticks=range(7))
    axes.set_title(title.replace(": ", "\n"), fontsize=9)
    return figure


def strongest_items(items: "pd.DataFrame", title: str) -> "Figure":
    """Draw the S/N ratio of items in dB, the strongest on top, coloured by the sign of the sensitivity."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.9 + 0.27 * max(len(items), 3)), layout="constrained")
    axes = figure.subplots()
    floor = float(np.floor(items["sn_db"].min() - 1)) if len(items) else 0.0
    position = np.arange(len(items))
    for sign, color, label in ((1, _BLUE, "more stars"), (-1, _ORANGE, "fewer stars")):
        own = (np.sign(items["beta"]) == sign).to_numpy()
        axes.barh(position[own], items["sn_db"][own] - floor, left=floor, color=color, label=f"grows with {label}")
    axes.set_yticks(position, items["item"].tolist(), fontsize=8)
    axes.set_ylim(max(len(items), 1) - 0.4, -0.6)
    axes.set(xlabel="S/N ratio in dB", xlim=(floor, None))
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    return figure
