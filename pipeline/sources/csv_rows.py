"""Rows of CSV files: any usual separator, spaces after it, quotes that are never closed."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.sources.formats import open_text
from pipeline.sources.row import Row

_SEPARATORS = ",;\t|"
_HEAD = 1 << 20


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
            lines = file.readlines(_HEAD)
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
        apart = re.escape(separator)
        # Inside of a quoted field a quote is doubled: a single one after spaces, or a third one, opens a field.
        spaced = re.compile(rf'{apart} +"(?:(?!")|"")')
        # MySQL and Spark write a backslash before a quote.
        escaped, doubled = re.compile(rf'\\"(?!\s*(?:{apart}|$))'), re.compile(rf'[^{apart}]""[^{apart}]')
        has_escapes = any(map(escaped.search, lines)) and not any(map(doubled.search, lines))
        self.options: Any = {
            "delimiter": separator,
            "strict": True,
            "skipinitialspace": any(map(spaced.search, lines)),
            "escapechar": "\\" if has_escapes else None,
            "doublequote": not has_escapes,
        }
        rows = [_fields(line, separator) for line in lines[self.n_before + 1 :]]
        whole = [fields for fields in rows if len(fields) == len(self.columns)]
        self._numeric = [
            i for i in range(len(self.columns)) if sum(_is_number(row[i]) for row in whole) > len(whole) / 2
        ]

    def holds_rows(self, record: list[str]) -> bool:
        """Tell whether each of three or more lines alone has all fields, and numbers where most rows have them."""
        if len(record) < 3 or not self._numeric:
            return False
        rows = list(csv.reader(record, delimiter=self.options["delimiter"], quoting=csv.QUOTE_NONE))
        return all(len(row) == len(self.columns) and all(_is_number(row[i]) for i in self._numeric) for row in rows)


def _fields(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []


def _is_number(field: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+(?:[.,]\d+)?\s*", field) is not None


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
                if not problem and dialect.holds_rows([line for _, line in record]):
                    problem = "a quotation mark that is never closed"
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
                yield Row(number, {name: field or None for name, field in zip(dialect.columns, fields, strict=True)})
            else:
                raw = line.encode(errors="replace").decode()
                yield Row(number, {}, f"unreadable line: {problem}", raw)


def _problem(fields: list[str], columns: list[str]) -> str | None:
    return f"{len(fields)} fields, expected {len(columns)}" if len(fields) != len(columns) else None


def _unquoted(line: str, dialect: Dialect) -> list[str]:
    """Return the fields of a line whose quotes are text; only tabs, which texts do not hold, tell them apart."""
    return line.split("\t") if dialect.options["delimiter"] == "\t" else []
