"""Sentiment of Japanese and Chinese by lexicons written for this project, in the numbers of VADER."""

import csv
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import sqrt
from typing import NamedTuple

import regex

from pipeline.features.vader import emoji_names, vader_lexicon

# VADER's constants: what a booster adds, what a negation leaves, how a contrast weighs, and the norm.
_BOOST, _NEGATED, _BEFORE, _AFTER, _MARK, _ALPHA = 0.293, -0.74, 0.5, 1.5, 0.292, 15
_N_CHARACTERS = 5000
_MOST_MARKS = 4
# How far a booster or a Chinese negator reaches, in characters.
_REACH = {"ja": 6, "zh": 4}
# Behind a Japanese stem: its endings and "say", "think", "feel", "see", but no conjunction.
_ENDING = regex.compile(r"(?!.*(?:から|ので|けど|たら))[\p{Hiragana}ー言思感見]{0,8}")
_CLAUSE_END = regex.compile(r"[\p{P}\p{S}\s]")
_SENTENCE_END = regex.compile(r"[。！？!?…\n]")
_LATIN = regex.compile(r"[a-z][a-z']{2,}")
_READ = regex.compile(r"[\p{L}\p{N}]")
CHARACTERS_A_WORD = 2
_VALUED = {"word", "fixed", "mixed"}


class _Entry(NamedTuple):
    kind: str
    value: float


@dataclass
class _Hit:
    start: int
    end: int
    value: float


@lru_cache(maxsize=2)
def entries(language: str) -> dict[str, _Entry]:
    """Return the lexicon of a language: for each word or stem its kind and its value.

    The lexicons were written for this project: words of customer reviews of any kind and general words of emotion,
    with values of -4 to 4 as VADER has them, in the judgement of their writer; no native raters have checked them.
    They were written before any text of `data/sample-ja` and `data/sample-zh` was looked at; two entries that read a
    text there wrongly (間違いな, 不便 in 不便宜) were mended afterwards.

    Parameters
    ----------
    language : {"ja", "zh"}

    Returns
    -------
    dict of str to (kind, value)
        The kinds: "word"; "fixed" (no negation turns it); "mixed" (a booster right before another word); "booster"
        (1 or -1); "after" (a booster behind its word); "negator"; "contrast"; "none" (has no value, but holds a word
        that has).

    Examples
    --------
    >>> tuple(entries("ja")["美味し"]), tuple(entries("zh")["好吃"])
    (('word', 2.4), ('word', 2.4))
    """
    rows = csv.DictReader(_lines(f"{language}.tsv"), delimiter="\t")
    return {row["word"]: _Entry(row["kind"], float(row["value"])) for row in rows}


@lru_cache(maxsize=2)
def _lengths(language: str) -> dict[str, list[int]]:
    """Return how long entries are, longest first, by their first character."""
    lengths: dict[str, set[int]] = {}
    for word in entries(language):
        lengths.setdefault(word[0], set()).add(len(word))
    return {first: sorted(each, reverse=True) for first, each in lengths.items()}


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    # The pairs come from OpenCC's table of characters (Apache License 2.0), for the characters of the lexicon.
    rows = csv.DictReader(_lines("traditional.tsv"), delimiter="\t")
    return {ord(row["traditional"]): row["simplified"] for row in rows}


def _lines(name: str) -> list[str]:
    return (files("pipeline.features") / "lexicons" / name).read_text(encoding="utf-8").splitlines()


def lexicon_sentiment(text: str, language: str) -> dict[str, float]:
    """Return the sentiment of a Japanese or Chinese text.

    The longest entry of the lexicon is matched at each character, whatever the words are, so that stems match however
    they end. A negation turns the word before it in Japanese (美味しくない), behind it in Chinese (不喜欢); boosters,
    exclamation marks and contrasts ("but") weigh as VADER weighs them [1]_. Words in Latin letters and emoji have the
    values of VADER. The first 5,000 characters are read.

    Parameters
    ----------
    text : str
    language : {"ja", "zh"}
        As `pipeline.segmentation.language` returns it. Chinese may be in simplified or traditional characters.

    Returns
    -------
    dict
        `neg`, `neu`, `pos` (shares) and `compound` (-1 to 1): the sum x of the values as x / sqrt(x^2 + 15). All 0
        for a text without letters and digits.

    References
    ----------
    .. [1] C. J. Hutto, E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
       Text", ICWSM 2014.

    Examples
    --------
    >>> [round(lexicon_sentiment(x, "ja")["compound"], 2) for x in ("嬉しい", "とても嬉しい", "嬉しくない")]
    [0.53, 0.57, -0.42]
    >>> [round(lexicon_sentiment(x, "zh")["compound"], 2) for x in ("喜欢", "非常喜歡", "不喜欢")]
    [0.49, 0.54, -0.39]
    """
    text = _as_written(text, language)
    values: list[float] = []
    n_matched = start = 0
    for end in (*(mark.end() for mark in _SENTENCE_END.finditer(text)), len(text)):
        hits, contrasts = _Reader(text[start:end], language).read()
        for hit in hits:
            weight = 1.0 if not contrasts else _AFTER if hit.start > contrasts[-1] else _BEFORE
            values.append(weight * hit.value)
            n_matched += hit.end - hit.start
        start = end
    n_left = max(len(_READ.findall(text)) - n_matched, 0) / CHARACTERS_A_WORD
    return _scores(values, n_left, min(text.count("!"), _MOST_MARKS) * _MARK)


