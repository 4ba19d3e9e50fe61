"""Tables of the robustness stage: changed texts, other data, slices, calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.bootstrap import qwk_difference
from pipeline.evaluation.calibration import calibration, calibration_bins
from pipeline.evaluation.slices import measured, slices
from pipeline.project.conf import RobustnessConfig

Array = npt.NDArray[np.float64]


Line = tuple[str, str]  # features, model


SLICE_COLUMNS = ["side", "features", "model", "slice", "value", "n_reviews", "qwk", "qwk_low", "qwk_high"]


SLICE_COLUMNS += ["mae", "mae_low", "mae_high"]


def slice_table(
    sides: Mapping[str, Line], reviews: pd.DataFrame, predictions: Mapping[Line, Array], config: RobustnessConfig
) -> pd.DataFrame:
    """Return how each side's line does on each slice of the held-out reviews.

    Parameters
    ----------
    sides : mapping of str to (features, model)
    reviews : DataFrame
        The held-out ones, as `slices` takes them.
    predictions : mapping of (features, model) to ndarray of shape (n_reviews,)
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    cut = list(slices(reviews))
    stars = reviews["stars"].to_numpy()
    rows: list[dict[str, Any]] = [
        {"side": side, "features": line[0], "model": line[1], "slice": kind, "value": value}
        | measured(stars[where], predictions[line][where], config)
        for side, line in sides.items()
        for kind, value, where in cut
    ]
    return pd.DataFrame(rows, columns=SLICE_COLUMNS)


def calibration_tables(
    lines: list[tuple[str, Line]], stars: npt.ArrayLike, predictions: Mapping[Line, Array]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the calibration of each line, and its bins.

    Parameters
    ----------
    lines : list of (side, (features, model))
    stars : array-like of shape (n_reviews,)
    predictions : mapping of (features, model) to ndarray of shape (n_reviews,)
        As the models make them, not clipped.
    """
    names = [{"side": side, "features": line[0], "model": line[1]} for side, line in lines]
    own = [predictions[line] for _, line in lines]
    spreads = [name | calibration(stars, each) for name, each in zip(names, own, strict=True)]
    bins = [calibration_bins(stars, each).assign(**name) for name, each in zip(names, own, strict=True)]
    columns = ["side", "features", "model", "predicted", "true", "n_reviews"]
    return pd.DataFrame(spreads), pd.concat(bins, ignore_index=True)[columns]


CHANGE_COLUMNS = ["side", "features", "model", "change", "n_reviews", "qwk", "qwk_low", "qwk_high"]


CHANGE_COLUMNS += ["difference", "low", "high"]


TRANSFER_COLUMNS = ["side", "features", "model", "trained_on", "tested_on", "n_reviews", "qwk", "qwk_low", "qwk_high"]


def change_table(
    sides: Mapping[str, Line],
    stars: npt.ArrayLike,
    predictions: Mapping[str, Mapping[Line, Array]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return how each side's line does on changed texts, and how that differs from the texts as they are.

    Parameters
    ----------
    sides : mapping of str to (features, model)
    stars : array-like of shape (n_reviews,)
    predictions : mapping of str to mapping of (features, model) to ndarray of shape (n_reviews,)
        By change; "none" is that of the texts as they are.
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    rows: list[dict[str, Any]] = []
    for side, line in sides.items():
        for change, own in predictions.items():
            paired = qwk_difference(stars, own[line], predictions["none"][line], config.n_resamples, config.seed)
            row: dict[str, Any] = {"side": side, "features": line[0], "model": line[1], "change": change}
            row |= dict(zip(("difference", "low", "high"), paired, strict=True))
            rows.append(row | measured(stars, own[line], config))
    return pd.DataFrame(rows, columns=CHANGE_COLUMNS)


def transfer_table(
    sides: Mapping[str, Line],
    results: Mapping[tuple[str, str], tuple[npt.ArrayLike, Mapping[Line, Array]]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return how each side's line, trained on one dataset, does on another.

    Parameters
    ----------
    sides : mapping of str to (features, model)
    results : mapping of (trained on, tested on) to (stars, predictions by line)
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    rows = [
        {"side": side, "features": line[0], "model": line[1], "trained_on": trained_on, "tested_on": tested_on}
        | measured(stars, predictions[line], config)
        for side, line in sides.items()
        for (trained_on, tested_on), (stars, predictions) in results.items()
    ]
    return pd.DataFrame(rows, columns=TRANSFER_COLUMNS)


# Theory says that their estimate spreads too widely, unless it is clipped or recalibrated.
UNCLIPPED = ("T(1)", "Ta")


def last_lines(sides: pd.DataFrame) -> dict[str, Line]:
    """Return features and model of each side at its largest number of training reviews.

    Parameters
    ----------
    sides : DataFrame with columns side, n_train, features, model

    Examples
    --------
    >>> sides = {"side": ["a", "a"], "n_train": [50, 10], "features": ["x", "y"], "model": ["Ta", "Ridge"]}
    >>> last_lines(pd.DataFrame(sides))
    {'a': ('x', 'Ta')}
    """
    last = sides.loc[sides.groupby("side", sort=False)["n_train"].idxmax()]
    return {side: (features, model) for side, features, model in last[["side", "features", "model"]].to_numpy()}


def calibrated_lines(sides: Mapping[str, Line], predictions: Mapping[Line, Array]) -> list[tuple[str, Line]]:
    """Return side and line of all whose calibration is shown: the sides', and unclipped ones on the same features."""
    own = list(sides.items())
    unclipped = [(features, model) for features in dict(sides.values()) for model in UNCLIPPED]
    return own + [("", line) for line in unclipped if line in predictions and line not in sides.values()]
