"""Ask a server of a language model how likely each value is to follow on a prompt."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.llm.http import Http, HttpError
from pipeline.llm.prompts import LEAD, Prompt
from pipeline.llm.value_probabilities import value_probabilities, written_probabilities

Array = npt.NDArray[np.float64]

# Likeliest next tokens that are asked for; servers other than llama.cpp's give no more than 20.
_N_LISTED, _N_LISTED_ELSEWHERE = 100, 20
_NO_SUCH_ROUTE = (200, 404, 405, 501)
# A text that is cut to fit keeps at least so many tokens, or all that it has.
_FEWEST = 16


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
    """

    def __init__(self, http: Http):
        self.http = http
        self.facts: dict[str, Any] = {"server": http.url}

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


class LlamaReader(Reader):
    """llama.cpp's server, in this process or elsewhere: prompts go there as tokens.

    What a review says is never read as a control token. The shared beginning is evaluated once; its last token is
    evaluated again for each review, so that a review's numbers do not depend on those before it, to the last digit.
    """

    def __init__(self, http: Http):
        super().__init__(http)
        facts = http.get("/props")
        self.n_context = int(facts["default_generation_settings"]["n_ctx"])
        self.facts |= {"file": facts.get("model_path"), "quantisation": facts.get("model_ftype")}
        self.facts["n_context"] = self.n_context
        self._lock = Lock()
        self._primed: list[int] = []
        self._n_evaluated = self._n_shared = 0
        self._values: dict[tuple[tuple[str, ...], bool], list[list[int]]] = {}
        self._around: tuple[str, str] | None = None

    def read(self, prompt: Prompt, values: Sequence[str]) -> Reading:
        """Return the probability of each value."""
        with self._lock:
            continuations = self._continuations(tuple(values), prompt.chat)
            tokens, review = self._fitted(prompt, values[0], continuations)
            self._n_evaluated = self._n_shared = 0
            shared = _common(tokens, self._tokens(prompt, prompt.shared)[:-1])
            self._prime(tokens[:shared])
            found = value_probabilities(continuations, lambda path: self._next([*tokens, *path]))
            return Reading(found, review != prompt.review, self._n_evaluated, self._n_shared)

    def written(self, prompt: Prompt, values: Sequence[str]) -> str:
        """Return all that the model reads, control tokens as they are written."""
        _, review = self._fitted(prompt, values[0], self._continuations(tuple(values), prompt.chat))
        before, after = self._template() if prompt.chat else ("", "\n")
        return f"{before}{replace(prompt, review=review).content}{after}{LEAD}"

    def has_chat(self) -> bool:
        """Return whether the vocabulary has the control tokens of the chat template."""
        # Where the file has no template, llama.cpp takes one whose control tokens the vocabulary may not have.
        around = "".join(self._template())
        return self._tokenise(around, True, False) != self._tokenise(around, False, False)

    def _template(self) -> tuple[str, str]:
        """Return what the chat template puts before and after a user's message."""
        if self._around is None:
            marker = "THE-MESSAGE"
            messages = [{"role": "user", "content": marker}]
            # A model that thinks first would have no number to say.
            answer = self.http.post(
                "/apply-template", messages=messages, chat_template_kwargs={"enable_thinking": False}
            )
            before, found, after = str(answer["prompt"]).partition(marker)
            if not found:
                raise ValueError('The chat template of the model leaves out the message: use template="plain".')
            self._around = before, after
        return self._around

    def _tokenise(self, text: str, special: bool, begins: bool) -> list[int]:
        return self.http.post("/tokenize", content=text, parse_special=special, add_special=begins)["tokens"]

    def _tokens(self, prompt: Prompt, content: str, answer: str | None = None) -> list[int]:
        """Return the tokens of a prompt from its beginning: up to the content, or with an answer behind it."""
        if not prompt.chat:
            return self._tokenise(content if answer is None else f"{content}\n{LEAD}{answer}", False, True)
        before, after = self._template()
        tokens = self._tokenise(before, True, True)
        # Where the template has its token of the beginning, too.
        tokens = tokens[1:] if len(tokens) > 1 and tokens[0] == tokens[1] else tokens
        tokens = tokens + self._tokenise(content, False, False)
        return tokens if answer is None else tokens + self._tokenise(f"{after}{LEAD}{answer}", True, False)

    def _continuations(self, values: tuple[str, ...], chat: bool) -> list[list[int]]:
        """Return the tokens of each value behind what all values have in common.

        A tokenizer may draw the space before a value into it.
        """
        if (values, chat) not in self._values:
            empty = Prompt("", "", "", chat)
            found = [self._tokens(empty, empty.content, value) for value in values]
            start = min(_common(found[0], other) for other in found[1:])
            # Of 1 and 10 the shorter one would be nothing.
            start = min(start, min(map(len, found)) - 1)
            if len({tuple(each) for each in found}) < len(found):
                raise ValueError(
                    f"The model cannot tell {values[0]} from {values[1]}: its vocabulary has no tokens for the values "
                    "of the scale; use another model."
                )
            self._values[values, chat] = [each[start:] for each in found]
        return self._values[values, chat]

    def _fitted(self, prompt: Prompt, value: str, continuations: list[list[int]]) -> tuple[list[int], str]:
        """Return the tokens of a prompt, and its review, cut where it does not fit the context."""
        behind = len(continuations[0])
        room = self.n_context - 1 - max(map(len, continuations))
        review = prompt.review
        while True:
            tokens = self._tokens(prompt, replace(prompt, review=review).content, value)[:-behind]
            if len(tokens) <= room:
                return tokens, review
            n_review = len(self._tokenise(review, False, False))
            left = n_review - (len(tokens) - room)
            if left < min(_FEWEST, n_review):
                raise ValueError(
                    f"A context of {self.n_context} tokens is too small: rules and examples take "
                    f"{len(tokens) - n_review} and a review {_FEWEST} or more; give a larger n_context, fewer or "
                    "shorter examples (n_examples, n_example_words), or shorter rules."
                )
            review = review[: max(1, min(len(review) * left // n_review, len(review) - 1))]

    def _prime(self, shared: list[int]) -> None:
        """Let the server have evaluated the shared beginning and no more."""
        if len(shared) < 2:
            return
        if shared != self._primed:
            self._primed = []
            self._complete(shared, fresh=True)
            self._primed = shared
        self._complete(shared)

    def _next(self, tokens: list[int]) -> Mapping[int, float]:
        answer = self._complete(tokens, n_probs=_N_LISTED)
        try:
            listed = answer["completion_probabilities"][0]["top_logprobs"]
            return {int(each["id"]): float(each["logprob"]) for each in listed}
        except (LookupError, TypeError, ValueError):
            raise OSError(f"The server {self.http.url} answers without log probabilities: use another one.") from None

    def _complete(self, tokens: list[int], fresh: bool = False, **options: Any) -> Any:
        answer = self.http.post(
            "/completion", prompt=tokens, n_predict=1, temperature=0, cache_prompt=not fresh, **options
        )
        timings = answer.get("timings", {})
        self._n_evaluated += timings.get("prompt_n", 0)
        self._n_shared = max(self._n_shared, timings.get("cache_n", 0))
        return answer


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
        except OSError:
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
        options = {"max_tokens": 1, "temperature": 0, "logprobs": _N_LISTED_ELSEWHERE}
        return self._listed(self.http.post("/v1/completions", model=self.model, prompt=text, **options))

    def _chat(self, content: str) -> dict[str, float]:
        options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": _N_LISTED_ELSEWHERE}
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
        raise OSError(f"The server {self.http.url} answers without log probabilities: use another one.")


def connect(base_url: str, model: str | None) -> Reader:
    """Return the reader of a server.

    Raises
    ------
    OSError
        If it does not answer.
    ValueError
        If `base_url` is no address.
    """
    http = Http(base_url)
    try:
        return LlamaReader(http)
    except HttpError as error:
        if error.status not in _NO_SUCH_ROUTE:
            raise
    except (KeyError, TypeError):
        pass
    return OpenAIReader(http, model)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
