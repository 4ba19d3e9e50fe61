"""S/N metrics by sentence: what the sentences of a text say, and how they differ."""

from collections.abc import Callable, Container
from itertools import chain, pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from pipeline.features.out_of_fold import Array
from pipeline.features.presence import Counts, Parts, Presence
from pipeline.features.word_items import WordItemsTransformer, of_used, values_and_strengths
from pipeline.features.word_sums import ORIGINS, WordMetrics, WordSums
from pipeline.segmentation import cutter
from pipeline.text import Cut, as_known, check_texts, short_sentences, words

_ALL_SERIES = [f"{kind}_{origin}" for kind in ("t", "sn") for origin in ORIGINS]
_SERIES = ["t_0", "t_50"]
# Added to each item's error variation; on reviews, 1 and 10 do nearly as well.
_ERROR = 3.0


def sentence_items(text: str, known: Container[str] = (), cut: Cut | None = None) -> Parts:
    """Return the items of each sentence that has a word: words, pairs, triples and pairs around any one word.

    Long sentences are read in pieces, see `short_sentences`, and a word that is not `known` with fewer repeated letters
    if that makes it known, see `undoubled`. Japanese and Chinese are cut by `cut`, see `pipeline.text.words`.

    Examples
    --------
    >>> sentence_items("Not a good pie. Yes!")[1:]
    [['yes']]
    >>> sentence_items("Not so good")[0][3:]
    ['not so', 'so good', 'not so good', 'not * good']
    """
    split = (as_known([word.lower() for word in words(sentence, cut)], known) for sentence in short_sentences(text))
    return [_items(sentence) for sentence in split if sentence]


def _items(sentence: list[str]) -> list[str]:
    pairs = [f"{first} {second}" for first, second in pairwise(sentence)]
    # As many as words behind the second one.
    triples = [f"{pair} {third}" for pair, third in zip(pairs, sentence[2:], strict=False)]
    gaps = [f"{first} * {third}" for first, third in zip(sentence, sentence[2:], strict=False)]
    return [*sentence, *pairs, *triples, *gaps]


class _SentenceRows:
    """Texts as rows: which item which of their sentences has, and which item is anywhere in them.

    Some of the rows are copied when they are asked for: what learns reads the texts, what makes columns the sentences.
    """

    def __init__(self, found: Presence, of_texts: csr_array, chosen: Any = slice(None)):
        self._found, self._of_texts, self._chosen = found, of_texts, chosen

    @property
    def n_sentences(self) -> Counts:
        return self._found.n_parts[self._chosen]

    @property
    def of_sentences(self) -> csr_array:
        if isinstance(self._chosen, slice):
            return self._found.of_parts
        return self._found.of_parts[np.repeat(self._chosen, self._found.n_parts)]

    @property
    def of_texts(self) -> csr_array:
        return self._of_texts if isinstance(self._chosen, slice) else self._of_texts[self._chosen]

    def __getitem__(self, chosen: npt.NDArray[np.bool_]) -> Self:
        return type(self)(self._found, self._of_texts, chosen)


def _mean(series: Array, first: Counts, n: Counts) -> Array:
    return np.add.reduceat(series, first) / n[:, None]


def _sd(series: Array, first: Counts, n: Counts) -> Array:
    difference = series - np.repeat(_mean(series, first, n), n, axis=0)
    return np.sqrt(np.add.reduceat(difference**2, first) / n[:, None])


def _last(series: Array, first: Counts, n: Counts) -> Array:
    return series[first + n - 1]


# Each takes the series of all sentences, and for each text the place of its first sentence and their number.
_STATISTICS: dict[str, Callable[[Array, Counts, Counts], Array]] = {
    "mean": _mean,
    "sd": _sd,
    "last": _last,
}
_THIRDS = ["begin", "middle", "end"]
_NAMES = [f"{series}_{statistic}" for statistic in _STATISTICS for series in _SERIES]
_NAMES += [f"{_SERIES[0]}_{third}" for third in _THIRDS]


def _thirds(series: Array, first: Counts, n: Counts) -> Array:
    """Return the mean of each text's first, second and last third of sentences; 0 for a third without any."""
    text = np.repeat(np.arange(len(n)), n)
    third = 3 * (np.arange(len(series)) - first[text]) // n[text]
    place, shape = 3 * text + third, (len(n), 3)
    total, count = np.bincount(place, series, 3 * len(n)), np.bincount(place, minlength=3 * len(n))
    return (total / np.maximum(count, 1)).reshape(shape)


def _values(metrics: WordMetrics) -> Array:
    """Return what each item adds to each series, of shape (n_items, n_series)."""
    return np.column_stack(values_and_strengths(metrics))[:, [_ALL_SERIES.index(name) for name in _SERIES]]


def _series(X: csr_array, metrics: WordMetrics) -> Array:
    """Return the series of sentences, of shape (n_sentences, n_series)."""
    used, metrics = of_used(X, metrics)
    known = (metrics.eta > 0).any(axis=1)
    sums = used @ np.column_stack([known, _values(metrics)])
    return sums[:, 1:] / np.sqrt(np.maximum(sums[:, :1], 1))


def _over_sentences(series: Array, n: Counts) -> Array:
    """Return the columns of texts from the series of their n sentences; 0 for a text without any."""
    columns, some = np.zeros((len(n), len(_NAMES))), n > 0
    if some.any():
        first, n = np.cumsum(n[some]) - n[some], n[some]
        parts = [statistic(series, first, n) for statistic in _STATISTICS.values()]
        columns[some] = np.hstack([*parts, _thirds(series[:, 0], first, n)])
    return columns


