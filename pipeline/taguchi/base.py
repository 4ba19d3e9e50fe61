"""Shared by the estimators: types of arrays, the limit of rounding, blocks of rows, and the check of items."""

from collections.abc import Callable
from inspect import signature
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi.target import as_numbers

Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]
Floating = npt.NDArray[np.floating]
Indices = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)
FLOATS = [np.float64, np.float32]
OVERFLOW = "Input X holds values whose squares overflow: scale the items down."
OVERFLOW_OF_TARGET = "The target y holds values whose squares overflow: scale it down."
UNDERFLOW_OF_TARGET = "The target y varies so little that its squares underflow: scale it up."
# Below this a sum of squares has lost digits.
LEAST_SQUARES = 1e-290

_BLOCK_BYTES = 2**20


class ItemEstimator(BaseEstimator):
    """Base of the estimators whose columns of X are items."""

    _dtypes: Any = FLOATS
    _parameter_constraints: dict[str, list[Any]]

    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Parameters that an earlier version did not have: their defaults mean what it did.
        parameters = signature(type(self).__init__).parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        super().__setstate__(defaults | state)

    def _check_items(self, X: Any, y: Any = "no_validation", **kwargs: Any) -> Any:
        """Return X, with a target X and y, as scikit-learn validates them; `kwargs` are given in a fit only."""
        if kwargs.get("y_numeric") and y is not None:
            y = as_numbers(y, type(self).__name__)
        tags = self.__sklearn_tags__().input_tags
        # In a fit infinity shows in the sums, and X need not be read twice.
        finite = (False if kwargs else "allow-nan") if tags.allow_nan else True
        sparse = ["csr", "csc"] if tags.sparse else False
        options = {"accept_sparse": sparse, "dtype": self._dtypes, "ensure_all_finite": finite, "reset": False}
        return validate_data(self, X, y, **(options | kwargs))

    def _forget(self) -> None:
        """Drop the fitted attributes of an earlier fit, but for the names of the items."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("_in_")]:
            delattr(self, name)

    def _new_items(self, X: Any) -> Any:
        """Return rows to measure or to predict, checked against those of the fit."""
        check_is_fitted(self)
        return self._check_items(X)


def words(literal: Any) -> StrOptions:
    """Return scikit-learn's check of a parameter whose type is a `Literal`."""
    return StrOptions(set(get_args(literal)))


def slices(n: int, size: int) -> list[slice]:
    """Cut `n` places into slices of `size`; the last one may be shorter."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def blocks(n_rows: int, n_items: int) -> list[slice]:
    """Cut rows into slices whose float64 values fit into a processor's cache: memory stays flat."""
    return slices(n_rows, max(1, _BLOCK_BYTES // (8 * n_items)))


def by_block(function: Callable[[npt.NDArray[Any]], Array], X: npt.NDArray[Any]) -> Array:
    """Apply a function of rows block by block."""
    return np.concatenate([function(X[rows]) for rows in blocks(*X.shape)])


def rounded(values: Array, dtype: npt.DTypeLike) -> Floating:
    """Return values as `dtype`, or as they are where that would make them infinite."""
    with np.errstate(over="ignore"):
        result = values.astype(dtype)
    return result if np.isfinite(result).sum() == np.isfinite(values).sum() else values
