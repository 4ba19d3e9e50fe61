"""One unit space per class: a row belongs to the nearest one."""

from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pipeline.taguchi.integrated import blocks
from pipeline.taguchi.mahalanobis import (
    EIGENVALUE_FLOOR,
    Array,
    unit_space_moments,
    varies,
)
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.summation import FLOATS

# Squares of distances beyond this would make the softmax subtract infinities.
_LARGEST = 1e300


class _Metric(NamedTuple):
    """A covariance matrix in the form that measures: ``root @ root.T`` inverts its (shrunk) correlation matrix."""

    sd: Array
    root: Array
    log_det: float
    shrinkage: float


def _metric(covariance: Array, variance: Array, n: float, shrinkage: str | float) -> _Metric:
    """Shrink the correlations of a covariance matrix, `variance` for its diagonal, and take the inverse root."""
    sd = np.sqrt(variance)
    R = covariance / sd / sd[:, None]
    np.fill_diagonal(R, 1)
    eigenvalues, V = np.linalg.eigh(R)
    if shrinkage == "auto":
        shrinkage = oas_shrinkage(R, n)
    # Shrinking to the identity moves the eigenvalues and leaves the eigenvectors.
    eigenvalues = (1 - float(shrinkage)) * eigenvalues + float(shrinkage)
    eigenvalues = np.maximum(eigenvalues, EIGENVALUE_FLOOR * eigenvalues.max(initial=1))
    log_det = float(np.log(eigenvalues).sum() + 2 * np.log(sd).sum())
    return _Metric(sd, V / np.sqrt(eigenvalues), log_det, float(shrinkage))


def _metrics(n: Array, within: Array, scatters: list[Array], lowest: Array, shrinkage: str | float) -> list[_Metric]:
    """Return the metric of each class whose scatter is given, or the pooled one alone if none is.

    `n` holds the rows of each class, `within` the sum of all scatters, `lowest` the floor of the items' variances.
    """
    freedom = n.sum() - len(n)
    covariance = within / (freedom if freedom > 0 else n.sum())
    variance = np.maximum(covariance.diagonal(), lowest)
    pooled = _metric(covariance, variance, max(freedom, 0), shrinkage)
    metrics = []
    for rows, scatter in zip(n, scatters, strict=False):
        if rows <= 1:
            metrics.append(pooled)
            continue
        own = scatter / (rows - 1)
        metrics.append(_metric(own, np.where(own.diagonal() > lowest, own.diagonal(), variance), rows - 1, shrinkage))
    return metrics or [pooled]


