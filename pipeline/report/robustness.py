"""What the robustness stage found: changed reviews, other data sets, parts of the held-out reviews, and calibration."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.format import interval, number
from pipeline.report.alerts import MATTERS
from pipeline.report.figure import INK, Picture, legend_below, looks, new_axes, picture, star_ticks
from pipeline.report.results import Results
from pipeline.report.table import QWK, Table, cell, long_table, wide_table
from pipeline.scale import FIVE_STARS, Scale

LOST = "▼"  # before a loss that a reader must not miss
_IN_WORDS = {"none": "unchanged", "british": "British spelling"}
_DIFFERENCE = cell(interval, "difference", "low", "high", sign=True)


def change_table(changes: pd.DataFrame) -> Table:
    """Return QWK on the reviews as they are, and by how much each change lowers it; a column for each side."""
    reviews = changes["n_reviews"].max() if len(changes) else 0
    caption = f"QWK on {reviews} held-out reviews as they are, and its difference after a change (95%)"
    caption += f"; {LOST} a loss of more than {MATTERS:g}"
    names = changes["change"].replace(_IN_WORDS).str.replace("_", " ")
    return wide_table(caption, changes.assign(change=names), "change", "side", _change_cell)


def _change_cell(row: Any) -> str:
    if row["change"] == "unchanged":
        return QWK(row)
    return f"{LOST} {_DIFFERENCE(row)}" if row["difference"] < -MATTERS else _DIFFERENCE(row)


def transfer_table(transfer: pd.DataFrame) -> Table:
    """Return QWK of models that were trained on other reviews than they are tested on; a column for each side."""
    ways = ["{trained_on} to {tested_on} ({n_reviews})".format_map(row) for row in transfer.to_dict("records")]
    caption = "QWK (95%) of models trained on one data set and tested on another (so many reviews)"
    return wide_table(caption, transfer.assign(**{"from, to": ways}), "from, to", "side", QWK)


def slice_tables(slices: pd.DataFrame) -> list[Table]:
    """Return QWK and MAE in parts of the held-out reviews, one table for each way of cutting them.

    Within one true star QWK is not defined or of no use, so there it is the MAE.
    """
    tables = []
    for kind in slices["slice"].unique():
        parts = slices[slices["slice"] == kind]
        measure, title = ("mae", "MAE in stars") if kind == "stars" else ("qwk", "QWK")
        sizes = parts.drop_duplicates("value").set_index("value")["n_reviews"]
        names = [f"{value} ({sizes[value]} reviews)" for value in parts["value"].tolist()]
        caption = f"{title} (95%) by {'true star' if kind == 'stars' else kind}"
        make = cell(interval, measure, f"{measure}_low", f"{measure}_high")
        tables.append(wide_table(caption, parts.assign(**{kind: names}), kind, "side", make))
    return tables


def calibration_table(calibration: pd.DataFrame) -> Table:
    """Return how the predictions of each side are spread."""
    cells = {
        "side": cell(str, "side"),
        "SD of prediction / SD of stars": cell(number, "sd_ratio"),
        "prediction on truth": cell(number, "slope"),
        "truth on prediction": cell(number, "slope_true"),
        "bias in stars": cell(number, "bias", sign=True),
    }
    return long_table("Dispersion and calibration of the raw prediction", calibration, cells)


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the mean true stars against the mean predicted ones."""
    lines = results.calibration.to_dict("records")
    slopes = "; ".join(f"{line['side']} {number(line['slope_true'])}" for line in lines)
    text = f"Mean true stars of reviews with about the same prediction. Slope of the truth on the prediction: {slopes}."
    question = results.contrasts.loc[:0, ["a", "b"]].to_numpy().ravel().tolist()
    figure = _calibration_curves(results.calibration_bins, results.scale, question)
    yield picture("calibration", "calibration", text, figure)


def _calibration_curves(bins: pd.DataFrame, scale: Scale = FIVE_STARS, question: Sequence[str] | None = None) -> Figure:
    """Draw the mean true star of reviews with about the same prediction, a line for each side; the diagonal on top.

    Parameters
    ----------
    bins : DataFrame with columns side, predicted, true
    scale : Scale, default=1 to 5
    question : sequence of str, default=None
        The sides to draw in colour, all others thin and grey; None: all sides in colour.
    """
    figure, axes = new_axes(5.1, 3.9)
    ends, edge = (scale.low, scale.high), 0.05 * (scale.high - scale.low)
    coloured = list(dict.fromkeys(bins["side"] if question is None else question))
    for side, look in looks(coloured).items():
        points = bins[bins["side"] == side].sort_values("predicted")
        if len(points):
            axes.plot(points["predicted"], points["true"], **look._asdict(), label=side, markersize=5, zorder=3)
    others = bins[~bins["side"].isin(coloured)].sort_values("predicted")
    for place, (_, points) in enumerate(others.groupby("side")):
        grey: Any = {"color": INK, "alpha": 0.3, "linewidth": 0.8, "label": None if place else "other lines"}
        axes.plot(points["predicted"], points["true"], **grey)
    axes.plot(ends, ends, color=INK, linewidth=1.4, linestyle=(0, (4, 2)), zorder=4)
    axes.text(0.98, 0.03, "dashed: prediction = truth", transform=axes.transAxes, ha="right", fontsize=9)
    axes.set(xlabel="mean predicted stars, raw", ylabel="mean true stars")
    axes.set(ylim=(scale.low - edge, scale.high + edge), yticks=star_ticks(scale))
    if len(bins):
        legend_below(figure, axes)
    return figure
