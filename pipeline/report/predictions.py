"""Predictions on held-out reviews: against the true stars, as confusion matrices, and the worst mistakes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.metrics import confusion_matrix

from pipeline.evaluation.metrics import clip_to_stars, round_to_stars
from pipeline.format import number, split_long
from pipeline.report.figure import BLUE, INK, ORANGE, STARS, Picture, new_axes, picture
from pipeline.report.results import Results
from pipeline.report.table import LINE

_SHOWN = (-0.5, 6.5)


def worst(results: Results, name: str, n_mistakes: int) -> list[Any]:
    """Return the held-out reviews that a line got wrong by most, the worst first.

    A review is wrong if the prediction rounds to another star; by how much is measured after clipping it to 1 to 5.

    Returns
    -------
    list of named tuples
        With stars, predicted, rounded, and text: its two parts, of which the first is shown at once.
    """
    texts = results.reviews.set_index("review_id")["text"]
    held_out = results.predictions[["review_id", "stars"]].assign(predicted=results.predictions[name])
    held_out["rounded"] = round_to_stars(held_out["predicted"])
    held_out["text"] = held_out["review_id"].map(texts).astype(str).map(split_long)
    held_out["distance"] = (clip_to_stars(held_out["predicted"]) - held_out["stars"]).abs()
    wrong = held_out[held_out["rounded"] != held_out["stars"]]
    worst_first = wrong.sort_values("distance", ascending=False, kind="stable")
    return list(worst_first.head(n_mistakes).itertuples(index=False))


def pictures(results: Results, n_plots: int) -> Iterator[Picture]:
    """Draw the predictions of the best line of each model, and the confusion matrix of each side."""
    stars = results.predictions["stars"]
    for line in results.metrics.drop_duplicates("model").head(n_plots).to_dict("records"):
        measured = f"QWK {number(line['qwk'])}, MAE {number(line['mae'])} stars"
        text = f"Predicted against true stars, {LINE(line)}: {measured}."
        title = f"{line['model']}\n{line['features']}"
        figure = _predicted_against_true(stars, results.predictions[line["name"]], title)
        yield picture("predictions", f"predictions_{line['name']}", text, figure)
    for line in results.final.to_dict("records"):
        rounded = round_to_stars(results.predictions[line["name"]])
        exact, near = (float((abs(rounded - stars) <= most).mean()) for most in (0, 1))
        found = f"{exact:.0%} of the rounded stars are exact, {near:.0%} within one star"
        text = f"Confusion matrix of {line['side']}, {LINE(line)}: {found}."
        title = f"{line['side']}: {exact:.0%} exact, {near:.0%} within 1"
        yield picture("confusion", f"confusion_{line['side']}", text, _confusion(stars, rounded, title))


def _predicted_against_true(stars: "pd.Series[int]", predictions: "pd.Series[float]", title: str) -> Figure:
    """Draw the raw predictions of each true star as points and a box; what lies outside sits on the edge."""
    figure, axes = new_axes(4.2, 3.5, title)
    shown = predictions.clip(*_SHOWN)
    spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(stars))
    alpha = min(1, 60 / len(stars) ** 0.75 + 0.1)
    axes.plot([1, 5], [1, 5], color=INK, alpha=0.5, linewidth=1, zorder=1)
    axes.scatter(stars + spread, shown, s=6, alpha=alpha, color=BLUE, linewidths=0, rasterized=True)
    by_star = [shown[stars == star] for star in STARS]
    look: Any = {part: {"color": INK} for part in ("boxprops", "whiskerprops", "capprops")}
    look["medianprops"] = {"color": ORANGE, "linewidth": 2}
    axes.boxplot(by_star, positions=list(STARS), widths=0.5, showfliers=False, manage_ticks=False, **look)
    for low, high in ((_SHOWN[0], 1), (5, _SHOWN[1])):
        axes.axhspan(low, high, color=INK, alpha=0.08, linewidth=0)
    axes.set(xlabel="true stars", ylabel="predicted stars", ylim=_SHOWN, xticks=STARS, yticks=range(7))
    axes.grid(visible=False)
    return figure


def _confusion(stars: npt.ArrayLike, rounded: npt.ArrayLike, title: str) -> Figure:
    """Draw how often each true star was predicted as which: shade and percentage are of the row, counts below."""
    counts = confusion_matrix(stars, rounded, labels=STARS)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = new_axes(3.9, 3.7, title)
    edge = (*to_rgb(INK), 0.2)
    for (row, column), share in np.ndenumerate(shares):
        # Never so deep that the text on it, which is light or dark with the scheme, is lost.
        fill = (*to_rgb(BLUE), 0.55 * share)
        axes.add_patch(Rectangle((column + 0.5, row + 0.5), 1, 1, facecolor=fill, edgecolor=edge, linewidth=0.8))
        if counts[row, column]:
            axes.text(column + 1, row + 0.9, f"{share:.0%}", ha="center", va="center")
            axes.text(column + 1, row + 1.22, str(counts[row, column]), ha="center", va="center", fontsize=8)
    axes.set(xlim=(0.5, 5.5), ylim=(5.5, 0.5), xticks=STARS, yticks=STARS, aspect="equal")
    axes.set(xlabel="predicted stars, rounded", ylabel="true stars")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure
