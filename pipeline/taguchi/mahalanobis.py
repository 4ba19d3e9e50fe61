"""MT, MTA and SVP: how far a row is from one group of ordinary rows, the unit space."""

import warnings
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval

from pipeline.taguchi.base import EPS, OVERFLOW, Array, Floating, Indices, ItemEstimator, Mask, blocks, by_block, words
from pipeline.taguchi.constant_items import ConstantItems, describe, find_constant, item_name
from pipeline.taguchi.shrinkage import SHRINKAGE, Shrinkage, oas_shrinkage, shrink, warn_of_few_rows

# Relative to the largest one, an eigenvalue of a correlation matrix below this is mostly rounding.
EIGENVALUE_FLOOR = 1e-12

THRESHOLD = [Interval(Real, 0, None, closed="left")]

_Method = Literal["mt", "mta", "svp"]


class _UnitSpace(NamedTuple):
    """Number of rows (or sum of weights), means and centred sums of products."""

    n: float
    mean: Array
    scatter: Array


def unit_space_moments(X: npt.NDArray[Any], rows: Indices, weight: Array | None = None) -> _UnitSpace:
    """Return the moments of a unit space, in float64, block by block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The items.
    rows : ndarray of int of shape (n_rows,)
        Which rows are the unit space; one or more.
    weight : ndarray of shape (n_rows,), default=None
        How often each of these rows counts; None: once.

    Returns
    -------
    n : float
        Sum of the weights.
    mean : ndarray of shape (n_features,)
        Exact for an item that is constant.
    scatter : ndarray of shape (n_features, n_features)
        ``sum (x - mean)(x - mean)'``.

    Raises
    ------
    ValueError
        If X holds values whose squares overflow.

    Examples
    --------
    >>> n, mean, scatter = unit_space_moments(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([0, 1]))
    >>> n, mean.tolist(), scatter.tolist()
    (2.0, [2.0, 5.0], [[2.0, 0.0], [0.0, 0.0]])
    """
    n_features = X.shape[1]
    n = float(len(rows)) if weight is None else float(weight.sum())
    first = X[rows[0]].astype(np.float64)
    total, scatter = np.zeros(n_features), np.zeros((n_features, n_features))
    for block in blocks(len(rows), n_features):
        deviation = X[rows[block]] - first
        total += deviation.sum(axis=0) if weight is None else weight[block] @ deviation
    mean = first + total / n
    # An overflow on the way shows in the total, which is checked.
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(len(rows), n_features):
            deviation = X[rows[block]] - mean
            if weight is not None:
                deviation *= np.sqrt(weight[block])[:, None]
            scatter += deviation.T @ deviation
    if not np.isfinite(scatter.trace()):
        raise ValueError(OVERFLOW)
    return _UnitSpace(n, mean, scatter)


def varies(sum_of_squares: Array, n: float, mean: Array) -> npt.NDArray[np.bool_]:
    """Return which items vary by more than the rounding of their mean."""
    # Near the lower end of float64's range a square has lost its digits.
    return sum_of_squares > np.maximum(n * (4 * EPS * mean) ** 2, 1e-280)


