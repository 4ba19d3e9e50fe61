"""Taguchi's choice of items: an orthogonal array of item sets, and the gain in dB of using each item."""

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from pipeline.taguchi.base import Array, ItemEstimator, Mask, blocks
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.orthogonal_arrays import orthogonal_array
from pipeline.taguchi.summation import check_mask, t_moments
from pipeline.taguchi.t_method import TMethodRegressor
from pipeline.taguchi.unit_space_rule import UnitSpaceRule, check_rule, unit_space_interval, warn_of_few_rows


def _item_gains(array: npt.ArrayLike, sn_ratios: npt.ArrayLike) -> Array:
    r"""Return the gain of each item of a two-level orthogonal array in the S/N ratio.

    .. math:: g_j = \frac{2}{n} \Big(\sum_{i: a_{ij} = 1} h_i - \sum_{i: a_{ij} = 2} h_i \Big)

    Parameters
    ----------
    array : array-like of shape (n_runs, n_items)
        Levels: 1 where the run uses the item, 2 where it does not, each in half of the runs.
    sn_ratios : array-like of shape (n_runs,)
        Response h of each run, in dB.

    Returns
    -------
    gains : ndarray of shape (n_items,)
        Mean of the runs with the item less mean of the runs without it, in dB.

    References
    ----------
    G. Taguchi and R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002.

    Examples
    --------
    >>> _item_gains([[1, 1], [2, 1], [1, 2], [2, 2]], [4.0, 1.0, 3.0, 0.0]).tolist()
    [3.0, 1.0]
    """
    sn_ratios = np.asarray(sn_ratios, dtype=np.float64)
    return 2 / len(sn_ratios) * (sn_ratios @ (3.0 - 2.0 * np.asarray(array)))


