"""The T-method with all covariances on the strongest words of the texts: estimates of the target as columns."""

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, Array, OutOfFoldTransformer
from pipeline.features.presence import Lookup, learn_items, make_lookup, presence, with_columns
from pipeline.features.t_metrics import words_and_pairs
from pipeline.features.word_items import scale_ends
from pipeline.features.word_sums import ORIGINS, distances, word_sums
from pipeline.segmentation import READINGS, cutter, reading
from pipeline.text import check_texts

# Origins by which the strongest words are chosen: the target itself, and its distance from the middle.
_CHOSEN_BY = [ORIGINS.index(0), ORIGINS.index(50)]
# Of each variance, so that directions in which the texts do not differ have some.
_FLOOR = 1e-8
_LEAST = 1e-6


class WordEstimates(NamedTuple):
    """The words that were taken, their weights in the estimate of each distance, and what is added to their sum."""

    places: npt.NDArray[np.intp]
    coef: Array
    offset: Array


def _scaled(X: csr_array, places: npt.NDArray[np.intp]) -> csr_array:
    """Return some of the items of texts, each over the root of how many of them the text has."""
    Z = csr_array(X[:, places])
    sizes = np.diff(Z.indptr)
    Z.data = Z.data / np.repeat(np.sqrt(np.maximum(sizes, 1)), sizes)
    return Z


def _solve(Z: csr_array, targets: Array, shrinkage: float) -> tuple[Array, Array]:
    """Return the weights of the items in the estimate of each target, and what is added to their sum."""
    n, p = Z.shape
    M = targets - targets.mean(axis=0)
    if not p:
        return np.zeros((0, M.shape[1])), targets.mean(axis=0)
    mean = np.asarray(Z.mean(axis=0)).ravel()
    L = Z.T @ M
    coef = _by_rows(Z, mean, L, shrinkage) if n < p else _by_items(Z, mean, L, shrinkage)
    # The slope of each estimate on its distance is 1 in the texts that it was learned from.
    slope = (coef * L).sum(axis=0)
    coef *= np.divide((M**2).sum(axis=0), slope, out=np.zeros_like(slope), where=slope > 0)
    return coef, targets.mean(axis=0) - mean @ coef


def _by_items(Z: csr_array, mean: Array, L: Array, shrinkage: float) -> Array:
    """Solve the shrunk sums of products of the items for L."""
    total = (Z.T @ Z).toarray() - Z.shape[0] * np.outer(mean, mean)
    variances = np.maximum(total.diagonal(), _LEAST)
    total *= 1 - shrinkage
    np.fill_diagonal(total, variances * (1 + _FLOOR))
    return cho_solve(cho_factor(total), L)


def _by_rows(Z: csr_array, mean: Array, L: Array, shrinkage: float) -> Array:
    """Solve the same system with a matrix of the texts (Woodbury's identity), which are fewer than the items."""
    rows = Z.toarray() - mean
    squares = (rows**2).sum(axis=0)
    # What the products of rows lack on the diagonal.
    rest = np.maximum(squares, _LEAST) * (1 + _FLOOR) - (1 - shrinkage) * squares
    across = rows / rest
    inner = np.eye(len(rows)) + (1 - shrinkage) * (across @ rows.T)
    return L / rest[:, None] - (1 - shrinkage) * (across.T @ cho_solve(cho_factor(inner), across @ L))


