"""A table of the report in words, for the page, the summary and MLflow alike."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.format import interval

# Makes the text of a cell from a row of a table of results.
Cell = Callable[[Any], str]


@dataclass(frozen=True)
class Table:
    """A table that is ready to be shown: the first `n_names` columns are names, the others figures.

    The page highlights the rows at the places in `sure`.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    n_names: int = 1
    sure: Collection[int] = ()

    def markdown(self, escape: Callable[[str], str]) -> str:
        """Return the table in Markdown, without its caption: names to the left, figures to the right.

        Parameters
        ----------
        escape : callable
            Makes Markdown of a cell's text, such as `escape_markdown`.

        Examples
        --------
        >>> print(Table("Top", ["model", "QWK"], [["Ta", "0.81"]]).markdown(str))
        | model | QWK |
        | --- | ---: |
        | Ta | 0.81 |
        """
        columns, *rows = ([escape(text) for text in row] for row in (self.columns, *self.rows))
        rule = ["---" if place < self.n_names else "---:" for place in range(len(columns))]
        return "\n".join(f"| {' | '.join(row)} |" for row in (columns, rule, *rows))


def cell(show: Callable[..., str], *columns: str, **options: Any) -> Cell:
    """Return what makes the text of a cell from these columns of a row.

    Examples
    --------
    >>> cell(interval, "n", "low", "high", digits=1)({"n": 0.5, "low": 0.4, "high": 0.6})
    '0.5 (0.4 to 0.6)'
    """
    return lambda row: show(*(row[column] for column in columns), **options)


LINE: Cell = "{model} on {features}".format_map
QWK = cell(interval, "qwk", "qwk_low", "qwk_high")


def long_table(caption: str, table: pd.DataFrame, cells: Mapping[str, Cell], n_names: int = 1) -> Table:
    """Return a table of results, row for row.

    Parameters
    ----------
    caption : str
    table : DataFrame
    cells : mapping of str to callable
        What makes the cells of each column, by the column's heading.
    n_names : int, default=1
        How many columns hold names.

    Examples
    --------
    >>> table = pd.DataFrame({"side": ["T"], "n_train": [10]})
    >>> long_table("Sizes", table, {"side": cell(str, "side"), "reviews": "{n_train}".format_map}).rows
    [['T', '10']]
    """
    rows = [[make(row) for make in cells.values()] for row in table.to_dict("records")]
    return Table(caption, list(cells), rows, n_names)


def wide_table(caption: str, table: pd.DataFrame, rows: str, columns: str, make: Cell) -> Table:
    """Return a table of results with a row and a column for each value of two of its columns.

    Parameters
    ----------
    caption : str
    table : DataFrame
    rows, columns : str
        Columns of `table` that say where a cell stands; their values keep their order.
    make : callable
        What makes the cells; a dash stands where `table` has no row.

    Examples
    --------
    >>> table = pd.DataFrame({"side": ["T", "T", "A"], "n_train": [10, 20, 20], "qwk": [0.1, 0.2, 0.3]})
    >>> wide_table("QWK", table, "side", "n_train", cell(str, "qwk")).rows
    [['T', '0.1', '0.2'], ['A', '–', '0.3']]
    """
    cells = {(row[rows], row[columns]): make(row) for row in table.to_dict("records")}
    names, headings = (list(dict.fromkeys(table[column])) for column in (rows, columns))
    body = [[str(name), *(cells.get((name, heading), "–") for heading in headings)] for name in names]
    return Table(caption, [rows, *map(str, headings)], body)
