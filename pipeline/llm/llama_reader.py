"""Read values off llama.cpp's next tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from threading import Lock
from typing import Any

from pipeline.llm.http import Http
from pipeline.llm.prompts import LEAD, Prompt
from pipeline.llm.readers import Reader, Reading
from pipeline.llm.value_probabilities import value_probabilities

# Likeliest next tokens that are asked for.
_N_LISTED = 100
# A review that is cut to fit keeps at least so many tokens, or all that it has.
_FEWEST = 16


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
        self.identity = {name: facts.get(name) for name in ("build_info", "chat_template")}
        self._lock = Lock()
        self._primed: list[int] = []
        self._n_evaluated = self._n_shared = 0
        self._values: dict[tuple[tuple[str, ...], bool], list[list[int]]] = {}
        self._around: tuple[str, str] | None = None
        self._begun: tuple[str, bool, list[int]] | None = None

    def read(self, prompt: Prompt, values: Sequence[str]) -> Reading:
        """Return the probability of each value."""
        with self._lock:
            continuations = self._continuations(tuple(values), prompt.chat)
            tokens, review = self._fitted(prompt, values[0], continuations)
            self._n_evaluated = self._n_shared = 0
            self._prime(tokens[: _common(tokens, self._beginning(prompt))])
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

    def _beginning(self, prompt: Prompt) -> list[int]:
        """Return the tokens of the shared beginning but the last one, which the next letters may change."""
        if self._begun is None or self._begun[:2] != (prompt.shared, prompt.chat):
            self._begun = prompt.shared, prompt.chat, self._tokens(prompt, prompt.shared)[:-1]
        return self._begun[2]

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
            for a, b in combinations(range(len(values)), 2):
                if found[a] == found[b]:
                    raise ValueError(
                        f"The model cannot tell {values[a]} from {values[b]}: its vocabulary has no tokens for the "
                        "values of the scale; use another model."
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
            found = {int(each["id"]): float(each["logprob"]) for each in listed}
        except (LookupError, TypeError, ValueError):
            found = {}
        if not found:
            raise self.without_log_probabilities()
        return found

    def _complete(self, tokens: list[int], fresh: bool = False, **options: Any) -> Any:
        answer = self.http.post(
            "/completion", prompt=tokens, n_predict=1, temperature=0, cache_prompt=not fresh, **options
        )
        timings = answer.get("timings", {})
        self._n_evaluated += timings.get("prompt_n", 0)
        self._n_shared = max(self._n_shared, timings.get("cache_n", 0))
        return answer


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
