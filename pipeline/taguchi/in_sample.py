"""The integrated estimate beside the target, over the rows it was learned from: its line and its error."""

from dataclasses import replace

import numpy as np

from pipeline.taguchi.base import EPS, Array
from pipeline.taguchi.moments import Moments, TMoments
from pipeline.taguchi.t_estimate import signal_of

# Two rows about their centre lie on the estimate, whatever the items.
_LEAST_ROWS = 3


def moments_of_estimate(moments: TMoments, start: float, center: Array, coef: Array) -> TMoments:
    """Return the moments of the estimate ``start + (x - center) @ coef`` as the only item.

    Parameters
    ----------
    moments : TMoments
        Those of the items, with products of pairs.
    start : float
        The estimate at the centre.
    center, coef : ndarray of shape (n_items,)
    """

    def of(group: Moments) -> Moments:
        assert group.gram is not None  # noqa: S101 - the callers ask for it
        mean = np.array([start + (group.x_mean - center) @ coef]) if group.target[0] else np.zeros(1)
        squares, products = np.array([coef @ group.gram @ coef]), np.array([group.xy @ coef])
        return replace(group, x_mean=mean, xx=squares, xy=products, gram=None)

    return replace(moments, unit=of(moments.unit), signal=of(moments.signal))


def line_of(estimate: TMoments) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line of the target on the estimate over all rows."""
    rows = estimate.all
    # An estimate that does not vary beyond rounding says nothing of the target.
    slope = float(rows.xy[0] / rows.xx[0]) if rows.xx[0] > 1e-20 * rows.target[2] else 0.0
    return rows.target[1] - slope * float(rows.x_mean[0]), slope


def too_few_rows(moments: TMoments, about_line: bool = False) -> str | None:
    """Return why rows tell no error of the estimate, None if they do; a line is fitted to all rows."""
    rows, kind = (moments.all, "rows") if about_line else (signal_of(moments), "signal rows")
    if rows.target[0] >= _LEAST_ROWS:
        return None
    return (
        f"interval='sn_ratio' needs {_LEAST_ROWS} or more {kind}, got {rows.target[0]:g}: give more rows. "
        "A sample weight counts as that many rows."
    )


def error_of(estimate: TMoments, center: float, line: tuple[float, float] | None = None) -> tuple[float, float]:
    r"""Return the standard deviation of the prediction's error, and its degrees of freedom.

    Over the n signal rows, with M and :math:`\hat{M}` measured from the centre, it is the root of
    :math:`\sum (\hat{M} - M)^2 / (n - 1)`. The slope of :math:`\hat{M}` on M is 1 there, so that this is
    :math:`\sqrt{V_e}/\beta` of the integrated estimate, and :math:`1/\sqrt{\eta}` but for the subtraction of V_e.
    About a line it is the root of the residuals' sum of squares over n - 2, with all n rows. It is 0 where the error is
    no more than rounding.

    Parameters
    ----------
    estimate : TMoments
        Those of the estimate as the only item.
    center : float
        The target at the centre.
    line : tuple of float, default=None
        Intercept and slope of a recalibration.
    """
    if line is None:
        signal = signal_of(estimate)
        r, L, S_T = (float(np.ravel(part)[0]) for part in signal.about(np.array([center]), np.array(center)))
        squares, size, freedom = S_T - 2 * L + r, S_T + r, signal.target[0] - 1
    else:
        rows = estimate.all
        size, freedom = rows.target[2], rows.target[0] - 2
        squares = size - line[1] * float(rows.xy[0])
    rounding = max(freedom * EPS, estimate.eps**2) * size
    return float(np.sqrt(squares / freedom)) if squares > 10 * rounding else 0.0, freedom
