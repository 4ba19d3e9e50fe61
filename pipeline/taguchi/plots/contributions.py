"""What each item adds to the distance or to the prediction of one row."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from pipeline.errors import needs_extra
from pipeline.taguchi.base import Array
from pipeline.taguchi.constant_items import distinct, item_name
from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.plots.drawing import BLUE, GREY, ORANGE, Display, axes_for, largest, last_step, style
from pipeline.taguchi.plots.names import SMALL, figure_text, labels, lettering, name_rows
from pipeline.taguchi.rt import RTMethod
from pipeline.taguchi.summation import is_sparse

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ContributionsDisplay(Display):
    """What each item adds to one row's squared distance or prediction: bars from 0, the largest first.

    Items that are not named are summed up in one bar, "5 others". The contributions sum up to `total` less `base`: a
    squared distance starts at 0, a prediction at the model's centre. What no item adds to a prediction, such as the cut
    at its limits, is the bar "rest". Where an item has such a name, the bar's is in brackets: "(rest)".

    Make it with `from_estimator`.

    Parameters
    ----------
    table : DataFrame
        A row for each bar, with the item's name as the index: `value` of the item in the row, and `contribution`.
    base, total : float
        What the contributions are added to, and what comes out.
    what : str
        Name of what is explained, for the axis and the title.
    note : str, default=""
        Last line of the title: what the contributions do not say of the row, such as that it differs in what is
        constant in the unit space.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the bars.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from pipeline.taguchi import TMethodRegressor
    >>> from pipeline.taguchi.plots import ContributionsDisplay
    >>> X = [[1.2, 9.0], [1.9, 6.0], [3.0, 6.0], [3.8, 5.0], [5.2, 3.0]]
    >>> model = TMethodRegressor(clip="range").fit(X, [1, 2, 3, 4, 5])
    >>> display = ContributionsDisplay.from_estimator(model, [[9.0, 5.0]])
    >>> display.frame()["contribution"].round(2).to_dict()
    {'x0': 5.5, 'x1': 0.07, 'rest': -3.57}
    >>> display.base, display.total
    (3.0, 5.0)
    >>> plt.close(display.figure_)
    """

    def __init__(self, table: pd.DataFrame, base: float, total: float, what: str, note: str = "") -> None:
        super().__init__(table)
        self.base = base
        self.total = total
        self.what = what
        self.note = note

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        row: int = 0,
        *,
        max_items: int | None = 10,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the contributions to one row.

        Parameters
        ----------
        estimator : MahalanobisTaguchi, RTMethod, TMethodRegressor or another estimator with `contributions`
            Fitted, or a pipeline that ends in one. The terms of `RTMethod` are those of its variables Y1 and Y2.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The items.
        row : int, default=0
            Which row, counted from 0.
        max_items : int or None, default=10
            How many items have bars of their names; None: all.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the bars, passed to `Axes.barh`.

        Returns
        -------
        display : ContributionsDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no contributions.
        ValueError
            If there is no such row.
        ImportError
            If the extra `workbench` is not installed.
        """
        last, before = last_step(estimator, cls.__name__, "contributions")
        chosen = _one_row(X, row)
        names = [item_name(last, item) for item in range(last.n_features_in_)]
        if before is not None:
            chosen, names = before.transform(chosen), list(before.get_feature_names_out())
        dense = chosen.toarray() if is_sparse(chosen) else chosen
        values = check_array(dense, dtype=np.float64, ensure_all_finite=False)[0]
        if isinstance(last, RTMethod):
            # Its terms are those of the two variables, not of the items.
            names, values = ["Y1", "Y2"], last.transform(chosen)[0, :2].astype(np.float64)
        parts, what, note = last.contributions(chosen), "estimate", ""
        if not isinstance(parts, Contributions):
            parts, what = Contributions(np.zeros(1), parts, parts, np.zeros(1)), "squared distance D²"
            differs_in = last.diagnosis(chosen)["differs_in"].iloc[0]
            note = f"abnormal by what is constant: {differs_in}" if differs_in else ""
        table = _table(distinct(names), values, parts.items[0], max_items)
        # Of an estimator that makes up for its rounding there, that is no bar.
        if abs(parts.rest[0]) > 1e-9 * np.abs([parts.base[0], *parts.items[0]]).sum():
            table = _with_sum(table, "rest", parts.rest[0])
        return cls(table, float(parts.base[0]), float(parts.total[0]), what, note).plot(ax, **kwargs)

    @needs_extra("ContributionsDisplay.plot", "workbench")
    def plot(self, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the bars, passed to `Axes.barh`.

        Returns
        -------
        self : ContributionsDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.patches import Rectangle
        from matplotlib.ticker import MaxNLocator

        parts = self.table["contribution"].to_numpy(dtype=np.float64)
        ax = axes_for(ax, 6, 1.2 + 0.28 * max(len(parts), 3))
        look = style(Rectangle, kwargs, color=[ORANGE if part > 0 else BLUE for part in parts], height=0.65)
        bars = ax.barh(np.arange(len(parts)), parts, **look)
        ax.bar_label(bars, [figure_text(part, ".3g") for part in parts], padding=3, fontsize=8)
        ax.axvline(0, color=GREY, linewidth=0.9)
        ax.margins(x=0.2)
        # A number at the edge would be cut in half.
        ax.xaxis.set_major_locator(MaxNLocator(prune="both"))
        values = self.table["value"].to_numpy(dtype=np.float64)
        named = zip(labels(self.table.index), values, strict=True)
        name_rows(ax, [name if np.isnan(value) else f"{name} = {figure_text(value, '.4g')}" for name, value in named])
        ax.set_xlabel(f"contribution to the {self.what}")
        title = f"{self.what} {figure_text(self.total, '.4g')}"
        if self.base:
            title += f"\nat the centre {figure_text(self.base, '.4g')}"
        title = "\n".join(filter(None, [title, *labels([self.note], 52)]))
        ax.set_title(title, loc="left", **lettering([title], fontsize=SMALL))
        return self._drawn(ax)


def _one_row(X: Any, row: int) -> Any:
    """Return one row as a table of one row, of the kind that X is."""
    rows = X.tocsr() if is_sparse(X) else X if hasattr(X, "iloc") else np.asarray(X)
    if not isinstance(row, Integral) or not -rows.shape[0] <= row < rows.shape[0]:
        raise ValueError(f"row must count one of the {rows.shape[0]} rows of X from 0, got {row!r}.")
    return rows.iloc[[row]] if hasattr(rows, "iloc") else rows[[row]]


def _table(names: list[str], values: Array, parts: Array, max_items: int | None) -> pd.DataFrame:
    """Return the largest contributions first, and the sum of the others."""
    shown = largest(np.abs(parts), max_items)
    shown = shown[np.argsort(-np.abs(parts[shown]), kind="stable")]
    index = pd.Index([names[item] for item in shown], name="item")
    table = pd.DataFrame({"value": values[shown], "contribution": parts[shown]}, index=index)
    if others := len(parts) - len(shown):
        table = _with_sum(table, f"{others} others", parts.sum() - parts[shown].sum())
    return table


def _with_sum(table: pd.DataFrame, name: str, contribution: float) -> pd.DataFrame:
    """Return the table with a bar that is no item's, under a name that no item has."""
    while name in table.index:
        name = f"({name})"
    row = pd.DataFrame({"value": np.nan, "contribution": contribution}, index=pd.Index([name], name="item"))
    return pd.concat([table, row])
