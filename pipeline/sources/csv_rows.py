"""Rows of CSV files: any usual separator, spaces after it, quotes that are never closed."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.sources.formats import open_text
from pipeline.sources.row import Row

_SEPARATORS = ",;\t|"
_FIRST_LINES = 1000
_NOT_UTF8 = "unreadable line: not UTF-8: name the encoding by ENCODING= (--encoding)"


class Dialect:
    """How the rows of a CSV file are written, as its first lines tell.

    Attributes
    ----------
    columns : list of str
        Names in the header.
    options : dict
        For `csv.reader`.
    n_before : int
        Lines before the header: empty ones, or a spreadsheet's ``sep=;``.
    """

    def __init__(self, path: Path, encoding: str | None):
        with open_text(path, encoding) as file:
            lines = list(islice(file, _FIRST_LINES))
        # Excel says there how it separates.
        told = re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE) if lines else None
        self.n_before = 1 if told else 0
        while self.n_before < len(lines) and not lines[self.n_before].strip():
            self.n_before += 1
        header = "".join(lines[self.n_before : self.n_before + 1])
        separator = told[1] if told else max(_SEPARATORS, key=lambda each: len(_fields(header, each)))
        self.columns = [name.strip() for name in _fields(header, separator)]
        if not "".join(self.columns):
            raise PipelineError(f"{path} has no header line: expected column names such as text,stars")
        # Inside of a quoted field a quote is doubled: a single one after spaces opens a field.
        spaced = re.compile(rf"{re.escape(separator)} +\"(?!\")")
        self.options: Any = {
            "delimiter": separator,
            "strict": True,
            "skipinitialspace": any(map(spaced.search, lines)),
        }


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []


def csv_rows(path: Path, encoding: str | None) -> Iterator[Row]:
    """Yield the rows of a CSV file; a row that cannot be read does not take the following ones with it.

    Raises
    ------
    PipelineError
        If there is no header.
    """
    csv.field_size_limit(2**31 - 1)
    dialect = Dialect(path, encoding)
    with open_text(path, encoding) as file:
        numbered = enumerate(file, 1)
        for _ in range(dialect.n_before):
            next(numbered)
        again: deque[tuple[int, str]] = deque()
        record: list[tuple[int, str]] = []

        def feed() -> Iterator[str]:
            while line := again.popleft() if again else next(numbered, None):
                record.append(line)
                yield line[1]

        reader = csv.reader(feed(), **dialect.options)
        next(reader)
        while True:
            record.clear()
            try:
                fields = next(reader)
                problem = _problem(fields, dialect.columns)
            except StopIteration:
                return
            except csv.Error as error:
                fields, problem = [], str(error)
            if not (fields or problem) or not "".join(text for _, text in record).strip():
                continue
            number, line = record[0]
            line = line.rstrip("\r\n")
            if problem:
                # A quote that is never closed swallows the lines behind it: they are read again, without the first.
                again.extendleft(reversed(record[1:]))
                reader = csv.reader(feed(), **dialect.options)
                fields = _unquoted(line, dialect)
            if fields and not _problem(fields, dialect.columns):
                yield _row(number, fields, dialect.columns)
            else:
                raw = line.encode(errors="replace").decode()
                yield Row(number, {}, f"unreadable line: {problem}", raw)


def _problem(fields: list[str], columns: list[str]) -> str | None:
    return f"{len(fields)} fields, expected {len(columns)}" if len(fields) != len(columns) else None


def _unquoted(line: str, dialect: Dialect) -> list[str]:
    """Return the fields of a line whose quotes are text; only tabs, which texts do not hold, tell them apart."""
    return line.split("\t") if dialect.options["delimiter"] == "\t" else []


def _row(number: int, fields: list[str], columns: list[str]) -> Row:
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return Row(number, {}, _NOT_UTF8)
    return Row(number, {name: field or None for name, field in zip(columns, fields, strict=True)})
