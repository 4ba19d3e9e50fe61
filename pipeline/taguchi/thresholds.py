"""Where a distance stops being ordinary: thresholds by a false alarm rate, and the operating characteristic."""

import math
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.taguchi.base import Array, Floating

Threshold = Literal["quantile", "f", "roc"] | float
THRESHOLD: list[Any] = [Interval(Real, 0, None, closed="left"), StrOptions({"quantile", "f", "roc"})]
FALSE_ALARM_RATE: list[Any] = [Interval(Real, 0, 1, closed="neither")]


def quantile_threshold(distances: Floating, false_alarm_rate: float) -> float:
    r"""Return the distance that a new ordinary row exceeds with at most a given probability.

    The k-th smallest of n distances with :math:`k = \lceil (n + 1)(1 - \alpha) \rceil`, as in split-conformal
    prediction: it holds for any distribution, if the distance of a new row is exchangeable with these. Distances of a
    unit space's rows, each measured by the others, are so only with clearly more rows than items.

    Parameters
    ----------
    distances : ndarray of shape (n,)
        Distances of ordinary rows that had no part in what they are measured by; infinite ones are allowed.
    false_alarm_rate : float
        :math:`\alpha`, between 0 and 1.

    Returns
    -------
    threshold : float
        One of the distances.

    Raises
    ------
    ValueError
        If there are fewer than :math:`1/\alpha - 1` distances, or if the quantile is infinite.

    Examples
    --------
    >>> quantile_threshold(np.arange(1.0, 20.0), 0.1)
    18.0
    """
    n = len(distances)
    # Less the rounding of 1 - 0.05 and its like.
    k = math.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9)
    if k > n:
        raise ValueError(
            f"threshold='quantile' needs {math.ceil(1 / false_alarm_rate - 1 - 1e-9)} or more rows of the unit space "
            f"for false_alarm_rate={false_alarm_rate:g}, got {n}: give more rows, a larger rate or threshold='f'."
        )
    threshold = float(np.partition(distances, k - 1)[k - 1])
    if not math.isfinite(threshold):
        raise ValueError(
            f"threshold='quantile' is infinite: {np.isinf(distances).sum()} of {n} rows of the unit space differ in "
            f"what is constant in all others, more than false_alarm_rate={false_alarm_rate:g} allows. Remove the items."
        )
    return threshold


def normal_limit(n: float, p: float, tail: float) -> float:
    r"""Return the distance D of MT that a new row of a normal unit space exceeds with a given probability.

    Measured by the mean and the covariance of n rows, a further normal row of p items has

    .. math:: D^2 \sim \frac{n^2 - 1}{n (n - p)} F_{p,\, n - p}

    Parameters
    ----------
    n : float
        Rows of the unit space, more than p.
    p : float
        Items.
    tail : float
        The probability.

    Returns
    -------
    limit : float
        A distance, not squared.

    References
    ----------
    N. D. Tracy, J. C. Young, R. L. Mason, "Multivariate Control Charts for Individual Observations", Journal of
    Quality Technology 24(2), 1992.

    Examples
    --------
    >>> round(normal_limit(100, 5, 0.01), 3), round(normal_limit(100, 50, 0.01), 3)
    (1.84, 1.974)
    """
    return math.sqrt((n**2 - 1) / (n * (n - p)) * stats.f.isf(tail, p, n - p))


def roc_threshold(ordinary: Floating, abnormal: Floating) -> float:
    """Return the threshold with the largest detection rate less false alarm rate (Youden's index).

    Parameters
    ----------
    ordinary, abnormal : ndarray of shape (n_ordinary,) and (n_abnormal,)
        Distances; a row is flagged where its distance exceeds the threshold.

    Returns
    -------
    threshold : float
        In the middle between two distances that were seen: all thresholds there give these rates. Of several with
        one index, the largest.

    Examples
    --------
    >>> roc_threshold(np.array([1.0, 2.0, 4.0]), np.array([3.0, 8.0, 9.0]))
    6.0
    """
    table = rates(ordinary, abnormal)
    index = table["detection_rate"] - table["false_alarm_rate"]
    # Differences of counts differ by rounding where they are equal.
    best = int(np.flatnonzero(index >= index.max() - 1e-12)[-1])
    values = table["threshold"].to_numpy()
    return float(values[best] if best == len(values) - 1 else (values[best] + values[best + 1]) / 2)


def rates(ordinary: Floating, abnormal: Floating, chosen: float | None = None) -> pd.DataFrame:
    """Return the operating characteristic: shares of rows whose distance exceeds each threshold.

    Parameters
    ----------
    ordinary, abnormal : ndarray of shape (n_ordinary,) and (n_abnormal,)
        Distances; an infinite one exceeds any threshold.
    chosen : float, default=None
        A threshold to mark; where no distance equals it, the table has one more row for it.

    Returns
    -------
    DataFrame
        Columns `threshold` (0, the distances, and the chosen one; ascending), `false_alarm_rate`, `detection_rate`,
        `chosen` (True in one row).

    Examples
    --------
    >>> rates(np.array([1.0, 2.0]), np.array([2.0, 3.0]), 2.0).iloc[:, :3].to_numpy().tolist()
    [[0.0, 1.0, 1.0], [1.0, 0.5, 1.0], [2.0, 0.0, 0.5], [3.0, 0.0, 0.0]]
    """
    marked: list[float] = []
    if chosen is not None:
        # As the distances are compared with it, which may be in float32.
        marked = [float(np.asarray(chosen, dtype=ordinary.dtype))]
    distances = np.concatenate([ordinary, abnormal]).astype(np.float64)
    thresholds = np.unique(np.concatenate([[0.0], marked, distances[np.isfinite(distances)]]))
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "false_alarm_rate": _share_above(ordinary, thresholds),
            "detection_rate": _share_above(abnormal, thresholds),
            "chosen": np.isin(thresholds, marked),
        }
    )


def _share_above(distances: Floating, thresholds: Array) -> Array:
    within = np.searchsorted(np.sort(distances.astype(np.float64)), thresholds, side="right")
    return (len(distances) - within) / len(distances)
