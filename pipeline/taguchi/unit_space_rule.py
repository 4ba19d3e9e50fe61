"""Which rows are the unit space, by their target, and when a T-method rests on too few of them."""

import warnings
from numbers import Real
from typing import Any, Literal

import numpy as np

from pipeline.taguchi.base import Array, words
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.summation import CONSTANT_TARGET, NO_WEIGHT

_Name = Literal["middle", "median", "low", "high", "all"]
UnitSpaceRule = _Name | tuple[float, float]
UNIT_SPACE_RULES: list[Any] = [words(_Name), "array-like"]

# Share of the rows that "median" takes.
_NEAREST = 0.2


def check_rule(rule: Any) -> None:
    """Refuse an array that is no range of the target.

    Raises
    ------
    ValueError
        If it is not two numbers in ascending order.
    """
    if isinstance(rule, str):
        return
    limits = list(rule)
    if len(limits) != 2 or not all(isinstance(v, Real) for v in limits) or not limits[0] <= limits[1]:
        raise ValueError(f"unit_space must be a rule or two numbers, the lower one first, got {rule!r}.")


def unit_space_interval(y: Array, weight: Array | None, rule: UnitSpaceRule) -> tuple[float, float]:
    """Return the interval of the target that the rule takes as unit space.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        The target.
    weight : ndarray of shape (n_rows,) or None
        Weight of each row; rows of weight 0 count as absent.
    rule : str or (low, high)
        As in `TMethodRegressor`.

    Raises
    ------
    ValueError
        If no row has a weight, or the rule looks for a place in a constant target.
    """
    if weight is not None:
        y, weight = y[weight > 0], weight[weight > 0]
    if not len(y):
        raise ValueError(NO_WEIGHT)
    if not isinstance(rule, str):
        return float(rule[0]), float(rule[1])
    if rule == "all":
        return -np.inf, np.inf
    low, high = float(y.min()), float(y.max())
    if low == high:
        raise ValueError(CONSTANT_TARGET.format(low))
    if rule == "median":
        anchor = (_quantile(y, 0.5, weight) - _quantile(-y, 0.5, weight)) / 2
        reach = _quantile(np.abs(y - anchor), _NEAREST, weight)
        size = abs(anchor) + reach
    else:
        anchor = {"low": low, "middle": (low + high) / 2, "high": high}[rule]
        reach = max((high - low) / 10, float(np.abs(y - anchor).min()))
        size = high - low
    # A little more, so that rounding does not decide between equally near rows.
    reach += 1e-12 * size
    return anchor - reach, anchor + reach


def _quantile(values: Array, share: float, weight: Array | None) -> float:
    """Return the smallest value that, with those below it, has a share of the weight."""
    weight = np.ones(len(values)) if weight is None else weight
    return float(np.quantile(values, share, method="inverted_cdf", weights=weight))


def warn_of_few_rows(moments: TMoments, stacklevel: int) -> None:
    """Warn where a T-method rests on a handful of rows: a small unit space, or one target that outweighs all others."""
    n_unit, center, squares = moments.unit.target
    n_signal, mean, _ = moments.signal.target
    n = n_unit + n_signal
    # A fifth of the target's range holds a fifth of the rows if all targets are equally frequent.
    if n_signal and n_unit < max(min(n / 5, 5), n / 50):
        warnings.warn(
            f"The unit space holds {n_unit:g} of {n:g} rows, and all is measured from their mean: choose it by "
            "unit_space='median' or unit_space=(low, high), and look for targets far from all others.",
            UserWarning,
            stacklevel=stacklevel,
        )
    if n_signal:
        squares = moments.signal.target[2] + n_signal * (mean - center) ** 2
    warn_of_far_target(moments.target_range, center, squares, n_signal or n_unit, stacklevel + 1)


def warn_of_far_target(
    target_range: tuple[float, float], center: float, squares: float, n: float, stacklevel: int
) -> None:
    """Warn where a single target makes much of the sum of squares that all slopes are divided by.

    Parameters
    ----------
    target_range : tuple of float
        Smallest and largest target.
    center : float
        From where targets are measured.
    squares : float
        Sum of their squares, measured from there.
    n : float
        How many there are.
    stacklevel : int
        As in `warnings.warn`.
    """
    farthest = max(target_range, key=lambda target: abs(target - center))
    share = (farthest - center) ** 2 / squares if squares > 0 else 0
    # 12 / n is a target 3.5 standard deviations away; more than 1 is a row of little weight.
    if n >= 5 and max(0.2, min(12 / n, 0.9)) < share < 1 + 1e-9:
        warnings.warn(
            f"A row with the target {farthest:g} makes {100 * share:.0f}% of the sum of squares r of {n:g} rows and "
            "decides every slope: look whether it is right, or leave it out (sample_weight 0).",
            UserWarning,
            stacklevel=stacklevel,
        )
