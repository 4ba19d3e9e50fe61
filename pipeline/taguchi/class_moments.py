"""Sums over the rows of each class: they suffice for every T-method and for unit spaces, wherever the unit space is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from numbers import Real
from operator import add
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d

from pipeline.taguchi.arrays import checked, checked_gram
from pipeline.taguchi.base import FLOATS, OVERFLOW_OF_TARGET, AnyArray, Array
from pipeline.taguchi.moments import Moments, TMoments, factor_for
from pipeline.taguchi.summation import NO_WEIGHT, check_weights, is_sparse, t_moments
from pipeline.taguchi.target import as_numbers

# Each class takes a matrix of n_items squared.
_MOST_CLASSES = 128


@dataclass(frozen=True, eq=False, repr=False)
class ClassMoments:
    """The moments of each class of a target: know-how that is handed on without a row.

    Those of two groups of rows add up with ``+`` (and with ``sum``); classes that one of them lacks are united.
    ``w * moments`` are the sums in which every row has w times its weight (w finite and above 0), and `counting_as`
    gives w in rows. Make one with `class_moments`.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The classes, numbers in ascending order.
    moments : tuple of Moments
        The moments of the rows of each class, with the products of pairs of items.
    eps : float
        Rounding of the items' floating point numbers.

    See Also
    --------
    TMoments : The sums for one unit space; without products of items it takes much less memory.

    Examples
    --------
    A plant that has seen every class helps one that has seen three rows:

    >>> import numpy as np
    >>> from pipeline.taguchi import TMethodRegressor, class_moments
    >>> elsewhere = class_moments(np.array([[1.0], [2.1], [2.9], [4.2], [5.0], [3.1]]), [1, 2, 3, 4, 5, 3])
    >>> elsewhere
    ClassMoments(classes=[1, 2, 3, 4, 5], n_rows=6, n_items=1)
    >>> model = TMethodRegressor(know_how=elsewhere.counting_as(9)).fit([[2.2], [4.9], [5.1]], [2, 5, 5])
    >>> model.predict([[1.0]]).round(1).tolist()
    [1.0]
    >>> model.unit_space_interval_.round(6).tolist(), model.n_unit_space_
    ([2.6, 3.4], 3.0)
    """

    classes: AnyArray
    moments: tuple[Moments, ...]
    eps: float

    # A NumPy number on the left leaves the product to `__rmul__`.
    __array_ufunc__ = None

    def __repr__(self) -> str:
        return f"ClassMoments(classes={self.classes.tolist()}, n_rows={self.n_rows:g}, n_items={self.n_items})"

    def __add__(self, other: "ClassMoments | int") -> "ClassMoments":
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, ClassMoments):
            return NotImplemented
        if self.n_items != other.n_items:
            raise ValueError(f"Sums must have the same items, got {self.n_items} and {other.n_items} of them.")
        classes = np.union1d(self.classes, other.classes)
        known = [dict(zip(sums.classes.tolist(), sums.moments, strict=True)) for sums in (self, other)]
        moments = [reduce(add, (part[c] for part in known if c in part)) for c in classes.tolist()]
        return ClassMoments(classes, tuple(moments), max(self.eps, other.eps))

    __radd__ = __add__

    def __mul__(self, factor: float) -> "ClassMoments":
        if not isinstance(factor, Real):
            return NotImplemented
        return replace(self, moments=tuple(part * factor for part in self.moments))

    __rmul__ = __mul__

    @property
    def weight(self) -> Array:
        """Rows of each class, or the sums of their weights, of shape (n_classes,)."""
        return np.array([part.target[0] for part in self.moments])

    @property
    def means(self) -> Array:
        """Mean of the items in each class, of shape (n_classes, n_items)."""
        return np.stack([part.x_mean for part in self.moments])

    @property
    def grams(self) -> Array:
        """Sums of products of the items about these means, of shape (n_classes, n_items, n_items)."""
        return np.stack([part.gram for part in self.moments if part.gram is not None])

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.moments[0].x_mean)

    @property
    def n_rows(self) -> float:
        """Sum of the weights of all rows."""
        return float(self.weight.sum())

    def counting_as(self, rows: float) -> "ClassMoments":
        """Return these sums with their weights scaled so that they add up to `rows`.

        Parameters
        ----------
        rows : float
            As how many rows they count; finite and above 0.

        Raises
        ------
        ValueError
            If `rows` is not.
        """
        return self * factor_for(rows, self.n_rows)

    def split(self, low: float, high: float) -> TMoments:
        """Return the sums of a T-method whose unit space are the classes from `low` to `high`, both included.

        The other classes are the signal. Where every class is inside, the sums are those of Ta.
        """
        inside = (low <= self.classes) & (self.classes <= high)
        unit, signal = (self._total(group) for group in (inside, ~inside))
        return TMoments(unit, signal, (float(self.classes[0]), float(self.classes[-1])), self.eps)

    def _total(self, chosen: AnyArray) -> Moments:
        """Return the moments of some of the classes together."""
        nothing = _of_class(0.0, 0.0, np.zeros(self.n_items), np.zeros((self.n_items, self.n_items)))
        return reduce(add, (part for part, counts in zip(self.moments, chosen, strict=True) if counts), nothing)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return all sums as arrays with flat names; `from_arrays` takes them back."""
        return {
            "classes": self.classes,
            "weight": self.weight,
            "x_mean": self.means,
            "gram": self.grams,
            "eps": np.array(self.eps),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "ClassMoments":
        """Return the sums whose arrays `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            ``classes``, ``weight`` of shape (n_classes,), ``x_mean`` (n_classes, n_items), ``gram`` (n_classes,
            n_items, n_items) and ``eps`` (). Other names do not count.

        Raises
        ------
        ValueError
            If an array is missing, has another shape, is not finite, holds a weight that is not above 0, if the classes
            do not ascend, or if a matrix of products is not symmetric; the error names the array.
        """
        numbers = checked(arrays, "classes", [(None,)])
        if (np.diff(numbers) <= 0).any():
            raise ValueError(f"classes must be different and in ascending order, got {numbers.tolist()}.")
        weight = checked(arrays, "weight", [numbers.shape])
        if not (weight > 0).all():
            raise ValueError(f"weight must be above 0 for each class, got {weight.min():g}.")
        means = checked(arrays, "x_mean", [(len(numbers), None)])
        grams = checked_gram(arrays, "gram", (len(numbers), means.shape[1], means.shape[1]))
        eps = float(checked(arrays, "eps", [()], least=0))
        moments = tuple(map(_of_class, numbers, weight, means, grams))
        return cls(np.array(arrays["classes"]), moments, eps)


def class_moments(X: Any, y: Any, sample_weight: Any = None) -> ClassMoments:
    """Sum up the rows of each class.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_samples, n_items), float32 or float64
        The items.
    y : array-like of shape (n_samples,)
        The classes: numbers, no more than 128 different ones.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight of 2 counts as a repeated row; a class whose rows all have the weight 0 is left out.

    Returns
    -------
    ClassMoments
        It takes memory of n_classes times n_items squared.

    Raises
    ------
    ValueError
        As `t_moments`, and if a value is missing, if the classes are no numbers or too many, or if no row counts.

    Examples
    --------
    >>> X, y = np.arange(12.0).reshape(6, 2) ** 2, np.array([1.0, 2, 3, 3, 4, 5])
    >>> sums = class_moments(X, y)
    >>> sums.weight.tolist()
    [1.0, 1.0, 2.0, 1.0, 1.0]
    >>> bool(np.allclose(sums.split(3, 3).signal.xx, t_moments(X, y, y == 3).signal.xx))
    True
    """
    X = check_array(X, accept_sparse=["csr", "csc"], dtype=FLOATS, ensure_all_finite=False, ensure_min_samples=0)
    y = column_or_1d(check_array(as_numbers(y, "class_moments"), ensure_2d=False, dtype=None, input_name="y"))
    if y.dtype.kind not in "iu":
        y = y.astype(np.float64)
    check_consistent_length(X, y)
    assert_all_finite(X, input_name="X")
    weight = check_weights(sample_weight, X)
    classes = np.unique(y[weight > 0])
    if not len(classes):
        raise ValueError(NO_WEIGHT)
    if len(classes) > _MOST_CLASSES:
        raise ValueError(
            f"class_moments keeps the products of items of each class, and y has {len(classes)} different values: "
            f"round them to {_MOST_CLASSES} or fewer, or sum up with t_moments."
        )
    if np.abs(classes).max() > np.sqrt(np.finfo(np.float64).max / weight.sum()):
        raise ValueError(OVERFLOW_OF_TARGET)
    by_row = X.tocsr() if is_sparse(X) else X
    rows = [np.flatnonzero((y == c) & (weight > 0)) for c in classes]
    parts = [t_moments(by_row[at], y[at], None, weight[at], gram=True) for at in rows]
    units = [part.unit for part in parts]
    moments = [_of_class(c, unit.target[0], unit.x_mean, unit.gram) for c, unit in zip(classes, units, strict=True)]
    return ClassMoments(classes, tuple(moments), parts[0].eps)


def _of_class(target: float, weight: float, mean: Array, gram: Array | None) -> Moments:
    """Return the moments of rows that share a target."""
    assert gram is not None  # noqa: S101 - every class has the products of its items
    n, y, zero = float(weight), float(target), np.zeros(())
    return Moments(np.array(n), mean, np.array(y), gram.diagonal().copy(), np.zeros_like(mean), zero, (n, y, 0.0), gram)
