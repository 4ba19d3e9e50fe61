"""Rows dealt so that every part has its share of every target: folds, shares, and orders of growing draws."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state


def deal_folds(y: npt.ArrayLike, cv: int, random_state: Any = None) -> npt.NDArray[np.intp]:
    """Return the fold of each row, stratified for any target.

    The rows are dealt like cards, in the order of their target and in random order where it is the same, so that
    every fold has its share of every star, and of a continuous target too.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        The target.
    cv : int
        Number of folds.
    random_state : int, RandomState instance or None, default=None
        Decides the order of rows with the same target.

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
    folds[np.lexsort((check_random_state(random_state).random_sample(len(y)), y))] = np.arange(len(y)) % cv
    return folds


def stratified(
    stars: npt.ArrayLike, n: int, rng: np.random.Generator, sizes: npt.ArrayLike | None = None
) -> npt.NDArray[np.bool_]:
    """Draw `n` of the reviews so that every star keeps its share, to within one review.

    Systematic sampling: sort by star, in random order within a star, and take evenly spaced positions.

    Parameters
    ----------
    stars : array-like of shape (n_units,)
        What is drawn: reviews, or groups of reviews that stay together.
    n : int
        How many reviews to draw.
    rng : Generator
        The order within a star.
    sizes : array-like of int of shape (n_units,), optional
        How many reviews each unit holds; a unit is taken once its share has added up to its size.

    Returns
    -------
    ndarray of bool, shape (n_units,)
    """
    stars = np.asarray(stars)
    size = np.ones(len(stars), dtype=int) if sizes is None else np.asarray(sizes)
    taken = np.zeros(len(stars), dtype=bool)
    owed, total = 0, int(size.sum())
    for unit in np.lexsort((rng.random(len(stars)), stars)).tolist():
        owed += n * int(size[unit])
        if owed >= total * int(size[unit]):
            taken[unit] = True
            owed -= total * int(size[unit])
    return taken


def nested_order(stars: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return an order of the reviews of which every beginning is a stratified draw, and so holds every smaller one.

    Systematic: the k-th of n reviews with the same star, in random order, comes at the position (k - 1/2) / n of the
    whole, so that a beginning has every star's share to within one review.

    Parameters
    ----------
    stars : array-like of shape (n_reviews,)
    rng : Generator
        The order within a star, and of positions that are the same.

    Returns
    -------
    ndarray of int of shape (n_reviews,)

    Examples
    --------
    >>> order = nested_order([1, 1, 1, 1, 5, 5], np.random.default_rng(0))
    >>> sorted(np.array([1, 1, 1, 1, 5, 5])[order[:3]].tolist())
    [1, 1, 5]
    """
    stars = np.asarray(stars)
    position = np.empty(len(stars))
    for star in np.unique(stars):
        own = rng.permutation(np.flatnonzero(stars == star))
        position[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.lexsort((rng.random(len(stars)), position))
