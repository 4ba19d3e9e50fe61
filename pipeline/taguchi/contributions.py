"""What each item adds to a prediction: parts that sum up to it."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from pipeline.taguchi.base import AnyArray, Array, Mask, slices

# 16 nodes integrate a softmax whose exponents part by no more than 4 to the last digit of a double.
_SPREAD = 4.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
# A class whose probability stays below exp(-60) adds nothing to a double.
_NEGLIGIBLE = 60.0
_ROWS = 256


class Contributions(NamedTuple):
    """What each item adds to the prediction of each row: ``base + items.sum(axis=1) + rest`` is the prediction.

    Attributes
    ----------
    base : ndarray of shape (n_samples,), float64
        The prediction at the model's centre, in units of the target. Where items of a row are missing, the T-method
        measures the row from the centres of the others, and its base says so.
    items : ndarray of shape (n_samples, n_features), float64
        What each item adds, in units of the target; 0 for one that is missing.
    slopes : ndarray of shape (n_samples, n_features), float64
        What each item adds per unit of its distance from the centre: ``items = slopes * (X - center_)``.
    rest : ndarray of shape (n_samples,), float64
        What no item adds: the cut at the limits of the prediction, or the step from the expected to the median star.
        0 where there is neither.
    """

    base: Array
    items: Array
    slopes: Array
    rest: Array

    @property
    def total(self) -> Array:
        """The prediction of each row."""
        return self.base + self.items.sum(axis=1) + self.rest

    def on_line(self, intercept: float, slope: float) -> "Contributions":
        """Return the contributions to ``intercept + slope * prediction``."""
        base, items, slopes, rest = (slope * part for part in self)
        return Contributions(intercept + base, items, slopes, rest)

    def up_to(self, prediction: Array) -> "Contributions":
        """Return the contributions to another prediction; what is missing to it is the rest."""
        return self._replace(rest=prediction - (self.base + self.items.sum(axis=1)))


def linear_contributions(
    X: AnyArray, start: float, center: Array, coef: Array, share: Array, offset: Array
) -> Contributions:
    """Return what each item adds to an integrated estimate.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        NaN is a missing value: the other items of the row make the estimate.
    start : float
        The estimate at the centre.
    center, coef : ndarray of shape (n_features,)
        The estimate of a row without gaps is ``start + (x - center) @ coef``.
    share : ndarray of shape (n_features,)
        Share of each item in the estimate; where items are missing, the shares of the others are made to sum up to 1.
    offset : ndarray of shape (n_features,)
        What the presence of an item adds to the sum of a row with gaps.
    """
    present = ~np.isnan(X)
    complete = present.all(axis=1)
    known = np.where(complete, 1, present @ share)
    per_share = np.divide(1, known, out=np.zeros_like(known), where=known > 0)
    slopes = per_share[:, None] * np.where(present, coef, 0)
    base = start + np.where(complete, 0, per_share * (present @ offset))
    return Contributions(base, np.where(present, X - center, 0) * slopes, slopes, np.zeros(len(X)))


def expected_contributions(
    deviation: Array, coef: Array, at_center: Array, log_posterior: Array, classes: Array
) -> Contributions:
    r"""Return what each item adds to an expected class: the Aumann-Shapley values along the way from the centre.

    With logarithms of the probabilities that are linear in the row, :math:`a + B (x - m)`, the expected class is
    :math:`E(x) = \sum_c v_c p_c(x)`. Item j adds the integral of its part of the rise on the straight way from the
    centre m to x,

    .. math:: (x_j - m_j) \int_0^1 \partial_j E(m + t (x - m)) dt
              = \sum_c B_{cj} (x_j - m_j) \int_0^1 p_c(t) (v_c - E(t)) dt ,

    which needs one integral for each class, whatever the number of items. These are the only contributions that sum up
    to E(x) - E(m), are linear in E, and do not change with the units of the items.

    Parameters
    ----------
    deviation : ndarray of shape (n_samples, n_features)
        The rows, measured from the centre.
    coef : ndarray of shape (n_classes, n_features)
        B.
    at_center : ndarray of shape (n_classes,)
        a.
    log_posterior : ndarray of shape (n_samples, n_classes)
        ``at_center + deviation @ coef.T``.
    classes : ndarray of shape (n_classes,)
        v.

    References
    ----------
    R. J. Aumann, L. S. Shapley, "Values of Non-Atomic Games", Princeton University Press, 1974. M. Sundararajan,
    A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    """
    base = np.full(len(deviation), softmax(at_center) @ classes)
    integrals = np.concatenate(
        [path_integrals(at_center, log_posterior[rows], classes) for rows in slices(len(deviation), _ROWS)]
    )
    slopes = integrals @ coef
    items = deviation * slopes
    size = np.abs(items).sum(axis=1)
    missing = softmax(log_posterior, axis=1) @ classes - base - items.sum(axis=1)
    # What rounding leaves is shared out by size; only of a row too far for its numbers is that all there is.
    rounding = np.abs(missing) < size
    correction = 1 + np.sign(items) * np.divide(missing, size, out=np.zeros_like(size), where=rounding)[:, None]
    return Contributions(base, items * correction, slopes * correction, np.where(rounding, 0, missing))


def path_integrals(start: Array, ends: Array, classes: Array) -> Array:
    r"""Return the integrals of :math:`p_c(t) (v_c - E(t))` over t from 0 to 1, p the softmax of a line.

    Parameters
    ----------
    start : ndarray of shape (n_classes,)
        Logarithms of the probabilities, up to a constant, at t = 0.
    ends : ndarray of shape (n_samples, n_classes)
        The same at t = 1.
    classes : ndarray of shape (n_classes,)
        v; E is the sum of v p.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Examples
    --------
    >>> path_integrals(np.zeros(2), np.array([[0.0, 0.0]]), np.array([1.0, 5.0])).round(9).tolist()
    [[-1.0, 1.0]]
    """
    steps = ends - start
    total = np.zeros_like(ends)
    rows, low, high = np.arange(len(ends)), np.zeros(len(ends)), np.ones(len(ends))
    while len(rows):
        middle = (low + high) / 2
        # A far row is cut where its probabilities change fast; between two neighbouring numbers there is no cut.
        done = _is_smooth(start, steps[rows], low, high) | (middle <= low) | (middle >= high)
        np.add.at(total, rows[done], _integrals(start, steps[rows[done]], low[done], high[done], classes))
        left = ~done
        low, high = np.append(low[left], middle[left]), np.append(middle[left], high[left])
        rows = np.tile(rows[left], 2)
    return total


def _is_smooth(start: Array, steps: Array, low: Array, high: Array) -> Mask:
    """Return whether the classes that count between two points of the way part by little there."""
    at_low, at_high = start + low[:, None] * steps, start + high[:, None] * steps
    behind = np.minimum(*(at[:, :, None] - at[:, None, :] for at in (at_low, at_high)))
    counts = (behind < _NEGLIGIBLE).all(axis=1)
    fastest = np.where(counts, steps, -np.inf).max(axis=1)
    slowest = np.where(counts, steps, np.inf).min(axis=1)
    return (high - low) * (fastest - slowest) <= _SPREAD


def _integrals(start: Array, steps: Array, low: Array, high: Array, classes: Array) -> Array:
    """Return the integrals from `low` to `high` by Gauss-Legendre."""
    t = low[:, None] + (high - low)[:, None] * _NODES
    p = softmax(start + t[:, :, None] * steps[:, None, :], axis=2)
    pull = p * (classes - (p @ classes)[:, :, None])
    return (high - low)[:, None] * np.einsum("n,rnc->rc", _WEIGHTS, pull)
