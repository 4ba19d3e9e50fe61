"""The factorial effect chart: the mean S/N ratio at each level of each item or factor."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from pipeline.errors import needs_extra
from pipeline.taguchi.constant_items import distinct, item_name
from pipeline.taguchi.plots.drawing import BLUE, GREY, Display, axes_for, largest, last_step, style
from pipeline.taguchi.plots.names import SMALL, name_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipeline.taguchi.parameter_design import ParameterDesign


class EffectChartDisplay(Display):
    """Factorial effect chart (要因効果図): the mean S/N ratio at each level of each item or factor, joined by lines.

    The horizontal line is the mean of all runs. A filled point is the level that is chosen: the best level of a factor;
    of an item, level 1 (with the item) where the selector keeps it and level 2 (without it) where it does not.

    Make it with `from_estimator` or `from_design`.

    Parameters
    ----------
    table : DataFrame
        A row for each level of each item, those of one item together: `item`, `level`, `sn_ratio_db` (mean S/N ratio in
        dB of the runs at that level) and `chosen`.
    grand_mean : float
        Mean S/N ratio of all runs, in dB.
    name_levels : bool, default=True
        Whether the levels are named below their points, and the items above; else the items are named below.
    title : str, default=""
        Title of the chart.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the chart.
    figure_ : matplotlib Figure
        Their figure.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from pipeline.taguchi import OrthogonalArraySelector
    >>> from pipeline.taguchi.plots import EffectChartDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=100)
    >>> X = np.column_stack([y + rng.normal(size=100), rng.normal(size=100), rng.normal(size=100) - y])
    >>> selector = OrthogonalArraySelector(unit_space="all").fit(X, y)
    >>> display = EffectChartDisplay.from_estimator(selector)
    >>> display.frame().round(1)
      item  level  sn_ratio_db  chosen
    0   x0      1          2.0    True
    1   x0      2         -9.3   False
    2   x1      1         -3.7   False
    3   x1      2         -3.7    True
    4   x2      1          2.1    True
    5   x2      2         -9.5   False
    >>> plt.close(display.figure_)
    """

    def __init__(self, table: pd.DataFrame, grand_mean: float, name_levels: bool = True, title: str = "") -> None:
        super().__init__(table)
        self.grand_mean = grand_mean
        self.name_levels = name_levels
        self.title = title

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, max_items: int | None = 40, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Draw the gains of a selector's items.

        Parameters
        ----------
        estimator : OrthogonalArraySelector or MahalanobisTaguchiSelector
            Fitted, or a pipeline with one: its last. The two points of an item lie half its gain above and below the
            mean of all runs: they are the means of the runs with and without it.
        max_items : int or None, default=40
            Where there are more items, those with the largest gains or losses are drawn; None draws all.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the lines, passed to `Axes.plot`.

        Returns
        -------
        display : EffectChartDisplay

        Raises
        ------
        NotFittedError
            If the selector is not fitted.
        TypeError
            If the estimator has no gains of items.
        ImportError
            If the extra `workbench` is not installed.
        """
        if isinstance(estimator, Pipeline):
            check_is_fitted(estimator)
            steps = reversed(list(estimator.named_steps.values()))
            estimator = next((step for step in steps if hasattr(step, "item_gains_")), estimator)
        selector, _ = last_step(estimator, cls.__name__, "item_gains_", "run_sn_ratios_")
        gains = np.asarray(selector.item_gains_, dtype=np.float64)
        names = distinct(item_name(selector, item) for item in range(len(gains)))
        shown = largest(np.abs(gains), max_items)
        grand_mean = float(np.mean(selector.run_sn_ratios_))
        kept = np.asarray(selector.get_support())[shown]
        table = pd.DataFrame(
            {
                "item": np.repeat(np.array(names, dtype=object)[shown], 2),
                "level": np.tile([1, 2], len(shown)),
                # The mean of the two levels of a balanced array is the mean of all runs.
                "sn_ratio_db": grand_mean + np.outer(gains[shown], [0.5, -0.5]).ravel(),
                "chosen": np.column_stack([kept, ~kept]).ravel(),
            }
        )
        title = f"{len(shown)} of {len(gains)} items: the largest effects" if len(shown) < len(gains) else ""
        return cls(table, grand_mean, name_levels=False, title=title).plot(ax, **kwargs)

    @classmethod
    def from_design(cls, design: "ParameterDesign", *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the level means of a parameter design.

        Parameters
        ----------
        design : ParameterDesign
            From `parameter_design`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the lines, passed to `Axes.plot`.

        Returns
        -------
        display : EffectChartDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        means = design.level_means
        best = means.groupby("factor", sort=False)["sn_ratio"].idxmax()
        table = pd.DataFrame(
            {
                "item": means["factor"],
                "level": means["level"],
                "sn_ratio_db": means["sn_ratio"],
                "chosen": means.index.isin(best),
            }
        )
        return cls(table, float(design.runs["sn_ratio"].mean())).plot(ax, **kwargs)

    @needs_extra("EffectChartDisplay.plot", "workbench")
    def plot(self, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the chart.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the lines, passed to `Axes.plot`.

        Returns
        -------
        self : EffectChartDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.lines import Line2D

        table = self.table.reset_index(drop=True)
        groups = [rows.index.to_numpy() for _, rows in table.groupby("item", sort=False)]
        # One place is left free between two items.
        places = np.arange(len(table)) + np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
        ax = axes_for(ax, *chart_size(table["item"], 0.42 if self.name_levels else 0.22))
        ax.set(ylabel="S/N ratio (dB)", xlim=(places[0] - 1, places[-1] + 1))
        ax.set_title(self.title, fontsize=SMALL)
        look = style(Line2D, kwargs, color=BLUE, marker="o", markersize=5, linewidth=1.3)
        values, chosen = table["sn_ratio_db"].to_numpy(), table["chosen"].to_numpy(dtype=bool)
        for rows in groups:
            ax.plot(places[rows], values[rows], **look | {"markerfacecolor": "white"})
        ax.plot(places, np.where(chosen, values, np.nan), **look | {"linestyle": ""})
        ax.axhline(self.grand_mean, color=GREY, linewidth=0.9, linestyle="--", zorder=0)
        centers, names = [places[rows].mean() for rows in groups], [table["item"][rows[0]] for rows in groups]
        caption = "filled: the level that is chosen, dashed line: mean of all runs"
        if self.name_levels:
            name_places(ax, places, table["level"])
            name_places(ax, centers, names, room=len(table) / len(groups) + 1, top=True)
        else:
            name_places(ax, centers, names, room=3)
            caption = f"left: runs with the item, right: runs without it\n{caption}"
        ax.set_xlabel(caption, fontsize=SMALL)
        return self._drawn(ax)


def chart_size(items: pd.Series, per_place: float = 0.42) -> tuple[float, float]:
    """Return width and height in inches of a chart with a point for each of these names, which are those of items."""
    width = float(np.clip(1.4 + per_place * (len(items) + items.nunique()), 5, 16))
    # Names too long for their place stand upright.
    return width, 3.8 + 0.05 * max(len(str(name)) for name in items)
