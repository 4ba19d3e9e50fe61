"""How good a predicted star is: errors, ranks, agreement, S/N ratio, and bootstrap intervals."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pipeline.taguchi import sn_ratio

STARS = (1, 5)

Array = npt.NDArray[np.float64]


def clip_to_stars(y_pred: npt.ArrayLike) -> Array:
    """Return predictions clipped to the scale of 1 to 5 stars."""
    return np.clip(np.asarray(y_pred, dtype=np.float64), *STARS)


def round_to_stars(y_pred: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return whole stars from 1 to 5; halves go up.

    Examples
    --------
    >>> round_to_stars([0.2, 2.5, 3.49, 7.0]).tolist()
    [1, 3, 3, 5]
    """
    return np.floor(clip_to_stars(y_pred) + 0.5).astype(np.int64)


def qwk(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, axis: int = -1) -> Any:
    r"""Return the quadratic weighted kappa of whole stars.

    On numbers the quadratic weights reduce to sums, so that a bootstrap needs no confusion matrix:

    .. math:: \kappa = 1 - \frac{\sum (y - \hat y)^2}{n (s_y^2 + s_{\hat y}^2 + (\bar y - \bar{\hat y})^2)}

    with variances over n. It equals ``sklearn.metrics.cohen_kappa_score(weights="quadratic")``.

    Parameters
    ----------
    y_true, y_pred : array-like
        Whole stars; leading axes are broadcast.
    axis : int, default=-1
        The axis of the reviews.

    Returns
    -------
    float or ndarray
        1 for full agreement, 0 for agreement by chance; nan where both are one and the same constant.

    References
    ----------
    J. Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.

    Examples
    --------
    >>> round(float(qwk([1, 2, 3, 4, 5], [1, 2, 3, 4, 4])), 3)
    0.941
    """
    a, b = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    observed = np.mean((a - b) ** 2, axis=axis)
    expected = a.var(axis=axis) + b.var(axis=axis) + (a.mean(axis=axis) - b.mean(axis=axis)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # A constant prediction is 0, and neither 1e-16 nor minus zero.
        return np.round(1 - observed / expected, 12) + 0.0


def spearman(y_true: Any, y_pred: Any) -> float:
    """Return Spearman's rank correlation; nan where a side is constant, since it has no order then."""
    a, b = rankdata(y_true), rankdata(y_pred)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def evaluate(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> dict[str, float]:
    """Return every point metric of predicted stars, on the raw and on the clipped prediction.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Stars from 1 to 5.
    y_pred : array-like of shape (n,)
        Predicted stars, of any size.

    Returns
    -------
    dict of str to float
        r2, mae and rmse, each also with the suffix _clipped; spearman, qwk and accuracy of the rounded star; sn_db.
        nan where a metric is not defined (a constant prediction has no ranks and no S/N ratio).
    """
    y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    signal = sn_ratio(y, raw)
    clipped, stars = clip_to_stars(raw), round_to_stars(raw)
    errors: dict[str, Callable[[Array, Array], float]] = {
        "r2": r2_score,
        "mae": mean_absolute_error,
        "rmse": root_mean_squared_error,
    }
    result = {name: float(metric(y, raw)) for name, metric in errors.items()}
    result |= {f"{name}_clipped": float(metric(y, clipped)) for name, metric in errors.items()}
    return result | {
        "spearman": spearman(y, raw),
        "qwk": float(qwk(y, stars)),
        "accuracy": float(np.mean(y == stars)),
        "sn_db": signal if np.isfinite(signal) else float("nan"),
    }


@lru_cache(maxsize=2)
def resample_counts(n_reviews: int, n_resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """Return how often each review counts in each bootstrap resample; the first row is the reviews as they are.

    Whatever is a function of sums over the reviews is a matrix product with these counts, and two predictions that
    are measured with the same ones are paired.

    Returns
    -------
    ndarray of shape (1 + n_resamples, n_reviews), float32, not to be written to
    """
    drawn = np.random.default_rng(seed).multinomial(n_reviews, np.full(n_reviews, 1 / n_reviews), size=n_resamples)
    counts = np.concatenate([np.ones((1, n_reviews)), drawn]).astype(np.float32)
    counts.flags.writeable = False
    return counts


def star_sums(counts: npt.NDArray[np.float32], y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> Array:
    """Return the sums that QWK is a function of, in every resample: of p, p^2, p y, 1, y and y^2.

    Parameters
    ----------
    counts : ndarray of shape (n_resamples, n_reviews)
        From `resample_counts`.
    y_true : array-like of shape (n_reviews,)
        Whole stars.
    y_pred : array-like of shape (n_reviews, n_columns)
        Whole stars.

    Returns
    -------
    ndarray of shape (6, n_resamples, n_columns)
        Exact, since float32 holds whole numbers up to 16 million. Sums over parts of the reviews add up.
    """
    y, p = np.asarray(y_true, dtype=np.float32), np.asarray(y_pred, dtype=np.float32)
    of_predictions = (counts @ np.hstack([p, p**2, p * y[:, None]])).reshape(len(counts), 3, -1).transpose(1, 0, 2)
    of_stars = (counts @ np.stack([np.ones_like(y), y, y**2], axis=1)).T[:, :, None]
    return np.concatenate([of_predictions, np.broadcast_to(of_stars, of_predictions.shape)]).astype(np.float64)


def qwk_of_sums(sums: Array) -> Array:
    r"""Return `qwk` from `star_sums`; nan where it is not defined.

    .. math:: \kappa = 1 - \frac{\sum p^2 - 2 \sum p y + \sum y^2}{\sum p^2 + \sum y^2 - 2 \sum p \sum y / n}
    """
    p, pp, py, n, y, yy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.round(1 - (pp - 2 * py + yy) / (pp + yy - 2 * p * y / n), 12) + 0.0


def percentile_interval(resampled: Array) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic in all resamples but the first, the reviews as they are.

    Resamples in which the statistic is not defined are left out.
    """
    defined = resampled[1:][~np.isnan(resampled[1:])]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _resampled_qwk(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_resamples: int, seed: int) -> Array:
    stars = round_to_stars(y_pred)[:, None]
    return qwk_of_sums(star_sums(resample_counts(len(stars), n_resamples, seed), y_true, stars))[:, 0]


def intervals(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_resamples: int, seed: int) -> dict[str, float]:
    """Return 95% bootstrap intervals over two or more reviews: qwk_low, qwk_high, mae_low and mae_high."""
    y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    qwk_low, qwk_high = percentile_interval(_resampled_qwk(y, raw, n_resamples, seed))
    errors = resample_counts(len(y), n_resamples, seed) @ np.abs(y - raw) / len(y)
    mae_low, mae_high = percentile_interval(errors)
    return {"qwk_low": qwk_low, "qwk_high": qwk_high, "mae_low": mae_low, "mae_high": mae_high}


def qwk_difference(
    y_true: npt.ArrayLike, y_pred_a: npt.ArrayLike, y_pred_b: npt.ArrayLike, n_resamples: int, seed: int
) -> tuple[float, float, float]:
    """Return QWK of a minus QWK of b on the same reviews, with its 95% paired bootstrap interval.

    Returns
    -------
    difference, low, high : float
    """
    a, b = (_resampled_qwk(y_true, each, n_resamples, seed) for each in (y_pred_a, y_pred_b))
    difference = qwk(y_true, round_to_stars(y_pred_a)) - qwk(y_true, round_to_stars(y_pred_b))
    return float(difference), *percentile_interval(a - b)
