"""How good a predicted star is: errors, ranks, agreement, S/N ratio."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pipeline.taguchi import sn_ratio

_STARS = (1, 5)

Array = npt.NDArray[np.float64]


def clip_to_stars(y_pred: npt.ArrayLike) -> Array:
    """Return predictions clipped to the scale of 1 to 5 stars."""
    return np.clip(np.asarray(y_pred, dtype=np.float64), *_STARS)


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
        1 for full agreement, 0 for agreement by chance; nan where both are one constant.

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
        # Rounded, so that a constant prediction gives 0, not 1e-16 or minus zero.
        return np.round(1 - observed / expected, 12) + 0.0


def spearman(y_true: Any, y_pred: Any) -> float:
    """Return Spearman's rank correlation; nan where an argument is constant, since it has no order then.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4], [1.2, 1.1, 3.0, 9.0]), 2)
    0.8
    """
    a, b = rankdata(y_true), rankdata(y_pred)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def evaluate(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> dict[str, float]:
    """Return every metric of predicted stars.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Stars from 1 to 5.
    y_pred : array-like of shape (n,)
        Predicted stars, of any size.

    Returns
    -------
    dict of str to float
        - r2, mae, rmse: of the prediction as it is.
        - r2_clipped, mae_clipped, rmse_clipped: of the prediction clipped to 1 to 5.
        - spearman: rank correlation.
        - qwk, accuracy: of the rounded star.
        - sn_db: S/N ratio of the prediction as it is, in dB.

        nan where a metric is not defined: a constant prediction has no ranks and no S/N ratio.

    Examples
    --------
    >>> evaluate([1, 2, 4, 5], [1.4, 2.6, 3.7, 5.5])["accuracy"]
    0.75
    """
    y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    signal = sn_ratio(y, raw)
    clipped, stars = clip_to_stars(raw), round_to_stars(raw)
    errors = {"r2": r2_score, "mae": mean_absolute_error, "rmse": root_mean_squared_error}
    result = {name: float(metric(y, raw)) for name, metric in errors.items()}
    result |= {f"{name}_clipped": float(metric(y, clipped)) for name, metric in errors.items()}
    return result | {
        "spearman": spearman(y, raw),
        "qwk": float(qwk(y, stars)),
        "accuracy": float(np.mean(y == stars)),
        "sn_db": signal if np.isfinite(signal) else float("nan"),
    }
