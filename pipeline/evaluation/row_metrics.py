"""Metrics of predictions on weighted rows: a matrix product for all resamples at once, where the metric allows it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pandas.api.types import infer_dtype
from sklearn.exceptions import UndefinedMetricWarning

from pipeline.errors import first_line
from pipeline.evaluation.bootstrap import qwk_of_sums, star_sums
from pipeline.scale import MAX_VALUES, Scale

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.float32]
Lines = Mapping[Any, npt.NDArray[Any]]  # by name, each of shape (n_draws, n_rows)

METRICS = ("qwk", "mae", "accuracy")
_NAMES = {"qwk": "QWK", "mae": "mean absolute error", "accuracy": "accuracy"}
_BOUNDS = {"qwk": (-1.0, 1.0), "mae": (0.0, np.inf), "accuracy": (0.0, 1.0)}
# https://scikit-learn.org/stable/modules/model_evaluation.html: the last word of a metric's name says what is better.
_ENDINGS = {"score": True, "error": False, "loss": False, "deviance": False}
_KINDS: dict[str, Any] = {"string": str, "integer": np.int64, "boolean": np.int64}
_KINDS |= dict.fromkeys(("floating", "mixed-integer-float", "decimal"), np.float64)


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
    is_callable : bool
        Whether the metric is a function that nothing is known of.
    """

    name: str
    greater_is_better: bool
    bounds: tuple[float, float]
    scale: Scale | None
    scores: Callable[[Counts], Array]
    is_callable: bool = False


def row_metric(
    metric: str | Callable[[Any, Any], float],
    y: npt.NDArray[Any],
    lines: Lines,
    scale: Scale | None = None,
    greater_is_better: bool | None = None,
) -> RowMetric:
    """Return the metric of these predictions; its columns are the draws of the first line, of the second, and so on.

    Parameters
    ----------
    metric : {"qwk", "mae", "accuracy"} or callable
        A callable takes targets and predictions of some rows and returns a number.
    y : ndarray of shape (n_rows,)
    lines : mapping to ndarray of shape (n_draws, n_rows)
        Predictions by name.
    scale : Scale, optional
        See `on_scale`.
    greater_is_better : bool, optional
        Of a callable; by default as its name says.

    Raises
    ------
    ValueError
        If there is no such metric, it has no scale or direction, or it does not fit the targets.
    """
    if scale is not None and not isinstance(scale, Scale):
        raise ValueError(f"scale must be a Scale, got {scale!r}: give one such as Scale(1, 5).")
    if callable(metric):
        if scale is not None:
            raise ValueError("A callable metric takes predictions as they are, got a scale too: round them beforehand.")
        if hasattr(metric, "_score_func"):
            raise ValueError(f"The metric {metric} is a scorer, which takes an estimator: give its function.")
        name = getattr(getattr(metric, "func", metric), "__name__", type(metric).__name__)
        better = _direction(name, greater_is_better)
        name = name.replace("_", " ")
        return RowMetric(name, better, (-np.inf, np.inf), None, _by_resampled_rows(metric, name, y, lines), True)
    if metric not in METRICS:
        known = ", ".join(map(repr, METRICS))
        raise ValueError(f"There is no metric {metric!r}: take {known}, or a function of targets and predictions.")
    if greater_is_better not in (None, metric != "mae"):
        raise ValueError(f"greater_is_better={greater_is_better} is for a callable: leave it out for {metric!r}.")
    y, lines, scale = on_scale(metric, y, lines, scale)
    columns = [draw for line in lines.values() for draw in line]
    if metric == "qwk":
        score = _qwk(y, np.stack(columns), scale)
    elif metric == "mae":
        score = _mean_of_rows(np.stack([np.abs(column - y) for column in columns]))
    else:
        score = _mean_of_rows(np.stack([column == y for column in columns]))
    return RowMetric(_NAMES[metric], metric != "mae", _BOUNDS[metric], scale, score)


def on_scale(metric: Any, y: npt.NDArray[Any], lines: Lines, scale: Scale | None) -> tuple[Any, Lines, Scale | None]:
    """Return targets and predictions as the metric takes them, and the scale that predictions are put on.

    Each line is put on the scale by itself, so that its score does not depend on the others. Without a scale, lines of
    whole numbers stay as they are; QWK and accuracy round any other line to a whole number from the lowest to the
    highest target. With a scale, QWK and accuracy round all lines to it, and the error clips them. A callable takes
    all as it is.

    Raises
    ------
    ValueError
        If the metric does not fit the targets or predictions.
    """
    if callable(metric):
        return y, lines, None
    y, lines = _plain(y), {name: _plain(line) for name, line in lines.items()}
    for name, line in lines.items():
        _check_kind(metric, y, line, name)
    if scale is not None:
        put = scale.clip if metric == "mae" else scale.round
        return scale.check(y, "y"), {name: put(line) for name, line in lines.items()}, scale
    between = [name for name, line in lines.items() if not _is_whole(line)]
    if metric == "mae" or not _is_number(y) or (metric == "accuracy" and not between):
        return y, lines, None
    found = _scale_of(metric, y, [line for name, line in lines.items() if metric == "qwk" and name not in between])
    rounded = {name: found.round(line) if name in between else line for name, line in lines.items()}
    return y, rounded, found if between else None


