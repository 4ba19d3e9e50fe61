"""Factors and their levels on the columns of an orthogonal array."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.taguchi.orthogonal_arrays import ARRAY_NAMES, ArrayName, standard_array

Factors = dict[str, list[Any]]
Settings = dict[str, Any]


def check_factors(factors: Mapping[str, Sequence[Any]], name: str = "factors") -> Factors:
    """Return a copy of the factors, their levels as lists.

    Raises
    ------
    ValueError
        If there is none, or one has not 2 or 3 levels that differ.
    """
    if not isinstance(factors, Mapping) or not factors:
        raise ValueError(f"{name} must map one or more names to their levels, got {factors!r}.")
    result: Factors = {}
    for factor, levels in factors.items():
        if isinstance(levels, str) or not isinstance(levels, Sequence) or len(levels) not in (2, 3):
            raise ValueError(f"The factor {factor!r} must have a list of 2 or 3 levels, got {levels!r}.")
        if any(level in levels[:i] for i, level in enumerate(levels)):
            raise ValueError(f"The levels of the factor {factor!r} must differ, got {levels!r}.")
        result[factor] = list(levels)
    return result


def level_numbers(factors: Factors, array: ArrayName | None = None) -> tuple[ArrayName, npt.NDArray[np.int8]]:
    """Return the array that holds the factors, and the level of each factor in each of its runs.

    A factor takes a column with as many levels. In L8 and L16 those columns come first on which no interaction of two
    others of them falls: up to 4 factors in L8 and 8 in L16 have effects free of all interactions of two factors. Where
    two-level columns run out, a factor with two levels takes a column with three, in which its first level comes twice
    as often (dummy level).

    Parameters
    ----------
    factors : dict of str to list
        From `check_factors`.
    array : {"L4", "L8", "L9", "L12", "L16", "L18"}, optional
        Default: the smallest that holds all factors.

    Returns
    -------
    name : str
    levels : ndarray of shape (n_runs, n_factors), int8
        Positions in the list of levels, from 0 on.

    Raises
    ------
    ValueError
        If the factors do not fit, or there is no such array.
    """
    n_levels = [len(levels) for levels in factors.values()]
    for name in ARRAY_NAMES if array is None else (array,):
        columns = _columns(standard_array(name), n_levels)
        if columns is not None:
            return name, (standard_array(name)[:, columns] - 1) % np.array(n_levels, dtype=np.int8)
    n_two, n_three = n_levels.count(2), n_levels.count(3)
    place = "No array" if array is None else array
    holds = "holds" if array is None else "does not hold"
    raise ValueError(
        f"{place} {holds} {n_two} factors of 2 levels and {n_three} of 3: L16 holds up to 15 of 2 levels, "
        "L18 up to 8 with at most 7 of 3 levels."
    )


def _columns(array: npt.NDArray[np.int8], n_levels: list[int]) -> list[int] | None:
    """Return a column for each factor, or None where they do not fit."""
    free: dict[int, list[int]] = {2: [], 3: []}
    for column in sorted(range(array.shape[1]), key=_resolution):
        free[int(array[:, column].max())].append(column)
    chosen: dict[int, int] = {}
    # Those of three levels have no other place to go.
    for factor in sorted(range(len(n_levels)), key=lambda factor: -n_levels[factor]):
        wanted = free[n_levels[factor]] or free[3]
        if not wanted:
            return None
        chosen[factor] = wanted.pop(0)
    return [chosen[factor] for factor in range(len(n_levels))]


def _resolution(column: int) -> tuple[bool, int]:
    """Order the columns of L8 and L16: main factors, odd products of them, then even ones."""
    n_main = (column + 1).bit_count()
    return n_main % 2 == 0, n_main


def settings_of(factors: Factors, levels: npt.ArrayLike) -> list[Settings]:
    """Return the settings of each row of level numbers."""
    return [
        {factor: factors[factor][level] for factor, level in zip(factors, row, strict=True)}
        for row in np.asarray(levels).tolist()
    ]


def conditions_of(noise: Any) -> list[Any]:
    """Return the noise conditions: as they are listed, or those of noise factors on an outer array.

    All combinations of noise factors are taken where they are no more than the runs of the array.

    Raises
    ------
    ValueError
        If the list is empty, or as in `check_factors` and `level_numbers`.
    """
    if noise is None:
        return [None]
    if isinstance(noise, Mapping):
        factors = check_factors(noise, "noise")
        n_levels = [len(levels) for levels in factors.values()]
        _, rows = level_numbers(factors)
        return settings_of(factors, rows if prod(n_levels) > len(rows) else list(product(*map(range, n_levels))))
    if isinstance(noise, str) or not isinstance(noise, Sequence) or not noise:
        raise ValueError(f"noise must be a list of conditions or map noise factors to their levels, got {noise!r}.")
    return list(noise)
