"""Sums over rows from which every T-method is made; sums of shards of the data add up."""

from dataclasses import dataclass

import numpy as np

from pipeline.taguchi.base import Array
from pipeline.taguchi.item_range import united


@dataclass(frozen=True)
class Moments:
    """Weight, means and centred sums of items and target over a group of rows; two groups add up with ``+``.

    Where no value is missing, `weight`, `y_mean` and `yy` do not depend on the item and are arrays of shape ().

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

    def about(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Return r, L and S_T: sums of M^2, M X and X^2 with X and M measured from `x` and `y`."""
        dx, dy, n = self.x_mean - x, self.y_mean - y, self.weight
        return self.yy + n * dy * dy, self.xy + n * dx * dy, self.xx + n * dx * dx


def _merged(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return weight, mean and sum of squares of the target over two groups of rows together."""
    total = a[0] + b[0]
    if total == 0:
        return a
    share, difference = b[0] / total, b[1] - a[1]
    return total, a[1] + share * difference, a[2] + b[2] + a[0] * share * difference**2


@dataclass(frozen=True)
class TMoments:
    """All that a T-method needs of the data: the moments of its unit space and of its signal rows.

    The moments of two shards add up with ``+`` (and with ``sum``) to the moments of all rows, whatever the shards are;
    a `TMethodRegressor` takes the total in `fit_moments`. Make one with `t_moments`.

    Parameters
    ----------
    unit, signal : Moments
        Rows inside and outside of the unit space. A `signal` without rows means Ta: all rows are unit space and signal.
    target_range : tuple of float
        Smallest and largest target.
    eps : float
        Rounding of the items' floating point numbers.
    item_range : ndarray of shape (2, n_items), default=None
        Smallest and largest value of each item, where asked for.
    """

    unit: Moments
    signal: Moments
    target_range: tuple[float, float]
    eps: float
    item_range: Array | None = None

    def __add__(self, other: "TMoments | int") -> "TMoments":
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, TMoments):
            return NotImplemented
        if self.n_items != other.n_items:
            raise ValueError(f"Shards must have the same items, got {self.n_items} and {other.n_items} of them.")
        if self.has_gram != other.has_gram:
            raise ValueError("Shards must all be made with the same `gram`, got one with and one without.")
        if (self.item_range is None) != (other.item_range is None):
            raise ValueError("Shards must all be made with the same `item_range`, got one with and one without.")
        low, high = zip(self.target_range, other.target_range, strict=True)
        unit, signal = self.unit + other.unit, self.signal + other.signal
        limits = None
        if self.item_range is not None and other.item_range is not None:
            limits = united(self.item_range, other.item_range)
        return TMoments(unit, signal, (min(low), max(high)), max(self.eps, other.eps), limits)

    __radd__ = __add__

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.unit.x_mean)

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
        weight = self.unit.target[0] + self.signal.target[0]
        return n * 1e-14 * self.target_squares / max(weight, np.finfo(np.float64).tiny)

    @property
    def all(self) -> Moments:
        """Moments of all rows."""
        return self.unit + self.signal
