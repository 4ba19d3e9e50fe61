"""Prediction intervals of regressors: from the S/N ratio of the estimate, or from the errors of held-out rows."""

import warnings
from numbers import Real
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student
from sklearn.base import BaseEstimator, clone

from pipeline.taguchi.base import Array, Floating
from pipeline.taguchi.summation import is_sparse

IntervalKind = Literal["sn_ratio", "conformal"]

# Up to here every row is held out alone; beyond, a tenth of the rows is at a time.
_ONE_BY_ONE = 50
_FOLDS = 10


class IntervalMixin(BaseEstimator):
    """Mixin of regressors whose `predict` gives an interval with each prediction."""

    interval: IntervalKind | None
    sigma_: float | Array
    degrees_of_freedom_: float | Array
    held_out_errors_: Array
    held_out_weights_: Array

    def _forget_interval(self) -> None:
        """Drop what an earlier fit knew of its errors."""
        for name in ("sigma_", "degrees_of_freedom_", "held_out_errors_", "held_out_weights_"):
            self.__dict__.pop(name, None)

    def _keep_errors(self, errors: list[tuple[float, float]], several: bool) -> None:
        """Store standard deviation and degrees of freedom of the error of each target's prediction."""
        self.sigma_, self.degrees_of_freedom_ = np.transpose(errors) if several else errors[0]

    def _hold_out(self, X: Any, y: Array, **of_rows: Array | None) -> None:
        """Store the errors of held-out rows; `of_rows` are the other arguments of `fit` with one entry for each row."""
        self.held_out_errors_, self.held_out_weights_ = held_out_errors(self, X, y, **of_rows)

    def _with_interval(self, y_pred: Floating, confidence: float, limits: Any = None) -> tuple[Floating, Floating]:
        """Return predictions and the two ends of their intervals, which stay within `limits` of the target."""
        if not isinstance(confidence, Real) or not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, both excluded, got {confidence!r}.")
        if hasattr(self, "held_out_errors_"):
            half = conformal_half_width(self.held_out_errors_, self.held_out_weights_, confidence)
        elif hasattr(self, "sigma_"):
            half = self.sigma_ * student.ppf((1 + confidence) / 2, self.degrees_of_freedom_)
        else:
            raise ValueError(
                "return_interval=True needs a model that was fitted with interval='conformal' or 'sn_ratio': set one "
                "and fit again."
            )
        ends = np.stack([y_pred - half, y_pred + half], axis=-1).astype(y_pred.dtype)
        return y_pred, ends if limits is None else np.clip(ends, *limits)


def held_out_errors(model: Any, X: Any, y: Array, **of_rows: Array | None) -> tuple[Array, Array]:
    """Return the absolute errors of rows that were held out, in ascending order, and the weights of these rows.

    The rows are sorted by the target (the first of several) and dealt out to ten folds; up to 50 rows are held out one
    by one. Rows of weight 0 have no part.

    Parameters
    ----------
    model : estimator with the parameter `interval`
        It is cloned.
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
    **of_rows : ndarray of shape (n_samples,) or None
        Arguments of the model's `fit` with one entry for each row, `sample_weight` among them.

    Returns
    -------
    errors, weights : ndarray of shape (n_rows,) or (n_targets, n_rows)

    Raises
    ------
    ValueError
        If the model cannot be fitted without the held-out rows.
    """
    given = {name: np.asarray(values) for name, values in of_rows.items() if values is not None}
    weight = given.get("sample_weight", np.ones(len(y)))
    used = np.flatnonzero(weight > 0)
    order = used[np.argsort(y.reshape(len(y), -1)[used, 0], kind="stable")]
    n_folds = len(order) if len(order) <= _ONE_BY_ONE else _FOLDS
    rows = X.tocsr() if is_sparse(X) else X
    held_out = clone(model).set_params(interval=None)
    errors = np.empty((len(order), *y.shape[1:]))
    for fold in range(n_folds):
        test = order[fold::n_folds]
        train = np.setdiff1d(order, test, assume_unique=True)
        try:
            # Once, of all rows, says as much as once a fold.
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                held_out.fit(rows[train], y[train], **{name: values[train] for name, values in given.items()})
        except ValueError as error:
            raise ValueError(f"interval='conformal' holds out rows, and the others do not suffice: {error}") from error
        errors[fold::n_folds] = np.abs(y[test] - held_out.predict(rows[test]))
    places = errors.argsort(axis=0, kind="stable")
    return np.take_along_axis(errors, places, axis=0).T, weight[order][places].T


def conformal_half_width(errors: Array, weights: Array, confidence: float) -> Array:
    r"""Return the half-width of an interval: the :math:`\lceil (n + 1) c \rceil`-th smallest of n held-out errors.

    A row of weight 2 counts as two rows with equal errors.

    Parameters
    ----------
    errors, weights : ndarray of shape (..., n_rows)
        Errors in ascending order, and the weights of their rows.
    confidence : float
        c, between 0 and 1.

    Raises
    ------
    ValueError
        If there are too few rows for that confidence.

    References
    ----------
    J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-Free Predictive Inference for
    Regression", Journal of the American Statistical Association 113, 2018. R. F. Barber, E. J. Candès, A. Ramdas,
    R. J. Tibshirani, "Predictive inference with the jackknife+", Annals of Statistics 49, 2021.

    Examples
    --------
    >>> conformal_half_width(np.array([1.0, 2.0, 3.0, 9.0]), np.ones(4), confidence=0.5).tolist()
    3.0
    """
    upto = np.cumsum(weights, axis=-1)
    n = upto[..., -1:]
    # Without that tolerance 19 rows would not do for 0.95: 20 * 0.95 is a little more than 19.
    rank = np.ceil((n + 1) * confidence - 1e-9)
    if (rank > n * (1 + 1e-9)).any():
        least = int(np.ceil(confidence / (1 - confidence) - 1e-9))
        raise ValueError(
            f"confidence={confidence:g} needs {least} or more held-out rows, got {n.min():g}: fit on more rows, take a "
            "lower confidence, or interval='sn_ratio'."
        )
    place = np.minimum((upto < rank * (1 - 1e-9)).sum(axis=-1), errors.shape[-1] - 1)
    half: Array = np.take_along_axis(errors, place[..., None], axis=-1)[..., 0]
    return half


def refuse_held_out_rows(interval: IntervalKind | None) -> None:
    """Refuse intervals from held-out rows where a model rests on sums.

    Raises
    ------
    ValueError
        If there are to be such intervals.
    """
    if interval == "conformal":
        raise ValueError("interval='conformal' holds out rows, and sums have none: use fit, or interval='sn_ratio'.")
