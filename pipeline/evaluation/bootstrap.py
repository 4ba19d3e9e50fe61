"""Intervals and p-values from resamples: counts of the reviews, so that sums over them are matrix products."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.metrics import Array, evaluate, qwk
from pipeline.scale import FIVE_STARS, Scale, finite

_COUNTS_AT_ONCE = 2**23
_WHOLE_IN_FLOAT32 = 2**24  # up to here float32 holds every whole number


@lru_cache(maxsize=2)
def resample_counts(n_reviews: int, n_resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """Return how often each review counts in each bootstrap resample; the first row is the reviews as they are.

    Sums over the reviews are matrix products with these counts. Two predictions measured with equal counts are paired.

    Returns
    -------
    ndarray of shape (1 + n_resamples, n_reviews), float32
        Shared by all callers, so read-only.
    """
    rng, share = np.random.default_rng(seed), np.full(n_reviews, 1 / n_reviews)
    counts = np.ones((1 + n_resamples, n_reviews), dtype=np.float32)
    for some in _blocks(counts[1:]):
        some[:] = rng.multinomial(n_reviews, share, size=len(some))
    counts.flags.writeable = False
    return counts


def _blocks(counts: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield some resamples at a time: copies of them in 64 bits do not fill the memory."""
    at_once = max(1, _COUNTS_AT_ONCE // max(1, counts.shape[1]))
    for start in range(0, len(counts), at_once):
        yield counts[start : start + at_once]


def star_sums(counts: npt.NDArray[np.float32], y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """Return the sums that QWK depends on, in every resample: of p, p^2, p y, 1, y and y^2.

    Parameters
    ----------
    counts : ndarray of shape (n_resamples, n_reviews)
        From `resample_counts`.
    y_true : array-like of shape (n_reviews,)
        Whole numbers y that stand for the stars, see `star_numbers`.
    y_pred : array-like of shape (n_reviews, n_columns)
        Whole numbers p.

    Returns
    -------
    ndarray of shape (6, n_resamples, n_columns)
        Exact. Sums over disjoint groups of reviews add up.
    """
    y, p = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    largest = max(np.abs(y).max(), np.abs(p).max())
    # Twice as fast in float32, as long as no sum can pass what it holds exactly.
    dtype: Any = np.float32 if largest**2 * len(y) < _WHOLE_IN_FLOAT32 else np.float64
    y, p = y.astype(dtype), p.astype(dtype)
    columns = np.hstack([p, p**2, p * y[:, None], np.stack([np.ones_like(y), y, y**2], axis=1)])
    sums = np.empty((len(counts), columns.shape[1]))
    np.concatenate([some.astype(dtype, copy=False) @ columns for some in _blocks(counts)], out=sums)
    of_predictions = sums[:, :-3].reshape(len(counts), 3, -1).transpose(1, 0, 2)
    return np.concatenate([of_predictions, np.broadcast_to(sums[:, -3:].T[:, :, None], of_predictions.shape)])


def star_numbers(stars: npt.ArrayLike, scale: Scale) -> Array:
    """Return the number of the value that each star or prediction is nearest to: 1 for the lowest.

    QWK of these numbers is QWK of the stars, since it does not depend on where a scale begins, nor on its unit.

    Examples
    --------
    >>> star_numbers([0.5, 1.6, 9.0], Scale(0.5, 5, 0.5)).tolist()
    [1.0, 3.0, 10.0]
    """
    return 1 + scale.position(stars).astype(np.float64)


def qwk_of_sums(sums: Array) -> Array:
    r"""Return `qwk` from `star_sums`; nan where it is not defined.

    .. math:: \kappa = 1 - \frac{\sum p^2 - 2 \sum p y + \sum y^2}{\sum p^2 + \sum y^2 - 2 \sum p \sum y / n}
    """
    p, pp, py, n, y, yy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.round(1 - (pp - 2 * py + yy) / (pp + yy - 2 * p * y / n), 12) + 0.0


def percentile_interval(resampled: Array) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic.

    Parameters
    ----------
    resampled : ndarray of shape (1 + n_resamples,)
        The statistic in each resample. The first value, of the reviews as they are, and nan are left out.

    Returns
    -------
    low, high : float
        nan where the statistic is defined in no resample.

    Examples
    --------
    >>> percentile_interval(np.array([30.0, *range(81)]))
    (2.0, 78.0)
    """
    defined = resampled[1:][~np.isnan(resampled[1:])]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _resampled_qwk(y: Array, y_pred: npt.ArrayLike, n_resamples: int, seed: int, scale: Scale) -> Array:
    numbers = star_numbers(finite(y_pred, "y_pred"), scale)[:, None]
    counts = resample_counts(len(y), n_resamples, seed)
    return qwk_of_sums(star_sums(counts, star_numbers(y, scale), numbers))[:, 0]


def intervals(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_resamples: int, seed: int, scale: Scale = FIVE_STARS
) -> dict[str, float]:
    """Return 95% bootstrap intervals of QWK and mean absolute error.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Stars of two or more reviews.
    y_pred : array-like of shape (n,)
        Predicted stars: rounded for QWK, as they are for the error.
    n_resamples : int
    seed : int
    scale : Scale, default=1 to 5

    Returns
    -------
    dict of str to float
        qwk_low, qwk_high, mae_low and mae_high.

    Raises
    ------
    ValueError
        If `y_true` holds what is no value of the scale, or `y_pred` holds NaN or an infinite number.

    Examples
    --------
    >>> intervals([1, 2, 4, 5], [1.5, 2.5, 3.5, 4.5], n_resamples=100, seed=0)["mae_high"]
    0.5
    """
    y, raw = scale.check(y_true, "y_true"), np.asarray(y_pred, dtype=np.float64)
    qwk_low, qwk_high = percentile_interval(_resampled_qwk(y, raw, n_resamples, seed, scale))
    counts, error = resample_counts(len(y), n_resamples, seed), np.abs(y - raw)
    errors = np.concatenate([some @ error for some in _blocks(counts)]) / len(y)
    mae_low, mae_high = percentile_interval(errors)
    return {"qwk_low": qwk_low, "qwk_high": qwk_high, "mae_low": mae_low, "mae_high": mae_high}


def evaluate_clipped(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_resamples: int, seed: int, scale: Scale = FIVE_STARS
) -> dict[str, float]:
    """Return n_reviews, and metrics and `intervals` of the prediction clipped to the scale.

    Parameters and errors are those of `intervals`.

    Returns
    -------
    dict of str to float
        n_reviews, the metrics of `evaluate` and the keys of `intervals`. QWK and its interval are nan where all reviews
        have one star: there is nothing to agree on.
    """
    clipped = scale.clip(finite(y_pred, "y_pred"))
    measured = evaluate(y_true, clipped, scale) | intervals(y_true, clipped, n_resamples, seed, scale)
    result = {"n_reviews": len(clipped), **measured}
    if np.ptp(np.asarray(y_true)) == 0:
        result |= dict.fromkeys(("qwk", "qwk_low", "qwk_high"), float("nan"))
    return result


def qwk_difference(
    y_true: npt.ArrayLike,
    y_pred_a: npt.ArrayLike,
    y_pred_b: npt.ArrayLike,
    n_resamples: int,
    seed: int,
    scale: Scale = FIVE_STARS,
) -> tuple[float, float, float]:
    """Return QWK of a minus QWK of b on the same reviews, with its 95% paired bootstrap interval.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Stars.
    y_pred_a, y_pred_b : array-like of shape (n,)
        Predicted stars, which are rounded.
    n_resamples : int
    seed : int
    scale : Scale, default=1 to 5

    Returns
    -------
    difference, low, high : float

    Raises
    ------
    ValueError
        If `y_true` holds what is no value of the scale, or a prediction is NaN or infinite.

    Examples
    --------
    >>> qwk_difference([1, 2, 4, 5], [1, 2, 4, 5], [1, 2, 4, 5], n_resamples=100, seed=0)
    (0.0, 0.0, 0.0)
    """
    y = scale.check(y_true, "y_true")
    a, b = (_resampled_qwk(y, each, n_resamples, seed, scale) for each in (y_pred_a, y_pred_b))
    difference = qwk(y, scale.round(y_pred_a), scale=scale) - qwk(y, scale.round(y_pred_b), scale=scale)
    return float(difference), *percentile_interval(a - b)


def p_value(resampled: Array) -> float:
    """Return the two-sided bootstrap p-value of a difference being 0.

    Parameters
    ----------
    resampled : ndarray of shape (1 + n_resamples,)
        The difference in each resample; the first one, of the reviews as they are, does not count.

    Returns
    -------
    float
        From 2 / (1 + n_resamples) to 1.

    Examples
    --------
    >>> p_value(np.array([0.3, *np.linspace(0.2, 0.4, 99)]))
    0.02
    """
    n = len(resampled)
    least = min((resampled[1:] <= 0).sum(), (resampled[1:] >= 0).sum()) + 1
    return float(min(1.0, 2 * least / n))


def holm(p_values: npt.ArrayLike) -> Array:
    """Return p-values adjusted for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)

    Returns
    -------
    ndarray of shape (n_tests,)

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
