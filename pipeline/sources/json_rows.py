"""Rows of JSON files: lines, an array, objects over several lines, and the tables that pandas writes."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from pipeline.errors import PipelineError, first_line
from pipeline.sources.formats import open_text
from pipeline.sources.row import Row

_BLOCK = 1 << 20
# An object that is longer than this is no review.
_LONGEST = 1 << 28


def json_rows(path: Path, encoding: str | None) -> Iterator[Row]:
    """Yield the rows of a JSON file, whichever of the shapes it has.

    Lines and arrays are read piece by piece; a table by columns, as pandas writes it, is read as a whole.

    Raises
    ------
    PipelineError
        If the file is a single value that is no table, or breaks off.
    """
    with open_text(path, encoding, newline="\n") as file:
        by_line = _is_by_line(file)
    with open_text(path, encoding, newline="\n") as file:
        yield from _line_rows(file) if by_line else _document_rows(file, path)


def _is_by_line(file: TextIO) -> bool:
    """Tell whether every line is one value, as far as the first lines tell; a single line is a document."""
    head = file.read(_BLOCK)
    # The last line may be cut off; an array on one line is not read as a whole.
    lines = [line.strip() for line in head.split("\n")[: -1 if len(head) == _BLOCK else None] if line.strip()]
    lines = lines or [head.strip()]
    if len(lines) < 2:
        return not lines[0].startswith(("[", "{"))
    if lines[0].startswith("["):
        # The last element of an array with one element a line has no comma, and looks like a line.
        return isinstance(_value(lines[0]), list)
    return not lines[0].startswith("{") or any(isinstance(_value(line), dict) for line in lines)


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _line_rows(file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raw = line.encode(errors="surrogateescape").decode(errors="replace").strip()
            yield Row(number, {}, f"unreadable line: {first_line(error)}", raw)
            continue
        yield _object_row(number, value)


def _object_row(number: int, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(number, value)
    return Row(number, {}, f"unreadable line: a {type(value).__name__}, expected a JSON object")


def _document_rows(file: TextIO, path: Path) -> Iterator[Row]:
    values = _values(file, path)
    first_two = list(islice(values, 2))
    if len(first_two) == 1 and isinstance(first_two[0][1], dict) and not first_two[0][0]:
        yield from _table_rows(first_two[0][1], path)
        return
    for number, (in_array, value) in enumerate(chain(first_two, values), 1):
        if in_array and isinstance(value, list):
            raise PipelineError(f"{path} is an array of lists, which name no columns: expected an array of objects")
        yield _object_row(number, value)


def _values(file: TextIO, path: Path) -> Iterator[tuple[bool, Any]]:
    """Yield the elements of an array, or values that follow one another; with whether they stand in an array."""
    decoder, buffer, size, n = json.JSONDecoder(), file.read(_BLOCK).lstrip("\ufeff \t\r\n"), _BLOCK, 0
    in_array = buffer.startswith("[")
    position = int(in_array)
    while True:
        while position < len(buffer) and (buffer[position].isspace() or buffer[position] == ","):
            position += 1
        if in_array and buffer.startswith("]", position):
            return
        try:
            value, end = decoder.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:
            block = file.read(size)
            if block and len(buffer) - position <= _LONGEST:
                buffer, position, size = buffer[position:] + block, 0, min(2 * size, _LONGEST)
                continue
            if position >= len(buffer) and not in_array:
                return
            reason = "it breaks off" if position >= len(buffer) else first_line(error)
            raise PipelineError(f"{path} cannot be read as JSON after {n} rows ({reason}): is it damaged?") from None
        n, position, size = n + 1, end, _BLOCK
        yield in_array, value


def _table_rows(table: dict[str, Any], path: Path) -> Iterator[Row]:
    """Yield the rows of one object: a review, a list of them under a name, or what ``DataFrame.to_json`` writes."""
    rows: list[Any]
    lists = dict(_lists_of_objects(table))
    if isinstance(table.get("columns"), list) and isinstance(table.get("data"), list):
        rows = [dict(zip(table["columns"], values, strict=False)) for values in table["data"]]
    elif isinstance(table.get("data"), list) and "schema" in table:
        rows = table["data"]
    elif len(lists) == 1:
        (rows,) = lists.values()
    elif lists:
        raise PipelineError(f"{path} has several lists of rows ({', '.join(lists)}): keep one of them")
    elif table and all(isinstance(value, list) for value in table.values()):
        rows = _by_columns({name: dict(enumerate(values)) for name, values in table.items()}, path)
    elif table and all(isinstance(value, dict) for value in table.values()):
        inner = [set(value) for value in table.values()]
        # Columns share their labels of rows, and rows their names of columns: fewer names than labels.
        names = set().union(*inner)
        of_rows = (any(not _is_label(name) for name in names) and all(map(_is_label, table))) or len(names) < len(table)
        rows = list(table.values()) if of_rows else _by_columns(table, path)
    elif any(isinstance(value, str) for value in table.values()):
        rows = [table]
    else:
        raise PipelineError(f"{path} is one JSON value without rows: expected lines, an array or a table of reviews")
    yield from (_object_row(number, row) for number, row in enumerate(rows, 1))


def _lists_of_objects(table: dict[str, Any], within: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Yield the lists whose first element is an object, at any depth, by their names."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _lists_of_objects(value, f"{within}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{within}{name}", value


def _is_label(name: str) -> bool:
    return name.lstrip("-").isdigit()


def _by_columns(table: dict[str, dict[Any, Any]], path: Path) -> list[dict[str, Any]]:
    labels = list(dict.fromkeys(label for values in table.values() for label in values))
    if uneven := [name for name, values in table.items() if len(values) != len(labels)]:
        raise PipelineError(f"{path} has columns of different lengths: {uneven[0]!r} lacks values")
    return [{name: values[label] for name, values in table.items()} for label in labels]
