"""The probability of each value of a scale, from the probabilities of a language model's next tokens."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Token = TypeVar("Token", bound=int | str)

# What is less likely is not asked any further where a server tells texts only, and is no answer of a model.
_UNLIKELY = 1e-4


def value_probabilities(
    sequences: Sequence[Sequence[Token]], next_log_probs: Callable[[tuple[Token, ...]], Mapping[Token, float]]
) -> Array:
    r"""Return the probability that a text goes on with each of several values.

    The values' tokens make a tree. A value has the product of its tokens' probabilities, each given those before it;
    where other values go on from it, as 10 does from 1, it has that times the probability that none of these follows:

    .. math:: P(v) = \prod_{i} P(v_i | v_1 \ldots v_{i-1}) \; \Bigl(1 - \sum_{t} P(t | v)\Bigr)

    with t the tokens that lead from v to longer values. The model is asked once at each node that has children.

    Parameters
    ----------
    sequences : sequence of sequences of tokens
        The tokens of each value, all different, none empty.
    next_log_probs : callable
        Takes tokens after the text, () at first; returns the natural logarithms of the probabilities of the likeliest
        next tokens, one or more. One that is not among them gets the smallest of these, which is an upper bound.

    Returns
    -------
    ndarray of shape (n_values,), float64
        They add up to 1 less the probability of all that is no value.

    Examples
    --------
    >>> after = {(): {"1": 0.75, "2": 0.25}, ("1",): {"0": 0.5, "!": 0.5}}
    >>> def toy(tokens):
    ...     return {token: np.log(p) for token, p in after[tokens].items()}
    >>> value_probabilities(["1", "2", "10"], toy).round(3).tolist()
    [0.375, 0.25, 0.375]
    """
    found = np.zeros(len(sequences))

    def descend(path: tuple[Token, ...], log_p: float, members: list[int]) -> None:
        longer: dict[Token, list[int]] = {}
        for each in members:
            if len(sequences[each]) > len(path):
                longer.setdefault(sequences[each][len(path)], []).append(each)
        remaining = 1.0
        if longer:
            listed = next_log_probs(path)
            bound = min(listed.values())
            steps = {token: listed.get(token, bound) for token in longer}
            remaining = max(0.0, 1 - float(np.exp(list(steps.values())).sum()))
            for token, below in longer.items():
                descend((*path, token), log_p + steps[token], below)
        for each in members:
            if len(sequences[each]) == len(path):
                found[each] = np.exp(log_p) * remaining

    descend((), 0.0, list(range(len(sequences))))
    return found


def written_probabilities(
    values: Sequence[str], next_log_probs: Callable[[str], Mapping[str, float]], goes_on: bool = True
) -> Array:
    """Return the same where a server tells the texts of tokens only, so that nobody knows how it cuts the values.

    Spaces before a value do not count, as far as they are one token. What the likeliest tokens spell is followed as
    long as it can become a value and is likelier than 1 in 10,000.

    Parameters
    ----------
    values : sequence of str
        All different.
    next_log_probs : callable
        Takes what was written after the text, "" at first.
    goes_on : bool, default=True
        Whether the model can be asked what follows; otherwise the first token is all.

    Returns
    -------
    ndarray of shape (n_values,), float64
        A value that no listed tokens spell gets an upper bound: the smallest probability that any place where it was
        possible lists, times that of what was written up to there.

    Examples
    --------
    >>> after = {"": {" ": 0.5, " 1": 0.4, "So": 0.1}, " ": {"1": 0.5, "2": 0.5}}
    >>> def toy(written):
    ...     return {token: np.log(p) for token, p in after[written].items()}
    >>> written_probabilities(["1", "2"], toy).round(3).tolist()
    [0.65, 0.25]
    """
    found = np.zeros(len(values))
    bounds = np.ones(len(values))

    def descend(written: str, p: float) -> None:
        listed = {token: log_p for token, log_p in next_log_probs(written).items() if token}
        possible = [value.startswith(written.lstrip()) for value in values]
        bounds[possible] = np.minimum(bounds[possible], p * np.exp(min(listed.values(), default=-np.inf)))
        remaining = 1.0
        for token, log_p in listed.items():
            text = (written + token).lstrip()
            if not any(value.startswith(text) for value in values) or (written and not text):
                continue
            remaining -= np.exp(log_p)
            step = p * float(np.exp(log_p))
            if goes_on and step > _UNLIKELY and any(value.startswith(text) and value != text for value in values):
                descend(written + token, step)
            elif text in values:
                found[values.index(text)] += step
        if written.lstrip() in values:
            found[values.index(written.lstrip())] += p * max(0.0, remaining)

    descend("", 1.0)
    return np.where(found > 0, found, bounds)


def as_columns(probabilities: Array, values: Array) -> Array:
    """Return the probabilities made to add up to 1, their expectation and their entropy in nats.

    Parameters
    ----------
    probabilities : ndarray of shape (n_texts, n_values), float64
        From `value_probabilities`.
    values : ndarray of shape (n_values,), float64

    Returns
    -------
    ndarray of shape (n_texts, n_values + 2), float64

    Raises
    ------
    ValueError
        If a text has no probability on any value, or each has less than 1 in 10,000: the model does not know them.

    Examples
    --------
    >>> as_columns(np.array([[0.2, 0.0, 0.2]]), np.array([1.0, 2.0, 3.0])).round(3).tolist()
    [[0.5, 0.0, 0.5, 2.0, 0.693]]
    """
    mass = probabilities.sum(axis=1)
    without = np.flatnonzero(~(mass > 0))
    if len(without) or (len(mass) and mass.max() < _UNLIKELY):
        where = f" behind the text at position {without[0]}" if len(without) else ""
        most = mass[without[0]] if len(without) else mass.max()
        raise ValueError(
            f"The model gives the {len(values)} values from {values[0]:g} to {values[-1]:g} a probability of "
            f"{most:.1g} together{where}: it does not go on with such numbers; use another model or template."
        )
    p = probabilities / mass[:, None]
    entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=1)
    return np.column_stack([p, p @ values, entropy])
