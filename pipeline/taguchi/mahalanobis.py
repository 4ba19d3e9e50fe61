"""MT, MTA, SVP and RT: how far a row is from one group of ordinary rows, the unit space."""

from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi.decomposition import EPS
from pipeline.taguchi.integrated import blocks
from pipeline.taguchi.moments import Array

# Relative to the largest one, an eigenvalue of a correlation matrix below this is mostly rounding.
EIGENVALUE_FLOOR = 1e-12


class UnitSpace(NamedTuple):
    """Number of rows (or sum of weights), means and centred sums of products."""

    n: float
    mean: Array
    scatter: Array


def unit_space_moments(X: npt.NDArray[Any], rows: npt.NDArray[np.integer], weight: Array | None = None) -> UnitSpace:
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
    # What overflows on the way shows in the total, which is checked.
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(len(rows), n_features):
            deviation = X[rows[block]] - mean
            if weight is not None:
                deviation *= np.sqrt(weight[block])[:, None]
            scatter += deviation.T @ deviation
    if not np.isfinite(scatter.trace()):
        raise ValueError("Input X holds values whose squares overflow: scale the items down.")
    return UnitSpace(n, mean, scatter)


def varies(sum_of_squares: Array, n: float, mean: Array) -> npt.NDArray[np.bool_]:
    """Return which items vary by more than the rounding of their mean."""
    # Near the lower end of float64's range a square has lost its digits.
    return sum_of_squares > np.maximum(n * (4 * EPS * mean) ** 2, 1e-280)


