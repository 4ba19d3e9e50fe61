"""MSR: multiple single regression, the T-method's idea turned round and repeated on the residual."""

from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import (
    EPS,
    LEAST_SQUARES,
    OVERFLOW,
    OVERFLOW_OF_TARGET,
    UNDERFLOW_OF_TARGET,
    Array,
    Floating,
    ItemEstimator,
    by_block,
    rounded,
)
from pipeline.taguchi.intervals import IntervalMixin, held_out_errors
from pipeline.taguchi.item_range import find_item_range, limited
from pipeline.taguchi.unit_space_rule import warn_of_far_target


class MSRRegressor(RegressorMixin, IntervalMixin, ItemEstimator):
    r"""Multiple single regression: single regressions of the target on each item, averaged, and again on the residual.

    With the residual z (the centred target at first) every item j gives a regression of z on x_j, with slope
    :math:`b_j = L_j/r_j` from :math:`L_j = \sum x_{ij} z_i` and :math:`r_j = \sum x_{ij}^2`. The coefficients grow by

    .. math:: b_j \, \eta_j / \sum_k \eta_k, \quad \eta_j = \sqrt{S_{\beta j} / S_{ej}}, \quad
              S_{\beta j} = L_j^2/r_j, \; S_{ej} = \sum z_i^2 - S_{\beta j} ,

    until the squared error in an inner cross-validation falls by less than the share `tol`. No equation system is
    solved. Where the T-method regresses items on the target, this one regresses the target on items, so that the
    estimate is not over-dispersed.

    Parameters
    ----------
    tol : float, default=1e-4
        Stop once the cross-validated squared error falls by no more than this share of itself.
    max_iter : int, default=1000
        Steps at most.
    limit_items : bool, default=False
        As in `TMethodRegressor`.
    interval : None or "conformal", default=None
        As in `TMethodRegressor`.

    Attributes
    ----------
    center_ : ndarray of shape (n_features_in_,)
        Mean of each item.
    target_center_ : float
        Mean of the target.
    coef_ : ndarray of shape (n_features_in_,)
        Units of the target per unit of the item.
    intercept_ : float
        The estimate where every item is 0: ``intercept_ + X @ coef_`` is the prediction.
    n_iter_ : int
        Steps made.
    item_limits_ : ndarray of shape (2, n_features_in_) or None
        As in `TMethodRegressor`.
    held_out_errors_, held_out_weights_ : ndarray of shape (n_samples,)
        As in `TMethodRegressor`.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    Up to 50 rows the inner cross-validation leaves one out; beyond, the rows are sorted by the target and dealt out to
    5 to 50 folds. All folds advance together: a step is two matrix products over the data.

    References
    ----------
    M. Maeda, "T-hou (1) no kangaekata o riyou shita atarashii kaiki shuhou no teian" (a new regression method by the
    idea of the T(1) method), Hinshitsu 47(2), 2017.

    Examples
    --------
    >>> X = [[1.0, 5.0], [2.0, 3.0], [3.0, 6.0], [4.0, 2.0], [5.0, 4.0]]
    >>> model = MSRRegressor().fit(X, [2.0, 4.1, 5.9, 8.0, 10.0])
    >>> model.predict([[2.5, 4.0]]).round(1).tolist()
    [5.0]
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "tol": [Interval(Real, 0, 1, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "limit_items": ["boolean"],
        "interval": [None, StrOptions({"conformal"})],
    }

    _interval_kinds = ("conformal",)

    center_: Array
    target_center_: float

    def __init__(
        self,
        tol: float = 1e-4,
        max_iter: int = 1000,
        limit_items: bool = False,
        interval: Literal["conformal"] | None = None,
    ):
        self.tol = tol
        self.max_iter = max_iter
        self.limit_items = limit_items
        self.interval = interval

    @property
    def intercept_(self) -> float:
        """The estimate where every item is 0: ``intercept_ + X @ coef_`` is the prediction."""
        return self.target_center_ - float(self.center_ @ self.coef_.astype(np.float64))

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the coefficients.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The target.

        Returns
        -------
        self : MSRRegressor

        Raises
        ------
        ValueError
            If X or y holds values whose squares overflow, or those of y underflow; with ``interval="conformal"`` also
            if the rows do not suffice when some are held out.
        """
        self._validate_params()
        X, y = self._check_items(X, y, y_numeric=True, ensure_min_samples=2, reset=True)
        self._forget()
        n = len(y)
        # An overflow shows in the sums, which are checked.
        with np.errstate(over="ignore", invalid="ignore"):
            center, target_center = X.mean(axis=0, dtype=np.float64), float(np.mean(y, dtype=np.float64))
            items, target = X - center, y - target_center
            scale = np.sqrt(np.einsum("ij,ij->j", items, items) / n)
            spread = float(target @ target)
        if not np.isfinite(scale).all():
            raise ValueError(OVERFLOW)
        if not np.isfinite(spread):
            raise ValueError(OVERFLOW_OF_TARGET)
        if spread < LEAST_SQUARES and (y != y[0]).any():
            raise ValueError(UNDERFLOW_OF_TARGET)
        warn_of_far_target((float(y.min()), float(y.max())), target_center, spread, n, stacklevel=3)
        # A constant item, up to the rounding of its mean, has no slope.
        scale[scale <= 4 * np.finfo(X.dtype).eps * np.abs(center)] = np.inf
        items /= scale
        n_folds = n if n <= 50 else 2250 // n + 5
        # The last column trains on every row: it is the model, the others tell when to stop.
        rank = np.empty(n, dtype=np.intp)
        rank[np.argsort(y, kind="stable")] = np.arange(n)
        train = rank[:, None] % n_folds != np.arange(n_folds + 1)
        held_out = held_out_errors(self, X, y) if self.interval else None
        coef, self.n_iter_ = _advance(items, target, train.astype(np.float64), self.tol, self.max_iter)
        self.center_, self.target_center_ = center, target_center
        self.coef_ = rounded(coef / scale, X.dtype)
        self.item_limits_ = find_item_range(X).limits() if self.limit_items else None
        self._keep_interval(held_out=held_out)
        return self

    def _predictions(self, X: Any) -> Floating:
        check_is_fitted(self, "coef_")
        X, coef = limited(self._check_items(X), self.item_limits_), self.coef_.astype(np.float64)
        y_pred = by_block(lambda rows: self.target_center_ + (rows - self.center_) @ coef, X)
        return y_pred.astype(X.dtype, copy=False)


