"""Raw rows of a source in parts of a table, which can be read again."""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.progress import progress_bar
from pipeline.sources.columns import NO_NAMES, ColumnNames, Columns, find_columns
from pipeline.sources.csv_rows import Dialect, csv_rows
from pipeline.sources.formats import files_of, format_of, reading_file
from pipeline.sources.json_rows import json_rows
from pipeline.sources.parquet_rows import parquet_columns, parquet_rows
from pipeline.sources.row import Row
from pipeline.text import text_problem

logger = logging.getLogger(__name__)

COLUMNS = ["file", "line", "review_id", "text", "stars", "problem", "category"]
_ROWS_AT_ONCE = 8192
_FIRST_ROWS = 1000
_EXPECTED = {"parquet": "Parquet", "csv": "CSV", "json": "JSON"}
_NOT_UTF8 = "not UTF-8: name the encoding by ENCODING= (--encoding)"


class RawRows(NamedTuple):
    """Rows as they stand in a source, also the unreadable ones.

    Attributes
    ----------
    origin : str
        Name of the source.
    labels : bool
        Whether its stars are counted from 0.
    parts : callable
        Returns an iterator over DataFrames, each time from the first row on, with the columns file and line (where a
        row stands), review_id, text and stars (as text, None where there is none), problem (why a row cannot be
        read) and category.
    column : str
        Name of the column of stars.
    """

    origin: str
    labels: bool
    parts: Callable[[], Iterator[pd.DataFrame]]
    column: str = "stars"


def read_files(
    path: Path,
    wanted: ColumnNames = NO_NAMES,
    encoding: str | None = None,
    origin: str | None = None,
    with_stars: bool = True,
) -> RawRows:
    """Return the raw rows of a file, or of all files in a directory.

    Parameters
    ----------
    path : Path
        Parquet, CSV or JSON, each also compressed by gzip or Zstandard. The review file of the Yelp Open Dataset fits
        as it comes.
    wanted : ColumnNames
        Columns that the user names; the others are found by their names.
    encoding : str or None
        None: UTF-8, or what a byte order mark says.
    origin : str, optional
        What a single file is called, by default its path.
    with_stars : bool, default=True
        Whether stars are needed; else none are read.

    Raises
    ------
    PipelineError
        If the file is missing, empty, damaged as a whole, or lacks a column. What is damaged further on stops the
        reading of its parts.
    """
    files = files_of(path)
    columns: dict[Path, Columns] = {}
    for file in files:
        with reading_file(file, _EXPECTED[format_of(file) or ""]):
            if (found := _found_columns(file, encoding)) is not None:
                columns[file] = _with_later_keys(find_columns(found, wanted, str(file), with_stars), file)
    counted = {each.labels for each in columns.values()}
    if len(counted) > 1:
        raise PipelineError(f"{path} has files with stars and others with labels: name one column by STARS= (--stars)")
    known = next(iter(columns.values()), Columns("text", "stars" if with_stars else None, None, None, labels=False))

    def parts() -> Iterator[pd.DataFrame]:
        n = 0
        with progress_bar(None, f"read {path.name}", " rows") as bar:
            for file in files:
                with reading_file(file, _EXPECTED[format_of(file) or ""]):
                    for part in as_parts(_rows(file, columns.get(file, known), encoding), origin or str(file)):
                        n += len(part)
                        bar.update(len(part))
                        yield part
        if not n:
            raise PipelineError(f"{path} holds no review")

    return RawRows(origin or str(path), known.labels, parts, known.stars or "stars")


def _with_later_keys(columns: Columns, file: Path) -> Columns:
    """Return the columns with an id and a category that JSON may have in later rows only."""
    if format_of(file) != "json":
        return columns
    return columns._replace(review_id=columns.review_id or "review_id", category=columns.category or "category")


def _found_columns(file: Path, encoding: str | None) -> list[str] | None:
    """Return the names of a file's columns; None where the first rows have none."""
    kind = format_of(file)
    if kind == "parquet":
        return parquet_columns(file)
    if kind == "csv":
        return Dialect(file, encoding).columns
    keys: dict[str, None] = {}
    for row in islice(json_rows(file, encoding), _FIRST_ROWS):
        keys |= dict.fromkeys(row.values)
    return list(keys) or None


def _rows(file: Path, columns: Columns, encoding: str | None) -> Iterator[Row]:
    kind = format_of(file)
    rows = (
        parquet_rows(file, columns.names)
        if kind == "parquet"
        else csv_rows(file, encoding)
        if kind == "csv"
        else json_rows(file, encoding)
    )
    return (row._replace(values=by_role(row.values, columns)) for row in rows)


def by_role(values: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return the values of a row under text, stars, review_id and category."""
    return {role: values.get(name) for role, name in zip(columns._fields[:4], columns[:4], strict=True) if name}


def as_parts(rows: Iterable[Row], file: str) -> Iterator[pd.DataFrame]:
    """Yield rows whose values are named text, stars, review_id and category, many at a time, as tables."""
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield pd.DataFrame([_checked(row, file) for row in some], columns=COLUMNS, dtype=object)


def _checked(row: Row, file: str) -> tuple[Any, ...]:
    """Return a row's values as text, or its problem."""
    text = row.raw if row.problem else row.values.get("text")
    review_id, stars, category = (row.values.get(name) for name in ("review_id", "stars", "category"))
    plain = [_name(review_id), _plain(stars), _name(category)]
    problem = row.problem
    if text is not None and not isinstance(text, str):
        text, problem = None, f"text {text_problem(text)}"
    elif fault := next(filter(None, map(text_problem, filter(None, [text, *plain]))), None):
        fault = _NOT_UTF8 if _holds_bytes(text, *plain) else fault
        text, plain, problem = None, [None] * 3, f"unreadable line: {fault}"
    return file, row.line, plain[0], text, plain[1], problem, plain[2]


def _holds_bytes(*values: str | None) -> bool:
    """Tell whether bytes that are not UTF-8 stand in a text as half surrogates."""
    return any("\udc80" <= character <= "\udcff" for value in values for character in value or "")


def _plain(value: Any) -> str | None:
    """Return a value as text; None for what is missing or empty."""
    return None if value is None or value == "" or value != value else str(value)


def _name(value: Any) -> str | None:
    """Return a name as text; a list or an object is none."""
    return None if isinstance(value, list | dict) else _plain(value)
