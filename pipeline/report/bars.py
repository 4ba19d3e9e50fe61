"""Lists of names with bars of their S/N ratios."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd


class Bar(NamedTuple):
    """A name with its bar.

    Attributes
    ----------
    name : str
    value : float
        S/N ratio in dB.
    width : float
        In percent of the longest bar.
    cells : list of str
        What stands beside the bar.
    """

    name: str
    value: float
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
    bars : list of Bar
    """

    title: str
    rises: bool
    columns: list[str]
    bars: list[Bar]


def bar_lists(tables: Mapping[tuple[str, bool], pd.DataFrame]) -> list[BarList]:
    """Return lists whose bars share one scale: a bar is as long as the S/N ratio before its logarithm.

    In dB most S/N ratios of words are below 0, and a bar from 0 dB would be the longer the weaker the word is.

    Parameters
    ----------
    tables : mapping of (title, rises) to DataFrame
        Columns name and value, in dB, then what stands beside the bars.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["good", "fine"], "value": [-10.0, -20.0], "reviews": ["12", "9"]})
    >>> [(bar.name, bar.width, bar.cells) for bar in bar_lists({("Up", True): table})[0].bars]
    [('good', 100.0, ['12']), ('fine', 10.0, ['9'])]
    """
    most = max((value for table in tables.values() for value in table["value"].tolist()), default=0.0)
    lists = []
    for (title, rises), table in tables.items():
        bars = [
            Bar(name, value, 100 * 10 ** ((value - most) / 10), [str(cell) for cell in cells])
            for name, value, *cells in table.itertuples(index=False)
        ]
        lists.append(BarList(title, rises, table.columns[2:].tolist(), bars))
    return lists
