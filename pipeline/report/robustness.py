"""What the robustness stage found: changed reviews, other data sets, parts of the held-out reviews, and calibration."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.format import interval, number
from pipeline.report.figure import INK, Picture, legend_below, looks, new_axes, picture, star_ticks
from pipeline.report.results import Results
from pipeline.report.table import QWK, Table, cell, long_table, wide_table
from pipeline.scale import FIVE_STARS, Scale

_IN_WORDS = {"none": "unchanged", "british": "British spelling"}
_DIFFERENCE = cell(interval, "difference", "low", "high", sign=True)


def change_table(changes: pd.DataFrame) -> Table:
    """Return QWK on the reviews as they are, and by how much each change lowers it; a column for each side."""
    reviews = changes["n_reviews"].max() if len(changes) else 0
    caption = f"QWK on {reviews} held-out reviews as they are, and its difference after a change (95%)"
    names = changes["change"].replace(_IN_WORDS).str.replace("_", " ")
    return wide_table(caption, changes.assign(change=names), "change", "side", _change_cell)


def _change_cell(row: Any) -> str:
    return QWK(row) if row["change"] == "unchanged" else _DIFFERENCE(row)


def transfer_table(transfer: pd.DataFrame) -> Table:
    """Return QWK of models that were trained on other reviews than they are tested on."""
    cells = {
        "side": cell(str, "side"),
        "from, to": "{trained_on} to {tested_on}".format_map,
        "reviews": cell(str, "n_reviews"),
        "QWK (95%)": QWK,
    }
    return long_table("Trained on one data set, tested on another", transfer, cells, n_names=2)


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


def dispersion_in_words(line: dict[str, Any]) -> str:
    """Return what the calibration of a side means.

    Parameters
    ----------
    line : dict
        With side, sd_ratio, slope_true and bias: a row of calibration.csv.

    Examples
    --------
    >>> import textwrap
    >>> words = dispersion_in_words({"side": "T", "sd_ratio": 1.4, "slope_true": 0.6, "bias": 0.02})
    >>> print(textwrap.fill(words, 100))
    T is over-dispersed: its predictions spread 1.40 times as wide as the stars. One star more in the
    prediction goes with 0.60 stars more in truth; on average it is 0.02 stars too high.
    """
    ratio, slope = line["sd_ratio"], line["slope_true"]
    if pd.isna(ratio):
        return f"{line['side']}: the spread is not defined, since the held-out stars do not differ."
    kind = "over-dispersed" if ratio > 1.05 else "under-dispersed" if ratio < 0.95 else "about as wide as the stars"
    text = f"{line['side']} is {kind}: its predictions spread {ratio:.2f} times as wide as the stars."
    if pd.isna(slope):
        return text
    return (
        f"{text} One star more in the prediction goes with {slope:.2f} stars more in truth; "
        f"on average it is {abs(line['bias']):.2f} stars too {'high' if line['bias'] > 0 else 'low'}."
    )


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the mean true stars against the mean predicted ones."""
    lines = results.calibration.to_dict("records")
    slopes = "; ".join(f"{line['side']} {number(line['slope_true'])}" for line in lines)
    text = f"Mean true stars of reviews with about the same prediction. Slope of the truth on the prediction: {slopes}."
    yield picture("calibration", "calibration", text, _calibration_curves(results.calibration_bins, results.scale))


def _calibration_curves(bins: pd.DataFrame, scale: Scale = FIVE_STARS) -> Figure:
    """Draw the mean true star of reviews with about the same prediction, a line for each side.

    Parameters
    ----------
    bins : DataFrame with columns side, predicted, true
    scale : Scale, default=1 to 5
    """
    figure, axes = new_axes(5.1, 3.9)
    ends, edge = (scale.low, scale.high), 0.05 * (scale.high - scale.low)
    axes.plot(ends, ends, color=INK, alpha=0.5, linewidth=1)
    for side, look in looks(bins["side"].tolist()).items():
        points = bins[bins["side"] == side].sort_values("predicted")
        axes.plot(points["predicted"], points["true"], **look._asdict(), label=side, markersize=5)
    axes.set(xlabel="mean predicted stars, raw", ylabel="mean true stars")
    axes.set(ylim=(scale.low - edge, scale.high + edge), yticks=star_ticks(scale))
    if len(bins):
        legend_below(figure, axes)
    return figure
