"""What learning curves show beyond chance: every line and side on the same resamples of held-out reviews and draws.

Numbers of stars are small and whole, so that QWK of a resample is a function of sums, and the sums of all resamples
are matrix products: every line sees the same resamples, and a difference of two lines is a difference of two columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.features.out_of_fold import deal_folds
from pipeline.metrics import (
    clip_to_stars,
    percentile_interval,
    qwk_of_sums,
    resample_counts,
    round_to_stars,
    star_sums,
)

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


def curve_table(scores: Mapping[int, Scores], seconds: Mapping[int, pd.Series]) -> pd.DataFrame:
    """Return curves.csv: every line at every size.

    Parameters
    ----------
    scores : mapping of int to Scores
        By training reviews.
    seconds : mapping of int to Series
        Median seconds of fit, by (features, model).
    """
    rows = []
    for n_train, of_size in scores.items():
        for i, (features, model) in enumerate(of_size.lines):
            qwk, mae = of_size.qwk[_WHOLE, :, i], of_size.mae[:, i]
            rows.append(
                {
                    "features": features,
                    "model": model,
                    "n_train": n_train,
                    "n_draws": of_size.n_draws,
                    "qwk": qwk[0],
                    **dict(zip(("qwk_low", "qwk_high"), percentile_interval(qwk), strict=True)),
                    "mae": mae[0],
                    **dict(zip(("mae_low", "mae_high"), percentile_interval(mae), strict=True)),
                    "qwk_sd": of_size.qwk_sd[i],
                    "fit_seconds": seconds[n_train][features, model],
                }
            )
    return pd.DataFrame(rows)


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


def side_table(sides: Mapping[str, Mapping[int, Side]]) -> pd.DataFrame:
    """Return sides.csv: every side at every size."""
    rows = [
        {
            "side": name,
            "n_train": n_train,
            "features": side.line[0],
            "model": side.line[1],
            "qwk": side.qwk[0],
            **dict(zip(("qwk_low", "qwk_high"), percentile_interval(side.qwk), strict=True)),
        }
        for name, of_size in sides.items()
        for n_train, side in of_size.items()
    ]
    return pd.DataFrame(rows)


def p_value(resampled: Array) -> float:
    """Return the two-sided bootstrap p-value of a difference being 0: never below 2 / (1 + n_resamples)."""
    n = len(resampled)
    least = min((resampled[1:] <= 0).sum(), (resampled[1:] >= 0).sum()) + 1
    return min(1.0, 2 * least / n)


def holm(p_values: npt.ArrayLike) -> Array:
    """Return p-values adjusted for their number by Holm's step-down method.

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = p.argsort()
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def contrast_table(sides: Mapping[str, Mapping[int, Side]], contrasts: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return contrasts.csv: the first side of each pair less the second, at every size, adjusted for all of them."""
    rows = []
    for a, b in contrasts:
        for n_train in sides[a]:
            difference = sides[a][n_train].qwk - sides[b][n_train].qwk
            low, high = percentile_interval(difference)
            row = {"a": a, "b": b, "n_train": n_train, "difference": difference[0], "low": low, "high": high}
            rows.append({**row, "p": p_value(difference)})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"]))


def crossover_table(sides: Mapping[str, Mapping[int, Side]], contrasts: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return crossovers.csv: at how many training reviews the lead of a pair changes, and how sure that is.

    Between two sizes the difference is taken as a straight line over the logarithm of the training reviews; where the
    lead changes several times, the last one counts. Nobody's name stands where neither leads.
    """
    rows = []
    for a, b in contrasts:
        sizes = np.log(list(sides[a]))
        differences = np.stack([sides[a][n].qwk - sides[b][n].qwk for n in sides[a]])
        at = np.array([_last_change(sizes, column) for column in differences.T])
        found = np.isfinite(at[1:])
        if np.isfinite(at[0]):
            # A change of the lead the other way round speaks against this one.
            found &= np.sign(differences[-1, 1:]) == np.sign(differences[-1, 0])
        row = {"a": a, "b": b, "found": float(found.mean()), "n": np.nan, "n_low": np.nan, "n_high": np.nan}
        if np.isfinite(at[0]):
            low, high = np.percentile(at[1:][found], [2.5, 97.5]) if found.any() else (np.nan, np.nan)
            row |= {"n": np.exp(at[0]), "n_low": np.exp(low), "n_high": np.exp(high)}
        small, large = (a if differences[i, 0] > 0 else b if differences[i, 0] < 0 else "" for i in (0, -1))
        rows.append({**row, "ahead_small": small, "ahead_large": large})
    return pd.DataFrame(rows)


def _last_change(sizes: Array, difference: Array) -> float:
    """Return where a difference that begins with the other sign than it ends with changes for good; nan if it does not.

    Sizes are logarithms.
    """
    if np.sign(difference[0]) * np.sign(difference[-1]) >= 0:
        return float("nan")
    i = int(np.flatnonzero(np.sign(difference) != np.sign(difference[-1])).max())
    share = difference[i] / (difference[i] - difference[i + 1])
    return float(sizes[i] + share * (sizes[i + 1] - sizes[i]))
