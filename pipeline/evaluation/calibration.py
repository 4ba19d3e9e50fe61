"""Calibration: how predicted stars spread about the true ones."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.inputs import check_order, check_whole
from pipeline.scale import FIVE_STARS, Array, Scale, finite


def calibration_statistics(
    stars: npt.ArrayLike, predictions: npt.ArrayLike, scale: Scale | None = FIVE_STARS
) -> dict[str, float]:
    """Return slopes, spread and bias of predicted against true stars.

    Parameters
    ----------
    stars, predictions : array-like of shape (n_reviews,)
    scale : Scale or None, default=1 to 5
        None for any target, not only stars.

    Returns
    -------
    dict of str to float
        - slope: of the prediction on the truth; 1 for the T-method's estimate in its signal data.
        - slope_true: of the truth on the prediction; 1 where predictions need no recalibration.
        - sd_ratio: standard deviation of the prediction over the truth's.
        - bias: mean of prediction less truth.

        nan where a spread is zero.

    Raises
    ------
    ValueError
        If one of the stars is no value of the scale, a star or a prediction is NaN or infinite, or there is none or not
        one of each for every row.

    Examples
    --------
    >>> calibration_statistics([1, 2, 3], [1, 3, 5])
    {'slope': 2.0, 'slope_true': 0.5, 'sd_ratio': 2.0, 'bias': 1.0}
    >>> calibration_statistics([0.1, 250.0], [50.1, 300.0], scale=None)["bias"]
    50.0
    """
    y, predicted = _checked(stars, predictions, scale)
    covariance = np.mean((y - y.mean()) * (predicted - predicted.mean()))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = {
            "slope": covariance / y.var(),
            "slope_true": covariance / predicted.var(),
            "sd_ratio": predicted.std() / y.std(),
            "bias": np.mean(predicted - y),
        }
    return {name: float(ratio) if np.isfinite(ratio) else float("nan") for name, ratio in ratios.items()}


def calibration_bins(
    stars: npt.ArrayLike, predictions: npt.ArrayLike, n_bins: int = 10, scale: Scale | None = FIVE_STARS
) -> pd.DataFrame:
    """Return mean prediction, mean star and number of reviews in bins of equal counts, smallest prediction first.

    Parameters
    ----------
    stars, predictions : array-like of shape (n_reviews,)
    n_bins : int, default=10
        At most; no bin is empty.
    scale : Scale or None, default=1 to 5
        None for any target, not only stars.

    Returns
    -------
    DataFrame with columns predicted, true and n_reviews

    Raises
    ------
    ValueError
        If one of the stars is no value of the scale, a star or a prediction is NaN or infinite, or there is none or not
        one of each for every row.

    Examples
    --------
    >>> calibration_bins([1, 2, 4, 5], [4.5, 1.5, 4.0, 2.5], n_bins=2)
       predicted  true  n_reviews
    0       2.00   3.5          2
    1       4.25   2.5          2
    """
    y, predicted = _checked(stars, predictions, scale)
    check_whole(n_bins, "n_bins", least=1)
    bins = np.array_split(np.argsort(predicted, kind="stable"), min(n_bins, len(y)))
    means = [(predicted[rows].mean(), y[rows].mean(), len(rows)) for rows in bins]
    return pd.DataFrame(means, columns=["predicted", "true", "n_reviews"])


def _checked(stars: npt.ArrayLike, predictions: npt.ArrayLike, scale: Scale | None) -> tuple[Array, Array]:
    y = finite(stars, "The target") if scale is None else scale.check(stars)
    predicted = finite(predictions)
    if y.ndim != 1 or y.shape != predicted.shape or not len(y):
        raise ValueError(f"Got targets of shape {y.shape} and predictions of {predicted.shape}: give one for each row.")
    check_order({"the target": stars, "the prediction": predictions})
    return y, predicted
