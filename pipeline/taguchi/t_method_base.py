"""Base of `TMethodRegressor`: what a T-method learns from sums, recalibrated, with its error, and limited."""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from pipeline.taguchi.base import Array, Mask, rounded
from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.in_sample import error_of, line_of, moments_of_estimate, too_few_rows
from pipeline.taguchi.integrated import IntegratedEstimator
from pipeline.taguchi.intervals import warn_of_many_items
from pipeline.taguchi.item_range import ItemRange, find_item_range
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.shrinkage import Shrinkage
from pipeline.taguchi.summation import check_weights
from pipeline.taguchi.t_estimate import problem_of, signal_of, t_estimate
from pipeline.taguchi.unit_space_rule import warn_of_few_rows

Covariance = Literal["diagonal", "full"]
Clip = Literal["range"] | tuple[float, float]


class SumsEstimator(IntegratedEstimator):
    """A T-method of which the sums are known."""

    covariance: Covariance
    shrinkage: Shrinkage
    subtract_error: bool
    recalibrate: bool
    clip: Clip | None
    limit_items: bool

    _item_range: ItemRange | None
    recalibration_: Array
    shrinkage_: float | Array
    target_range_: Array
    moments_: TMoments | list[TMoments]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Before there were intervals, coef_ held no recalibration: the prediction would silently be another one.
        if state.get("recalibrate") and "recalibration_" in state and "interval" not in state:
            raise ValueError(
                "This recalibrated T-method was saved by an earlier version, whose coef_ had another meaning: fit it "
                "again."
            )
        super().__setstate__(state)

    @property
    def n_unit_space_(self) -> float | Array:
        """Rows of the unit space, or the sum of their weights."""
        sizes = [part.unit.target[0] for part in as_list(self.moments_)]
        return np.array(sizes) if isinstance(self.moments_, list) else sizes[0]

    def _needs_gram(self) -> bool:
        """Whether the sums need the products of pairs of items where the rows are not at hand."""
        return self.covariance == "full" or self.recalibrate or self.interval == "sn_ratio"

    def _range_of(self, X: Any, weight: Any) -> ItemRange | None:
        """Return the ranges of the items where they are to be limited."""
        if not self.limit_items:
            return None
        return find_item_range(X, None if weight is None else check_weights(weight, X))

    def _keep(self, moments: list[TMoments], interval: Array | None, several: bool) -> None:
        """Store the sums, and the interval where the rule was used: `partial_fit` goes on from here."""
        self.moments_ = moments if several else moments[0]
        if interval is not None:
            self.unit_space_interval_ = interval

    def _problem(self, moments: TMoments) -> str | None:
        """Return why these sums do not suffice, None if they do."""
        problem = problem_of(moments)
        return too_few_rows(moments, self.recalibrate) if not problem and self.interval == "sn_ratio" else problem

    def _learn(
        self,
        dtype: npt.DTypeLike,
        rows: tuple[Any, Array, list[Mask], Array] | None = None,
        held_out: tuple[Array, Array] | None = None,
    ) -> Self:
        """Store what follows from the sums; `rows` (X, y, unit spaces, weights) serve where there are no products."""
        moments, several = as_list(self.moments_), isinstance(self.moments_, list)
        shrinkage = None if self.covariance == "diagonal" else self.shrinkage
        estimates = [t_estimate(part, self.subtract_error, shrinkage) for part in moments]
        self._store_estimates(estimates, several, dtype)
        ranges, lines = [part.target_range for part in moments], [(0.0, 1.0)] * len(moments)
        # The line is found for the estimate as it is.
        self.recalibration_ = np.array(lines if several else lines[0])
        errors = None
        if self.recalibrate or self.interval == "sn_ratio":
            targets = list(np.ndenumerate(self.target_center_))
            sums = [self._estimate(part, target, rows) for part, (target, _) in zip(moments, targets, strict=True)]
            if self.recalibrate:
                lines = [line_of(estimate) for estimate in sums]
            if self.interval == "sn_ratio":
                used = lines if self.recalibrate else [None] * len(lines)
                errors = [error_of(*each) for each in zip(sums, (float(c) for _, c in targets), used, strict=True)]
        self._keep_interval(errors, held_out, several)
        for part, estimate in zip(moments, estimates, strict=True):
            warn_of_few_rows(part, stacklevel=4)
            if self.interval and self.covariance == "full":
                n_rows, n_items = signal_of(part).target[0], int(np.count_nonzero(estimate.eta))
                warn_of_many_items(self.interval, estimate.shrinkage, n_rows, n_items, stacklevel=4)
        self.item_limits_ = None if self._item_range is None else self._item_range.limits()
        self.target_range_ = np.array(ranges if several else ranges[0])
        self.recalibration_ = np.array(lines if several else lines[0])
        if self.recalibrate:
            slope = self.recalibration_[..., 1:]
            self.coef_ = rounded(slope * self.coef_.astype(np.float64), self.coef_.dtype)
        return self

    def _estimate(self, moments: TMoments, target: tuple[int, ...], rows: Any) -> TMoments:
        """Return the moments of all rows with the integrated estimate of one target as the only item."""
        if rows is None or moments.has_gram:
            start, center, coef, *_ = self._weights(target)
            return moments_of_estimate(moments, float(start), center, coef)
        X, y, units, weight = rows
        column = target[0] if target else 0
        return self._estimate_moments(X, y[:, column], target, units[column], weight)

    @property
    def intercept_(self) -> float | Array:
        """The prediction before `clip` where every item is 0; ``intercept_ + X @ coef_`` is that of any full row."""
        constant, slope = self.recalibration_.T
        coef = self.coef_.astype(np.float64)
        intercept: Array = constant + slope * self.target_center_ - (self.center_ * coef).sum(axis=-1)
        return intercept if intercept.ndim else float(intercept)

    def _slope(self, target: tuple[int, ...]) -> float:
        return float(self.recalibration_[target][1])

    def _limits(self) -> tuple[float, float] | None:
        # A new target beyond the range of n others is as frequent as 2 / (n + 1): "range" is no limit of targets.
        return None if self.clip is None or isinstance(self.clip, str) else self.clip

    def _predicted(self, X: Any, target: tuple[int, ...]) -> Array:
        """Return the integrated estimate of one target, recalibrated and clipped."""
        intercept, slope = self.recalibration_[target]
        return self._clipped(intercept + slope * self._estimated(X, target), target)

    def _contributed(self, X: Any) -> Contributions:
        """Return the contributions to the estimate, recalibrated, and what is cut off as the rest."""
        intercept, slope = self.recalibration_
        parts = super()._contributed(X).on_line(intercept, slope)
        return parts.up_to(self._clipped(parts.total, ()))

    def _clipped(self, y_pred: Array, target: tuple[int, ...]) -> Array:
        if self.clip is None:
            return y_pred
        return np.clip(y_pred, *(self.target_range_[target] if isinstance(self.clip, str) else self.clip))


def as_list(moments: Any) -> list[Any]:
    """Return the sums of all targets as a list; those of a single target stand alone in `moments_`."""
    return moments if isinstance(moments, list) else [moments]
