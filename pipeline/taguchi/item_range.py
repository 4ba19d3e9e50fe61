"""Items limited to the range that they were learned in, or a little more where few rows tell it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import hstack, issparse
from sklearn.utils.sparsefuncs import min_max_axis

from pipeline.taguchi.base import AnyArray, Array

# A new row lies beyond the range of n others with a probability of 2/(n + 1): the margin falls likewise.
_REACH = 10
# Share of the largest weight below which a row has no part in sums, and none in a range.
_NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class ItemRange:
    """Smallest and largest value of each item over some rows; those of two groups of rows unite with ``+``.

    Parameters
    ----------
    low, high : ndarray of shape (n_items,), float64
        NaN for an item that no row has.
    n : float
        Number of rows, or the sum of their weights.
    """

    low: Array
    high: Array
    n: float

    def __add__(self, other: "ItemRange") -> "ItemRange":
        return ItemRange(np.fmin(self.low, other.low), np.fmax(self.high, other.high), self.n + other.n)

    def limits(self) -> Array:
        """Return the limits within which an item is read, of shape (2, n_items): beyond each end 10/n of the width.

        Few rows show less of an item's range than there is. Without that margin T(1) loses 0.03 of QWK when it is
        learned from ten reviews; with it nothing is lost.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            reach = _REACH / self.n * (self.high - self.low)
            return np.array([self.low - reach, self.high + reach])


def find_item_range(X: Any, weight: Array | None = None) -> ItemRange:
    """Return the range of each item; missing values and rows without a weight do not count.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_rows, n_items)
    weight : ndarray of shape (n_rows,), default=None
        Of the rows; None: 1.

    Examples
    --------
    >>> found = find_item_range(np.array([[1.0, 5.0], [3.0, np.nan]]))
    >>> found.low.tolist(), found.high.tolist(), found.n
    ([1.0, 5.0], [3.0, 5.0], 2.0)
    >>> ItemRange(found.low, found.high, n=100).limits().round(6).tolist()
    [[0.8, 5.0], [3.2, 5.0]]
    """
    n = float(X.shape[0] if weight is None else weight.sum())
    rows = X if weight is None else X[weight > _NOTHING * weight.max(initial=0)]
    if not rows.shape[0]:
        low = high = np.full(X.shape[1], np.nan)
    elif issparse(rows):
        low, high = min_max_axis(rows, axis=0, ignore_nan=True)
    else:
        low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
    return ItemRange(low.astype(np.float64), high.astype(np.float64), n)


def limited(X: Any, limits: Array | None) -> Any:
    """Return rows in which a value beyond the limits of its item is taken at the limit.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_rows, n_items)
        Not changed. A missing value stays missing. Sparse rows stay sparse; an item whose limits leave out 0 is filled.
    limits : ndarray of shape (2, n_items) or None
        From `ItemRange.limits`, NaN for an item without; None limits nothing.

    Returns
    -------
    ndarray or CSR or CSC matrix of shape (n_rows, n_items), with the dtype of `X`

    Examples
    --------
    >>> limited(np.array([[9.0, 2.0], [0.5, np.nan]]), np.array([[1.0, 1.0], [3.0, 5.0]])).tolist()
    [[3.0, 2.0], [1.0, nan]]
    """
    if limits is None:
        return X
    with np.errstate(over="ignore"):
        low, high = np.where(np.isnan(limits), [[-np.inf], [np.inf]], limits).astype(X.dtype)
    return _limited_sparse(X, low, high) if issparse(X) else np.clip(X, low, high)


def _limited_sparse(X: Any, low: AnyArray, high: AnyArray) -> Any:
    X = X.copy()
    X.sum_duplicates()
    item = X.indices if X.format == "csr" else np.repeat(np.arange(X.shape[1]), np.diff(X.indptr))
    np.clip(X.data, low[item], high[item], out=X.data)
    never_zero = (low > 0) | (high < 0)
    if not never_zero.any():
        return X
    columns = X.tocsc()
    filled = np.clip(columns[:, never_zero].toarray(), low[never_zero], high[never_zero])
    order = np.argsort(np.concatenate([np.flatnonzero(~never_zero), np.flatnonzero(never_zero)]))
    return hstack([columns[:, ~never_zero], filled], format="csc")[:, order].asformat(X.format)


def refuse_limits(limit_items: bool) -> None:
    """Refuse limits of items where a model rests on sums.

    Raises
    ------
    ValueError
        If there are to be limits.
    """
    if limit_items:
        raise ValueError("limit_items=True needs rows, since sums know no range of the items: set limit_items=False.")
