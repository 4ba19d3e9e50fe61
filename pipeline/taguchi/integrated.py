"""Base of T(1), T(2), Ta and Tb: one estimate of the target per item, integrated with weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array, Floating, ItemEstimator, blocks, by_block, rounded
from pipeline.taguchi.contributions import Contributions, linear_contributions
from pipeline.taguchi.estimate_tables import explanation_table, item_names, items_table
from pipeline.taguchi.intervals import IntervalMixin
from pipeline.taguchi.item_range import limited
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.summation import is_sparse, t_moments


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


class IntegratedEstimator(MultiOutputMixin, RegressorMixin, IntervalMixin, ItemEstimator):
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

    @property
    def intercept_(self) -> float | Array:
        """The estimate where every item is 0: ``intercept_ + X @ coef_`` is the prediction before any limit."""
        start, center, coef = np.asarray(self.target_center_), self.center_, self.coef_.astype(np.float64)
        intercept: Array = start - (center * coef).sum(axis=-1)
        return intercept if intercept.ndim else float(intercept)

    @property
    def weight_(self) -> Array:
        """Share of each item in the integrated estimate; the shares sum up to 1, or are all 0.

        They are 0 where no item carries anything, and where the slope of a recalibration is 0: `coef_` is 0 then.
        """
        # An item without a part has 0, not minus 0.
        shares = [self._weights(target)[3] + 0.0 for target in np.ndindex(np.shape(self.target_center_))]
        return np.stack(shares) if np.ndim(self.target_center_) else shares[0]

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

    def explain(self, X: Any) -> pd.DataFrame:
        """Return what each item adds to the prediction, as a table: `contributions` under the names of the items.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
            The items.

        Returns
        -------
        DataFrame of shape (n_samples, n_features + 2), float64
            With the index of `X` and the columns ``base``, the names of the items (x0, x1, ... without column names),
            and ``rest``; each row sums up to the prediction. An item that is called base or rest gets " (item)" behind
            its name, again and again until no other column is called so.

        Raises
        ------
        ValueError
            If the model was fitted with a table of targets.

        Examples
        --------
        >>> import pandas as pd
        >>> from pipeline.taguchi import TMethodRegressor
        >>> X = pd.DataFrame({"width": [1.2, 1.9, 3.0, 3.8, 5.2], "age": [9.0, 6, 6, 5, 3]}, index=list("abcde"))
        >>> model = TMethodRegressor().fit(X, [1, 2, 3, 4, 5])
        >>> model.explain(X[3:]).round(2)
           base  width   age  rest
        d   3.0   0.73  0.07   0.0
        e   3.0   2.02  0.21   0.0
        """
        return explanation_table(self.contributions(X), item_names(self), X)

    def items_table(self, selector: Any = None) -> pd.DataFrame:
        """Return sensitivity, S/N ratio and weight of each item as a table.

        Parameters
        ----------
        selector : fitted selector, default=None
            The one that chose the items of this model: anything with `item_gains_` and `get_support`, such as
            `OrthogonalArraySelector`. There is a row for every item that it saw then.

        Returns
        -------
        DataFrame of shape (n_items, 4) or (n_items, 6)
            Indexed by item, for several targets by target and item. Targets are numbered from 0, whatever the columns
            of a table of targets were called: a fit does not keep their names. Columns: ``beta``, ``eta``,
            ``sn_ratio_db`` (-inf where eta is 0) and ``weight`` (share in the integrated estimate). With a selector
            also ``gain_db`` and ``kept``; a dropped item has weight 0, and NaN for what the model never learned.

        Raises
        ------
        ValueError
            If the selector has no `item_gains_`, or keeps other items than those of this model.

        Examples
        --------
        >>> import pandas as pd
        >>> from pipeline.taguchi import TMethodRegressor
        >>> X = pd.DataFrame({"width": [1.2, 1.9, 3.0, 3.8, 5.2], "batch": [4.0, 4, 4, 4, 4]})
        >>> table = TMethodRegressor().fit(X, [1, 2, 3, 4, 5]).items_table()
        >>> print(table.round(2).to_csv(), end="")
        item,beta,eta,sn_ratio_db,weight
        width,0.99,22.69,13.56,1.0
        batch,0.0,0.0,-inf,0.0

        A file for a spreadsheet; a workbook needs ``pip install "t-method-vs-attention[workbench]"``:

        >>> table.to_csv("items.csv")  # doctest: +SKIP
        >>> table.to_excel("items.xlsx")  # doctest: +SKIP
        """
        check_is_fitted(self, "coef_")
        return items_table(self, selector)

    def _predictions(self, X: Any) -> Floating:
        check_is_fitted(self, "coef_")
        X = limited(self._check_items(X), self.item_limits_)
        shape = np.shape(self.target_center_)
        y_pred = np.empty((X.shape[0], *shape), dtype=X.dtype)
        for target in np.ndindex(shape):
            y_pred[(..., *target)] = self._predicted(X, target)
        return y_pred

    def _slope(self, target: tuple[int, ...]) -> float:
        """Return by what the integrated estimate of one target is multiplied."""
        return 1.0

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

    def _estimated(self, X: Any, target: tuple[int, ...]) -> Array:
        """Return the integrated estimate of one target."""
        start, center, *weights = self._weights(target)
        return start + _weighted_sum(X, center, *weights)

    def _predicted(self, X: Any, target: tuple[int, ...]) -> Array:
        """Return the prediction of one target."""
        return self._estimated(X, target)

    def _estimate_moments(self, X: Any, y: Array, target: tuple[int, ...], unit: Any, weight: Array) -> TMoments:
        """Return the moments of training rows with the integrated estimate of one target as the only item."""
        # A row without a weight may hold anything.
        estimate = np.where(weight > 0, self._estimated(X, target), 0)
        return t_moments(estimate[:, None], y, unit, weight)

    def _weights(self, target: tuple[int, ...]) -> tuple[np.float64, Array, Array, Array, Array]:
        """Return the target at the centre, the centre, and the weights of the items: of a full row and with gaps."""
        center, coef, beta = (values[target].astype(np.float64) for values in (self.center_, self.coef_, self.beta_))
        start = np.float64(np.asarray(self.target_center_)[target])
        if (slope := self._slope(target)) != 1:
            coef = coef / slope if slope else np.zeros_like(coef)
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
