"""T(1), T(2) and Ta: regression with one signal-to-noise ratio per item, in one pass, without iteration."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from pipeline.taguchi.sn_ratio import Array, sensitivity_and_sn_ratio

_BLOCK_BYTES = 2**22


class TMethodRegressor(RegressorMixin, BaseEstimator):
    r"""Taguchi's T-method: every item estimates the target alone, the S/N ratios weigh the estimates.

    Rows are measured from the mean of the *unit space*, a group of ordinary rows. Each item j gets its
    sensitivity :math:`\beta_j` to the target and its S/N ratio :math:`\eta_j` from the signal rows (see
    `sensitivity_and_sn_ratio`), and the integrated estimate is

    .. math:: \hat{M} = \sum_j \eta_j (x_j / \beta_j) / \sum_j \eta_j .

    No equation system is solved, so more items than rows are no difficulty. The estimate does not change when an
    item is shifted or scaled. It is over-dispersed (in the signal data its slope on the target is exactly 1), so
    R2 suffers where ranks do not; clip the prediction to the range of the target.

    Parameters
    ----------
    unit_space : {"middle", "low", "high", "all"}, default="middle"
        Which rows are the unit space: those whose target lies within a tenth of the target's range of its
        mid-range (T(1); 3-star reviews where stars go from 1 to 5), of its minimum or of its maximum (T(2)). They are
        not signal rows. Where nothing is that near the mid-range, the nearest rows serve. With "all" every row is
        unit space and signal at once (Ta).
    subtract_error : bool, default=True
        Whether the error variance is subtracted in the S/N ratio, as Taguchi does.

    Attributes
    ----------
    center_ : ndarray of shape (n_features_in_,)
        Mean of the items over the unit space.
    target_center_ : float
        Mean of the target over the unit space.
    beta_ : ndarray of shape (n_features_in_,)
        Sensitivity: units of the item per unit of the target.
    eta_ : ndarray of shape (n_features_in_,)
        S/N ratio, not in dB; 0 for an item that carries nothing.
    sn_ratio_ : ndarray of shape (n_features_in_,)
        ``10 log10(eta_)`` in dB; -inf where eta_ is 0.
    coef_ : ndarray of shape (n_features_in_,)
        Weight of each item in the estimate.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    References
    ----------
    Values agree with the R package MTSYS 1.2.0 (functions ``T1`` and ``Ta``).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [4.0, 9.0], [5.0, 9.0]])
    >>> model = TMethodRegressor().fit(X, [1, 2, 3, 4, 5])
    >>> model.predict([[2.5, 9.0]]).round(6).tolist()
    [2.5]
    >>> model.coef_.round(6).tolist()
    [1.0, 0.0]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's own form
        "unit_space": [StrOptions({"middle", "low", "high", "all"})],
        "subtract_error": ["boolean"],
    }

    def __init__(self, unit_space: str = "middle", subtract_error: bool = True):
        self.unit_space = unit_space
        self.subtract_error = subtract_error

    def fit(self, X: Any, y: Any, unit_space_mask: Any = None) -> Self:
        """Learn centre, sensitivities and S/N ratios.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The target.
        unit_space_mask : array-like of bool of shape (n_samples,), default=None
            True for the rows of the unit space; overrides the rule `unit_space`. All True means Ta.

        Returns
        -------
        self : TMethodRegressor

        Raises
        ------
        ValueError
            If `unit_space_mask` is no column of booleans, if the unit space is empty, if fewer than two rows remain as
            signal, or if the target of all of them equals the mean of the unit space.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], y_numeric=True, ensure_min_samples=2)
        y = y.astype(np.float64)
        if unit_space_mask is None:
            mask = _unit_space(y, self.unit_space)
        else:
            mask = column_or_1d(unit_space_mask, input_name="unit_space_mask")
            check_consistent_length(y, mask)
            if mask.dtype != bool:
                raise ValueError(f"unit_space_mask must hold booleans, got {mask.dtype}.")
        if not mask.any():
            raise ValueError("The unit space is empty: unit_space_mask has no True row.")
        self.center_ = _mean(X, np.flatnonzero(mask))
        self.target_center_ = float(y[mask].mean())

        signal = np.arange(len(y)) if mask.all() else np.flatnonzero(~mask)
        if len(signal) < 2:
            raise ValueError(f"The T-method needs 2 or more signal rows outside the unit space, got {len(signal)}.")
        M = y[signal] - self.target_center_
        r = float(M @ M)
        if not r > (len(M) * np.finfo(np.float64).eps * self.target_center_) ** 2:
            raise ValueError(
                f"The target y of all {len(M)} signal rows equals the unit space's mean ({self.target_center_:g}): "
                "there is nothing to estimate."
            )
        L, S_T = _signal_sums(X, signal, M, self.center_)
        # What is no more than the rounding of an item's mean carries nothing.
        constant = len(M) * (4 * np.finfo(np.float64).eps * self.center_) ** 2 >= S_T
        L[constant] = S_T[constant] = 0
        self.beta_, self.eta_ = sensitivity_and_sn_ratio(r, L, S_T, len(M), self.subtract_error)
        with np.errstate(divide="ignore"):
            self.sn_ratio_ = 10 * np.log10(self.eta_)
        weight = self.eta_ / self.eta_.sum() if self.eta_.any() else self.eta_
        self.coef_ = np.divide(weight, self.beta_, out=np.zeros_like(weight), where=weight > 0)
        return self

    def predict(self, X: Any) -> Array:
        """Return the integrated estimate of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,), float64
            In units of the target; the unit space's mean where no item carries anything.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        y_pred = np.empty(len(X))
        for block in _blocks(y_pred, X.shape[1]):
            y_pred[block] = self.target_center_ + (X[block] - self.center_) @ self.coef_
        return y_pred


def _unit_space(y: Array, rule: str) -> npt.NDArray[np.bool_]:
    """Return the mask of the rows that the rule takes as unit space."""
    low, high = y.min(), y.max()
    if low == high:
        raise ValueError(f"The target y is constant ({low:g}): a T-method needs at least two different values.")
    if rule == "all":
        return np.ones(len(y), dtype=bool)
    distance = np.abs(y - {"low": low, "middle": (low + high) / 2, "high": high}[rule])
    # A little more than the smallest distance, so that rounding does not decide between equally near rows.
    return distance <= max((high - low) / 10, distance.min() + 1e-12 * (high - low))


def _blocks(rows: npt.NDArray[Any], n_features: int) -> Iterator[slice]:
    """Cut `rows` into slices whose float64 values fit into a processor's cache: memory stays flat."""
    size = max(1, _BLOCK_BYTES // (8 * n_features))
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def _mean(X: npt.NDArray[Any], rows: npt.NDArray[np.integer]) -> Array:
    """Return the column means over `rows`, exact for columns that are constant."""
    first = X[rows[0]].astype(np.float64)
    total = np.zeros(X.shape[1])
    for block in _blocks(rows, X.shape[1]):
        total += (X[rows[block]] - first).sum(axis=0)
    return first + total / len(rows)


def _signal_sums(X: npt.NDArray[Any], rows: npt.NDArray[np.integer], M: Array, center: Array) -> tuple[Array, Array]:
    """Return sum M X and sum X^2 over the signal rows, X measured from `center`."""
    L, S_T = np.zeros(len(center)), np.zeros(len(center))
    for block in _blocks(rows, X.shape[1]):
        deviation = X[rows[block]] - center
        L += M[block] @ deviation
        S_T += np.einsum("ij,ij->j", deviation, deviation)
    return L, S_T