class SentenceMetrics(WordItemsTransformer):
    r"""A text as statistics over its sentences, each of which is a sum of the values of its words.

    Words, pairs, triples ("not so good") and pairs around any one word ("not * good") are items, present in a text or
    not; none crosses the end of a sentence. Sensitivities and S/N ratios are learned from whole texts as in `TMetrics`,
    with 3 added to each item's error variation, which holds back the rare ones:

    .. math:: \eta = \frac{S_\beta}{S_e + 3},\qquad
              \mathrm{value} = \frac{\eta}{1+\eta}\frac{1}{\beta} = \frac{L}{S_T + 3}

    A sentence is the sum of its learned items' values over the root of their number. A text has 9 columns, in units of
    the target: statistics over those of its sentences that have a word.

    =============================== ==========================================================================
    t_0_mean, t_50_mean             mean, of the values for the target itself and for its distance from the middle
                                    of its range (3 of five stars)
    t_0_sd, t_50_sd                 standard deviation of the population: how much the sentences differ; 0 for one
    t_0_last, t_50_last             of the last sentence, which often is the verdict
    t_0_begin, t_0_middle, t_0_end  mean of the text's first, second and last third of sentences; 0 for a third
                                    without any
    =============================== ==========================================================================

    A text without a learned item gets 0 everywhere.

    .. note::
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``: it is computed out of fold, as in `TMetrics`.

    Parameters
    ----------
    min_df : int, default=1
        How many texts must have an item.
    cv : int, default=5
        Folds of `fit_transform`.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to the folds.
    target_range : (low, high), default=None
        Ends of the scale that the target is on; None: its smallest and largest value in `fit`.
    know_how : WordSums, default=None
        Sums that were made elsewhere by another SentenceMetrics, added to those of the texts; see `TMetrics`.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese are read, see `pipeline.segmentation.reading`; other languages have words anyway.
        "auto" reads them as `know_how` does where it holds any, and another reading of these is refused.

    Attributes
    ----------
    metrics_ : WordMetrics
        `beta` and `eta` of shape (n_items, 4), in the order of `items_`.
    sums_ : WordSums
        All that was learned: sums over the texts and the know-how.
    range_ : tuple of float
        Ends of the scale.
    words_ : str
        How Japanese and Chinese were read: "dictionary" or "characters".

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005, for the T-method.

    Examples
    --------
    >>> from pipeline.features import SentenceMetrics
    >>> texts = ["Good food.", "Good wine.", "Bad food.", "Bad wine."]
    >>> sentences = SentenceMetrics(cv=2).set_output(transform="pandas").fit(texts, [5, 4, 1, 2])
    >>> table = sentences.transform(["Good beer. Bad beer.", "Bad beer. Good beer."])
    >>> table[["t_0_mean", "t_0_sd", "t_0_last"]].round(2) + 0
       t_0_mean  t_0_sd  t_0_last
    0       0.0    0.75     -0.75
    1       0.0    0.75      0.75
    """

    @staticmethod
    def items_of(text: str, known: Container[str] = (), cut: Cut | None = None) -> list[str]:
        """Return the items of a text's sentences, each as often as it occurs."""
        return list(chain.from_iterable(sentence_items(text, known, cut)))

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (9,) of str
        """
        return np.asarray(_NAMES, dtype=object)

    def column_shares(self, text: str) -> tuple[list[str], list[str], Array]:
        """Return the part that each item of a text has in the columns that are sums over items.

        Parameters
        ----------
        text : str

        Returns
        -------
        items : list of n_items str
            The items of the text that were learned and carry something.
        columns : list of n_columns str
            All but the standard deviations.
        shares : ndarray of shape (n_items, n_columns), float64
            The rows sum up to the columns of the text.

        Examples
        --------
        >>> sentences = SentenceMetrics(cv=2).fit(["Good food.", "Good wine.", "Bad food.", "Bad wine."], [5, 4, 1, 2])
        >>> items, columns, shares = sentences.column_shares("Good beer. Bad beer.")
        >>> items, shares[:, columns.index("t_0_last")].round(2).tolist()
        (['bad', 'good'], [-0.75, 0.0])
        """
        X = self._rows(check_texts([text])).of_sentences
        used = np.unique(X.indices)
        used = used[(self.metrics_.eta[used] > 0).any(axis=1)]
        metrics = self.metrics_._replace(beta=self.metrics_.beta[used], eta=self.metrics_.eta[used])
        present = X[:, used].toarray().astype(np.float64)
        series = present / np.sqrt(np.maximum(present.sum(axis=1, keepdims=True), 1))
        # A text that says nothing else has that item's part in every sum.
        alone = series.T[:, :, None] * _values(metrics)[:, None]
        columns = _over_sentences(alone.reshape(-1, len(_SERIES)), np.full(len(used), len(present)))
        sums = [place for place, name in enumerate(_NAMES) if not name.endswith("_sd")]
        return self.items_[used].tolist(), [_NAMES[place] for place in sums], columns[:, sums]

    def _metrics_of(self, sums: WordSums) -> WordMetrics:
        return sums.metrics(error=_ERROR)

    def _parts_of(self, text: str, known: Container[str] = ()) -> Parts:
        return sentence_items(text, known, cutter(text, self.words_))

    def _arranged(self, found: Presence) -> _SentenceRows:
        return _SentenceRows(found, found.of_texts())

    def _in_texts(self, rows: _SentenceRows) -> csr_array:
        return rows.of_texts

    def _columns(self, rows: _SentenceRows, metrics: WordMetrics) -> Array:
        return _over_sentences(_series(rows.of_sentences, metrics), rows.n_sentences)