class OrthogonalArraySelector(SelectorMixin, ItemEstimator):
    r"""Keep the items that raise the S/N ratio of the T-method's integrated estimate.

    Each run of a two-level orthogonal array uses about half of the items. Its response is the S/N ratio of the
    integrated estimate :math:`\hat{M}` that these items give for rows that were held out: cross-validation
    inside the training data, with the sums :math:`r = \sum M^2, L = \sum M \hat{M}, S_T = \sum \hat{M}^2` taken over
    all folds, M and :math:`\hat{M}` measured from the unit space of the fold's training rows, and

    .. math:: S_\beta = L^2/r,\quad V_e = (S_T - S_\beta)/(n-1),\quad
              h = 10 \log_{10} \frac{\max(S_\beta, V_e)}{r V_e} ,

    :math:`S_\beta` taken as 0 where :math:`L \le 0`. So h rises with the correlation of M and :math:`\hat{M}`, and a
    run whose estimate does not stand above its error, or has no usable item, gets the finite floor
    :math:`10 \log_{10} (1/r)`. The gain of an item is the mean response of the runs that use it less the mean response
    of those that do not; an item is kept if its gain is greater than `threshold`. Where that is true of none, the item
    with the greatest gain is kept alone.

    This is the selection for T-methods, by the S/N ratio of an estimate. MT has another one, by the distances of rows
    that are known to be abnormal.

    beta and eta of an item do not depend on other items, so one fit per fold serves all runs, and their estimates are
    one matrix product: n_samples x n_items x n_runs multiplications in all.

    Parameters
    ----------
    unit_space : {"middle", "median", "low", "high", "all"} or (low, high), default="middle"
        As in `TMethodRegressor`.
    subtract_error : bool, default=True
        As in `TMethodRegressor`.
    cv : int, splitter or iterable of splits, default=5
        With a number k, the rows are sorted by the target and dealt out to k folds, so that each fold has every size of
        target, whatever the order of the rows. None means 5.
    threshold : float, default=0.0
        Gain in dB that an item has to exceed.

    Attributes
    ----------
    gains_ : ndarray of shape (n_features_in_,)
        Gain of each item in dB; exactly 0 for an item whose S/N ratio is 0 in every fold.
    orthogonal_array_ : ndarray of shape (n_runs, n_features_in_), int8
        1: the run uses the item, 2: it does not; see `orthogonal_array`.
    n_unit_space_ : float
        Rows of the unit space among all rows; each fold makes one from its training rows.
    run_sn_ratios_ : ndarray of shape (n_runs,)
        Response h of each run in dB, per squared unit of the target; the first run uses all items.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    The gains do not change when an item, or the target, is shifted or scaled. They are no independent contributions:
    items with equal information share their gain, and the interactions of other items fall on an item's column. So
    gains near 0 are uncertain: they may change sign when the columns are put in another order, and with a threshold of
    0 some items that are pure noise are kept; a greater threshold drops more of them.

    References
    ----------
    G. Taguchi and R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002 (choice of items by orthogonal arrays and
    S/N ratios). G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=100)
    >>> X = np.column_stack([y + rng.normal(size=100), rng.normal(size=100), rng.normal(size=100) - y])
    >>> selector = OrthogonalArraySelector(unit_space="all").fit(X, y)
    >>> selector.get_support().tolist()
    [True, False, True]
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        **{name: TMethodRegressor._parameter_constraints[name] for name in ("unit_space", "subtract_error")},
        "cv": ["cv_object"],
        "threshold": [Interval(Real, None, None, closed="neither")],
    }

    gains_: Array
    run_sn_ratios_: Array

    def __init__(
        self, unit_space: UnitSpaceRule = "middle", subtract_error: bool = True, cv: Any = 5, threshold: float = 0.0
    ) -> None:
        self.unit_space = unit_space
        self.subtract_error = subtract_error
        self.cv = cv
        self.threshold = threshold

    def fit(self, X: Any, y: Any, unit_space_mask: Any = None) -> Self:
        """Learn the gain of each item.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The target.
        unit_space_mask : array-like of bool of shape (n_samples,), default=None
            True for the rows of the unit space; overrides the rule `unit_space`. The unit space of a fold is that part
            of it that is not held out.

        Returns
        -------
        self : OrthogonalArraySelector

        Raises
        ------
        ValueError
            If there are fewer rows than folds, if `TMethodRegressor` cannot be fitted to the training rows of a fold
            (constant target, empty unit space, fewer than two signal rows), or if the target of all held-out rows
            equals the mean of the unit space.
        """
        self._validate_params()
        check_rule(self.unit_space)
        X, y = self._check_items(X, y, y_numeric=True, ensure_min_samples=2, reset=True)
        y = y.astype(np.float64)
        if unit_space_mask is not None:
            unit_space_mask = check_mask(unit_space_mask)
            check_consistent_length(y, unit_space_mask)
        array = orthogonal_array(X.shape[1])
        use = (array.T == 1).astype(np.float64)

        r, n = 0.0, 0
        L, S_T = np.zeros(len(array)), np.zeros(len(array))
        carries = np.zeros(X.shape[1], dtype=bool)
        for fold, (train, test) in enumerate(_splits(X, y, self.cv), start=1):
            model = TMethodRegressor(unit_space=self.unit_space, subtract_error=self.subtract_error)
            try:
                # Once, of all rows, says as much as once a fold.
                with warnings.catch_warnings(action="ignore", category=UserWarning):
                    model.fit(X[train], y[train], None if unit_space_mask is None else unit_space_mask[train])
            except ValueError as error:
                raise ValueError(f"Training rows of fold {fold}: {error}") from error
            center, beta, eta = (a.astype(np.float64) for a in (model.center_, model.beta_, model.eta_))
            carries |= eta > 0
            slope = np.divide(eta, beta, out=np.zeros_like(eta), where=eta > 0)
            total = eta @ use
            weights = np.divide(slope[:, None] * use, total, out=np.zeros_like(use), where=total > 0)
            M = y[test] - model.target_center_
            for block in blocks(len(test), max(use.shape)):
                M_hat = (X[test[block]] - center) @ weights
                L += M[block] @ M_hat
                S_T += np.einsum("ij,ij->j", M_hat, M_hat)
            r += float(M @ M)
            n += len(test)
        if r == 0:
            raise ValueError("The target y of all held-out rows equals the unit space's mean: no run has an S/N ratio.")

        all_rows = self._all_rows(y, unit_space_mask)
        warn_of_few_rows(all_rows, stacklevel=3)
        self.n_unit_space_ = all_rows.unit.target[0]
        self.orthogonal_array_ = array
        # A slope below zero on held-out rows is no signal, however steep.
        eta = sensitivity_and_sn_ratio(r, np.maximum(L, 0), S_T, n, subtract_error=False).eta
        self.run_sn_ratios_ = 10 * np.log10(np.maximum(eta, 1 / r))
        # Without this, the interactions of others would give a gain to an item that is in no estimate.
        self.gains_ = np.where(carries, _item_gains(array, self.run_sn_ratios_), 0.0)
        return self

    def _all_rows(self, y: Array, mask: Any) -> TMoments:
        """Return the moments of the target over all rows, with the target as the only item."""
        if mask is None:
            low, high = unit_space_interval(y, None, self.unit_space)
            mask = (low <= y) & (y <= high)
        return t_moments(y[:, None], y, mask)

    def _get_support_mask(self) -> Mask:
        check_is_fitted(self)
        support = self.gains_ > self.threshold
        if not support.any():
            support[np.argmax(self.gains_)] = True
        return support

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _splits(X: Any, y: Array, cv: Any) -> Iterator[Any]:
    """Return training and held-out rows of each fold."""
    if cv is None or isinstance(cv, Integral):
        cv = 5 if cv is None else int(cv)
        if len(y) < cv:
            raise ValueError(f"cv={cv} needs {cv} or more samples, got {len(y)}.")
        fold = np.empty(len(y), dtype=int)
        fold[np.argsort(y, kind="stable")] = np.arange(len(y)) % cv
        cv = PredefinedSplit(fold)
    return check_cv(cv).split(X, y)
