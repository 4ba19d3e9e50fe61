"""Metrics of predictions on weighted rows: a matrix product for all resamples at once, where the metric allows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.bootstrap import qwk_of_sums, star_numbers, star_sums
from pipeline.scale import MAX_VALUES, Scale

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float32]

METRICS = ("qwk", "mae", "accuracy")
_NAMES = {"qwk": "QWK", "mae": "mean absolute error", "accuracy": "accuracy"}
_BOUNDS = {"qwk": (-1.0, 1.0), "mae": (0.0, np.inf), "accuracy": (0.0, 1.0)}
# https://scikit-learn.org/stable/modules/model_evaluation.html: the last word of a metric's name says what is better.
_ENDINGS = {"score": True, "error": False, "loss": False, "deviance": False}


@dataclass(frozen=True)
class RowMetric:
    """A metric of several columns of predictions, ready to be measured on any weights of the rows.

    Attributes
    ----------
    name : str
    greater_is_better : bool
    bounds : (float, float)
        The lowest and the highest score that is possible.
    scale : Scale or None
        The scale that predictions are rounded or clipped to.
    scores : callable
        Takes how often each row counts, shape (n_resamples, n_rows), and returns scores, shape
        (n_resamples, n_columns); nan where the metric is not defined.
    """

    name: str
    greater_is_better: bool
    bounds: tuple[float, float]
    scale: Scale | None
    scores: Callable[[Counts], Array]


def row_metric(
    metric: str | Callable[[Any, Any], float],
    y: npt.NDArray[Any],
    columns: npt.NDArray[Any],
    scale: Scale | None = None,
    greater_is_better: bool | None = None,
) -> RowMetric:
    """Return the metric of these predictions.

    Parameters
    ----------
    metric : {"qwk", "mae", "accuracy"} or callable
        A callable takes targets and predictions of some rows and returns a number.
    y : ndarray of shape (n_rows,)
    columns : ndarray of shape (n_columns, n_rows)
        Predictions.
    scale : Scale, optional
        By default that of whole numbers from the lowest to the highest target, and prediction where these are whole.
    greater_is_better : bool, optional
        Of a callable; by default as the last word of its name says.

    Raises
    ------
    ValueError
        If there is no such metric, it has no scale or direction, or it does not fit the targets.
    """
    if callable(metric):
        if scale is not None:
            raise ValueError("A callable metric takes predictions as they are, got a scale too: round them beforehand.")
        name = getattr(getattr(metric, "func", metric), "__name__", type(metric).__name__)
        better = _direction(name, greater_is_better)
        return RowMetric(
            name.replace("_", " "), better, (-np.inf, np.inf), None, _by_resampled_rows(metric, y, columns)
        )
    if metric not in METRICS:
        known = ", ".join(map(repr, METRICS))
        raise ValueError(f"There is no metric {metric!r}: take {known}, or a function of targets and predictions.")
    if greater_is_better not in (None, metric != "mae"):
        raise ValueError(f"greater_is_better={greater_is_better} is for a callable: leave it out for {metric!r}.")
    if metric == "accuracy" and _is_number(y) != _is_number(columns):
        raise ValueError(f"y is {y.dtype} and predictions are {columns.dtype}: give both as numbers, or both as words.")
    if metric == "mae":
        score = _mean_of_rows(_errors(y, columns, scale))
    elif metric == "accuracy" and scale is None and (not _is_number(y) or _is_whole(columns)):
        score = _mean_of_rows((columns == y).astype(np.float64))
    else:
        scale = scale or _scale_of(metric, y, columns)
        score = (_qwk if metric == "qwk" else _accuracy)(y, columns, scale)
    return RowMetric(_NAMES[metric], metric != "mae", _BOUNDS[metric], scale, score)


def _direction(name: str, greater_is_better: bool | None) -> bool:
    if greater_is_better is not None:
        return greater_is_better
    ending = name.rpartition("_")[2]
    if ending not in _ENDINGS:
        raise ValueError(f"The name of the metric {name} does not say what is better: give greater_is_better=.")
    return _ENDINGS[ending]


def _is_number(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "biuf"


def _is_whole(values: npt.NDArray[Any]) -> bool:
    return _is_number(values) and bool((values % 1 == 0).all() if values.dtype.kind == "f" else True)


def _numbers(metric: str, y: npt.NDArray[Any], columns: npt.NDArray[Any]) -> None:
    if not (_is_number(y) and _is_number(columns)):
        raise ValueError(
            f"The metric {metric!r} needs numbers, got {y.dtype} and {columns.dtype}: convert them, or take 'accuracy'."
        )


def _scale_of(metric: str, y: npt.NDArray[Any], columns: npt.NDArray[Any]) -> Scale:
    _numbers(metric, y, columns)
    if not _is_whole(y):
        value = y[y % 1 != 0][0]
        raise ValueError(
            f"The metric {metric!r} needs whole numbers, got {value:g} in y: give the scale, or take 'mae'."
        )
    labels = np.append(columns.ravel(), y) if _is_whole(columns) else y
    if y.min() == y.max():
        raise ValueError(f"The metric {metric!r} needs two or more values in y, got {y[0]:g} alone: give the scale.")
    if (n_values := labels.max() - labels.min() + 1) > MAX_VALUES:
        raise ValueError(f"The metric {metric!r} takes up to {MAX_VALUES} values, got {n_values:g}: take 'mae'.")
    return Scale(float(labels.min()), float(labels.max()))


def _errors(y: npt.NDArray[Any], columns: npt.NDArray[Any], scale: Scale | None) -> Array:
    _numbers("mae", y, columns)
    if scale is None:
        return np.abs(columns.astype(np.float64) - y)
    return np.abs(scale.clip(columns) - scale.check(y, "y"))


def _mean_of_rows(values: Array) -> Callable[[Counts], Array]:
    def scores(counts: Counts) -> Array:
        exact = counts.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return (exact @ values.T) / exact.sum(axis=1, keepdims=True)

    return scores


def _accuracy(y: npt.NDArray[Any], columns: npt.NDArray[Any], scale: Scale) -> Callable[[Counts], Array]:
    return _mean_of_rows((scale.round(columns) == scale.check(y, "y")).astype(np.float64))


def _qwk(y: npt.NDArray[Any], columns: npt.NDArray[Any], scale: Scale) -> Callable[[Counts], Array]:
    numbers, rounded = star_numbers(scale.check(y, "y"), scale), star_numbers(columns, scale).T
    return lambda counts: qwk_of_sums(star_sums(counts, numbers, rounded))


def _by_resampled_rows(
    metric: Callable[[Any, Any], float], y: npt.NDArray[Any], columns: npt.NDArray[Any]
) -> Callable[[Counts], Array]:
    def scores(counts: Counts) -> Array:
        found = np.empty((len(counts), len(columns)))
        for row, some in enumerate(counts.astype(np.intp)):
            rows = np.repeat(np.arange(len(y)), some)
            found[row] = [metric(y[rows], column[rows]) for column in columns]
        return found

    return scores
