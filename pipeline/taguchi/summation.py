"""One pass over dense or sparse rows: the moments of the unit space and of the signal."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d

from pipeline.taguchi.base import (
    FLOATS,
    LEAST_SQUARES,
    OVERFLOW,
    OVERFLOW_OF_TARGET,
    UNDERFLOW_OF_TARGET,
    AnyArray,
    Array,
    Indices,
    Mask,
    slices,
)
from pipeline.taguchi.moments import Moments, TMoments

CONSTANT_TARGET = "The target y is constant ({:g}): a T-method needs at least two different values."
NO_WEIGHT = "sample_weight must not be zero for every row."

# Fixed, so that the last digit does not depend on the number of processors.
_SPANS = 4
_CHUNK_ROWS = 10_000
_BLOCK_BYTES = 2**19
_CHUNK_VALUES = 2**17
_SAMPLE = 127

_Pair = tuple[Moments, Moments]  # of the unit space and of the signal rows


def t_moments(X: Any, y: Any, unit_space_mask: Any = None, sample_weight: Any = None, gram: bool = False) -> TMoments:
    """Sum up one shard of the data.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_samples, n_items), float32 or float64
        The items; NaN is a missing value.
    y : ndarray of shape (n_samples,)
        The target.
    unit_space_mask : ndarray of bool of shape (n_samples,), default=None
        True for the rows of the unit space; None takes all rows (Ta).
    sample_weight : ndarray of shape (n_samples,), default=None
        A weight of 2 counts as a repeated row.
    gram : bool, default=False
        Whether to keep the products of all pairs of items, in n_items squared memory: the full covariance, and
        recalibration without the data, need them.

    Returns
    -------
    TMoments

    Raises
    ------
    ValueError
        If X holds infinity, or X or y values whose squares overflow, or those of y underflow; if the lengths differ,
        y is not finite, a weight is negative or the mask holds no booleans; with `gram`, if X holds NaN.

    Notes
    -----
    Memory beyond the result is a few blocks of rows that fit into a processor's cache; sparse X stays sparse, except
    that `gram` unfolds such a block at a time. Large float32 arrays are multiplied as float32 within a block and added
    up over the blocks as float64.

    Examples
    --------
    >>> X, y = np.arange(12.0).reshape(6, 2) ** 2, np.array([1.0, 2, 3, 3, 4, 5])
    >>> shards = [t_moments(X[rows], y[rows], y[rows] == 3) for rows in (slice(0, 3), slice(3, 6))]
    >>> total = sum(shards)
    >>> bool(np.allclose(total.signal.xx, t_moments(X, y, y == 3).signal.xx))
    True
    """
    X = check_array(X, accept_sparse=["csr", "csc"], dtype=FLOATS, ensure_all_finite=False, ensure_min_samples=0)
    y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, ensure_min_samples=0, input_name="y"))
    unit = np.ones(len(y), dtype=bool) if unit_space_mask is None else check_mask(unit_space_mask)
    check_consistent_length(X, y)
    check_consistent_length(y, unit)
    weight = check_weights(sample_weight, X)
    if gram:
        assert_all_finite(X, input_name="X")
    totals = _moments(X, y, unit, weight, gram)
    if not all(np.isfinite(part.target).all() for part in totals):
        raise ValueError(OVERFLOW_OF_TARGET)
    if not all(np.isfinite(part.xx).all() and np.isfinite(part.xy).all() for part in totals):
        assert_all_finite(X, allow_nan=True, input_name="X")
        raise ValueError(OVERFLOW)
    present = y if sample_weight is None else y[weight > 0]
    target_range = (float(present.min()), float(present.max())) if len(present) else (np.inf, -np.inf)
    moments = TMoments(*totals, target_range, eps=float(np.finfo(X.dtype).eps))
    if target_range[0] < target_range[1] and moments.target_squares < LEAST_SQUARES * weight.max():
        raise ValueError(UNDERFLOW_OF_TARGET)
    return moments


def check_mask(unit_space_mask: Any) -> Mask:
    """Return a mask of the unit space as an array of booleans."""
    mask = column_or_1d(unit_space_mask, input_name="unit_space_mask")
    if mask.dtype == bool:
        return mask
    if np.isin(mask, [0, 1]).all():
        hint = "give `mask == 1`"
    elif mask.dtype.kind in "iu":
        hint = "positions of rows become a mask by `np.isin(np.arange(len(y)), rows)`"
    else:
        hint = "give a comparison such as `y == 3`"
    shown = ", ".join(map(str, mask[:3].tolist())) + (", ..." if len(mask) > 3 else "")
    raise ValueError(f"unit_space_mask must hold booleans, got {mask.dtype} ({shown}): {hint}.")


def check_weights(sample_weight: Any, X: Any) -> Array:
    """Return one weight of 0 or more for each row, all 1 without taking memory where none are given."""
    if sample_weight is None:
        return np.broadcast_to(np.float64(1), X.shape[:1])
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, ensure_min_samples=0, input_name="sample_weight"
    )
    if weight.shape != X.shape[:1]:
        raise ValueError(f"sample_weight must have one value for each of {X.shape[0]} rows, got shape {weight.shape}.")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to `sample_weight`: {weight.min():g}.")
    return weight


def _moments(X: Any, y: Array, unit: Mask, weight: Array, gram: bool) -> _Pair:
    """Return the moments inside and outside of the unit space."""
    if is_sparse(X) and not gram:
        return _sparse(X, y, _groups(unit, weight))
    by_row, size = (X.tocsr(), _block_rows(X.shape[1], 8)) if is_sparse(X) else (X, _CHUNK_ROWS)
    shift = _shift(by_row[:_SAMPLE].toarray() if is_sparse(X) else X) if len(y) else np.zeros(X.shape[1])

    def moments(rows: slice) -> _Pair:
        block = by_row[rows].toarray() if is_sparse(X) else X[rows]
        return _dense(block, shift, y[rows], _groups(unit[rows], weight[rows]), gram)

    chunks = slices(len(y), size) or [slice(0, 0)]
    # The products of pairs keep all processors busy by themselves, and take their memory once only.
    return _sum_up(map(moments, chunks)) if gram else _over_rows(moments, chunks)


def _groups(unit: Mask, weight: Array) -> Array:
    """Return the weights of the rows in each of the two groups."""
    return np.stack([weight * unit, weight * ~unit])


def is_sparse(X: Any) -> bool:
    """Tell whether X is sparse; unlike `issparse`, it leaves a type checker's view of X alone."""
    return bool(issparse(X))


