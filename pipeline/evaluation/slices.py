"""Slices of the reviews: categories, quarters by length, stars."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.scale import FIVE_STARS, Scale
from pipeline.text import words

_N_CATEGORIES = 12
_MIN_REVIEWS = 20  # of a category


def review_slices(reviews: pd.DataFrame, scale: Scale = FIVE_STARS) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Yield kind, value and rows of each slice of the reviews that holds two or more of them.

    Parameters
    ----------
    reviews : DataFrame with columns text, stars, and category if there is one
    scale : Scale, default=1 to 5

    Yields
    ------
    kind : {"category", "length", "stars"}
        The twelve most frequent categories of twenty or more reviews, quarters by the number of words, each star.
    value : str
        The category, the range of the numbers of words, or the star.
    rows : ndarray of bool of shape (n_reviews,)

    Raises
    ------
    ValueError
        If one of the stars is no value of the scale.

    Examples
    --------
    >>> reviews = pd.DataFrame({"text": ["a", "a b", "a b c", "a b c d"] * 2, "stars": [1, 2] * 4})
    >>> [(kind, value) for kind, value, _ in review_slices(reviews)]
    [('length', '1'), ('length', '2'), ('length', '3'), ('length', '4'), ('stars', '1'), ('stars', '2')]
    """
    found: list[tuple[str, str, Any]] = []
    if "category" in reviews:
        counts = reviews["category"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
        for category in counts.index[counts >= _MIN_REVIEWS][:_N_CATEGORIES]:
            found.append(("category", str(category), reviews["category"] == category))
    lengths = reviews["text"].map(lambda text: len(words(text)))
    quarter = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths)
    for number in np.unique(quarter):
        low, high = lengths[quarter == number].min(), lengths[quarter == number].max()
        found.append(("length", f"{low}-{high}" if low < high else str(low), quarter == number))
    stars = scale.check(reviews["stars"])
    found += [("stars", f"{star:g}", stars == star) for star in scale.values]
    yield from ((kind, value, np.asarray(rows)) for kind, value, rows in found if np.sum(rows) >= 2)
