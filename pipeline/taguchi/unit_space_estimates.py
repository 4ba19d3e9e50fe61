"""The T-method's estimates about several unit spaces, as items for another model."""

import warnings
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import TransformerMixin
from sklearn.utils import Tags, check_array, check_consistent_length
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from pipeline.deal import deal_folds
from pipeline.taguchi.base import OVERFLOW_OF_TARGET, AnyArray, Array, Floating, ItemEstimator, Mask, words
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.summation import CONSTANT_TARGET, check_mask, is_sparse, t_moments
from pipeline.taguchi.t_method import TMethodRegressor
from pipeline.taguchi.unit_space_rule import warn_of_far_target

_Signal = Literal["distance", "target"]
_Folds = list[tuple[npt.NDArray[np.intp], Any]]  # the rows of each fold: their places, and their items


class UnitSpaceEstimates(TransformerMixin, ItemEstimator):
    r"""One T-method for each of several unit spaces; a row becomes their estimates, one column for each unit space.

    A unit space k is a group of rows with like targets, and :math:`c_k` is their mean. With ``signal="distance"`` the
    column estimates how far a row is from it, :math:`M = |y - c_k|`: the integrated estimate of Ta, with all rows as
    unit space and signal. The lowest unit space gives the estimate of the target itself, those between tell what is
    special about the middle. With ``signal="target"`` the column estimates the target, and the T-method uses this
    unit space: items and target are measured from the means of its rows, and the other rows are the signal
    :math:`M = y - c_k` (see `TMethodRegressor`).

    .. note::
        ``fit_transform(X, y)`` is not ``fit(X, y).transform(X)``, just as in `sklearn.preprocessing.TargetEncoder`:
        each row is estimated by T-methods that learned from the other folds. Otherwise many items would know the
        targets of the rows that they were learned from, and a model that follows would trust them too far. Sums of
        folds add up, so that this costs one pass over the rows for each unit space, as without folds.

    Parameters
    ----------
    unit_spaces : int, default=10
        How many. A target with no more different values has one unit space for each value, any other has groups of
        about equally many rows. What would have a single row is joined to its neighbour.
    signal : {"distance", "target"}, default="distance"
        What the T-methods estimate. "target" suits a few items that follow the target in straight lines. A small unit
        space is a poor origin for many rare items, such as words: they need "distance".
    subtract_error : bool, default=True
        As in `TMethodRegressor`.
    cv : int, default=5
        Folds of `fit_transform`.
    random_state : int, RandomState instance or None, default=0
        How the rows are dealt to the folds.

    Attributes
    ----------
    unit_spaces_ : ndarray of shape (n_spaces, 2)
        Smallest and largest target of each unit space.
    target_centers_ : ndarray of shape (n_spaces,)
        Mean target of each, :math:`c_k`.
    estimators_ : list of n_spaces TMethodRegressor
        Learned from all rows.
    coef_ : ndarray of shape (n_spaces, n_features_in_)
        Weights of the items: where no value is missing, the columns are ``X @ coef_.T + intercept_``.
    intercept_ : ndarray of shape (n_spaces,)
        The columns of a row whose items are all 0.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    See Also
    --------
    UnitSpaceItems : Distances of the items from one unit space per class; they do not use the order of the classes.

    Notes
    -----
    X may be sparse (CSR or CSC), and NaN is a missing value, as in `TMethodRegressor`. The columns are linear in the
    items: a linear model of a few items learns nothing new from them. They serve where items are many, or where the
    model that follows takes few of them. Do not choose items by all rows beforehand (words by ``min_df=2``, say): what
    is left of the held-out rows' items then tells of their targets, and the S/N ratios hold rare items back anyway.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005, for the T-method.

    Examples
    --------
    >>> X = [[1.1, 9.0], [1.9, 4.0], [3.2, 9.0], [1.0, 8.0], [2.1, 5.0], [2.9, 8.0]]
    >>> estimates = UnitSpaceEstimates(cv=2).set_output(transform="pandas")
    >>> estimates.fit(X, [1, 2, 3, 1, 2, 3]).transform([[1.2, 8.0], [2.0, 5.0]]).round(1)
       estimate_1  estimate_2  estimate_3
    0         0.2         0.9         1.8
    1         1.0         0.1         1.0
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "unit_spaces": [Interval(Integral, 1, None, closed="left")],
        "signal": [words(_Signal)],
        "subtract_error": ["boolean"],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    unit_spaces_: Array
    target_centers_: Array
    estimators_: list[TMethodRegressor]

    def __init__(
        self,
        unit_spaces: int = 10,
        signal: _Signal = "distance",
        subtract_error: bool = True,
        cv: int = 5,
        random_state: Any = 0,
    ):
        self.unit_spaces = unit_spaces
        self.signal = signal
        self.subtract_error = subtract_error
        self.cv = cv
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def coef_(self) -> Floating:
        """Weights of the items, of shape (n_spaces, `n_features_in_`)."""
        return np.stack([model.coef_ for model in self.estimators_])

    @property
    def intercept_(self) -> Array:
        """The columns of a row whose items are all 0, of shape (n_spaces,)."""
        return np.array([model.intercept_ for model in self.estimators_])

    def fit(self, X: Any, y: Any, unit_space_masks: Any = None) -> Self:
        """Learn one T-method for each unit space from all rows.

        For the training rows of a model that follows use `fit_transform`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items; NaN is a missing value.
        y : array-like of shape (n_samples,)
            The target.
        unit_space_masks : array-like of bool of shape (n_samples, n_spaces), default=None
            A column for each unit space, True for its rows; in place of those that `unit_spaces` makes. They may
            overlap.

        Returns
        -------
        self : UnitSpaceEstimates

        Raises
        ------
        ValueError
            If the target is constant or its squares overflow, if the masks are not booleans or not one row for each
            row of X, or if a T-method cannot be fitted (fewer than two signal rows, say); the error names the column.
        """
        X, y, masks = self._checked(X, y, unit_space_masks)
        everything = [(np.arange(len(y)), X)]
        self.estimators_ = [
            self._model(name, parts[0])
            for name, parts in zip(self._names, self._sums(everything, y, masks), strict=True)
        ]
        return self

    def fit_transform(self, X: Any, y: Any, unit_space_masks: Any = None) -> Floating:
        """Learn from all rows, and return for each the estimates by T-methods that learned from the other folds.

        Parameters
        ----------
        X, y, unit_space_masks
            As in `fit`. The unit spaces are those of all rows, in each fold too.

        Returns
        -------
        ndarray of shape (n_samples, n_spaces), with the dtype of `X`

        Raises
        ------
        ValueError
            As in `fit`, if there are fewer rows than folds, or if the other folds do not suffice for a unit space.
        """
        X, y, masks = self._checked(X, y, unit_space_masks)
        if len(y) < self.cv:
            raise ValueError(f"cv={self.cv} needs {self.cv} or more samples, got {len(y)}.")
        fold = deal_folds(y, self.cv, self.random_state)
        by_row = X.tocsr() if is_sparse(X) else X
        rows = [np.flatnonzero(fold == number) for number in range(self.cv)]
        folds = [(at, by_row[at]) for at in rows]
        models = []
        columns = np.empty((len(y), len(self._names)), dtype=X.dtype)
        for k, (name, parts) in enumerate(zip(self._names, self._sums(folds, y, masks), strict=True)):
            models.append(self._model(name, sum(parts[1:], parts[0])))
            for number, (at, items) in enumerate(folds):
                others = parts[:number] + parts[number + 1 :]
                model = self._model(f"{name} without fold {number + 1}", sum(others[1:], others[0]))
                columns[at, k] = model.predict(items)
        self.estimators_ = models
        return columns

    def transform(self, X: Any) -> Floating:
        """Return the estimates of new rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items. Where one is missing (NaN), the others of its row make the estimates.

        Returns
        -------
        ndarray of shape (n_samples, n_spaces), with the dtype of `X`
            In units of the target.
        """
        check_is_fitted(self, "estimators_")
        X = self._check_items(X)
        return np.column_stack([model.predict(X) for model in self.estimators_])

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns: ``estimate_3`` of the value 3, ``estimate_3_to_5`` of a group.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (n_spaces,) of str
            With `unit_space_masks` the columns are numbered: ``estimate_mask0``.
        """
        check_is_fitted(self, "estimators_")
        return np.asarray(self._names, dtype=object)

    def _checked(self, X: Any, y: Any, unit_space_masks: Any) -> tuple[Any, Array, Mask]:
        """Return the checked rows, and store what is known of the unit spaces from the target alone."""
        self._validate_params()
        X, y = self._check_items(X, y, y_numeric=True, ensure_min_samples=2, reset=True)
        self._forget()
        y = y.astype(np.float64)
        if y.min() == y.max():
            raise ValueError(CONSTANT_TARGET.format(y[0]))
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(((y - y.mean()) ** 2).sum())
        if not squares < np.inf:
            raise ValueError(OVERFLOW_OF_TARGET)
        masks = _groups(y, self.unit_spaces) if unit_space_masks is None else _checked_masks(unit_space_masks, y)
        self.unit_spaces_ = np.array([[y[mask].min(), y[mask].max()] for mask in masks.T])
        self.target_centers_ = np.array([y[mask].mean() for mask in masks.T])
        if unit_space_masks is None:
            self._names = _names(self.unit_spaces_)
        else:
            self._names = [f"estimate_mask{k}" for k in range(masks.shape[1])]
        self._warn(y, squares, masks.sum(axis=0))
        return X, y, masks

    def _warn(self, y: Array, squares: float, sizes: npt.NDArray[np.intp]) -> None:
        """Warn once where numbers rest on few rows, not once for each T-method."""
        n, smallest = len(y), int(sizes.argmin())
        # As `warn_of_few_rows` counts.
        if self.signal == "target" and sizes[smallest] < max(min(n / 5, 5), n / 50):
            warnings.warn(
                f"The unit space of {self._names[smallest]} holds {sizes[smallest]} of {n} rows, and all is measured "
                "from their mean: take fewer unit_spaces, or signal='distance', which measures from that of all rows.",
                UserWarning,
                stacklevel=4,
            )
        warn_of_far_target((float(y.min()), float(y.max())), float(y.mean()), squares, n, stacklevel=5)

    def _sums(self, folds: _Folds, y: Array, masks: Mask) -> Any:
        """Yield the sums of all folds for each unit space."""
        for center, mask in zip(self.target_centers_, masks.T, strict=True):
            target, unit = (y, mask) if self.signal == "target" else (np.abs(y - center), np.ones_like(mask))
            yield [t_moments(items, target[at], unit[at]) for at, items in folds]

    def _model(self, name: str, sums: TMoments) -> TMethodRegressor:
        """Return the T-method that sums make; an error says of which unit space they are."""
        model = TMethodRegressor(subtract_error=self.subtract_error)
        try:
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                return model.fit_moments(sums)
        except ValueError as error:
            raise ValueError(f"Column {name}: {error}") from error


