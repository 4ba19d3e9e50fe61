"""Items limited to the range that they were learned in, or a little more where few rows tell it."""

from typing import Any

import numpy as np
from scipy.sparse import hstack, issparse
from sklearn.utils.sparsefuncs import min_max_axis

from pipeline.taguchi.base import AnyArray, Array

# A new row lies beyond the range of n others with a probability of 2/(n + 1): the margin falls likewise.
_REACH = 10


def find_item_range(X: Any) -> Array:
    """Return the smallest and the largest value of each item; missing ones do not count.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_rows, n_items)

    Returns
    -------
    ndarray of shape (2, n_items), float64
        NaN for an item that no row has.

    Examples
    --------
    >>> find_item_range(np.array([[1.0, 5.0], [3.0, np.nan]])).tolist()
    [[1.0, 5.0], [3.0, 5.0]]
    """
    if not X.shape[0]:
        return np.full((2, X.shape[1]), np.nan)
    if issparse(X):
        return np.array(min_max_axis(X, axis=0, ignore_nan=True), dtype=np.float64)
    return np.array([np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)], dtype=np.float64)


def united(a: Array, b: Array) -> Array:
    """Return the range of the rows of two shards together."""
    return np.array([np.fmin(a[0], b[0]), np.fmax(a[1], b[1])])


def item_limits(item_range: Array, n: float) -> Array:
    """Return the limits within which an item is read: its range, and beyond each end 10/n of its width.

    Few rows show less of an item's range than there is. Without that margin T(1) loses 0.03 of QWK when it is learned
    from ten reviews; with it nothing is lost from ten reviews on.

    Parameters
    ----------
    item_range : ndarray of shape (2, n_items)
        From `find_item_range`.
    n : float
        Rows in which it was found, or the sum of their weights.

    Returns
    -------
    ndarray of shape (2, n_items), float64
        NaN for an item that no row has.

    Examples
    --------
    >>> item_limits(np.array([[1.0], [3.0]]), 100).round(6).tolist()
    [[0.8], [3.2]]
    """
    low, high = item_range
    with np.errstate(over="ignore", invalid="ignore"):
        reach = _REACH / n * (high - low)
        return np.array([low - reach, high + reach])


def limited(X: Any, limits: Array | None) -> Any:
    """Return rows in which a value beyond the limits of its item is taken at the limit.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_rows, n_items)
        Not changed. A missing value stays missing. Sparse rows stay sparse; an item whose limits leave out 0 is filled.
    limits : ndarray of shape (2, n_items) or None
        From `item_limits`; None limits nothing.

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
