"""Stratified deals of rows: folds, samples, and orders of growing draws."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state


def deal_folds(y: ArrayLike, cv: int, random_state: Any = None) -> NDArray[np.intp]:
    """Return the fold of each row, stratified for any target.

    The rows are sorted by their target, ties in random order, and dealt to the folds in turn: every fold gets its share
    of every star, and of a continuous target too.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The target.
    cv : int
        Number of folds.
    random_state : int, RandomState instance or None, default=None
        Decides the order of ties.

    Returns
    -------
    ndarray of int of shape (n_rows,)
        From 0 to ``cv - 1``.

    Raises
    ------
    ValueError
        If there are fewer rows than folds.

    Examples
    --------
    >>> folds = deal_folds([1, 1, 5, 5, 3, 3], cv=2, random_state=0)
    >>> sorted(folds[:2].tolist()), sorted(folds[2:4].tolist()), sorted(folds[4:].tolist())
    ([0, 1], [0, 1], [0, 1])
    """
    y = np.asarray(y)
    if len(y) < cv:
        raise ValueError(f"Got cv={cv} folds but only {len(y)} texts: give more texts or a smaller cv.")
    folds = np.empty(len(y), dtype=np.intp)
    folds[_sorted_rows(y, check_random_state(random_state))] = np.arange(len(y)) % cv
    return folds


def stratified(stars: ArrayLike, n: int, rng: np.random.Generator, sizes: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Draw `n` of the reviews so that every star keeps its share, to within one review.

    Systematic sampling: sort by star, ties in random order, and take evenly spaced positions.

    Parameters
    ----------
    stars : array-like of shape (n_units,)
        Star of each unit: a review, or a group of reviews that stay together.
    n : int
        How many reviews to draw.
    rng : Generator
        Decides the order within a star.
    sizes : array-like of int of shape (n_units,), optional
        How many reviews each unit holds, 1 by default. A unit is taken once its share has added up to its size.

    Returns
    -------
    ndarray of bool of shape (n_units,)
        Which units are drawn.

    Examples
    --------
    >>> stars = np.array([1, 1, 1, 1, 5, 5])
    >>> stars[stratified(stars, 3, np.random.default_rng(0))].tolist()
    [1, 1, 5]
    """
    stars = np.asarray(stars)
    size = np.ones(len(stars), dtype=int) if sizes is None else np.asarray(sizes)
    taken = np.zeros(len(stars), dtype=bool)
    owed, total = 0, int(size.sum())
    for unit in _sorted_rows(stars, rng).tolist():
        owed += n * int(size[unit])
        if owed >= total * int(size[unit]):
            taken[unit] = True
            owed -= total * int(size[unit])
    return taken


def nested_order(stars: ArrayLike, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return an order of the reviews in which the first n are a stratified draw, for every n.

    The k-th of the m reviews of a star, in random order, comes at the position (k - 1/2) / m of the whole.

    Parameters
    ----------
    stars : array-like of shape (n_reviews,)
    rng : Generator
        Decides the order within a star, and among equal positions.

    Returns
    -------
    ndarray of int of shape (n_reviews,)
        Rows of the reviews.

    Examples
    --------
    >>> order = nested_order([1, 1, 1, 1, 5, 5], np.random.default_rng(0))
    >>> sorted(np.array([1, 1, 1, 1, 5, 5])[order[:3]].tolist())
    [1, 1, 5]
    """
    stars = np.asarray(stars)
    position = np.empty(len(stars))
    for star in np.unique(stars):
        rows = rng.permutation(np.flatnonzero(stars == star))
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return _sorted_rows(position, rng)


def _sorted_rows(values: NDArray[Any], rng: np.random.Generator | np.random.RandomState) -> NDArray[np.intp]:
    """Return the rows in ascending order of their values, ties in random order."""
    return np.lexsort((rng.random(len(values)), values))
