"""Lists of names with bars from 0."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd


class Bar(NamedTuple):
    """A name with its bar.

    Attributes
    ----------
    name : str
    value : float
    start, width : float
        In percent of the width that all bars share.
    cells : list of str
        What stands beside the bar.
    """

    name: str
    value: float
    start: float
    width: float
    cells: list[str]


class BarList(NamedTuple):
    """Bars on one scale.

    Attributes
    ----------
    title : str
    rises : bool
        Which of two colours and marks the bars have.
    columns : list of str
        What stands beside the bars.
    zero : float
        Where 0 is, in percent.
    bars : list of Bar
    """

    title: str
    rises: bool
    columns: list[str]
    zero: float
    bars: list[Bar]


def bar_lists(tables: Mapping[tuple[str, bool], pd.DataFrame]) -> list[BarList]:
    """Return lists whose bars share one scale, which has 0 on it.

    Parameters
    ----------
    tables : mapping of (title, rises) to DataFrame
        Columns name and value, then what stands beside the bars.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["good"], "value": [-8.0], "reviews": ["12"]})
    >>> (good,) = bar_lists({("Up", True): table})[0].bars
    >>> good.start, good.width, good.cells
    (0.0, 100.0, ['12'])
    """
    values = [value for table in tables.values() for value in table["value"].tolist()]
    low, high = min([0.0, *values]), max([0.0, *values])
    per_unit = 100 / ((high - low) or 1)
    lists = []
    for (title, rises), table in tables.items():
        bars = [
            Bar(name, value, (min(value, 0) - low) * per_unit, abs(value) * per_unit, [str(cell) for cell in cells])
            for name, value, *cells in table.itertuples(index=False)
        ]
        lists.append(BarList(title, rises, table.columns[2:].tolist(), -low * per_unit, bars))
    return lists
