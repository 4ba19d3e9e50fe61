"""The estimates of a T-method for one target, from its sums: centres, sensitivities, S/N ratios and weights."""

from dataclasses import dataclass

import numpy as np

from pipeline.taguchi.base import EPS, Array, Indices
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio
from pipeline.taguchi.integrated import Estimate, in_db
from pipeline.taguchi.moments import Moments, TMoments
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.summation import CONSTANT_TARGET, NO_WEIGHT

# Below this share of the largest eigenvalue a direction of the error is taken as free of error.
_EIGENVALUE_FLOOR = 1e-8


@dataclass(frozen=True)
class _TEstimate(Estimate):
    """With the shrinkage of the error's correlations."""

    shrinkage: float


def t_estimate(moments: TMoments, subtract_error: bool, shrinkage: str | float | None) -> _TEstimate:
    """Return centres, sensitivities, S/N ratios and weights; with a `shrinkage` those of the full covariance."""
    unit, signal = moments.unit, signal_of(moments)
    center, center_y = unit.x_mean, np.where(unit.weight > 0, unit.y_mean, unit.target[1])
    r, L, S_T = signal.about(center, center_y)
    n = signal.weight
    # An item without centre carries nothing, nor does one that varies by the rounding of its mean only.
    nothing = (n * (4 * moments.eps * center) ** 2 >= S_T) | (unit.weight == 0) | (r <= moments.least_divider(n))
    L, S_T = np.where(nothing, 0, L), np.where(nothing, 0, S_T)
    beta, eta = sensitivity_and_sn_ratio(r, L, S_T, n, subtract_error, moments.eps)

    used = np.flatnonzero(eta)
    share = np.zeros_like(eta)
    if shrinkage is None or not len(used):
        share[used] = eta[used] / eta.sum()
        shrinkage = 1.0
    else:
        raw = sensitivity_and_sn_ratio(r, L, S_T, n, False, moments.eps).eta[used]
        R = _error_correlation(signal, center, r, L, used, moments.eps)
        if shrinkage == "auto":
            shrinkage = oas_shrinkage(R, float(n))
        share[used] = _shares(R, np.sqrt(raw) * np.sign(beta[used]), eta[used] / raw, float(shrinkage))
    coef = np.divide(share, beta, out=np.zeros_like(share), where=share != 0)
    item_center_y = np.broadcast_to(center_y, beta.shape)
    target_center = unit.target[1] + float(share @ (item_center_y - unit.target[1]))
    return _TEstimate(center, item_center_y, target_center, beta, eta, in_db(eta), coef, float(shrinkage))


def _error_correlation(signal: Moments, center: Array, r: Array, L: Array, used: Indices, eps: float) -> Array:
    """Return the correlation matrix of the errors ``x_j - beta_j M`` of the items `used`."""
    assert signal.gram is not None  # noqa: S101 - the callers ask for it
    offset, L = (signal.x_mean - center)[used], L[used]
    total = signal.gram[np.ix_(used, used)] + signal.weight * np.outer(offset, offset)
    scale = np.sqrt(np.maximum(total.diagonal() - L**2 / r, max(float(signal.weight) * EPS, eps) * total.diagonal()))
    total -= np.outer(L, L / r)
    total /= np.outer(scale, scale)
    np.fill_diagonal(total, 1)
    return total


def _shares(R: Array, u: Array, kept: Array, shrinkage: float) -> Array:
    """Return ``u * a / (u' a)`` with ``a = ((1 - shrinkage) R + shrinkage I)^-1 (kept * u)``."""
    values, vectors = np.linalg.eigh(R)
    shrunk = (1 - shrinkage) * np.maximum(values, 0) + shrinkage
    inverse = 1 / np.maximum(shrunk, _EIGENVALUE_FLOOR * shrunk[-1])
    rotated = vectors.T @ u
    a = vectors @ (inverse * (vectors.T @ (kept * u)))
    # Correlated items: if shrinking leaves too little signal, use the sensitivities unshrunk.
    if u @ a < kept.min() * (rotated @ (inverse * rotated)):
        a = vectors @ (inverse * rotated)
    return u * a / (u @ a)


def signal_of(moments: TMoments) -> Moments:
    """Return the moments of the signal; in Ta these are the moments of all rows."""
    return moments.signal if moments.signal.target[0] > 0 else moments.unit


def problem_of(moments: TMoments) -> str | None:
    """Return why these sums do not suffice, None if they do."""
    if moments.unit.target[0] == moments.signal.target[0] == 0:
        return NO_WEIGHT
    if moments.unit.target[0] == 0:
        low, high = moments.target_range
        return (
            "The unit space is empty: unit_space_mask has no True row, or none of the targets, which go from "
            f"{low:g} to {high:g}, lies in unit_space=(low, high)."
        )
    low, high = moments.target_range
    if low == high:
        return CONSTANT_TARGET.format(low)
    weight, mean, squares = signal_of(moments).target
    center = moments.unit.target[1]
    if not weight > 1:
        return (
            f"The T-method needs 2 or more signal rows outside the unit space, got {weight:g}. "
            "A sample weight counts as that many rows."
        )
    if not squares + weight * (mean - center) ** 2 > (weight * EPS * center) ** 2:
        return (
            f"The target y of all {weight:g} signal rows equals the unit space's mean ({center:g}): "
            "there is nothing to estimate."
        )
    return None
