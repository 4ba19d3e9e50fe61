"""T(1), T(2), Ta and their full-covariance form: regression by S/N ratios, in one pass, without iteration."""

from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from pipeline.taguchi.base import words
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.intervals import IntervalKind, held_out_errors, refuse_held_out_rows
from pipeline.taguchi.item_range import refuse_limits
from pipeline.taguchi.know_how import NEED_PRODUCTS, KnowHow, in_unit_space, refuse_know_how, sums_of_rows
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.shrinkage import Shrinkage
from pipeline.taguchi.summation import check_weights, is_sparse
from pipeline.taguchi.t_method_base import Clip, Covariance, SumsEstimator, as_list
from pipeline.taguchi.unit_space_rule import UNIT_SPACE_RULES, UnitSpaceRule, check_rule

_FEW_ITEMS = 64


class TMethodRegressor(SumsEstimator):
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
    interval : None, "sn_ratio" or "conformal", default=None
        Whether `predict` can give an interval with each prediction, and from what. "sn_ratio": the error of the
        integrated estimate over its signal rows, `sigma_`, times a quantile of Student's t. Sums suffice for it. These
        are errors of rows that the model was fitted to: too small where rows are few for the items. Least squares
        (``covariance="full"`` with ``shrinkage=0``) makes them smaller than new errors by the factor n / (n - p) for p
        items: 90% intervals hold 58% with n = 2p, and nothing with n = p.
        "conformal": a quantile of the errors of training rows that were held out, a tenth of them at a time (up to 50
        rows: one at a time). It assumes that new rows come from where the training rows came from, and that the model
        hardly changes when rows are left out, and costs ten to fifty more fits. Least squares on about as many rows as
        items changes much: 90% intervals hold 50% to 85% there, with ``shrinkage="auto"`` 90%. The fit warns where
        the signal rows are fewer than twice the items (least squares with "sn_ratio": ten times).
        A step of a pipeline before this model sees the held-out rows: if it learns from the target, as a selector does,
        these intervals are a little too narrow. Either interval lies about the clipped prediction, and is cut at
        ``clip=(low, high)``, but not at the training range, beyond which new targets lie, too.

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
        ``10 log10(eta_)`` in dB; -inf where `eta_` is 0.
    coef_ : ndarray of shape (n_features_in_,)
        Units of the prediction per unit of the item: :math:`\eta_j / \beta_j / \sum_k \eta_k`, times the slope of a
        recalibration.
    intercept_ : float
        The prediction where every item is 0. ``intercept_ + X @ coef_`` is the prediction before `clip` of rows without
        missing values, so that SHAP's ``LinearExplainer`` takes the model.
    weight_ : ndarray of shape (n_features_in_,)
        Share of each item in the integrated estimate, whether recalibrated or not; the shares sum up to 1. All are 0
        where no item carries anything, or where the slope of a recalibration is 0.
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
    sigma_ : float
        With ``interval="sn_ratio"``: standard deviation of the prediction's error over the n signal rows,
        :math:`\sqrt{V_e}/\beta` of the integrated estimate; with `recalibrate`, that of the residuals about the line
        over all n rows. It is 0 where they are rounding; `predict` has no interval then.
    degrees_of_freedom_ : float
        Those of `sigma_`: n - 1, with `recalibrate` n - 2.
    held_out_errors_, held_out_weights_ : ndarray of shape (n_rows,)
        With ``interval="conformal"``: absolute errors of held-out rows in ascending order, and the weights of the rows.
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

    With an interval that is to hold 90% of new targets:

    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=60)
    >>> X = y[:, None] * [1.0, -2.0] + rng.normal(size=(60, 2))
    >>> model = TMethodRegressor("all", interval="conformal").fit(X, y)
    >>> y_pred, ends = model.predict([[1.0, -2.0]], return_interval=True, confidence=0.9)
    >>> y_pred.round(1).tolist(), ends.round(1).tolist()
    ([0.9], [[0.3, 1.5]])

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
        "covariance": [words(Covariance)],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "subtract_error": ["boolean"],
        "recalibrate": ["boolean"],
        "clip": [None, StrOptions({"range"}), "array-like"],
        "limit_items": ["boolean"],
        "interval": [None, words(IntervalKind)],
        "know_how": [None, TMoments, ClassMoments, list],
    }

    def __init__(
        self,
        unit_space: UnitSpaceRule = "middle",
        covariance: Covariance = "diagonal",
        shrinkage: Shrinkage = "auto",
        subtract_error: bool = True,
        recalibrate: bool = False,
        clip: Clip | None = None,
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
            what must suffice, and `recalibrate` takes no missing values. With ``interval="conformal"``: if the rows do
            not suffice when some are held out. With ``interval="sn_ratio"``: if there are fewer than three signal rows.

        Warns
        -----
        UserWarning
            If the unit space has few rows, if one far target makes much of the target's sum of squares, or if the
            intervals of the full covariance rest on few signal rows for the items (see `interval`).
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
            if problem := self._problem(part):
                raise ValueError(problem)
        weight, held_out = check_weights(sample_weight, X), None
        if self.interval == "conformal":
            held_out = held_out_errors(self, X, y, unit_space_mask=unit_space_mask, sample_weight=weight)
        self._item_range = self._range_of(X, sample_weight)
        self._keep(moments, interval, several=y.ndim > 1)
        return self._learn(X.dtype, (X, y.reshape(len(y), -1), units, weight), held_out)

    def partial_fit(self, X: Any, y: Any, unit_space_mask: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those already seen; the result is that of one `fit` on all of them.

        Without `unit_space_mask` the first call places the unit space: the rule's interval of the target is that of
        its rows, see `unit_space_interval_`; (low, high) alone is what `fit` on all rows would take.
        Until there are rows inside and outside of it, `predict` raises
        `NotFittedError`. `recalibrate` and ``interval="sn_ratio"`` take memory of n_features squared here, and more
        than 64 items can have them only if every call was a `partial_fit`; missing values cannot.

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
            With ``interval="conformal"``, which needs all rows at once.
        """
        self._check_parameters()
        refuse_held_out_rows(self.interval)
        seen = getattr(self, "moments_", None)
        X, y = self._check_items(X, y, y_numeric=True, multi_output=True, reset=seen is None)
        before = [] if seen is None else as_list(seen)
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
        return self if wait or any(map(self._problem, moments)) else self._learn(X.dtype)

    def fit_moments(self, moments: KnowHow | list[KnowHow]) -> Self:
        """Learn from sums that were made elsewhere, for instance on the shards of a cluster.

        Parameters
        ----------
        moments : TMoments, ClassMoments or list of them
            From `t_moments`, added up; with `gram` for the full covariance, for `recalibrate` and for
            ``interval="sn_ratio"``. Their masks made the unit space, `unit_space` does not count. Or from
            `class_moments`, where it does. A list holds one for each of several targets.

        Returns
        -------
        self : TMethodRegressor

        Raises
        ------
        ValueError
            As in `fit`, or if `gram` is needed and missing, or if there is `know_how`, which is part of the total here,
            or `limit_items`, or ``interval="conformal"``.
        """
        self._check_parameters()
        refuse_held_out_rows(self.interval)
        refuse_know_how(self.know_how)
        refuse_limits(self.limit_items)
        several = isinstance(moments, list)
        placed = [in_unit_space(part, self.unit_space) for part in as_list(moments)]
        parts, intervals = map(list, zip(*placed, strict=True))
        for part in parts:
            if self._needs_gram() and not part.has_gram:
                raise ValueError(f"{NEED_PRODUCTS} need moments that were made with gram=True.")
            if problem := self._problem(part):
                raise ValueError(problem)
        self._forget()
        self.__dict__.pop("feature_names_in_", None)
        self._item_range = None
        self.n_features_in_ = parts[0].n_items
        interval = None if None in intervals else np.array(intervals if several else intervals[0])
        self._keep(parts, interval, several)
        return self._learn(np.float64)

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


def _is_all(rule: UnitSpaceRule) -> bool:
    return isinstance(rule, str) and rule == "all"
