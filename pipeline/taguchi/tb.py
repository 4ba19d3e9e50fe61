"""Tb: the T-method in which every item takes the training row that suits it best as its origin."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pipeline.taguchi.base import EPS, AnyArray, Array, blocks, words
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.in_sample import error_of, too_few_rows
from pipeline.taguchi.integrated import Estimate, IntegratedEstimator, in_db
from pipeline.taguchi.intervals import IntervalKind, held_out_errors
from pipeline.taguchi.item_range import find_item_range
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.summation import CONSTANT_TARGET, NO_WEIGHT, check_weights, t_moments
from pipeline.taguchi.unit_space_rule import warn_of_far_target

# Origins whose S/N ratios differ by rounding only count as equal, and the first row of equals is taken.
_TIE = 1e-10


class TbRegressor(IntegratedEstimator):
    r"""Taguchi's Tb method: every item measures from the training row with which its S/N ratio is largest.

    Item and target are measured from that row, the item's origin :math:`(a_j, m_j)`; with the sensitivity
    :math:`\beta_j` and the S/N ratio :math:`\eta_j` over all rows the integrated estimate is

    .. math:: \hat{y} = M_0 + \sum_j \eta_j \frac{x_j - a_j}{\beta_j} / \sum_j \eta_j, \quad
              M_0 = \sum_j \eta_j m_j / \sum_j \eta_j .

    The S/N ratios of all n candidates follow from the sums about the mean: with the distances dx, dy of a candidate
    from the means and its residual :math:`e = dx - dy\, S_{xy}/S_{yy}` from the item's regression line,

    .. math:: r = S_{yy} + n\, dy^2, \; L = S_{xy} + n\, dx\, dy, \;
              S_e = S_{xx} - S_{xy}^2/S_{yy} + n\, e^2 S_{yy}/r ,

    so that they cost O(n_samples x n_features) where n fits would cost n times as much.

    Parameters
    ----------
    subtract_error : bool, default=True
        Whether the error variance is subtracted in the S/N ratio, as Taguchi does. As in the R package MTSYS, the
        origins and :math:`M_0` come from the S/N ratio with the subtraction in either case.
    limit_items : bool, default=False
        As in `TMethodRegressor`.
    interval : None, "sn_ratio" or "conformal", default=None
        As in `TMethodRegressor`; the signal rows are all rows, measured from :math:`M_0`.

    Attributes
    ----------
    origin_ : ndarray of int of shape (n_features_in_,)
        Training row that is the item's origin, the first of equally good ones; -1 where no row gives the item an S/N
        ratio above 0 (the origin is the mean then, and the weight 0).
    center_ : ndarray of shape (n_features_in_,)
        Value of the item at its origin.
    item_target_center_ : ndarray of shape (n_features_in_,)
        Target at the item's origin.
    target_center_ : float
        :math:`M_0`; the mean of the target where no item carries anything.
    beta_, eta_, sn_ratio_, coef_, weight_ : ndarray of shape (n_features_in_,)
        As in `TMethodRegressor`.
    intercept_ : float
        The estimate where every item is 0.
    item_limits_ : ndarray of shape (2, n_features_in_) or None
        As in `TMethodRegressor`.
    sigma_, degrees_of_freedom_, held_out_errors_, held_out_weights_
        As in `TMethodRegressor`.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    With a target of shape (n_samples, n_targets) every array has one axis more in front, one entry for each target.

    References
    ----------
    H. Kawada, Y. Nagata, "An application of a generalized inverse regression estimator to Taguchi's T-Method", Total
    Quality Science 1, 2015, describe Ta and Tb. Values agree with the R package MTSYS 1.2.0 (function ``Tb``).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 9.0], [2.1, 9.0], [2.9, 9.0], [4.0, 9.0]])
    >>> model = TbRegressor().fit(X, [10, 20, 30, 40])
    >>> model.origin_.tolist(), model.coef_.round(2).tolist()
    ([0, -1], [10.07, 0.0])
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "subtract_error": ["boolean"],
        "limit_items": ["boolean"],
        "interval": [None, words(IntervalKind)],
    }

    origin_: npt.NDArray[np.int64]

    def __init__(self, subtract_error: bool = True, limit_items: bool = False, interval: IntervalKind | None = None):
        self.subtract_error = subtract_error
        self.limit_items = limit_items
        self.interval = interval

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn origins, sensitivities and S/N ratios.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items, not sparse: rows of zeros are candidates too. NaN is a missing value.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of 0 or more; 2 counts as a repeated row, 0 leaves a row out.

        Returns
        -------
        self : TbRegressor

        Raises
        ------
        ValueError
            If the target is constant, or squares overflow; with ``interval="conformal"`` also if the rows do not
            suffice when some are held out, and with ``interval="sn_ratio"`` if there are fewer than three.

        Warns
        -----
        UserWarning
            If one far target makes much of the target's sum of squares.
        """
        self._validate_params()
        X, y = self._check_items(X, y, y_numeric=True, multi_output=True, ensure_min_samples=2, reset=True)
        self._forget()
        weight = check_weights(sample_weight, X)
        targets = y.astype(np.float64).reshape(len(y), -1).T
        sums = [t_moments(X, target, sample_weight=weight) for target in targets]
        estimates = [
            _estimate(X, target, weight, total, self.subtract_error)
            for target, total in zip(targets, sums, strict=True)
        ]
        for total in sums:
            warn_of_far_target(total.target_range, *total.unit.target[1:], total.unit.target[0], stacklevel=3)
        if self.interval == "sn_ratio" and (problem := too_few_rows(sums[0])):
            raise ValueError(problem)
        held_out = held_out_errors(self, X, y, sample_weight=weight) if self.interval == "conformal" else None
        self.item_limits_ = find_item_range(X, weight).limits() if self.limit_items else None
        self._store_estimates(estimates, y.ndim > 1, X.dtype)
        errors = None
        if self.interval == "sn_ratio":
            errors = [
                error_of(self._estimate_moments(X, column, target, None, weight), float(center))
                for (target, center), column in zip(np.ndenumerate(self.target_center_), targets, strict=True)
            ]
        self._keep_interval(errors, held_out, several=y.ndim > 1)
        return self


@dataclass(frozen=True)
class _TbEstimate(Estimate):
    """With the row of each item's origin."""

    origin: npt.NDArray[np.int64]


