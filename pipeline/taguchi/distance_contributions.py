"""What each item adds to a squared distance from a unit space."""

from typing import Literal

import numpy as np

from pipeline.taguchi.base import Array, Floating
from pipeline.taguchi.unit_space_metric import Method, Metric, UnitSpaceMoments, unit_space_metric, varies

By = Literal["terms", "leaving_out"]


# Squares of distances beyond these, and their multiples, may leave float64's range.
_SMALLEST, _LARGEST = 1e-145, 1e150


def terms(z: Array, root: Array) -> tuple[Array, Array]:
    """Return ``z_j (A z)_j / p`` with ``root @ root.T`` for A / p: parts that sum up to the squared distance.

    The parts are divided by the square of the second array, one number for each row: they stay in float64's range where
    the squared distance does not.
    """
    z, size = np.nan_to_num(z), np.abs(root).max()
    reach = np.abs(z).max(axis=1)
    reach[reach == 0] = 1
    z, root = z / reach[:, None], root / size
    with np.errstate(over="ignore"):
        return z * (z @ root @ root.T), size * reach


def check_squares(distance: Floating) -> None:
    """Refuse distances whose squares exceed float64's range or are below it.

    Raises
    ------
    ValueError
        If there is one.
    """
    wrong = np.flatnonzero((distance > _LARGEST) | ((distance > 0) & (distance < _SMALLEST)))
    if len(wrong):
        raise ValueError(
            f"The distance {distance[wrong[0]]:.3g} of row {wrong[0]} has no square in float64's range, and so no "
            "contributions: diagnosis(X) names its largest term."
        )


def leaving_out(z: Array, metric: Metric, moments: UnitSpaceMoments, method: Method, factor: float = 1.0) -> Array:
    r"""Return the squared distance less that of the other items alone.

    Where A is the inverse of a (shrunk) correlation matrix R or the identity, leaving item j out takes
    :math:`(A z)_j^2 / A_{jj}` from :math:`p D^2`, by the Schur complement. The adjoint of a matrix with an inverse is
    :math:`A \det R`, and leaving item j out multiplies :math:`\det R` by :math:`A_{jj}`. With collinear items each item
    is left out in turn, at the cost of one decomposition for each.

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
    factor : float, default=1.0
        What the distance is multiplied by.

    Returns
    -------
    contributions : ndarray of shape (n_rows, n_items)
        0 for a constant item. Negative where the distance is larger without the item.
    """
    carries = varies(moments.scatter.diagonal(), moments.n, moments.mean)
    p = int(carries.sum())
    result = np.zeros(z.shape)
    if p == 1:
        result[:, carries] = np.square(factor * z @ metric.root).sum(axis=1)[:, None]
        return result
    inverse = unit_space_metric(moments, "mt", metric.shrinkage) if method == "mta" else metric
    if inverse.root.shape[1] == p:
        # Squares of a small adjoint's root would vanish.
        size = factor * np.abs(metric.root).max() / np.abs(inverse.root).max()
        A = p * inverse.root @ inverse.root.T
        scaled = size * z
        taken = np.square(scaled @ A[:, carries]) / A.diagonal()[carries]
        squared = np.square(scaled @ inverse.root).sum(axis=1)[:, None]
        grown = A.diagonal()[carries] if method == "mta" else 1.0
        result[:, carries] = squared - grown * (p * squared - taken) / (p - 1)
        return result
    squared = np.square(factor * z @ metric.root).sum(axis=1)
    for item in np.flatnonzero(carries):
        others = np.flatnonzero(np.arange(z.shape[1]) != item)
        root = unit_space_metric(moments.part(others), method, metric.shrinkage).root
        result[:, item] = squared - np.square(factor * z[:, others] @ root).sum(axis=1)
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