def _direction(name: str, greater_is_better: bool | None) -> bool:
    if greater_is_better is not None:
        return greater_is_better
    if name.startswith("neg_"):
        return True
    ending = name.rpartition("_")[2]
    if ending not in _ENDINGS:
        raise ValueError(f"The name of the metric {name} does not say what is better: give greater_is_better=.")
    return _ENDINGS[ending]


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in 64 bits, which do not overflow, and words as words."""
    if values.dtype.kind == "O":
        return values.astype(_KINDS.get(infer_dtype(values.ravel(), skipna=False), object))
    if values.dtype.kind in "bi" or (values.dtype.kind == "u" and values.dtype.itemsize < 8):
        return values.astype(np.int64)
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def _is_number(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "iuf"


def _is_whole(values: npt.NDArray[Any]) -> bool:
    return _is_number(values) and bool((values % 1 == 0).all())


def _check_kind(metric: str, y: npt.NDArray[Any], line: npt.NDArray[Any], name: Any) -> None:
    if metric != "accuracy" and not (_is_number(y) and _is_number(line)):
        raise ValueError(
            f"The metric {metric!r} needs numbers, got {y.dtype} and {line.dtype}: convert them, or take 'accuracy'."
        )
    if _is_number(y) != _is_number(line):
        raise ValueError(
            f"y is {y.dtype} and the predictions of {name!r} are {line.dtype}: give both as numbers, or both as words."
        )


def _scale_of(metric: str, y: npt.NDArray[Any], whole: list[npt.NDArray[Any]]) -> Scale:
    """Return the scale of the targets, once they and lines of whole numbers are found to have few values."""
    if not _is_whole(y):
        value = y[y % 1 != 0][0]
        raise ValueError(
            f"The metric {metric!r} needs whole numbers, got {value:g} in y: give the scale, or take 'mae'."
        )
    if y.min() == y.max():
        raise ValueError(f"The metric {metric!r} needs two or more values in y, got {y[0]:g} alone: give the scale.")
    low, high = (find([float(find(each)) for each in (y, *whole)]) for find in (np.min, np.max))
    if (n_values := high - low + 1) > MAX_VALUES:
        raise ValueError(f"The metric {metric!r} takes up to {MAX_VALUES} values, got {n_values:g}: take 'mae'.")
    return Scale(float(y.min()), float(y.max()))


def _mean_of_rows(values: npt.NDArray[Any]) -> Callable[[Counts], Array]:
    of_rows = values.astype(np.float64).T

    def scores(counts: Counts) -> Array:
        exact = counts.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return (exact @ of_rows) / exact.sum(axis=1, keepdims=True)

    return scores


def _qwk(y: npt.NDArray[Any], columns: npt.NDArray[Any], scale: Scale | None) -> Callable[[Counts], Array]:
    # QWK depends on neither the origin nor the unit; small whole numbers make the sums exact.
    low, step = (scale.low, scale.step) if scale else (float(y.min()), 1.0)
    numbers, rounded = np.rint((y - low) / step), np.rint((columns - low) / step).T
    return lambda counts: qwk_of_sums(star_sums(counts, numbers, rounded))


def _by_resampled_rows(
    metric: Callable[[Any, Any], float], name: str, y: npt.NDArray[Any], lines: Lines
) -> Callable[[Counts], Array]:
    columns = [(owner, draw) for owner, line in lines.items() for draw in line]

    def scores(counts: Counts) -> Array:
        found = np.empty((len(counts), len(columns)))
        of_all = bool((counts == 1).all())
        with warnings.catch_warnings():
            if not of_all:
                warnings.simplefilter("ignore", UndefinedMetricWarning)
            for row, some in enumerate(counts.astype(np.intp)):
                rows = np.repeat(np.arange(len(y)), some)
                found[row] = [value(owner, y[rows], column[rows], of_all) for owner, column in columns]
        return found

    def value(owner: Any, true: npt.NDArray[Any], predicted: npt.NDArray[Any], of_all: bool) -> float:
        try:
            return float(metric(true, predicted))
        except Exception as error:
            # Of some rows a metric may have no value, such as ROC AUC of one class.
            if isinstance(error, ValueError | ArithmeticError) and not of_all:
                return float("nan")
            message = f"The metric {name} fails on the predictions of {owner!r}: {first_line(error)}"
            raise ValueError(message) from error

    return scores
