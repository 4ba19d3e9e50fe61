"""Taguchi's choice of items: an orthogonal array of item sets, and the gain in dB of using each item."""

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length

from pipeline.taguchi.base import Array, Mask, blocks
from pipeline.taguchi.integrated import _present_sum
from pipeline.taguchi.item_selection import SELECTION, ItemSelector, fold_gains, response_in_db, splits, splitter
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.orthogonal_arrays import orthogonal_array
from pipeline.taguchi.summation import check_mask, is_sparse, t_moments
from pipeline.taguchi.t_method import TMethodRegressor
from pipeline.taguchi.unit_space_rule import UnitSpaceRule, check_rule, unit_space_interval, warn_of_few_rows


class OrthogonalArraySelector(ItemSelector):
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
    that are known to be abnormal: `MahalanobisTaguchiSelector`.

    X may be sparse (CSR or CSC) and have missing values (NaN): the items of a run that a row has make its estimate, as
    in `TMethodRegressor`. Of several targets the responses in dB, and so the gains, are averaged.

    Give it the `unit_space` of the model that follows. The smallest array that has a column for each item is taken: L4
    for up to 3 items, L8 for 7, L12 for 11, L16 for 15, L20 for 19 and so on.

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
    fold_over : bool, default=False
        Whether the array follows once more with its levels exchanged. That takes twice the time, and the gain of an
        item is then free of the interactions of two other items: fewer items of noise are kept.

    Attributes
    ----------
    item_gains_ : ndarray of shape (n_features_in_,)
        Gain of each item in dB; exactly 0 for an item whose S/N ratio is 0 in every fold.
    orthogonal_array_ : ndarray of shape (n_runs, n_features_in_), int8
        1: the run uses the item, 2: it does not; see `orthogonal_array`.
    n_unit_space_ : float or ndarray of shape (n_targets,)
        Rows of the unit space among all rows; each fold makes one from its training rows.
    run_sn_ratios_ : ndarray of shape (n_runs,)
        Response h of each run in dB, per squared unit of the target; the first run uses all items. With `fold_over` the
        run without items has no estimate; it has the response that the gains predict (of a single item: the floor).
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    The gains do not change when an item, or the target, is shifted or scaled. They are no independent contributions:
    items with equal information share their gain, and without `fold_over` the interactions of other items fall on an
    item's column. So gains near 0 are uncertain: they may change sign when the columns are put in another order, and
    with a threshold of 0 some items that are pure noise are kept; a greater threshold drops more of them.
    Interactions are strong where few items are useful, and where values are missing: a row that lacks the useful items
    of a run is estimated from the others. Take `fold_over` there.

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
        **SELECTION,
    }

    n_unit_space_: float | Array

    def __init__(
        self,
        unit_space: UnitSpaceRule = "middle",
        subtract_error: bool = True,
        cv: Any = 5,
        threshold: float = 0.0,
        fold_over: bool = False,
    ) -> None:
        self.unit_space = unit_space
        self.subtract_error = subtract_error
        self.cv = cv
        self.threshold = threshold
        self.fold_over = fold_over

    def fit(self, X: Any, y: Any, unit_space_mask: Any = None) -> Self:
        """Learn the gain of each item.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items; NaN is a missing value.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
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
            equals the mean of the unit space; the error names the target, where there are several.
        """
        self._validate_params()
        check_rule(self.unit_space)
        checks = {"y_numeric": True, "multi_output": True, "ensure_all_finite": "allow-nan", "ensure_min_samples": 2}
        X, y = self._check_items(X, y, reset=True, **checks)
        self._forget()
        X = X.tocsr() if is_sparse(X) else X
        if unit_space_mask is not None:
            unit_space_mask = check_mask(unit_space_mask)
            check_consistent_length(y, unit_space_mask)
        array, cv = orthogonal_array(X.shape[1], self.fold_over), splitter(self.cv)
        targets = y.astype(np.float64).reshape(len(y), -1).T
        responses, gains, n_unit_space = [], [], []
        for number, target in enumerate(targets):
            try:
                response, carries = self._responses(X, target, unit_space_mask, (array == 1).T, cv)
            except ValueError as error:
                if y.ndim == 1:
                    raise
                raise ValueError(f"Target {number}: {error}") from error
            response, gain = fold_gains(array, response, self.fold_over)
            responses.append(response)
            # Without this, the interactions of others would give a gain to an item that is in no estimate.
            gains.append(np.where(carries, gain, 0.0))
            all_rows = self._all_rows(target, unit_space_mask)
            warn_of_few_rows(all_rows, stacklevel=3)
            n_unit_space.append(all_rows.unit.target[0])
        self.n_unit_space_ = n_unit_space[0] if y.ndim == 1 else np.array(n_unit_space)
        self.orthogonal_array_ = array
        self.run_sn_ratios_ = np.mean(responses, axis=0)
        self.item_gains_ = np.mean(gains, axis=0)
        return self

    def _responses(self, X: Any, y: Array, unit_space_mask: Any, use: Mask, cv: Any) -> tuple[Array, Mask]:
        """Return the response of each run in dB, and which items carry something in any fold, for one target."""
        n_items, n_runs = use.shape
        r, n = 0.0, 0
        L, S_T = np.zeros(n_runs), np.zeros(n_runs)
        carries = np.zeros(n_items, dtype=bool)
        size = float(np.abs(y).max()) or 1.0
        for fold, (train, test) in enumerate(splits(X, y, cv), start=1):
            model = TMethodRegressor(unit_space=self.unit_space, subtract_error=self.subtract_error)
            try:
                # Once, of all rows, says as much as once a fold.
                with warnings.catch_warnings(action="ignore", category=UserWarning):
                    model.fit(X[train], y[train], None if unit_space_mask is None else unit_space_mask[train])
            except ValueError as error:
                raise ValueError(f"Training rows of fold {fold}: {error}") from error
            weights = _weights_of_runs(model, use)
            carries |= model.eta_ > 0
            M = (y[test] - model.target_center_) / size
            for block in blocks(len(test), max(use.shape)):
                M_hat = _estimates(X[test[block]], weights) / size
                L += M[block] @ M_hat
                S_T += np.einsum("ij,ij->j", M_hat, M_hat)
            r += float(M @ M)
            n += len(test)
        if r == 0:
            raise ValueError("The target y of all held-out rows equals the unit space's mean: no run has an S/N ratio.")
        return response_in_db(r, L, S_T, n, size), carries

    def _all_rows(self, y: Array, mask: Any) -> TMoments:
        """Return the moments of the target over all rows, with the target as the only item."""
        if mask is None:
            low, high = unit_space_interval(y, None, self.unit_space)
            mask = (low <= y) & (y <= high)
        return t_moments(y[:, None], y, mask)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        return tags


