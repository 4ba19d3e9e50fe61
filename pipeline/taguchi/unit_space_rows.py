"""Rows and unit spaces of classes, as all classifiers by unit spaces take them."""

from typing import NamedTuple

import numpy as np

from pipeline.taguchi.base import AnyArray, Array, Indices, Mask
from pipeline.taguchi.constant_items import ConstantItems, find_constant
from pipeline.taguchi.unit_space_metric import EIGENVALUE_FLOOR, varies

_LARGEST = 1e300


class ClassRows(NamedTuple):
    """Rows of `X` that count, each with the code of its class and its weight (None: 1)."""

    X: AnyArray
    rows: Indices
    codes: Indices
    weight: Array | None

    def part(self, chosen: AnyArray) -> "ClassRows":
        """Return some of the rows, chosen by a mask or by their places."""
        weight = None if self.weight is None else self.weight[chosen]
        return ClassRows(self.X, self.rows[chosen], self.codes[chosen], weight)

    def by_class(self) -> list["ClassRows"]:
        """Return the rows of each class."""
        return [self.part(self.codes == code) for code in range(self.codes.max() + 1)]


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
    carries: Mask
    lowest: Array
    variance: Array
    freedom: float


def class_spaces(n: Array, means: Array, center: Array, total: Array, squares: Array) -> ClassSpaces:
    """Return the unit spaces from the sums of squares of all rows, and of those within the classes."""
    lowest = EIGENVALUE_FLOOR * total / n.sum()
    freedom = n.sum() - len(n)
    freedom = freedom if freedom > 0 else n.sum()
    carries = varies(total, n.sum(), center)
    return ClassSpaces(n, means, center, carries, lowest, np.maximum(squares / freedom, lowest), freedom)


def spaces_from_scatter(n: Array, means: Array, within: Array) -> ClassSpaces:
    """Return the unit spaces from sizes and means of the classes, and the sum of their centred products of items."""
    # From one of the means, so that rounding makes no variation of an item that is constant.
    center = means[0] + n @ (means - means[0]) / n.sum()
    total = within.diagonal() + n @ (means - center) ** 2
    return class_spaces(n, means, center, total, within.diagonal())


def constant_in_rows(data: ClassRows, spaces: ClassSpaces) -> ConstantItems:
    """Return the items that are constant over all rows."""
    return find_constant(data.X[data.rows], ~spaces.carries, spaces.center)


def within_range(score: Array) -> Array:
    """Clip a log-posterior in place, so that a softmax subtracts no infinities."""
    return np.clip(score, -_LARGEST, _LARGEST, out=score)
