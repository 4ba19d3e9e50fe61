"""The T-method instead of word embeddings: words are items, a text is the sum of their S/N ratios."""

from collections.abc import Container
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from pipeline.features.out_of_fold import Array
from pipeline.features.word_items import WordItemsTransformer, of_used, values_and_strengths
from pipeline.features.word_sums import ORIGINS, WordMetrics
from pipeline.taguchi.integrated import in_db
from pipeline.text import Cut, as_known, check_texts, words

_NAMES = ["log_n_items", *(f"{kind}_{origin}" for kind in ("t", "sn") for origin in ORIGINS)]
_NAMES += ["up", "down", "mean", "sd", "balance", "strongest_up", "strongest_down", "t_estimate"]
# Means over the items, weighted with their strengths; and the columns that no item has a part in.
_WEIGHTED = ["mean", "balance"]
_NO_SUMS = ["log_n_items", "sd", "strongest_up", "strongest_down"]


def words_and_pairs(text: str, known: Container[str] = (), cut: Cut | None = None) -> list[str]:
    """Return the words of a text in lower case, and each two that follow one another.

    A word that is not `known` is read with fewer repeated letters if that makes it known, see `undoubled`. Japanese and
    Chinese are cut by `cut`, see `pipeline.text.words`.

    Examples
    --------
    >>> words_and_pairs("Not good")
    ['not', 'good', 'not good']
    """
    single = as_known([word.lower() for word in words(text, cut)], known)
    return single + [f"{first} {second}" for first, second in pairwise(single)]


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
    value, strength = values_and_strengths(metrics)
    known = (metrics.eta > 0).any(axis=1)
    v, w = value[:, 0], np.abs(strength[:, 0])

    parts = [known, value, strength, np.maximum(v, 0), np.minimum(v, 0), w, w * v, w * v**2, w * np.sign(v)]
    sums = X @ np.column_stack(parts)
    n_items, by_length, (weight, *weighted) = sums[:, 0], sums[:, 1:-4], sums[:, -4:].T
    weight = np.where(weight > 0, weight, 1)
    mean, mean_square, balance = (total / weight for total in weighted)
    # What is no more than rounding is no spread.
    variance = np.where(mean_square - mean**2 > 1e-12 * mean_square, mean_square - mean**2, 0)
    of_text = X.multiply(strength[:, 0]).tocsr()
    return np.column_stack(
        [
            np.log1p(n_items),
            by_length / np.sqrt(np.maximum(n_items, 1))[:, None],
            mean,
            np.sqrt(variance),
            balance,
            # A text without praise has nothing above 0.
            np.maximum(of_text.max(axis=1).toarray(), 0),
            np.minimum(of_text.min(axis=1).toarray(), 0),
            X @ _estimates(metrics),
        ]
    )


def _estimates(metrics: WordMetrics) -> Array:
    """Return the terms of the T-method's estimate, one for each item."""
    beta, eta = metrics.beta[:, 0], metrics.eta[:, 0]
    terms = np.divide(eta, beta, out=np.zeros(len(eta)), where=beta != 0)
    return terms / max(metrics.total, np.finfo(np.float64).tiny)


