"""The target as numbers: what stands for an order is counted, what does not is refused in one line."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

# Kinds of arrays that may hold labels: objects, str, bytes and times.
_LABELS = "OUSmM"


def as_numbers(y: Any, owner: str) -> Any:
    """Return a target of class labels as numbers, and any other as it is.

    Labels that are written numbers ("1" to "5") are these numbers. Those of an ordered categorical that are not are
    counted from 1, the lowest. A missing label becomes NaN.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        The target.
    owner : str
        Who needs it; the error begins with this name.

    Returns
    -------
    y : array-like of shape (n_samples,) or (n_samples, n_targets)

    Raises
    ------
    ValueError
        If a label is neither a number nor of an ordered categorical.

    Examples
    --------
    >>> as_numbers(["5", "1"], "TMetrics").tolist()
    [5.0, 1.0]
    >>> as_numbers(pd.Categorical(["good", "bad"], categories=["bad", "good"], ordered=True), "TMetrics").tolist()
    [2.0, 1.0]
    >>> as_numbers(["good", "bad"], "TMetrics")
    Traceback (most recent call last):
    ValueError: TMetrics needs numbers as target y, got 'good' at position 0: give the stars of the labels, or their \
order by pandas.Categorical(y, categories=[lowest, ..., highest], ordered=True).
    """
    if isinstance(y, pd.DataFrame) and y.shape[1]:
        return np.column_stack([as_numbers(y.iloc[:, j], owner) for j in range(y.shape[1])])
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_categories(dtype, pd.Categorical(y).codes, owner)
    values = y if dtype is not None and getattr(dtype, "kind", "O") not in _LABELS else np.asarray(y)
    return values if getattr(values.dtype, "kind", "O") not in _LABELS else _parsed(values, owner)


def as_classes(y: Any) -> tuple[AnyArray, list[Any] | None]:
    """Return a target of classes as numbers, and the labels that these numbers count, None where they are the classes.

    Labels without an order are sorted; the first one is 0.
    """
    try:
        return as_numbers(y, ""), None
    except ValueError:
        labels = np.asarray(y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y)
    if labels.dtype.kind == "O" and (others := [label for label in labels.ravel() if not isinstance(label, str)]):
        raise ValueError(f"The classes in y must be numbers alone or str alone, got {others[0]!r} among str.")
    classes, codes = np.unique(labels.astype(str), return_inverse=True)
    return codes.reshape(labels.shape).astype(np.float64), classes.tolist()


def _of_categories(dtype: pd.CategoricalDtype, codes: AnyArray, owner: str) -> Array:
    """Return the number of each code's category; what is missing has the code -1."""
    try:
        numbers = np.asarray(as_numbers(np.asarray(dtype.categories), owner), dtype=np.float64)
    except ValueError:
        if not dtype.ordered:
            raise
        numbers = np.arange(1.0, len(dtype.categories) + 1)
    return np.append(numbers, np.nan)[codes]


def _parsed(values: AnyArray, owner: str) -> Array:
    """Return labels as the numbers that they write."""
    numbers = np.empty(values.shape)
    for place, value in zip(np.ndindex(values.shape), values.ravel(), strict=True):
        try:
            numbers[place] = np.nan if pd.isna(value) else float(value)
        except (TypeError, ValueError):
            raise ValueError(
                f"{owner} needs numbers as target y, got {_shown(value)} at position {place[0]}: give the stars of the "
                "labels, or their order by pandas.Categorical(y, categories=[lowest, ..., highest], ordered=True)."
            ) from None
    return numbers


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) and value.dtype.kind in "US" else value)
