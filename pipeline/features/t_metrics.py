"""The T-method instead of word embeddings: words are items, a text is the sum of their S/N ratios."""

from collections.abc import Container
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils._param_validation import Interval

from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, Array, OutOfFoldTransformer
from pipeline.text import undoubled, words

# Percent of the target's range: 1, 2, 3 and 4 of five stars. From 100 it is the distance from 0 with its sign changed.
_ORIGINS = (0, 25, 50, 75)
_NAMES = ["log_n_items", *(f"{kind}_{origin}" for kind in ("t", "sn") for origin in _ORIGINS)]
_NAMES += ["up", "down", "mean", "sd", "balance", "strongest_up", "strongest_down", "t_estimate"]


class WordMetrics(NamedTuple):
    """Sensitivity and S/N ratio of each word and pair, one column per target."""

    beta: Array
    eta: Array


def words_and_pairs(text: str, known: Container[str] = ()) -> list[str]:
    """Return the words of a text in lower case, and each two that follow one another.

    A word that is not `known` is read with fewer repeated letters if that makes it known, see `undoubled`.

    Examples
    --------
    >>> words_and_pairs("Not good")
    ['not', 'good', 'not good']
    """
    single = [word.lower() for word in words(text)]
    if known:
        single = [undoubled(word, known) for word in single]
    return single + [f"{first} {second}" for first, second in pairwise(single)]


_COUNTED: dict[str, Any] = {"analyzer": words_and_pairs, "binary": True, "dtype": np.float64}


def distances(y: Array, low: float, high: float) -> Array:
    """Return how far the target is from 0, 25, 50 and 75% of its range.

    Parameters
    ----------
    y : ndarray of shape (n_texts,)
    low, high : float
        The range; for 1 and 5 stars the distances are those from 1, 2, 3 and 4 stars, for 0 and 10 those from 0, 2.5,
        5 and 7.5.

    Returns
    -------
    ndarray of shape (n_texts, 4), in units of the target

    Examples
    --------
    >>> distances(np.array([1.0, 5.0]), 1, 5).tolist()
    [[0.0, 1.0, 2.0, 3.0], [4.0, 3.0, 2.0, 1.0]]
    """
    return np.abs(y[:, None] - (low + (high - low) * np.array(_ORIGINS) / 100))


def _word_metrics(X: csr_array, targets: Array, min_df: int = 1) -> WordMetrics:
    r"""Return sensitivity and S/N ratio of each item against each target, by sparse sums alone.

    All rows are the unit space and the signal. With the centred target M and the centred presence x of an item,

    .. math:: r = \sum M^2,\; L = \sum M x,\; S_T = \sum x^2,\; \beta = L/r,\; S_\beta = L^2/r,\; S_e = S_T - S_\beta,
              \; \eta = S_\beta / S_e

    the S/N ratio in T(2)'s form, which is never negative. An item that df of n texts have needs no centring, since
    ``S_T = df (1 - df/n)`` and ``L = sum of M over the texts that have it``.

    Parameters
    ----------
    X : sparse array of shape (n_texts, n_items)
        1 where a text has the item, else 0.
    targets : ndarray of shape (n_texts, n_targets)
    min_df : int, default=1
        Both metrics of an item that fewer texts have are 0.

    Returns
    -------
    WordMetrics
        beta in 1 / units of the target and eta without a unit, both of shape (n_items, n_targets). Both are 0 for an
        item that all texts have or none, and for a target that is constant. eta stays finite for a perfect item.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

    Examples
    --------
    >>> X = csr_array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    >>> beta, eta = _word_metrics(X, np.array([[5.0], [1.0], [3.0], [3.0]]))
    >>> beta.ravel().tolist(), eta.ravel().tolist()
    ([0.0, 0.25], [0.0, 1.0])
    """
    n = X.shape[0]
    M = targets - targets.mean(axis=0)
    r = (M**2).sum(axis=0)
    r[r <= n * (8 * np.finfo(np.float64).eps * np.abs(targets).max(axis=0)) ** 2] = np.inf
    df = np.asarray(X.sum(axis=0)).ravel()
    useful = (df >= min_df) & (df < n)
    S_T = np.where(useful, df * (1 - df / n), np.inf)[:, None]
    L = X.T @ M
    L[~useful] = 0
    beta = L / r
    S_beta = beta * L
    return WordMetrics(beta, S_beta / np.maximum(S_T - S_beta, n * np.finfo(np.float64).eps * S_T))