class TMetrics(WordItemsTransformer):
    r"""A text as S/N-weighted aggregates of its words: the T-method as a replacement for word embeddings.

    Each word and each pair of neighbouring words is an item, present in a text or not. Its sensitivity
    :math:`\beta` and S/N ratio :math:`\eta = S_\beta/S_e` (see `WordSums.metrics`) are found against the target and,
    since a word may mark the middle of the scale, against the target's distance from further points of it (see
    `distances`). Each item then has

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
    know_how : WordSums, default=None
        Sums that were made elsewhere, added to those of the texts: another fit's `sums_`, with a weight that says as
        how many texts they count (see `WordSums.counting_as`). One text is enough then, and its target may be constant.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese are read, see `pipeline.segmentation.reading`; other languages have words anyway.
        "auto" reads them as `know_how` does where it holds any, and another reading of these is refused.

    Attributes
    ----------
    metrics_ : WordMetrics
        `beta` and `eta` of shape (n_items, 4), in the order of `items_`; the first column is for the target itself.
    sums_ : WordSums
        All that was learned: sums over the texts and the know-how, which add up to those of further texts.
    range_ : tuple of float
        Ends of the scale: `target_range`, or the smallest and largest target.
    words_ : str
        How Japanese and Chinese were read: "dictionary" or "characters".

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

    @staticmethod
    def items_of(text: str, known: Container[str] = (), cut: Cut | None = None) -> list[str]:
        """Return the words of a text and its pairs of neighbouring words, each as often as it occurs."""
        return words_and_pairs(text, known, cut)

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

    def column_shares(self, text: str) -> tuple[list[str], list[str], Array]:
        """Return the part that each item of a text has in the columns that are sums over items.

        Parameters
        ----------
        text : str

        Returns
        -------
        items : list of n_items str
            The words and pairs of the text that were learned and carry something.
        columns : list of n_columns str
            All but log_n_items, sd, strongest_up and strongest_down.
        shares : ndarray of shape (n_items, n_columns), float64
            The rows sum up to the columns of the text.

        Examples
        --------
        >>> words = TMetrics(cv=2).fit(["good food", "good wine", "bad food", "bad wine"], [5, 4, 1, 2])
        >>> items, columns, shares = words.column_shares("good beer, bad wine")
        >>> items, shares[:, columns.index("mean")].round(2).tolist()
        (['bad', 'bad wine', 'good', 'wine'], [-1.26, -0.22, 1.26, 0.0])
        """
        indices = self._rows(check_texts([text])).indices
        found = indices[(self.metrics_.eta[indices] > 0).any(axis=1)]
        # A text of one item has that item's part in every sum.
        single = csr_array(
            (np.ones(len(found)), found, np.arange(len(found) + 1)), shape=(len(found), len(self.metrics_.eta))
        )
        alone = pd.DataFrame(self._columns(single, self.metrics_), columns=self.get_feature_names_out())
        weight = alone["sn_0"].abs()
        shares = alone.drop(columns=_NO_SUMS)
        shares[_WEIGHTED] = shares[_WEIGHTED].mul(weight / (weight.sum() or 1), axis=0)
        over_root = shares.columns.difference([*_WEIGHTED, "t_estimate"])
        shares[over_root] /= np.sqrt(max(len(found), 1))
        return self.items_[found].tolist(), shares.columns.tolist(), shares.to_numpy()

    def explain(self, text: str) -> pd.DataFrame:
        """Return what each item of a text says.

        Parameters
        ----------
        text : str

        Returns
        -------
        DataFrame
            A row for each item of the text that was learned, the largest contribution up first: item; n_texts, how many
            training texts have it; value, in units of the target; strength; sn_db, the S/N ratio in dB; contribution,
            whose sum is the text's `t_estimate`.

        Raises
        ------
        ValueError
            If `text` is no str.

        Examples
        --------
        >>> words = TMetrics(cv=2).fit(["good food", "good wine", "bad food", "bad wine"], [5, 4, 1, 2])
        >>> words.explain("Good beer")[["item", "n_texts", "value", "contribution"]].round(2).values.tolist()
        [['good', 2.0, 3.0, 1.46]]
        """
        check_is_fitted(self)
        used = np.unique(self._rows(check_texts([text])).indices)
        metrics = self.metrics_._replace(beta=self.metrics_.beta[used], eta=self.metrics_.eta[used])
        value, strength = values_and_strengths(metrics)
        table = pd.DataFrame(
            {
                "item": self.items_[used],
                "n_texts": self.sums_.df[used],
                "value": value[:, 0],
                "strength": strength[:, 0],
                "sn_db": in_db(metrics.eta[:, 0]),
                "contribution": _estimates(metrics),
            }
        )
        return table.sort_values("contribution", ascending=False, kind="stable", ignore_index=True)

    def _columns(self, rows: csr_array, metrics: WordMetrics) -> Array:
        return _aggregate(*of_used(rows, metrics))
