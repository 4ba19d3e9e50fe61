"""The S/N ratio of an estimate, as a metric and as a scorer."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import make_scorer
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import _check_sample_weight

from pipeline.taguchi.base import EPS
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio


def sn_ratio(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: Any = None, center: float | None = None) -> float:
    """Return the integrated S/N ratio of an estimate in dB: ``10 log10(eta)`` with the estimate as the only item.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Target and its estimate.
    sample_weight : array-like of shape (n_samples,), default=None
        2 counts as a repeated row.
    center : float, default=None
        Origin from which target and estimate are measured, for instance the unit space's target; default: the mean of
        `y_true`.

    Returns
    -------
    float
        In dB, for eta in 1 / squared units of the target; higher is better. -inf where the estimate carries no signal
        (S_beta <= V_e) or falls as the target rises; nan where the target never leaves the centre.

    Raises
    ------
    ValueError
        If the lengths differ, a value is not finite, or a weight is negative or all together no more than one row.

    Notes
    -----
    `sn_ratio_scorer` is this as a scorer. In a search a -inf makes scikit-learn warn that a score is not finite.

    References
    ----------
    As the overall S/N ratio of the R package MTSYS 1.2.0.

    Examples
    --------
    >>> round(sn_ratio([1, 2, 3, 4, 5], [1.1, 1.9, 3.0, 4.1, 4.9]), 2)
    20.28
    """
    y = column_or_1d(np.asarray(y_true, dtype=np.float64), input_name="y_true")
    estimate = column_or_1d(np.asarray(y_pred, dtype=np.float64), input_name="y_pred")
    check_consistent_length(y, estimate)
    if not (np.isfinite(y).all() and np.isfinite(estimate).all()):
        raise ValueError("y_true and y_pred must be finite, got NaN or infinity.")
    weight = _check_sample_weight(sample_weight, y[:, None], dtype=np.float64, ensure_non_negative=True)
    if sample_weight is not None and not weight.sum() > 1:
        raise ValueError(f"sample_weight sums up to {weight.sum():g}; weights count rows: scale them up.")
    center = float(np.average(y, weights=weight)) if center is None else center
    M, M_hat = y - center, estimate - center
    r = float(weight @ M**2)
    if r <= weight.sum() * (4 * EPS * max(np.abs(y).max(), abs(center))) ** 2:
        return float("nan")
    beta, eta = sensitivity_and_sn_ratio(r, (weight * M) @ M_hat, weight @ M_hat**2, weight.sum())
    return float(10 * np.log10(eta)) if eta > 0 and beta > 0 else -np.inf


sn_ratio_scorer = make_scorer(sn_ratio)
