"""Sums over texts from which the S/N ratios of words follow; the sums of two groups of texts add up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pipeline.features.out_of_fold import Array
from pipeline.segmentation import language
from pipeline.taguchi.arrays import checked

# Percent of the target's range: 1, 2, 3 and 4 of five stars. From 100 it is the distance from 0 with its sign changed.
ORIGINS = (0, 25, 50, 75)
_SUMS = ("mean", "squares", "df", "L")


class WordMetrics(NamedTuple):
    """Sensitivity and S/N ratio of each item, one column per target, and the sum of the first target's S/N ratios."""

    beta: Array
    eta: Array
    total: float


def distances(y: Array, low: float, high: float) -> Array:
    """Return how far the target is from 0, 25, 50 and 75% of its range.

    Parameters
    ----------
    y : ndarray of shape (n_texts,)
    low, high : float
        The range; for 1 and 5 stars the distances are those from 1, 2, 3 and 4 stars, for 0 and 10 those from 0, 2.5,
        5 and 7.5.

    Returns
    -------
    ndarray of shape (n_texts, 4), in units of the target

    Examples
    --------
    >>> distances(np.array([1.0, 5.0]), 1, 5).tolist()
    [[0.0, 1.0, 2.0, 3.0], [4.0, 3.0, 2.0, 1.0]]
    """
    return np.abs(y[:, None] - (low + (high - low) * np.array(ORIGINS) / 100))


