"""Shared by the selectors of items: folds, gains in dB, and which items are kept."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import PredefinedSplit, check_cv
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array, ItemEstimator, Mask
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.estimate_tables import item_names

SELECTION: dict[str, list[Any]] = {
    "cv": ["cv_object"],
    "threshold": [Interval(Real, None, None, closed="neither")],
    "fold_over": ["boolean"],
}


class ItemSelector(SelectorMixin, ItemEstimator):
    """Base of the selectors: an item is kept if its gain is greater than `threshold`, and the best one always is."""

    threshold: float

    item_gains_: Array
    orthogonal_array_: npt.NDArray[np.int8]
    run_sn_ratios_: Array

    def items_table(self) -> pd.DataFrame:
        """Return the gain of each item, and whether it is kept.

        Returns
        -------
        DataFrame of shape (n_features_in_, 2)
            A row for each item, by its name (x0, x1, ... where `X` had no column names): `gain_db` and `kept`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        kept = self.get_support()
        index = pd.Index(item_names(self), name="item")
        return pd.DataFrame({"gain_db": self.item_gains_, "kept": kept}, index=index)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Gains had another name in an earlier version.
        super().__setstate__({"item_gains_" if name == "gains_" else name: value for name, value in state.items()})

    def _get_support_mask(self) -> Mask:
        check_is_fitted(self, "item_gains_")
        support = self.item_gains_ > self.threshold
        if not support.any():
            support[np.argmax(self.item_gains_)] = True
        return support

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def item_gains(array: npt.ArrayLike, sn_ratios: npt.ArrayLike) -> Array:
    r"""Return the gain of each item of a two-level orthogonal array in the S/N ratio.

    .. math:: g_j = \frac{2}{n} \Bigl(\sum_{i: a_{ij} = 1} h_i - \sum_{i: a_{ij} = 2} h_i \Bigr)

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
    >>> item_gains([[1, 1], [2, 1], [1, 2], [2, 2]], [4.0, 1.0, 3.0, 0.0]).tolist()
    [3.0, 1.0]
    """
    sn_ratios = np.asarray(sn_ratios, dtype=np.float64)
    return 2 / len(sn_ratios) * (sn_ratios @ (3.0 - 2.0 * np.asarray(array)))


def fold_gains(array: npt.NDArray[np.int8], sn_ratios: Array, fold_over: bool) -> tuple[Array, Array]:
    """Return the responses and the gains; in a folded array runs without items get what the gains predict.

    They have no estimate and no distance. Any fixed response would be added to the gain of every item. In its place
    stands Yates's value of missing plots, with which the gains are those of least squares over the other runs. A single
    item has nothing but runs without items to be compared with: their responses stay.
    """
    if fold_over:
        n_runs, n_items = array.shape
        empty = (array == 2).all(axis=1)
        if (unknown := n_runs - empty.sum() * (1 + n_items)) > 0:
            levels, known = 3.0 - 2.0 * array[~empty], sn_ratios[~empty]
            sn_ratios = np.where(empty, (known.sum() - (known @ levels).sum()) / unknown, sn_ratios)
    return sn_ratios, item_gains(array, sn_ratios)


def response_in_db(r: float, L: Array, S_T: Array, n: int, size: float) -> Array:
    """Return the S/N ratio of each run in dB, never below 1 / r: there no signal stands above the error.

    `r` and `L` are sums of the signal divided by `size`, so that their squares are floats; where the output is an
    estimate of the signal, it is divided, too.
    """
    # A slope below zero on held-out rows is no signal, however steep.
    eta = sensitivity_and_sn_ratio(r, np.maximum(L, 0), S_T, n, subtract_error=False).eta
    return 10 * np.log10(np.maximum(eta, 1 / r)) - 20 * np.log10(size)


def splitter(cv: Any) -> Any:
    """Return a number of folds as it is, and anything else as an object that can split more than once."""
    if cv is None:
        return 5
    return int(cv) if isinstance(cv, Integral) else check_cv(cv)


def splits(X: Any, y: Array, cv: Any) -> Iterator[Any]:
    """Return training and held-out rows of each fold; a number of folds deals out the rows in the order of y."""
    if isinstance(cv, int):
        if len(y) < cv:
            raise ValueError(f"cv={cv} needs {cv} or more samples, got {len(y)}.")
        fold = np.empty(len(y), dtype=int)
        fold[np.argsort(y, kind="stable")] = np.arange(len(y)) % cv
        cv = PredefinedSplit(fold)
    return cv.split(X, y)
