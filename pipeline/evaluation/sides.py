"""What learning curves show beyond chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.deal import deal_folds
from pipeline.evaluation.bootstrap import qwk_of_sums, resample_counts, star_sums
from pipeline.evaluation.metrics import clip_to_stars, round_to_stars

Array = npt.NDArray[np.float64]


_AT_ONCE = 500


_WHOLE = 2  # beside half 0 and half 1


@dataclass(frozen=True)
class Resamples:
    """How often each held-out review counts in each resample; the first one is the reviews as they are.

    Parameters
    ----------
    counts : ndarray of shape (1 + n_resamples, n_test), float32
    half : ndarray of shape (n_test,)
        0 or 1: on which half a line is chosen, to be measured on the other; stratified by star.
    seed : int
        Of the resamples of draws.
    """

    counts: npt.NDArray[np.float32]
    half: npt.NDArray[np.intp]
    seed: int


def resample_reviews(stars: npt.ArrayLike, n_resamples: int, seed: int) -> Resamples:
    """Draw resamples of the held-out reviews."""
    stars = np.asarray(stars)
    return Resamples(resample_counts(len(stars), n_resamples, seed), deal_folds(stars, 2, seed), seed)


@dataclass(frozen=True)
class Scores:
    """QWK and mean absolute error of lines at one size, over all resamples; the first is the estimate itself.

    Attributes
    ----------
    lines : list of (features, model)
    n_draws : int
    qwk : ndarray of shape (3, 1 + n_resamples, n_lines)
        Mean over the draws; on the half 0, the half 1 and all held-out reviews.
    mae : ndarray of shape (1 + n_resamples, n_lines)
        Of the prediction clipped to 1 to 5 stars, mean over the draws, on all held-out reviews.
    qwk_sd : ndarray of shape (n_lines,)
        Standard deviation of QWK over the draws; nan where there is one.
    """

    lines: list[tuple[str, str]]
    n_draws: int
    qwk: Array
    mae: Array
    qwk_sd: Array


def score_lines(
    stars: npt.ArrayLike, predictions: Mapping[tuple[str, str], npt.ArrayLike], resamples: Resamples
) -> Scores:
    """Return QWK and error of every line in every resample of held-out reviews and draws.

    Parameters
    ----------
    stars : array-like of shape (n_test,)
        Whole stars.
    predictions : mapping of (features, model) to array-like of shape (n_draws, n_test)
        The same number of draws for all.
    resamples : Resamples

    Returns
    -------
    Scores
        QWK is 0 where it is not defined: in a resample whose stars are all the same.
    """
    raw = np.stack([np.asarray(each, dtype=np.float64) for each in predictions.values()])
    n_lines, n_draws, n_test = raw.shape
    rounded = round_to_stars(raw).reshape(-1, n_test).T
    errors = np.abs(clip_to_stars(raw) - np.asarray(stars)).reshape(-1, n_test).T.astype(np.float32)
    masks = [(resamples.half == half).astype(np.float32) for half in (0, 1)]
    of_draws = _draw_weights(n_draws, len(resamples.counts) - 1, resamples.seed)

    spread = np.full(n_lines, np.nan)
    qwk = np.empty((3, len(resamples.counts), n_lines))
    mae = np.empty((len(resamples.counts), n_lines))
    for start in range(0, len(resamples.counts), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        counts, weights = resamples.counts[some], of_draws[some]
        halves = [star_sums(counts * mask, stars, rounded) for mask in masks]
        for part, sums in enumerate([*halves, halves[0] + halves[1]]):
            kappa = np.nan_to_num(qwk_of_sums(sums)).reshape(len(counts), n_lines, n_draws)
            if start == 0 and part == _WHOLE and n_draws > 1:
                spread = kappa[0].std(axis=1, ddof=1)
            qwk[part, some] = np.einsum("bld,bd->bl", kappa, weights)
        error = (counts @ errors / n_test).reshape(len(counts), n_lines, n_draws)
        mae[some] = np.einsum("bld,bd->bl", error, weights)
    return Scores(list(predictions), n_draws, qwk, mae, spread)


def _draw_weights(n_draws: int, n_resamples: int, seed: int) -> Array:
    """Return the weights of the draws in each resample, which are spread by sqrt(n / (n - 1)).

    Without that, n draws with the mean subtracted would look less different than they are.
    """
    drawn = np.random.default_rng([seed, n_draws]).multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=n_resamples)
    spread = np.sqrt(n_draws / (n_draws - 1)) if n_draws > 1 else 1.0
    return np.concatenate([np.ones((1, n_draws)), 1 + (drawn - 1) * spread]) / n_draws


@dataclass(frozen=True)
class Side:
    """A group of lines at one size, as one answer.

    Attributes
    ----------
    line : (features, model)
        The one that is best on all held-out reviews.
    qwk : ndarray of shape (1 + n_resamples,)
        Of the line that is best on one half of the held-out reviews, measured on the other half, both ways; so the
        choice flatters nobody.
    """

    line: tuple[str, str]
    qwk: Array


def side_of(scores: Scores, lines: Sequence[tuple[str, str]]) -> Side:
    """Return a side from those of its lines that have a score.

    Raises
    ------
    ValueError
        If none has.
    """
    own = [i for i, line in enumerate(scores.lines) if line in set(lines)]
    if not own:
        raise ValueError(f"None of the lines {', '.join(' / '.join(line) for line in lines)} was fitted.")
    halves = scores.qwk[:_WHOLE][:, :, own]
    every = np.arange(halves.shape[1])
    measured = [halves[1 - half][every, halves[half].argmax(axis=1)] for half in (0, 1)]
    return Side(scores.lines[own[int(scores.qwk[_WHOLE, 0, own].argmax())]], (measured[0] + measured[1]) / 2)


def _last_change(sizes: Array, difference: Array) -> float:
    """Return where a difference that begins with the other sign than it ends with changes for good; nan if it does not.

    Sizes are logarithms.
    """
    if np.sign(difference[0]) * np.sign(difference[-1]) >= 0:
        return float("nan")
    i = int(np.flatnonzero(np.sign(difference) != np.sign(difference[-1])).max())
    share = difference[i] / (difference[i] - difference[i + 1])
    return float(sizes[i] + share * (sizes[i + 1] - sizes[i]))