def judged_characters(text: str, language: str) -> int:
    """Return how many characters of a text are of words to which the lexicon gives a value.

    Parameters
    ----------
    text, language
        As in `lexicon_sentiment`. Words in Latin letters and emoji do not count.

    Examples
    --------
    >>> judged_characters("料理最高", "ja"), judged_characters("料理最高", "zh")
    (2, 0)
    """
    return _Reader(_as_written(text, language), language).n_judged()


def _as_written(text: str, language: str) -> str:
    """Return a text as the lexicon writes it: full-width kana, half-width Latin letters, simplified characters."""
    text = unicodedata.normalize("NFKC", text[:_N_CHARACTERS].translate(emoji_names())).lower()
    return text.translate(_simplified()) if language == "zh" else text


def _scores(values: list[float], n_neutral: float, emphasis: float) -> dict[str, float]:
    total = sum(values)
    total += emphasis if total > 0 else -emphasis if total < 0 else 0
    # As in VADER, a word counts 1 beside its value, so that it weighs more than a neutral one.
    positive = sum(value + 1 for value in values if value > 0)
    negative = sum(1 - value for value in values if value < 0)
    whole = positive + negative + n_neutral
    shares = {"neg": negative, "neu": n_neutral, "pos": positive}
    return {
        **{name: share / whole if whole else 0.0 for name, share in shares.items()},
        "compound": total / sqrt(total**2 + _ALPHA),
    }


class _Reader:
    """Reads one sentence from left to right."""

    def __init__(self, text: str, language: str) -> None:
        self.text, self.language = text, language
        self.hits: list[_Hit] = []
        self.contrasts: list[int] = []
        # Since the clause began or a word was read: boosters and negators, and where the last of them ends.
        self.boosts, self.negations, self.last = 0.0, 0, 0
        self.mixed: _Entry | None = None
        # The word that an ending may still turn.
        self.open: _Hit | None = None

    def read(self) -> tuple[list[_Hit], list[int]]:
        """Return the words that have a value, and where contrasts are."""
        place = 0
        while place < len(self.text):
            word, entry = self._longest(place)
            if entry is not None:
                self._take(entry, place, place + len(word))
            elif _CLAUSE_END.match(word):
                self._reset()
                self.open = None
            place += len(word)
        return self.hits, self.contrasts

    def n_judged(self) -> int:
        """Return how many characters are of words of the lexicon that have a value."""
        known, place, n_characters = entries(self.language), 0, 0
        while place < len(self.text):
            word, entry = self._longest(place)
            if entry is not None and word in known and entry.kind in _VALUED:
                n_characters += len(word)
            place += len(word)
        return n_characters

    def _longest(self, place: int) -> tuple[str, _Entry | None]:
        """Return the longest entry at a place; else a Latin word, or one character."""
        known = entries(self.language)
        for length in _lengths(self.language).get(self.text[place], ()):
            word = self.text[place : place + length]
            if word in known:
                return word, known[word]
        if latin := _LATIN.match(self.text, place):
            value = vader_lexicon().get(latin.group())
            return latin.group(), None if value is None else _Entry("word", value)
        return self.text[place], None

    def _take(self, entry: _Entry, start: int, end: int) -> None:
        if entry.kind in _VALUED:
            self._take_word(entry, start, end)
        elif entry.kind == "booster":
            self._keep(start, end)
            self.boosts += entry.value
        elif entry.kind == "negator":
            self._take_negator(start, end)
        elif entry.kind == "after" and self.hits and self.hits[-1].end == start:
            self.hits[-1].value += _boost(self.hits[-1].value, entry.value)
        elif entry.kind == "contrast":
            self.contrasts.append(start)
            self._reset()
            self.open = None

    def _take_word(self, entry: _Entry, start: int, end: int) -> None:
        if self.mixed is not None:
            if self.hits[-1].end == start:
                self.hits.pop()
                self.boosts, self.last = self.boosts + 1, start
            else:
                self._reset()
        if start - self.last > _REACH[self.language]:
            self._reset()
        value = entry.value + _boost(entry.value, self.boosts)
        if entry.kind != "fixed":
            value *= _NEGATED if self.negations % 2 else 1
        self.hits.append(_Hit(start, end, value))
        self.open = None if entry.kind == "fixed" else self.hits[-1]
        boosts, negations = self.boosts, self.negations
        self._reset()
        self.mixed = entry if entry.kind == "mixed" else None
        if self.mixed is not None:
            self.boosts, self.negations, self.last = boosts, negations, end

    def _take_negator(self, start: int, end: int) -> None:
        if self.language == "zh":
            self._keep(start, end)
            self.negations += 1
        elif self.open is not None and _ENDING.fullmatch(self.text, self.open.end, start):
            self.open.value *= _NEGATED
            self.open = None

    def _keep(self, start: int, end: int) -> None:
        """Forget what is too far away, and note what reaches on from here."""
        if start - self.last > _REACH[self.language] or self.mixed is not None:
            self._reset()
        self.last = end

    def _reset(self) -> None:
        self.boosts, self.negations, self.mixed = 0.0, 0, None


def _boost(value: float, boosts: float) -> float:
    """Return what boosters add to a value, away from 0; what damps never turns it."""
    return (1 if value > 0 else -1) * max(_BOOST * boosts, -abs(value) / 2)
