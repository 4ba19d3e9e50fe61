"""Distances of a unit space's rows, each from the unit space of the other rows, without a refit."""

import numpy as np

from pipeline.taguchi.base import Array
from pipeline.taguchi.unit_space_metric import Method, Metric

# Less than this is left of a row's sum of squares where the other rows do not vary.
_NOTHING = 1e-9


def has_closed_form(n: float, metric: Metric, method: Method) -> bool:
    """Return whether `left_out_distance` knows the distances without a refit."""
    if method == "svp" or metric.n_items == 1:
        return n > 2
    return metric.shrinkage == 0 and n > 2 and (method == "mta" or n - 1 > metric.root.shape[1])


def left_out_distance(z: Array, n: float, metric: Metric, method: Method) -> Array:
    r"""Return each row's distance from the unit space of the other n - 1 rows, exactly.

    With z the standardised items, D the distance in the unit space of all n rows and :math:`c = n/(n - 1)`, taking a
    row out changes the sums of products by :math:`c` times its own. By the Sherman-Morrison formula the distance is D
    times :math:`c \sqrt{(n - 2)/(n - 1)/u}` with

    .. math:: u = 1 - \frac{c\, p D^2}{n - 1} \;(\text{MT}),\qquad
              u = \prod_j \Big(1 - \frac{c\, z_j^2}{n - 1}\Big) \;(\text{MTA}),

    and SVP is the root mean square of MT's distances in single items.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_items)
        Rows of the unit space, standardised by all of it.
    n : int
        All rows of the unit space.
    metric : Metric
        Of the unit space of all rows.
    method : {"mt", "mta", "svp"}
        How it was made.

    Returns
    -------
    distance : ndarray of shape (n_rows,)
        Infinite for a row that alone varies in an item, or alone in a direction.
    """
    c = n / (n - 1)
    change = c * np.sqrt((n - 2) / (n - 1))
    if method == "svp":
        return change * np.linalg.norm(_divided(z, 1 - c / (n - 1) * z**2), axis=1) / np.sqrt(metric.n_items)
    if method == "mta" and metric.n_items > 1:
        return change * _divided(metric.distance(z), (1 - c / (n - 1) * z**2).prod(axis=1))
    p, distance = metric.root.shape[1], metric.distance(z)
    return change * _divided(distance, 1 - c * p / (n - 1) * distance**2)


def _divided(values: Array, left: Array) -> Array:
    """Return values over the root of what is left; infinite where nothing is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(left > _NOTHING, values / np.sqrt(left), np.where(values == 0, 0, np.inf))
