"""Sums that were made elsewhere, beside the rows of a fit: what they must be, and how they count."""

from typing import Any

import numpy as np

from pipeline.taguchi.base import Array, Mask
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.moments import TMoments
from pipeline.taguchi.summation import check_mask, check_weights, t_moments
from pipeline.taguchi.unit_space_rule import UnitSpaceRule, unit_space_interval

KnowHow = TMoments | ClassMoments

NEED_PRODUCTS = "covariance='full', recalibrate=True and interval='sn_ratio'"


def sums_of_rows(
    X: Any, y: Array, mask: Any, weight: Any, gram: bool, know_how: Any, rule: UnitSpaceRule, interval: Array | None
) -> tuple[list[TMoments], list[Mask], Array | None]:
    """Return the moments for each target, know-how included.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_items)
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
    mask, weight, know_how
        `unit_space_mask`, `sample_weight` and `know_how` of `TMethodRegressor`.
    gram : bool
        Whether to keep the products of pairs of items.
    rule : str or (low, high)
        Of the unit space, where there is no mask.
    interval : ndarray of shape (2,) or (n_targets, 2), or None
        Where the rule has placed the unit space before.

    Returns
    -------
    moments : list of TMoments
    units : list of ndarray of bool of shape (n_samples,)
        The rows of the unit space.
    interval : ndarray of shape (2,) or (n_targets, 2), or None
        Targets of the unit space, where a rule chose them.
    """
    columns = y.astype(np.float64, copy=False).reshape(len(y), -1).T
    known = check_know_how(know_how, len(columns), X.shape[1], gram)
    limits: list[Any] = [None] * len(columns)
    if mask is not None:
        units = [check_mask(mask)] * len(columns)
    else:
        if interval is None:
            weights = None if weight is None else check_weights(weight, X)
            intervals = [
                unit_space_interval(*with_known_targets(column, weights, part), rule)
                for column, part in zip(columns, known, strict=True)
            ]
            interval = np.array(intervals if y.ndim > 1 else intervals[0])
        limits = list(np.atleast_2d(interval))
        units = [(low <= column) & (column <= high) for column, (low, high) in zip(columns, limits, strict=True)]
    elsewhere = [part and as_t_moments(part, limit, gram) for part, limit in zip(known, limits, strict=True)]
    moments = [t_moments(X, column, unit, weight, gram) for column, unit in zip(columns, units, strict=True)]
    return [part + (other or 0) for part, other in zip(moments, elsewhere, strict=True)], units, interval


def check_know_how(know_how: Any, n_targets: int, n_items: int, gram: bool) -> list[Any]:
    """Return the know-how for each target, None where there is none.

    Parameters
    ----------
    know_how : TMoments, ClassMoments, list of them or None
    n_targets, n_items : int
        Of the rows.
    gram : bool
        Whether products of pairs of items are needed.

    Raises
    ------
    ValueError
        If it is for another number of targets or items, or if products are needed and missing.
    """
    if know_how is None:
        return [None] * n_targets
    parts = know_how if isinstance(know_how, list) else [know_how]
    if len(parts) != n_targets:
        raise ValueError(f"know_how must hold sums for each of {n_targets} targets, got {len(parts)}.")
    for part in parts:
        if not isinstance(part, KnowHow):
            raise ValueError(f"know_how must hold TMoments or ClassMoments, got {type(part).__name__}.")
        if part.n_items != n_items:
            raise ValueError(f"know_how has {part.n_items} items, but X has {n_items}: give sums of the same items.")
        if gram and isinstance(part, TMoments) and not part.has_gram:
            raise ValueError(f"{NEED_PRODUCTS} need know_how that was made with gram=True.")
    return parts


def with_known_targets(y: Array, weight: Array | None, known: KnowHow | None) -> tuple[Array, Array | None]:
    """Return the targets and weights that place the unit space: of the rows and of the know-how.

    The classes of `ClassMoments` count as often as they have rows. Of `TMoments` only the ends of the range are known:
    they have no weight in quantiles.
    """
    if known is None or not known.n_rows:
        return y, weight
    if isinstance(known, ClassMoments):
        targets, counts = known.classes, known.weight
    else:
        targets, counts = np.array(known.target_range), np.full(2, np.finfo(np.float64).tiny)
    weight = np.ones(len(y)) if weight is None else weight
    return np.concatenate([y, targets]), np.concatenate([weight, counts])


def in_unit_space(sums: KnowHow, rule: UnitSpaceRule) -> tuple[TMoments, tuple[float, float] | None]:
    """Return sums as those of a T-method, and the targets of the unit space where the rule chose them."""
    if isinstance(sums, TMoments):
        return sums, None
    interval = unit_space_interval(sums.classes.astype(np.float64), sums.weight, rule)
    return sums.split(*interval), interval


def refuse_know_how(know_how: Any) -> None:
    """Refuse `know_how` beside sums that are the total.

    Raises
    ------
    ValueError
        If there is any.
    """
    if know_how is not None:
        raise ValueError("fit_moments takes the total of all sums: add know_how to them by `+`, and set know_how=None.")


def as_t_moments(known: KnowHow, interval: Array | None, gram: bool) -> TMoments:
    """Return know-how as the sums of a T-method.

    Parameters
    ----------
    known : TMoments or ClassMoments
    interval : ndarray of shape (2,) or None
        Targets of the unit space; None where a mask of rows made it.
    gram : bool
        Whether to keep the products of pairs of items.

    Raises
    ------
    ValueError
        If the unit space of the rows and that of the know-how cannot be one.
    """
    if isinstance(known, ClassMoments):
        if interval is None:
            raise ValueError(
                "unit_space_mask does not tell which classes of know_how are the unit space: give unit_space="
                "(low, high) instead, or know_how.split(low, high)."
            )
        known = known.split(*interval)
    elif interval is not None and np.isinf(interval).all() and known.signal.target[0] > 0:
        raise ValueError(
            "unit_space='all' (Ta) needs know_how whose rows are all unit space, got signal rows: make it by t_moments "
            "without unit_space_mask."
        )
    return known if gram else known.without_gram()
