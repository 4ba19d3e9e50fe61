"""One unit space per class, the shrinkage chosen by cross-validation at the price of one eigendecomposition a fold."""

from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import KFold
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi.mahalanobis import EIGENVALUE_FLOOR, Array, varies

_LARGEST = 1e300


class _Spaces(NamedTuple):
    """Unit spaces of all classes in a common metric that is not shrunk yet.

    `centers` holds the class means, measured from `center` in units of `sd`; the correlations within the classes have
    the eigenvalues and eigenvectors given, and 0 elsewhere. `apart` marks items that only vary between the classes.
    """

    center: Array
    sd: Array
    centers: Array
    eigenvalues: Array
    vectors: Array
    apart: npt.NDArray[np.bool_]
    log_prior: Array

    def directions(self, shrinkage: float) -> Array:
        """Return the shrunk inverse correlation matrix times each class's centre, of shape (n_classes, n_items)."""
        gain = 1 / ((1 - shrinkage) * self.eigenvalues + shrinkage) - 1 / shrinkage
        scale = np.where(self.apart, 1, 1 / shrinkage)
        return self.centers * scale + (self.centers @ self.vectors * gain) @ self.vectors.T

    def log_posterior(self, X: npt.NDArray[Any], shrinkage: float) -> Array:
        """Return the logarithm of each class's probability, up to one constant for each row."""
        directions = self.directions(shrinkage)
        at_center = self.log_prior - (directions * self.centers).sum(axis=1) / 2
        score = (X - self.center) / self.sd @ directions.T + at_center
        return np.clip(score, -_LARGEST, _LARGEST)


def _unit_spaces(X: Array, codes: npt.NDArray[np.intp], n_classes: int) -> _Spaces:
    n = np.bincount(codes, minlength=n_classes)
    seen = n > 0
    means = np.zeros((n_classes, X.shape[1]))
    for code in np.flatnonzero(seen):
        means[code] = X[codes == code].mean(axis=0)
    center = X.mean(axis=0)
    total = ((X - center) ** 2).sum(axis=0)
    carries = varies(total, len(X), center)
    within = X - means[codes]
    freedom = len(X) - int(seen.sum())
    freedom = freedom if freedom > 0 else len(X)
    variance = np.einsum("ij,ij->j", within, within) / freedom
    lowest = EIGENVALUE_FLOOR * total / len(X)
    # As in UnitSpaceClassifier: what varies between the classes alone decides, and nothing becomes infinite.
    apart = carries & (variance <= lowest)
    sd = np.sqrt(np.where(carries, np.maximum(variance, lowest), np.inf))
    within = within / sd
    within[:, apart] = 0
    if len(within) < X.shape[1]:
        # Fewer rows than items: the same eigenvectors from the products of rows.
        eigenvalues, left = np.linalg.eigh(within @ within.T / freedom)
        kept = eigenvalues > len(within) * np.finfo(np.float64).eps * eigenvalues.max(initial=0)
        eigenvalues, vectors = eigenvalues[kept], within.T @ left[:, kept]
        vectors /= np.sqrt(freedom * eigenvalues)
    else:
        eigenvalues, vectors = np.linalg.eigh(within.T @ within / freedom)
    centers = np.where(seen[:, None], means - center, 0) / sd
    with np.errstate(divide="ignore"):
        log_prior = np.log(n / n.sum())
    return _Spaces(center, sd, centers, eigenvalues, vectors, apart, log_prior)


class UnitSpaceClassifierCV(ClassifierMixin, BaseEstimator):
    r"""`UnitSpaceClassifier` with the shrinkage of its covariance chosen by cross-validation.

    Shrinking a correlation matrix to the identity moves its eigenvalues and leaves its eigenvectors, so that one
    eigendecomposition per fold serves all candidates; with fewer rows than items it is one of the rows' products. The
    candidate with the smallest Brier score, the mean squared error of the probabilities, is taken; of equals the larger
    one. It is to `UnitSpaceClassifier` as `sklearn.linear_model.RidgeCV` is to `Ridge`: the automatic rule counts rows
    and shrinks too little where hundreds of items go together.

    Parameters
    ----------
    shrinkages : sequence of float in (0, 1], default=(0.03, 0.1, 0.3, 0.5, 0.7, 1.0)
        The candidates; 1 takes the items as uncorrelated.
    cv : int, default=5
        Number of folds; fewer where there are fewer rows.

    Attributes
    ----------
    shrinkage_ : float
        The chosen one.
    scores_ : ndarray of shape (n_shrinkages,)
        Brier score of each candidate.
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    coef_ : ndarray of shape (n_classes, n_features_in_)
        Weight of each item in the logarithm of a class's probability.
    intercept_ : ndarray of shape (n_classes,)
        Its value where all items are 0.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    References
    ----------
    G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78, 1950.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0], [2.0], [3.0], [7.0], [8.0], [9.0]])
    >>> model = UnitSpaceClassifierCV(cv=3).fit(X, [1, 1, 1, 5, 5, 5])
    >>> model.predict([[2.5], [6.0]]).tolist(), model.shrinkage_
    ([1, 5], 1.0)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "shrinkages": ["array-like"],
        "cv": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, shrinkages: Any = (0.03, 0.1, 0.3, 0.5, 0.7, 1.0), cv: int = 5):
        self.shrinkages = shrinkages
        self.cv = cv

    def fit(self, X: Any, y: Any) -> Self:
        """Choose the shrinkage, and learn the unit space of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The classes.

        Returns
        -------
        self : UnitSpaceClassifierCV

        Raises
        ------
        ValueError
            If `y` holds no classes but a continuous target, or a shrinkage is not in (0, 1].
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        shrinkages = np.asarray(self.shrinkages, dtype=np.float64)
        if shrinkages.ndim != 1 or not len(shrinkages) or not ((shrinkages > 0) & (shrinkages <= 1)).all():
            raise ValueError(f"Got shrinkages={self.shrinkages!r}, expected numbers above 0 and up to 1.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        truth = np.eye(len(self.classes_))[codes]
        errors = np.zeros(len(shrinkages))
        n_folds = min(self.cv, len(X))
        for train, test in KFold(n_folds, shuffle=True, random_state=0).split(X) if n_folds > 1 else ():
            spaces = _unit_spaces(X[train], codes[train], len(self.classes_))
            for i, shrinkage in enumerate(shrinkages):
                probability = softmax(spaces.log_posterior(X[test], shrinkage), axis=1)
                errors[i] += ((probability - truth[test]) ** 2).sum()
        self.scores_ = errors / len(X)
        self.shrinkage_ = float(shrinkages[np.isclose(errors, errors.min(), rtol=1e-9, atol=0)].max())
        spaces = _unit_spaces(X, codes, len(self.classes_))
        directions = spaces.directions(self.shrinkage_)
        self.coef_ = directions / spaces.sd
        self._center = spaces.center
        # From the centre, so that a large offset of an item costs no digits.
        self._at_center = spaces.log_prior - (directions * spaces.centers).sum(axis=1) / 2
        self.intercept_ = self._at_center - self.coef_ @ spaces.center
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return softmax(np.clip((X - self._center) @ self.coef_.T + self._at_center, -_LARGEST, _LARGEST), axis=1)

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
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]
