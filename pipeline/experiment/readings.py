"""Some held-out reviews as two sides read them: what each word adds to the predicted star."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.metrics import round_to_stars
from pipeline.evaluation.word_contributions import WordContributions
from pipeline.experiment.line import Line
from pipeline.scale import FIVE_STARS, Scale
from pipeline.text import words

Array = npt.NDArray[np.float64]

BOTH = "both right"
_FEWEST, _MOST = 15, 60  # words: long enough to show something, short enough to be read
_READ_QUICKLY = 30
_N_STARS, _N_ONE_RIGHT = 5, 2


def only(side: str) -> str:
    """Return the reason of a review that one side alone reads well.

    Examples
    --------
    >>> only("attention")
    'only attention right'
    """
    return f"only {side} right"


def chosen_reviews(
    reviews: pd.DataFrame, predictions: Mapping[str, Array], scale: Scale = FIVE_STARS
) -> list[tuple[str, int]]:
    """Choose reviews that show how two sides read: those that one alone reads well, and for each star one of both.

    A side reads a review well where its rounded prediction is the star. Reviews of 15 to 60 words are taken, and of
    another length only where these are too few. Of reviews that one side alone reads well, up to two of each side are
    taken, those first where the errors differ most; of the others the review with about 30 words. Of a scale with more
    than five stars, five that are spread over it are taken.

    Parameters
    ----------
    reviews : DataFrame with columns text and stars
    predictions : mapping of two sides to ndarray of shape (n_reviews,)
    scale : Scale, default=1 to 5

    Returns
    -------
    list of (reason, row)
        Reasons are "only <side> right" for either side, then "both right", from the most stars down.

    Examples
    --------
    >>> reviews = pd.DataFrame({"text": ["good food", "bad food"], "stars": [5, 1]})
    >>> chosen_reviews(reviews, {"a": np.array([4.8, 1.2]), "b": np.array([4.9, 3.0])})
    [('only a right', 1), ('both right', 0)]
    """
    stars = reviews["stars"].to_numpy(dtype=np.float64)
    right = {side: round_to_stars(values, scale) == stars for side, values in predictions.items()}
    error = {side: np.abs(scale.clip(values) - stars) for side, values in predictions.items()}
    n_words = reviews["text"].map(lambda text: len(words(text))).to_numpy()
    beyond = np.maximum(_FEWEST - n_words, 0) + np.maximum(n_words - _MOST, 0)

    def best(candidates: npt.NDArray[np.bool_], order: Array, n: int) -> list[int]:
        rows = np.flatnonzero(candidates & (n_words > 0))
        return [int(row) for row in rows[np.lexsort((order[rows], beyond[rows]))[:n]]]

    first, second = predictions
    chosen = [
        (only(side), row)
        for side, other in ((first, second), (second, first))
        for row in best(right[side] & ~right[other], error[side] - error[other], _N_ONE_RIGHT)
    ]
    far = np.abs(n_words - _READ_QUICKLY).astype(np.float64)
    for star in _spread_over(stars)[::-1]:
        chosen += [(BOTH, row) for row in best(right[first] & right[second] & (stars == star), far, 1)]
    return chosen


def _spread_over(stars: Array) -> Array:
    """Return five of the stars that there are, or all of fewer."""
    known = np.unique(stars)
    return known[np.unique(np.linspace(0, len(known) - 1, min(_N_STARS, len(known))).round().astype(int))]


def readings_frame(
    sides: Mapping[str, Line],
    chosen: list[tuple[str, int]],
    review_ids: list[str],
    read: Mapping[Line, list[WordContributions]],
) -> pd.DataFrame:
    """Return what each word of each review adds, side by side.

    Parameters
    ----------
    sides : mapping of str to Line
    chosen : list of (reason, row)
        From `chosen_reviews`.
    review_ids : list of str
        Of the chosen reviews.
    read : mapping of Line to list of WordContributions
        Of the chosen reviews.

    Returns
    -------
    DataFrame
        review_id, reason, side, features, model, base and predicted (stars), start, end, word, contribution: one row
        for each word, review and side. The contributions of a review add up to predicted less base.
    """
    rows: list[pd.DataFrame] = [pd.DataFrame()]
    for place, ((reason, _), review_id) in enumerate(zip(chosen, review_ids, strict=True)):
        for side, line in sides.items():
            found = read[line][place]
            who: dict[str, Any] = {"review_id": review_id, "reason": reason, "side": side, **line._asdict()}
            rows.append(found.words.assign(**who, base=found.base, predicted=found.prediction))
    return pd.concat(rows, ignore_index=True)
