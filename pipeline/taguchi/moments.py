"""Sums over rows from which every T-method is made; sums of shards of the data add up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from pipeline.taguchi.arrays import checked, checked_gram
from pipeline.taguchi.base import Array


@dataclass(frozen=True)
class Moments:
    """Weight, means and centred sums of items and target over a group of rows; two groups add up with ``+``.

    Times a number w, every row counts w times as much. Where no value is missing, `weight`, `y_mean` and `yy` do not
    depend on the item and are arrays of shape ().

    Parameters
    ----------
    weight : ndarray of shape () or (n_items,)
        Sum of the weights of the rows in which the item is present.
    x_mean : ndarray of shape (n_items,)
        Mean of the item.
    y_mean : ndarray of shape () or (n_items,)
        Mean of the target over the rows in which the item is present.
    xx, xy : ndarray of shape (n_items,)
        Sums of squares and products about these means.
    yy : ndarray of shape () or (n_items,)
        Sum of squares of the target about `y_mean`.
    target : tuple of float
        Weight, mean and sum of squares of the target over all rows of the group.
    gram : ndarray of shape (n_items, n_items), default=None
        Sums of products of the items about their means, where asked for.
    """

    weight: Array
    x_mean: Array
    y_mean: Array
    xx: Array
    xy: Array
    yy: Array
    target: tuple[float, float, float]
    gram: Array | None = None

    # A NumPy number on the left leaves the product to `__rmul__`.
    __array_ufunc__ = None

    def __add__(self, other: "Moments") -> "Moments":
        # T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        # variances", 1979: differences of means only, so that a large offset of an item costs no digits.
        if self.target[0] == 0:
            return other
        if other.target[0] == 0:
            return self
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        cross = self.weight * share
        dx, dy = other.x_mean - self.x_mean, other.y_mean - self.y_mean
        gram = None
        if self.gram is not None and other.gram is not None:
            gram = self.gram + other.gram
            gram += np.outer(cross * dx, dx)
        return Moments(
            weight,
            self.x_mean + share * dx,
            self.y_mean + share * dy,
            self.xx + other.xx + cross * dx * dx,
            self.xy + other.xy + cross * dx * dy,
            self.yy + other.yy + cross * dy * dy,
            _merged(self.target, other.target),
            gram,
        )

    def __mul__(self, factor: float) -> "Moments":
        if not isinstance(factor, Real):
            return NotImplemented
        w = checked_factor(factor)
        n, mean, squares = self.target
        return replace(
            self,
            weight=self.weight * w,
            xx=self.xx * w,
            xy=self.xy * w,
            yy=self.yy * w,
            target=(n * w, mean, squares * w),
            gram=None if self.gram is None else self.gram * w,
        )

    __rmul__ = __mul__

    def about(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Return r, L and S_T: sums of M^2, M X and X^2 with X and M measured from `x` and `y`."""
        dx, dy, n = self.x_mean - x, self.y_mean - y, self.weight
        return self.yy + n * dy * dy, self.xy + n * dx * dy, self.xx + n * dx * dx


def checked_factor(factor: Real) -> float:
    """Return the factor that sums are multiplied by, refused unless it is finite and above 0."""
    w = float(factor)
    if not 0 < w < np.inf:
        raise ValueError(f"Sums are multiplied by a finite number above 0, got {w:g}.")
    return w


def factor_for(rows: float, n_rows: float) -> float:
    """Return the factor that makes sums over `n_rows` rows count as `rows` rows."""
    if not 0 < rows < np.inf:
        raise ValueError(f"Sums count as a finite number of rows above 0, got {rows:g}.")
    if not n_rows:
        raise ValueError(f"These sums hold no rows, so that they cannot count as {rows:g}.")
    return rows / n_rows


