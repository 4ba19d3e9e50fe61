"""Which training reviews stand in a prompt as examples."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
Order = Literal["mixed", "by star"]


class BalancedExamples(NamedTuple):
    """Rows of examples, as many of each star: for new reviews, and for the training reviews.

    Parameters
    ----------
    of_new : ndarray of int of shape (n_examples,)
        In the order of the prompt.
    sets : list of ndarray of int
        One of them is `of_new`, unless there is none for training reviews.
    set_of : ndarray of int of shape (n_reviews,)
        Which set stands in the prompt of each training review; the review is in none of its set.
    """

    of_new: Rows
    sets: list[Rows]
    set_of: Rows


def balanced_examples(stars: npt.ArrayLike, n: int, order: Order = "mixed") -> BalancedExamples:
    """Choose the first `n` reviews of each star as examples.

    A star that occurs once is no example: without it, its prompt would tell. Of the others, each has the same number of
    examples, which is at most the number of reviews that the rarest one has.

    A training review that is no example has the prompt of a new review: the same examples in the same order, so that
    what reads the columns sees training reviews as it will see new ones. For the examples there are h others of each
    star, with h the smaller one of `n` and half the number of reviews of the rarest star: the reviews h + 1 to 2h of
    a star for the first h, and the first h for those between. So each prompt has equally many of each star, and what
    is missing tells nothing.

    Skewed reviews have less to show:

    - One star alone occurs twice: all prompts show as many reviews of this star, at most all but one. The prompt of a
      training review has the first ones but itself, so that it is the same whatever star this review has, as long as no
      other star then occurs twice.
    - No star occurs twice: a new review has one example of each star, a training review has none, since each gap would
      tell. What reads the columns then sees training reviews without examples and new ones with them.

    Parameters
    ----------
    stars : array-like of shape (n_reviews,)
    n : int
        Examples of each star, at least 1.
    order : {"mixed", "by star"}
        One of each star in turn, or all of a star together, in ascending order.

    Examples
    --------
    >>> found = balanced_examples([1, 5, 1, 5, 1, 5, 1, 5], n=1)
    >>> found.of_new.tolist(), [found.sets[each].tolist() for each in found.set_of[:3]]
    ([0, 1], [[2, 3], [2, 3], [0, 1]])
    """
    stars = np.asarray(stars, dtype=np.float64)
    rows = [each for each in (np.flatnonzero(stars == star) for star in np.unique(stars)) if len(each) > 1]
    if not rows:
        none = np.zeros(len(stars), dtype=np.intp)
        return BalancedExamples(np.argsort(stars, kind="stable"), [none[:0]], none)
    if len(rows) == 1:
        return _of_one_star(rows[0], min(n, len(rows[0]) - 1), len(stars))
    rarest = min(map(len, rows))
    n = min(n, rarest)
    half = min(n, rarest // 2)

    def chosen(start: int, stop: int) -> Rows:
        table = np.stack([each[start:stop] for each in rows])
        return (table.T if order == "mixed" else table).ravel()

    set_of = np.zeros(len(stars), dtype=np.intp)
    for each in rows:
        set_of[each[:half]] = 1
        set_of[each[half:n]] = 2
    of_new = chosen(0, n)
    return BalancedExamples(of_new, [of_new, chosen(half, 2 * half), chosen(0, half)], set_of)


def _of_one_star(rows: Rows, n: int, n_reviews: int) -> BalancedExamples:
    """Return the first `n` rows; for each of these, the first `n` others."""
    set_of = np.zeros(n_reviews, dtype=np.intp)
    set_of[rows[:n]] = np.arange(1, n + 1)
    return BalancedExamples(rows[:n], [rows[:n], *(np.delete(rows[: n + 1], place) for place in range(n))], set_of)


def nearest_examples(similarities: npt.NDArray[np.float64], allowed: npt.NDArray[np.bool_], n: int) -> list[Rows]:
    """Return for each review the rows of the `n` allowed reviews most similar to it, the most similar one last.

    Parameters
    ----------
    similarities : ndarray of shape (n_reviews, n_training), float64
        Of equally similar ones, the first is nearer.
    allowed : ndarray of bool of the same shape
        At least one in each row.
    n : int
        Fewer where not so many are allowed.

    Examples
    --------
    >>> similarities = np.array([[0.2, 0.9, 0.5]])
    >>> [rows.tolist() for rows in nearest_examples(similarities, np.array([[True, True, True]]), n=2)]
    [[2, 1]]
    """
    order = np.argsort(np.where(allowed, -similarities, np.inf), axis=1, kind="stable")
    counts = np.minimum(allowed.sum(axis=1), n)
    return [row[:count][::-1] for row, count in zip(order, counts, strict=True)]
