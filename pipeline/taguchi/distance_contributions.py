"""What each item adds to a squared distance from a unit space."""

from typing import Literal

import numpy as np

from pipeline.taguchi.base import Array
from pipeline.taguchi.unit_space_metric import Method, Metric, UnitSpaceMoments, unit_space_metric, varies

By = Literal["terms", "leaving_out"]


def terms(z: Array, root: Array) -> Array:
    """Return ``z_j (A z)_j / p`` with ``root @ root.T`` for A / p: parts that sum up to the squared distance."""
    return z * (z @ root @ root.T)


def leaving_out(z: Array, metric: Metric, moments: UnitSpaceMoments, method: Method) -> Array:
    r"""Return the squared distance less that of the other items alone.

    Where A is the inverse of a (shrunk) correlation matrix or the identity, leaving item j out takes
    :math:`(A z)_j^2 / A_{jj}` from :math:`p D^2`, by the Schur complement. Otherwise each item is left out in turn.

    Parameters
    ----------
    z : ndarray of shape (n_rows, n_items)
        Standardised items.
    metric : Metric
        How their deviations are measured.
    moments : UnitSpaceMoments
        Of these items.
    method : {"mt", "mta", "svp"}
        How the metric was made.

    Returns
    -------
    contributions : ndarray of shape (n_rows, n_items)
        0 for a constant item. Negative where the distance is larger without the item.
    """
    carries = varies(moments.scatter.diagonal(), moments.n, moments.mean)
    p = int(carries.sum())
    squared = np.square(z @ metric.root).sum(axis=1)
    result = np.zeros(z.shape)
    if p == 1:
        result[:, carries] = squared[:, None]
    elif method != "mta" and metric.root.shape[1] == p:
        A = p * metric.root @ metric.root.T
        taken = np.square(z @ A[:, carries]) / A.diagonal()[carries]
        result[:, carries] = squared[:, None] - (p * squared[:, None] - taken) / (p - 1)
    else:
        for item in np.flatnonzero(carries):
            others = np.flatnonzero(np.arange(z.shape[1]) != item)
            root = unit_space_metric(moments.part(others), method, metric.shrinkage).root
            result[:, item] = squared - np.square(z[:, others] @ root).sum(axis=1)
    return result


def variance_inflation(moments: UnitSpaceMoments) -> Array:
    """Return the diagonal of the inverse correlation matrix; NaN for a constant item, inf for a collinear one."""
    n, mean, scatter = moments
    carries = varies(scatter.diagonal(), n, mean)
    s = np.sqrt(scatter.diagonal()[carries])
    eigenvalues, V = np.linalg.eigh(scatter[np.ix_(carries, carries)] / s / s[:, None])
    result = np.full(len(mean), np.nan)
    floor = 1e-12 * eigenvalues.max(initial=1)
    inflation = (V**2 / np.maximum(eigenvalues, floor)).sum(axis=1)
    # The square of a direction without variation has rounding in the items that have no part in it.
    result[carries] = np.where(inflation > 1e10, np.inf, inflation)
    return result
