"""The strongest items of the best T-methods."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.report.figure import BLUE, ORANGE, Picture, new_axes, picture
from pipeline.report.results import Results, lines_of, of_line
from pipeline.report.table import LINE


def _item_lines(results: Results) -> list[tuple[dict[Any, Any], pd.DataFrame]]:
    """Return the items of the best T-method, and of the best one on text statistics, which are easiest to read.

    Returns
    -------
    list of (line of the leaderboard, its items sorted by S/N ratio)
    """
    t_methods = results.metrics[results.metrics["model"].isin(results.items["model"].unique())]
    plain = {name for name, config in results.feature_configs.items() if config["transformer"] == "TextStats"}
    parts = [results.lines[line]["parts"] for line in lines_of(t_methods)]
    on_plain = [bool(names) and plain.issuperset(names) for names in parts]
    chosen = pd.concat([t_methods.head(1), t_methods[on_plain].head(1)]).drop_duplicates("name")
    items = results.items[results.items["eta"] > 0]
    of_chosen = [of_line(items, line).sort_values("eta", ascending=False) for line in lines_of(chosen)]
    return list(zip(chosen.to_dict("records"), of_chosen, strict=True))


def pictures(results: Results, n_items: int) -> Iterator[Picture]:
    """Draw the strongest items of each of these lines."""
    for line, items in _item_lines(results):
        first = ", ".join(items["item"].head(3)) or "none"
        text = f"S/N ratio in dB of the strongest items of {LINE(line)}; first come {first}."
        yield picture("items", f"items_{line['name']}", text, _strongest_items(items.head(n_items), LINE(line)))


def _strongest_items(items: pd.DataFrame, title: str) -> Figure:
    """Draw the S/N ratio of items in dB, the strongest on top, coloured and hatched by the sign of the sensitivity."""
    figure, axes = new_axes(5.4, 1.3 + 0.27 * max(len(items), 3), title)
    floor = float(np.floor(items["sn_db"].min() - 1)) if len(items) else 0.0
    position = np.arange(len(items))
    for sign, color, hatch, label in ((1, BLUE, "", "more stars"), (-1, ORANGE, "///", "fewer stars")):
        of_sign = (np.sign(items["beta"]) == sign).to_numpy()
        width = items["sn_db"][of_sign] - floor
        axes.barh(position[of_sign], width, left=floor, color=color, hatch=hatch, label=f"grows with {label}")
    axes.set_yticks(position, items["item"].tolist())
    axes.set(xlabel="S/N ratio in dB", xlim=(floor, None), ylim=(max(len(items), 1) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
