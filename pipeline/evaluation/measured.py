"""Scores of named predictions with their sampling error, and intervals and p-values from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from pipeline.deal import deal_folds
from pipeline.evaluation.bootstrap import holm
from pipeline.evaluation.row_metrics import Array, Counts, RowMetric, row_metric
from pipeline.evaluation.verdict import ENOUGH, SURE

_CELLS_AT_ONCE = 2**22
_NOTHING = 1e-24  # a variance that is rounding alone


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
        found = [spread(*each, self.n_units) for each in zip(self.by_draw, self.resampled.swapaxes(0, 1), strict=True)]
        table = pd.DataFrame([row[:3] for row in found], columns=["score", "low", "high"])
        table[["low", "high"]] = table[["low", "high"]].clip(*self.metric.bounds)
        table.insert(0, "name", pd.Series(self.names, dtype=object))
        return table if self.best is None else table.assign(best=pd.Series(self.best, dtype=object))

    @property
    def differences(self) -> pd.DataFrame:
        """A, b, difference, low, high and p of each pair."""
        pairs = [(i, j) for i in range(len(self.names)) for j in range(i + 1, len(self.names))]
        rows = []
        for i, j in pairs:
            of_pair = self.by_draw[i] - self.by_draw[j], self.resampled[:, i] - self.resampled[:, j]
            rows.append((self.names[i], self.names[j], *spread(*of_pair, self.n_units)))
        return pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p"])


def spread(by_draw: Array, resampled: Array, n_units: int) -> tuple[float, float, float, float]:
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

    Examples
    --------
    >>> spread(np.array([0.5]), np.array([[0.4], [0.5], [0.6]]), n_units=100)[0]
    0.5
    """
    estimate, n_draws, unbiased = float(by_draw.mean()), len(by_draw), n_units / (n_units - 1)
    of_rows = float(np.nanvar(resampled.mean(axis=1), ddof=1)) * unbiased
    variance, of_draws = of_rows, 0.0
    if n_draws > 1:
        of_draws = float(by_draw.var(ddof=1)) / n_draws
        of_both = (float(np.nanvar(resampled, axis=0, ddof=1).mean()) * unbiased - of_rows) / (n_draws - 1)
        variance += max(0.0, of_draws - of_both)
    if variance < _NOTHING:
        return estimate, estimate, estimate, float(abs(estimate) < _NOTHING**0.5)
    df = variance**2 / (of_rows**2 / (n_units - 1) + of_draws**2 / max(1, n_draws - 1))
    error = variance**0.5
    half = float(stdtrit(df, 0.975)) * error
    return estimate, estimate - half, estimate + half, float(2 * stdtr(df, -abs(estimate) / error))


def with_holm(differences: pd.DataFrame, greater_is_better: bool, n_units: int) -> pd.DataFrame:
    """Return the differences with p-values adjusted for their number, and who is ahead where that is sure."""
    adjusted = holm(differences["p"])
    a_leads = (differences["difference"] > 0) == greater_is_better
    ahead = np.where(a_leads, differences["a"], differences["b"])
    ahead[(adjusted >= SURE) | (n_units < ENOUGH)] = None
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
    target = _target(y)
    lines = _lines(y, len(target), predictions)
    n_lines, n_draws, n_rows = lines.shape
    found = row_metric(metric, target, lines.reshape(-1, n_rows), scale, greater_is_better)
    of_row = np.arange(n_rows) if groups is None else _codes(groups, n_rows)
    n_units = int(of_row.max()) + 1
    if min(n_units, n_resamples) < 2:
        raise ValueError(f"Got {n_units} rows or groups and n_resamples={n_resamples}: both must be 2 or more.")
    names = list(predictions) if sides is None else list(sides)
    columns = None if sides is None else _columns(sides, list(predictions))
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
    if np.isnan(by_draw).any():
        name = names[int(np.flatnonzero(np.isnan(by_draw).any(axis=1))[0])]
        raise ValueError(f"The metric {found.name} of {name!r} is NaN: it is not defined for these predictions.")
    resampled = np.concatenate(list(blocks))
    best = None
    if columns is not None:
        whole = of_lines(np.ones((1, n_rows), dtype=np.float32))[0].mean(axis=1)
        whole = whole if found.greater_is_better else -whole
        best = [list(predictions)[some[int(whole[some].argmax())]] for some in columns]
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


def _target(y: npt.ArrayLike) -> npt.NDArray[Any]:
    target = np.asarray(y)
    if target.ndim != 1:
        raise ValueError(f"y must be one-dimensional, got shape {target.shape}: compare one target at a time.")
    _check_known(target, "y", "leave out rows without a target")
    return target


def _lines(y: npt.ArrayLike, n_rows: int, predictions: Mapping[Any, npt.ArrayLike]) -> npt.NDArray[Any]:
    """Return predictions of shape (n_lines, n_draws, n_rows)."""
    if not isinstance(predictions, Mapping) or not len(predictions):
        raise ValueError(f"Got {type(predictions).__name__} without names: give a dict of names and predictions.")
    lines = []
    for name, values in predictions.items():
        line = np.atleast_2d(np.asarray(values))
        if line.ndim != 2 or line.shape[1] != n_rows:
            raise ValueError(
                f"The predictions of {name!r} have shape {np.shape(values)}, but y has {n_rows} rows: "
                "give shape (n_rows,) or (n_draws, n_rows)."
            )
        _check_known(line, f"The predictions of {name!r}", "mend the model")
        if isinstance(y, pd.Series) and isinstance(values, pd.Series) and _is_reordered(y.index, values.index):
            raise ValueError(f"The predictions of {name!r} have y's index in another order: align them, then compare.")
        lines.append(line)
    n_draws = max(len(line) for line in lines)
    for name, line in zip(predictions, lines, strict=True):
        if len(line) not in (1, n_draws):
            raise ValueError(f"{name!r} has {len(line)} draws and another line {n_draws}: give equally many, or one.")
    return np.stack([np.broadcast_to(line, (n_draws, n_rows)) for line in lines])


def _is_reordered(index: pd.Index, other: pd.Index) -> bool:
    return not index.equals(other) and index.is_unique and index.sort_values().equals(other.sort_values())


def _check_known(values: npt.NDArray[Any], what: str, hint: str) -> None:
    unknown = ~np.isfinite(values) if values.dtype.kind == "f" else pd.isna(values)
    if len(where := np.argwhere(unknown)):
        raise ValueError(
            f"{what} must be known and finite, got {values[tuple(where[0])]} in row {where[0][-1]}: {hint}."
        )


def _codes(groups: npt.ArrayLike, n_rows: int) -> npt.NDArray[np.intp]:
    codes, _ = pd.factorize(np.asarray(groups), use_na_sentinel=True)
    if len(codes) != n_rows or (codes < 0).any():
        raise ValueError(
            f"groups must name the group of each of {n_rows} rows, got {len(codes)}, NaN {(codes < 0).sum()}."
        )
    return codes


def _columns(sides: Mapping[Any, Sequence[Any]], lines: list[Any]) -> list[list[int]]:
    found = []
    for side, members in sides.items():
        if isinstance(members, str) or not len(members) or not set(members) <= set(lines):
            raise ValueError(f"The side {side!r} must list names of predictions, got {members!r}: known are {lines}.")
        found.append([lines.index(line) for line in members])
    return found
