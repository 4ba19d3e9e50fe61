"""The base of transformers whose items are words: they learn from sums over texts, and from know-how."""

from abc import abstractmethod
from collections.abc import Container
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.features.out_of_fold import FOLD_CONSTRAINTS, Array, OutOfFoldTransformer, check_target
from pipeline.features.presence import Lookup, Parts, Presence, learn_items, make_lookup, presence, with_columns
from pipeline.features.word_sums import WordMetrics, WordSums, word_sums, words_of
from pipeline.segmentation import READINGS, cutter, reading
from pipeline.text import Cut


def values_and_strengths(metrics: WordMetrics) -> tuple[Array, Array]:
    r"""Return what each item adds to a text, in units of the target, and its correlation with the target.

    The value is :math:`\frac{\eta}{1+\eta}\frac{1}{\beta} = L/S_T`, the strength :math:`\pm\sqrt{\eta/(1+\eta)}`; both
    have shape (n_items, n_targets).
    """
    beta, eta, _ = metrics
    explained = eta / (1 + eta)
    value = np.divide(explained, beta, out=np.zeros_like(beta), where=beta != 0)
    return value, np.sign(beta) * np.sqrt(explained)


def scale_ends(y: Array, given: Any, name: str = "target_range") -> tuple[float, float]:
    """Return the ends of the target's scale: those that are given, or its smallest and largest value.

    Raises
    ------
    ValueError
        If what is given, and named `name`, is no range that holds the target.
    """
    lowest, highest = float(y.min()), float(y.max())
    if given is None:
        return lowest, highest
    ends = [float(end) for end in given]
    if len(ends) != 2 or not ends[0] <= lowest <= highest <= ends[1] or ends[0] == ends[1]:
        raise ValueError(
            f"{name}={given!r} must be two numbers, the lower one first, that hold the target, "
            f"which goes from {lowest:g} to {highest:g}."
        )
    return ends[0], ends[1]


def of_used(X: csr_array, metrics: WordMetrics) -> tuple[csr_array, WordMetrics]:
    """Return the columns of `X` that are not empty and their metrics, where these may be few among all.

    A few texts need a few of the items: the time does not grow with all that were learned.
    """
    if not 0 < X.nnz < X.shape[1]:
        return X, metrics
    used, places = np.unique(X.indices, return_inverse=True)
    few = csr_array((X.data, places, X.indptr), shape=(X.shape[0], len(used)))
    return few, metrics._replace(beta=metrics.beta[used], eta=metrics.eta[used])


