"""Training draws of growing size: stratified, nested, reproducible."""

import numpy as np
import numpy.typing as npt

from pipeline.deal import nested_order


def draw(stars: npt.ArrayLike, n: int, repeat: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the rows of a draw: the first `n` in the order of its repeat, sorted.

    Parameters
    ----------
    stars : array-like of shape (n_reviews,)
        Stars of all training reviews.
    n : int
        Number of reviews to draw.
    repeat : int
        Number of the repeat. Draws of one repeat are nested, those of two are independent.
    seed : int

    Returns
    -------
    ndarray of int of shape (n,)

    Examples
    --------
    >>> small, large = (draw([1, 1, 1, 1, 5, 5, 5, 5], n, repeat=0, seed=0) for n in (4, 6))
    >>> set(small.tolist()) < set(large.tolist())
    True
    """
    return np.sort(draw_in_order(stars, n, repeat, seed))


def draw_in_order(stars: npt.ArrayLike, n: int, repeat: int, seed: int) -> npt.NDArray[np.intp]:
    """Return the rows of a draw in the order of its repeat: a larger draw begins with a smaller one.

    Parameters
    ----------
    stars, n, repeat, seed
        As in `draw`.

    Returns
    -------
    ndarray of int of shape (n,)

    Examples
    --------
    >>> small, large = (draw_in_order([1, 1, 1, 1, 5, 5, 5, 5], n, repeat=0, seed=0) for n in (4, 6))
    >>> small.tolist() == large[:4].tolist()
    True
    """
    return nested_order(stars, np.random.default_rng([seed, repeat]))[:n]


def draw_sizes(sizes: dict[int, int], n_train: int) -> dict[int, int]:
    """Return the number of draws of each size below `n_train`, and of `n_train` itself: one.

    Parameters
    ----------
    sizes : dict of int to int
        Number of draws of each size.
    n_train : int
        Number of all training reviews.

    Examples
    --------
    >>> draw_sizes({10: 30, 100: 10, 5000: 5}, 450)
    {10: 30, 100: 10, 450: 1}
    """
    return {n: repeats for n, repeats in sorted(sizes.items()) if n < n_train} | {n_train: 1}
