"""Tables of the robustness stage: changed texts, other data, slices, calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.bootstrap import evaluate_clipped, qwk_difference
from pipeline.evaluation.calibration import calibration_bins, calibration_statistics
from pipeline.evaluation.slices import review_slices
from pipeline.experiment.line import Line
from pipeline.project.conf import RobustnessConfig
from pipeline.scale import FIVE_STARS, Scale

Array = npt.NDArray[np.float64]
# Theory says that their estimate spreads too widely, unless it is clipped or recalibrated.
_UNCLIPPED = ("T(1)", "Ta")


def slices_frame(
    sides: Mapping[str, Line],
    reviews: pd.DataFrame,
    predictions: Mapping[Line, Array],
    config: RobustnessConfig,
    scale: Scale = FIVE_STARS,
) -> pd.DataFrame:
    """Return how each side's line does on each slice of the held-out reviews.

    Parameters
    ----------
    sides : mapping of str to Line
    reviews : DataFrame
        The held-out ones, as `review_slices` takes them.
    predictions : mapping of Line to ndarray of shape (n_reviews,)
    config : RobustnessConfig
        Uses n_resamples and seed.
    scale : Scale, default=1 to 5
    """
    cut = list(review_slices(reviews, scale))
    stars = reviews["stars"].to_numpy()
    rows: list[dict[str, Any]] = [
        {"side": side, **line._asdict(), "slice": kind, "value": value}
        | evaluate_clipped(stars[where], predictions[line][where], config.n_resamples, config.seed, scale)
        # One slice after the other: the resamples of its reviews serve all sides.
        for kind, value, where in cut
        for side, line in sides.items()
    ]
    order = list(sides)
    rows.sort(key=lambda row: order.index(row["side"]))
    return pd.DataFrame(rows)


def calibration_frames(
    lines: list[tuple[str, Line]],
    stars: npt.ArrayLike,
    predictions: Mapping[Line, Array],
    scale: Scale = FIVE_STARS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the calibration of each line, and its bins.

    Parameters
    ----------
    lines : list of (side, Line)
    stars : array-like of shape (n_reviews,)
    predictions : mapping of Line to ndarray of shape (n_reviews,)
        As the models make them, not clipped.
    scale : Scale, default=1 to 5
    """
    names = [{"side": side, **line._asdict()} for side, line in lines]
    values = [predictions[line] for _, line in lines]
    spreads = [name | calibration_statistics(stars, each, scale) for name, each in zip(names, values, strict=True)]
    bins = [calibration_bins(stars, each, scale=scale).assign(**name) for name, each in zip(names, values, strict=True)]
    return pd.DataFrame(spreads), pd.concat(bins, ignore_index=True)


def changes_frame(
    sides: Mapping[str, Line],
    stars: npt.ArrayLike,
    predictions: Mapping[str, Mapping[Line, Array]],
    config: RobustnessConfig,
    scale: Scale = FIVE_STARS,
) -> pd.DataFrame:
    """Return how each side's line does on changed texts, and how that differs from the texts as they are.

    Parameters
    ----------
    sides : mapping of str to Line
    stars : array-like of shape (n_reviews,)
    predictions : mapping of str to mapping of Line to ndarray of shape (n_reviews,)
        By change; "none" is that of the texts as they are.
    config : RobustnessConfig
        Uses n_resamples and seed.
    scale : Scale, default=1 to 5
    """
    rows: list[dict[str, Any]] = []
    for side, line in sides.items():
        for change, changed in predictions.items():
            both = changed[line], predictions["none"][line]
            paired = qwk_difference(stars, *both, config.n_resamples, config.seed, scale)
            row: dict[str, Any] = {"side": side, **line._asdict(), "change": change}
            row |= dict(zip(("difference", "low", "high"), paired, strict=True))
            rows.append(row | evaluate_clipped(stars, changed[line], config.n_resamples, config.seed, scale))
    return pd.DataFrame(rows)


def transfer_frame(
    sides: Mapping[str, Line],
    results: Mapping[tuple[str, str], tuple[npt.ArrayLike, Mapping[Line, Array], Scale]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return how each side's line, trained on one dataset, does on another.

    Parameters
    ----------
    sides : mapping of str to Line
    results : mapping of (trained on, tested on) to (stars, predictions by line, scale of both)
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    rows = [
        {"side": side, **line._asdict(), "trained_on": trained_on, "tested_on": tested_on}
        | evaluate_clipped(stars, predictions[line], config.n_resamples, config.seed, scale)
        for side, line in sides.items()
        for (trained_on, tested_on), (stars, predictions, scale) in results.items()
    ]
    return pd.DataFrame(rows)


def last_lines(sides: pd.DataFrame) -> dict[str, Line]:
    """Return features and model of each side at its largest number of training reviews.

    Parameters
    ----------
    sides : DataFrame with columns side, n_train, features, model

    Examples
    --------
    >>> sides = {"side": ["a", "a"], "n_train": [50, 10], "features": ["x", "y"], "model": ["Ta", "Ridge"]}
    >>> last_lines(pd.DataFrame(sides))
    {'a': Line(features='x', model='Ta')}
    """
    last = sides.loc[sides.groupby("side", sort=False)["n_train"].idxmax()]
    return {side: Line(features, model) for side, features, model in last[["side", "features", "model"]].to_numpy()}


def calibrated_lines(sides: Mapping[str, Line], predictions: Mapping[Line, Array]) -> list[tuple[str, Line]]:
    """Return side and line of all whose calibration is shown: the sides', and unclipped ones on the same features."""
    unclipped = [Line(features, model) for features in dict(sides.values()) for model in _UNCLIPPED]
    return [*sides.items()] + [("", line) for line in unclipped if line in predictions and line not in sides.values()]
