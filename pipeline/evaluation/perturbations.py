"""Changed texts, to see which models they mislead: typos, capitals, other spelling, sentences cut or added."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import regex

from pipeline.evaluation.british import british
from pipeline.text import word_spans, words

_TYPO_RATE = 1 / 20
_PUNCTUATION = regex.compile(r"\p{P}[\p{P}\p{M}]*")
_BOILERPLATE = {
    None: "Review collected from a verified visit. ",
    "ja": "ご来店が確認されたお客様の口コミです。",
    "zh": "本点评来自已核实的到店顾客。",
}
_ADDED_SENTENCE = {
    None: " We sat at a table near the window.",
    "ja": "窓際の席に座りました。",
    "zh": "我们坐在靠窗的位子。",
}


def _typos(text: str, rng: np.random.Generator) -> str:
    """Return the text with about one letter in twenty swapped with the next one, dropped or doubled.

    Spaces, digits and punctuation stay.
    """
    slips = rng.random(len(text)) < _TYPO_RATE
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


def _shouting(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the text in upper case with every exclamation mark doubled.

    A letter whose upper case belongs to another letter stays (the dotless i of Turkish).

    Examples
    --------
    >>> _shouting("What a place! Große Portionen")
    'WHAT A PLACE!! GROSSE PORTIONEN'
    """
    upper = "".join(c.upper() if c.upper().casefold() == c.casefold() else c for c in text)
    return upper.replace("!", "!!").replace("！", "！！")


def _truncated(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the first half of the text's words, the middle one included.

    Examples
    --------
    >>> _truncated("Good food, but never again.")
    'Good food, but'
    """
    spans = word_spans(text)
    return text[: spans[(len(spans) - 1) // 2][1]] if spans else text


def _shuffled(text: str, rng: np.random.Generator) -> str:
    """Return the text with its words in random order; the characters between them stay.

    Words of scripts with spaces, and characters of Japanese and Chinese, change places only among themselves: two words
    never grow into one.
    """
    spans = word_spans(text)
    found = np.array([text[start:end] for start, end in spans], dtype=object)
    # Written twice, a word of a script with spaces is one word still.
    alone = np.array([len(words(word * 2)) == 2 for word in found], dtype=bool)
    for chosen in (alone, ~alone):
        found[chosen] = rng.permutation(found[chosen])
    return _woven(found, _between(text, spans))


def _between(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """Return what stands before, between and behind the words."""
    gaps = np.array([0, *np.ravel(spans), len(text)], dtype=int).reshape(-1, 2)
    return [text[start:end] for start, end in gaps]


def _woven(found: Iterable[str], between: list[str]) -> str:
    return "".join(gap + word for gap, word in zip(between, [*found, ""], strict=True))


def _no_punctuation(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the text without punctuation marks; those inside a word stay, and no two words grow into one.

    Line breaks stay, and so do currencies and emoji.

    Examples
    --------
    >>> _no_punctuation("Don't go! (Well-done steak, $30...)")
    "Don't go Well done steak $30"
    """
    spans = word_spans(text)
    first, *inner = _between(text, spans)
    last = inner.pop() if inner else ""
    gaps = [_PUNCTUATION.sub("", first), *map(_without_marks, inner), _PUNCTUATION.sub("", last)]
    return _woven((text[start:end] for start, end in spans), gaps[: len(spans) + 1])


def _without_marks(gap: str) -> str:
    bare = _PUNCTUATION.sub("", gap)
    return bare if bare == gap or any(map(str.isspace, bare)) else f"{bare} "


def _british(text: str, rng: np.random.Generator | None = None) -> str:
    """Return the text with British spelling, see `british`."""
    return british(text)


def _boilerplate(text: str, rng: np.random.Generator | None = None, language: str | None = None) -> str:
    """Return the text behind a sentence that a platform may put before every review.

    Examples
    --------
    >>> _boilerplate("Good food.")
    'Review collected from a verified visit. Good food.'
    """
    return _BOILERPLATE[language] + text


def _added_sentence(text: str, rng: np.random.Generator | None = None, language: str | None = None) -> str:
    """Return the text and one more sentence that praises and blames nothing.

    Examples
    --------
    >>> _added_sentence("Good food.")
    'Good food. We sat at a table near the window.'
    """
    return text + _ADDED_SENTENCE[language]


_Change = Callable[..., str]
CHANGES: dict[str, _Change] = {
    "typos": _typos,
    "shouting": _shouting,
    "truncated": _truncated,
    "shuffled": _shuffled,
    "no_punctuation": _no_punctuation,
    "british": _british,
    "boilerplate": _boilerplate,
    "added_sentence": _added_sentence,
}


# These write a sentence of the reader's language; British spelling is of English alone.
_SENTENCES = ("boilerplate", "added_sentence")


def changes_in(language: str | None) -> list[str]:
    """Return those of `CHANGES` that mean something in a language.

    Examples
    --------
    >>> set(CHANGES) - set(changes_in("ja"))
    {'british'}
    """
    return [change for change in CHANGES if language is None or change != "british"]


def change_all(texts: Sequence[str], change: str, seed: int, language: str | None = None) -> list[str]:
    """Return all texts with one of `CHANGES` made to each.

    Parameters
    ----------
    texts : sequence of str
    change : {"typos", "shouting", "truncated", "shuffled", "no_punctuation", "british", "boilerplate", \
"added_sentence"}
        About one letter in twenty swapped, dropped or doubled; capitals and doubled exclamation marks; the first half
        of the words; the words in random order; no marks but those inside words; British spelling of English words; a
        platform's sentence in front; one neutral sentence behind.
    seed : int
        Decides the random changes.
    language : {"ja", "zh"} or None, default=None
        Of the sentence that is put in front or behind: Japanese, Chinese or English.

    Raises
    ------
    KeyError
        If there is no such change, or no sentence in the language.

    Examples
    --------
    >>> change_all(["Good food!", ""], "shouting", seed=0)
    ['GOOD FOOD!!', '']
    """
    rng = np.random.default_rng(seed)
    options = {"language": language} if change in _SENTENCES else {}
    return [CHANGES[change](text, rng, **options) for text in texts]