class WordItemsTransformer(OutOfFoldTransformer[WordMetrics]):
    """A transformer that learns a sensitivity and an S/N ratio for each item of the texts.

    A subclass says which items a text has, and how items make columns.
    """

    sums_: WordSums
    range_: tuple[float, float]
    words_: str

    _lookup: Lookup

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "min_df": [Interval(Integral, 1, None, closed="left")],
        "target_range": ["array-like", None],
        "know_how": [WordSums, None],
        "words": [StrOptions(set(READINGS))],
        **FOLD_CONSTRAINTS,
    }

    def __init__(
        self,
        min_df: int = 1,
        cv: int = 5,
        random_state: Any = 0,
        target_range: tuple[float, float] | None = None,
        know_how: WordSums | None = None,
        words: str = "auto",
    ):
        self.min_df = min_df
        self.cv = cv
        self.random_state = random_state
        self.target_range = target_range
        self.know_how = know_how
        self.words = words

    @staticmethod
    @abstractmethod
    def items_of(text: str, known: Container[str] = (), cut: Cut | None = None) -> list[str]:
        """Return the items of a text; a word that is none of the `known` items may be a longer spelling of one.

        Japanese and Chinese are cut into words by `cut`, see `pipeline.text.words`.
        """

    @property
    def items_(self) -> npt.NDArray[np.object_]:
        """The items, in the order of `metrics_`."""
        return np.array(self.sums_.names, dtype=object)

    def fit_sums(self, sums: WordSums) -> Self:
        """Learn from sums alone, made elsewhere: the fit without a text.

        Parameters
        ----------
        sums : WordSums
            `sums_` of another fit, or several of them added up.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `sums` is something else, holds no text, or reads Japanese and Chinese otherwise than `words`.
        """
        self._validate_params()
        if not isinstance(sums, WordSums) or not sums.n > 0:
            raise ValueError(f"fit_sums needs the WordSums of one text or more, got {sums!r:.80}.")
        self.__dict__.pop("_lookup", None)
        self.range_, self.sums_, self.words_ = sums.range, sums, self._reading(sums)
        self.metrics_ = self._metrics_of(sums)
        return self

    def _begin(self, texts: list[str], y: Array) -> Any:
        self.range_, self.words_ = self._scale_ends(y), self._reading(self.know_how)
        items, found = learn_items(map(self._parts_of, texts))
        names = items
        if self.min_df > 1:
            df = np.bincount(found.of_texts().indices, minlength=len(items))
            names = [item for item, n in zip(items, df.tolist(), strict=True) if n >= self.min_df]
        if self.know_how is not None:
            names = list({*names, *self.know_how.names})
        elif not names:
            none = f"No word occurs in min_df={self.min_df} or more of the {len(texts)} texts"
            raise ValueError(f"{none}: lower min_df or give more.")
        self._lookup = make_lookup("\n".join(sorted(names)))
        found = found._replace(of_parts=with_columns(found.of_parts, items, self._lookup.places))
        return self._arranged(found)

    def _reading(self, known: WordSums | None) -> str:
        """Return how Japanese and Chinese are read: "auto" as the know-how reads them, where it has any."""
        learned = "" if known is None else known.reading
        if learned and self.words == "auto":
            return learned
        settled = reading(self.words)
        if learned and learned != settled:
            raise ValueError(
                f"words={settled!r}, but the know-how holds Japanese or Chinese items read with words={learned!r}: "
                "set words='auto', or make the know-how anew."
            )
        return settled

    def _scale_ends(self, y: Array) -> tuple[float, float]:
        if self.know_how is None:
            return scale_ends(y, self.target_range)
        known = self.know_how.range
        if self.target_range is not None and tuple(map(float, self.target_range)) != tuple(known):
            raise ValueError(f"target_range={self.target_range!r} must be the range of know_how, which is {known!r}.")
        if not known[0] <= y.min() <= y.max() <= known[1]:
            raise ValueError(
                f"know_how is of targets from {known[0]:g} to {known[1]:g}, but the target goes from {y.min():g} to "
                f"{y.max():g}: convert the target, or make know-how on its scale."
            )
        return known

    def _rows(self, texts: list[str]) -> Any:
        if "_lookup" not in vars(self):
            self._lookup = make_lookup(self.sums_.items)
        places = self._lookup.places
        return self._arranged(presence((self._parts_of(text, places) for text in texts), places))

    def _parts_of(self, text: str, known: Container[str] = ()) -> Parts:
        """Return the items of the text, or of its sentences where each sentence gets a row."""
        return [self.items_of(text, known, cutter(text, self.words_))]

    def _arranged(self, found: Presence) -> Any:
        """Return the rows of texts from those of their parts."""
        return found.of_parts

    def _in_texts(self, rows: Any) -> csr_array:
        """Return which text has which item."""
        return csr_array(rows)

    def _learn_from_all(self, rows: Any, y: Array) -> None:
        sums = self._sums(rows, y)
        self.sums_ = replace(sums, reading=sums.reading or words_of(sums.items, self.words_))
        self.metrics_ = self._metrics_of(self.sums_)

    def _learn(self, rows: Any, y: Array) -> WordMetrics:
        return self._metrics_of(self._sums(rows, y))

    def _metrics_of(self, sums: WordSums) -> WordMetrics:
        """Return what sums say of the items."""
        return sums.metrics()

    def _sums(self, rows: Any, y: Array) -> WordSums:
        sums = word_sums(self._lookup.items, self._in_texts(rows), y, self.range_, self.min_df)
        return sums if self.know_how is None else sums + self.know_how.on_items(sums.items)

    def _n_folds(self, n_texts: int) -> int:
        return self.cv if self.know_how is None else min(self.cv, n_texts)

    def _check_target(self, texts: list[str], y: Any) -> Array:
        return check_target(self, texts, y, constant=self.know_how is not None)

    def __getstate__(self) -> Any:
        # What follows from the sums is made anew: the file is half as large, and quick to read.
        return {key: value for key, value in super().__getstate__().items() if key not in ("_lookup", "metrics_")}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if "sums_" in state:
            self.metrics_ = self._metrics_of(self.sums_)
