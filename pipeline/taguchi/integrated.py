"""Base of T(1), T(2), Ta and Tb: one estimate of the target per item, integrated with weights."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi.moments import Array
from pipeline.taguchi.summation import FLOATS, is_sparse

_BLOCK_BYTES = 2**20


class IntegratedEstimator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the T-methods: `predict` from `center_`, `beta_`, `coef_` and the targets at the centres."""

    center_: Array
    item_target_center_: Array
    target_center_: float | Array
    beta_: npt.NDArray[np.floating]
    eta_: npt.NDArray[np.floating]
    sn_ratio_: npt.NDArray[np.floating]
    coef_: npt.NDArray[np.floating]
    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def predict(self, X: Any) -> npt.NDArray[np.floating]:
        """Return the estimate of the target.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items. Where one is missing (NaN), the others of its row make the estimate.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_targets), with the dtype of `X`
            In units of the target; the target at the centre where no item carries anything.
        """
        check_is_fitted(self, "coef_")
        X = check_items(self, X)
        shape = np.shape(self.target_center_)
        y_pred = np.empty((X.shape[0], *shape), dtype=X.dtype)
        for target in np.ndindex(shape):
            y_pred[(..., *target)] = self._adjusted(self._integrated(X, target), target)
        return y_pred

    def _store_estimates(self, estimates: Sequence[Any], several: bool, dtype: npt.DTypeLike) -> None:
        """Stack the estimates of all targets into fitted attributes; those of items get `dtype`."""
        for name in estimates[0]._fields:
            values = [getattr(estimate, name) for estimate in estimates]
            of_items = isinstance(values[0], np.ndarray) and values[0].shape == (self.n_features_in_,)
            array = np.stack(values) if several else np.asarray(values[0])
            # The centre stays as it is: its rounding would move every prediction.
            if of_items and array.dtype.kind == "f" and name != "center":
                array = rounded(array, dtype)
            setattr(self, f"{name}_", array[()])

    def _integrated(self, X: Any, target: tuple[int, ...]) -> Array:
        """Return the integrated estimate of one target."""
        center, coef, beta = (values[target].astype(np.float64) for values in (self.center_, self.coef_, self.beta_))
        start = np.float64(np.asarray(self.target_center_)[target])
        share = coef * beta
        # Where items are missing, the centres of the target that belong to the others count.
        offset = share * (self.item_target_center_[target] - start)
        offset -= share * offset.sum()
        return start + _weighted_sum(X, center, coef, share, offset)

    def _adjusted(self, estimate: Array, target: tuple[int, ...]) -> Array:
        """Return the prediction for an integrated estimate."""
        return estimate


def _weighted_sum(X: Any, center: Array, coef: Array, share: Array, offset: Array) -> Array:
    """Return ``(X - center) @ coef``; for a row with gaps, renormalised to the items that are there."""
    if is_sparse(X):
        result = X @ coef - center @ coef
        gaps = np.flatnonzero(np.isnan(result))
        if len(gaps):
            by_row = X.tocsr()
            for rows in blocks(len(gaps), X.shape[1]):
                result[gaps[rows]] = _present_sum(by_row[gaps[rows]].toarray() - center, coef, share, offset)
        return result
    result = np.empty(len(X))
    for rows in blocks(len(X), X.shape[1]):
        deviation = X[rows] - center
        result[rows] = deviation @ coef
        if np.isnan(result[rows]).any():
            result[rows] = _present_sum(deviation, coef, share, offset)
    return result


def _present_sum(deviation: Array, coef: Array, share: Array, offset: Array) -> Array:
    present = ~np.isnan(deviation)
    total = np.where(present, deviation, 0) @ coef + present @ offset
    # Summed over the present items, not subtracted from 1: their share may be tiny.
    known = present @ share
    return np.divide(total, known, out=np.zeros_like(total), where=known > 0)


def blocks(n_rows: int, n_items: int) -> Iterator[slice]:
    """Cut rows into slices whose float64 values fit into a processor's cache: memory stays flat."""
    size = max(1, _BLOCK_BYTES // (8 * n_items))
    for start in range(0, n_rows, size):
        yield slice(start, start + size)


def check_items(estimator: IntegratedEstimator, X: Any, y: Any = "no_validation", **kwargs: Any) -> Any:
    """Return X, with a target X and y, as scikit-learn validates them."""
    tags = estimator.__sklearn_tags__().input_tags
    finite: str | bool = True
    if tags.allow_nan:
        # In `fit` infinity shows in the sums, and X need not be read twice.
        finite = False if kwargs else "allow-nan"
    sparse = ["csr", "csc"] if tags.sparse else False
    return validate_data(
        estimator, X, y, accept_sparse=sparse, dtype=FLOATS, ensure_all_finite=finite, **{"reset": False, **kwargs}
    )


def rounded(values: Array, dtype: npt.DTypeLike) -> npt.NDArray[np.floating]:
    """Return values as `dtype`, or as they are where that would make them infinite."""
    with np.errstate(over="ignore"):
        result = values.astype(dtype)
    return result if np.isfinite(result).sum() == np.isfinite(values).sum() else values


def in_db(eta: Array) -> Array:
    """Return ``10 log10(eta)``, -inf where eta is 0."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(eta)