class _Weights(NamedTuple):
    """The weights of the integrated estimate of each run, as `TMethodRegressor` has them of one set of items."""

    center: Array
    coef: Array
    share: Array
    offset: Array


def _weights_of_runs(model: TMethodRegressor, use: Mask) -> _Weights:
    beta, eta = model.beta_.astype(np.float64), model.eta_.astype(np.float64)
    slope = np.divide(1.0, beta, out=np.zeros_like(beta), where=eta > 0)
    used = eta[:, None] * use
    total = used.sum(axis=0)
    share = np.divide(used, total, out=np.zeros_like(used), where=total > 0)
    offset = share * (model.item_target_center_ - model.target_center_)[:, None]
    offset -= share * offset.sum(axis=0)
    return _Weights(model.center_, share * slope[:, None], share, offset)


def _estimates(X: Any, weights: _Weights) -> Array:
    """Return the estimate of each row in each run; for a row with gaps from the items that are there."""
    center, coef, share, offset = weights
    M_hat = X @ coef - center @ coef if is_sparse(X) else (X - center) @ coef
    gaps = np.isnan(M_hat).any(axis=1)
    if gaps.any():
        rows = X[gaps].toarray() if is_sparse(X) else X[gaps]
        M_hat[gaps] = _present_sum(rows - center, coef, share, offset)
    return M_hat
