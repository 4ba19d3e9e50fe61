"""How far to shrink a correlation matrix towards the identity."""

import warnings
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, StrOptions

Shrinkage = Literal["auto"] | float
SHRINKAGE: list[Any] = [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")]


def oas_shrinkage(correlation: npt.ArrayLike, n: float) -> float:
    r"""Return how far to shrink a correlation matrix to the identity, by the OAS formula.

    For a correlation matrix R of p items, with :math:`t = \mathrm{tr}(R^2)`,

    .. math:: \rho = \min\Bigl(1, \frac{t + p^2}{(n + 1)(t - p)}\Bigr)

    in scikit-learn's form, which leaves out the terms 2/p of the paper. It needs no rows, only sums over them.

    Parameters
    ----------
    correlation : array-like of shape (n_items, n_items)
        R.
    n : float
        Number of rows with a known mean; the rows less the means that were estimated from them.

    Returns
    -------
    shrinkage : float
        Between 0 (leave R as it is) and 1 (take the items as uncorrelated).

    References
    ----------
    Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE
    Transactions on Signal Processing 58(10), 2010. Values agree with ``sklearn.covariance.oas``.

    Examples
    --------
    >>> round(oas_shrinkage([[1.0, 0.5], [0.5, 1.0]], n=100), 3)
    0.129
    """
    R = np.asarray(correlation, dtype=np.float64)
    t, p = float(np.square(R).sum()), len(R)
    numerator, denominator = t + p**2, (n + 1) * (t - p)
    return numerator / denominator if numerator < denominator else 1.0


def shrink(correlation: npt.NDArray[np.float64], shrinkage: float) -> npt.NDArray[np.float64]:
    """Return ``(1 - shrinkage) * correlation + shrinkage * I``."""
    shrunk = (1 - shrinkage) * correlation
    np.fill_diagonal(shrunk, 1)
    return shrunk


def warn_of_few_rows(n: float, freedom: float, p: int, otherwise: str) -> None:
    """Warn where an unshrunk covariance of p items is inverted that few rows made.

    Parameters
    ----------
    n : float
        Number of rows.
    freedom : float
        The rows less the means that were estimated from them.
    p : int
        Number of items, or of the directions in which the rows vary.
    otherwise : str
        What else than shrinking helps.
    """
    if freedom < 2 * p:
        warnings.warn(
            f"The unit space has {n:g} rows for a covariance of {p} items: distances of new ordinary rows come out too "
            f"large. Give more than {2 * p} rows or fewer items, or take shrinkage='auto'{otherwise}.",
            UserWarning,
            stacklevel=3,
        )
