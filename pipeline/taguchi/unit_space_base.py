"""Base of the classifiers by unit spaces: distances, probabilities, expected and median class."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.extmath import row_norms
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from pipeline.taguchi.base import AnyArray, Array, Floating, Indices, ItemEstimator, Mask, by_block
from pipeline.taguchi.constant_items import ConstantItems, describe, find_constant, item_name
from pipeline.taguchi.item_range import find_item_range, item_limits, limited
from pipeline.taguchi.mahalanobis import EIGENVALUE_FLOOR, varies

_LARGEST = 1e300


class ClassRows(NamedTuple):
    """Rows of `X` that count, each with the code of its class and its weight (None: 1)."""

    X: AnyArray
    rows: Indices
    codes: Indices
    weight: Array | None

    def part(self, chosen: AnyArray) -> "ClassRows":
        """Return some of the rows, chosen by a mask or by their places."""
        weight = None if self.weight is None else self.weight[chosen]
        return ClassRows(self.X, self.rows[chosen], self.codes[chosen], weight)

    def by_class(self) -> list["ClassRows"]:
        """Return the rows of each class."""
        return [self.part(self.codes == code) for code in range(self.codes.max() + 1)]


class ClassSpaces(NamedTuple):
    """Sizes, means and common variances of the unit spaces of several classes.

    Parameters
    ----------
    n : ndarray of shape (n_classes,)
        Rows of each class, or the sum of their weights.
    means : ndarray of shape (n_classes, n_items)
        Centre of each unit space.
    center : ndarray of shape (n_items,)
        Mean of all rows.
    carries : ndarray of bool of shape (n_items,)
        Whether the item varies at all.
    lowest : ndarray of shape (n_items,)
        Floor of the variances: an item that varies between the classes only decides, and nothing becomes infinite.
    variance : ndarray of shape (n_items,)
        Variance within the classes, not below the floor.
    freedom : float
        Degrees of freedom within the classes; the number of rows where there is none.
    """

    n: Array
    means: Array
    center: Array
    carries: Mask
    lowest: Array
    variance: Array
    freedom: float


def class_spaces(n: Array, means: Array, center: Array, total: Array, squares: Array) -> ClassSpaces:
    """Return the unit spaces from the sums of squares of all rows, and of those within the classes."""
    lowest = EIGENVALUE_FLOOR * total / n.sum()
    freedom = n.sum() - len(n)
    freedom = freedom if freedom > 0 else n.sum()
    carries = varies(total, n.sum(), center)
    return ClassSpaces(n, means, center, carries, lowest, np.maximum(squares / freedom, lowest), freedom)


def within_range(score: Array) -> Array:
    """Clip a log-posterior in place, so that a softmax subtracts no infinities."""
    return np.clip(score, -_LARGEST, _LARGEST, out=score)


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

    @property
    def constant_items_(self) -> Indices:
        """Columns of the items that are constant over all rows."""
        return self._constant.items

    @property
    def root_(self) -> Array:
        """Root of each inverse correlation matrix, of shape (n_spaces, n_features_in_, n_items)."""
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

    def _class_rows(self, X: Any, y: Any, sample_weight: Any) -> ClassRows:
        """Check the arguments of `fit`, store the classes, and return the rows that count."""
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
        self.classes_, codes = np.unique(y[rows], return_inverse=True)
        return ClassRows(X, rows, codes, weight)

    def _store_spaces(self, data: ClassRows, spaces: ClassSpaces, prior: str = "empirical") -> None:
        self.means_, self.center_ = spaces.means, spaces.center
        rows = data.X[data.rows]
        self.item_limits_ = item_limits(find_item_range(rows), spaces.n.sum()) if self.limit_items else None
        self._constant = find_constant(rows, ~spaces.carries, spaces.center)
        n = spaces.n if prior == "empirical" else np.ones(len(spaces.n))
        self.class_prior_ = n / n.sum()

    def _store_weights(self, coef: Array, squared: Array) -> None:
        """Store the linear form of the log-posterior; `squared` are the squared distances of the centres."""
        self.coef_ = coef
        # From the centre, so that a large offset of an item costs no digits.
        self._at_center = np.log(self.class_prior_) - squared / 2
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
