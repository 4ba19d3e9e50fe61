"""Sentiment of English by VADER, in a time that grows with the length of a text."""

import re
from functools import lru_cache

from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SentimentIntensityAnalyzer

from pipeline.text import undoubled

_WORDS = 2000
_AROUND = 3  # words before and behind one that VADER looks at
_LETTERS = re.compile(r"[^\W\d_]+")


class _Vader(SentimentIntensityAnalyzer):
    """VADER whose time grows with the length of a text, not with its square.

    What it asks of the words around one it would find in a copy of all words, in small letters, made for each.
    """

    def _negation_check(self, valence: float, tokens: list[str], start_i: int, i: int) -> float:
        first = max(0, i - _AROUND)
        return super()._negation_check(valence, tokens[first : i + _AROUND], start_i, i - first)

    def _special_idioms_check(self, valence: float, tokens: list[str], i: int) -> float:
        first = max(0, i - _AROUND)
        return super()._special_idioms_check(valence, tokens[first : i + _AROUND], i - first)


@lru_cache(maxsize=1)
def _vader() -> tuple[SentimentIntensityAnalyzer, dict[int, str]]:
    """Return VADER, and what it reads for each emoji."""
    vader = _Vader()
    return vader, {ord(emoji): f" {name}" for emoji, name in vader.emojis.items() if len(emoji) == 1}


def emoji_names() -> dict[int, str]:
    """Return what VADER reads for each emoji, for `str.translate`."""
    return _vader()[1]


def vader_lexicon() -> dict[str, float]:
    """Return the values of VADER's lexicon, -4 to 4, by word."""
    lexicon: dict[str, float] = _vader()[0].lexicon
    return lexicon


@lru_cache(maxsize=1)
def vader_vocabulary() -> frozenset[str]:
    """Return the words that VADER knows, in small letters: those of its lexicon, negations and boosters."""
    return frozenset({*_vader()[0].lexicon, *NEGATE, *BOOSTER_DICT})


@lru_cache(maxsize=2**14)
def _known(token: str) -> str:
    """Return a token of VADER with the word of its lexicon in place of one that repeats letters.

    Examples
    --------
    >>> [_known(token) for token in ("Soooo", "GOOOD,", "dissappointed!")]
    ['so', 'GOOD,', 'disappointed!']
    """

    def shorter(found: re.Match[str]) -> str:
        word = found.group()
        short = undoubled(word.lower(), vader_vocabulary())
        return word if short == word.lower() else short.upper() if word.isupper() else short

    return _LETTERS.sub(shorter, token)


def vader_sentiment(text: str) -> dict[str, float]:
    """Return the sentiment of an English text.

    Parameters
    ----------
    text : str
        Normalised, see `pipeline.text.normalised`. Its first 2,000 words are read, and a word that repeats letters as
        the shorter one that is known ("Soooo gooood").

    Returns
    -------
    dict
        `neg`, `neu`, `pos` (shares) and `compound` (-1 to 1); all 0 for an empty text.

    Examples
    --------
    >>> vader_sentiment("The food was good.")["compound"]
    0.4404
    """
    # VADER divides by the number of its tokens, its time grows with their square, and an emoji is several of them.
    vader, names = _vader()
    tokens = (text if text.isascii() else text.translate(names)).split()[:_WORDS]
    if not tokens:
        return {"neg": 0.0, "neu": 0.0, "pos": 0.0, "compound": 0.0}
    return vader.polarity_scores(" ".join(map(_known, tokens)))
