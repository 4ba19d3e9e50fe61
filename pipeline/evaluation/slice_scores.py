"""Scores of predictions on slices of the rows: by category, by person, by tenths of a number."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.measured import measure
from pipeline.scale import Scale

_MIN_ROWS = 2


def scores_by_slice(
    y: npt.ArrayLike,
    predictions: Mapping[Any, npt.ArrayLike],
    slices: npt.ArrayLike,
    metric: str | Callable[[Any, Any], float] = "qwk",
    scale: Scale | None = None,
    *,
    greater_is_better: bool | None = None,
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
    metric, scale, greater_is_better, n_resamples, random_state
        As in `compare`. QWK and accuracy have the scale of all rows.

    Returns
    -------
    DataFrame with columns slice, n_rows, name, score, low, high
        In the order of the slices. Score and interval are nan where the metric is not defined: fewer than two rows, or
        QWK where all targets are one.

    Raises
    ------
    ValueError
        If `slices` has another length than `y`, or for the reasons of `compare`.

    Examples
    --------
    >>> y = [1, 2, 3, 4, 5] * 20
    >>> predictions = {"model": [1, 2, 3, 4, 4] * 10 + [3, 1, 2, 5, 3] * 10}
    >>> table = scores_by_slice(y, predictions, ["food"] * 50 + ["hotel"] * 50, metric="mae")
    >>> table[["slice", "n_rows", "score"]].round(2).to_numpy().tolist()
    [['food', 50, 0.2], ['hotel', 50, 1.4]]
    """
    options: dict[str, Any] = {"greater_is_better": greater_is_better, "random_state": random_state}
    found = measure(y, predictions, metric, scale, **options, n_resamples=2).metric.scale
    slices, y = pd.Series(np.asarray(slices) if not isinstance(slices, pd.Series) else slices.array), np.asarray(y)
    if len(slices) != len(y):
        raise ValueError(f"slices has {len(slices)} values, but y has {len(y)} rows: give a slice for each row.")
    tables = []
    for value, rows in slices.groupby(slices, observed=True, dropna=False).indices.items():
        some = {name: np.asarray(each)[..., rows] for name, each in predictions.items()}
        if len(rows) < _MIN_ROWS or (metric == "qwk" and len(set(y[rows].tolist())) == 1):
            table = pd.DataFrame({"name": list(some)}).assign(score=np.nan, low=np.nan, high=np.nan)
        else:
            table = measure(y[rows], some, metric, found, **options, n_resamples=n_resamples).scores
        table.insert(0, "n_rows", len(rows))
        table.insert(0, "slice", pd.Series([value] * len(table), dtype=object))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
