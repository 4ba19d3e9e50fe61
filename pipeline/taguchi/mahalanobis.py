"""MT, MTA and SVP: how far a row is from one group of ordinary rows, the unit space."""

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import OutlierMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval

from pipeline.taguchi.base import EPS, OVERFLOW, Array, Floating, Indices, ItemEstimator, blocks, by_block, words

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


def unit_space_metric(moments: _UnitSpace, method: _Method) -> tuple[Array, Array]:
    """Return how "mt", "mta" or "svp" measures a deviation: divide by a scale, multiply by a root, take the length.

    Items that do not vary have zero rows in the root.
    """
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
        directions = np.eye(p) / np.sqrt(p)
    else:
        s = scale[carries]
        R = scatter[np.ix_(carries, carries)] / (n - 1) / s / s[:, None]
        np.fill_diagonal(R, 1)
        directions = _directions(R, method)
    root = np.zeros((len(mean), directions.shape[1]))
    root[carries] = directions
    return scale, root


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
    """Scores and labels of a unit space that has a `distance` and a `threshold`."""

    offset_: float

    @abstractmethod
    def distance(self, X: Any) -> Floating:
        """Return the distance of each row from the unit space."""

    def score_samples(self, X: Any) -> Floating:
        """Return minus the distance: the higher, the more ordinary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``-distance(X)``.
        """
        return -self.distance(X)

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
            1 where the distance is at most the threshold (an inlier), -1 where it is more (an outlier).
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)


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
    offset_ : float
        Minus the threshold: ``decision_function(X) = score_samples(X) - offset_``.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    An item that is constant in the unit space has no standard deviation: it gets no weight and does not count in p.
    Where R is singular (collinear items, more items than rows), "mt" measures within the directions in which the unit
    space varies, by the pseudo-inverse, and p is their number: a duplicated item changes nothing. With few more rows
    than items the distances of the unit space's rows are too small; "svp" is the choice then. The adjoint of
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
    """

    _parameter_constraints = {"method": [words(_Method)], "threshold": THRESHOLD}  # noqa: RUF012 - scikit-learn's form

    def __init__(self, method: _Method = "mt", threshold: float = 4.0):
        self.method = method
        self.threshold = threshold

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
        self.scale_, self.root_ = unit_space_metric(moments, self.method)
        self.offset_ = -float(self.threshold)
        return self

    def distance(self, X: Any) -> Array:
        """Return the distance from the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples,), float64
            In standard deviations for "mt" and "svp"; not squared.
        """
        X = self._new_items(X)
        # The square of a small adjoint's root would vanish.
        size = np.abs(self.root_).max()
        root = self.root_ / size
        return by_block(lambda rows: size * np.linalg.norm((rows - self.center_) / self.scale_ @ root, axis=1), X)
