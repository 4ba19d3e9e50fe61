"""One unit space per class: a row belongs to the nearest one."""

from typing import Any, Literal, Self

import numpy as np

from pipeline.taguchi.base import Array, words
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.constant_items import ConstantItems
from pipeline.taguchi.shrinkage import SHRINKAGE, Shrinkage, oas_shrinkage, warn_of_few_rows
from pipeline.taguchi.unit_space_base import BaseUnitSpaces
from pipeline.taguchi.unit_space_metric import EIGENVALUE_FLOOR, unit_space_moments
from pipeline.taguchi.unit_space_rows import ClassRows, ClassSpaces, constant_in_rows, spaces_from_scatter
from pipeline.taguchi.unit_space_sums import constant_items, spaces_of, sums_of

_Covariance = Literal["shrunk", "pooled", "own"]
_Prior = Literal["empirical", "uniform"]


# Standard deviations, the root that inverts the (shrunk) correlation matrix as ``root @ root.T``, the logarithm of the
# covariance's determinant, and the shrinkage.
_Metric = tuple[Array, Array, float, float]


def _scatters(data: ClassRows, keep: bool) -> tuple[ClassSpaces, Array, list[Array]]:
    """Return the unit spaces, their centred sums of products in total, and those of each class if they are to be kept.

    Both have shape (n_items, n_items).
    """
    n_items = data.X.shape[1]
    sizes, class_means, scatters, within = [], [], [], np.zeros((n_items, n_items))
    for rows in data.by_class():
        size, mean, scatter = unit_space_moments(rows.X, rows.rows, rows.weight)
        sizes.append(size)
        class_means.append(mean)
        within += scatter
        if keep:
            scatters.append(scatter)
    return spaces_from_scatter(np.array(sizes), np.array(class_means), within), within, scatters


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
    return sd, V / np.sqrt(eigenvalues), log_det, float(shrinkage)


def _metrics(spaces: ClassSpaces, within: Array, scatters: list[Array], shrinkage: str | float) -> list[_Metric]:
    """Return the metric of each class whose scatter is given, or the pooled one alone if none is.

    `within` is the sum of all scatters.
    """
    carries = spaces.carries
    items, lowest, variance = np.ix_(carries, carries), spaces.lowest[carries], spaces.variance[carries]
    freedom = max(spaces.n.sum() - len(spaces.n), 0)
    pooled = _metric(within[items] / spaces.freedom, variance, freedom, shrinkage)

    def of_class(rows: float, scatter: Array) -> _Metric:
        if rows <= 1:
            return pooled
        covariance = scatter[items] / (rows - 1)
        in_class = np.where(covariance.diagonal() > lowest, covariance.diagonal(), variance)
        return _metric(covariance, in_class, rows - 1, shrinkage)

    return list(map(of_class, spaces.n, scatters)) or [pooled]


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
    know_how : ClassMoments, default=None
        Sums over rows from elsewhere, added to those of the rows in `fit`: ``counting_as(30)`` makes them count as 30
        rows. Classes, their shares and their covariances are those of both together; as with weights, both should
        count as many more rows than there are classes.
    limit_items : bool, default=False
        As in `TMethodRegressor`, for probabilities and what follows from them. `distance` has no limits: it is there
        to find rows that lie far away.

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
    constant_items_ : ndarray of int of shape (n_constant_items,)
        Columns of the items that are constant over all rows: they count for no class.
    item_limits_ : ndarray of shape (2, n_features_in_) or None
        Smallest and largest value with which each item is read; None without `limit_items`.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    Shifting or scaling an item changes nothing. An item that is constant over all rows has no weight:
    it tells no class from another, and `distance` warns of new rows that differ in it. A `UserWarning` of the fit tells
    that a covariance is not shrunk though it has few rows for its items. An item, or a
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

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "covariance": [words(_Covariance)],
        "shrinkage": SHRINKAGE,
        "prior": [words(_Prior)],
        "limit_items": ["boolean"],
        "know_how": [None, ClassMoments],
    }

    shrinkage_: Array

    def __init__(
        self,
        covariance: _Covariance = "shrunk",
        shrinkage: Shrinkage = "auto",
        prior: _Prior = "empirical",
        know_how: ClassMoments | None = None,
        limit_items: bool = False,
    ):
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.prior = prior
        self.know_how = know_how
        self.limit_items = limit_items

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
            If `y` holds no classes but a continuous target, or if a weight is negative or all of them are 0; with
            `know_how` also if the classes are no numbers, the items are others or to be limited.
        """
        self._validate_params()
        data = self._class_rows(X, y, sample_weight)
        if self.know_how is not None:
            data = self._known_classes(data, self.know_how)
            return self._learn_sums(sums_of(data, self.classes_) + self.know_how)
        spaces, within, scatters = _scatters(data, keep=self.covariance == "own")
        return self._learn(spaces, within, scatters, constant_in_rows(data, spaces))

    def fit_moments(self, moments: ClassMoments) -> Self:
        """Learn from sums that were made elsewhere, without a row.

        Parameters
        ----------
        moments : ClassMoments
            From `class_moments`, added up.

        Returns
        -------
        self : UnitSpaceClassifier

        Raises
        ------
        ValueError
            If they are of another kind, or if there is `know_how`, which is part of the total here.
        """
        self._validate_params()
        self._take_sums(moments, self.know_how)
        return self._learn_sums(moments)

    def _learn_sums(self, sums: ClassMoments) -> Self:
        """Store what follows from the sums of all classes."""
        spaces, within = spaces_of(sums)
        scatters = list(sums.grams) if self.covariance == "own" else []
        return self._learn(spaces, within, scatters, constant_items(sums, spaces))

    def _learn(self, spaces: ClassSpaces, within: Array, scatters: list[Array], constant: ConstantItems) -> Self:
        """Store the metrics of the unit spaces, and what follows from them."""
        metrics = _metrics(spaces, within, scatters, 0.0 if self.covariance == "pooled" else self.shrinkage)
        scale, root, log_det, shrinkage = zip(*metrics, strict=True)
        self._store_spaces(spaces, constant, self.prior)
        self._warn_of_few_rows(spaces, shrinkage)
        self.scale_ = np.ones((len(metrics), len(within)))
        self.scale_[:, spaces.carries] = scale
        self._root = np.zeros((len(metrics), len(within), int(spaces.carries.sum())))
        self._root[:, spaces.carries] = root
        self.log_det_, self.shrinkage_ = np.array(log_det), np.array(shrinkage)
        self.coef_ = self.intercept_ = None
        if self.covariance != "own":
            centers = (spaces.means - spaces.center) / self.scale_[0] @ self._root[0]
            at_center = np.log(self.class_prior_) - (centers**2).sum(axis=1) / 2
            self._store_weights(centers @ self._root[0].T / self.scale_[0], at_center)
        return self

    def _warn_of_few_rows(self, spaces: ClassSpaces, shrinkage: tuple[float, ...]) -> None:
        """Warn where a covariance that is not shrunk has few rows: the smallest, where there is one for each class."""
        # A class with a single row takes the pooled one.
        sizes = spaces.n[spaces.n > 1] if self.covariance == "own" else np.array([spaces.n.sum()])
        if not any(shrinkage) and len(sizes):
            means = 1 if self.covariance == "own" else len(spaces.n)
            otherwise = " with covariance='shrunk'" if self.covariance == "pooled" else ""
            warn_of_few_rows(sizes.min(), sizes.min() - means, int(spaces.carries.sum()), otherwise)
