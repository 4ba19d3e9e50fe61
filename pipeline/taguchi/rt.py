"""RT, the recognition-Taguchi method: how far a row follows the unit space's pattern, and how far it strays from it."""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import AnyArray, Array, Floating, Mask, by_block, words
from pipeline.taguchi.constant_items import find_constant
from pipeline.taguchi.distance_contributions import terms
from pipeline.taguchi.threshold_detector import ThresholdDetector
from pipeline.taguchi.thresholds import FALSE_ALARM_RATE, THRESHOLD, Threshold, normal_limit
from pipeline.taguchi.unit_space_metric import unit_space_metric, unit_space_moments, varies

_Matrix = Literal["inverse", "adjoint"]
_COLUMNS = ["y1", "y2", "distance"]


def rt_variables(X: AnyArray, pattern: Array) -> Array:
    r"""Return the two variables of the RT method: how far a row follows a pattern, and how far it strays from it.

    With the p items x of a row and the mean vector m of a unit space,

    .. math:: r = m \cdot m,\; \beta = x \cdot m / r,\; V_e = (x \cdot x - r \beta^2)/(p - 1),\;
              Y_1 = \beta,\; Y_2 = \sqrt{V_e} .

    Parameters
    ----------
    X : ndarray of shape (n_rows, p), float32 or float64
        Two items or more.
    pattern : ndarray of shape (p,)
        m; where it is 0, Y1 is 0 and Y2 the root mean square of the row, with p - 1 for p.

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


class RTMethod(TransformerMixin, ThresholdDetector):
    r"""The recognition-Taguchi method RT, also T(3): all items of a row in two numbers, and their distance.

    Every row given to `fit` belongs to the unit space. A row x of p items is compared with the unit space's mean m, as
    a whole pattern, by the zero-point proportional equation

    .. math:: r = m'm,\; \beta = x'm/r,\; V_e = (x'x - r\beta^2)/(p-1),\; Y_1 = \beta,\; Y_2 = \sqrt{V_e}

    and (Y1, Y2) is measured from its mean over the unit space. With d the deviation and C the covariance matrix (n - 1)
    of (Y1, Y2) over the unit space, the distance is :math:`D = \sqrt{d' A d / 2}`.

    Parameters
    ----------
    threshold : float, "quantile", "f" or "roc", default=4.0
        The largest distance of an inlier. A number is in units of the chosen distance. As in `MahalanobisTaguchi`,
        "quantile" is what a new ordinary row exceeds with probability `false_alarm_rate`, "f" what it exceeds with that
        probability if (Y1, Y2) is normal, and "roc" the largest detection rate less false alarm rate. With few rows
        take "quantile" in place of "f", see Notes.
    matrix : {"inverse", "adjoint"}, default="inverse"
        The matrix A. "inverse": the inverse of C; a Mahalanobis distance without unit, about 1 for an ordinary row.
        "adjoint": the adjoint of C, the textbook's form; the distance of "inverse" times :math:`\sqrt{\det C}`. It
        orders the rows alike, has a unit, needs another threshold, and is also defined where Y1 or Y2 is constant.
    false_alarm_rate : float, default=0.05
        Share of new ordinary rows that "quantile" and "f" call outliers, on average over unit spaces.

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
    constant_variables_ : ndarray of str
        Which of "y1" and "y2" is constant in the unit space and does not count in the distance: "y2" where all rows are
        multiples of one pattern. A row that differs in it is an outlier. None with "adjoint", which counts it.
    threshold_ : float
        The largest distance of an inlier.
    operating_characteristic_ : DataFrame or None
        With `abnormal` rows in `fit`: false alarm and detection rates at all thresholds, as
        `operating_characteristic` gives them. For it, as for "quantile" and "roc", the unit space's rows are dealt to
        20 fixed folds, each measured by the others.
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
    The pattern m is the mean of the unit space's rows, so that Y2 of these rows comes out smaller than that of new
    ones. "f" does not know that: where it promises 5% false alarms, normal items give 8% with 20 rows of 50 items, 12%
    with 20 rows of 200, and 5% with 200 rows of 200. "quantile" measures each row by the others.

    References
    ----------
    S. Teshima, Y. Hasegawa, K. Tatebayashi, "Quality Recognition and Prediction: Smarter Pattern Technology with the
    Mahalanobis-Taguchi System", Momentum Press, 2012. Y1 and Y2 agree with the R package MTSYS 1.2.0 (function ``RT``),
    whose distance applies an inverse correlation matrix to deviations that are not standardised.

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

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's form
        "threshold": THRESHOLD,
        "matrix": [words(_Matrix)],
        "false_alarm_rate": FALSE_ALARM_RATE,
    }

    center_: Array

    def __init__(self, threshold: Threshold = 4.0, matrix: _Matrix = "inverse", false_alarm_rate: float = 0.05):
        self.threshold = threshold
        self.matrix = matrix
        self.false_alarm_rate = false_alarm_rate

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None, abnormal: Any = None) -> Self:
        """Learn the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Two or more items of two or more ordinary rows.
        y : None
            Ignored.
        abnormal : array-like of shape (n_abnormal, n_features), default=None
            Rows known to be abnormal, for "roc" and `operating_characteristic_`. They are no part of the unit space.
            In a scikit-learn pipeline: ``set_fit_request(abnormal=True)``, and ``transform_input=["abnormal"]``.

        Returns
        -------
        self : RTMethod

        Raises
        ------
        ValueError
            If the mean of every item is 0 (as after standardising), if there is one item only, if neither Y1 nor Y2
            varies, or if the threshold needs more rows or abnormal rows. The model is then not fitted, whatever it was
            before.
        """
        self._fit(X, abnormal, ensure_min_features=2)
        return self

    def _learn(self, X: Any) -> None:
        self.center_ = X.mean(axis=0, dtype=np.float64)
        with np.errstate(over="ignore"):
            self.effective_divider_ = float(self.center_ @ self.center_)
        rounding = 4 * float(np.finfo(X.dtype).eps) * max(float(X.max()), -float(X.min()))
        if not np.sqrt(self.effective_divider_ / X.shape[1]) > rounding:
            raise ValueError(
                f"The unit space's mean is 0 in all {X.shape[1]} items (r = {self.effective_divider_:g}): RT has no "
                "pattern to compare with. Give items that are not centred."
            )
        self._n_rows = len(X)
        Y = by_block(lambda rows: rt_variables(rows, self.center_), X)
        moments = unit_space_moments(Y, np.arange(len(Y)))
        carries = varies(moments.scatter.diagonal(), *moments[:2])
        if not carries.any():
            raise ValueError(
                f"All {len(Y)} rows of the unit space have the same Y1 ({Y[0, 0]:g}) and Y2 ({Y[0, 1]:g}): there is "
                "nothing to measure by. Give rows that differ."
            )
        self.y_mean_, self.y_cov_ = moments.mean, moments.scatter / (len(Y) - 1)
        if self.matrix == "inverse":
            scale, root, _ = unit_space_metric(moments, "mt")
            self.root_ = root / scale[:, None]
        else:
            s1, s2 = np.where(carries, np.sqrt(self.y_cov_.diagonal()), 0)
            rho = np.clip(self.y_cov_[0, 1] / (s1 * s2), -1, 1) if carries.all() else 0.0
            self.root_ = np.array([[s2, 0], [-rho * s1, np.sqrt(1 - rho**2) * s1]]) / np.sqrt(2)
        blind = ~carries & ~self.root_.any(axis=1)
        self._constant = find_constant(Y, blind, self.y_mean_)._replace(eps=float(np.finfo(X.dtype).eps))

    def _normal_threshold(self) -> float:
        p, n = self.root_.shape[1], self._n_rows
        if n < p + 2:
            raise ValueError(f"threshold='f' needs {p + 2} or more rows of the unit space, got {n}: give more rows.")
        if self.matrix == "adjoint" and np.linalg.det(self.y_cov_) <= 1e-12 * self.y_cov_.diagonal().prod():
            raise ValueError(
                "threshold='f' knows no distribution of matrix='adjoint' where Y1 and Y2 vary in one direction only: "
                "use matrix='inverse' or threshold='quantile'."
            )
        # The adjoint's distance is that of the inverse times a constant.
        size = np.sqrt((self.root_.T @ self.y_cov_ @ self.root_).trace())
        return float(size) * normal_limit(n, p, self.false_alarm_rate)

    def contributions(self, X: Any) -> Array:
        """Return what Y1 and Y2 add to the squared distance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        contributions : ndarray of shape (n_samples, 2)
            With d the deviations of Y1 and Y2, :math:`d_k (A d)_k / 2`: they sum up to the squared distance.

        Raises
        ------
        ValueError
            If the square of a distance exceeds float64's range, or is below it.
        """
        return self._squared_terms(self._new_items(X))

    def _terms(self, X: Any) -> tuple[Array, Array]:
        return terms(self._columns(X)[:, :2] - self.y_mean_, self.root_)

    def _term_names(self) -> npt.NDArray[np.object_]:
        return np.array(_COLUMNS[:2], dtype=object)

    @property
    def constant_variables_(self) -> npt.NDArray[np.object_]:
        """Names of the variables that are constant in the unit space and do not count in the distance."""
        return np.array(_COLUMNS, dtype=object)[self._constant.items]

    def _measured(self, X: Any) -> tuple[Floating, Mask]:
        columns = self._columns(X)
        return columns[:, 2].astype(X.dtype, copy=False), self._constant.differs(columns[:, :2])

    def _columns(self, X: Any) -> Array:
        Y = by_block(lambda rows: rt_variables(rows, self.center_), X)
        # A square may lie beyond float64's range; some processors warn of the product with infinity, too.
        with np.errstate(over="ignore", invalid="ignore"):
            distance = np.linalg.norm((Y - self.y_mean_) @ self.root_, axis=1)
        return np.column_stack([Y, np.where(np.isfinite(Y).all(axis=1), distance, np.inf)])

    def _constant_names(self) -> list[str]:
        return self.constant_variables_.tolist()

    def transform(self, X: Any) -> Floating:
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
        X = self._new_items(X)
        return self._columns(X).astype(X.dtype, copy=False)

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
        return np.array(_COLUMNS, dtype=object)
