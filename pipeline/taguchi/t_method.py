"""T(1), T(2), Ta and their full-covariance form: regression by S/N ratios, in one pass, without iteration."""

from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.taguchi.base import Array, Mask, rounded, words
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.in_sample import error_of, line_of, moments_of_estimate
from pipeline.taguchi.integrated import IntegratedEstimator
from pipeline.taguchi.intervals import IntervalKind, refuse_held_out_rows
from pipeline.taguchi.item_range import ItemRange, find_item_range, refuse_limits
from pipeline.taguchi.know_how import NEED_PRODUCTS, KnowHow, in_unit_space, refuse_know_how, sums_of_rows
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.shrinkage import Shrinkage
from pipeline.taguchi.summation import check_weights, is_sparse
from pipeline.taguchi.t_estimate import problem_of, t_estimate
from pipeline.taguchi.unit_space_rule import UNIT_SPACE_RULES, UnitSpaceRule, check_rule, warn_of_few_rows

_FEW_ITEMS = 64
_Covariance = Literal["diagonal", "full"]


class TMethodRegressor(IntegratedEstimator):
    r"""Taguchi's T-method: every item estimates the target alone, the S/N ratios weigh the estimates.

    Rows are measured from the mean of the *unit space*, a group of ordinary rows. Each item j gets its
    sensitivity :math:`\beta_j` to the target and its S/N ratio :math:`\eta_j` from the signal rows (see
    `sensitivity_and_sn_ratio`), and the integrated estimate is

    .. math:: \hat{M} = \sum_j \eta_j (x_j / \beta_j) / \sum_j \eta_j .

    It is the best linear unbiased average of the single estimates :math:`x_j / \beta_j` if their errors are
    independent with variances :math:`1/\eta_j`. With ``covariance="full"`` their correlations R count too:

    .. math:: \hat{M} = b' \Sigma^{-1} x / b' \Sigma^{-1} \beta, \quad
              b_j = \beta_j \max(1 - V_{ej}/S_{\beta j},\, 0),

    where :math:`\Sigma` is the covariance of the items' errors :math:`x_j - \beta_j M`, its correlations R shrunk to
    :math:`(1 - \lambda) R + \lambda I`. So :math:`\lambda = 1` is the T-method, and :math:`\lambda = 0` without
    `subtract_error` (where :math:`b = \beta`) is least squares through the centre of the unit space, divided by its R2.
    Should the items correlate so that the denominator is less than the smallest factor would leave of
    :math:`\beta' \Sigma^{-1} \beta`, or negative, then :math:`b = \beta` as well.

    ============================================  ==================================================================
    published method                              parameters
    ============================================  ==================================================================
    T(1), two-sided T-method                      ``unit_space="middle"``
    T(2), one-sided T-method                      ``unit_space="low"`` or ``"high"``
    T(2) with the S/N ratio S_beta / S_e          ``unit_space="low", subtract_error=False``
    Ta (Inoh, Nagata et al. 2012)                 ``unit_space="all"``
    generalised inverse regression (calibration)  ``unit_space="all", covariance="full", subtract_error=False``
    ============================================  ==================================================================

    The estimate does not change when an item is shifted or scaled. Its slope on the target is exactly 1 in the signal
    data, so it spreads too far: R2 suffers, ranks do not. `recalibrate` and `clip` correct that.

    Parameters
    ----------
    unit_space : {"middle", "median", "low", "high", "all"} or (low, high), default="middle"
        Which rows are the unit space: those whose target lies within a tenth of the target's range of its
        mid-range (3-star reviews where stars go from 1 to 5), of its minimum or of its maximum. They are
        not signal rows. Where nothing is that near the mid-range, the nearest rows serve. "median" is a rule of
        quantiles, which no wild target moves: the fifth of the rows that are nearest to the median, :math:`|y - m|
        \le q` with the 20% quantile q of these distances (more rows where several are equally near). (low, high)
        takes the targets from low to high, both included. With "all" every row is unit space and signal at once.
    covariance : {"diagonal", "full"}, default="diagonal"
        Whether the errors of the items count as independent. "full" takes memory of n_features squared and no missing
        values.
    shrinkage : "auto" or float in [0, 1], default="auto"
        The share :math:`\lambda` with "full". "auto" is the oracle approximating shrinkage of the correlation matrix,
        which needs no more than the sums. Directions without error (more items than rows) are given a tiny one.
    subtract_error : bool, default=True
        Whether the error variance is subtracted in the S/N ratio, as Taguchi does. With "full" it sets items without
        signal to exactly 0, too.
    recalibrate : bool, default=False
        Whether the estimate is followed by a least-squares line of the target on it over all training rows.
    clip : None, "range" or (low, high), default=None
        Limits of the prediction; "range" is the range of the training target.
    know_how : None, TMoments, ClassMoments or list of them, default=None
        Sums over rows from elsewhere, added to those of the rows in `fit` and in the first `partial_fit`:
        ``counting_as(30)`` makes them count as 30 rows. A fit on one row is enough then. `ClassMoments` suit every
        `unit_space`: the rule places it in the targets of both, so that rows without a single one at an end of the
        scale have the middle of the whole scale. `TMoments` keep the unit space that they were made with (sums without
        signal rows are unit space); of their targets the rule knows the range. A list holds one for each of several
        targets. Sums of rows that are in the fit, too, would count these rows twice.
    limit_items : bool, default=False
        Whether `predict` takes an item that lies far beyond its range in the training rows at the end of that range,
        so that no single item can carry a prediction away. Since few rows show less of the range than there is, it
        reaches 10/n of its width farther at each end, with n training rows. It needs rows alone: sums, and so
        `know_how`, tell no range.

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
        Weight of each item in the integrated estimate.
    recalibration_ : ndarray of shape (2,)
        Intercept and slope of the target on the integrated estimate; (0, 1) without `recalibrate`.
    shrinkage_ : float
        The share used with "full"; 1 with "diagonal".
    unit_space_interval_ : ndarray of shape (2,)
        Targets that the rule took as unit space.
    n_unit_space_ : float
        Rows of the unit space, or the sum of their weights.
    item_target_center_ : ndarray of shape (n_features_in_,)
        Mean of the target over those rows of the unit space in which the item is there: `target_center_`, unless
        values are missing.
    target_range_ : ndarray of shape (2,)
        Smallest and largest training target, those of the know-how included.
    item_limits_ : ndarray of shape (2, n_features_in_) or None
        Smallest and largest value with which each item is read, NaN for one that no row has; None without
        `limit_items`. They are the same for all targets.
    moments_ : TMoments
        The sums from which all estimates are made.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    With a target of shape (n_samples, n_targets) every array has one axis more in front and every float becomes an
    array, with one entry for each target; `moments_` becomes a list.

    See Also
    --------
    TbRegressor : The origin of each item is the training row that suits it best.

    Notes
    -----
    X may be sparse (CSR or CSC) and stays so. A missing value (NaN) drops the item from the sums of that row, and from
    that row's estimate. float32 items give float32 weights and predictions; sums and centres are float64.

    A `UserWarning` says how many rows the unit space has where they are few: fewer than five (a fifth of less than 25
    rows) or than a fiftieth. Another one says that a single far target decides the sensitivities, which no choice
    of the unit space mends.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005. Values agree with the R
    package MTSYS 1.2.0 (functions ``T1`` and ``Ta``). Shrinkage: Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero,
    "Shrinkage algorithms for MMSE covariance estimation", IEEE Transactions on Signal Processing 58, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 9.0], [2.0, 9.0], [3.0, 9.0], [4.0, 9.0], [5.0, 9.0]])
    >>> model = TMethodRegressor().fit(X, [1, 2, 3, 4, 5])
    >>> model.predict([[2.5, 9.0], [2.5, np.nan]]).round(6).tolist()
    [2.5, 2.5]
    >>> model.coef_.round(6).tolist()
    [1.0, 0.0]

    Three plants exchange sums, no rows; each gets the estimate of one fit on all rows:

    >>> from pipeline.taguchi import class_moments
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(1, 6, size=60).astype(float)
    >>> X = y[:, None] * [1.0, -2.0] + rng.normal(size=(60, 2))
    >>> first, second, third = np.split(np.arange(60), 3)
    >>> known = class_moments(X[second], y[second]) + class_moments(X[third], y[third])
    >>> of_first = TMethodRegressor(know_how=known).fit(X[first], y[first])
    >>> bool(np.allclose(of_first.coef_, TMethodRegressor().fit(X, y).coef_, rtol=1e-9))
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "unit_space": UNIT_SPACE_RULES,
        "covariance": [words(_Covariance)],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "subtract_error": ["boolean"],
        "recalibrate": ["boolean"],
        "clip": [None, StrOptions({"range"}), "array-like"],
        "limit_items": ["boolean"],
        "interval": [None, words(IntervalKind)],
        "know_how": [None, TMoments, ClassMoments, list],
    }

    _item_range: ItemRange | None
    recalibration_: Array
    shrinkage_: float | Array
    target_range_: Array
    moments_: TMoments | list[TMoments]

    def __init__(
        self,
        unit_space: UnitSpaceRule = "middle",
        covariance: _Covariance = "diagonal",
        shrinkage: Shrinkage = "auto",
        subtract_error: bool = True,
        recalibrate: bool = False,
        clip: Literal["range"] | tuple[float, float] | None = None,
        know_how: KnowHow | list[KnowHow] | None = None,
        limit_items: bool = False,
        interval: IntervalKind | None = None,
    ):
        self.unit_space = unit_space
        self.covariance = covariance
        self.shrinkage = shrinkage
        self.subtract_error = subtract_error
        self.recalibrate = recalibrate
        self.clip = clip
        self.know_how = know_how
        self.limit_items = limit_items
        self.interval = interval

    @property
    def n_unit_space_(self) -> float | Array:
        """Rows of the unit space, or the sum of their weights."""
        sizes = [part.unit.target[0] for part in _as_list(self.moments_)]
        return np.array(sizes) if isinstance(self.moments_, list) else sizes[0]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.covariance == "diagonal"
        return tags

    def fit(self, X: Any, y: Any, unit_space_mask: Any = None, sample_weight: Any = None) -> Self:
        """Learn centre, sensitivities and S/N ratios.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items; NaN is a missing value.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The target.
        unit_space_mask : array-like of bool of shape (n_samples,), default=None
            True for the rows of the unit space; overrides the rule `unit_space`. All True means Ta.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of 0 or more; 2 counts as a repeated row, 0 leaves a row out.

        Returns
        -------
        self : TMethodRegressor

        Raises
        ------
        ValueError
            If `unit_space_mask` is not a column of booleans, if the unit space is empty, if fewer than two rows remain
            as signal, if the target is constant or, for the signal, equals the mean of the unit space, if squares
            overflow, or if values are missing with the full covariance. With `know_how`: if it is for other items, if
            its unit space cannot be that of the rows, or if items are to be limited; rows and know-how together are
            what must suffice, and `recalibrate` takes no missing values.
        """
        self._check_parameters()
        least = 2 if self.know_how is None else 1
        X, y = self._check_items(X, y, y_numeric=True, multi_output=True, ensure_min_samples=least, reset=True)
        self._forget()
        gram = self._needs_gram() if self.know_how is not None else self.covariance == "full"
        if not gram and self._needs_gram() and self.know_how is None and X.shape[1] <= _FEW_ITEMS:
            # That costs next to nothing, and `partial_fit` may go on from here.
            gram = not np.isnan(np.min(X.data if is_sparse(X) else X, initial=0))
        moments, units, interval = sums_of_rows(
            X, y, unit_space_mask, sample_weight, gram, self.know_how, self.unit_space, None
        )
        for part in moments:
            if problem := problem_of(part):
                raise ValueError(problem)
        self._item_range = self._range_of(X, sample_weight)
        self._keep(moments, interval, several=y.ndim > 1)
        weight = check_weights(sample_weight, X)
        self._learn(X.dtype, (X, y.reshape(len(y), -1), units, weight))
        if self.interval == "conformal":
            self._hold_out(X, y, unit_space_mask=unit_space_mask, sample_weight=weight)
        return self

    def partial_fit(self, X: Any, y: Any, unit_space_mask: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those already seen; the result is that of one `fit` on all of them.

        Without `unit_space_mask` the first call places the unit space: the rule's interval of the target is that of
        its rows, see `unit_space_interval_`; (low, high) alone is what `fit` on all rows would take.
        Until there are rows inside and outside of it, `predict` raises
        `NotFittedError`. `recalibrate` takes memory of n_features squared here, and more than 64 items can be
        recalibrated only if every call was a `partial_fit`; missing values cannot.

        Parameters
        ----------
        X, y, unit_space_mask, sample_weight
            As in `fit`.

        Returns
        -------
        self : TMethodRegressor

        Raises
        ------
        ValueError
            As in `fit`, except where later rows can help: too few signal rows, an empty unit space, a constant target.
        """
        self._check_parameters()
        refuse_held_out_rows(self.interval)
        seen = getattr(self, "moments_", None)
        X, y = self._check_items(X, y, y_numeric=True, multi_output=True, reset=seen is None)
        before = [] if seen is None else _as_list(seen)
        n_targets = y.shape[1] if y.ndim > 1 else 1
        if before and len(before) != n_targets:
            raise ValueError(f"y has {n_targets} targets, but there were {len(before)} before.")
        gram = self._needs_gram()
        if before and gram and not before[0].has_gram:
            raise ValueError(
                "The full covariance, recalibrate and interval='sn_ratio' need products of items, which the fit before "
                "did not keep: begin with partial_fit."
            )
        item_range = self._range_of(X, sample_weight)
        if before and item_range is not None:
            if self._item_range is None:
                raise ValueError(
                    "limit_items=True needs the range of each item, which the fit before did not keep: fit all rows "
                    "again."
                )
            item_range = self._item_range + item_range
        known = None if before else self.know_how
        placed = getattr(self, "unit_space_interval_", None)
        moments, _, interval = sums_of_rows(X, y, unit_space_mask, sample_weight, gram, known, self.unit_space, placed)
        if before:
            before = before if moments[0].has_gram else [part.without_gram() for part in before]
            moments = [a + b for a, b in zip(before, moments, strict=True)]
        # Rows of the unit space alone would make a Ta that the next rows make a T(1) again.
        self._item_range = item_range
        wait = not _is_all(self.unit_space) and any(part.signal.target[0] == 0 for part in moments)
        self._keep(moments, interval, several=y.ndim > 1)
        return self if wait or any(map(problem_of, moments)) else self._learn(X.dtype)

    def fit_moments(self, moments: KnowHow | list[KnowHow]) -> Self:
        """Learn from sums that were made elsewhere, for instance on the shards of a cluster.

        Parameters
        ----------
        moments : TMoments, ClassMoments or list of them
            From `t_moments`, added up; with `gram` for the full covariance and for `recalibrate`. Their masks made the
            unit space, `unit_space` does not count. Or from `class_moments`, where it does. A list holds one for each
            of several targets.

        Returns
        -------
        self : TMethodRegressor

        Raises
        ------
        ValueError
            As in `fit`, or if `gram` is needed and missing, or if there is `know_how`, which is part of the total here,
            or `limit_items`.
        """
        self._check_parameters()
        refuse_held_out_rows(self.interval)
        refuse_know_how(self.know_how)
        refuse_limits(self.limit_items)
        several = isinstance(moments, list)
        placed = [in_unit_space(part, self.unit_space) for part in _as_list(moments)]
        parts, intervals = map(list, zip(*placed, strict=True))
        for part in parts:
            if self._needs_gram() and not part.has_gram:
                raise ValueError(f"{NEED_PRODUCTS} need moments that were made with gram=True.")
            if problem := problem_of(part):
                raise ValueError(problem)
        self._forget()
        self.__dict__.pop("feature_names_in_", None)
        self._item_range = None
        self.n_features_in_ = parts[0].n_items
        interval = None if None in intervals else np.array(intervals if several else intervals[0])
        self._keep(parts, interval, several)
        return self._learn(np.float64)

    def _needs_gram(self) -> bool:
        """Whether the sums need the products of pairs of items where the rows are not at hand."""
        return self.covariance == "full" or self.recalibrate or self.interval == "sn_ratio"

    def _check_parameters(self) -> None:
        self._validate_params()
        # A single row beside know-how would hold every item at its value.
        refuse_limits(self.limit_items and self.know_how is not None)
        check_rule(self.unit_space)
        if self.clip is None or isinstance(self.clip, str):
            return
        limits = np.asarray(self.clip)
        if limits.dtype.kind not in "iuf" or limits.shape != (2,) or not limits[0] < limits[1]:
            raise ValueError(f"clip must be two numbers, the lower one first, got {self.clip!r}.")

    def _forget(self) -> None:
        """Drop the fitted attributes of an earlier fit, but for the names of the items."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("_in_")]:
            delattr(self, name)

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

    def _learn(self, dtype: npt.DTypeLike, rows: tuple[Any, Array, list[Mask], Array] | None = None) -> Self:
        """Store what follows from the sums; `rows` (X, y, unit spaces, weights) serve where there are no products."""
        moments, several = _as_list(self.moments_), isinstance(self.moments_, list)
        shrinkage = None if self.covariance == "diagonal" else self.shrinkage
        self._store_estimates([t_estimate(part, self.subtract_error, shrinkage) for part in moments], several, dtype)
        ranges, lines = [part.target_range for part in moments], [(0.0, 1.0)] * len(moments)
        self.recalibration_ = np.array(lines if several else lines[0])
        self._forget_interval()
        if self.recalibrate or self.interval == "sn_ratio":
            targets = list(np.ndenumerate(self.target_center_))
            beside = [self._estimate(part, target, rows) for part, (target, _) in zip(moments, targets, strict=True)]
            if self.recalibrate:
                lines = [line_of(estimate) for estimate in beside]
            if self.interval == "sn_ratio":
                used = lines if self.recalibrate else [None] * len(lines)
                errors = [error_of(*each) for each in zip(beside, (float(c) for _, c in targets), used, strict=True)]
                self._keep_errors(errors, several)
        for part in moments:
            warn_of_few_rows(part, stacklevel=4)
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
        return self._beside(X, y[:, column], target, units[column], weight)

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


def _is_all(rule: UnitSpaceRule) -> bool:
    return isinstance(rule, str) and rule == "all"


def _as_list(moments: Any) -> list[Any]:
    return moments if isinstance(moments, list) else [moments]
