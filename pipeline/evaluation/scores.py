"""Quality of many predictions in every resample of held-out reviews and of training draws."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.deal import deal_folds
from pipeline.evaluation.bootstrap import qwk_of_sums, resample_counts, star_numbers, star_sums
from pipeline.evaluation.metrics import Array
from pipeline.scale import FIVE_STARS, Scale

LineT = TypeVar("LineT", bound=Hashable)

_AT_ONCE = 500  # resamples, so that the sums fit into memory


@dataclass(frozen=True)
class Resamples:
    """How often each held-out review counts in each resample.

    Attributes
    ----------
    counts : ndarray of shape (1 + n_resamples, n_test), float32
        The first row is the reviews as they are.
    half : ndarray of shape (n_test,)
        0 or 1, stratified by star: a line is chosen on one half and measured on the other.
    seed : int
        Of the resamples of draws.
    """

    counts: NDArray[np.float32]
    half: NDArray[np.intp]
    seed: int


def resample_reviews(stars: ArrayLike, n_resamples: int, seed: int) -> Resamples:
    """Draw resamples of the held-out reviews.

    Parameters
    ----------
    stars : array-like of shape (n_test,)
    n_resamples : int
    seed : int
    """
    stars = np.asarray(stars)
    return Resamples(resample_counts(len(stars), n_resamples, seed), deal_folds(stars, 2, seed), seed)


@dataclass(frozen=True)
class Scores(Generic[LineT]):
    """QWK and mean absolute error of lines at one size, in every resample; the first one is the estimate.

    Attributes
    ----------
    lines : list
        Keys of the predictions.
    n_draws : int
    qwk : ndarray of shape (1 + n_resamples, n_lines)
        Mean over the draws, on all held-out reviews.
    half_qwk : ndarray of shape (2, 1 + n_resamples, n_lines)
        On each half of them.
    mae : ndarray of shape (1 + n_resamples, n_lines)
        Of the prediction clipped to the scale, mean over the draws, on all held-out reviews.
    qwk_sd : ndarray of shape (n_lines,)
        Standard deviation of QWK over the draws; nan where there is one.
    """

    lines: list[LineT]
    n_draws: int
    qwk: Array
    half_qwk: Array
    mae: Array
    qwk_sd: Array


def score_lines(
    stars: ArrayLike, predictions: Mapping[LineT, ArrayLike], resamples: Resamples, scale: Scale = FIVE_STARS
) -> Scores[LineT]:
    """Return QWK and error of every line in every resample of held-out reviews and draws.

    Parameters
    ----------
    stars : array-like of shape (n_test,)
    predictions : mapping of hashable to array-like of shape (n_draws, n_test)
        By line; with the same number of draws for all.
    resamples : Resamples
    scale : Scale, default=1 to 5

    Returns
    -------
    Scores
        QWK is 0 where it is not defined: in a resample whose stars are all the same.

    Raises
    ------
    ValueError
        If one of the stars is no value of the scale, or a prediction is NaN or infinite.

    Examples
    --------
    >>> stars = [1, 2, 3, 4, 5, 1, 3, 5]
    >>> predictions = {"good": [[1, 2, 3, 4, 4, 1, 3, 5]], "constant": [[3] * 8]}
    >>> score_lines(stars, predictions, resample_reviews(stars, 100, seed=0)).qwk[0].round(2).tolist()
    [0.97, 0.0]
    """
    raw = np.stack([np.asarray(each, dtype=np.float64) for each in predictions.values()])
    n_lines, n_draws, n_test = raw.shape
    y = scale.check(stars)
    numbers, rounded = star_numbers(y, scale), star_numbers(raw, scale).reshape(-1, n_test).T
    errors = np.abs(scale.clip(raw) - y).reshape(-1, n_test).T.astype(np.float32)
    masks = [(resamples.half == half).astype(np.float32) for half in (0, 1)]
    draw_weights = _draw_weights(n_draws, len(resamples.counts) - 1, resamples.seed)

    def kappas(sums: Array) -> Array:
        return np.nan_to_num(qwk_of_sums(sums)).reshape(-1, n_lines, n_draws)

    qwk = np.empty((3, len(resamples.counts), n_lines))
    mae = np.empty((len(resamples.counts), n_lines))
    for start in range(0, len(resamples.counts), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        counts, weights = resamples.counts[some], draw_weights[some]
        halves = [star_sums(counts * mask, numbers, rounded) for mask in masks]
        for part, sums in enumerate([*halves, halves[0] + halves[1]]):
            qwk[part, some] = np.einsum("bld,bd->bl", kappas(sums), weights)
        error = (counts @ errors / n_test).reshape(-1, n_lines, n_draws)
        mae[some] = np.einsum("bld,bd->bl", error, weights)

    by_draw = kappas(star_sums(resamples.counts[:1], numbers, rounded))[0]
    spread = by_draw.std(axis=1, ddof=1) if n_draws > 1 else np.full(n_lines, np.nan)
    return Scores(list(predictions), n_draws, qwk[2], qwk[:2], mae, spread)


def _draw_weights(n_draws: int, n_resamples: int, seed: int) -> Array:
    """Return the weights of the draws in each resample, spread by sqrt(n / (n - 1)).

    Without that factor, n draws with the mean subtracted would look less different than they are.
    """
    drawn = np.random.default_rng([seed, n_draws]).multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=n_resamples)
    spread = np.sqrt(n_draws / (n_draws - 1)) if n_draws > 1 else 1.0
    return np.concatenate([np.ones((1, n_draws)), 1 + (drawn - 1) * spread]) / n_draws