def adjugate(matrix: npt.ArrayLike) -> Array:
    r"""Return the adjoint (transposed cofactor) matrix, also of a singular matrix.

    With the singular value decomposition :math:`M = U S V'`,

    .. math:: \mathrm{adj}(M) = \det(U)\det(V)\, V \,\mathrm{diag}\Big(\prod_{k \ne i} s_k\Big)\, U'

    so that ``adjugate(M) @ M = det(M) I`` at the cost of one decomposition. The products are taken as sums of
    logarithms; what is below float64's range becomes 0.

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
    """Return, for each value, the logarithm of the product of all the others; -inf where that holds a zero."""
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    # Sums from both ends: subtracting a logarithm from the total fails where a value is zero.
    before = np.concatenate([[0], np.cumsum(logs[:-1])])
    after = np.concatenate([[0], np.cumsum(logs[:0:-1])])[::-1]
    return before + after


class _Metric(NamedTuple):
    """How to measure deviations: divide by `scale`, multiply by `root`, take the length."""

    scale: Array
    root: Array


def _metric(moments: UnitSpace, method: str) -> _Metric:
    """Return the metric of "mt", "mta" or "svp" over the items that vary; all others have zero rows in `root`."""
    n, mean, scatter = moments
    carries = varies(scatter.diagonal(), n, mean)
    p = int(carries.sum())
    if p == 0:
        raise ValueError(
            f"All {len(mean)} items are constant in the unit space of {n:g} rows: there is nothing to measure by. "
            "Give rows that differ."
        )
    scale = np.ones(len(mean))
    scale[carries] = np.sqrt(scatter.diagonal()[carries] / (n - 1))
    root = np.zeros((len(mean), p))
    if method == "svp":
        root[carries] = np.eye(p) / np.sqrt(p)
        return _Metric(scale, root)
    s = scale[carries]
    R = scatter[np.ix_(carries, carries)] / (n - 1) / s / s[:, None]
    np.fill_diagonal(R, 1)
    eigenvalues, V = np.linalg.eigh(R)
    kept = eigenvalues > EIGENVALUE_FLOOR * eigenvalues[-1]
    if method == "mt":
        root = root[:, kept]
        root[carries] = V[:, kept] / np.sqrt(eigenvalues[kept] * kept.sum())
        return _Metric(scale, root)
    # The halved logarithm is that of a distance: it stays in range where the adjoint itself has left it.
    root[carries] = V * np.exp(_log_products_of_others(np.where(kept, eigenvalues, 0)) / 2) / np.sqrt(p)
    if not root.any():
        raise ValueError(
            f"The adjoint of the correlation matrix of {p} items is zero (rank {kept.sum()}): method='mta' allows one "
            "collinearity. Remove collinear items, give more rows or use method='mt'."
        )
    return _Metric(scale, root)


class _ThresholdDetector(OutlierMixin, BaseEstimator):
    """What every unit space with a `distance` and a `threshold` can say about a row."""

    def distance(self, X: Any) -> npt.NDArray[np.floating]:
        raise NotImplementedError

    def score_samples(self, X: Any) -> npt.NDArray[np.floating]:
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

    def decision_function(self, X: Any) -> npt.NDArray[np.floating]:
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


class MahalanobisTaguchi(_ThresholdDetector):
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
        The largest distance of an inlier, in units of the method's own distance D. The MD of many books is its square:
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
    than items the unit space's own distances are too small; "svp" is the choice then. The adjoint of
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

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "method": [StrOptions({"mt", "mta", "svp"})],
        "threshold": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, method: str = "mt", threshold: float = 4.0):
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
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        moments = unit_space_moments(X, np.arange(len(X)))
        self.center_ = moments.mean
        self.scale_, self.root_ = _metric(moments, self.method)
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
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        # The square of a small adjoint's root would vanish.
        size = np.abs(self.root_).max()
        root = self.root_ / size
        distance = np.empty(len(X))
        for block in blocks(*X.shape):
            distance[block] = size * np.linalg.norm((X[block] - self.center_) / self.scale_ @ root, axis=1)
        return distance


def rt_variables(X: npt.NDArray[Any], pattern: Array) -> Array:
    r"""Return both variables of the RT method: how far a row follows a pattern, and how far it strays from it.

    With the p items x of a row and the mean vector m of a unit space,

    .. math:: r = m \cdot m,\; \beta = x \cdot m / r,\; V_e = (x \cdot x - r \beta^2)/(p - 1),\;
              Y_1 = \beta,\; Y_2 = \sqrt{V_e} .

    Parameters
    ----------
    X : ndarray of shape (n_rows, p), float32 or float64
        Two items or more.
    pattern : ndarray of shape (p,)
        m; where it is 0, Y1 is 0 and Y2 what is left.

    Returns
    -------
    Y : ndarray of shape (n_rows, 2)
        Y1 without unit; Y2 in units of the items, 0 where a row is a multiple of the pattern up to rounding.

    References
    ----------
    S. Teshima, Y. Hasegawa, K. Tatebayashi, "Quality Recognition and Prediction", Momentum Press, 2012.

    Examples
    --------
    >>> rt_variables(np.array([[2.0, 4.0], [1.0, 0.0]]), np.array([1.0, 2.0])).round(4).tolist()
    [[2.0, 0.0], [0.2, 0.8944]]
    """
    p, eps = X.shape[1], float(np.finfo(X.dtype).eps)
    with np.errstate(over="ignore", invalid="ignore"):
        rows, r = X.astype(np.float64), float(pattern @ pattern)
        beta = rows @ pattern / r if r > 0 else np.zeros(len(rows))
        # From the residual itself: x.x - r beta^2 would cancel.
        S_e = ((rows - np.outer(beta, pattern)) ** 2).sum(axis=1)
        S_e[S_e < (4 * p * eps) ** 2 * (rows**2).sum(axis=1)] = 0
    return np.column_stack([beta, np.sqrt(S_e / (p - 1))])


class RTMethod(TransformerMixin, _ThresholdDetector):
    r"""The recognition-Taguchi method RT, also T(3): all items of a row in two numbers, and their distance.

    Every row given to `fit` belongs to the unit space. A row x of p items is compared with the unit space's mean m, as
    a whole pattern, by the zero-point proportional equation

    .. math:: r = m'm,\; \beta = x'm/r,\; V_e = (x'x - r\beta^2)/(p-1),\; Y_1 = \beta,\; Y_2 = \sqrt{V_e}

    and the distance is that of (Y1, Y2) from the unit space, with C their covariance matrix (n - 1) in it:
    :math:`D = \sqrt{d' A d / 2}` for d the deviation from the mean.

    Parameters
    ----------
    threshold : float, default=4.0
        The largest distance of an inlier, in units of the chosen distance.
    matrix : {"inverse", "adjoint"}, default="inverse"
        The matrix A. "inverse": that of C, a Mahalanobis distance without unit, about 1 for an ordinary row.
        "adjoint": that of C, the textbook's form. It is the other one times :math:`\sqrt{\det C}`, so both order the
        rows alike, but it has a unit and needs a threshold of its own. It is also defined where Y1 or Y2 is constant.

    Attributes
    ----------
    center_ : ndarray of shape (n_features_in_,)
        Mean of each item over the unit space, the pattern m.
    effective_divider_ : float
        r, in squared units of the items.
    y_mean_, y_cov_ : ndarray of shape (2,) and (2, 2)
        Mean and covariance of (Y1, Y2) over the unit space.
    root_ : ndarray of shape (2, n_directions)
        ``root_ @ root_.T`` is A / 2.
    offset_ : float
        Minus the threshold: ``decision_function(X) = score_samples(X) - offset_``.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    The items are added up as they are: they must have one unit (grey values, counts, a spectrum), and an item with
    large values outweighs the others. Standardising them by the unit space makes m zero and leaves nothing to compare
    with; divide them by a fixed scale instead. Multiplying all items by one number changes Y2 by that number, and the
    distance of "inverse" not at all.

    References
    ----------
    S. Teshima, Y. Hasegawa, K. Tatebayashi, "Quality Recognition and Prediction: Smarter Pattern Technology with the
    Mahalanobis-Taguchi System", Momentum Press, 2012. Y1 and Y2 agree with the R package MTSYS 1.2.0 (function ``RT``),
    whose own distance applies an inverse correlation matrix to deviations that are not standardised.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.0, 3.1], [2.0, 4.1, 6.0], [3.0, 6.0, 8.8], [2.0, 3.8, 6.1]])
    >>> model = RTMethod().fit(X)
    >>> model.transform([[4.0, 8.0, 12.0]]).round(1).tolist()
    [[2.0, 0.0, 3.1]]
    >>> model.predict([[2.0, 4.0, 6.0], [6.0, 4.0, 2.0]]).tolist()
    [1, -1]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "threshold": [Interval(Real, 0, None, closed="left")],
        "matrix": [StrOptions({"inverse", "adjoint"})],
    }

    def __init__(self, threshold: float = 4.0, matrix: str = "inverse"):
        self.threshold = threshold
        self.matrix = matrix

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Two or more items of two or more ordinary rows.
        y : None
            Ignored.

        Returns
        -------
        self : RTMethod

        Raises
        ------
        ValueError
            If the mean of every item is 0 (as after standardising), if there is one item only, or if neither Y1 nor Y2
            varies.
        """
        self._validate_params()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2, ensure_min_features=2)
        self.center_ = X.mean(axis=0, dtype=np.float64)
        with np.errstate(over="ignore"):
            self.effective_divider_ = float(self.center_ @ self.center_)
        rounding = 4 * float(np.finfo(X.dtype).eps) * max(float(X.max()), -float(X.min()))
        if not np.sqrt(self.effective_divider_ / X.shape[1]) > rounding:
            raise ValueError(
                f"The unit space's mean is 0 in all {X.shape[1]} items (r = {self.effective_divider_:g}): RT has no "
                "pattern to compare with. Give items that are not centred."
            )
        Y = self._pattern(X)
        moments = unit_space_moments(Y, np.arange(len(Y)))
        carries = varies(moments.scatter.diagonal(), *moments[:2])
        if not carries.any():
            raise ValueError(
                f"All {len(Y)} rows of the unit space have the same Y1 ({Y[0, 0]:g}) and Y2 ({Y[0, 1]:g}): there is "
                "nothing to measure by. Give rows that differ."
            )
        self.y_mean_, self.y_cov_ = moments.mean, moments.scatter / (len(Y) - 1)
        if self.matrix == "inverse":
            scale, root = _metric(moments, "mt")
            self.root_ = root / scale[:, None]
        else:
            s1, s2 = np.where(carries, np.sqrt(self.y_cov_.diagonal()), 0)
            rho = np.clip(self.y_cov_[0, 1] / (s1 * s2), -1, 1) if carries.all() else 0.0
            self.root_ = np.array([[s2, 0], [-rho * s1, np.sqrt(1 - rho**2) * s1]]) / np.sqrt(2)
        self.offset_ = -float(self.threshold)
        return self

    def distance(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the distance of (Y1, Y2) from the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples,), float32 for float32 items
            Without unit for "inverse", in units of the items for "adjoint"; not squared.
        """
        return self.transform(X)[:, 2]

    def transform(self, X: Any) -> npt.NDArray[np.floating]:
        """Return Y1, Y2 and the distance of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        Y : ndarray of shape (n_samples, 3), float32 for float32 items
            Y1 without unit, Y2 in units of the items, and ``distance(X)``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        Y = self._pattern(X)
        distance = np.linalg.norm((Y - self.y_mean_) @ self.root_, axis=1)
        return np.column_stack([Y, distance]).astype(X.dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of shape (3,), object
            "y1", "y2" and "distance".
        """
        check_is_fitted(self)
        return np.array(["y1", "y2", "distance"], dtype=object)

    def _pattern(self, X: npt.NDArray[Any]) -> Array:
        """Return Y1 and Y2 of each row."""
        Y = np.empty((len(X), 2))
        for block in blocks(*X.shape):
            Y[block] = rt_variables(X[block], self.center_)
        return Y
