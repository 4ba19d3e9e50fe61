"""Moments of one unit space, and how a deviation from it is measured."""

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.taguchi.adjoint import log_products_of_others
from pipeline.taguchi.base import EPS, OVERFLOW, Array, Indices, blocks
from pipeline.taguchi.shrinkage import Shrinkage, oas_shrinkage, shrink

# Relative to the largest one, an eigenvalue of a correlation matrix below this is mostly rounding.
EIGENVALUE_FLOOR = 1e-12

Method = Literal["mt", "mta", "svp"]


class UnitSpaceMoments(NamedTuple):
    """Number of rows (or sum of weights), means and centred sums of products."""

    n: float
    mean: Array
    scatter: Array

    def part(self, items: Indices) -> "UnitSpaceMoments":
        """Return the moments of some of the items."""
        return UnitSpaceMoments(self.n, self.mean[items], self.scatter[np.ix_(items, items)])


def unit_space_moments(X: npt.NDArray[Any], rows: Indices, weight: Array | None = None) -> UnitSpaceMoments:
    """Return the moments of a unit space, in float64, block by block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The items.
    rows : ndarray of int of shape (n_rows,)
        Which rows are the unit space; one or more.
    weight : ndarray of shape (n_rows,), default=None
        How often each of these rows counts; None: once.

    Returns
    -------
    n : float
        Sum of the weights.
    mean : ndarray of shape (n_features,)
        Exact for an item that is constant.
    scatter : ndarray of shape (n_features, n_features)
        ``sum (x - mean)(x - mean)'``.

    Raises
    ------
    ValueError
        If X holds values whose squares overflow.

    Examples
    --------
    >>> n, mean, scatter = unit_space_moments(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([0, 1]))
    >>> n, mean.tolist(), scatter.tolist()
    (2.0, [2.0, 5.0], [[2.0, 0.0], [0.0, 0.0]])
    """
    n_features = X.shape[1]
    n = float(len(rows)) if weight is None else float(weight.sum())
    first = X[rows[0]].astype(np.float64)
    total, scatter = np.zeros(n_features), np.zeros((n_features, n_features))
    for block in blocks(len(rows), n_features):
        deviation = X[rows[block]] - first
        total += deviation.sum(axis=0) if weight is None else weight[block] @ deviation
    mean = first + total / n
    # An overflow on the way shows in the total, which is checked.
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(len(rows), n_features):
            deviation = X[rows[block]] - mean
            if weight is not None:
                deviation *= np.sqrt(weight[block])[:, None]
            scatter += deviation.T @ deviation
    if not np.isfinite(scatter.trace()):
        raise ValueError(OVERFLOW)
    return UnitSpaceMoments(n, mean, scatter)


def varies(sum_of_squares: Array, n: float, mean: Array) -> npt.NDArray[np.bool_]:
    """Return which items vary by more than the rounding of their mean."""
    # Near the lower end of float64's range a square has lost its digits.
    return sum_of_squares > np.maximum(n * (4 * EPS * mean) ** 2, 1e-280)


class Metric(NamedTuple):
    """How a deviation is measured: divide by a scale, multiply by a root, take the length.

    Items that do not vary have zero rows in the root. `shrinkage` is what was used.
    """

    scale: Array
    root: Array
    shrinkage: float

    @property
    def n_items(self) -> int:
        """Number of items that vary."""
        return int(self.root.any(axis=1).sum())

    def distance(self, z: Array) -> Array:
        """Return the distances of rows that are centred and divided by the scale."""
        # The square of a small adjoint's root would vanish; that of a row far off is infinite.
        size = np.abs(self.root).max()
        with np.errstate(over="ignore", invalid="ignore"):
            return size * np.linalg.norm(z @ (self.root / size), axis=1)


def unit_space_metric(moments: UnitSpaceMoments, method: Method, shrinkage: Shrinkage = 0.0) -> Metric:
    """Return how "mt", "mta" or "svp" measures a deviation."""
    n, mean, scatter = moments
    carries = varies(scatter.diagonal(), n, mean)
    p = int(carries.sum())
    if p == 0:
        raise ValueError(
            f"All {len(mean)} items are constant in the unit space of {n:g} rows: there is nothing to measure by. "
            "Give rows that differ."
        )
    scale = np.where(carries, np.sqrt(scatter.diagonal() / (n - 1)), 1.0)
    if method == "svp":
        directions, shrinkage = np.eye(p) / np.sqrt(p), 0.0
    else:
        s = scale[carries]
        R = scatter[np.ix_(carries, carries)] / (n - 1) / s / s[:, None]
        np.fill_diagonal(R, 1)
        if shrinkage == "auto":
            shrinkage = oas_shrinkage(R, n - 1)
        directions = _directions(shrink(R, float(shrinkage)), method)
    root = np.zeros((len(mean), directions.shape[1]))
    root[carries] = directions
    return Metric(scale, root, float(shrinkage))


def _directions(R: Array, method: Method) -> Array:
    """Return A with ``A @ A.T`` the inverse ("mt") or adjoint ("mta") of a correlation matrix, divided by p."""
    eigenvalues, V = np.linalg.eigh(R)
    kept = eigenvalues > EIGENVALUE_FLOOR * eigenvalues[-1]
    if method == "mt":
        return V[:, kept] / np.sqrt(eigenvalues[kept] * kept.sum())
    # Halved, the logarithm belongs to a distance, which stays in float64's range where the adjoint does not.
    directions = V * np.exp(log_products_of_others(np.where(kept, eigenvalues, 0)) / 2) / np.sqrt(len(R))
    if kept.all() and not directions.any():
        raise ValueError(
            f"The adjoint of the correlation matrix of {len(R)} items is below float64's range: use method='mt', which "
            "orders rows alike, or fewer items."
        )
    if not directions.any():
        raise ValueError(
            f"The adjoint of the correlation matrix of {len(R)} items is zero (rank {kept.sum()}): method='mta' allows "
            "one collinearity. Remove collinear items, give more rows or use method='mt'."
        )
    return directions