def _aggregate(X: csr_array, metrics: WordMetrics) -> Array:
    """Return the columns of `TMetrics`.

    Parameters
    ----------
    X : sparse array of shape (n_texts, n_items)
        1 where a text has the item, else 0.
    metrics : WordMetrics
        Of the items against the four `distances`.

    Returns
    -------
    ndarray of shape (n_texts, 17), float64
    """
    beta, eta = metrics
    explained = eta / (1 + eta)
    estimate = np.divide(eta[:, 0], beta[:, 0], out=np.zeros(len(eta)), where=beta[:, 0] != 0)
    value = np.divide(explained, beta, out=np.zeros_like(beta), where=beta != 0)
    strength = np.sign(beta) * np.sqrt(explained)
    known = (explained > 0).any(axis=1)
    v, w = value[:, 0], np.abs(strength[:, 0])

    parts = [known, value, strength, np.maximum(v, 0), np.minimum(v, 0), w, w * v, w * v**2, w * np.sign(v)]
    sums = X @ np.column_stack(parts)
    n_items, by_length, (weight, *weighted) = sums[:, 0], sums[:, 1:-4], sums[:, -4:].T
    weight = np.where(weight > 0, weight, 1)
    mean, mean_square, balance = (total / weight for total in weighted)
    # What is no more than rounding is no spread.
    variance = np.where(mean_square - mean**2 > 1e-12 * mean_square, mean_square - mean**2, 0)
    # Elements that a sparse row does not have count as 0: a text without praise has nothing above 0.
    of_text = X.multiply(strength[:, 0]).tocsr()
    return np.column_stack(
        [
            np.log1p(n_items),
            by_length / np.sqrt(np.maximum(n_items, 1))[:, None],
            mean,
            np.sqrt(variance),
            balance,
            of_text.max(axis=1).toarray(),
            of_text.min(axis=1).toarray(),
            X @ (estimate / max(float(eta[:, 0].sum()), np.finfo(np.float64).tiny)),
        ]
    )


