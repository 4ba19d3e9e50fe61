"""Ask a server of a language model how likely each value is to follow on a prompt."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.llm.http import Http
from pipeline.llm.prompts import Prompt

Array = npt.NDArray[np.float64]


class Reading(NamedTuple):
    """What was read off the next tokens of one prompt.

    Parameters
    ----------
    probabilities : ndarray of shape (n_values,), float64
        As `value_probabilities` has them.
    was_cut : bool
        Whether the review was cut to fit the context.
    n_evaluated, n_shared : int
        Tokens of the prompt that the server evaluated, and that it had evaluated before; 0 where it does not tell.
    """

    probabilities: Array
    was_cut: bool = False
    n_evaluated: int = 0
    n_shared: int = 0


class Reader(ABC):
    """Reads values off the next tokens.

    Parameters
    ----------
    http : Http
        The server.

    Attributes
    ----------
    facts : dict
        What a report says of the server and its model.
    identity : dict
        What else decides on the answers of a server elsewhere.
    """

    def __init__(self, http: Http):
        self.http = http
        self.facts: dict[str, Any] = {"server": http.url}
        self.identity: dict[str, Any] = {}

    @abstractmethod
    def read(self, prompt: Prompt, values: Sequence[str]) -> Reading:
        """Return the probability of each value.

        Raises
        ------
        ValueError
            If there is no room for the review, or values cannot be told apart.
        OSError
            If the server gives no answer.
        """

    @abstractmethod
    def has_chat(self) -> bool:
        """Return whether the model is made to chat, as far as the server tells."""

    @abstractmethod
    def written(self, prompt: Prompt, values: Sequence[str]) -> str:
        """Return all that the model reads."""

    def without_log_probabilities(self) -> "NoLogProbabilitiesError":
        """Return the error for an answer that lacks them."""
        return NoLogProbabilitiesError(
            f"The server {self.http.url} answers without log probabilities: use another one."
        )


class NoLogProbabilitiesError(OSError):
    """An answer that does not tell how likely its tokens were."""