def _estimate(X: AnyArray, y: Array, weight: Array, total: TMoments, subtract_error: bool) -> _TbEstimate:
    low, high = total.target_range
    if total.unit.target[0] == 0:
        raise ValueError(NO_WEIGHT)
    if not low < high:
        raise ValueError(CONSTANT_TARGET.format(low))
    rows = total.unit
    origin = _origins(X, y, weight, total)
    found = origin >= 0
    center = np.where(found, X[origin, np.arange(X.shape[1])], rows.x_mean)
    center_y = np.where(found, y[origin], rows.y_mean)
    sums = rows.about(center, center_y)
    beta, subtracted = sensitivity_and_sn_ratio(*sums, rows.weight, True, total.eps)
    eta = subtracted if subtract_error else sensitivity_and_sn_ratio(*sums, rows.weight, False, total.eps).eta
    eta, subtracted = np.where(found, eta, 0), np.where(found, subtracted, 0)
    target_center = float(subtracted @ center_y / subtracted.sum()) if found.any() else rows.target[1]
    coef = np.divide(eta / (eta.sum() or 1), beta, out=np.zeros_like(eta), where=eta > 0)
    return _TbEstimate(center, center_y, target_center, beta, eta, in_db(eta), coef, origin)


def _origins(X: AnyArray, y: Array, weight: Array, total: TMoments) -> npt.NDArray[np.int64]:
    """Return the row with the largest S/N ratio of each item, -1 where none is above 0."""
    sums, eps = total.unit, total.eps
    n, yy = sums.weight, np.where(sums.yy > 0, sums.yy, 1)
    slope = sums.xy / yy
    residual = np.maximum(sums.xx - slope * sums.xy, 0)
    nothing = (n * (4 * eps * sums.x_mean) ** 2 >= sums.xx) | (sums.yy <= total.least_divider(n)) | (n <= 1)
    floor = np.maximum(n * EPS, eps)
    best, origin = np.zeros(X.shape[1]), np.full(X.shape[1], -1)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for rows in blocks(*X.shape):
            dx, dy = X[rows] - sums.x_mean, y[rows, None] - sums.y_mean
            r = sums.yy + n * dy**2
            L = sums.xy + n * dx * dy
            S_e = residual + n * (dx - slope * dy) ** 2 * (sums.yy / r)
            V_e = np.maximum(S_e, floor * (sums.xx + n * dx**2)) / (n - 1)
            eta = (L * (L / r) - V_e) / (r * V_e)
            eta[np.isnan(eta) | (weight[rows, None] == 0) | nothing] = 0
            largest = eta.max(axis=0)
            first = (eta >= largest * (1 - _TIE)).argmax(axis=0)
            better = largest > best * (1 + _TIE)
            best[better], origin[better] = largest[better], first[better] + rows.start
    return origin