class TEstimates(OutOfFoldTransformer[WordEstimates]):
    r"""A text as the T-method's estimates of its target, from its strongest words with all their covariances.

    `TMetrics` takes the errors of words as independent. Here the covariances count: the 1,000 words and pairs with the
    largest S/N ratios are items, each over the root of how many of them the text has, and each `distances` M of the
    target from a point of its scale has the estimate

    .. math:: \hat M = r\, \frac{L' \Sigma^{-1} x}{L' \Sigma^{-1} L},\quad r = \sum M^2,\; L = \sum M x

    with items and target measured from their means, and :math:`\Sigma` the sums of squares and products of the items
    whose products are shrunk towards 0. That is Ta with the full covariance: with the sums of products of all
    variation in place of those of the error one decomposition serves all points, and without shrinkage the estimates
    are the same. A text becomes 4 columns, ``estimate_0``, ``estimate_25``, ``estimate_50`` and ``estimate_75``: the
    estimates of the distances from 1, 2, 3 and 4 of five stars. A text without any of the words is one in which all of
    them are absent.

    .. note::
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``: it is computed out of fold, as in `TMetrics`.

    Parameters
    ----------
    n_items : int, default=1000
        How many words and pairs are taken: those with the largest S/N ratio against the target or its distance from
        the middle of its range, whichever is larger.
    shrinkage : float in (0, 1], default=0.4
        By which share the products of pairs of items are shrunk; 1: the words count as independent.
    cv : int, default=5
        Folds of `fit_transform`.
    random_state : int, RandomState instance or None, default=0
        How the texts are dealt to the folds.
    target_range : (low, high), default=None
        Ends of the scale that the target is on; None: its smallest and largest value in `fit`.
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese are read, see `pipeline.segmentation.reading`; other languages have words anyway.

    Attributes
    ----------
    items_ : ndarray of shape (n_items,) of str
        The words and pairs that were taken.
    metrics_ : WordEstimates
        `coef`, their weights, of shape (n_items, 4), and `offset` of shape (4,).
    range_ : tuple of float
        Ends of the scale.
    words_ : str
        How Japanese and Chinese were read: "dictionary" or "characters".

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005, for the T-method.

    Examples
    --------
    >>> from pipeline.features import TEstimates
    >>> texts = ["good food", "good wine", "bad food", "bad wine"]
    >>> estimates = TEstimates(cv=2).fit(texts, [5, 4, 1, 2])
    >>> estimates.transform(["good beer", "bad beer"])[:, 0].round(1).tolist()
    [3.6, 0.4]
    """

    range_: tuple[float, float]
    words_: str

    _lookup: Lookup

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "n_items": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": [Interval(Real, 0, 1, closed="right")],
        "target_range": ["array-like", None],
        "words": [StrOptions(set(READINGS))],
        **FOLD_CONSTRAINTS,
    }

    def __init__(
        self,
        n_items: int = 1000,
        shrinkage: float = 0.4,
        cv: int = 5,
        random_state: Any = 0,
        target_range: tuple[float, float] | None = None,
        words: str = "auto",
    ):
        self.n_items = n_items
        self.shrinkage = shrinkage
        self.cv = cv
        self.random_state = random_state
        self.target_range = target_range
        self.words = words

    @property
    def items_(self) -> npt.NDArray[np.object_]:
        """The words and pairs that were taken, in the order of `metrics_`."""
        return np.array(self._items.split("\n") if self._items else [], dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (4,) of str
        """
        return np.asarray([f"estimate_{origin}" for origin in ORIGINS], dtype=object)

    def column_shares(self, text: str) -> tuple[list[str], list[str], Array]:
        """Return the part that each word of a text has in the estimates.

        Parameters
        ----------
        text : str

        Returns
        -------
        items : list of n_items str
            The words and pairs of the text that were taken.
        columns : list of n_columns str
            All; none for a text without any of the words.
        shares : ndarray of shape (n_items, n_columns), float64
            The rows sum up to the columns of the text: each has its weighted sum, and an equal part of what is added.

        Examples
        --------
        >>> estimates = TEstimates(cv=2).fit(["good food", "good wine", "bad food", "bad wine"], [5, 4, 1, 2])
        >>> items, columns, shares = estimates.column_shares("bad wine, good beer")
        >>> items, shares[:, columns.index("estimate_0")].round(1).tolist()
        (['bad', 'bad wine', 'good', 'wine'], [-0.3, 0.3, 1.3, 0.5])
        """
        X = _scaled(self._rows(check_texts([text])), self.metrics_.places)
        shares = X.data[:, None] * self.metrics_.coef[X.indices] + self.metrics_.offset / max(X.nnz, 1)
        columns = self.get_feature_names_out().tolist() if X.nnz else []
        return self.items_[X.indices].tolist(), columns, shares[:, : len(columns)]

    def _begin(self, texts: list[str], y: Array) -> csr_array:
        self.range_, self.words_ = scale_ends(y, self.target_range), reading(self.words)
        items, found = learn_items([words_and_pairs(text, cut=cutter(text, self.words_))] for text in texts)
        if not items:
            raise ValueError(f"No word occurs in the {len(texts)} texts: give others.")
        self._lookup = make_lookup("\n".join(sorted(items)))
        return with_columns(found.of_parts, items, self._lookup.places)

    def _learn_from_all(self, rows: csr_array, y: Array) -> None:
        names = self.__dict__.pop("_lookup").items.split("\n")
        places, coef, offset = self._learn(rows, y)
        # Only these words are looked for in other texts.
        self._items = "\n".join(names[place] for place in places)
        self.metrics_ = WordEstimates(np.arange(len(places)), coef, offset)

    def _learn(self, rows: csr_array, y: Array) -> WordEstimates:
        eta = word_sums("", rows, y, self.range_).metrics().eta[:, _CHOSEN_BY].max(axis=1)
        places = np.sort(np.argsort(-eta, kind="stable")[: min(self.n_items, np.count_nonzero(eta))])
        return WordEstimates(places, *_solve(_scaled(rows, places), distances(y, *self.range_), self.shrinkage))

    def _columns(self, rows: csr_array, metrics: WordEstimates) -> Array:
        return _scaled(rows, metrics.places) @ metrics.coef + metrics.offset

    def _rows(self, texts: list[str]) -> csr_array:
        if "_lookup" not in vars(self):
            self._lookup = make_lookup(self._items)
        places = self._lookup.places
        found = ([words_and_pairs(text, places, cutter(text, self.words_))] for text in texts)
        return presence(found, places).of_parts

    def __getstate__(self) -> Any:
        return {key: value for key, value in super().__getstate__().items() if key != "_lookup"}
