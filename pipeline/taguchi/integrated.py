"""Base of T(1), T(2), Ta and Tb: one estimate of the target per item, integrated with weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array, Floating, ItemEstimator, blocks, by_block, rounded
from pipeline.taguchi.contributions import Contributions, linear_contributions
from pipeline.taguchi.item_range import limited
from pipeline.taguchi.summation import is_sparse


@dataclass(frozen=True)
class Estimate:
    """Estimates for one target: the fitted attributes that T(1), T(2), Ta and Tb share."""

    center: Array
    item_target_center: Array
    target_center: float
    beta: Array
    eta: Array
    sn_ratio: Array
    coef: Array


class IntegratedEstimator(MultiOutputMixin, RegressorMixin, ItemEstimator):
    """Base of the T-methods: `predict` from `center_`, `beta_`, `coef_` and the targets at the centres."""

    center_: Array
    item_target_center_: Array
    target_center_: float | Array
    beta_: Floating
    eta_: Floating
    sn_ratio_: Floating
    coef_: Floating
    item_limits_: Array | None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def predict(self, X: Any) -> Floating:
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
        X = limited(self._check_items(X), self.item_limits_)
        shape = np.shape(self.target_center_)
        y_pred = np.empty((X.shape[0], *shape), dtype=X.dtype)
        for target in np.ndindex(shape):
            y_pred[(..., *target)] = self._predicted(X, target)
        return y_pred

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the prediction: ``coef_ * (x - center_)``, and the base it is added to.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items; a sparse matrix becomes dense, since what is 0 also differs from the centre.

        Returns
        -------
        Contributions
            Named tuple of float64 arrays: `base` (n_samples,), `items` and `slopes` (n_samples, n_features) and `rest`
            (n_samples,). ``base + items.sum(axis=1) + rest`` is the prediction. A recalibration is part of base and
            items; what `clip` cuts off is the rest. Where items are missing, those that are there share the estimate.
            With `limit_items` an item beyond its limits adds what it adds there.

        Raises
        ------
        ValueError
            If the model was fitted with a table of targets.

        Examples
        --------
        >>> from pipeline.taguchi import TMethodRegressor
        >>> X = [[1.2, 9.0], [1.9, 6.0], [3.0, 6.0], [3.8, 5.0], [5.2, 3.0]]
        >>> model = TMethodRegressor(clip="range").fit(X, [1, 2, 3, 4, 5])
        >>> parts = model.contributions([[4.0, 3.0], [9.0, 6.0]])
        >>> parts.base.tolist(), parts.items.round(2).tolist(), parts.rest.round(2).tolist()
        ([3.0, 3.0], [[0.92, 0.21], [5.5, -0.0]], [0.0, -3.5])
        >>> model.predict([[4.0, 3.0], [9.0, 6.0]]).round(2).tolist()
        [4.13, 5.0]
        """
        check_is_fitted(self, "coef_")
        X = limited(self._check_items(X), self.item_limits_)
        if shape := np.shape(self.target_center_):
            raise ValueError(f"contributions needs a target of one dimension, got {shape[0]} columns: fit each alone.")
        return self._contributed(X.toarray() if is_sparse(X) else X)

    def _contributed(self, X: Any) -> Contributions:
        """Return the contributions to the integrated estimate of one target."""
        return linear_contributions(X.astype(np.float64), *self._weights(()))

    def _store_estimates(self, estimates: Sequence[Estimate], several: bool, dtype: npt.DTypeLike) -> None:
        """Stack the estimates of all targets into fitted attributes; those of items get `dtype`."""
        for name in vars(estimates[0]):
            values = [getattr(estimate, name) for estimate in estimates]
            of_items = isinstance(values[0], np.ndarray) and values[0].shape == (self.n_features_in_,)
            array = np.stack(values) if several else np.asarray(values[0])
            # The centre stays as it is: its rounding would move every prediction.
            if of_items and array.dtype.kind == "f" and name != "center":
                array = rounded(array, dtype)
            setattr(self, f"{name}_", array[()])

    def _predicted(self, X: Any, target: tuple[int, ...]) -> Array:
        """Return the integrated estimate of one target."""
        start, center, *weights = self._weights(target)
        return start + _weighted_sum(X, center, *weights)

    def _weights(self, target: tuple[int, ...]) -> tuple[np.float64, Array, Array, Array, Array]:
        """Return the target at the centre, the centre, and the weights of the items: of a full row and with gaps."""
        center, coef, beta = (values[target].astype(np.float64) for values in (self.center_, self.coef_, self.beta_))
        start = np.float64(np.asarray(self.target_center_)[target])
        share = coef * beta
        # Where items are missing, the centres of the target that belong to the others count.
        offset = share * (self.item_target_center_[target] - start)
        offset -= share * offset.sum()
        return start, center, coef, share, offset


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

    def weighted(rows: Array) -> Array:
        deviation = rows - center
        result = deviation @ coef
        return _present_sum(deviation, coef, share, offset) if np.isnan(result).any() else result

    return by_block(weighted, X)


def _present_sum(deviation: Array, coef: Array, share: Array, offset: Array) -> Array:
    present = ~np.isnan(deviation)
    total = np.where(present, deviation, 0) @ coef + present @ offset
    # Summed over the present items, not subtracted from 1: their share may be tiny.
    known = present @ share
    return np.divide(total, known, out=np.zeros_like(total), where=known > 0)


def in_db(eta: Array) -> Array:
    """Return ``10 log10(eta)``, -inf where eta is 0."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(eta)
