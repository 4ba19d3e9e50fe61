"""Training draws of growing size: stratified, nested, and the same whoever asks."""

import numpy as np
import numpy.typing as npt


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


def draw(stars: npt.ArrayLike, n: int, repeat: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the rows of a draw: the first `n` of the repeat's own order, in ascending order.

    Parameters
    ----------
    stars : array-like of shape (n_reviews,)
        Of all training reviews.
    n : int
        Reviews to draw.
    repeat : int
        Which draw; those of other repeats are independent of it.
    seed : int

    Returns
    -------
    ndarray of int of shape (n,)
    """
    return np.sort(nested_order(stars, np.random.default_rng([seed, repeat]))[:n])


def draw_sizes(sizes: dict[int, int], n_train: int) -> dict[int, int]:
    """Return the sizes below all training reviews with their number of draws, and at last all of them, drawn once.

    Examples
    --------
    >>> draw_sizes({10: 30, 100: 10, 5000: 5}, 450)
    {10: 30, 100: 10, 450: 1}
    """
    return {n: repeats for n, repeats in sorted(sizes.items()) if n < n_train} | {n_train: 1}
