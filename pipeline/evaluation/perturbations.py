"""How the texts of reviews are changed, to see which models mind: typos, shouting, truncation, words in disorder."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.text import words

TYPO_RATE = 1 / 20


def typos(text: str, rng: np.random.Generator) -> str:
    """Return the text with a slip at about one letter in twenty: swapped with the next letter, dropped or doubled.

    Spaces, digits and punctuation stay.
    """
    slips = rng.random(len(text)) < TYPO_RATE
    kinds = rng.integers(3, size=len(text))
    result, i = [], 0
    while i < len(text):
        letters = text[i : i + 2] if text[i : i + 2].isalpha() else text[i]
        if not (slips[i] and letters.isalpha()):
            result.append(text[i])
        elif kinds[i] == 0:
            result.append(letters[::-1])
            i += len(letters) - 1
        elif kinds[i] == 1:
            result.append(text[i] * 2)
        i += 1
    return "".join(result)


def shouting(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the text in upper case with every exclamation mark doubled.

    A letter whose upper case belongs to another letter stays (the dotless i of Turkish).

    Examples
    --------
    >>> shouting("What a place! Große Portionen")
    'WHAT A PLACE!! GROSSE PORTIONEN'
    """
    upper = "".join(c.upper() if c.upper().casefold() == c.casefold() else c for c in text)
    return upper.replace("!", "!!").replace("！", "！！")


def truncated(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the text up to the end of the first half of its words, the middle one included.

    Examples
    --------
    >>> truncated("Good food, but never again.")
    'Good food, but'
    """
    spans = list(_spans(text))
    return text[: spans[(len(spans) - 1) // 2][1]] if spans else text


def shuffled(text: str, rng: np.random.Generator) -> str:
    """Return the text with its words in random order; what stands between them stays.

    Words of scripts with spaces and characters of Japanese and Chinese change places among themselves, so that no two
    words grow into one.
    """
    spans = list(_spans(text))
    found = np.array([text[start:end] for start, end in spans], dtype=object)
    # Written twice, a word of a script with spaces is one word still.
    alone = np.array([len(words(word * 2)) == 2 for word in found], dtype=bool)
    for own in (alone, ~alone):
        found[own] = rng.permutation(found[own])
    gaps = np.array([0, *np.ravel(spans), len(text)], dtype=int).reshape(-1, 2)
    between = [text[start:end] for start, end in gaps]
    return "".join(gap + word for gap, word in zip(between, [*found, ""], strict=True))


CHANGES: dict[str, Callable[[str, np.random.Generator], str]] = {
    "typos": typos,
    "shouting": shouting,
    "truncated": truncated,
    "shuffled": shuffled,
}


def change_all(texts: Sequence[str], change: str, seed: int) -> list[str]:
    """Return all texts with one of `CHANGES`, the same for the same seed.

    Examples
    --------
    >>> change_all(["Good food!", ""], "shouting", seed=0)
    ['GOOD FOOD!!', '']
    """
    rng = np.random.default_rng(seed)
    return [CHANGES[change](text, rng) for text in texts]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each word of the text starts and ends."""
    end = 0
    for word in words(text):
        start = text.index(word, end)
        end = start + len(word)
        yield start, end
