"""Distances of a unit space's rows, each from the unit space of the other rows, without a refit."""

import numpy as np

from pipeline.taguchi.base import Array
from pipeline.taguchi.unit_space_metric import Method, Metric

# What is left of a row's sum of squares has lost digits below this.
_DIGITS_LOST = 1e-6


def has_closed_form(n: float, metric: Metric, method: Method) -> bool:
    """Return whether `left_out_distance` knows the distances without a refit."""
    return n > 2 and (method == "svp" or metric.n_items == 1 or metric.shrinkage == 0)


def check_enough_rows(n: float, metric: Metric, method: Method) -> None:
    """Refuse unit spaces whose rows, each measured by the others, do not tell how far a new row is.

    While the rows do not exceed the items, each further row adds a direction to the distance, or makes it much
    larger: the unit space without a row and the unit space with all rows have distances of different sizes.

    Raises
    ------
    ValueError
        If the rows are fewer than the directions in which they vary plus two.
    """
    if method == "svp" or metric.n_items == 1 or metric.shrinkage > 0 or n - 1 > metric.root.shape[1]:
        return
    p = metric.n_items
    raise ValueError(
        "Rows measured by the others, for threshold='quantile', 'roc' and operating_characteristic_, need "
        f"{p + 2} or more rows of the unit space for {p} items, got {n:g}: use shrinkage='auto', "
        "method='svp' or groups='items', or give more rows."
    )


def left_out_distance(z: Array, n: float, metric: Metric, method: Method) -> Array:
    r"""Return each row's distance from the unit space of the other n - 1 rows, by MT without shrinkage or by SVP.

    With z the standardised items, D the distance in the unit space of all n rows and :math:`c = n/(n - 1)`, taking a
    row out takes :math:`c\, z z'` from the sums of products. By the Sherman-Morrison formula the distance is D
    times :math:`c \sqrt{(n - 2)/(n - 1)/u}` with

    .. math:: u = 1 - \frac{c\, p D^2}{n - 1}

    and SVP is the root mean square of MT's distances in single items.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_items)
        Rows of the unit space, standardised by all of it.
    n : int
        All rows of the unit space.
    metric : Metric
        Of the unit space of all rows.
    method : {"mt", "svp"}
        How it was made.

    Returns
    -------
    distance : ndarray of shape (n_rows,)
        NaN for a row beside which the others vary little in an item or a direction: there the formula has no digits.
    """
    c = n / (n - 1)
    change = c * np.sqrt((n - 2) / (n - 1))
    if method == "svp":
        return change * np.linalg.norm(_divided(z, 1 - c / (n - 1) * z**2), axis=1) / np.sqrt(metric.n_items)
    p, distance = metric.root.shape[1], metric.distance(z)
    return change * _divided(distance, 1 - c * p / (n - 1) * distance**2)


def _divided(values: Array, left: Array) -> Array:
    """Return values over the root of what is left; NaN where that has no digits."""
    return values / np.sqrt(np.where(left > _DIGITS_LOST, left, np.nan))
