"""Base of the classifiers by unit spaces: distances, probabilities, expected and median class."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pipeline.taguchi.class_spaces import ClassRows, ClassSpaces
from pipeline.taguchi.integrated import blocks
from pipeline.taguchi.moments import Array
from pipeline.taguchi.summation import FLOATS

_LARGEST = 1e300


def within_range(score: Array) -> Array:
    """Clip a log-posterior in place, so that a softmax subtracts no infinities."""
    return np.clip(score, -_LARGEST, _LARGEST, out=score)


class BaseUnitSpaces(ClassifierMixin, BaseEstimator, ABC):
    """Distances from unit spaces, and the probabilities, expected and median class that follow from them."""

    _dtypes: ClassVar[list[Any]] = FLOATS

    classes_: npt.NDArray[Any]
    class_prior_: Array
    means_: Array
    center_: Array
    scale_: Array
    log_det_: Array
    coef_: Array | None
    intercept_: Array | None
    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]
    _at_center: Array

    @property
    @abstractmethod
    def root_(self) -> Array:
        """Root of each inverse correlation matrix, of shape (n_spaces, n_features_in_, n_items)."""

    def distance(self, X: Any) -> npt.NDArray[np.floating]:
        r"""Return the Mahalanobis distance from each unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples, n_classes), float32 for float32 items
            :math:`\sqrt{d_c^2 / p}` with p the number of items that are not constant, as in `MahalanobisTaguchi`: about
            1 for a row of the class. Not squared.
        """
        X = self._items(X)
        roots = self.root_
        squared = self._squared(X, roots) / max(1, roots.shape[2])
        return np.sqrt(squared, out=squared).astype(X.dtype, copy=False)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Values of `classes_`.
        """
        X = self._items(X)
        return self.classes_[self._log_posterior(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes), float32 for float32 items
            In the order of `classes_`.
        """
        X = self._items(X)
        return softmax(self._log_posterior(X), axis=1).astype(X.dtype, copy=False)

    def expected_class(self, X: Any) -> Array:
        """Return the sum of class x probability, which has the smallest mean squared error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        expected : ndarray of shape (n_samples,), float64
            In units of the classes.

        Raises
        ------
        ValueError
            If the classes are not numbers.
        """
        X = self._items(X)
        return softmax(self._log_posterior(X), axis=1) @ self._numbers("expected_class")

    def median_class(self, X: Any) -> Array:
        """Return the smallest class that, with those below it, has half of the probability.

        It has the smallest mean absolute error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        median : ndarray of shape (n_samples,), float64
            One of the classes.

        Raises
        ------
        ValueError
            If the classes are not numbers.
        """
        X = self._items(X)
        numbers = self._numbers("median_class")
        # A little less than half, so that rounding does not decide between two equally probable halves.
        return numbers[(softmax(self._log_posterior(X), axis=1).cumsum(axis=1) >= 0.5 - 1e-12).argmax(axis=1)]

    def _class_rows(self, X: Any, y: Any, sample_weight: Any) -> ClassRows:
        """Check the arguments of `fit`, store the classes, and return the rows that count."""
        X, y = validate_data(self, X, y, dtype=self._dtypes)
        check_classification_targets(y)
        weight, rows = None, np.arange(len(y))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            rows = np.flatnonzero(weight)
            weight = weight[rows]
            # Newer scikit-learn has refused them by now.
            if not len(rows):
                raise ValueError(f"Sample weights are zero in all {len(y)} rows: give one row or more a weight.")
        self.classes_, codes = np.unique(y[rows], return_inverse=True)
        return ClassRows(X, rows, codes, weight)

    def _store_spaces(self, spaces: ClassSpaces, prior: str = "empirical") -> None:
        self.means_, self.center_ = spaces.means, spaces.center
        n = spaces.n
        self.class_prior_ = n / n.sum() if prior == "empirical" else np.full(len(n), 1 / len(n))

    def _store_weights(self, coef: Array, squared: Array) -> None:
        """Store the linear form of the log-posterior; `squared` are the squared distances of the centres."""
        self.coef_ = coef
        # From the centre, so that a large offset of an item costs no digits.
        self._at_center = np.log(self.class_prior_) - squared / 2
        self.intercept_ = self._at_center - coef @ self.center_

    def _items(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return validate_data(self, X, dtype=self._dtypes, reset=False)

    def _numbers(self, method: str) -> Array:
        """Return the classes as numbers."""
        if self.classes_.dtype.kind not in "biuf":
            raise ValueError(
                f"{method} needs classes that are numbers, got {self.classes_[:5].tolist()}: use predict instead."
            )
        return self.classes_.astype(np.float64)

    def _log_posterior(self, X: npt.NDArray[Any]) -> Array:
        """Return the logarithm of each class's probability, up to one constant for each row."""
        if self.coef_ is None:
            score = np.log(self.class_prior_) - (self._squared(X, self.root_) + self.log_det_) / 2
        else:
            score = np.empty((len(X), len(self.classes_)))
            for block in blocks(*X.shape):
                score[block] = (X[block] - self.center_) @ self.coef_.T + self._at_center
        return within_range(score)

    def _squared(self, X: npt.NDArray[Any], roots: Array) -> Array:
        """Return the squared distance from each class."""
        squared = np.empty((len(X), len(self.classes_)))
        for space, (scale, root) in enumerate(zip(self.scale_, roots, strict=True)):
            # One metric for all classes turns a row once and compares it with each of them.
            codes = range(len(self.classes_)) if self.coef_ is not None else [space]
            center = self.center_ if self.coef_ is not None else self.means_[space]
            centers = (self.means_[codes] - center) / scale @ root
            for block in blocks(*X.shape):
                rows = (X[block] - center) / scale @ root
                for code, other in zip(codes, centers, strict=True):
                    deviation = rows - other
                    squared[block, code] = np.einsum("ij,ij->i", deviation, deviation)
        return squared
