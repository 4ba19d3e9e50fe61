"""A row of a source as it stands there."""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """A row of a file as it stands there.

    Attributes
    ----------
    line : int
        Where it begins, from 1: a line of a text, or the place in a table.
    values : dict of str to object
        By column; empty where the row cannot be read.
    problem : str or None
        Why it cannot be read.
    raw : str or None
        Its text, where it cannot be read.
    """

    line: int
    values: dict[str, Any]
    problem: str | None = None
    raw: str | None = None
