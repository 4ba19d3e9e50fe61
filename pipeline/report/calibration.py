"""Calibration: how far the predictions of each side spread, and what a prediction is worth in true stars."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.format import number
from pipeline.report.figure import INK, STARS, Picture, looks, new_figure, picture
from pipeline.report.results import Results
from pipeline.report.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def calibration_table(calibration: pd.DataFrame) -> Table:
    """Return how the predictions of each side are spread."""
    rows = [
        [
            line["side"],
            number(line["sd_ratio"]),
            number(line["slope"]),
            number(line["slope_true"]),
            number(line["bias"], sign=True),
        ]
        for line in calibration.to_dict("records")
    ]
    columns = ["side", "SD of prediction / SD of stars", "prediction on truth", "truth on prediction", "bias in stars"]
    return Table("Dispersion and calibration of the raw prediction", columns, rows)


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
    slopes = "; ".join(
        f"{line['side']} {number(line['slope_true'])}" for line in results.calibration.to_dict("records")
    )
    text = f"Mean true stars of reviews with about the same prediction. Slope of the truth on the prediction: {slopes}."
    yield picture("calibration", "calibration", text, _calibration_curves(results.calibration_bins))


def _calibration_curves(bins: pd.DataFrame) -> "Figure":
    """Draw the mean true star of reviews with about the same prediction, a line for each side.

    Parameters
    ----------
    bins : DataFrame with columns side, predicted, true
    """
    figure = new_figure(5.1, 4.4)
    axes = figure.subplots()
    axes.plot([1, 5], [1, 5], color=INK, alpha=0.5, linewidth=1)
    for side, look in looks(bins["side"].tolist()).items():
        points = bins[bins["side"] == side].sort_values("predicted")
        axes.plot(points["predicted"], points["true"], **look._asdict(), label=side, markersize=5)
    axes.set(xlabel="mean predicted stars, raw", ylabel="mean true stars", ylim=(0.8, 5.2), yticks=STARS)
    if len(bins):
        figure.legend(loc="outside lower center", ncols=3)
    return figure
