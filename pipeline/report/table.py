"""A table of the report in words, for the page and for the summary alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.format import interval


@dataclass(frozen=True)
class Table:
    """A table that is ready to be shown: the first `n_names` columns are names, the others figures."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    n_names: int = 1


def interval_cells(table: pd.DataFrame, measure: str) -> list[str]:
    """Return a measure of each row with its 95% interval, from the columns measure, measure_low and measure_high."""
    ends = (table[measure], table[f"{measure}_low"], table[f"{measure}_high"])
    return [interval(value, low, high) for value, low, high in zip(*ends, strict=True)]


def wide_table(caption: str, cells: pd.DataFrame, rows: str, columns: str, order: Sequence[Any]) -> Table:
    """Return the column `cell` of a long table as a wide one.

    Parameters
    ----------
    caption : str
    cells : DataFrame
        With a column `cell`.
    rows, columns : str
        Columns of `cells` that say where a cell stands.
    order : sequence
        Columns of the wide table; its rows come as they do in `cells`.

    Examples
    --------
    >>> cells = pd.DataFrame({"side": ["T", "T"], "n_train": [10, 20], "cell": ["0.1", "0.2"]})
    >>> wide_table("QWK", cells, "side", "n_train", [10, 20]).rows
    [['T', '0.1', '0.2']]
    """
    at = {(line[rows], line[columns]): line["cell"] for line in cells.to_dict("records")}
    return Table(
        caption,
        [rows, *map(str, order)],
        [[str(name), *(at.get((name, column), "–") for column in order)] for name in dict.fromkeys(cells[rows])],
    )
