"""S/N ratios and gains of items as bars from 0."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from pipeline.errors import needs_extra
from pipeline.taguchi.constant_items import distinct
from pipeline.taguchi.plots.drawing import BLUE, GREY, Display, largest, last_step, style
from pipeline.taguchi.plots.names import SMALL, labels, name_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The longest bar of negative dB is the worst item, so the axis says which end is which.
_PANELS = {"sn_ratio_db": "S/N ratio (dB), right is better", "gain_db": "gain (dB), right is better"}


class ItemsDisplay(Display):
    """S/N ratio and gain of each item, as bars from 0, in the order of X.

    An item whose S/N ratio is 0, which is −∞ dB, has no bar but this mark. The bars of items that the selector drops
    are hollow.

    Make it with `from_estimator`.

    Parameters
    ----------
    table : DataFrame
        A row for each item, with its name as the index: `sn_ratio_db`, or `gain_db` and `kept`, or all three.
    title : str, default=""
        Title of the chart.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of two
        The axes with the bars; two where S/N ratios and gains are drawn.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from pipeline.taguchi import TMethodRegressor
    >>> from pipeline.taguchi.plots import ItemsDisplay
    >>> X = [[1.2, 9.0, 1.0], [1.9, 6.0, 2.0], [3.0, 6.0, 3.0], [3.8, 5.0, 2.0], [5.2, 3.0, 1.0]]
    >>> display = ItemsDisplay.from_estimator(TMethodRegressor().fit(X, [1, 2, 3, 4, 5]))
    >>> display.frame()["sn_ratio_db"].round(1).to_dict()
    {'x0': 13.6, 'x1': 3.6, 'x2': -inf}
    >>> plt.close(display.figure_)
    """

    def __init__(self, table: pd.DataFrame, title: str = "") -> None:
        super().__init__(table)
        self.title = title

    @classmethod
    def from_estimator(
        cls, estimator: Any, selector: Any = None, *, max_items: int | None = 40, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the items of a T-method, of a selector, or of both.

        Parameters
        ----------
        estimator : TMethodRegressor, TbRegressor, OrthogonalArraySelector or MahalanobisTaguchiSelector
            Fitted: anything whose `items_table()` has the S/N ratios or the gains. Of a pipeline the last step.
        selector : OrthogonalArraySelector, default=None
            The fitted selector that chose the items of `estimator`: its gains are drawn beside the S/N ratios. Default:
            in a pipeline the step before the last, where that is one.
        max_items : int or None, default=40
            Where there are more items, those with the highest S/N ratios (of a selector alone: the highest gains) are
            drawn; None draws all.
        ax : matplotlib Axes, or sequence of two, default=None
            Axes to draw on: two with a `selector`. None makes a figure of pyplot.
        **kwargs : dict
            Properties of the bars, passed to `Axes.barh`.

        Returns
        -------
        display : ItemsDisplay

        Raises
        ------
        NotFittedError
            If an estimator is not fitted.
        TypeError
            If it has no table of items, or one with neither S/N ratios nor gains.
        ValueError
            If the number of axes is not that of the panels, or if the model has several targets.
        ImportError
            If the extra `workbench` is not installed.
        """
        last, before = last_step(estimator, cls.__name__, "items_table")
        if selector is None and before is not None and hasattr(before[-1], "item_gains_"):
            selector = before[-1]
        table = last.items_table() if selector is None else last.items_table(selector)
        if table.index.nlevels > 1:
            n_targets = table.index.levels[0].size
            raise ValueError(f"{cls.__name__} draws one target, got a model of {n_targets}: fit each alone.")
        panels = [name for name in _PANELS if name in table]
        if not panels:
            needed = " or ".join(_PANELS)
            raise TypeError(f"{cls.__name__} needs items_table() with {needed}, got that of {type(last).__name__}.")
        shown = largest(table[panels[0]], max_items)
        title = f"{len(shown)} of {len(table)} items: the highest" if len(shown) < len(table) else ""
        table = table.set_axis(pd.Index(distinct(table.index), name="item"))
        return cls(table.iloc[shown][[*panels, *({"kept"} & {*table})]], title).plot(ax, **kwargs)

    @needs_extra("ItemsDisplay.plot", "workbench")
    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of two, default=None
            Axes to draw on: two where the table has S/N ratios and gains. None makes a figure of pyplot.
        **kwargs : dict
            Properties of the bars, passed to `Axes.barh`.

        Returns
        -------
        self : ItemsDisplay

        Raises
        ------
        ValueError
            If the number of axes is not that of the panels.
        ImportError
            If the extra `workbench` is not installed.
        """
        panels = [name for name in _PANELS if name in self.table]
        if ax is None:
            from matplotlib import pyplot

            size = (1.6 + 3.2 * len(panels), 1 + 0.25 * max(len(self.table), 3))
            ax = pyplot.subplots(1, len(panels), sharey=True, figsize=size, layout="constrained")[1]
        every = np.atleast_1d(np.asarray(ax, dtype=object))
        if len(every) != len(panels):
            raise ValueError(f"ItemsDisplay draws {' and '.join(panels)}: give {len(panels)} axes, got {len(every)}.")
        for axes, panel in zip(every, panels, strict=True):
            self._bars(axes, panel, kwargs)
        name_rows(every[0], labels(self.table.index))
        every[-1].set_ylim(every[0].get_ylim())
        every[0].set_title(self.title, loc="left", fontsize=SMALL)
        self._drawn(every[0])
        self.ax_ = every if len(every) > 1 else every[0]
        return self

    def _bars(self, ax: "Axes", panel: str, kwargs: dict[str, Any]) -> None:
        from matplotlib.patches import Rectangle

        values = self.table[panel].to_numpy(dtype=np.float64)
        kept = self.table["kept"].to_numpy(dtype=bool) if "kept" in self.table else np.ones(len(values), dtype=bool)
        look = style(Rectangle, kwargs, color=BLUE, height=0.65)
        finite = np.isfinite(values)
        bars = ax.barh(np.arange(len(values)), np.where(finite, values, 0), **look)
        for bar in np.array(bars, dtype=object)[~kept]:
            bar.set(edgecolor=bar.get_facecolor(), facecolor="none")
        # On the side where the bars, and so the axis, are.
        offset, side = ((-4, 0), "right") if (values[finite] < 0).any() or not finite.any() else ((4, 0), "left")
        for row in np.flatnonzero(~finite):
            mark = "dropped" if np.isnan(values[row]) else "−∞"
            place: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": side, "va": "center"}
            ax.annotate(mark, (0, row), **place, fontsize=SMALL)
        ax.axvline(0, color=GREY, linewidth=0.9)
        if not finite.any():
            ax.set_xlim(-1, 0)
        ax.tick_params("y", length=0)
        ax.set_xlabel(_PANELS[panel])