def _merged(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return weight, mean and sum of squares of the target over two groups of rows together."""
    total = a[0] + b[0]
    if total == 0:
        return a
    share, difference = b[0] / total, b[1] - a[1]
    return total, a[1] + share * difference, a[2] + b[2] + a[0] * share * difference**2


@dataclass(frozen=True, repr=False)
class TMoments:
    """All that a T-method needs of the data: the moments of its unit space and of its signal rows.

    The moments of two shards add up with ``+`` (and with ``sum``) to the moments of all rows, whatever the shards are;
    a `TMethodRegressor` takes the total in `fit_moments`. Make one with `t_moments`. ``w * moments`` are the sums in
    which every row has w times its weight (w finite and above 0), and `counting_as` gives w in rows.

    Parameters
    ----------
    unit, signal : Moments
        Rows inside and outside of the unit space. A `signal` without rows means Ta: all rows are unit space and signal.
    target_range : tuple of float
        Smallest and largest target.
    eps : float
        Rounding of the items' floating point numbers.
    """

    unit: Moments
    signal: Moments
    target_range: tuple[float, float]
    eps: float

    __array_ufunc__ = None

    def __repr__(self) -> str:
        return f"TMoments(n_rows={self.n_rows:g}, n_items={self.n_items}, gram={self.has_gram})"

    def __mul__(self, factor: float) -> "TMoments":
        if not isinstance(factor, Real):
            return NotImplemented
        return replace(self, unit=self.unit * factor, signal=self.signal * factor)

    __rmul__ = __mul__

    def __add__(self, other: "TMoments | int") -> "TMoments":
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, TMoments):
            return NotImplemented
        if self.n_items != other.n_items:
            raise ValueError(f"Shards must have the same items, got {self.n_items} and {other.n_items} of them.")
        if self.has_gram != other.has_gram:
            raise ValueError("Shards must all be made with the same `gram`, got one with and one without.")
        low, high = zip(self.target_range, other.target_range, strict=True)
        unit, signal = self.unit + other.unit, self.signal + other.signal
        return TMoments(unit, signal, (min(low), max(high)), max(self.eps, other.eps))

    __radd__ = __add__

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.unit.x_mean)

    @property
    def n_rows(self) -> float:
        """Sum of the weights of all rows."""
        return self.unit.target[0] + self.signal.target[0]

    def counting_as(self, rows: float) -> "TMoments":
        """Return these sums with their weights scaled so that they add up to `rows`.

        Parameters
        ----------
        rows : float
            As how many rows they count; finite and above 0.

        Raises
        ------
        ValueError
            If `rows` is not, or if these sums hold no row.
        """
        return self * factor_for(rows, self.n_rows)

    @property
    def has_gram(self) -> bool:
        """Whether the products of all pairs of items were kept."""
        return self.unit.gram is not None

    @property
    def target_squares(self) -> float:
        """Sum of squares of the target about its mean over all rows."""
        return _merged(self.unit.target, self.signal.target)[2]

    def least_divider(self, n: Array) -> Array:
        """Return the smallest divider r that differs from rounding; below it the target is constant.

        With missing values the target may be constant over the `n` rows in which an item is present: to a
        ten-millionth of the target's spread over all rows.
        """
        return n * 1e-14 * self.target_squares / max(self.n_rows, np.finfo(np.float64).tiny)

    @property
    def all(self) -> Moments:
        """Moments of all rows."""
        return self.unit + self.signal

    def without_gram(self) -> "TMoments":
        """Return these sums without the products of pairs of items."""
        return replace(self, unit=replace(self.unit, gram=None), signal=replace(self.signal, gram=None))

    def to_arrays(self) -> dict[str, Array]:
        """Return all sums as arrays with flat names, ``unit_x_mean`` for instance; `from_arrays` takes them back."""
        arrays: dict[str, Array] = {}
        for group in _GROUPS:
            part: Moments = getattr(self, group)
            arrays |= {f"{group}_{name}": np.asarray(getattr(part, name), dtype=np.float64) for name in _SUMS}
            if part.gram is not None:
                arrays[f"{group}_gram"] = part.gram
        return arrays | {"target_range": np.array(self.target_range), "eps": np.array(self.eps)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "TMoments":
        """Return the sums whose arrays `to_arrays` gave.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Other names than those of `to_arrays` do not count.

        Raises
        ------
        ValueError
            If an array is missing, has another shape, is not finite, holds a negative weight or sum of squares, or if a
            matrix of products is not symmetric; the error names the array.
        """
        n_items = checked(arrays, "unit_x_mean", [(None,)]).size
        range_ = checked(arrays, "target_range", [(2,)])
        if range_[0] > range_[1]:
            raise ValueError(f"target_range must have the lower target first, got {range_.tolist()}.")
        unit, signal = (_group(arrays, group, n_items) for group in _GROUPS)
        if (unit.gram is None) != (signal.gram is None):
            raise ValueError("unit_gram and signal_gram must both be there or both be left out.")
        low, high = range_.tolist()
        return cls(unit, signal, (low, high), float(checked(arrays, "eps", [()], least=0)))


_GROUPS = ("unit", "signal")
_SUMS = ("weight", "x_mean", "y_mean", "xx", "xy", "yy", "target")


def _group(arrays: Mapping[str, Any], group: str, n_items: int) -> Moments:
    """Return the checked moments of one group of rows."""
    of_items, of_both = [(n_items,)], [(), (n_items,)]
    n, mean, squares = checked(arrays, f"{group}_target", [(3,)]).tolist()
    if n < 0 or squares < 0:
        raise ValueError(f"{group}_target holds a negative weight or sum of squares: {n:g}, {squares:g}.")
    return Moments(
        weight=checked(arrays, f"{group}_weight", of_both, least=0),
        x_mean=checked(arrays, f"{group}_x_mean", of_items),
        y_mean=checked(arrays, f"{group}_y_mean", of_both),
        xx=checked(arrays, f"{group}_xx", of_items, least=0),
        xy=checked(arrays, f"{group}_xy", of_items),
        yy=checked(arrays, f"{group}_yy", of_both, least=0),
        target=(n, mean, squares),
        gram=checked_gram(arrays, f"{group}_gram", (n_items, n_items)) if f"{group}_gram" in arrays else None,
    )