def adjugate(matrix: npt.ArrayLike) -> Array:
    r"""Return the adjoint (transposed cofactor) matrix, also of a singular matrix.

    With the singular value decomposition :math:`M = U S V'`,

    .. math:: \mathrm{adj}(M) = \det(U)\det(V)\, V \,\mathrm{diag}\Big(\prod_{k \ne i} s_k\Big)\, U'

    so that ``adjugate(M) @ M = det(M) I`` at the cost of one decomposition. The products are taken as sums of
    logarithms; a product below float64's range becomes 0.

    Parameters
    ----------
    matrix : array-like of shape (n, n)
        A square matrix of real numbers.

    Returns
    -------
    adjoint : ndarray of shape (n, n)
        In units of the (n - 1)th power of the matrix.

    Raises
    ------
    ValueError
        If the matrix is not square or holds values that are not finite.
    OverflowError
        If the adjoint exceeds float64's range.

    Examples
    --------
    >>> adjugate([[1.0, 2.0], [3.0, 4.0]]).round(6).tolist()
    [[4.0, -2.0], [-3.0, 1.0]]
    """
    M: Array = check_array(matrix, dtype=np.float64, input_name="matrix")
    if M.shape[0] != M.shape[1]:
        raise ValueError(f"adjugate needs a square matrix, got shape {M.shape}.")
    U, s, Vt = np.linalg.svd(M)
    with np.errstate(over="ignore"):
        products = np.exp(_log_products_of_others(s))
    if not np.isfinite(products).all():
        raise OverflowError(
            f"The adjoint of this {len(s)} x {len(s)} matrix exceeds float64: divide the matrix by {s[0]:g} first."
        )
    sign = np.linalg.slogdet(U)[0] * np.linalg.slogdet(Vt)[0]
    return sign * (Vt.T * products) @ U.T


def _log_products_of_others(values: Array) -> Array:
    """Return, for each value, the logarithm of the product of all others; -inf where one of them is 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    # Sums from both ends: subtracting a logarithm from the total fails where a value is zero.
    before = np.concatenate([[0], np.cumsum(logs[:-1])])
    after = np.concatenate([[0], np.cumsum(logs[:0:-1])])[::-1]
    return before + after


class _Metric(NamedTuple):
    """How a deviation is measured: divide by a scale, multiply by a root, take the length.

    Items that do not vary have zero rows in the root. `shrinkage` is what was used.
    """

    scale: Array
    root: Array
    shrinkage: float


def unit_space_metric(moments: _UnitSpace, method: _Method, shrinkage: Shrinkage = 0.0) -> _Metric:
    """Return how "mt", "mta" or "svp" measures a deviation."""
    n, mean, scatter = moments
    carries = varies(scatter.diagonal(), n, mean)
    p = int(carries.sum())
    if p == 0:
        raise ValueError(
            f"All {len(mean)} items are constant in the unit space of {n:g} rows: there is nothing to measure by. "
            "Give rows that differ."
        )
    scale = np.where(carries, np.sqrt(scatter.diagonal() / (n - 1)), 1.0)
    if method == "svp":
        directions, shrinkage = np.eye(p) / np.sqrt(p), 0.0
    else:
        s = scale[carries]
        R = scatter[np.ix_(carries, carries)] / (n - 1) / s / s[:, None]
        np.fill_diagonal(R, 1)
        if shrinkage == "auto":
            shrinkage = oas_shrinkage(R, n - 1)
        directions = _directions(shrink(R, float(shrinkage)), method)
    root = np.zeros((len(mean), directions.shape[1]))
    root[carries] = directions
    return _Metric(scale, root, float(shrinkage))


def _directions(R: Array, method: _Method) -> Array:
    """Return A with ``A @ A.T`` the inverse ("mt") or adjoint ("mta") of a correlation matrix, divided by p."""
    eigenvalues, V = np.linalg.eigh(R)
    kept = eigenvalues > EIGENVALUE_FLOOR * eigenvalues[-1]
    if method == "mt":
        return V[:, kept] / np.sqrt(eigenvalues[kept] * kept.sum())
    # Halved, the logarithm belongs to a distance, which stays in float64's range where the adjoint does not.
    directions = V * np.exp(_log_products_of_others(np.where(kept, eigenvalues, 0)) / 2) / np.sqrt(len(R))
    if not directions.any():
        raise ValueError(
            f"The adjoint of the correlation matrix of {len(R)} items is zero (rank {kept.sum()}): method='mta' allows "
            "one collinearity. Remove collinear items, give more rows or use method='mt'."
        )
    return directions


class ThresholdDetector(OutlierMixin, ItemEstimator, ABC):
    """Distances, scores and labels of a unit space that has a threshold.

    A row that differs in what is constant in the unit space has no distance in that direction: it is an outlier
    whatever the others say.
    """

    offset_: float
    _constant: ConstantItems

    @abstractmethod
    def _measured(self, X: Any) -> tuple[Floating, Mask]:
        """Return the distance of each checked row, and where it differs in each of the constant items."""

    @abstractmethod
    def _constant_names(self) -> list[str]:
        """Return what is constant, in the order of `_measured`."""

    def distance(self, X: Any) -> Floating:
        """Return the distance from the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            Not squared. What is constant in the unit space does not count; a `UserWarning` tells where a row differs
            in it, and `predict` calls that row an outlier.
        """
        return self._told(X)[0]

    def score_samples(self, X: Any) -> Floating:
        """Return minus the distance: the higher, the more ordinary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``-distance(X)``, and the lowest number there is where a row differs in what is constant in the unit space.
        """
        distance, differs = self._told(X)
        return np.where(differs.any(axis=1), np.finfo(distance.dtype).min, -distance)

    def decision_function(self, X: Any) -> Floating:
        """Return the threshold minus the distance: negative for an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Say of each row whether it is ordinary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 where the distance is at most the threshold (an inlier), -1 where it is more, or where the row differs in
            what is constant in the unit space (an outlier).
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def diagnosis(self, X: Any) -> pd.DataFrame:
        """Return why each row is ordinary or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        DataFrame
            One row for each row of X, with its index: `distance`; `differs_in`, the names of what is constant in the
            unit space and not so in this row, separated by commas; `ordinary`, whether the distance is within the
            threshold and nothing differs.
        """
        distance, differs = self._measured(self._new_items(X))
        names = np.array(self._constant_names(), dtype=object)
        differs_in = [", ".join(names[row]) for row in differs]
        ordinary = (distance <= -self.offset_) & ~differs.any(axis=1)
        columns = {"distance": distance, "differs_in": differs_in, "ordinary": ordinary}
        return pd.DataFrame(columns, index=X.index if isinstance(X, pd.DataFrame) else None)

    def _told(self, X: Any) -> tuple[Floating, Mask]:
        """Return what `_measured` returns, and warn of rows that differ."""
        distance, differs = self._measured(self._new_items(X))
        if differs.any():
            found = describe(differs, self._constant_names())
            warnings.warn(f"{found}: outliers whatever their distance. See diagnosis(X).", UserWarning, stacklevel=3)
        return distance, differs


