"""The unit spaces of several classes: their means, and how far the items vary within them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.taguchi.mahalanobis import EIGENVALUE_FLOOR, unit_space_moments, varies
from pipeline.taguchi.moments import OVERFLOW, Array

Indices = npt.NDArray[np.integer]


class ClassRows(NamedTuple):
    """Rows of `X` that count, each with the code of its class and its weight (None: 1)."""

    X: npt.NDArray[Any]
    rows: Indices
    codes: Indices
    weight: Array | None

    @property
    def by_class(self) -> list[tuple[Indices, Array | None]]:
        """Rows and weights of each class."""
        members = [self.codes == code for code in range(self.codes.max() + 1)]
        return [(self.rows[inside], None if self.weight is None else self.weight[inside]) for inside in members]


class ClassSpaces(NamedTuple):
    """Sizes, means and common variances of the unit spaces of several classes.

    Parameters
    ----------
    n : ndarray of shape (n_classes,)
        Rows of each class, or the sum of their weights.
    means : ndarray of shape (n_classes, n_items)
        Centre of each unit space.
    center : ndarray of shape (n_items,)
        Mean of all rows.
    carries : ndarray of bool of shape (n_items,)
        Whether the item varies at all.
    lowest : ndarray of shape (n_items,)
        Floor of the variances: an item that varies between the classes only decides, and nothing becomes infinite.
    variance : ndarray of shape (n_items,)
        Variance within the classes, not below the floor.
    freedom : float
        Degrees of freedom within the classes; the number of rows where there is none.
    """

    n: Array
    means: Array
    center: Array
    carries: npt.NDArray[np.bool_]
    lowest: Array
    variance: Array
    freedom: float


def class_scatters(data: ClassRows, keep: bool = False) -> tuple[ClassSpaces, Array, list[Array]]:
    """Return the unit spaces, their centred sums of products in total, and those of each class if they are to be kept.

    Both have shape (n_items, n_items).
    """
    n_items = data.X.shape[1]
    sizes, class_means, scatters, within = [], [], [], np.zeros((n_items, n_items))
    for rows, weight in data.by_class:
        size, mean, scatter = unit_space_moments(data.X, rows, weight)
        sizes.append(size)
        class_means.append(mean)
        within += scatter
        if keep:
            scatters.append(scatter)
    n, means = np.array(sizes), np.array(class_means)
    # From one of the means, so that rounding makes no variation of an item that is constant.
    center = means[0] + n @ (means - means[0]) / n.sum()
    total = within.diagonal() + n @ (means - center) ** 2
    return _class_spaces(n, means, center, total, within.diagonal()), within, scatters


def class_deviations(data: ClassRows) -> tuple[ClassSpaces, Array]:
    """Return the unit spaces, and the rows measured from the means of their classes.

    The deviations have shape (n_rows, n_items) and are multiplied by the roots of the weights: their products add up to
    the scatters.

    Raises
    ------
    ValueError
        If X holds values whose squares overflow.
    """
    X, weight = data.X[data.rows], data.weight
    n = np.bincount(data.codes, weight).astype(np.float64)
    means = np.array([np.average(data.X[rows], axis=0, weights=of_rows) for rows, of_rows in data.by_class])
    center = np.average(X, axis=0, weights=weight)
    deviation, from_center = X - means[data.codes], X - center
    if weight is not None:
        root = np.sqrt(weight)[:, None]
        deviation *= root
        from_center *= root
    with np.errstate(over="ignore", invalid="ignore"):
        total = (from_center**2).sum(axis=0)
    if not np.isfinite(total.sum()):
        raise ValueError(OVERFLOW)
    # The mean of a constant item may be off by more than a rounding.
    total[(X[0] == X).all(axis=0)] = 0
    return _class_spaces(n, means, center, total, np.einsum("ij,ij->j", deviation, deviation)), deviation


def _class_spaces(n: Array, means: Array, center: Array, total: Array, squares: Array) -> ClassSpaces:
    """Return the unit spaces from the sums of squares of all rows, and of those within the classes."""
    lowest = EIGENVALUE_FLOOR * total / n.sum()
    freedom = n.sum() - len(n)
    freedom = freedom if freedom > 0 else n.sum()
    carries = varies(total, n.sum(), center)
    return ClassSpaces(n, means, center, carries, lowest, np.maximum(squares / freedom, lowest), freedom)