def _advance(X: Array, y: Array, train: Array, tol: float, max_iter: int) -> tuple[Array, int]:
    """Return the coefficients of the last training set and the number of steps.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_items)
        Items with mean 0.
    y : ndarray of shape (n_samples,)
        Target with mean 0.
    train : ndarray of shape (n_samples, n_folds + 1)
        1 for the rows on which a column is fitted, 0 for those on which it is tested; the last is fitted on all.
    """
    sizes = train.sum(axis=0)
    x_means, y_means = (X.T @ train) / sizes, (y @ train) / sizes
    r = np.maximum((X**2).T @ train - sizes * x_means**2, 0)
    # Without this one row the item may be constant.
    flat = r <= len(X) * EPS * np.maximum(r[:, -1:], EPS)
    test = 1 - train

    def residuals(coef: Array) -> Array:
        return (y[:, None] - y_means) - (X @ coef - np.einsum("jf,jf->f", x_means, coef))

    coef = np.zeros_like(x_means)
    z = residuals(coef)
    error = float(((z * test) ** 2).sum())
    for step in range(max_iter):
        z *= train
        zz = np.einsum("if,if->f", z, z)
        L = np.where(flat, 0, X.T @ z)
        b = np.divide(L, r, out=np.zeros_like(L), where=~flat)
        S_beta = b * L
        eta = np.sqrt(S_beta / np.maximum(zz - S_beta, len(X) * EPS * np.where(zz > 0, zz, 1)))
        total = eta.sum(axis=0)
        advanced = coef + b * np.divide(eta, total, out=np.zeros_like(eta), where=total > 0)
        z = residuals(advanced)
        smaller = float(((z * test) ** 2).sum())
        if not smaller < error:
            return coef[:, -1], step
        coef = advanced
        if error - smaller <= tol * error:
            return coef[:, -1], step + 1
        error = smaller
    return coef[:, -1], max_iter
