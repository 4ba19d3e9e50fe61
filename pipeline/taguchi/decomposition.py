"""The zero-point proportional decomposition behind every T-method."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.taguchi.base import EPS, Array


class _Decomposition(NamedTuple):
    """Sensitivity and S/N ratio of each item."""

    beta: Array
    eta: Array


def sensitivity_and_sn_ratio(
    r: ArrayLike, L: ArrayLike, S_T: ArrayLike, n: ArrayLike, subtract_error: bool = True, eps: float = EPS
) -> _Decomposition:
    r"""Return sensitivity beta and S/N ratio eta from the sums over the signal data.

    With the signal M and an item X, measured from the centre of the unit space:
    ``r = sum M^2``, ``L = sum M X``, ``S_T = sum X^2`` and

    .. math:: \beta = L/r,\; S_\beta = L^2/r,\; S_e = S_T - S_\beta,\; V_e = S_e/(n-1),\;
              \eta = (S_\beta - V_e)/(r V_e)

    and eta = 0 where S_beta <= V_e. V_e is never taken below the rounding error of S_T, so that a perfect item gets a
    large eta and no infinite one, whatever its unit of measurement. Where r is 0, or n is not greater than 1, nothing
    is known of the item: beta and eta are 0.

    Parameters
    ----------
    r : float or array-like of shape (n_items,)
        Effective divider, in squared units of the target.
    L, S_T : array-like of shape (n_items,)
        Linear form and total variation of each item.
    n : float or array-like of shape (n_items,)
        Number of signal rows, or the sum of their weights.
    subtract_error : bool, default=True
        Whether V_e is subtracted from S_beta, as Taguchi does.
    eps : float, default=2.2e-16
        Relative rounding error of the items.

    Returns
    -------
    beta : ndarray of shape (n_items,)
        Units of the item per unit of the target.
    eta : ndarray of shape (n_items,)
        A ratio, not in dB, in 1 / squared units of the target.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.

    Examples
    --------
    >>> beta, eta = sensitivity_and_sn_ratio(r=10.0, L=[20.0], S_T=[41.0], n=5)
    >>> beta.tolist(), eta.tolist()
    ([2.0], [15.9])
    """
    r, L, S_T, n = (np.asarray(values, dtype=np.float64) for values in (r, L, S_T, n))
    known = (r > 0) & (n > 1)
    beta = np.divide(L, r, out=np.zeros(np.broadcast_shapes(L.shape, r.shape)), where=known)
    S_beta = beta * L
    V_e = np.maximum(S_T - S_beta, np.maximum(n * EPS, eps) * S_T) / np.where(known, n - 1, 1)
    gain = S_beta - V_e if subtract_error else S_beta
    eta = np.divide(gain, r * V_e, out=np.zeros_like(V_e), where=known & (gain > 0) & (V_e > 0))
    return _Decomposition(beta, eta)
