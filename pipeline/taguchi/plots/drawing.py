"""Shared by the displays: the table that is drawn, axes, colours, and the checks of what is given."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"


class Display:
    """Base of the displays: `frame` returns what `plot` draws."""

    ax_: Any
    figure_: "Figure"

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def frame(self) -> pd.DataFrame:
        """Return the numbers that are drawn.

        Returns
        -------
        DataFrame
            A copy of `table`.
        """
        return self.table.copy()

    def _drawn(self, ax: "Axes") -> Self:
        """Keep the axes that were drawn on."""
        self.ax_, self.figure_ = ax, cast("Figure", ax.get_figure(root=True))
        return self


def axes_for(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return the axes to draw on: those given, or those of a new pyplot figure of that size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def style(kind: type, given: dict[str, Any], **default: Any) -> dict[str, Any]:
    """Return the properties of an artist: the defaults, and those given, under their full names, in place of them."""
    from matplotlib.cbook import normalize_kwargs

    return {**default, **normalize_kwargs(given, kind)}


def largest(sizes: npt.ArrayLike, max_items: int | None) -> npt.NDArray[np.intp]:
    """Return the places of the `max_items` largest values, in their order; all where there are no more.

    Examples
    --------
    >>> largest([1.0, 3.0, float("nan"), 2.0], 2).tolist()
    [1, 3]
    """
    if max_items is not None and (not isinstance(max_items, Integral) or max_items < 1):
        raise ValueError(f"max_items must be a whole number of 1 or more, or None for all, got {max_items!r}.")
    sizes = np.nan_to_num(np.asarray(sizes, dtype=np.float64), nan=-np.inf, neginf=-np.inf, posinf=np.inf)
    return np.sort(np.argsort(-sizes, kind="stable")[:max_items])


def numbers(values: Any, name: str, finite: bool = True) -> Array:
    """Return a column of numbers; NaN is refused in one line, infinity where it has no place."""
    column = check_array(
        values, ensure_2d=False, dtype=np.float64, ensure_all_finite=finite, input_name=name, allow_nd=True
    )
    if column.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {column.shape}: draw each target alone.")
    if np.isnan(column).any():
        raise ValueError(f"{name} holds NaN in {np.isnan(column).sum()} of {len(column)} rows: leave them out.")
    return column


def last_step(estimator: Any, display: str, *methods: str) -> tuple[Any, Any]:
    """Return the last estimator of a pipeline and the steps before it, None where there is no pipeline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it has not all of these methods or attributes.
    """
    check_is_fitted(estimator)
    last, before = (estimator[-1], estimator[:-1]) if isinstance(estimator, Pipeline) else (estimator, None)
    if missing := [name for name in methods if not hasattr(last, name)]:
        raise TypeError(f"{display} needs an estimator with {missing[0]}, got {type(last).__name__}.")
    return last, before


def row_labels(X: Any) -> pd.Index | None:
    """Return the index of a table, None where rows have no labels."""
    return X.index if isinstance(X, pd.DataFrame | pd.Series) else None
