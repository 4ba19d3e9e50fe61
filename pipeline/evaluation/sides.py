"""Sides: groups of lines, each measured as one answer without flattering the choice of its best line."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic

import numpy as np

from pipeline.evaluation.metrics import Array
from pipeline.evaluation.scores import LineT, Scores


@dataclass(frozen=True)
class Side(Generic[LineT]):
    """A group of lines at one size, as one answer.

    Attributes
    ----------
    line : hashable
        Key of the line that is best on all held-out reviews.
    qwk : ndarray of shape (1 + n_resamples,)
        Of the line that is best on one half of the held-out reviews, measured on the other half, both ways.
    """

    line: LineT
    qwk: Array


def side_of(scores: Scores[LineT], lines: Collection[LineT]) -> Side[LineT]:
    """Return the side of those of its lines that have a score.

    Parameters
    ----------
    scores : Scores
    lines : collection of hashable
        Keys of the side's lines.

    Raises
    ------
    ValueError
        If no line has a score.

    Examples
    --------
    >>> from pipeline.evaluation.scores import resample_reviews, score_lines
    >>> stars = [1, 2, 3, 4, 5, 1, 3, 5]
    >>> predictions = {"good": [[1, 2, 3, 4, 4, 1, 3, 5]], "constant": [[3] * 8]}
    >>> scores = score_lines(stars, predictions, resample_reviews(stars, 100, seed=0))
    >>> side_of(scores, ["constant", "good", "not fitted"]).line
    'good'
    """
    columns = [i for i, line in enumerate(scores.lines) if line in set(lines)]
    if not columns:
        raise ValueError(f"None of the lines {', '.join(map(str, lines))} was fitted.")
    halves = scores.half_qwk[:, :, columns]
    every = np.arange(halves.shape[1])
    measured = [halves[1 - half][every, halves[half].argmax(axis=1)] for half in (0, 1)]
    return Side(scores.lines[columns[int(scores.qwk[0, columns].argmax())]], (measured[0] + measured[1]) / 2)


def last_change(sizes: Array, difference: Array) -> float:
    """Return the size at which the sign of a difference changes for good, between two sizes by a straight line.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,)
        In ascending order; logarithms of the training reviews, say.
    difference : ndarray of shape (n_sizes,)

    Returns
    -------
    float
        nan if the first and the last difference are not of opposite signs.

    Examples
    --------
    >>> last_change(np.array([1.0, 2.0, 3.0]), np.array([-1.0, -2.0, 2.0]))
    2.5
    """
    signs = np.sign(difference)
    if signs[0] * signs[-1] >= 0:
        return float("nan")
    i = int(np.flatnonzero(signs != signs[-1]).max())
    share = difference[i] / (difference[i] - difference[i + 1])
    return float(sizes[i] + share * (sizes[i + 1] - sizes[i]))
