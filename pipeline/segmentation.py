"""Japanese and Chinese texts in words, by the dictionaries that the extra `[cjk]` brings."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, Literal

import regex

from pipeline.errors import needs_extra
from pipeline.text import Cut

READINGS = ("auto", "dictionary", "characters")

_PACKAGES = ("fugashi", "unidic_lite", "rjieba")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}ーｰ]")
_HAN = regex.compile(r"\p{Han}")
# A Chinese text has a kana in a name at most, a Japanese one in every second character or so.
_LEAST_KANA = 0.1


def reading(words: str) -> str:
    """Return how Japanese and Chinese texts are read here: "dictionary" or "characters".

    Parameters
    ----------
    words : {"auto", "dictionary", "characters"}
        "auto": by dictionary where the extra is installed.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If `words` is "dictionary" and a package of the extra is missing.
    ValueError
        If `words` is something else.

    Examples
    --------
    >>> reading("characters")
    'characters'
    """
    if words not in READINGS:
        raise ValueError(f"words must be one of {', '.join(READINGS)}, got {words!r}.")
    if words == "characters":
        return words
    try:
        with needs_extra("words='dictionary'", "cjk"):
            for package in _PACKAGES:
                import_module(package)
    except ImportError:
        if words == "dictionary":
            raise
        return "characters"
    return "dictionary"


def dictionaries() -> dict[str, str]:
    """Return the versions of what cuts texts into words, by package: other versions may cut otherwise.

    Raises
    ------
    PackageNotFoundError
        If a package of the extra is missing.
    """
    return {package: version(package) for package in _PACKAGES}


def used_dictionaries(words: str = "auto") -> dict[str, str]:
    """Return the versions of the dictionaries that a reading uses here; none for characters, or without the extra."""
    return dictionaries() if words != "characters" and reading("auto") == "dictionary" else {}


def language(text: str) -> Literal["ja", "zh"] | None:
    """Return which dictionary reads a text: Japanese, Chinese, or None for a text that needs none.

    A text is Japanese where one in ten or more of its Japanese and Chinese characters is kana. One without kana is read
    as Chinese, also a Japanese title in kanji alone.

    Parameters
    ----------
    text : str
        The whole text: its language is that of its parts, too.

    Returns
    -------
    {"ja", "zh"} or None
        None for a text without a Japanese or Chinese character.

    Examples
    --------
    >>> language("味は最高"), language("味道很好"), language("Good food!")
    ('ja', 'zh', None)
    """
    if text.isascii():
        return None
    n_kana, n_han = len(_KANA.findall(text)), len(_HAN.findall(text))
    if not n_kana + n_han:
        return None
    return "ja" if n_kana >= _LEAST_KANA * (n_kana + n_han) else "zh"


def common_language(texts: Iterable[str]) -> Literal["ja", "zh"] | None:
    """Return the `language` that most texts are in; None also for no text.

    Examples
    --------
    >>> common_language(["味は最高", "Good food!", "また行きます"])
    'ja'
    """
    counts = Counter(map(language, texts))
    return counts.most_common(1)[0][0] if counts else None


def cutter(text: str, words: str = "dictionary") -> Cut | None:
    """Return what cuts the Japanese or Chinese of a text into words, for `pipeline.text.words`.

    All of a text is cut by the dictionary of its `language`: unidic-lite by MeCab for Japanese, jieba's for Chinese.

    Parameters
    ----------
    text : str
        The whole text: its language is that of its parts, too.
    words : {"dictionary", "characters"}, default="dictionary"
        As `reading` returns it.

    Returns
    -------
    callable or None
        None where nothing is to be cut: for "characters", and for a text without a Japanese or Chinese character.

    Raises
    ------
    ImportError
        If the extra is not installed.

    Examples
    --------
    >>> cutter("Good food!") is None, cutter("味は最高", "characters") is None
    (True, True)
    """
    if words == "characters":
        return None
    match language(text):
        case "ja":
            return _japanese()
        case "zh":
            return _chinese()
    return None


@lru_cache(maxsize=1)
def _japanese() -> Cut:
    with needs_extra("words='dictionary'", "cjk"):
        fugashi: Any = import_module("fugashi")
        directory = import_module("unidic_lite").DICDIR
    # The dictionary is named, as fugashi takes a larger one where that is installed.
    tagger = fugashi.GenericTagger(f'-Owakati -r "{directory}/mecabrc" -d "{directory}"')
    return lambda run: tagger.parse(run).split(" ")


@lru_cache(maxsize=1)
def _chinese() -> Cut:
    with needs_extra("words='dictionary'", "cjk"):
        rjieba: Any = import_module("rjieba")
    # Words that are guessed beside the dictionary ("hmm") hide the adjective behind its adverb: 很差, 太咸.
    return lambda run: rjieba.cut(run, hmm=False)