@dataclass(frozen=True, eq=False, repr=False)
class WordSums:
    r"""What texts teach of their items (words, pairs of words), as sums; two groups of texts add up with ``+``.

    ``0.05 * sums`` counts each text as a twentieth of one, and `counting_as` says as how many texts all of them count.

    Parameters
    ----------
    items : str
        The items in ascending order, one a line.
    range : tuple of float
        Lower and upper end of the target's scale.
    n : float
        Number of texts.
    mean, squares : ndarray of shape (n_targets,)
        Mean of each of the target's `distances`, and its sum of squares about the mean.
    df : ndarray of shape (n_items,)
        How many texts have the item.
    L : ndarray of shape (n_items, n_targets)
        Sum, over the texts that have the item, of the distances less their mean.
    reading : str
        How Japanese and Chinese items were read: "dictionary" or "characters"; "" where there are none.

    Examples
    --------
    >>> here = word_sums("good", csr_array([[1.0], [0.0]]), np.array([5.0, 1.0]), (1, 5))
    >>> there = word_sums("bad\ngood", csr_array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 4.0]), (1, 5))
    >>> both = here + 0.5 * there
    >>> both.names, both.n, both.df.tolist()
    (['bad', 'good'], 3.0, [0.5, 1.5])
    >>> both
    WordSums(n_items=2, n=3, range=(1, 5))
    """

    items: str
    range: tuple[float, float]
    n: float
    mean: Array
    squares: Array
    df: Array
    L: Array
    reading: str = ""

    def __repr__(self) -> str:
        low, high = self.range
        return f"WordSums(n_items={len(self.df)}, n={self.n:g}, range=({low:g}, {high:g}))"

    @property
    def names(self) -> list[str]:
        """The items as a list."""
        return self.items.split("\n") if self.items else []

    def __add__(self, other: "WordSums | int") -> "WordSums":
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, WordSums):
            return NotImplemented
        if self.range != other.range:
            (low, high), (a, b) = self.range, other.range
            raise ValueError(f"Sums must be of one scale, got {low:g}..{high:g} and {a:g}..{b:g}.")
        if self.reading and other.reading and self.reading != other.reading:
            raise ValueError(
                f"Sums must read Japanese and Chinese alike, got words={self.reading!r} and {other.reading!r}: make "
                "one of them anew with the words of the other."
            )
        if self.items != other.items:
            items = "\n".join(sorted({*self.names, *other.names}))
            return self.on_items(items) + other.on_items(items)
        n = self.n + other.n
        share = other.n / n if n else 0.0
        difference = other.mean - self.mean
        mean = self.mean + share * difference
        squares = self.squares + other.squares + self.n * share * difference**2
        L = self.L + other.L
        L += np.outer(self.df, self.mean - mean) + np.outer(other.df, other.mean - mean)
        reading = self.reading or other.reading
        return replace(self, n=n, mean=mean, squares=squares, df=self.df + other.df, L=L, reading=reading)

    __radd__ = __add__

    def __mul__(self, weight: float) -> "WordSums":
        if not isinstance(weight, Real):
            return NotImplemented
        if not 0 < weight < np.inf:
            raise ValueError(f"The weight of sums must be a number above 0, got {weight!r}.")
        w = float(weight)
        return replace(self, n=w * self.n, squares=w * self.squares, df=w * self.df, L=w * self.L)

    __rmul__ = __mul__

    def counting_as(self, rows: float) -> "WordSums":
        """Return the sums with a weight that makes all texts together count as `rows` texts."""
        return self * (rows / self.n)

    def on_items(self, items: str) -> Self:
        """Return the sums for other items, one a line in ascending order; an item without a text here has zeros."""
        if items == self.items:
            return self
        place = {item: i for i, item in enumerate(self.names)}
        source = np.array([place.get(item, -1) for item in items.split("\n")] if items else [], dtype=np.intp)
        there = source >= 0
        df, L = np.zeros(len(source)), np.zeros((len(source), len(self.mean)))
        df[there], L[there] = self.df[source[there]], self.L[source[there]]
        return replace(self, items=items, df=df, L=L)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all but the range as arrays; `word_sums_from_arrays` takes them back."""
        items = np.frombuffer(self.items.encode(), dtype=np.uint8)
        return {"items": items, "n": np.array(self.n), **{name: getattr(self, name) for name in _SUMS}}

    def metrics(self, error: float = 0.0) -> WordMetrics:
        r"""Return sensitivity and S/N ratio of each item against each of the target's distances.

        All texts are the unit space and the signal. With the centred target M and the centred presence x of an item,

        .. math:: r = \sum M^2,\; L = \sum M x,\; S_T = \sum x^2,\; \beta = L/r,\; S_\beta = L^2/r,\;
                  S_e = S_T - S_\beta,\; \eta = S_\beta / S_e

        the S/N ratio in T(2)'s form, which is never negative. An item that df of n texts have needs no centring, since
        ``S_T = df (1 - df/n)`` and ``L = sum of M over the texts that have it``.

        Parameters
        ----------
        error : float, default=0
            Added to each item's :math:`S_e`, which holds back the items of a few texts.

        Returns
        -------
        WordMetrics
            beta in 1 / units of the target and eta without a unit, both of shape (n_items, n_targets). Both are 0 for
            an item that all texts have or none, and for a target that is constant. eta stays finite for a perfect item.

        References
        ----------
        G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

        Examples
        --------
        >>> X = csr_array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
        >>> beta, eta, _ = word_sums("all\\nsome", X, np.array([5.0, 1.0, 3.0, 3.0]), (1, 5)).metrics()
        >>> beta[:, 0].tolist(), eta[:, 0].tolist()
        ([0.0, 0.25], [0.0, 1.0])
        """
        n, eps = self.n, np.finfo(np.float64).eps
        r = np.where(self.squares <= n * (8 * eps * self.mean) ** 2, np.inf, self.squares)
        # Sums of weights are equal up to rounding only.
        useful = (self.df > 0) & (self.df < n * (1 - 1e-12))
        S_T = np.where(useful, self.df * (1 - self.df / (n or 1)), np.inf)[:, None]
        beta = np.where(useful[:, None], self.L, 0) / r
        S_beta = beta * self.L
        eta = S_beta / (np.maximum(S_T - S_beta, n * eps * S_T) + error)
        return WordMetrics(beta, eta, float(eta[:, 0].sum()))


def words_of(items: str, words: str) -> str:
    """Return how items were read where Japanese or Chinese is among them, else ""."""
    return words if language(items) else ""


def word_sums(items: str, X: csr_array, y: Array, target_range: tuple[float, float], min_df: int = 1) -> WordSums:
    """Return the sums over texts.

    Parameters
    ----------
    items : str
        The items in ascending order, one a line.
    X : sparse array of shape (n_texts, n_items)
        1 where a text has the item, else 0.
    y : ndarray of shape (n_texts,)
        The target.
    target_range : (low, high)
        Ends of its scale.
    min_df : int, default=1
        An item that fewer texts have counts as if none had it.
    """
    targets = distances(y, *target_range)
    # Beside know-how a fold may be left without a text.
    mean = targets.mean(axis=0) if len(y) else np.zeros(len(ORIGINS))
    M = targets - mean
    df, L = X.T @ np.ones(len(y)), X.T @ M
    rare = df < min_df
    df[rare], L[rare] = 0, 0
    return WordSums(items, target_range, float(len(y)), mean, (M**2).sum(axis=0), df, L)


def word_sums_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], target_range: tuple[float, float], words: str = "characters"
) -> WordSums:
    """Return the sums whose arrays `WordSums.to_arrays` gave.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``items`` (UTF-8, one item a line, as uint8), ``n`` (), ``mean`` and ``squares`` of shape (4,), ``df`` of shape
        (n_items,) and ``L`` of shape (n_items, 4). Other names do not count.
    target_range : (low, high)
        Ends of the target's scale.
    words : {"dictionary", "characters"}, default="characters"
        How Japanese and Chinese items were read.

    Raises
    ------
    ValueError
        If an array is missing, has another shape or is not finite, if the items do not ascend or are no UTF-8, if an
        item has no text or more texts than there are, or if a sum is larger than the scale allows.
    """
    items = arrays.get("items", np.empty(0))
    if items.dtype != np.uint8 or items.ndim != 1:
        raise ValueError(f"items must be a row of bytes, got {items.dtype} of shape {items.shape}.")
    # Bytes that are no UTF-8 raise a ValueError, too.
    names = items.tobytes().decode().split("\n")
    if "" in names or any(first >= second for first, second in pairwise(names)):
        raise ValueError("items must be words in ascending order, each once.")
    n = float(checked(arrays, "n", [()], least=0))
    mean, squares = (checked(arrays, name, [(len(ORIGINS),)], least=0) for name in ("mean", "squares"))
    df = checked(arrays, "df", [(len(names),)], least=0)
    if not 0 < df.min() <= df.max() <= n * (1 + 1e-12):
        raise ValueError(f"df must be above 0 and not above n={n:g}, got {df.min():g} to {df.max():g}.")
    L = checked(arrays, "L", [(len(names), len(ORIGINS))])
    width = target_range[1] - target_range[0]
    in_widths = {"mean": mean / width, "squares": squares / (n * width**2), "L": np.abs(L) / (width * df[:, None])}
    for name, share in in_widths.items():
        if share.max() > 1 + 1e-9:
            raise ValueError(f"{name} must be sums of distances of at most {width:g}, the width of the scale.")
    items_read = "\n".join(names)
    return WordSums(items_read, target_range, n, mean, squares, df, L, words_of(items_read, words))
