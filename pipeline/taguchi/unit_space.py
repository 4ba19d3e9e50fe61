"""One unit space per class: a row belongs to the nearest one."""

from numbers import Real
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.taguchi.class_spaces import ClassSpaces, class_scatters
from pipeline.taguchi.mahalanobis import EIGENVALUE_FLOOR
from pipeline.taguchi.moments import Array
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.unit_space_base import BaseUnitSpaces

_Covariance = Literal["shrunk", "pooled", "own"]
_Prior = Literal["empirical", "uniform"]


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


def _metrics(spaces: ClassSpaces, within: Array, scatters: list[Array], shrinkage: str | float) -> list[_Metric]:
    """Return the metric of each class whose scatter is given, or the pooled one alone if none is.

    `within` is the sum of all scatters.
    """
    carries = spaces.carries
    items, lowest, variance = np.ix_(carries, carries), spaces.lowest[carries], spaces.variance[carries]
    freedom = max(spaces.n.sum() - len(spaces.n), 0)
    pooled = _metric(within[items] / spaces.freedom, variance, freedom, shrinkage)
    metrics = []
    for rows, scatter in zip(spaces.n, scatters, strict=False):
        if rows <= 1:
            metrics.append(pooled)
            continue
        covariance = scatter[items] / (rows - 1)
        in_class = covariance.diagonal()
        in_class = np.where(in_class > lowest, in_class, variance)
        metrics.append(_metric(covariance, in_class, rows - 1, shrinkage))
    return metrics or [pooled]


class UnitSpaceClassifier(BaseUnitSpaces):
    r"""One unit space per class: the probability of a class falls with the Mahalanobis distance from its centre.

    With :math:`m_c` the mean of class c and :math:`\Sigma` the covariance within the classes,

    .. math:: d_c^2 = (x - m_c)' \Sigma^{-1} (x - m_c),\quad
              P(c | x) \propto \pi_c \, |\Sigma_c|^{-1/2} \exp(-d_c^2 / 2)

    Sums over the rows and one eigendecomposition, no iteration. With a common covariance and ``prior="uniform"`` the
    most probable class is the nearest unit space: linear discriminant analysis. With one covariance per class, where
    the determinant also counts, it is quadratic discriminant analysis. Where classes are numbers, as stars are, the
    probabilities also give the expected and the median class.

    Parameters
    ----------
    covariance : {"shrunk", "pooled", "own"}, default="shrunk"
        "pooled": one covariance for all classes, of the rows around the mean of their class. "shrunk": the pooled one
        with its correlations shrunk towards 0; the standard deviations stay. "own": one covariance for each class,
        shrunk likewise. "pooled" needs many more rows than items, "own" needs them in every class.
    shrinkage : "auto" or float in [0, 1], default="auto"
        Share of the identity in the shrunk correlation matrix; "auto" takes it from `oas_shrinkage`. "pooled" uses
        none.
    prior : {"empirical", "uniform"}, default="empirical"
        Probability of a class before the row is seen: its share of the rows, or equal for all.

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
    becomes infinite. Where the rows of a class tell no variance, of one item or, with a single row, of all, "own"
    takes the pooled one. Sample weights stand for repeated rows; where they sum up to no more than the number of
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
        "covariance": [StrOptions(set(get_args(_Covariance)))],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "prior": [StrOptions(set(get_args(_Prior)))],
    }

    shrinkage_: Array

    def __init__(
        self,
        covariance: _Covariance = "shrunk",
        shrinkage: Literal["auto"] | float = "auto",
        prior: _Prior = "empirical",
    ):
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
        data = self._class_rows(X, y, sample_weight)
        spaces, within, scatters = class_scatters(data, keep=self.covariance == "own")
        shrinkage = 0.0 if self.covariance == "pooled" else self.shrinkage
        metrics = _metrics(spaces, within, scatters, shrinkage)
        self._store_spaces(spaces, self.prior)
        self.scale_ = np.ones((len(metrics), len(within)))
        self.scale_[:, spaces.carries] = [metric.sd for metric in metrics]
        self._root = np.zeros((len(metrics), len(within), int(spaces.carries.sum())))
        self._root[:, spaces.carries] = [metric.root for metric in metrics]
        self.log_det_ = np.array([metric.log_det for metric in metrics])
        self.shrinkage_ = np.array([metric.shrinkage for metric in metrics])
        self.coef_ = self.intercept_ = None
        if self.covariance != "own":
            centers = (spaces.means - spaces.center) / self.scale_[0] @ self._root[0]
            self._store_weights(centers @ self._root[0].T / self.scale_[0], (centers**2).sum(axis=1))
        return self

    @property
    def root_(self) -> Array:
        """Root of each inverse correlation matrix."""
        return self._root
