"""Statistics of the raw text without a model: each column has a name that says what it counts."""

import re
import warnings
from collections import Counter
from statistics import fmean, pstdev
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import regex
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from pipeline.features.sentiment import poorly_read, sentiment_reader
from pipeline.progress import progress_bar
from pipeline.segmentation import cutter, reading
from pipeline.text import Cut, check_texts, normalised, short_sentences, words

_NEGATION = re.compile(
    r"not?|never|none|nothing|nobody|nowhere|neither|nor|cannot|without|hardly|barely|\w+n't"
    r"|(?:do|does|did|ca|wo|is|was|are|were|has|have|had|could|would|should|ai)nt"
)
_PUNCTUATION = regex.compile(r"[^\p{L}\p{N}\p{Mn}\p{Mc}\s\x1c-\x1f]")
# From this share of texts on, and this many, that the sentiment lexicon hardly knows, a warning says so.
_MANY, _LEAST_TEXTS = 0.1, 5
SAYS_LITTLE = "Sentiment says little here"
# More capitals than this, and they are how the text is typed, not what it stresses.
_ALL_CAPITALS = 0.9
# The letters that are capital in any English text.
_CAPITALISED = re.compile(r"(?:^|[.!?]\s|\n)\W*[^\W\d_]|(?<!['\w])i\b")
_CONTRAST = {"but", "however", "although", "though", "yet", "except", "unfortunately", "otherwise", "despite"}
_FIRST_PERSON = {"i", "me", "my", "mine", "we", "us", "our", "i'm", "i've", "i'd", "i'll", "we're", "we've", "we'd"}


