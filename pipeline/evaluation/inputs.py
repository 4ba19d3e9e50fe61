"""Targets, predictions, groups and sides of a comparison as arrays, checked."""

from collections.abc import Collection, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def as_target(y: npt.ArrayLike, name: str = "y") -> npt.NDArray[Any]:
    """Return targets as an array of one or more known values."""
    target = np.asarray(y)
    if target.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {target.shape}: compare one target at a time.")
    if not len(target):
        raise ValueError(f"{name} has no rows: give one or more.")
    _check_known(target, name, "leave out rows without a target")
    return target


def as_lines(predictions: Mapping[Any, npt.ArrayLike], n_rows: int) -> dict[Any, npt.NDArray[Any]]:
    """Return the predictions of each name, all of shape (n_draws, n_rows)."""
    check_names(predictions, "predictions")
    lines = {name: _line(name, values, n_rows) for name, values in predictions.items()}
    n_draws = max(map(len, lines.values()))
    for name, line in lines.items():
        if len(line) not in (1, n_draws):
            raise ValueError(f"{name!r} has {len(line)} draws and another line {n_draws}: give equally many, or one.")
    return {name: np.broadcast_to(line, (n_draws, n_rows)) for name, line in lines.items()}


def _line(name: Any, values: npt.ArrayLike, n_rows: int) -> npt.NDArray[Any]:
    asked = "give shape (n_rows,) or (n_draws, n_rows)."
    try:
        line = np.atleast_2d(np.asarray(values))
    except ValueError:
        raise ValueError(f"The predictions of {name!r} are draws of different lengths: {asked}") from None
    if line.ndim != 2 or line.shape[1] != n_rows:
        raise ValueError(f"The predictions of {name!r} have shape {np.shape(values)}, but y has {n_rows} rows: {asked}")
    _check_known(line, f"The predictions of {name!r}", "mend the model")
    return line


def as_codes(groups: npt.ArrayLike, n_rows: int) -> npt.NDArray[np.intp]:
    """Return the number of each row's group."""
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(f"groups must be one-dimensional, got shape {groups.shape}: name one group for each row.")
    codes, _ = pd.factorize(groups, use_na_sentinel=True)
    if len(codes) != n_rows or (codes < 0).any():
        raise ValueError(
            f"groups must name the group of each of {n_rows} rows, got {len(codes)}, NaN {(codes < 0).sum()}."
        )
    return codes


def as_columns(sides: Mapping[Any, Any], lines: list[Any]) -> list[list[int]]:
    """Return of each side the numbers of its lines."""
    found = []
    for side, members in sides.items():
        listed = isinstance(members, Collection) and not isinstance(members, str) and len(members)
        if not listed or not all(member in lines for member in members):
            raise ValueError(f"The side {side!r} must list names of predictions, got {members!r}: known are {lines}.")
        found.append([lines.index(line) for line in members])
    return found


def check_names(named: Any, what: str) -> None:
    """Refuse what is no dict of one or more, or has a name that is none."""
    if not isinstance(named, Mapping) or not len(named):
        raise ValueError(f"Got {type(named).__name__} without names: give a dict of names and {what}.")
    for name in named:
        if name is None or name != name:
            raise ValueError(f"Got {name} as a name of {what}: it stands for no name, give another one.")


def check_order(inputs: Mapping[str, Any]) -> None:
    """Refuse rows in different orders, or different rows, where two or more of the inputs carry an index of pandas.

    Parameters
    ----------
    inputs : mapping of str to Series, DataFrame or anything else
        By what the error calls them. What has no index is taken to be in order.

    Examples
    --------
    >>> check_order({"y": pd.Series([1, 2], index=[7, 3]), "X": pd.DataFrame({"a": [0, 0]})})
    Traceback (most recent call last):
    ValueError: y and X have different indexes, such as 7 and 0 in row 0: put both in one order, or give arrays.
    """
    indexed = [(name, each.index) for name, each in inputs.items() if isinstance(each, pd.Series | pd.DataFrame)]
    for name, index in indexed[1:]:
        first, expected = indexed[0]
        if index.equals(expected):
            continue
        for row, (there, here) in enumerate(zip(expected, index, strict=False)):
            if there != here:
                raise ValueError(
                    f"{first} and {name} have different indexes, such as {there} and {here} in row {row}: "
                    "put both in one order, or give arrays."
                )


def order_of(y: Any, predictions: Mapping[Any, Any], **others: Any) -> dict[str, Any]:
    """Return what `check_order` takes; the rows of a DataFrame of draws are its columns."""
    named = {
        f"the predictions of {name!r}": each.T if isinstance(each, pd.DataFrame) else each
        for name, each in predictions.items()
    }
    return {"y": y} | named | others


def check_whole(value: Any, name: str, least: int = 0) -> None:
    """Refuse what is no whole number, or below the least."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} on, got {value!r}.")


def _check_known(values: npt.NDArray[Any], what: str, hint: str) -> None:
    unknown = ~np.isfinite(values) if values.dtype.kind == "f" else pd.isna(values)
    if len(where := np.argwhere(unknown)):
        raise ValueError(
            f"{what} must be known and finite, got {values[tuple(where[0])]} in row {where[0][-1]}: {hint}."
        )
