"""Orthogonal arrays: two levels of any size, made from Hadamard matrices, and those that Taguchi numbers."""

from itertools import count
from math import isqrt
from numbers import Integral
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.linalg import circulant

_Levels = npt.NDArray[np.int8]

ArrayName = Literal["L4", "L8", "L9", "L12", "L16", "L18"]
ARRAY_NAMES: tuple[ArrayName, ...] = get_args(ArrayName)

_SYLVESTER = np.array([[1, 1], [1, -1]], dtype=np.int8)
_TWO_LEVELS = {"L4": 3, "L8": 7, "L12": 11, "L16": 15}
_L9 = "1111 1222 1333 2123 2231 2312 3132 3213 3321"
_L18 = (
    "11111111 11222222 11333333 12112233 12223311 12331122 13121323 13232131 13313212 "
    "21133221 21211332 21322113 22123132 22231213 22312321 23132312 23213123 23321231"
)


def orthogonal_array(n_items: int, fold_over: bool = False) -> _Levels:
    """Return the smallest two-level orthogonal array with a column for each item.

    In any two columns the pairs of levels (1, 1), (1, 2), (2, 1) and (2, 2) come equally often (strength 2), so the
    effect of one item, mean of its runs at level 1 minus mean of its runs at level 2, is free of the effects of all
    others. Interactions of two items are not free of them: they fall on the columns of other items, except with
    `fold_over`.

    The array is a Hadamard matrix with first row and first column made positive, less its first column: L4 for up
    to 3 items, L8 for 7, L12 for 11, L16, L20, L24, ... Where the size is a power of two the matrix is Sylvester's, as
    in the published L4, L8, L16, L32 and L64; rows and columns may stand in another order. Sizes that neither
    doubling nor Paley's two constructions over a prime field reach (52, 92, 100, 116, ...) are skipped.

    Parameters
    ----------
    n_items : int
        Number of columns, 1 or more.
    fold_over : bool, default=False
        Whether the array follows once more with its levels exchanged. Twice the runs, among them one without any item
        (with one item four, with two items two), have strength 3: the effect of an item is free of the interactions of
        two items too.

    Returns
    -------
    array : ndarray of shape (n_runs, n_items), int8
        1: the item is used in the run, 2: it is not. The first run uses all items. n_runs is a multiple of 4.

    Raises
    ------
    ValueError
        If `n_items` is no whole number of 1 or more.

    References
    ----------
    J. J. Sylvester, "Thoughts on inverse orthogonal matrices", Philosophical Magazine 34, 1867 (doubling).
    R. E. A. C. Paley, "On orthogonal matrices", Journal of Mathematics and Physics 12, 1933.
    G. E. P. Box and K. B. Wilson, "On the Experimental Attainment of Optimum Conditions", Journal of the Royal
    Statistical Society B 13, 1951 (fold-over).
    G. Taguchi and R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002 (arrays for the choice of items).

    Examples
    --------
    >>> orthogonal_array(3).tolist()
    [[1, 1, 1], [2, 1, 2], [1, 2, 2], [2, 2, 1]]
    >>> orthogonal_array(384).shape
    (388, 384)
    >>> orthogonal_array(3, fold_over=True)[4:].tolist()
    [[2, 2, 2], [1, 2, 1], [2, 1, 1], [1, 1, 2]]
    """
    if not isinstance(n_items, Integral) or isinstance(n_items, bool) or n_items < 1:
        raise ValueError(f"n_items must be a whole number of 1 or more, got {n_items!r}.")
    for order in count(4 * (int(n_items) // 4 + 1), 4):
        if (H := _hadamard(order)) is not None:
            break
    H = H * H[0]
    H = H * H[:, :1]
    array = np.where(H[:, 1 : n_items + 1] > 0, np.int8(1), np.int8(2))
    return np.vstack([array, 3 - array]) if fold_over else array


def standard_array(name: ArrayName) -> _Levels:
    """Return one of the orthogonal arrays that parameter design uses, all columns of it.

    In any two columns all pairs of levels come equally often, so that the mean response at a level of one factor is
    free of the effects of the others.

    Parameters
    ----------
    name : {"L4", "L8", "L9", "L12", "L16", "L18"}
        L4(2^3), L8(2^7), L12(2^11) and L16(2^15) have two levels, L9(3^4) three; L18(2^1 x 3^7) has two levels in its
        first column and three in the others.

    Returns
    -------
    array : ndarray of shape (n_runs, n_columns), int8
        Levels 1, 2 and 3. The first run has level 1 everywhere, and the rows stand in ascending order. In L8 and L16
        the effect of two columns' interaction falls on the column whose number is their exclusive or: 3 for 1 and 2.

    Raises
    ------
    ValueError
        If there is no array of that name.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

    Examples
    --------
    >>> standard_array("L9").T.tolist()[3]
    [1, 2, 3, 3, 1, 2, 2, 3, 1]
    >>> standard_array("L18").shape
    (18, 8)
    """
    if name not in ARRAY_NAMES:
        raise ValueError(f"array must be one of {', '.join(ARRAY_NAMES)}, got {name!r}.")
    if name in _TWO_LEVELS:
        array = orthogonal_array(_TWO_LEVELS[name])
        return array[np.lexsort(array.T[::-1])]
    rows = (_L9 if name == "L9" else _L18).split()
    return np.array([list(row) for row in rows], dtype=np.int8)


def _hadamard(order: int) -> _Levels | None:
    """Return a matrix of -1 and 1 with orthogonal rows, or None where no construction here reaches `order`."""
    if order == 2:
        return _SYLVESTER
    if order % 4:
        return None
    # Doubling comes first, so that powers of two are Sylvester's.
    if (half := _hadamard(order // 2)) is not None:
        return np.kron(_SYLVESTER, half)
    if _is_prime(q := order - 1):
        return _paley_core(q, sign=-1) + np.eye(order, dtype=np.int8)
    if _is_prime(q := order // 2 - 1) and q % 4 == 1:
        diagonal = np.array([[1, -1], [-1, -1]], dtype=np.int8)
        return np.kron(_paley_core(q, sign=1), _SYLVESTER) + np.kron(np.eye(q + 1, dtype=np.int8), diagonal)
    return None


def _paley_core(q: int, sign: int) -> _Levels:
    """Return the Jacobsthal matrix of the prime q, bordered by 1 above and `sign` at the left, 0 in the corner."""
    character = np.full(q, -1, dtype=np.int8)
    character[np.arange(q) ** 2 % q] = 1
    character[0] = 0
    core = np.zeros((q + 1, q + 1), dtype=np.int8)
    core[0, 1:], core[1:, 0] = 1, sign
    core[1:, 1:] = circulant(character)
    return core


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, isqrt(number) + 1))
