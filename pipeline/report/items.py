"""The strongest items of the best T-method, in plain words."""

from typing import Any

import pandas as pd

from pipeline.experiment.line import Line
from pipeline.report.bars import bar_lists
from pipeline.report.item_names import item_in_words
from pipeline.report.results import Results, lines_of, of_line


def best_items(results: Results) -> tuple[Line, pd.DataFrame] | None:
    """Return the best T-method that has S/N ratios, and its items sorted by them; None where there is none.

    Returns
    -------
    (Line, DataFrame with the columns of `Results.items`)
        Items that carry nothing are left out; a name always starts with its feature.
    """
    t_methods = results.metrics[results.metrics["model"].isin(results.items["model"].unique())]
    if t_methods.empty:
        return None
    line = lines_of(t_methods)[0]
    items = of_line(results.items, line).sort_values("eta", ascending=False, kind="stable")
    items = items.assign(item=_with_feature(results, line, items["item"]))
    return line, items[items["eta"] > 0]


def strongest_items(results: Results, n: int) -> dict[str, Any] | None:
    """Return the items with the largest S/N ratios of the best T-method, by the sign of their sensitivity."""
    found = best_items(results)
    if found is None or found[1].empty:
        return None
    line, items = found[0], found[1].head(n)
    n_columns = _columns_by_feature(results, line)
    names = [item_in_words(item, n_columns[item.partition(": ")[0]]) for item in items["item"]]
    items = items.assign(name=names, value=items["sn_db"])
    rises = items["beta"] > 0
    tables = {("Grow with more stars", True): items[rises], ("Grow with fewer stars", False): items[~rises]}
    lists = bar_lists({title: table[["name", "value"]] for title, table in tables.items()})
    return {"line": f"{line.model} on {line.features}", "lists": [each for each in lists if each.bars]}


def _with_feature(results: Results, line: Line, names: "pd.Series[str]") -> "pd.Series[str]":
    """Return the names of items, each behind the name of its feature."""
    parts = results.lines[line]["parts"] or []
    return f"{parts[0]}: " + names if len(parts) == 1 else names


def _columns_by_feature(results: Results, line: Line) -> "pd.Series[int]":
    """Return how many columns each feature has: the line itself may have selected some."""
    of_all = results.items.loc[results.items["features"] == line.features, "item"].drop_duplicates()
    return _with_feature(results, line, of_all).str.partition(": ")[0].value_counts()
