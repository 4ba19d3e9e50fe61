"""Read values off the next tokens of servers with OpenAI's routes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.llm.http import Http, HttpError
from pipeline.llm.prompts import LEAD, Prompt
from pipeline.llm.readers import NoLogProbabilitiesError, Reader, Reading
from pipeline.llm.value_probabilities import written_probabilities

# These servers list no more of the likeliest tokens.
_N_LISTED = 20
# What a server answers that completes no texts, or not this model's.
_REFUSED = (400, 404, 405, 501)


class OpenAIReader(Reader):
    """Any other server with OpenAI's routes: prompts go there as text, and values are read by what tokens spell.

    Parameters
    ----------
    http : Http
    model : str or None
        Its name there; None: the first one that the server lists.
    """

    def __init__(self, http: Http, model: str | None):
        super().__init__(http)
        self.model = model or self._first_model()
        self.facts["model"] = self.model

    def read(self, prompt: Prompt, values: Sequence[str]) -> Reading:
        """Return the probability of each value."""
        if prompt.chat:
            if any(len(value) > 1 for value in values):
                raise ValueError(
                    f"A chat tells the first token of an answer only, {max(values, key=len)} may have more: use "
                    'template="plain" or another scale.'
                )
            return Reading(written_probabilities(values, lambda _: self._chat(prompt.content), goes_on=False))
        text = self.written(prompt, values)
        return Reading(written_probabilities(values, lambda written: self._complete(text + written)))

    def has_chat(self) -> bool:
        """Return whether the server tells log probabilities of chats alone."""
        try:
            self._complete("Review: Good.\nStars:")
        except NoLogProbabilitiesError:
            return True
        except HttpError as error:
            if error.status not in _REFUSED:
                raise
            return True
        return False

    def written(self, prompt: Prompt, values: Sequence[str]) -> str:
        """Return the text, or the message whose template only the server knows."""
        return prompt.content if prompt.chat else f"{prompt.content}\n{LEAD}".rstrip()

    def _first_model(self) -> str:
        listed = self.http.get("/v1/models").get("data") or []
        if not listed:
            raise OSError(f"The server {self.http.url} lists no model: load one there.")
        return str(listed[0]["id"])

    def _complete(self, text: str) -> dict[str, float]:
        options = {"max_tokens": 1, "temperature": 0, "logprobs": _N_LISTED}
        return self._listed(self.http.post("/v1/completions", model=self.model, prompt=text, **options))

    def _chat(self, content: str) -> dict[str, float]:
        options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": _N_LISTED}
        messages = [{"role": "user", "content": content}]
        return self._listed(self.http.post("/v1/chat/completions", model=self.model, messages=messages, **options))

    def _listed(self, answer: Any) -> dict[str, float]:
        """Return the log probabilities of the likeliest tokens; several that spell the same are one."""
        try:
            given = answer["choices"][0]["logprobs"]
            if "content" in given:
                pairs = [(each["token"], each["logprob"]) for each in given["content"][0]["top_logprobs"]]
            else:
                pairs = list(given["top_logprobs"][0].items())
            found: dict[str, float] = {}
            for token, log_p in pairs:
                found[token] = float(np.logaddexp(found.get(token, -np.inf), log_p))
            if found:
                return found
        except (LookupError, TypeError, AttributeError):
            pass
        raise self.without_log_probabilities()
