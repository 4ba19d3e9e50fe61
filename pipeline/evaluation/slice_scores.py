"""Scores of predictions on slices of the rows: by category, by person, by tenths of a number."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning

from pipeline.evaluation.inputs import as_codes, as_lines, as_target, check_order, check_whole, order_of
from pipeline.evaluation.measured import check_defined, measure
from pipeline.evaluation.row_metrics import on_scale, row_metric
from pipeline.scale import Scale


def scores_by_slice(
    y: npt.ArrayLike,
    predictions: Mapping[Any, npt.ArrayLike],
    slices: npt.ArrayLike,
    metric: str | Callable[[Any, Any], float] = "qwk",
    scale: Scale | None = None,
    *,
    greater_is_better: bool | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the score of each model on each slice of the rows, with its 95% interval.

    The intervals are not adjusted for the number of slices: of twenty slices, one interval misses by chance.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    predictions : mapping of str to array-like of shape (n_rows,) or (n_draws, n_rows)
        By name.
    slices : array-like of shape (n_rows,)
        The slice of each row. ``pandas.qcut(numbers, 4)`` makes slices of a number.
    metric, scale, greater_is_better, groups, n_resamples, random_state
        As in `compare`. QWK and accuracy have the scale of all rows.

    Returns
    -------
    DataFrame with columns slice, n_rows, name, score, low, high
        In the order of the slices. Score and interval are nan where the metric is not defined: fewer than two rows or
        groups, QWK where all targets are one, or a callable that raises ValueError, or is nan, on the slice or on most
        of its resamples.

    Raises
    ------
    ValueError
        If `slices` has another length than `y`, or for the reasons of `compare` on all rows.

    Examples
    --------
    >>> y = [1, 2, 3, 4, 5] * 20
    >>> predictions = {"model": [1, 2, 3, 4, 4] * 10 + [3, 1, 2, 5, 3] * 10}
    >>> table = scores_by_slice(y, predictions, ["food"] * 50 + ["hotel"] * 50, metric="mae")
    >>> table[["slice", "n_rows", "score"]].round(2).to_numpy().tolist()
    [['food', 50, 0.2], ['hotel', 50, 1.4]]
    """
    target = as_target(y)
    lines = as_lines(predictions, n_rows := len(target))
    codes = np.arange(n_rows) if groups is None else as_codes(groups, n_rows)
    if np.ndim(slices) != 1 or np.shape(slices)[0] != n_rows:
        shape = f"{np.shape(slices)[0]} values" if np.ndim(slices) == 1 else f"shape {np.shape(slices)}"
        raise ValueError(f"slices has {shape}, but y has {n_rows} rows: give a slice for each row.")
    check_order(order_of(y, predictions, groups=groups, slices=slices))
    check_whole(n_resamples, "n_resamples", least=2)
    check_whole(random_state, "random_state")
    found = row_metric(metric, target, lines, scale, greater_is_better)
    check_defined(found.scores(np.ones((1, n_rows), dtype=np.float32)).reshape(len(lines), -1), list(lines), found)
    target, ready, _ = on_scale(metric, target, lines, scale)
    options: dict[str, Any] = {"greater_is_better": greater_is_better, "n_resamples": n_resamples}
    of_row = pd.Series(slices.array if isinstance(slices, pd.Series) else np.asarray(slices))
    tables = []
    for value, rows in of_row.groupby(of_row, observed=True, dropna=False).indices.items():
        options |= {"groups": codes[rows], "random_state": random_state}
        for name, line in ready.items():
            table = pd.DataFrame({"score": [np.nan], "low": [np.nan], "high": [np.nan]})
            # What holds of all rows has been checked above: here the metric is not defined.
            with suppress(ValueError), warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                if metric != "qwk" or len(np.unique(target[rows])) > 1:
                    table = measure(target[rows], {name: line[:, rows]}, metric, scale, **options).scores
            table = table[["score", "low", "high"]].assign(name=pd.Series([name], dtype=object), n_rows=len(rows))
            tables.append(table.assign(slice=pd.Series([value], dtype=object)))
    return pd.concat(tables, ignore_index=True)[["slice", "n_rows", "name", "score", "low", "high"]]
