"""Text transformers that learn from the target: out of fold in `fit_transform`, so that nothing leaks."""

from abc import ABC, abstractmethod
from collections.abc import Sized
from numbers import Integral
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_array, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from pipeline.deal import deal_folds
from pipeline.scale import MAX_VALUES
from pipeline.taguchi.base import LEAST_SQUARES, OVERFLOW_OF_TARGET, UNDERFLOW_OF_TARGET
from pipeline.taguchi.target import as_classes, as_numbers
from pipeline.taguchi.unit_space_rule import warn_of_far_target
from pipeline.text import check_texts

Array = npt.NDArray[np.float64]
Folds = npt.NDArray[np.intp]
Metrics = TypeVar("Metrics")

_FOLDS = Interval(Integral, 2, None, closed="left")
FOLD_CONSTRAINTS: dict[str, list[Any]] = {"cv": [_FOLDS], "random_state": ["random_state"]}


def check_target(estimator: object, texts: Sized, y: Any, constant: bool = False) -> Array:
    """Return the target as floats.

    Labels that are an order count as numbers, see `pipeline.taguchi.target.as_numbers`. A target that is `constant`
    is taken only where that is said.

    Raises
    ------
    ValueError
        If it is missing, neither numbers nor an order, of another length, constant, or of squares that overflow.
    """
    name = type(estimator).__name__
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    y = _checked(texts, as_numbers(y, name), constant)
    # A rare star is no error of the data; a far price may be one.
    if len(np.unique(y)) > MAX_VALUES:
        squares = float(((y - y.mean()) ** 2).sum())
        warn_of_far_target((float(y.min()), float(y.max())), float(y.mean()), squares, len(y), stacklevel=6)
    return y


def check_classes(estimator: object, texts: Sized, y: Any) -> tuple[Array, list[Any]]:
    """Return a target of classes as floats, and the classes in ascending order of these.

    Raises
    ------
    ValueError
        If it is missing, of another length or constant.
    """
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    numbers, labels = as_classes(y)
    numbers = _checked(texts, numbers)
    return numbers, np.unique(numbers).tolist() if labels is None else labels


def _checked(texts: Sized, y: Any, constant: bool = False) -> Array:
    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim != 1 and y.shape[1:] != (1,):
        raise ValueError(f"The target y must be one column, got shape {y.shape}.")
    y = column_or_1d(y, warn=True)
    check_consistent_length(texts, y)
    if y.min() == y.max():
        if constant:
            return y
        raise ValueError(f"The target y is constant ({y[0]:g}): there is nothing to learn.")
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(((y - y.mean()) ** 2).sum())
    if not squares < np.inf:
        raise ValueError(OVERFLOW_OF_TARGET)
    if squares < LEAST_SQUARES:
        raise ValueError(UNDERFLOW_OF_TARGET)
    return y


class OutOfFoldTransformer(TransformerMixin, BaseEstimator, ABC, Generic[Metrics]):
    """The base of transformers of texts that learn from the target.

    `fit_transform` gives each text what was learned from the other folds; `fit` learns from all texts, for `transform`
    of new ones. A subclass has the parameters `cv` and `random_state`, and four methods: how texts become rows, what
    is learned from rows, and how both make columns.
    """

    cv: int
    random_state: Any
    metrics_: Metrics

    @abstractmethod
    def _begin(self, texts: list[str], y: Array) -> Any:
        """Learn what all folds share; return the rows of the texts."""

    @abstractmethod
    def _rows(self, texts: list[str]) -> Any:
        """Return the rows of texts, an array or sparse array of shape (n_texts, n_items)."""

    @abstractmethod
    def _learn(self, rows: Any, y: Array) -> Metrics:
        """Return what rows and their target teach."""

    @abstractmethod
    def _columns(self, rows: Any, metrics: Metrics) -> Array:
        """Return the columns of rows."""

    @abstractmethod
    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns."""

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from all texts.

        For a model's training texts use `fit_transform`: `transform` would show the model the stars it is to predict.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : array-like of shape (n_texts,)
            The target: stars, any numbers, or labels that are an order ("1" to "5", an ordered categorical).

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, `y` is missing, neither numbers nor an order, of another length or
            constant, or a parameter is out of its range.
        """
        self._validate_params()
        texts, y = self._check(X, y)
        self._learn_from_all(self._begin(texts, y), y)
        return self

    def fit_transform(self, X: Any, y: Any) -> Array:
        """Learn from all texts, and return for each the columns that the other folds' texts give it.

        .. note::
            ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``, just as in
            `sklearn.preprocessing.TargetEncoder`, and for the same reason.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : array-like of shape (n_texts,)
            The target: stars, any numbers, or labels that are an order ("1" to "5", an ordered categorical).

        Returns
        -------
        ndarray of shape (n_texts, n_columns), float64

        Raises
        ------
        ValueError
            As in `fit`, and if there are fewer texts than folds.
        """
        self._validate_params()
        texts, y = self._check(X, y)
        n_folds = self._n_folds(len(y))
        folds = deal_folds(y, n_folds, self.random_state)
        rows = self._begin(texts, y)
        self._learn_from_all(rows, y)
        columns = np.empty((len(y), len(self.get_feature_names_out())))
        for inside in (folds == fold for fold in range(n_folds)):
            columns[inside] = self._columns(rows[inside], self._learn(rows[~inside], y[~inside]))
        return columns

    def transform(self, X: Any) -> Array:
        """Return the columns of new texts.

        Parameters
        ----------
        X : sequence of str
            Texts.

        Returns
        -------
        ndarray of shape (n_texts, n_columns), float64
        """
        check_is_fitted(self)
        return self._columns(self._rows(check_texts(X)), self.metrics_)

    def _learn_from_all(self, rows: Any, y: Array) -> None:
        """Store what all rows teach."""
        self.metrics_ = self._learn(rows, y)

    def _n_folds(self, n_texts: int) -> int:
        return self.cv

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check(self, X: Any, y: Any) -> tuple[list[str], Array]:
        texts = check_texts(X)
        return texts, self._check_target(texts, y)

    def _check_target(self, texts: list[str], y: Any) -> Array:
        """Return the target as floats."""
        return check_target(self, texts, y)
