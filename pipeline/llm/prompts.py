"""What the language model reads: rules, examples with their stars, the review, and where its stars would stand."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.scale import Scale
from pipeline.text import word_spans

# What the stars follow on, in examples as in the model's answer.
LEAD = "Stars: "
_ANSWER = "\n\nHow many stars does this last review give? Answer with the number alone."


@dataclass(frozen=True)
class Prompt:
    """What is asked about one review.

    Parameters
    ----------
    shared : str
        Rules and examples that are the same for many reviews.
    examples : str
        Examples for this review alone, "" for none.
    review : str
        The review, on one line.
    chat : bool
        Whether both are one message of a user, whom the model answers; otherwise the model goes on with the text.
    """

    shared: str
    examples: str
    review: str
    chat: bool

    @property
    def content(self) -> str:
        """All but the beginning of the answer and what a chat template puts around."""
        return f"{self.shared}{self.examples}Review: {self.review}" + (_ANSWER if self.chat else "")


@dataclass(frozen=True)
class Wording:
    """How prompts are worded.

    Parameters
    ----------
    scale : Scale
        The ends are said, so that 1 to 10 is no puzzle.
    know_how : str
        Rules of the user's, placed in front; "" for none.
    chat : bool
        As in `Prompt`.
    """

    scale: Scale
    know_how: str
    chat: bool

    @property
    def rules(self) -> str:
        """The beginning of all prompts."""
        rules = f"{self.know_how.strip()}\n\n" if self.know_how.strip() else ""
        low, high = written(self.scale.low), written(self.scale.high)
        return f"{rules}Reviews with their stars, from {low} (worst) to {high} (best).\n\n"

    def prompt(self, shared: str, examples: str, text: str, n_words: int) -> Prompt:
        """Return what is asked about a text, which is cut to so many words."""
        return Prompt(shared, examples, one_line(text, n_words), self.chat)


def shown(examples: Iterable[tuple[str, float]]) -> str:
    r"""Return examples as prompts show them, the text and the stars of each.

    Examples
    --------
    >>> shown([("Good.", 4.0)])
    'Review: Good.\nStars: 4\n\n'
    """
    return "".join(f"Review: {text}\n{LEAD}{written(star)}\n\n" for text, star in examples)


def written(value: float) -> str:
    """Return a value of a scale as it is written in prompts.

    Examples
    --------
    >>> [written(value) for value in (5.0, 4.5, -1.0)]
    ['5', '4.5', '-1']
    """
    return f"{value:.9g}"


def one_line(text: str, n_words: int) -> str:
    r"""Return a text on one line, cut after so many words; in Japanese and Chinese every character is one.

    What stands on one line cannot look like another review with its stars.

    Examples
    --------
    >>> one_line("Good.\n\nStars: 5", 100), one_line("Good food, bad wine", 2), one_line("味は最高", 2)
    ('Good. Stars: 5', 'Good food', '味は')
    """
    text = " ".join(text.split())
    spans = word_spans(text)
    return text if len(spans) <= n_words else text[: spans[n_words - 1][1]]
