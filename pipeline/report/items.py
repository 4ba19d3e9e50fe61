"""The strongest items of the best T-methods."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.report.figure import BLUE, ORANGE, Picture, new_figure, picture
from pipeline.report.results import Results, lines_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _item_lines(results: Results) -> list[tuple[dict[Any, Any], pd.DataFrame]]:
    """Return the items of the best T-method, and of the best one on text statistics, which are easiest to read.

    Returns
    -------
    list of (line of the leaderboard, its items sorted by S/N ratio)
    """
    items = results.items
    t_methods = results.metrics[results.metrics["model"].isin(items["model"].unique())]
    plain = {name for name, config in results.feature_configs.items() if config["transformer"] == "TextStats"}
    parts = [results.lines[line]["parts"] for line in lines_of(t_methods)]
    on_plain = [bool(names) and plain.issuperset(names) for names in parts]
    chosen = pd.concat([t_methods.head(1), t_methods[on_plain].head(1)]).drop_duplicates("name")
    tables = []
    for line in chosen.to_dict("records"):
        of_line = (items["features"] == line["features"]) & (items["model"] == line["model"]) & (items["eta"] > 0)
        tables.append((line, items[of_line].sort_values("eta", ascending=False)))
    return tables


def pictures(results: Results, n_items: int) -> Iterator[Picture]:
    """Draw the strongest items of each of these lines."""
    for line, items in _item_lines(results):
        first = ", ".join(items["item"].head(3)) or "none"
        text = f"S/N ratio in dB of the strongest items of {line['model']} on {line['features']}; first come {first}."
        figure = _strongest_items(items.head(n_items), f"{line['model']} on {line['features']}")
        yield picture("items", f"items_{line['name']}", text, figure)


def _strongest_items(items: pd.DataFrame, title: str) -> "Figure":
    """Draw the S/N ratio of items in dB, the strongest on top, coloured and hatched by the sign of the sensitivity."""
    figure = new_figure(5.4, 1.3 + 0.27 * max(len(items), 3))
    axes = figure.subplots()
    floor = float(np.floor(items["sn_db"].min() - 1)) if len(items) else 0.0
    position = np.arange(len(items))
    for sign, color, hatch, label in ((1, BLUE, "", "more stars"), (-1, ORANGE, "///", "fewer stars")):
        of_sign = (np.sign(items["beta"]) == sign).to_numpy()
        width = items["sn_db"][of_sign] - floor
        axes.barh(position[of_sign], width, left=floor, color=color, hatch=hatch, label=f"grows with {label}")
    axes.set_yticks(position, items["item"].tolist())
    axes.set_ylim(max(len(items), 1) - 0.4, -0.6)
    axes.set(xlabel="S/N ratio in dB", xlim=(floor, None))
    axes.grid(visible=False, axis="y")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
