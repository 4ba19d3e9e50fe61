"""Prediction intervals of regressors: from the S/N ratio of the estimate, or from the errors of held-out rows."""

import warnings
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, Literal, overload

import numpy as np
from scipy.stats import t as student
from sklearn.base import BaseEstimator, clone

from pipeline.taguchi.base import Array, Floating
from pipeline.taguchi.summation import is_sparse

IntervalKind = Literal["sn_ratio", "conformal"]

# Up to here every row is held out alone; beyond, a tenth of the rows at a time.
_ONE_BY_ONE = 50
_FOLDS = 10


class IntervalMixin(BaseEstimator, ABC):
    """Mixin of regressors whose `predict` gives an interval with each prediction."""

    _interval_kinds: tuple[IntervalKind, ...] = ("conformal", "sn_ratio")

    interval: IntervalKind | None
    sigma_: float | Array
    degrees_of_freedom_: float | Array
    held_out_errors_: Array
    held_out_weights_: Array

    @overload
    def predict(self, X: Any, *, return_interval: Literal[False] = False, confidence: float = 0.95) -> Floating: ...

    @overload
    def predict(
        self, X: Any, *, return_interval: Literal[True], confidence: float = 0.95
    ) -> tuple[Floating, Floating]: ...

    def predict(
        self, X: Any, *, return_interval: bool = False, confidence: float = 0.95
    ) -> Floating | tuple[Floating, Floating]:
        """Return the estimate of the target.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items. T-methods estimate a row with missing values (NaN) from its other items; `TMethodRegressor` alone
            takes sparse ones.
        return_interval : bool, default=False
            Whether to return an interval with each prediction, too; it needs a fit with `interval`.
        confidence : float, default=0.95
            Share of new targets that the intervals are to hold; between 0 and 1.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_targets), with the dtype of `X`
            In units of the target; the target at the centre where no item carries anything.
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_targets, 2), with the dtype of `X`
            Lower and upper end, in units of the target; with `return_interval` only.

        Raises
        ------
        ValueError
            With `return_interval`, if the model was fitted without `interval` or with another one, if `confidence` is
            not between 0 and 1, if there are too few held-out rows for it, or if the signal rows have no error.
        """
        y_pred = self._predictions(X)
        return self._with_interval(y_pred, confidence, self._limits()) if return_interval else y_pred

    @abstractmethod
    def _predictions(self, X: Any) -> Floating:
        """Return the estimate of the target."""

    def _limits(self) -> tuple[float, float] | None:
        """Return limits within which every target lies, where they are known."""
        return None

    def _keep_interval(
        self,
        errors: list[tuple[float, float]] | None = None,
        held_out: tuple[Array, Array] | None = None,
        several: bool = False,
    ) -> None:
        """Store what this fit knows of its errors.

        Parameters
        ----------
        errors : list of tuple of float, default=None
            Standard deviation and degrees of freedom of the error of each target's prediction.
        held_out : tuple of ndarray, default=None
            What `held_out_errors` returned.
        several : bool, default=False
            Whether the target is a table.
        """
        for name in ("sigma_", "degrees_of_freedom_", "held_out_errors_", "held_out_weights_"):
            self.__dict__.pop(name, None)
        if errors is not None:
            self.sigma_, self.degrees_of_freedom_ = np.transpose(errors) if several else errors[0]
        if held_out is not None:
            self.held_out_errors_, self.held_out_weights_ = held_out

    def _with_interval(self, y_pred: Floating, confidence: float, limits: Any = None) -> tuple[Floating, Floating]:
        """Return predictions and the two ends of their intervals, which stay within `limits` of the target."""
        if not isinstance(confidence, Real) or not 0 < confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, both excluded, got {confidence!r}.")
        fitted = "conformal" if hasattr(self, "held_out_errors_") else "sn_ratio" if hasattr(self, "sigma_") else None
        if fitted is None:
            kinds = " or ".join(map(repr, self._interval_kinds))
            raise ValueError(
                f"return_interval=True needs a model that was fitted with interval={kinds}: set it and fit again."
            )
        if fitted != self.interval:
            raise ValueError(f"The model was fitted with interval={fitted!r}, not with {self.interval!r}: fit again.")
        if fitted == "conformal":
            half = conformal_half_width(self.held_out_errors_, self.held_out_weights_, confidence)
        elif np.all(np.asarray(self.sigma_) > 0):
            half = self.sigma_ * student.ppf((1 + confidence) / 2, self.degrees_of_freedom_)
        else:
            raise ValueError(
                "The estimate meets every signal row up to rounding (sigma_ is 0), so that interval='sn_ratio' has no "
                "width: take interval='conformal', or give more rows than items."
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
            f"confidence={confidence:g} needs {least} or more held-out rows, got {n.min():g}: fit on more rows, or "
            "take a lower confidence."
        )
    place = np.minimum((upto < rank * (1 - 1e-9)).sum(axis=-1), errors.shape[-1] - 1)
    half: Array = np.take_along_axis(errors, place[..., None], axis=-1)[..., 0]
    return half


def warn_of_many_items(interval: IntervalKind, shrinkage: float, n_rows: float, n_items: int, stacklevel: int) -> None:
    """Warn where the intervals of a full covariance are too narrow, since there are few signal rows for its items."""
    if interval == "conformal" and shrinkage:
        return
    # The errors that least squares leaves are smaller than new ones by n / (n - p).
    times = 2 if interval == "conformal" or shrinkage else 10
    if n_rows < times * n_items:
        warnings.warn(
            f"Intervals from interval={interval!r} may be far too narrow: covariance='full' has {n_rows:g} signal rows "
            f"for {n_items} items. Give {times * n_items} rows, choose items, or take interval='conformal' with "
            "shrinkage='auto'.",
            UserWarning,
            stacklevel=stacklevel,
        )


def refuse_held_out_rows(interval: IntervalKind | None) -> None:
    """Refuse intervals from held-out rows where a model rests on sums.

    Raises
    ------
    ValueError
        If there are to be such intervals.
    """
    if interval == "conformal":
        raise ValueError("interval='conformal' holds out rows, and sums have none: use fit, or interval='sn_ratio'.")
