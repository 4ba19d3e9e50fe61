"""Predictions on held-out reviews: against the true stars, as confusion matrices, and the worst mistakes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.metrics import clip_to_stars, round_to_stars
from pipeline.format import number, split_long
from pipeline.report.figure import BLUE, INK, ORANGE, STARS, Picture, new_figure, picture, rgb
from pipeline.report.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SHOWN = (-0.5, 6.5)


@dataclass(frozen=True)
class Mistake:
    """A held-out review that a side got wrong, its text in two parts of which the first is shown at once."""

    stars: int
    predicted: float
    rounded: int
    text: tuple[str, str]


def worst(results: Results, name: str, n_mistakes: int) -> list[Mistake]:
    """Return the held-out reviews that a line got wrong by most, the worst first.

    A review is wrong if the prediction rounds to another star; by how much is measured after clipping it to 1 to 5.
    """
    texts = results.reviews.set_index("review_id")["text"]
    held_out = results.predictions[["review_id", "stars"]].assign(
        text=results.predictions["review_id"].map(texts).astype(str),
        predicted=results.predictions[name],
        rounded=round_to_stars(results.predictions[name]),
    )
    distance = (clip_to_stars(held_out["predicted"]) - held_out["stars"]).abs()
    wrong = held_out.assign(distance=distance)[held_out["rounded"] != held_out["stars"]]
    return [
        Mistake(row["stars"], row["predicted"], row["rounded"], split_long(row["text"]))
        for row in wrong.sort_values("distance", ascending=False, kind="stable").head(n_mistakes).to_dict("records")
    ]


def pictures(results: Results, n_plots: int) -> Iterator[Picture]:
    """Draw the predictions of the best line of each model, and the confusion matrix of each side."""
    stars = results.predictions["stars"]
    for line in results.metrics.drop_duplicates("model").head(n_plots).to_dict("records"):
        text = (
            f"Predicted against true stars, {line['model']} on {line['features']}: "
            f"QWK {number(line['qwk'])}, MAE {number(line['mae'])} stars."
        )
        title = f"{line['model']}\n{line['features']}"
        figure = _predicted_against_true(stars, results.predictions[line["name"]], title)
        yield picture("predictions", f"predictions_{line['name']}", text, figure)
    for line in results.final.to_dict("records"):
        rounded = round_to_stars(results.predictions[line["name"]])
        exact, near = (float((abs(rounded - stars) <= most).mean()) for most in (0, 1))
        text = (
            f"Confusion matrix of {line['side']}, {line['model']} on {line['features']}: "
            f"{exact:.0%} of the rounded stars are exact, {near:.0%} within one star."
        )
        title = f"{line['side']}: {exact:.0%} exact, {near:.0%} within 1"
        yield picture("confusion", f"confusion_{line['side']}", text, _confusion(stars, rounded, title))


def _predicted_against_true(stars: "pd.Series[int]", predictions: "pd.Series[float]", title: str) -> "Figure":
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
        [shown[stars == star] for star in STARS],
        positions=list(STARS),
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
    axes.set(xlabel="true stars", ylabel="predicted stars", ylim=_SHOWN, xticks=STARS, yticks=range(7))
    axes.grid(visible=False)
    axes.set_title(title)
    return figure


def _confusion(stars: npt.ArrayLike, rounded: npt.ArrayLike, title: str) -> "Figure":
    """Draw how often each true star was predicted as which: shade and percentage are of the row, counts below."""
    y, predicted = np.asarray(stars, dtype=np.int64), np.asarray(rounded, dtype=np.int64)
    counts = np.zeros((len(STARS), len(STARS)), dtype=np.int64)
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
    axes.set(xlim=(0.5, 5.5), ylim=(5.5, 0.5), xticks=STARS, yticks=STARS, aspect="equal")
    axes.set(xlabel="predicted stars, rounded", ylabel="true stars")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_title(title)
    return figure


def _square(corner: tuple[float, float], alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor=(*rgb(BLUE), alpha), edgecolor=(*rgb(INK), 0.2), linewidth=0.8)