class MahalanobisTaguchi(ThresholdDetector):
    r"""The Mahalanobis-Taguchi method: how far a row is from the unit space, all items taken together.

    Every row given to `fit` belongs to the unit space. With z the items, standardised by the unit space's means and
    standard deviations (n - 1), and R their correlation matrix,

    .. math:: D = \sqrt{z' A z / p}

    with :math:`A = R^{-1}` (MT), :math:`A = \mathrm{adj}(R)` (MTA) or :math:`A = I` (SVP). Over the unit space the
    mean of MT's and SVP's squared distance is (n - 1)/n, so an ordinary row is at about 1, whatever the items' units.

    Parameters
    ----------
    method : {"mt", "mta", "svp"}, default="mt"
        The matrix A. "mt": the inverse correlation matrix. "mta": its adjoint, which exists where one item is a
        combination of the others and then measures how far a row breaks that rule; otherwise its distance is that of
        MT times :math:`\sqrt{\det R}`, and so has no fixed size. "svp" (standardised variation pressure): no
        correlations.
    threshold : float, default=4.0
        The largest distance of an inlier, in units of the method's distance D. The MD of many books is its square:
        4 here is an MD of 16.
    shrinkage : "auto" or float in [0, 1], default=0.0
        How far R is shrunk to the identity, as in `UnitSpaceClassifier`: :math:`(1 - \lambda) R + \lambda I`. "auto"
        takes it from `oas_shrinkage`. Few rows for the items need it: without, the distances of new ordinary rows come
        out too large. "svp" has no correlations to shrink.

    Attributes
    ----------
    center_ : ndarray of shape (n_features_in_,)
        Mean of each item.
    scale_ : ndarray of shape (n_features_in_,)
        Standard deviation of each item; 1 where it is constant.
    root_ : ndarray of shape (n_features_in_, n_directions)
        ``root_ @ root_.T`` is A / p.
    matrix_ : ndarray of shape (n_features_in_, n_features_in_)
        A; zero in the rows and columns of constant items.
    constant_items_ : ndarray of int of shape (n_constant_items,)
        Columns of the items that are constant in the unit space.
    shrinkage_ : float
        The shrinkage that was used; 0 for "svp".
    offset_ : float
        Minus the threshold: ``decision_function(X) = score_samples(X) - offset_``.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    An item that is constant in the unit space has no standard deviation: it gets no weight and does not count in p. A
    row that differs in it is an outlier; `diagnosis` names the items.
    Where R is singular (collinear items, more items than rows), "mt" measures within the directions in which the unit
    space varies, by the pseudo-inverse, and p is their number: a duplicated item changes nothing. With few more rows
    than items the distances of the unit space's rows are too small and those of new ordinary rows too large: their
    squares have the mean :math:`(n^2 - 1) / (n (n - p - 2))` for normal items. A `UserWarning` tells where there are
    no more than 2 p rows; a shrinkage or "svp" is the choice then. The adjoint of
    hundreds of correlated items is a product of that many small numbers; distances are right down to 1e-308.

    References
    ----------
    G. Taguchi, R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002. Values agree with the R package
    MTSYS 1.2.0 (functions ``MT`` and ``MTA``).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, 7.8], [5.0, 10.0]])
    >>> model = MahalanobisTaguchi().fit(X)
    >>> model.predict([[3.0, 6.0], [3.0, 9.0]]).tolist()
    [1, -1]
    >>> model = MahalanobisTaguchi().fit(np.column_stack([X, np.zeros(5)]))
    >>> model.constant_items_.tolist(), model.diagnosis([[3.0, 6.0, 0.0], [3.0, 6.0, 0.5]])["differs_in"].tolist()
    ([2], ['', 'x2'])
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "method": [words(_Method)],
        "threshold": THRESHOLD,
        "shrinkage": SHRINKAGE,
    }

    def __init__(self, method: _Method = "mt", threshold: float = 4.0, shrinkage: Shrinkage = 0.0):
        self.method = method
        self.threshold = threshold
        self.shrinkage = shrinkage

    @property
    def constant_items_(self) -> Indices:
        """Columns of the items that are constant in the unit space."""
        return self._constant.items

    @property
    def matrix_(self) -> Array:
        """The matrix A of the quadratic form."""
        # MT's p is the number of directions, which `root_` has as columns with every method.
        return self.root_.shape[1] * self.root_ @ self.root_.T

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items of two or more ordinary rows.
        y : None
            Ignored.

        Returns
        -------
        self : MahalanobisTaguchi

        Raises
        ------
        ValueError
            If all items are constant, or if the adjoint is zero ("mta" with two or more collinearities).
        """
        self._validate_params()
        X = self._check_items(X, ensure_min_samples=2, reset=True)
        moments = unit_space_moments(X, np.arange(len(X)))
        self.center_ = moments.mean
        self.scale_, self.root_, self.shrinkage_ = unit_space_metric(moments, self.method, self.shrinkage)
        self._constant = find_constant(X, ~varies(moments.scatter.diagonal(), moments.n, moments.mean), moments.mean)
        if self.method != "svp" and self.shrinkage_ == 0:
            warn_of_few_rows(len(X), len(X) - 1, self.root_.shape[1], " or method='svp'")
        self.offset_ = -float(self.threshold)
        return self

    def _measured(self, X: Any) -> tuple[Array, Mask]:
        # The square of a small adjoint's root would vanish.
        size = np.abs(self.root_).max()
        root = self.root_ / size
        distance = by_block(lambda rows: size * np.linalg.norm((rows - self.center_) / self.scale_ @ root, axis=1), X)
        return distance, self._constant.differs(X)

    def _constant_names(self) -> list[str]:
        return [item_name(self, item) for item in self.constant_items_]