class TextStats(TransformerMixin, BaseEstimator):
    """Counts, shares and sentiment of a text, one named column each.

    Lengths (characters, words, sentences, paragraphs), vocabulary richness, capitals, digits, punctuation, repeated
    letters, negations, words of contrast, first and last sentence, and the sentiment of the whole text and its spread
    over the sentences: by VADER [1]_ in English, by lexicons of this project in Japanese and Chinese (see
    `pipeline.features.sentiment`). Shares are per character or per word; an empty text gives zeros. Negations, words
    of contrast and of the first person are counted in English only. VADER reads the first 2,000 words, and a word
    that repeats letters as the shorter one that it knows ("Soooo gooood").

    Capitals count as emphasis where a text has both cases: a text with more than nine capitals in ten letters is read
    in small ones, with a capital at the start of each sentence and in "I". A sentence of more than 40 words between
    spaces is read as several of about 20 words, so that a text without punctuation has sentences, too.

    Texts are read normalised (see `pipeline.text.normalised`): any apostrophe is one, an emoji has no skin tone, and a
    decomposed text has the statistics of the composed one.

    Parameters
    ----------
    words : {"auto", "dictionary", "characters"}, default="auto"
        How words of Japanese and Chinese are counted, see `pipeline.segmentation.reading`; other languages have words
        anyway, and the sentiment does not depend on it.

    References
    ----------
    .. [1] C. J. Hutto, E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
       Text", ICWSM 2014.

    Examples
    --------
    >>> from pipeline.features import TextStats
    >>> stats = TextStats().set_output(transform="pandas").fit_transform(["Great food!", "Never again. Not good."])
    >>> stats[["n_words", "n_sentences", "negation_share"]].values.tolist()
    [[2.0, 1.0, 0.0], [4.0, 2.0, 0.5]]
    """

    def __init__(self, words: str = "auto") -> None:
        self.words = words

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the texts; nothing is learned.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : ignored

        Returns
        -------
        self : TextStats

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, or `words` is none of those named.
        ImportError
            If `words` is "dictionary" and a package of the extra is missing.
        """
        check_texts(X)
        reading(self.words)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the statistics.

        Parameters
        ----------
        X : sequence of str
            Texts.

        Returns
        -------
        ndarray of shape (n_texts, n_statistics), float64

        Warns
        -----
        UserWarning
            If the sentiment lexicon knows under a tenth of the words in one text in ten or more, and in at least 5.
        """
        texts, by = check_texts(X), reading(self.words)
        _warn_of_other_languages(texts)
        table = np.empty((len(texts), len(_NAMES)))
        with progress_bar(len(texts), "text statistics", "review") as bar:
            for row, text in zip(table, texts, strict=True):
                row[:] = list(_statistics(text, by).values())
                bar.update()
        return table

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the statistics.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (n_statistics,) of str
        """
        return np.asarray(_NAMES, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _warn_of_other_languages(texts: list[str]) -> None:
    texts = [text for text in texts if words(text)]
    share = poorly_read(texts)
    if share >= _MANY and (n_poor := round(share * len(texts))) >= _LEAST_TEXTS:
        warnings.warn(
            f"{SAYS_LITTLE}: its lexicon knows under a tenth of the words in {share:.0%} of"
            f" {len(texts)} texts (about {n_poor}); it reads English, Japanese and Chinese. Use TMetrics, which learns"
            " words from stars.",
            UserWarning,
            stacklevel=3,
        )


def _statistics(text: str, reading: str = "characters") -> dict[str, float]:
    """Return every statistic of one text, by name."""
    text = _in_both_cases(normalised(text))
    cut = cutter(text, reading)
    tokens, parts = words(text, cut), short_sentences(text)
    lower = [token.lower() for token in tokens]
    return {
        **_lengths(text, tokens, parts, cut),
        **_vocabulary(text, tokens, lower),
        **_marks(text, len(tokens)),
        **_meanings(lower),
        **_sentiments(text, parts),
    }


def _in_both_cases(text: str) -> str:
    """Return the text, one that is in capitals as a sentence is usually written.

    Examples
    --------
    >>> _in_both_cases("NO WAY! I'LL COME BACK")
    "No way! I'll come back"
    """
    letters = _letters(text)
    if sum(map(str.isupper, letters)) <= _ALL_CAPITALS * len(letters):
        return text
    return _CAPITALISED.sub(lambda start: start.group().upper(), text.lower())


def _lengths(text: str, tokens: list[str], parts: list[str], cut: Cut | None) -> dict[str, float]:
    per_sentence = [len(words(part, cut)) for part in parts or [""]]
    return {
        "n_chars": len(text),
        "n_words": len(tokens),
        "n_sentences": len(parts),
        "n_paragraphs": len([block for block in text.split("\n") if block.strip()]),
        "log_n_words": float(np.log1p(len(tokens))),
        "mean_word_length": _share(sum(map(len, tokens)), len(tokens)),
        "long_word_share": _share(sum(len(token) > 6 for token in tokens), len(tokens)),
        "mean_sentence_words": fmean(per_sentence),
        "sd_sentence_words": pstdev(per_sentence),
        "max_sentence_words": max(per_sentence),
        "first_sentence_words": per_sentence[0],
        "last_sentence_words": per_sentence[-1],
    }


def _vocabulary(text: str, tokens: list[str], lower: list[str]) -> dict[str, float]:
    letters, counts = _letters(text), Counter(lower)
    return {
        "distinct_word_share": _share(len(counts), len(tokens)),
        "once_only_word_share": _share(sum(count == 1 for count in counts.values()), len(tokens)),
        "capital_share": _share(sum(map(str.isupper, letters)), len(letters)),
        "shouted_word_share": _share(sum(len(token) > 1 and token.isupper() for token in tokens), len(tokens)),
    }


def _marks(text: str, n_words: int) -> dict[str, float]:
    return {
        "digit_share": _share(sum(map(str.isdigit, text)), len(text)),
        "money_signs": _count(text, "$£€¥￥"),
        "punctuation_share": _share(len(_PUNCTUATION.findall(text)), len(text)),
        "exclamation_marks": _count(text, "!！"),
        "question_marks": _count(text, "?？؟"),
        "ellipses": len(re.findall(r"\.{2,}|…", text)),
        "commas_per_word": _share(_count(text, ",、，،"), n_words),
        "quotation_marks": _count(text, '"「」'),
        "repeated_letters": len(re.findall(r"([^\W\d_])\1{2,}", text, re.IGNORECASE)),
        "repeated_marks": len(re.findall(r"([!?])[!?]+", text)),
    }


def _meanings(lower: list[str]) -> dict[str, float]:
    return {
        "negation_share": _share(sum(_NEGATION.fullmatch(token) is not None for token in lower), len(lower)),
        "contrast_share": _share(sum(token in _CONTRAST for token in lower), len(lower)),
        "first_person_share": _share(sum(token in _FIRST_PERSON for token in lower), len(lower)),
    }


def _sentiments(text: str, parts: list[str]) -> dict[str, float]:
    read = sentiment_reader(text)
    whole = read(text)
    spread = [read(part)["compound"] for part in parts] if len(parts) > 1 else [whole["compound"]]
    return {
        "sentiment": whole["compound"],
        "sentiment_positive": whole["pos"],
        "sentiment_negative": whole["neg"],
        "sentiment_neutral": whole["neu"],
        "sentiment_sentence_mean": fmean(spread),
        "sentiment_sentence_sd": pstdev(spread),
        "sentiment_sentence_min": min(spread),
        "sentiment_sentence_max": max(spread),
        "sentiment_first_sentence": spread[0],
        "sentiment_last_sentence": spread[-1],
    }


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))


def _count(text: str, marks: str) -> int:
    return sum(map(text.count, marks))


def _share(count: int, total: int) -> float:
    return count / max(total, 1)


_NAMES = tuple(_statistics(""))
