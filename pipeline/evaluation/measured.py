"""Scores of named predictions with their sampling error, and intervals and p-values from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from pipeline.deal import deal_folds
from pipeline.evaluation.bootstrap import holm
from pipeline.evaluation.inputs import (
    as_codes,
    as_columns,
    as_lines,
    as_target,
    check_names,
    check_order,
    check_whole,
    order_of,
)
from pipeline.evaluation.row_metrics import Array, Counts, RowMetric, row_metric
from pipeline.evaluation.verdict import ENOUGH, SURE

_CELLS_AT_ONCE = 2**22
_NOTHING = 1e-12  # an error that is rounding alone, as a share of the scores
_DEFINED = 0.5  # the least share of resamples that the metric must be defined in
_SURELY_DEFINED = 0.9  # below this share nothing is claimed: a class has one or two rows


@dataclass(frozen=True)
class Measured:
    """Scores of several entries: predictions, or sides.

    Attributes
    ----------
    names : list
    metric : RowMetric
    n_rows, n_units : int
        The units are the rows, or the groups of rows, that the bootstrap draws.
    by_draw : ndarray of shape (n_entries, n_draws)
        On the rows as they are.
    resampled : ndarray of shape (n_resamples, n_entries, n_draws)
        In each resample of the rows.
    best : list or None
        Of each side, the line that is best on all rows.
    """

    names: list[Any]
    metric: RowMetric
    n_rows: int
    n_units: int
    by_draw: Array
    resampled: Array
    best: list[Any] | None

    @property
    def scores(self) -> pd.DataFrame:
        """Name, score, low and high of each entry, in the order that they were given in."""
        found = [
            spread(*each, self.n_units, self._size(i))[:3]
            for i, each in enumerate(zip(self.by_draw, self.resampled.swapaxes(0, 1), strict=True))
        ]
        table = pd.DataFrame(found, columns=["score", "low", "high"])
        table[["low", "high"]] = table[["low", "high"]].clip(*self.metric.bounds)
        table.insert(0, "name", _as_they_are(self.names))
        return table if self.best is None else table.assign(best=_as_they_are(self.best))

    @property
    def differences(self) -> pd.DataFrame:
        """A, b, difference, low, high and p of each pair."""
        pairs = list(combinations(range(len(self.names)), 2))
        rows = [self._difference(i, j) for i, j in pairs]
        table = pd.DataFrame(rows, columns=["difference", "low", "high", "p"], dtype=np.float64)
        table.insert(0, "a", _as_they_are([self.names[i] for i, _ in pairs]))
        table.insert(1, "b", _as_they_are([self.names[j] for _, j in pairs]))
        return table

    @property
    def undefined(self) -> float:
        """The share of resamples in which the metric of an entry is not defined."""
        return float(np.isnan(self.resampled).any(axis=(1, 2)).mean())

    @property
    def is_surely_defined(self) -> bool:
        """Whether so many resamples have a score that a difference may be claimed."""
        return self.undefined <= 1 - _SURELY_DEFINED

    def _difference(self, i: int, j: int) -> tuple[float, float, float, float]:
        of_pair = self.by_draw[i] - self.by_draw[j], self.resampled[:, i] - self.resampled[:, j]
        difference, low, high, p = spread(*of_pair, self.n_units, self._size(i, j))
        # A function that does not change with the rows tells nothing of other rows.
        unknown = not self.is_surely_defined or (self.metric.is_callable and low == high and p == 0)
        return difference, low, high, float("nan") if unknown else p

    def _size(self, *entries: int) -> float:
        """Return how large scores are, at least 1 where they are shares."""
        least = 1.0 if np.isfinite(self.metric.bounds[1]) else 0.0
        each = (self.by_draw[list(entries)], self.resampled[:, list(entries)])
        return max(least, *(float(np.nanmax(np.abs(scores))) for scores in each))


def _as_they_are(names: list[Any]) -> "pd.Series[Any]":
    """Return names as a column that leaves numbers and booleans among them as they are."""
    return pd.Series(names, dtype=object)


def spread(by_draw: Array, resampled: Array, n_units: int, size: float = 1.0) -> tuple[float, float, float, float]:
    r"""Return a statistic, its 95% interval, and the p-value of its being 0.

    The interval is :math:`\bar\theta \pm t s` about the mean over D draws. n units are resampled: V is the bootstrap's
    variance of that mean, :math:`V_d` that of a single draw, both times n / (n - 1), and :math:`s_D^2` is the variance
    over the draws. Then

    .. math:: s^2 = V + \max\left(0, \frac{s_D^2}{D} - \frac{\bar V_d - V}{D - 1}\right)

    What is subtracted is how far draws differ by chance on these rows, which V holds already. t has the degrees of
    freedom of Satterthwaite, n - 1 where there is one draw.

    Parameters
    ----------
    by_draw : ndarray of shape (n_draws,)
        The statistic on the rows as they are.
    resampled : ndarray of shape (n_resamples, n_draws)
        In each resample; nan is left out.
    n_units : int
        How many rows, or groups of rows, are resampled.
    size : float, default=1
        How large the scores are that the statistic is made from: a 10^12th of it is rounding, and no difference.

    Returns
    -------
    statistic, low, high, p : float
        nan for all but the first where fewer than two resamples are defined.

    Examples
    --------
    >>> spread(np.array([0.5]), np.array([[0.4], [0.5], [0.6]]), n_units=100)[0]
    0.5
    """
    estimate, n_draws, unbiased = float(by_draw.mean()), len(by_draw), n_units / (n_units - 1)
    if np.isfinite(means := resampled.mean(axis=1)).sum() < 2:
        return estimate, np.nan, np.nan, np.nan
    of_rows = float(np.nanvar(means, ddof=1)) * unbiased
    variance, of_draws = of_rows, 0.0
    if n_draws > 1:
        of_draws = float(by_draw.var(ddof=1)) / n_draws
        of_both = (float(np.nanvar(resampled, axis=0, ddof=1).mean()) * unbiased - of_rows) / (n_draws - 1)
        variance += max(0.0, of_draws - of_both)
    if variance <= (_NOTHING * size) ** 2:
        return estimate, estimate, estimate, float(abs(estimate) <= _NOTHING * size)
    df = 1 / ((of_rows / variance) ** 2 / (n_units - 1) + (of_draws / variance) ** 2 / max(1, n_draws - 1))
    error = variance**0.5
    half = float(stdtrit(df, 0.975)) * error
    return estimate, estimate - half, estimate + half, float(2 * stdtr(df, -abs(estimate) / error))


def with_holm(differences: pd.DataFrame, greater_is_better: bool, n_units: int) -> pd.DataFrame:
    """Return the differences with p-values adjusted for their number, and who is ahead where that is sure."""
    adjusted = holm(differences["p"])
    a_leads = (differences["difference"] > 0) == greater_is_better
    ahead = np.where(a_leads, differences["a"].astype(object), differences["b"].astype(object))
    # A p-value of nan is no claim.
    ahead[~(adjusted < SURE) | (n_units < ENOUGH)] = None
    return differences.assign(p_holm=adjusted, ahead=pd.Series(ahead, dtype=object))


def measure(
    y: npt.ArrayLike,
    predictions: Mapping[Any, npt.ArrayLike],
    metric: Any = "qwk",
    scale: Any = None,
    *,
    greater_is_better: bool | None = None,
    sides: Mapping[Any, Sequence[Any]] | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Measured:
    """Return the scores of predictions; parameters and errors are those of `pipeline.evaluation.compare`."""
    target = as_target(y)
    lines = as_lines(predictions, len(target))
    n_lines, (n_draws, n_rows) = len(lines), next(iter(lines.values())).shape
    found = row_metric(metric, target, lines, scale, greater_is_better)
    of_row = np.arange(n_rows) if groups is None else as_codes(groups, n_rows)
    check_order(order_of(y, predictions, groups=groups))
    check_whole(n_resamples, "n_resamples")
    check_whole(random_state, "random_state")
    n_units = int(of_row.max()) + 1
    if min(n_units, n_resamples) < 2:
        raise ValueError(f"Got {n_units} rows or groups and n_resamples={n_resamples}: both must be 2 or more.")
    if sides is not None:
        check_names(sides, "lists of predictions")
    names = list(lines) if sides is None else list(sides)
    columns = None if sides is None else as_columns(sides, list(lines))
    halves = None if sides is None else _halves(target, of_row, random_state)

    def of_lines(counts: Counts) -> Array:
        return found.scores(counts).reshape(len(counts), n_lines, n_draws)

    def of_entries(counts: Counts) -> Array:
        if columns is None or halves is None:
            return of_lines(counts)
        measured = [of_lines(counts * mask) for mask in halves]
        return _measured_on_the_other_half(measured, columns, found.greater_is_better)

    blocks = (of_entries(counts[:, of_row]) for counts in count_blocks(n_units, n_rows, n_resamples, random_state))
    by_draw = next(blocks)[0]
    check_defined(by_draw, names, found)
    resampled = np.concatenate(list(blocks))
    resampled[~np.isfinite(resampled)] = np.nan
    _check_mostly_defined(resampled, names, found)
    best = None
    if columns is not None:
        whole = of_lines(np.ones((1, n_rows), dtype=np.float32))[0].mean(axis=1)
        whole = whole if found.greater_is_better else -whole
        best = [list(lines)[some[int(whole[some].argmax())]] for some in columns]
    return Measured(names, found, n_rows, n_units, by_draw, resampled, best)


def count_blocks(n_units: int, n_rows: int, n_resamples: int, seed: int) -> Iterator[Counts]:
    """Yield how often each unit counts: once each first, then some bootstrap resamples at a time."""
    yield np.ones((1, n_units), dtype=np.float32)
    rng, at_once = np.random.default_rng(seed), max(1, _CELLS_AT_ONCE // n_rows)
    for start in range(0, n_resamples, at_once):
        drawn = [
            np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)
            for _ in range(start, min(start + at_once, n_resamples))
        ]
        yield np.array(drawn, dtype=np.float32)


def _measured_on_the_other_half(halves: list[Array], columns: list[list[int]], greater_is_better: bool) -> Array:
    """Return scores of sides, shape (n_resamples, n_sides, n_draws), from those of all lines on each half."""
    sides = []
    for some in columns:
        of_side = []
        for chosen_on, measured_on in (halves, halves[::-1]):
            mean = chosen_on[:, some].mean(axis=2)
            mean = np.where(np.isnan(mean), -np.inf, mean if greater_is_better else -mean)
            of_side.append(np.take_along_axis(measured_on[:, some], mean.argmax(axis=1)[:, None, None], axis=1)[:, 0])
        sides.append((of_side[0] + of_side[1]) / 2)
    return np.stack(sides, axis=1)


def _halves(y: npt.NDArray[Any], of_row: npt.NDArray[np.intp], seed: int) -> list[Counts]:
    """Return which rows are in each half: stratified by target, and a group is never split."""
    ranks = np.unique(y, return_inverse=True)[1].reshape(-1)
    half = deal_folds(np.bincount(of_row, ranks) / np.bincount(of_row), 2, seed)[of_row]
    return [(half == number).astype(np.float32) for number in (0, 1)]


def check_defined(by_draw: Array, names: list[Any], metric: RowMetric) -> None:
    """Refuse scores, shape (n_entries, n_draws), that are NaN or infinite."""
    if len(where := np.argwhere(~np.isfinite(by_draw))):
        value = by_draw[tuple(where[0])]
        raise ValueError(
            f"The metric {metric.name} of {names[where[0][0]]!r} is {'NaN' if np.isnan(value) else value}: "
            "it is not defined for these predictions."
        )


def _check_mostly_defined(resampled: Array, names: list[Any], metric: RowMetric) -> None:
    defined = (~np.isnan(resampled)).all(axis=2).sum(axis=0)
    worst = int(defined.argmin())
    if defined[worst] < max(2, _DEFINED * len(resampled)):
        raise ValueError(
            f"The metric {metric.name} of {names[worst]!r} is defined in {defined[worst]:,} of {len(resampled):,} "
            "resamples alone: give more rows, or another metric."
        )
