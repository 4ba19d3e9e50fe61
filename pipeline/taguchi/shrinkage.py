"""How far to shrink a correlation matrix towards the identity."""

from typing import Literal

import numpy as np
import numpy.typing as npt

Shrinkage = Literal["auto"] | float


def oas_shrinkage(correlation: npt.ArrayLike, n: float) -> float:
    r"""Return how far to shrink a correlation matrix to the identity, by the OAS formula.

    For a correlation matrix R of p items, with :math:`t = \mathrm{tr}(R^2)`,

    .. math:: \rho = \min\Big(1, \frac{t + p^2}{(n + 1)(t - p)}\Big)

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
