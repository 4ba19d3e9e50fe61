"""Groups of items, each with a distance from the unit space: one that is large is not lost among the others."""

import textwrap
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import stats

from pipeline.taguchi.base import Array, Indices
from pipeline.taguchi.leave_one_out import left_out_distance
from pipeline.taguchi.shrinkage import Shrinkage
from pipeline.taguchi.thresholds import normal_limit
from pipeline.taguchi.unit_space_metric import Method, Metric, UnitSpaceMoments, unit_space_metric, varies

Groups = Literal["items"] | Sequence[Literal["all", "items"] | Sequence[str | int]] | None
GROUPS: list[Any] = [list, tuple, None]

# Beside a root whose largest entry is 1; what is left below is rounding.
_NO_VARIATION = 1e-11


class ItemGroup(NamedTuple):
    """A group of items, how its deviations are measured, and what makes its distance comparable."""

    name: str
    items: Indices
    metric: Metric
    factor: float

    def distance(self, z: Array) -> Array:
        """Return the distances of rows whose items are all standardised."""
        return self.factor * self.metric.distance(z[:, self.items])

    def left_out_distance(self, z: Array, n: float, method: Method) -> Array:
        """Return the distances of rows of the unit space, each from the other rows."""
        return self.factor * left_out_distance(z[:, self.items], n, self.metric, method)


def read_groups(groups: Groups, n_items: int, names: Sequence[str] | None) -> list[Indices]:
    """Return the columns of each group.

    Parameters
    ----------
    groups : "items", or list of "all", "items" and lists of item names or numbers
        Groups may overlap.
    n_items : int
        Number of items.
    names : sequence of str or None
        Names of the items.

    Returns
    -------
    list of ndarray of int
        One array for each group, in the order given.

    Raises
    ------
    ValueError
        If a group is empty, names an unknown item or names one twice.

    Examples
    --------
    >>> [group.tolist() for group in read_groups(["all", ["b", 0]], 3, ["a", "b", "c"])]
    [[0, 1, 2], [1, 0]]
    """
    if groups is not None and not len(groups):
        raise ValueError(
            "groups is empty: give 'items' or a list of groups, or None for the distance of all items together."
        )
    found: list[Indices] = []
    for group in ["all"] if groups is None else [groups] if isinstance(groups, str) else groups:
        if isinstance(group, str) and group == "all":
            found.append(np.arange(n_items))
        elif isinstance(group, str) and group == "items":
            found += list(np.arange(n_items)[:, None])
        else:
            found.append(_columns(group, n_items, names))
    return found


def _columns(group: Any, n_items: int, names: Sequence[str] | None) -> Indices:
    if isinstance(group, str) or not isinstance(group, Sequence | np.ndarray):
        raise ValueError(f"groups holds {group!r}: give 'all', 'items' or lists of items, [{group!r}] for one.")
    items = np.array([_number(item, n_items, names) for item in group], dtype=np.intp)
    if not len(items) or len(set(items)) < len(items):
        raise ValueError(f"groups holds {list(group)!r}: a group has one item or more, each of them once.")
    return items


def _number(item: Any, n_items: int, names: Sequence[str] | None) -> int:
    if isinstance(item, str) and names is not None and item in names:
        return list(names).index(item)
    if isinstance(item, int | np.integer) and not isinstance(item, bool) and 0 <= item < n_items:
        return int(item)
    known = f"numbers from 0 to {n_items - 1}"
    known = known if names is None else f"names of columns or {known}"
    raise ValueError(f"groups holds the item {item!r}, which X does not have: its items are {known}.")


def measured_groups(
    moments: UnitSpaceMoments, groups: list[Indices], names: Sequence[str], method: Method, shrinkage: Shrinkage
) -> list[ItemGroup]:
    """Return the groups in which the unit space varies, each with its metric.

    Groups with one set of varying items are one group, the first of them: a second one would raise the limit.
    """
    n, mean, scatter = moments
    carries = varies(scatter.diagonal(), n, mean)
    found: dict[frozenset[int], ItemGroup] = {}
    for items in groups:
        varying = frozenset(items[carries[items]].tolist())
        if varying in found or (not varying and carries.any()):
            continue
        metric = unit_space_metric(moments.part(items), method, shrinkage)
        found[varying] = ItemGroup(_name(items, names), items, metric, 1.0)
    if not found:
        raise ValueError("All groups of items are constant in the unit space: there is nothing to measure by.")
    return list(found.values())


def _name(items: Indices, names: Sequence[str]) -> str:
    if len(items) > 1 and len(items) == len(names):
        return "all"
    return ", ".join(names[item] for item in items)


def comparable(groups: list[ItemGroup], moments: UnitSpaceMoments, tail: float) -> list[ItemGroup]:
    r"""Return the groups with factors that give all of them one limit: that of a single item, in its deviations.

    A group's limit is what a new normal row exceeds with probability `tail`. It is exact where the distance is MT's
    times a constant (see `normal_limit`); otherwise D² is taken as a constant times chi-square with its mean and
    variance, which is near enough for a scale.

    Parameters
    ----------
    groups : list of ItemGroup
        At factor 1.
    moments : UnitSpaceMoments
        Of all items.
    tail : float
        False alarm rate of a group.

    Returns
    -------
    list of ItemGroup
    """
    if moments.n < 3:
        raise ValueError(f"groups need 3 or more rows of the unit space to be comparable, got {moments.n:g}.")
    single = normal_limit(moments.n, 1, tail)
    return [group._replace(factor=single / _limit(group, moments, tail)) for group in groups]


def exact_limit(group: ItemGroup, moments: UnitSpaceMoments, tail: float) -> float | None:
    """Return the limit of a group's distance at factor 1; None where its law is not known."""
    return _exact_limit(group, moments.n, tail, *_law(group, moments))


def _exact_limit(group: ItemGroup, n: float, tail: float, size: float, directions: float) -> float | None:
    p = group.metric.root.shape[1]
    if n < p + 2 or directions < p * (1 - 1e-6):
        return None
    return size * normal_limit(n, p, tail)


def _limit(group: ItemGroup, moments: UnitSpaceMoments, tail: float) -> float:
    size, directions = _law(group, moments)
    exact = _exact_limit(group, moments.n, tail, size, directions)
    if exact is not None:
        return exact
    if directions == 0:
        name = textwrap.shorten(group.name, 60, placeholder=" ...")
        raise ValueError(
            f"The group ({name}) has a collinearity, and its adjoint measures nothing else: its distance has no "
            "scale to compare by. Use method='mt' with groups, or leave out one of the collinear items."
        )
    return size * float(np.sqrt(stats.chi2.isf(tail, directions) / directions))


def _law(group: ItemGroup, moments: UnitSpaceMoments) -> tuple[float, float]:
    """Return the root mean square of a group's distance, and the number of directions that would vary as it does.

    Both are 0 where the unit space does not vary in what is measured: an adjoint of collinear items.
    """
    metric = group.metric
    scatter = moments.part(group.items).scatter / (moments.n - 1) / metric.scale / metric.scale[:, None]
    size = np.abs(metric.root).max()
    root = metric.root / size
    M = root.T @ scatter @ root
    trace = float(M.trace())
    if trace < _NO_VARIATION:
        return 0.0, 0.0
    return float(size) * float(np.sqrt(trace)), trace**2 / float(np.square(M).sum())