class TMetrics(OutOfFoldTransformer[WordMetrics]):
    r"""A text as S/N-weighted aggregates of its words: the T-method as a replacement for word embeddings.

    Each word and each pair of neighbouring words is an item, present in a text or not. Its sensitivity
    :math:`\beta` and S/N ratio :math:`\eta = S_\beta/S_e` (see `_word_metrics`) are found against the target and, since
    a word may mark the middle of the scale, against the target's distance from further points of it (see `distances`).
    Each item then has

    - its *value* :math:`\frac{\eta}{1+\eta}\frac{1}{\beta} = \frac{S_\beta}{S_T}\frac{1}{\beta} = L/S_T`, the
      term that it adds to the T-method's estimate with its weight kept below 1. That is the mean target of the texts
      that have the item less the mean of those that have it not, in units of the target;
    - its *strength* :math:`\pm\sqrt{\eta/(1+\eta)}`, the correlation of item and target; what is rare has little.

    A text becomes 17 columns of the n items in it that were learned. A text without any gets 0 everywhere.

    =============================== ==========================================================================
    log_n_items                     ``log(1 + n)``
    t_0, t_25, t_50, t_75           sum of the values over sqrt(n), for the target's distance from 0, 25, 50, 75%
                                    of its range (1, 2, 3 and 4 of five stars)
    sn_0, sn_25, sn_50, sn_75       the same sums of the strengths
    up, down                        t_0 of the items with a positive value alone, and of the others
    mean, sd                        of the values, weighted with the strengths' sizes
    balance                         strengths that pull up less those that pull down, as a share of all: -1 to 1
    strongest_up, strongest_down    the largest and the smallest strength
    t_estimate                      the T-method's estimate from all items, those that the text has not included, less
                                    that of a text without any
    =============================== ==========================================================================

    Sums are taken over sqrt(n), as for n errors that are independent; with 1/n long texts would look undecided. A new
    word that becomes a learned one with fewer repeated letters ("soooo", "dissappointed") is read as that one.

    .. note::
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``: it is computed out of fold, as in
        `sklearn.preprocessing.TargetEncoder`. Otherwise each word would know the stars of the text it stands in.

    Parameters
    ----------
    min_df : int, default=1
        How many texts must have an item. The S/N ratio itself holds back the rare ones; a larger value saves memory.
    cv : int, default=5
        Folds of `fit_transform`.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to the folds.
    target_range : (low, high), default=None
        Ends of the scale that the target is on, for the four points; None: its smallest and largest value in `fit`.

    Attributes
    ----------
    metrics_ : WordMetrics
        `beta` and `eta` of shape (n_items, 4), in the order of `items_`; the first column is for the target itself.
    range_ : tuple of float
        Ends of the scale: `target_range`, or the smallest and largest target.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005, for the T-method.

    Examples
    --------
    >>> from pipeline.features import TMetrics
    >>> texts = ["good food", "good wine", "bad food", "bad wine"]
    >>> words = TMetrics(cv=2).set_output(transform="pandas").fit(texts, [5, 4, 1, 2])
    >>> words.transform(["good beer", "bad beer", "no idea"])[["mean", "strongest_up", "strongest_down"]].round(2)
       mean  strongest_up  strongest_down
    0   3.0          0.95            0.00
    1  -3.0          0.00           -0.95
    2   0.0          0.00            0.00
    """

    range_: tuple[float, float]

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "min_df": [Interval(Integral, 1, None, closed="left")],
        "target_range": ["array-like", None],
        **FOLD_CONSTRAINTS,
    }

    def __init__(
        self, min_df: int = 1, cv: int = 5, random_state: Any = 0, target_range: tuple[float, float] | None = None
    ):
        self.min_df = min_df
        self.cv = cv
        self.random_state = random_state
        self.target_range = target_range

    @property
    def items_(self) -> npt.NDArray[np.object_]:
        """Words and pairs, in the order of `metrics_`."""
        return np.array(self._items.split("\n"), dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (17,) of str
        """
        return np.asarray(_NAMES, dtype=object)

    def _begin(self, texts: list[str], y: Array) -> csr_array:
        counter = CountVectorizer(min_df=self.min_df, **_COUNTED)
        try:
            X = counter.fit_transform(texts)
        except ValueError:
            none = f"No word occurs in min_df={self.min_df} or more of the {len(texts)} texts"
            raise ValueError(f"{none}: lower min_df or give more.") from None
        # One str: skops would write a list or a dict of names one by one, which takes a hundred times as long.
        self._items = "\n".join(counter.get_feature_names_out())
        self.range_ = self._scale_ends(y)
        return csr_array(X)

    def _scale_ends(self, y: Array) -> tuple[float, float]:
        lowest, highest = float(y.min()), float(y.max())
        if self.target_range is None:
            return lowest, highest
        ends = [float(end) for end in self.target_range]
        if len(ends) != 2 or not ends[0] <= lowest <= highest <= ends[1] or ends[0] == ends[1]:
            raise ValueError(
                f"target_range={self.target_range!r} must be two numbers, the lower one first, that hold the target, "
                f"which goes from {lowest:g} to {highest:g}."
            )
        return ends[0], ends[1]

    def _rows(self, texts: list[str]) -> csr_array:
        places = {item: place for place, item in enumerate(self._items.split("\n"))}
        counter = CountVectorizer(vocabulary=places, **_COUNTED)
        return csr_array(counter.set_params(analyzer=partial(words_and_pairs, known=places)).transform(texts))

    def _learn(self, rows: csr_array, y: Array) -> WordMetrics:
        return _word_metrics(rows, distances(y, *self.range_), self.min_df)

    def _columns(self, rows: csr_array, metrics: WordMetrics) -> Array:
        return _aggregate(rows, metrics)
