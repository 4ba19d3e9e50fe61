"""What each word of a text adds to the prediction of any model: Shapley values, estimated over random orders."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.inputs import check_whole
from pipeline.segmentation import cutter, reading
from pipeline.text import word_spans, words

_MOST_PLAYERS = 120

Array = npt.NDArray[np.float64]
# Maps texts to numbers.
Predict = Callable[[list[str]], npt.ArrayLike]


class WordContributions(NamedTuple):
    """What each word adds to a prediction.

    Attributes
    ----------
    base : float
        What the model predicts for the empty text.
    words : DataFrame
        One row for each occurrence of a word, in the order of the text: start, end (so that ``text[start:end]`` is the
        word), word, contribution (in units of the prediction).
    prediction : float
        What the model predicts for the text: base and contributions add up to it.
    """

    base: float
    words: pd.DataFrame
    prediction: float


def word_contributions(predict: Predict, text: str, *, n_orders: int = 8, seed: int = 0) -> WordContributions:
    """Return what each word of a text adds to its prediction, whatever the model.

    The words are put into the empty text in random orders, and each gets the mean step of the prediction when it comes
    in: an estimate of its Shapley value [1]_ by sampled orders [2]_. Each order is used forwards and backwards, which
    makes the estimate exact where at most two words act together. Steps of one order add up to the prediction less
    the base, so the contributions do, too.

    A word that is not in yet is missing with the blank behind it; punctuation behind a word comes and goes with it, and
    an opening bracket or quotation mark with the word after it. Japanese and Chinese is cut by dictionary where the
    extra is installed, otherwise into characters. In a text of more than 120 words, neighbours come in together, in 120
    groups of equal size, and share what their group adds equally: no text needs more than 120 `n_orders` predictions.

    Parameters
    ----------
    predict : callable
        Takes a list of n str, returns n numbers. It is called once, with every text that is needed once.
    text : str
    n_orders : int, default=8
        An even number, half of them drawn and each of these reversed.
    seed : int, default=0
        Of the orders.

    Returns
    -------
    WordContributions
        A text without a word has no rows, and its prediction as base.

    Raises
    ------
    ValueError
        If `n_orders` is no even number from 2 on, or `predict` returns another number of values, NaN or infinity.

    References
    ----------
    .. [1] L. S. Shapley, "A Value for n-Person Games", Contributions to the Theory of Games II, 1953.
    .. [2] E. Štrumbelj and I. Kononenko, "Explaining prediction models and individual predictions with feature
       contributions", Knowledge and Information Systems 41, 2014, algorithm 1.

    Examples
    --------
    >>> def stars(texts):
    ...     return [3 + text.count("good") - 2 * text.count("never") for text in texts]
    >>> found = word_contributions(stars, "Never good, never.".lower())
    >>> found.base, found.prediction
    (3.0, 0.0)
    >>> found.words[["start", "word", "contribution"]].to_dict("split")["data"]
    [[0, 'never', -2.0], [6, 'good', 1.0], [12, 'never', -2.0]]
    """
    return word_contributions_of_texts(predict, [text], n_orders=n_orders, seed=seed)[0]


def word_contributions_of_texts(
    predict: Predict, texts: Sequence[str], *, n_orders: int = 8, seed: int = 0
) -> list[WordContributions]:
    """Return `word_contributions` of several texts, from one call of `predict` for all of them.

    Parameters
    ----------
    predict, n_orders, seed
        As in `word_contributions`.
    texts : sequence of str

    Returns
    -------
    list of WordContributions
        Equal to those of each text alone, where `predict` treats a text alike in any company.

    Raises
    ------
    ValueError
        As `word_contributions`.

    Examples
    --------
    >>> [found.prediction for found in word_contributions_of_texts(lambda texts: [len(t) for t in texts], ["a", "bb"])]
    [1.0, 2.0]
    """
    check_whole(n_orders, "n_orders", 2)
    if n_orders % 2:
        raise ValueError(f"n_orders must be even, as each order is also used backwards, got {n_orders}.")
    plans = [_plan(text, n_orders // 2, seed) for text in texts]
    needed = list(dict.fromkeys(part for plan in plans for part in plan.texts))
    predicted = dict(zip(needed, _checked(predict(needed), len(needed)), strict=True)) if needed else {}
    return [_contributions(text, plan, predicted) for text, plan in zip(texts, plans, strict=True)]


class _Plan(NamedTuple):
    """Which texts are to be predicted for one text.

    Attributes
    ----------
    spans : list of (start, end)
        Of the words.
    group : ndarray of shape (n_words,), intp
        The number of the words that come in together.
    orders : ndarray of shape (n_orders, n_groups), intp
        In which groups come in.
    texts : list of n_orders * (n_groups + 1) str
        Of each order, the texts from the empty one to the whole one.
    """

    spans: list[tuple[int, int]]
    group: npt.NDArray[np.intp]
    orders: npt.NDArray[np.intp]
    texts: list[str]


def _plan(text: str, n_pairs: int, seed: int) -> _Plan:
    spans = word_spans(text, cutter(text, reading("auto")))
    n_groups = min(len(spans), _MOST_PLAYERS)
    group = np.arange(len(spans)) * n_groups // max(len(spans), 1)
    drawn = np.random.default_rng(seed).permuted(np.tile(np.arange(n_groups), (n_pairs, 1)), axis=1)
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    if not spans:
        return _Plan(spans, group, orders, [text] * len(orders))
    cut = _Pieces(text, spans)
    # When each word comes in: a text of n groups holds the words that come before the n-th.
    places = np.argsort(orders, axis=1)[:, group]
    parts = [cut.joined(np.flatnonzero(place < n)) for place in places for n in range(n_groups + 1)]
    return _Plan(spans, group, orders, parts)


class _Pieces:
    """A text cut into one piece for each word: the word, the marks around it, and the blank behind it.

    Examples
    --------
    >>> text = 'He said: "no".'
    >>> pieces = _Pieces(text, word_spans(text))
    >>> pieces.pieces
    ['He ', 'said: ', '"no".']
    >>> pieces.joined([1]), pieces.joined([0, 2])
    ('said:', 'He "no".')
    """

    def __init__(self, text: str, spans: list[tuple[int, int]]):
        self._text = text
        starts = [0, *(_cut(text, end, start) for (_, end), (start, _) in pairwise(spans)), len(text)]
        self.pieces = [text[start:end] for start, end in pairwise(starts)]
        # Two pieces whose middle is missing would make one word of their letters, even with an apostrophe between them,
        # and an accent in front of the second would go to the first.
        self._has_letters = [len(words(text[start:end] * 2)) == 1 for start, end in spans]
        self._has_marks_first = [piece < word for piece, (word, _) in zip(starts, spans, strict=False)]

    def joined(self, kept: Iterable[int]) -> str:
        """Return the text with these words alone."""
        kept = list(kept)
        if len(kept) == len(self.pieces):
            return self._text
        parts = [self.pieces[i] for i in kept]
        for n, (i, j) in enumerate(pairwise(kept)):
            touch = (self._has_letters[i] and self._has_letters[j]) or self._has_marks_first[j]
            if j > i + 1 and touch and not parts[n][-1].isspace():
                parts[n] += " "
        return "".join(parts).strip()


def _cut(text: str, end: int, start: int) -> int:
    """Return where between two words one piece ends and the next starts: behind the last blank, else at the word."""
    blank = next((i for i in range(start - 1, end - 1, -1) if text[i].isspace()), None)
    return start if blank is None else blank + 1


def _checked(predicted: npt.ArrayLike, n_texts: int) -> list[float]:
    values = np.asarray(predicted, dtype=np.float64)
    if values.shape != (n_texts,):
        raise ValueError(f"predict must return one number for each of {n_texts} texts, got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"predict must return finite numbers, got {values[~np.isfinite(values)][0]}.")
    return values.tolist()


def _contributions(text: str, plan: _Plan, predicted: dict[str, float]) -> WordContributions:
    values = np.array([predicted[part] for part in plan.texts]).reshape(len(plan.orders), -1)
    steps = np.diff(values)
    by_group = np.take_along_axis(steps, np.argsort(plan.orders, axis=1), axis=1).mean(axis=0)
    rows = {
        "start": np.array([start for start, _ in plan.spans], dtype=np.int64),
        "end": np.array([end for _, end in plan.spans], dtype=np.int64),
        "word": np.array([text[start:end] for start, end in plan.spans], dtype=object),
        "contribution": (by_group / np.bincount(plan.group))[plan.group],
    }
    return WordContributions(predicted[plan.texts[0]], pd.DataFrame(rows), predicted[text])
