"""Metrics per slice of the reviews."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.bootstrap import intervals
from pipeline.evaluation.metrics import clip_to_stars, evaluate
from pipeline.project.conf import RobustnessConfig
from pipeline.text import words

N_CATEGORIES = 12


MIN_SLICE = 20


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
