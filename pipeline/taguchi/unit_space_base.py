"""Base of the classifiers by unit spaces: distances, probabilities, expected and median class."""

import warnings
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.extmath import row_norms
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from pipeline.taguchi.base import AnyArray, Array, Floating, Indices, ItemEstimator, by_block
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.constant_items import ConstantItems, describe, item_name
from pipeline.taguchi.contributions import Contributions, expected_contributions
from pipeline.taguchi.item_range import find_item_range, limited, refuse_limits
from pipeline.taguchi.know_how import refuse_know_how
from pipeline.taguchi.unit_space_rows import ClassRows, ClassSpaces, within_range


class BaseUnitSpaces(ClassifierMixin, ItemEstimator):
    """Distances from unit spaces, and the probabilities, expected and median class that follow from them."""

    scale_: Array
    log_det_: Array
    coef_: Array | None
    intercept_: Array | None
    limit_items: bool
    item_limits_: Array | None
    _root: Array
    _constant: ConstantItems

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "log_det_")

    @property
    def constant_items_(self) -> Indices:
        """Columns of the items that are constant over all rows."""
        return self._constant.items

    @property
    def root_(self) -> Array:
        """Root of each inverse correlation matrix, of shape (n_spaces, `n_features_in_`, n_items)."""
        return self._root

    def distance(self, X: Any) -> Floating:
        r"""Return the Mahalanobis distance from each unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples, n_classes), float32 for float32 items
            :math:`\sqrt{d_c^2 / p}` with p the number of items that are not constant, as in `MahalanobisTaguchi`: about
            1 for a row of the class. Not squared. An item that is constant over all rows of the fit does not count; a
            `UserWarning` tells where a row differs in one.
        """
        X = self._new_items(X)
        differs = self._constant.differs(X)
        if differs.any():
            found = describe(differs, [item_name(self, item) for item in self.constant_items_])
            warnings.warn(f"{found}: no distance counts that.", UserWarning, stacklevel=2)
        roots = self.root_
        squared = self._squared(X, roots) / max(1, roots.shape[2])
        return np.sqrt(squared, out=squared).astype(X.dtype, copy=False)

    def predict(self, X: Any) -> AnyArray:
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
        X = self._new_items(X)
        return self.classes_[self._log_posterior(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Floating:
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
        X = self._new_items(X)
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
        X = self._new_items(X)
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
        X = self._new_items(X)
        numbers = self._numbers("median_class")
        # A little less than half, so that rounding does not decide between two equally probable halves.
        return numbers[(softmax(self._log_posterior(X), axis=1).cumsum(axis=1) >= 0.5 - 1e-12).argmax(axis=1)]

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the expected class, along the straight way from the centre of all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        Contributions
            Named tuple of float64 arrays: `base` (n_samples,), the expected class at `center_`; `items` and `slopes`
            (n_samples, n_features); `rest` (n_samples,), 0 here. ``base + items.sum(axis=1)`` is the expected class.
            They are the Aumann-Shapley values, see `pipeline.taguchi.contributions.expected_contributions`.

        Raises
        ------
        ValueError
            If the classes are not numbers, or if each class has a covariance of its own.

        Examples
        --------
        >>> from pipeline.taguchi import UnitSpaceClassifier
        >>> X = [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [7.0, 1.0], [8.0, 1.0], [9.0, 0.0]]
        >>> model = UnitSpaceClassifier().fit(X, [1, 1, 1, 5, 5, 5])
        >>> parts = model.contributions([[5.5, 1.0]])
        >>> parts.base.tolist(), parts.items.round(2).tolist(), model.expected_class([[5.5, 1.0]]).round(2).tolist()
        ([3.0], [[1.61, 0.27]], [4.88])
        """
        X = limited(self._new_items(X), self.item_limits_)
        classes = self._numbers("contributions")
        if (coef := self.coef_) is None:
            raise ValueError(
                "contributions needs one covariance for all classes, since only then do items add up; got "
                "covariance='own': fit with covariance='shrunk'."
            )
        return expected_contributions(X - self.center_, coef, self._at_center, self._log_posterior(X), classes)

    def _class_rows(self, X: Any, y: Any, sample_weight: Any) -> ClassRows:
        """Check the arguments of `fit`, store the classes, and return the rows that count."""
        # A fit that fails would leave the weights of the old classes beside the new ones.
        self._forget()
        X, y = self._check_items(X, y, reset=True)
        if y.dtype.kind == "O" and not any(isinstance(label, str) for label in y):
            # Numbers in an array of objects, as a column of mixed rows holds them.
            y = np.array(y.tolist())
        check_classification_targets(y)
        weight, rows = None, np.arange(len(y))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            rows = np.flatnonzero(weight)
            weight = weight[rows]
            # Newer scikit-learn has refused them by now.
            if not len(rows):
                raise ValueError(f"Sample weights are zero in all {len(y)} rows: give one row or more a weight.")
        self.item_limits_ = find_item_range(X[rows], weight).limits() if self.limit_items else None
        self.classes_, codes = np.unique(y[rows], return_inverse=True)
        return ClassRows(X, rows, codes, weight)

    def _known_classes(self, data: ClassRows, known: ClassMoments) -> ClassRows:
        """Unite the classes of the rows with those of know-how, and return the rows with their codes among them.

        Raises
        ------
        ValueError
            If the classes of the rows are no numbers, if the know-how has other items, or if items are to be limited.
        """
        refuse_limits(self.limit_items)
        if self.classes_.dtype.kind not in "biuf":
            raise ValueError(
                f"know_how needs classes that are numbers, got {self.classes_[:5].tolist()}: give their numbers."
            )
        n_items = data.X.shape[1]
        if known.n_items != n_items:
            raise ValueError(f"know_how has {known.n_items} items, but X has {n_items}: give sums of the same items.")
        y = self.classes_[data.codes]
        self.classes_ = np.union1d(self.classes_, known.classes)
        return data._replace(codes=np.searchsorted(self.classes_, y))

    def _take_sums(self, sums: Any, know_how: Any) -> None:
        """Check the sums of `fit_moments`, and store their classes and number of items.

        Raises
        ------
        ValueError
            If they are no `ClassMoments`, or if there is know-how beside them, or limits of items.
        """
        self._forget()
        refuse_know_how(know_how)
        refuse_limits(self.limit_items)
        if not isinstance(sums, ClassMoments):
            raise ValueError(f"fit_moments needs ClassMoments, got {type(sums).__name__}: make them by class_moments.")
        self.__dict__.pop("feature_names_in_", None)
        self.n_features_in_, self.classes_, self.item_limits_ = sums.n_items, sums.classes.copy(), None

    def _store_spaces(self, spaces: ClassSpaces, constant: ConstantItems, prior: str = "empirical") -> None:
        self.means_, self.center_, self._constant = spaces.means, spaces.center, constant
        n = spaces.n if prior == "empirical" else np.ones(len(spaces.n))
        self.class_prior_ = n / n.sum()

    def _store_weights(self, coef: Array, at_center: Array) -> None:
        """Store the linear form of the log-posterior."""
        self.coef_ = coef
        # From the centre, so that a large offset of an item costs no digits.
        self._at_center = at_center
        self.intercept_ = self._at_center - coef @ self.center_

    def _numbers(self, method: str) -> Array:
        """Return the classes as numbers."""
        if self.classes_.dtype.kind not in "biuf":
            raise ValueError(
                f"{method} needs classes that are numbers, got {self.classes_[:5].tolist()}: use predict instead."
            )
        return self.classes_.astype(np.float64)

    def _log_posterior(self, X: AnyArray) -> Array:
        """Return the logarithm of each class's probability, up to one constant for each row."""
        X = limited(X, self.item_limits_)
        if (coef := self.coef_) is None:
            return within_range(np.log(self.class_prior_) - (self._squared(X, self.root_) + self.log_det_) / 2)
        return within_range(by_block(lambda rows: (rows - self.center_) @ coef.T + self._at_center, X))

    def _squared(self, X: AnyArray, roots: Array) -> Array:
        """Return the squared distance from each class."""
        if self.coef_ is not None:
            return _squared(X, self.means_, self.center_, self.scale_[0], roots[0])
        metrics = zip(self.means_, self.scale_, roots, strict=True)
        return np.column_stack([_squared(X, mean[None], mean, scale, root) for mean, scale, root in metrics])


def _squared(X: AnyArray, means: Array, center: Array, scale: Array, root: Array) -> Array:
    """Return the squared distance from each of the means, which share a metric and are measured from `center`."""
    # A row is turned once and compared with each of them.
    turned_means = (means - center) / scale @ root

    def of_rows(rows: AnyArray) -> Array:
        turned = (rows - center) / scale @ root
        return np.column_stack([row_norms(turned - mean, squared=True) for mean in turned_means])

    return by_block(of_rows, X)
