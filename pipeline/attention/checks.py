"""Checks of arguments."""

from numbers import Integral

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


def floats(name: str, values: npt.ArrayLike, n_axes: int = 2) -> Floats:
    """Return values as an array of floats, integers as float64.

    Raises
    ------
    ValueError
        If they are not real and finite, or have fewer than `n_axes` axes.

    Examples
    --------
    >>> floats("q", [[1, 2]])
    array([[1., 2.]])
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    if array.ndim < n_axes:
        raise ValueError(f"{name} must have {n_axes} or more axes, got the shape {array.shape}.")
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite values: mend or drop them first, a mask does not hide them.")
    return array


def check_count(name: str, value: object) -> None:
    """Refuse what is not an integer of 1 or more.

    Raises
    ------
    ValueError
        If `value` is something else.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer of 1 or more, got {value!r}.")
