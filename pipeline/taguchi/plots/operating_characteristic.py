"""Detection rate over false alarm rate, for every threshold."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from pipeline.errors import needs_extra
from pipeline.taguchi.plots.drawing import BLUE, GREY, Display, axes_for, last_step, style
from pipeline.taguchi.plots.names import SMALL, labels, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = ["threshold", "false_alarm_rate", "detection_rate", "chosen"]


class OperatingCharacteristicDisplay(Display):
    r"""Operating characteristic: which part of the abnormal rows is detected, and which part of the normal rows too.

    Each point of the curve is a threshold; the chosen one is marked, and said in words.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    table : DataFrame
        A row for each threshold: `threshold`, `false_alarm_rate`, `detection_rate` and `chosen`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the chart.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from pipeline.taguchi.plots import OperatingCharacteristicDisplay
    >>> table = pd.DataFrame(
    ...     {
    ...         "threshold": [3.0, 2.0, 1.0],
    ...         "false_alarm_rate": [0.0, 0.1, 0.6],
    ...         "detection_rate": [0.5, 0.9, 1.0],
    ...         "chosen": [False, True, False],
    ...     }
    ... )
    >>> display = OperatingCharacteristicDisplay.from_predictions(table)
    >>> display.ax_.texts[0].get_text()
    'threshold 2\n90% detected\n10% false alarms'
    >>> plt.close(display.figure_)
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, abnormal: Any = None, *, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Draw the operating characteristic of a fitted unit space.

        Parameters
        ----------
        estimator : MahalanobisTaguchi or RTMethod
            Fitted, or a pipeline that ends in one.
        X, abnormal : array-like of shape (n_samples, n_features), default=None
            Normal and abnormal rows, best ones that the fit has not seen. None: those of the fit, where it had abnormal
            rows.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            `name`, and properties of the line, passed to `Axes.plot`.

        Returns
        -------
        display : OperatingCharacteristicDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no operating characteristic.
        ValueError
            If there are no abnormal rows, neither here nor in the fit.
        ImportError
            If the extra `workbench` is not installed.
        """
        last, before = last_step(estimator, cls.__name__, "operating_characteristic")
        if (X is None) != (abnormal is None):
            raise ValueError(f"{cls.__name__} needs X and abnormal, or neither: got only one of them.")
        if X is not None:
            rows = (X, abnormal) if before is None else (before.transform(X), before.transform(abnormal))
            table = last.operating_characteristic(*rows)
        else:
            table = getattr(last, "operating_characteristic_", None)
        if table is None:
            raise ValueError(f"{cls.__name__} needs abnormal rows, got none in the fit: give X and abnormal.")
        return cls.from_predictions(table, ax=ax, **kwargs)

    @classmethod
    def from_predictions(cls, table: pd.DataFrame, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw a table of thresholds.

        Parameters
        ----------
        table : DataFrame
            As `operating_characteristic` of the estimators returns it: `threshold`, `false_alarm_rate` and
            `detection_rate` (0 to 1), and `chosen`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            `name`, and properties of the line, passed to `Axes.plot`.

        Returns
        -------
        display : OperatingCharacteristicDisplay

        Raises
        ------
        ValueError
            If a column is missing.
        ImportError
            If the extra `workbench` is not installed.
        """
        if missing := [name for name in _COLUMNS if name not in table]:
            raise ValueError(f"The table needs the columns {', '.join(_COLUMNS)}; missing: {', '.join(missing)}.")
        return cls(table[_COLUMNS]).plot(ax, **kwargs)

    @needs_extra("OperatingCharacteristicDisplay.plot", "workbench")
    def plot(self, ax: "Axes | None" = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        name : str, default=None
            What the curve is called in a legend, which then has the chosen point too: for several curves in one chart.
        **kwargs : dict
            Properties of the line, passed to `Axes.plot`; a `label` is a `name`.

        Returns
        -------
        self : OperatingCharacteristicDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.lines import Line2D

        ax = axes_for(ax, 4.8, 4.6)
        curve = self.table.sort_values(["false_alarm_rate", "detection_rate"], kind="stable")
        (line,) = ax.plot(
            curve["false_alarm_rate"], curve["detection_rate"], **style(Line2D, kwargs, color=BLUE, linewidth=1.5)
        )
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=":", zorder=0)
        chosen = self.table[self.table["chosen"].astype(bool)].iloc[:1]
        ax.plot(
            chosen["false_alarm_rate"],
            chosen["detection_rate"],
            color=line.get_color(),
            marker="o",
            markersize=7,
            markeredgecolor="black",
            linestyle="",
        )
        words = [_in_words(*point) for point in chosen[_COLUMNS[:3]].to_numpy(dtype=np.float64)]
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        ax.set(xlabel="false alarm rate (normal rows beyond)", ylabel="detection rate (abnormal rows beyond)")
        name = kwargs.get("label") if name is None else name
        if name is not None:
            line.set_label("\n".join([*labels([name]), *words]))
            legend(ax, loc="lower right")
        elif words:
            _name(ax, float(chosen["false_alarm_rate"].iloc[0]), float(chosen["detection_rate"].iloc[0]), words[0])
        return self._drawn(ax)


def _in_words(threshold: float, false_alarms: float, detected: float) -> str:
    return f"threshold {threshold:.3g}\n{detected:.0%} detected\n{false_alarms:.0%} false alarms"


def _name(ax: "Axes", false_alarms: float, detected: float, words: str) -> None:
    """Name a point on the side where the square has room."""
    right, below = false_alarms < 0.6, detected > 0.4
    ax.annotate(
        words,
        (false_alarms, detected),
        (8 if right else -8, -8 if below else 8),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top" if below else "bottom",
        fontsize=SMALL,
    )
