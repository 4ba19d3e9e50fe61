"""Estimates against actual values, with slope and S/N ratio."""

from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import check_consistent_length

from pipeline.errors import needs_extra
from pipeline.taguchi.base import Array
from pipeline.taguchi.plots.drawing import BLUE, ORANGE, Display, axes_for, last_step, numbers, row_labels, style
from pipeline.taguchi.plots.names import figure_text, legend
from pipeline.taguchi.scoring import sn_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class EstimateDisplay(Display):
    r"""Estimates against actual values: the line of slope 1, the slope of the estimates, and their S/N ratio.

    With M the actual value and :math:`\hat{M}` its estimate, both measured from the centre, the slope is
    :math:`\beta = \sum M \hat{M} / \sum M^2`; the S/N ratio is that of `pipeline.taguchi.sn_ratio`.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    table : DataFrame
        A row for each sample: `y_true`, `y_pred`, and with intervals `low` and `high`.
    center : float
        Origin from which actual values and estimates are measured.

    Attributes
    ----------
    slope : float
        beta; NaN where no actual value leaves the centre.
    sn_ratio_db : float
        S/N ratio of the estimates in dB; -inf where they carry no signal.
    ax_ : matplotlib Axes
        The axes with the chart.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from pipeline.taguchi.plots import EstimateDisplay
    >>> display = EstimateDisplay.from_predictions([1, 2, 3, 4, 5], [1.2, 2.1, 3.0, 3.7, 4.6])
    >>> round(display.slope, 2), round(display.sn_ratio_db, 1)
    (0.84, 18.1)
    >>> plt.close(display.figure_)
    """

    def __init__(self, table: pd.DataFrame, center: float) -> None:
        super().__init__(table)
        self.center = center
        M, M_hat = table["y_true"].to_numpy() - center, table["y_pred"].to_numpy() - center
        self.sn_ratio_db = sn_ratio(table["y_true"], table["y_pred"], center=center)
        self.slope = float("nan") if np.isnan(self.sn_ratio_db) else float(M @ M_hat / (M @ M))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        confidence: float | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the estimates of a fitted regressor.

        Parameters
        ----------
        estimator : regressor
            Fitted, or a pipeline that ends in one. The centre is its `target_center_` (the mean target of the unit
            space) where it has one, else the mean of `y`.
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The actual values.
        confidence : float, default=None
            Draws the intervals of ``predict(X, return_interval=True, confidence=confidence)``.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the points, passed to `Axes.plot`.

        Returns
        -------
        display : EstimateDisplay

        Raises
        ------
        NotFittedError
            If the regressor is not fitted.
        TypeError
            With `confidence`, if its `predict` takes no `return_interval`.
        ValueError
            If there are several targets, the lengths differ, or a value is not finite.
        ImportError
            If the extra `workbench` is not installed.
        """
        last, _ = last_step(estimator, cls.__name__, "predict")
        center = getattr(last, "target_center_", None)
        center = float(center) if isinstance(center, Real) else None
        if confidence is None:
            y_pred, interval = estimator.predict(X), None
        else:
            try:
                y_pred, interval = estimator.predict(X, return_interval=True, confidence=confidence)
            except TypeError as error:
                if "return_interval" not in str(error):
                    raise
                needed = "an estimator whose predict takes return_interval"
                raise TypeError(f"confidence needs {needed}, got {type(last).__name__}.") from None
        return cls.from_predictions(y, y_pred, interval, center=center, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        interval: npt.ArrayLike | None = None,
        *,
        center: float | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw estimates.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Actual values and their estimates.
        interval : array-like of shape (n_samples, 2), default=None
            Lower and upper end of each estimate's interval.
        center : float, default=None
            Origin from which both are measured, for instance the unit space's target; None: the mean of `y_true`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a figure of pyplot.
        **kwargs : dict
            Properties of the points, passed to `Axes.plot`.

        Returns
        -------
        display : EstimateDisplay

        Raises
        ------
        ValueError
            If there are several targets, the lengths or the rows' labels differ, a value is not finite, or the ends of
            an interval are NaN or in the wrong order.
        ImportError
            If the extra `workbench` is not installed.
        """
        actual, estimate = numbers(y_true, "y_true"), numbers(y_pred, "y_pred")
        check_consistent_length(actual, estimate)
        _check_same_rows(y_true=y_true, y_pred=y_pred, interval=interval)
        columns = {"y_true": actual, "y_pred": estimate}
        if interval is not None:
            low, high = _ends(interval, len(actual))
            columns |= {"low": low, "high": high}
        table = pd.DataFrame(columns, index=row_labels(y_true))
        return cls(table, float(actual.mean()) if center is None else center).plot(ax, **kwargs)

    @needs_extra("EstimateDisplay.plot", "workbench")
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
        self : EstimateDisplay

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.lines import Line2D

        ax = axes_for(ax, 4.8, 4.8)
        table = self.table
        if "low" in table:
            shown = table[["y_pred", "low", "high"]].to_numpy()
            finite = shown[np.isfinite(shown)]
            # An end at infinity is drawn where the others end.
            low, high = np.clip(table[["low", "high"]].to_numpy(), finite.min(), finite.max()).T
            inside = table["y_true"].between(table["low"], table["high"]).mean()
            label = f"interval: {inside:.0%} of the rows inside"
            ax.vlines(table["y_true"], low, high, color=BLUE, alpha=0.3, linewidth=1, label=label)
        alpha = 0.8 if len(table) <= 200 else 0.4
        look = style(Line2D, kwargs, color=BLUE, marker="o", markersize=4, linestyle="", markeredgewidth=0, alpha=alpha)
        ax.plot(table["y_true"], table["y_pred"], **look)
        middle = (self.center, self.center)
        if np.isfinite(self.slope):
            label = f"slope {figure_text(self.slope, '.2f')}, S/N ratio {figure_text(self.sn_ratio_db, '.1f')} dB"
            ax.axline(middle, slope=self.slope, color=ORANGE, linewidth=1.5, label=label)
        ax.axline(middle, slope=1, color="black", linewidth=1, linestyle=(0, (4, 4)), label="slope 1")
        ax.set(xlabel="actual value", ylabel="estimate")
        legend(ax, loc="upper right" if self.slope < 0 else "upper left", framealpha=0.8)
        return self._drawn(ax)


def _check_same_rows(**columns: Any) -> None:
    """Refuse columns whose rows have different labels: their places would pair the wrong rows."""
    labelled = [(name, index) for name, column in columns.items() if (index := row_labels(column)) is not None]
    for name, index in labelled[1:]:
        first, of_first = labelled[0]
        if not index.equals(of_first):
            raise ValueError(f"{first} and {name} have different row labels: bring {name} in the order of {first}.")


def _ends(interval: Any, n_rows: int) -> Array:
    """Return the lower and the upper ends of intervals."""
    ends = np.asarray(interval, dtype=np.float64)
    if np.isnan(ends).any():
        raise ValueError(f"interval holds NaN in {np.isnan(ends).sum()} of {ends.size} ends: an open end is infinite.")
    if ends.shape != (n_rows, 2) or not (ends[:, 0] <= ends[:, 1]).all():
        raise ValueError(
            f"interval must hold a lower and an upper end of each of the {n_rows} estimates, got an array "
            f"of shape {ends.shape}{'' if ends.shape != (n_rows, 2) else ' with a lower end above'}."
        )
    return ends.T
