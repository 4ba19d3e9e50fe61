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

from pipeline.format import listed, number, split_long
from pipeline.report.figure import BLUE, INK, ORANGE, Picture, new_axes, picture, star_ticks
from pipeline.report.results import Results
from pipeline.report.table import LINE
from pipeline.scale import FIVE_STARS, Scale

_OUTSIDE = 0.375  # of the scale, shown above and below it
_BOTH = 11  # values of a scale up to which a cell of the confusion matrix holds percentage and count


def worst(results: Results, name: str, n_mistakes: int) -> list[Any]:
    """Return the held-out reviews that a line got wrong by most, the worst first.

    A review is wrong if the prediction rounds to another star; by how much is measured after clipping it to the scale.

    Returns
    -------
    list of named tuples
        With stars, predicted, rounded, and text: its two parts, of which the first is shown at once.
    """
    scale, texts = results.scale, results.reviews.set_index("review_id")["text"]
    held_out = results.predictions[["review_id", "stars"]].assign(predicted=results.predictions[name])
    held_out["rounded"] = scale.round(held_out["predicted"])
    held_out["text"] = held_out["review_id"].map(texts).astype(str).map(split_long)
    held_out["distance"] = (scale.clip(held_out["predicted"]) - held_out["stars"]).abs()
    wrong = held_out[held_out["rounded"] != held_out["stars"]]
    worst_first = wrong.sort_values("distance", ascending=False, kind="stable")
    return list(worst_first.head(n_mistakes).itertuples(index=False))


def by_line(sides: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each line in place of one for each side; sides that chose the same line are named together.

    Examples
    --------
    >>> by_line(pd.DataFrame({"side": ["T", "A", "both"], "name": ["x", "y", "x"]}))["side"].tolist()
    ['T and both', 'A']
    """
    names = sides.groupby("name")["side"].agg(lambda found: listed(found.tolist()))
    return sides.drop_duplicates("name").assign(side=lambda first: first["name"].map(names))


def pictures(results: Results, n_plots: int, sides: pd.DataFrame) -> Iterator[Picture]:
    """Draw the predictions of the best line of each model, and the confusion matrix of the line of each side."""
    stars, scale = results.predictions["stars"], results.scale
    step = "one star" if scale.step == 1 else f"{scale.step:g} stars"
    for line in results.metrics.drop_duplicates("model").head(n_plots).to_dict("records"):
        measured = f"QWK {number(line['qwk'])}, MAE {number(line['mae'])} stars"
        text = f"Predicted against true stars, {LINE(line)}: {measured}."
        title = f"{line['model']}\n{line['features']}"
        figure = _predicted_against_true(stars, results.predictions[line["name"]], title, scale)
        yield picture("predictions", f"predictions_{line['name']}", text, figure)
    for line in sides.to_dict("records"):
        predicted = results.predictions[line["name"]]
        wrong_by = abs(scale.position(predicted) - scale.position(stars))
        exact, near = (float((wrong_by <= most).mean()) for most in (0, 1))
        found = f"{exact:.0%} of the rounded stars are exact, {near:.0%} within {step}"
        text = f"Confusion matrix of {line['side']}, {LINE(line)}: {found}."
        title = f"{line['side']}\n{exact:.0%} exact, {near:.0%} within {scale.step:g}"
        yield picture("confusion", f"confusion_{line['side']}", text, _confusion(stars, predicted, title, scale))


def _predicted_against_true(
    stars: "pd.Series[float]", predictions: "pd.Series[float]", title: str, scale: Scale = FIVE_STARS
) -> Figure:
    """Draw the raw predictions of each true star as points and a box; what lies outside sits on the edge."""
    figure, axes = new_axes(4.2, 3.5, title)
    low, high = scale.low, scale.high
    limits = low - _OUTSIDE * (high - low), high + _OUTSIDE * (high - low)
    shown = predictions.clip(*limits)
    spread = scale.step * np.random.default_rng(0).uniform(-0.3, 0.3, len(stars))
    alpha = min(1, 60 / len(stars) ** 0.75 + 0.1)
    axes.plot([low, high], [low, high], color=INK, alpha=0.5, linewidth=1, zorder=1)
    axes.scatter(stars + spread, shown, s=6, alpha=alpha, color=BLUE, linewidths=0, rasterized=True)
    by_star = dict(iter(shown.groupby(stars)))
    look: Any = {part: {"color": INK} for part in ("boxprops", "whiskerprops", "capprops")}
    look["medianprops"] = {"color": ORANGE, "linewidth": 2}
    look |= {"positions": list(by_star), "widths": 0.5 * scale.step, "showfliers": False, "manage_ticks": False}
    axes.boxplot(list(by_star.values()), **look)
    for band in ((limits[0], low), (high, limits[1])):
        axes.axhspan(*band, color=INK, alpha=0.08, linewidth=0)
    ticks = star_ticks(scale)
    axes.set(xlabel="true stars", ylabel="predicted stars", ylim=limits, xticks=ticks, yticks=ticks)
    axes.set_xlim(low - 0.6 * scale.step, high + 0.6 * scale.step)
    axes.grid(visible=False)
    return figure


def _confusion(stars: npt.ArrayLike, predictions: npt.ArrayLike, title: str, scale: Scale = FIVE_STARS) -> Figure:
    """Draw how often each true star was predicted as which: shade and percentage are of the row, counts below.

    Where a scale has many values, the counts stand alone.
    """
    n = len(scale.values)
    counts = confusion_matrix(scale.position(stars), scale.position(predictions), labels=range(n))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    width = 0.55 if n <= _BOTH else 0.33
    figure, axes = new_axes(1.15 + width * n, 0.95 + width * n, title)
    edge, step = (*to_rgb(INK), 0.2), scale.step
    for (row, column), share in np.ndenumerate(shares):
        # Never so deep that the text on it, which is light or dark with the scheme, is lost.
        fill = (*to_rgb(BLUE), 0.55 * share)
        x, y = float(scale.values[column]), float(scale.values[row])
        corner = (x - step / 2, y - step / 2)
        axes.add_patch(Rectangle(corner, step, step, facecolor=fill, edgecolor=edge, linewidth=0.8))
        if counts[row, column] and n <= _BOTH:
            axes.text(x, y - 0.1 * step, f"{share:.0%}", ha="center", va="center")
        if counts[row, column]:
            below = 0.22 * step if n <= _BOTH else 0
            axes.text(x, y + below, str(counts[row, column]), ha="center", va="center", fontsize=8)
    low, high = scale.low - step / 2, scale.high + step / 2
    axes.set(xlim=(low, high), ylim=(high, low), aspect="equal")
    axes.set_xticks(scale.values, [f"{star:g}" for star in scale.values])
    axes.set_yticks(scale.values, [f"{star:g}" for star in scale.values])
    axes.set(xlabel="predicted stars, rounded", ylabel="true stars")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    return figure