def _block_rows(n_items: int, itemsize: int) -> int:
    return max(8, _BLOCK_BYTES // (itemsize * n_items))


def _over_rows(moments: Callable[[slice], _Pair], chunks: list[slice]) -> _Pair:
    """Add up the moments of all chunks of rows."""
    if len(chunks) == 1:
        return moments(chunks[0])
    n_spans = min(_SPANS, len(chunks))
    spans = [chunks[len(chunks) * k // n_spans : len(chunks) * (k + 1) // n_spans] for k in range(n_spans)]
    with ThreadPoolExecutor(min(_SPANS, joblib.cpu_count())) as pool:
        return _sum_up(pool.map(lambda span: _sum_up(map(moments, span)), spans))


# An overflow on the way, here and below, shows in the total, which is checked.
@np.errstate(over="ignore", invalid="ignore")
def _sum_up(parts: Iterable[_Pair]) -> _Pair:
    return reduce(lambda a, b: (a[0] + b[0], a[1] + b[1]), parts)


def _target(y: Array, weight: Array) -> tuple[float, float, float]:
    """Return weight, mean and sum of squares of the target."""
    total = float(weight.sum())
    if total == 0:
        return 0.0, 0.0, 0.0
    first = y[np.argmax(weight > 0)]
    mean = float(first + weight @ (y - first) / total)
    return total, mean, float(weight @ (y - mean) ** 2)


@np.errstate(over="ignore", invalid="ignore")
def _dense(X: AnyArray, shift: Array, y: Array, groups: Array, gram: bool) -> _Pair:
    """Return the moments of a chunk of rows: fast where its numbers are usual, with care where they are not."""
    counts = groups.any(axis=0)
    if not counts.all():
        X, y, groups = X[counts], y[counts], groups[:, counts]
    if not len(X):
        return _none(X.shape[1], gram), _none(X.shape[1], gram)
    blocks = slices(len(X), _block_rows(X.shape[1], 8))
    parts = _fast(X, shift, y, groups) or _sum_up(_careful(X[rows], y[rows], groups[:, rows]) for rows in blocks)
    if not gram:
        return parts
    unit, signal = (replace(part, gram=_gram(X, w, part.x_mean)) for part, w in zip(parts, groups, strict=True))
    return unit, signal


def _fast(X: AnyArray, shift: Array, y: Array, groups: Array) -> _Pair | None:
    """Return the moments by matrix products over blocks, or None where a value is missing or a product is not usual."""
    # The rounding of float32 products averages out over many rows only.
    dtype = X.dtype if len(X) == _CHUNK_ROWS else np.dtype(np.float64)
    n_items, targets = X.shape[1], [_target(y, weight) for weight in groups]
    live = [g for g, (total, _, _) in enumerate(targets) if total > 0]
    weights = groups[live]
    m = y - np.array([[targets[g][1]] for g in live])
    # float32 weights of a target in units that are far from 1 would underflow.
    unit_of_y = max(float(np.abs(m).max()), np.finfo(np.float64).tiny)
    left = np.vstack([weights, weights * (m / unit_of_y)]).astype(dtype)
    shift = shift.astype(dtype)
    measured = bool(shift.any()) or dtype != X.dtype
    buffer = np.empty((min(_block_rows(n_items, dtype.itemsize), len(X)), n_items), dtype)
    spare = np.empty_like(buffer)
    sums, squares = np.zeros((2 * len(live), n_items)), np.zeros((len(live), n_items))
    for rows in slices(len(X), len(buffer)):
        block = buffer[: rows.stop - rows.start]
        values = np.subtract(X[rows], shift, out=block) if measured else X[rows]
        # The squares first: the product then finds the values in the cache.
        squared = np.multiply(values, values, out=spare[: len(block)])
        sums += left[:, rows] @ values
        squares += left[: len(live), rows] @ squared
    limits = np.finfo(dtype)
    usual = (squares > limits.tiny / limits.eps) & (squares < np.inf) | (sums[: len(live)] == 0) & (squares == 0)
    if not (usual.all() and np.isfinite(sums).all()):
        return None
    moments = [_none(n_items)] * 2
    for g, total_x, total_xy, total_xx in zip(live, sums, sums[len(live) :], squares, strict=False):
        weight, mean, yy = (np.array(value) for value in targets[g])
        xx = np.maximum(total_xx - total_x * (total_x / weight), 0)
        moments[g] = Moments(weight, shift + total_x / weight, mean, xx, total_xy * unit_of_y, yy, targets[g])
    return moments[0], moments[1]


def _shift(X: AnyArray) -> Array:
    """Return from where items are measured, zeros where their offsets are small beside their spread."""
    # An odd number of rows, so that the median is one of the values: a constant item is constant to the last digit.
    n = min(_SAMPLE, len(X) - 1 + len(X) % 2)
    some = X[:: max(1, len(X) // (_SAMPLE + 1))][:n].astype(np.float64)
    middle = np.nan_to_num(np.median(some, axis=0), posinf=0, neginf=0)
    if X.dtype == np.float32 and (np.abs(middle) <= 2 * np.median(np.abs(some - middle), axis=0)).all():
        return np.zeros(X.shape[1])
    return middle


def _none(n_items: int, gram: bool = False) -> Moments:
    nothing, zero = np.zeros(n_items), np.zeros(())
    products = np.zeros((n_items, n_items)) if gram else None
    return Moments(zero, nothing, zero, nothing, nothing, zero, (0.0, 0.0, 0.0), products)


def _careful(X: AnyArray, y: Array, groups: Array) -> _Pair:
    """Return the moments of a block in float64 and in two steps, over the values that are not missing."""
    X = X.astype(np.float64)
    present = ~np.isnan(X)
    X[~present] = 0

    def of(weight: Array) -> Moments:
        target = _target(y, weight)
        total, y_mean, yy = (np.array(value) for value in target)
        m = (y - target[1])[:, None]
        if not present.all():
            total = weight @ present
            m_mean = (weight * m[:, 0]) @ present / np.where(total > 0, total, 1)
            m = (m - m_mean) * present
            y_mean, yy = y_mean + m_mean, weight @ m**2
        x_mean = weight @ X / np.where(total > 0, total, 1)
        deviation = (X - x_mean) * present
        return Moments(total, x_mean, y_mean, weight @ deviation**2, weight @ (m * deviation), yy, target)

    return of(groups[0]), of(groups[1])


def _gram(X: AnyArray, weight: Array, mean: Array) -> Array:
    """Return the sums of products of all pairs of items about their means."""
    total = np.zeros((X.shape[1], X.shape[1]))
    used = np.flatnonzero(weight)
    for rows in slices(len(used), _block_rows(X.shape[1], 2)):
        deviation = X[used[rows]] - mean
        deviation *= np.sqrt(weight[used[rows], None])
        # A matrix times itself costs half of what any other product costs.
        total += deviation.T @ deviation
    return total


@np.errstate(over="ignore", invalid="ignore")
def _sparse(X: Any, y: Array, groups: Array) -> _Pair:
    """Return the moments of a CSR or CSC matrix from the values that it stores, in two passes over them."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    n_items = X.shape[1]
    # Each row is in one group only, so that one count serves two groups: the items of the second follow.
    weight, group = groups.sum(axis=0), (groups[1] > 0).astype(np.intp)
    y = np.where(weight > 0, y, 0)
    targets = [_target(y, weights) for weights in groups]
    m = y - np.array([mean for _, mean, _ in targets])[group]
    total = np.repeat([total for total, _, _ in targets], n_items)
    x_sum, stored, (missing, missing_m, missing_mm) = _sums_and_gaps(X, m, group, weight)
    total -= missing
    known = np.where(total > 0, total, 1)
    x_mean = x_sum / known

    xx, xy, zeros, zeros_m = np.zeros(2 * n_items), np.zeros(2 * n_items), total.copy(), -missing_m
    for values, row, place in _stored(X, group, weight):
        there = ~np.isnan(values)
        if not there.all():
            values, row, place = values[there], row[there], place[there]
        deviation = values - x_mean[place]
        weighted, weighted_m = weight[row], weight[row] * m[row]
        xx += np.bincount(place, weighted * deviation**2, 2 * n_items)
        xy += np.bincount(place, weighted_m * deviation, 2 * n_items)
        zeros -= np.bincount(place, weighted, 2 * n_items)
        zeros_m -= np.bincount(place, weighted_m, 2 * n_items)
    # Where every value is stored, the rest of the weights is rounding.
    full = stored == np.repeat(np.bincount(group[weight > 0], minlength=2), n_items)
    zeros[full], zeros_m[full] = 0, 0
    # The values that are not stored are zeros: each deviates from the mean by the mean.
    xx += np.maximum(zeros, 0) * x_mean**2
    xy -= zeros_m * x_mean

    moments = []
    for items, target in zip((slice(0, n_items), slice(n_items, None)), targets, strict=True):
        w, y_mean, yy = (np.array(value) for value in target)
        if missing[items].any():
            w, m_mean = total[items], -missing_m[items] / known[items]
            y_mean, yy = y_mean + m_mean, np.maximum(yy - missing_mm[items] - w * m_mean**2, 0)
        moments.append(Moments(w, x_mean[items], y_mean, xx[items], xy[items], yy, target))
    return moments[0], moments[1]


def _sums_and_gaps(X: Any, m: Array, group: Indices, weight: Array) -> tuple[Array, Indices, Array]:
    """Return sums and counts of the stored values, and sums of weight, target and its square where they are missing."""
    n_places = 2 * X.shape[1]
    x_sum, stored, missing = np.zeros(n_places), np.zeros(n_places, dtype=np.intp), np.zeros((3, n_places))
    for values, row, place in _stored(X, group, weight):
        stored += np.bincount(place, minlength=n_places)
        gaps = np.isnan(values)
        x_sum += np.bincount(place, weight[row] * np.where(gaps, 0, values), n_places)
        if gaps.any():
            row, place = row[gaps], place[gaps]
            for power in range(3):
                missing[power] += np.bincount(place, weight[row] * m[row] ** power, n_places)
    return x_sum, stored, missing


def _stored(X: Any, group: Indices, weight: Array) -> Iterator[tuple[Array, Indices, Indices]]:
    """Yield chunks of the stored values with their rows and the places of their items, group after group."""
    for chunk in slices(X.nnz, _CHUNK_VALUES):
        first, last = np.searchsorted(X.indptr, [chunk.start, chunk.stop - 1], side="right") - 1
        ends = np.clip(X.indptr[first : last + 2], chunk.start, chunk.stop)
        major = np.repeat(np.arange(first, last + 1), np.diff(ends))
        row, column = (major, X.indices[chunk]) if X.format == "csr" else (X.indices[chunk], major)
        counts = weight[row] > 0
        row = row[counts]
        yield X.data[chunk][counts].astype(np.float64), row, column[counts] + X.shape[1] * group[row]
