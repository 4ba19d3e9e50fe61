"""Sentiment of a text by a lexicon for its language, and how much of the text that lexicon knows."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import regex
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from pipeline.features.lexicon import CHARACTERS_A_WORD, judged_characters, lexicon_sentiment
from pipeline.features.vader import vader_sentiment, vader_vocabulary
from pipeline.segmentation import language
from pipeline.text import normalised, words

_POORLY = 0.1
# A shorter text of Japanese or Chinese need not judge anything.
_LEAST_CHARACTERS = 20
# Words of English that are ordinary words of German, French, Spanish, Italian, Portuguese, Dutch or Swedish, too.
_OF_OTHERS = {
    *("a", "al", "alle", "an", "all", "am", "and", "as", "be", "con", "de", "den", "des", "die", "do", "eine", "en"),
    *("et", "fine", "had", "han", "hat", "here", "i", "in", "is", "la", "le", "les", "mine", "me", "mit", "no", "on"),
    *("over", "par", "per", "sans", "si", "so", "te", "ten", "to", "tu", "un", "van", "want", "war", "was"),
}
_CHARACTER = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_HAN = regex.compile(r"\p{Han}")
# Everyday characters of Chinese that Japanese hardly writes.
_CHINESE_ONLY = regex.compile("[我你您她們這很也吧呢]")


def sentiment(text: str) -> dict[str, float]:
    """Return the sentiment of a text by the lexicon for its language.

    Japanese and Chinese are read by lexicons of this project (see `pipeline.features.lexicon`), all else by VADER,
    which is a lexicon of English: see `poorly_read` for texts that it cannot judge. A text without kana is Chinese,
    unless it can be written in the characters of Japanese and the lexicon of Japanese knows more of it (料理最高).

    Parameters
    ----------
    text : str

    Returns
    -------
    dict
        `neg`, `neu`, `pos` (shares) and `compound` (-1 to 1).

    Examples
    --------
    >>> [round(sentiment(text)["compound"], 2) for text in ("Good food.", "美味しい。", "味道不好。")]
    [0.44, 0.53, -0.46]
    """
    text = normalised(text)
    return sentiment_reader(text)(text)


def sentiment_reader(text: str) -> Callable[[str], dict[str, float]]:
    """Return what reads the sentiment of a text and of its sentences: its language is that of its parts, too.

    Parameters
    ----------
    text : str
        The whole text, normalised.

    Returns
    -------
    callable
        From a normalised text to the numbers of `sentiment`.
    """
    found = _language(text)
    return partial(lexicon_sentiment, language=found) if found else vader_sentiment


def _language(text: str) -> str | None:
    """Return "ja" or "zh" for a text that is mostly that, None for others: one may name a dish in an English review."""
    found = language(text)
    if found is None:
        return None
    n_characters = len(_CHARACTER.findall(text))
    if n_characters <= CHARACTERS_A_WORD * (len(words(text)) - n_characters):
        return None
    return "ja" if found == "zh" and _is_japanese(text) else found


def _is_japanese(text: str) -> bool:
    """Return whether a text that has hardly any kana is Japanese all the same."""
    if _CHINESE_ONLY.search(text):
        return False
    try:
        "".join(_HAN.findall(text)).encode("shift_jis")
    except UnicodeEncodeError:
        return False
    return judged_characters(text, "ja") > judged_characters(text, "zh")


def known_share(text: str) -> float:
    """Return the share of a text's words that the lexicon for its language knows.

    In English a word is known that VADER knows, or that is a stop word of scikit-learn: VADER alone knows one word in
    eight of an ordinary review. Words that are ordinary in another language, too ("die", "war"), do not count. The
    lexicons of Japanese and Chinese hold no ordinary words: either they give a value to some word of a text, and the
    share is 1, or to none, and it is 0. A text of under 20 characters has 1, since it need not judge anything.

    Parameters
    ----------
    text : str

    Returns
    -------
    float
        0 to 1; 1 for a text without words.

    Examples
    --------
    >>> known_share("The food was very good"), known_share("Das Essen war kalt")
    (0.6, 0.0)
    """
    if found_language := _language(text):
        return float(len(_CHARACTER.findall(text)) < _LEAST_CHARACTERS or judged_characters(text, found_language) > 0)
    found = words(text)
    known = _english()
    return sum(word.lower() in known for word in found) / len(found) if found else 1.0


def poorly_read(texts: Sequence[str]) -> float:
    """Return the share of texts of which the lexicon for their language knows under a tenth, see `known_share`.

    Parameters
    ----------
    texts : sequence of str
        Those without words are left out.

    Returns
    -------
    float
        0 to 1; 0 if no text has words.

    Examples
    --------
    >>> poorly_read(["The food was good.", "Das Essen war kalt.", "!!!"])
    0.5
    """
    shares = [known_share(text) for text in texts if words(text)]
    return sum(share < _POORLY for share in shares) / max(len(shares), 1)


@lru_cache(maxsize=1)
def _english() -> frozenset[str]:
    return (vader_vocabulary() | ENGLISH_STOP_WORDS) - _OF_OTHERS
