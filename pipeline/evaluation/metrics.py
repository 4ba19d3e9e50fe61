"""How good a predicted star is: errors, ranks, agreement, S/N ratio."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from pipeline.scale import FIVE_STARS, Scale, finite
from pipeline.taguchi import sn_ratio

Array = npt.NDArray[np.float64]


def clip_to_stars(y_pred: npt.ArrayLike, scale: Scale = FIVE_STARS) -> Array:
    """Return predictions clipped to the scale of the stars.

    Raises
    ------
    ValueError
        If a prediction is NaN or infinite.
    """
    return scale.clip(y_pred)


def round_to_stars(y_pred: npt.ArrayLike, scale: Scale = FIVE_STARS) -> npt.NDArray[Any]:
    """Return the star that each prediction is nearest to, whole numbers where the scale has no others; halves go up.

    Raises
    ------
    ValueError
        If a prediction is NaN or infinite.

    Examples
    --------
    >>> round_to_stars([0.2, 2.5, 3.49, 7.0]).tolist()
    [1, 3, 3, 5]
    >>> round_to_stars([0.2, 2.6, 3.49, 7.0], Scale(1, 5, 0.5)).tolist()
    [1.0, 2.5, 3.5, 5.0]
    """
    rounded = scale.round(y_pred)
    return rounded.astype(np.int64) if scale.is_whole else rounded


def qwk(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, axis: int = -1, scale: Scale = FIVE_STARS) -> Any:
    r"""Return the quadratic weighted kappa of stars.

    On numbers the quadratic weights reduce to sums, so that a bootstrap needs no confusion matrix:

    .. math:: \kappa = 1 - \frac{\sum (y - \hat y)^2}{n (s_y^2 + s_{\hat y}^2 + (\bar y - \bar{\hat y})^2)}

    with variances over n. It equals ``sklearn.metrics.cohen_kappa_score(weights="quadratic")``.

    Parameters
    ----------
    y_true, y_pred : array-like
        Stars, predictions rounded to the scale; leading axes are broadcast.
    axis : int, default=-1
        The axis of the reviews.
    scale : Scale, default=1 to 5

    Returns
    -------
    float or ndarray
        1 for full agreement, 0 for agreement by chance; nan where both are one constant.

    Raises
    ------
    ValueError
        If `y_true` or `y_pred` holds what is no value of the scale.

    References
    ----------
    J. Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.

    Examples
    --------
    >>> round(float(qwk([1, 2, 3, 4, 5], [1, 2, 3, 4, 4])), 3)
    0.941
    """
    a, b = scale.check(y_true, "y_true"), scale.check(y_pred, "y_pred")
    observed = np.mean((a - b) ** 2, axis=axis)
    expected = a.var(axis=axis) + b.var(axis=axis) + (a.mean(axis=axis) - b.mean(axis=axis)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        # Rounded, so that a constant prediction gives 0, not 1e-16 or minus zero.
        return np.round(1 - observed / expected, 12) + 0.0


def spearman(y_true: Any, y_pred: Any) -> float:
    """Return Spearman's rank correlation; nan where an argument is constant, since it has no order then.

    Raises
    ------
    ValueError
        If an argument holds NaN or an infinite number.

    Examples
    --------
    >>> round(spearman([1, 2, 3, 4], [1.2, 1.1, 3.0, 9.0]), 2)
    0.8
    """
    a, b = rankdata(finite(y_true, "y_true")), rankdata(finite(y_pred, "y_pred"))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def evaluate(y_true: npt.ArrayLike, y_pred: npt.ArrayLike, scale: Scale = FIVE_STARS) -> dict[str, float]:
    """Return every metric of predicted stars.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Stars.
    y_pred : array-like of shape (n,)
        Predicted stars, of any size.
    scale : Scale, default=1 to 5

    Returns
    -------
    dict of str to float
        - r2, mae, rmse: of the prediction as it is.
        - r2_clipped, mae_clipped, rmse_clipped: of the prediction clipped to the scale.
        - spearman: rank correlation.
        - qwk, accuracy: of the rounded star.
        - sn_db: S/N ratio of the prediction as it is, in dB.

        nan where a metric is not defined: a constant prediction has no ranks and no S/N ratio.

    Raises
    ------
    ValueError
        If `y_true` holds what is no value of the scale, or `y_pred` holds NaN or an infinite number.

    Examples
    --------
    >>> evaluate([1, 2, 4, 5], [1.4, 2.6, 3.7, 5.5])["accuracy"]
    0.75
    >>> evaluate([0, 2, 6, 10], [1.2, 2.4, 3.1, 10.5], Scale(0, 10))["accuracy"]
    0.5
    """
    y, raw = scale.check(y_true, "y_true"), finite(y_pred, "y_pred")
    signal = sn_ratio(y, raw)
    clipped, stars = scale.clip(raw), scale.round(raw)
    errors = {"r2": r2_score, "mae": mean_absolute_error, "rmse": root_mean_squared_error}
    result = {name: float(metric(y, raw)) for name, metric in errors.items()}
    result |= {f"{name}_clipped": float(metric(y, clipped)) for name, metric in errors.items()}
    return result | {
        "spearman": spearman(y, raw),
        "qwk": float(qwk(y, stars, scale=scale)),
        "accuracy": float(np.mean(y == stars)),
        "sn_db": signal if np.isfinite(signal) else float("nan"),
    }