def _groups(y: Array, n: int) -> Mask:
    """Return a mask for each value of the target, or for each of `n` groups of about equally many rows.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    n : int
        The most groups; a group that would have a single row is part of the next one.

    Returns
    -------
    ndarray of bool of shape (n_samples, n_groups)
    """
    ends = np.unique(y)
    if len(ends) > n:
        ends = np.unique(np.quantile(y, np.arange(1, n + 1) / n, method="inverted_cdf"))
    kept: list[float] = []
    before = 0
    for end, up_to in zip(ends, np.searchsorted(np.sort(y), ends, side="right"), strict=True):
        if up_to - before > 1:
            kept.append(end)
            before = up_to
    # A single row at the upper end is part of the group below.
    kept[-1:] = [ends[-1]]
    return np.searchsorted(kept, y)[:, None] == np.arange(len(kept))


def _checked_masks(unit_space_masks: Any, y: Array) -> Mask:
    """Return the masks of unit spaces as columns of booleans."""
    masks: AnyArray = check_array(unit_space_masks, dtype=None, ensure_2d=False, input_name="unit_space_masks")
    if masks.ndim != 2:
        raise ValueError(f"unit_space_masks must have one column for each unit space, got shape {masks.shape}.")
    check_consistent_length(y, masks)
    masks = np.column_stack([check_mask(mask) for mask in masks.T])
    if not (sizes := masks.sum(axis=0)).all():
        raise ValueError(f"Column {sizes.argmin()} of unit_space_masks has no True row: the unit space is empty.")
    return masks


def _names(intervals: Array) -> list[str]:
    """Return a name for each interval of the target, with as many digits as make them differ."""
    for digits in (6, 17):
        written = [[f"{end:.{digits}g}" for end in ends] for ends in intervals]
        names = [f"estimate_{low}" if low == high else f"estimate_{low}_to_{high}" for low, high in written]
        if len(set(names)) == len(names):
            break
    return names
