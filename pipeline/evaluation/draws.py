"""Training draws of growing size: stratified, nested, and the same whoever asks."""

import numpy as np
import numpy.typing as npt

from pipeline.deal import nested_order


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
