"""Arrays from elsewhere, checked by name before sums are made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.taguchi.base import Array


def checked(
    arrays: Mapping[str, Any], name: str, shapes: Sequence[tuple[int | None, ...]], least: float = -np.inf
) -> Array:
    """Return a copy of one array as float64.

    Parameters
    ----------
    arrays : mapping of str to array-like
    name : str
        Which one.
    shapes : sequence of tuple
        The shapes that it may have; None stands for any length above 0.
    least : float, default=-inf
        Smallest value that is allowed.

    Raises
    ------
    ValueError
        If it is missing, holds no numbers, has another shape, or a value that is too small or not finite.
    """
    if name not in arrays:
        raise ValueError(f"The array {name!r} is missing.")
    array = np.asarray(arrays[name])
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold numbers, got the type {array.dtype}.")
    if not any(_fits(array.shape, shape) for shape in shapes):
        expected = " or ".join(str(shape).replace("None", "n") for shape in shapes)
        raise ValueError(f"{name} must have the shape {expected}, got {array.shape}.")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    if values.min() < least:
        raise ValueError(f"{name} must not be below {least:g}, got {values.min():g}.")
    return values


def checked_gram(arrays: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    """Return a copy of one array of symmetric matrices as float64.

    Raises
    ------
    ValueError
        As in `checked`, or if a matrix is not symmetric or its diagonal is negative.
    """
    gram = checked(arrays, name, [shape])
    squares = np.diagonal(gram, axis1=-2, axis2=-1)
    if squares.min() < 0:
        raise ValueError(f"{name} must have no negative sum of squares on its diagonal, got {squares.min():g}.")
    root = np.sqrt(squares)
    # Sums that were added up are symmetric but for their last digits.
    if (np.abs(gram - np.swapaxes(gram, -2, -1)) > 1e-9 * root[..., :, None] * root[..., None, :]).any():
        raise ValueError(f"{name} must be symmetric.")
    return gram


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    sizes = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(n > 0 if e is None else n == e for n, e in sizes)
