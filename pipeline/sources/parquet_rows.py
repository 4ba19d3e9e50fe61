"""Rows of Parquet files, batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.sources.formats import open_bytes
from pipeline.sources.row import Row

_BATCH, _BUFFER = 8192, 1 << 16


def _open(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    with path.open("rb") as file:
        plain = file.read(4) == b"PAR1"
    if plain:
        # Not a whole column of a row group at a time.
        return pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
    # Its end is read first, so that what is compressed once more has to be in memory.
    with open_bytes(path) as file:
        return pyarrow.parquet.ParquetFile(pyarrow.BufferReader(file.read()))


def parquet_columns(path: Path) -> list[str]:
    """Return the names of the columns."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file with some of its columns; bytes are read as UTF-8."""
    number = 0
    with _open(path) as file:
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, {name: _decoded(value) for name, value in values.items()})


def _decoded(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
