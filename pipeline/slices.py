"""Predictions looked at from near: per slice of the reviews, and how the predicted stars spread about the true ones."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.config import RobustnessConfig
from pipeline.metrics import clip_to_stars, evaluate, intervals
from pipeline.text import words

N_CATEGORIES = 12
MIN_SLICE = 20
N_BINS = 10

Array = npt.NDArray[np.float64]
Line = tuple[str, str]  # features, model

SLICE_COLUMNS = ["side", "features", "model", "slice", "value", "n_reviews", "qwk", "qwk_low", "qwk_high"]
SLICE_COLUMNS += ["mae", "mae_low", "mae_high"]


def measured(stars: npt.ArrayLike, predictions: npt.ArrayLike, config: RobustnessConfig) -> dict[str, float]:
    """Return n_reviews, and QWK and MAE (of the prediction clipped to 1..5) with 95% bootstrap intervals.

    QWK is nan where all reviews have the same star: there is nothing to agree on.
    """
    clipped = clip_to_stars(predictions)
    result = {"n_reviews": len(clipped), **evaluate(stars, clipped)}
    result |= intervals(stars, clipped, config.n_resamples, config.seed)
    if np.ptp(np.asarray(stars)) == 0:
        result |= dict.fromkeys(("qwk", "qwk_low", "qwk_high"), float("nan"))
    return result


def slices(reviews: pd.DataFrame) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield kind, value and rows of each slice of the reviews.

    Parameters
    ----------
    reviews : DataFrame with columns text, stars, and category if there is one

    Yields
    ------
    slice : {"category", "length", "stars"}
        The most frequent categories of twenty or more reviews, quarters by the number of words, each star.
    value : str
        The category, the range of the numbers of words, or the star.
    rows : ndarray of bool of shape (n_reviews,)
        Two reviews or more.

    Examples
    --------
    >>> reviews = pd.DataFrame({"text": ["a", "a b", "a b c", "a b c d"] * 2, "stars": [1, 2] * 4})
    >>> [(kind, value) for kind, value, _ in slices(reviews)]
    [('length', '1'), ('length', '2'), ('length', '3'), ('length', '4'), ('stars', '1'), ('stars', '2')]
    """
    found: list[tuple[str, str, Any]] = []
    if "category" in reviews:
        counts = reviews["category"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
        for category in counts.index[counts >= MIN_SLICE][:N_CATEGORIES]:
            found.append(("category", str(category), reviews["category"] == category))
    lengths = reviews["text"].map(lambda text: len(words(text)))
    quarter = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    for number in np.unique(quarter):
        low, high = lengths[quarter == number].min(), lengths[quarter == number].max()
        found.append(("length", f"{low}-{high}" if low < high else str(low), quarter == number))
    found += [("stars", str(star), reviews["stars"] == star) for star in sorted(reviews["stars"].unique())]
    yield from ((kind, value, np.asarray(rows)) for kind, value, rows in found if np.sum(rows) >= 2)


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


def calibration(stars: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
    """Return how predicted stars spread about the true ones.

    Returns
    -------
    dict of str to float
        slope of the prediction on the truth, 1 for the T-method's estimate in its signal data; slope_true of the truth
        on the prediction, 1 where a prediction can be taken at its word; sd_ratio, the SD of the prediction over that
        of the truth; bias, the mean of prediction less truth. nan where a spread is zero.

    Examples
    --------
    >>> calibration([1, 2, 3], [1, 3, 5])
    {'slope': 2.0, 'slope_true': 0.5, 'sd_ratio': 2.0, 'bias': 1.0}
    """
    y, predicted = np.asarray(stars, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    covariance = np.mean((y - y.mean()) * (predicted - predicted.mean()))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = {
            "slope": covariance / y.var(),
            "slope_true": covariance / predicted.var(),
            "sd_ratio": predicted.std() / y.std(),
            "bias": np.mean(predicted - y),
        }
    return {name: float(ratio) if np.isfinite(ratio) else float("nan") for name, ratio in ratios.items()}


def calibration_bins(stars: npt.ArrayLike, predictions: npt.ArrayLike, n_bins: int = N_BINS) -> pd.DataFrame:
    """Return mean prediction, mean star and number of reviews in bins of equal counts, smallest prediction first.

    Examples
    --------
    >>> calibration_bins([1, 2, 4, 5], [4.5, 1.5, 4.0, 2.5], n_bins=2)
       predicted  true  n_reviews
    0       2.00   3.5          2
    1       4.25   2.5          2
    """
    y, predicted = np.asarray(stars, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    bins = np.array_split(np.argsort(predicted, kind="stable"), min(n_bins, len(y)))
    rows = [(predicted[own].mean(), y[own].mean(), len(own)) for own in bins]
    return pd.DataFrame(rows, columns=["predicted", "true", "n_reviews"])


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
