"""Distances from the unit space of normal and abnormal rows, with the threshold."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import needs_extra
from pipeline.taguchi.base import Array
from pipeline.taguchi.plots.drawing import BLUE, ORANGE, Display, axes_for, last_step, numbers, style
from pipeline.taguchi.plots.names import SMALL, figure_text, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From this ratio of the largest to the smallest distance on, a linear axis shows the ordinary rows as one line.
_WIDE = 30
_WIDTH = 0.6


class DistanceDisplay(Display):
    """Distances from the unit space: a point for each normal and abnormal row, and the threshold as a line.

    Below each group stands how many of its rows are beyond the threshold. A cross is a row that differs in what is
    constant in the unit space: it is beyond, whatever its distance. A triangle on the upper edge is an infinite
    distance. The axis is logarithmic where the distances range over more than a factor of 30, with a linear part from a
    distance of 0 to the next one.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    table : DataFrame
        A row for each sample: `group` ("normal" or "abnormal"), `distance`, `differs_in` (names of what is constant in
        the unit space and not so in this row) and `beyond`, whether it counts as an outlier. Rows keep their labels
        where those of both groups differ, else they are counted.
    threshold : float
        The largest distance of an inlier.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the chart.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from pipeline.taguchi.plots import DistanceDisplay
    >>> display = DistanceDisplay.from_predictions([0.8, 1.1, 1.9], [1.7, 4.2], threshold=1.8)
    >>> display.frame().groupby("group")["beyond"].sum().to_dict()
    {'abnormal': 1, 'normal': 1}
    >>> plt.close(display.figure_)
    """

    def __init__(self, table: pd.DataFrame, threshold: float) -> None:
        super().__init__(table)
        self.threshold = threshold

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, abnormal: Any = None, *, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Draw the distances of rows.

        Parameters
        ----------
        estimator : MahalanobisTaguchi or RTMethod
            Fitted, or a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            Normal rows.
        abnormal : array-like of shape (n_abnormal, n_features), default=None
            Abnormal rows.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the points, passed to `Axes.plot`.

        Returns
        -------
        display : DistanceDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no threshold or no diagnosis of rows.
        ImportError
            If the extra `workbench` is not installed.
        """
        last, before = last_step(estimator, cls.__name__, "diagnosis", "offset_")
        groups = {"normal": X} | ({} if abnormal is None else {"abnormal": abnormal})
        parts = []
        for group, rows in groups.items():
            part = last.diagnosis(rows if before is None else before.transform(rows))
            parts.append(part.assign(group=group, beyond=~part["ordinary"]))
        table = pd.concat(parts)[["group", "distance", "differs_in", "beyond"]]
        table = table if table.index.is_unique else table.reset_index(drop=True)
        return cls(table, -float(last.offset_)).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        distance: npt.ArrayLike,
        abnormal_distance: npt.ArrayLike | None = None,
        *,
        threshold: float,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw distances.

        Parameters
        ----------
        distance : array-like of shape (n_samples,)
            Distances of normal rows; infinity is allowed.
        abnormal_distance : array-like of shape (n_abnormal,), default=None
            Distances of abnormal rows.
        threshold : float
            The largest distance of an inlier.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the points, passed to `Axes.plot`.

        Returns
        -------
        display : DistanceDisplay

        Raises
        ------
        ValueError
            If a distance is NaN, negative, or not in one dimension, or if the threshold is not a number of 0 or more.
        ImportError
            If the extra `workbench` is not installed.
        """
        if not isinstance(threshold, Real) or not threshold >= 0:
            raise ValueError(f"threshold must be a distance, a number of 0 or more, got {threshold!r}.")
        groups = {"normal": _distances(distance, "distance")}
        if abnormal_distance is not None:
            groups["abnormal"] = _distances(abnormal_distance, "abnormal_distance")
        parts = [pd.DataFrame({"group": group, "distance": values}) for group, values in groups.items()]
        table = pd.concat(parts, ignore_index=True).assign(differs_in="")
        return cls(table.assign(beyond=table["distance"] > threshold), threshold).plot(ax, **kwargs)

    @needs_extra("DistanceDisplay.plot", "workbench")
    def plot(self, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the chart.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the points, passed to `Axes.plot`.

        Returns
        -------
        self : DistanceDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.lines import Line2D

        groups = [(name, rows) for name, rows in self.table.groupby("group", sort=False)]
        ax = axes_for(ax, 2.4 + 1.8 * len(groups), 4.2)
        self._scale(ax)
        ticks = []
        for place, ((name, rows), color) in enumerate(zip(groups, (BLUE, ORANGE), strict=False)):
            distance, differs = rows["distance"].to_numpy(dtype=np.float64), rows["differs_in"].to_numpy() != ""
            alpha = 0.8 if len(rows) <= 200 else 0.5
            look = style(Line2D, kwargs, color=color, marker="o", markersize=4, linestyle="", alpha=alpha)
            x, infinite = place + _spread(distance), np.isinf(distance)
            ax.plot(x[~differs & ~infinite], distance[~differs & ~infinite], **{"markeredgewidth": 0} | look)
            ax.plot(x[differs & ~infinite], distance[differs & ~infinite], **look | {"marker": "x", "alpha": 1})
            edge = look | {"marker": "^", "alpha": 1, "transform": ax.get_xaxis_transform()}
            ax.plot(x[infinite], np.full(infinite.sum(), 0.98), **edge)
            beyond = int(rows["beyond"].sum())
            ticks.append(f"{name}\n{beyond} of {len(rows)} beyond ({beyond / len(rows):.0%})")
        label = f"threshold {figure_text(self.threshold, '.3g')}"
        ax.axhline(self.threshold, color="black", linewidth=1, linestyle="--", label=label)
        ax.set_xticks(range(len(groups)), ticks, fontsize=SMALL)
        ax.set(xlim=(-0.5, len(groups) - 0.5), ylabel="distance D")
        self._legend(ax)
        return self._drawn(ax)

    def _scale(self, ax: "Axes") -> None:
        """Make the axis logarithmic where the distances range widely, with plain numbers at 1, 2 and 5."""
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter, SymmetricalLogLocator

        drawn = np.append(self.table["distance"].to_numpy(dtype=np.float64), self.threshold)
        finite = drawn[np.isfinite(drawn)]
        positive = finite[finite > 0]
        if not len(positive) or positive.max() / positive.min() < _WIDE:
            return
        subs = (1, 2, 5) if positive.max() / positive.min() < 1000 else (1,)
        if len(positive) == len(finite):
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=subs))
        else:
            # A logarithmic axis has no place for a distance of 0.
            ax.set_yscale("symlog", linthresh=positive.min(), linscale=0.5)
            ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=positive.min(), subs=subs))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())

    def _legend(self, ax: "Axes") -> None:
        from matplotlib.lines import Line2D

        handles = ax.get_legend_handles_labels()[0]
        marks = {"x": self.table["differs_in"] != "", "^": np.isinf(self.table["distance"])}
        names = {"x": "differs in what is constant", "^": "infinite distance"}
        handles += [
            Line2D([], [], color="black", marker=mark, linestyle="", markersize=5, label=names[mark])
            for mark, rows in marks.items()
            if rows.any()
        ]
        # The search for the best place is slow where there are many points.
        loc: Literal["best", "upper left"] = "best" if len(self.table) <= 1000 else "upper left"
        legend(ax, handles=handles, loc=loc, framealpha=0.8)


def _distances(values: npt.ArrayLike, name: str) -> Array:
    """Return distances; a negative number is none."""
    distance = numbers(values, name, finite=False)
    if (distance < 0).any():
        below = f"{(distance < 0).sum()} of {len(distance)} rows (lowest {distance.min():g})"
        raise ValueError(f"{name} is below 0 in {below}: give distances, which are 0 or more.")
    return distance


def _spread(distance: Array) -> Array:
    """Return how far each point stands to the side: neighbours in distance far apart, by the golden ratio."""
    rank = np.argsort(np.argsort(distance, kind="stable"))
    return np.asarray(_WIDTH * ((rank * 0.6180339887498949 + 0.5) % 1 - 0.5), dtype=np.float64)