class UnitSpaceClassifier(ClassifierMixin, BaseEstimator):
    r"""One unit space per class: the probability of a class falls with the Mahalanobis distance from its centre.

    With :math:`m_c` the mean of class c and :math:`\Sigma` the covariance within the classes,

    .. math:: d_c^2 = (x - m_c)' \Sigma^{-1} (x - m_c),\quad
              P(c | x) \propto \pi_c \, |\Sigma_c|^{-1/2} \exp(-d_c^2 / 2)

    Sums over the rows and one eigendecomposition, no iteration. With a common covariance and ``prior="uniform"`` the
    most probable class is the nearest unit space: linear discriminant analysis. With own covariances, where the
    determinant also counts, it is quadratic discriminant analysis. Where classes are numbers, as stars are, the
    probabilities also give the expected and the median class.

    Parameters
    ----------
    covariance : {"shrunk", "pooled", "own"}, default="shrunk"
        "pooled": one covariance for all classes, that of the rows around the mean of their class. "shrunk": the same,
        its correlations shrunk towards 0; the standard deviations stay. "own": one covariance for each class, shrunk
        likewise. "pooled" needs many more rows than items, "own" needs them in every class.
    shrinkage : "auto" or float in [0, 1], default="auto"
        Share of the identity in the shrunk correlation matrix; "auto" takes it from `oas_shrinkage`. "pooled" uses
        none.
    prior : {"empirical", "uniform"}, default="empirical"
        Probability of a class before the row is seen: its share of the rows, or the same for all.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Their prior probabilities.
    means_ : ndarray of shape (n_classes, n_features_in_)
        Centre of each unit space.
    scale_ : ndarray of shape (n_spaces, n_features_in_)
        Standard deviation of the items within a class; n_spaces is n_classes for "own" and 1 otherwise. 1 for an item
        that is constant over all rows.
    root_ : ndarray of shape (n_spaces, n_features_in_, n_items)
        ``root_ @ root_.T`` inverts the correlation matrix; n_items counts those that are not constant, the others have
        rows of zeros.
    log_det_ : ndarray of shape (n_spaces,)
        Logarithm of the determinant of the covariance matrix.
    shrinkage_ : ndarray of shape (n_spaces,)
        The shrinkage that was used.
    coef_ : ndarray of shape (n_classes, n_features_in_)
        Weight of each item in the logarithm of a class's probability; None for "own".
    intercept_ : ndarray of shape (n_classes,)
        Its value where all items are 0; None for "own".
    center_ : ndarray of shape (n_features_in_,)
        Mean of all rows.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    Shifting or scaling an item changes nothing. An item that is constant over all rows has no weight. An item, or a
    combination of items when nothing is shrunk, that varies between the classes only tells them apart without error:
    its standard deviation is taken as a millionth of its total one (or of the largest), so that it decides, and nothing
    becomes infinite. Where a class's own rows tell no variance, be it of one item or, with a single row, of all,
    "own" takes the pooled one. Sample weights stand for repeated rows; where they sum up to no more than the number of
    classes, no degree of freedom is subtracted.

    References
    ----------
    R. A. Fisher, "The Use of Multiple Measurements in Taxonomic Problems", Annals of Eugenics 7, 1936, in the words of
    G. Taguchi, R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0], [2.0], [3.0], [7.0], [8.0], [9.0]])
    >>> model = UnitSpaceClassifier().fit(X, [1, 1, 1, 5, 5, 5])
    >>> model.predict([[2.5], [6.0]]).tolist()
    [1, 5]
    >>> model.distance([[4.0]]).tolist()
    [[2.0, 4.0]]
    >>> model.expected_class([[4.9], [5.0]]).round(2).tolist()
    [2.42, 3.0]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "covariance": [StrOptions({"shrunk", "pooled", "own"})],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "prior": [StrOptions({"empirical", "uniform"})],
    }

    def __init__(self, covariance: str = "shrunk", shrinkage: str | float = "auto", prior: str = "empirical"):
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.prior = prior

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn the unit space of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The classes.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; a row of weight 0 counts as absent.

        Returns
        -------
        self : UnitSpaceClassifier

        Raises
        ------
        ValueError
            If `y` holds no classes but a continuous target, or if a weight is negative or all of them are 0.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=FLOATS)
        check_classification_targets(y)
        weight, rows = None, np.arange(len(y))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            rows = np.flatnonzero(weight)
            # Newer scikit-learn has refused them by now.
            if not len(rows):
                raise ValueError(f"Sample weights are zero in all {len(y)} rows: give one row or more a weight.")
        self.classes_, codes = np.unique(y[rows], return_inverse=True)
        n, means, scatters = np.zeros(len(self.classes_)), np.zeros((len(self.classes_), X.shape[1])), []
        within = np.zeros((X.shape[1], X.shape[1]))
        for code in range(len(n)):
            members = rows[codes == code]
            n[code], means[code], scatter = unit_space_moments(X, members, None if weight is None else weight[members])
            within += scatter
            if self.covariance == "own":
                scatters.append(scatter)

        # From one of the means, so that rounding makes no variation of an item that is constant.
        center = means[0] + n @ (means - means[0]) / n.sum()
        total = within.diagonal() + n @ (means - center) ** 2
        carries = varies(total, n.sum(), center)
        items = np.ix_(carries, carries)
        lowest = EIGENVALUE_FLOOR * total[carries] / n.sum()
        shrinkage = 0.0 if self.covariance == "pooled" else self.shrinkage
        metrics = _metrics(n, within[items], [scatter[items] for scatter in scatters], lowest, shrinkage)

        self.means_, self.center_ = means, center
        self.class_prior_ = n / n.sum() if self.prior == "empirical" else np.full(len(n), 1 / len(n))
        self.scale_ = np.ones((len(metrics), X.shape[1]))
        self.scale_[:, carries] = [metric.sd for metric in metrics]
        self.root_ = np.zeros((len(metrics), X.shape[1], len(lowest)))
        self.root_[:, carries] = [metric.root for metric in metrics]
        self.log_det_ = np.array([metric.log_det for metric in metrics])
        self.shrinkage_ = np.array([metric.shrinkage for metric in metrics])
        self.coef_ = self.intercept_ = None
        if self.covariance != "own":
            centers = (means - center) / self.scale_[0] @ self.root_[0]
            self.coef_ = centers @ self.root_[0].T / self.scale_[0]
            # From the centre, so that a large offset of an item costs no digits.
            self._at_center = np.log(self.class_prior_) - (centers**2).sum(axis=1) / 2
            self.intercept_ = self._at_center - self.coef_ @ center
        return self

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
        squared = self._squared(X) / max(1, self.root_.shape[2])
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

    def _items(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return validate_data(self, X, dtype=FLOATS, reset=False)

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
            score = np.log(self.class_prior_) - (self._squared(X) + self.log_det_) / 2
        else:
            score = np.empty((len(X), len(self.classes_)))
            for block in blocks(*X.shape):
                score[block] = (X[block] - self.center_) @ self.coef_.T + self._at_center
        return np.clip(score, -_LARGEST, _LARGEST, out=score)

    def _squared(self, X: npt.NDArray[Any]) -> Array:
        """Return the squared distance from each class."""
        squared = np.empty((len(X), len(self.classes_)))
        for space, (scale, root) in enumerate(zip(self.scale_, self.root_, strict=True)):
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
