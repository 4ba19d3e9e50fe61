"""Files as bytes and as text: which format a name means, compression, encodings, and what an unreadable file is."""

import codecs
import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, first_line

logger = logging.getLogger(__name__)

FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_COMPRESSED = (".gz", ".zst")
_EXPECTED = f"expected one of {', '.join(FORMATS)}, each also with {' or '.join(_COMPRESSED)}"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# What files begin with that are not what their name says.
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not downloaded",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML document",
}
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_START, _HEAD = 64, 1 << 20
_NAME_IT = "name the encoding by ENCODING= (--encoding)"
_COMMON = ["cp1252", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"]
_LATIN = ("cp1250", "cp1254")
# A few damaged lines are rejected one by one; from here on it is the encoding.
_FEW = 3


def files_of(path: Path) -> list[Path]:
    """Return the files that a path names: itself, or the shards in a directory, in the order of their names.

    Raises
    ------
    PipelineError
        If there is no such file, or it is empty or has another suffix than the known ones.
    """
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(path)))
        # Writers of shards leave empty ones.
        files = [file for file in inside if format_of(file) and file.stat().st_size]
        if left_out := [file.name for file in inside if not format_of(file)]:
            logger.warning("%s: not read, for their suffix: %s", path, ", ".join(left_out))
        if not files:
            found = f"found: {', '.join(file.name for file in inside[:5])}" if inside else "it is empty"
            raise PipelineError(f"{path} is a directory without a file of reviews ({found}): {_EXPECTED}")
        return files
    if not path.exists():
        raise PipelineError(f"{path} does not exist: check FILE=, TRAIN= and TEST=")
    if path.stat().st_size == 0:
        raise PipelineError(f"{path} is empty (0 bytes): name a file that holds texts")
    if not format_of(path):
        seen = f", and it is {kind}" if (kind := _kind(path)) else ""
        if path.suffix.lower() in _COMPRESSED:
            seen = ", and none before it that names the format, as in reviews.csv.gz"
        raise PipelineError(f"{path} has the suffix {path.suffix!r}{seen}: {_EXPECTED}")
    return [path]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def format_of(path: Path) -> str | None:
    """Return "parquet", "csv" or "json" by the suffix before that of a compression, or None."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def dataset_name(path: Path) -> str:
    """Return what a data set is called after its file: no suffix, and nothing that a path or a tag does not take.

    Examples
    --------
    >>> dataset_name(Path("reviews/may 2026.json.gz"))
    'may_2026'
    """
    path = path if path.name else path.resolve()
    name = path.name.removesuffix(path.suffix) if path.suffix.lower() in _COMPRESSED else path.name
    return re.sub(r"[^\w.+-]", "_", Path(name).stem)


def _kind(path: Path) -> str | None:
    """Return what the first bytes of a file say that it is, where they say something."""
    with path.open("rb") as file:
        return _kind_of(file.read(_START))


def _kind_of(head: bytes) -> str | None:
    return next((kind for start, kind in _SIGNATURES.items() if head[:_START].lower().startswith(start.lower())), None)


@contextmanager
def reading_file(path: Path, expected: str) -> Iterator[None]:
    """Name a file that the block cannot read, with the error, the format that was expected, and the likely one.

    Raises
    ------
    PipelineError
        In one line.
    """
    import pyarrow

    try:
        yield
    except PipelineError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, pyarrow.ArrowException) as error:
        if isinstance(error, UnicodeDecodeError) and expected != "Parquet":
            bad = error.object[error.start : error.start + 1].hex()
            raise PipelineError(f"{path} is in another encoding, where the byte {bad} is none: {_NAME_IT}") from None
        kind = _kind(path) or ("a text" if expected == "Parquet" and _is_text(path) else None)
        what = f"it is {kind}" if kind and expected not in kind else "is it damaged?"
        raise PipelineError(f"{path} cannot be read as {expected} ({first_line(error)}): {what}") from None


def open_bytes(path: Path) -> Any:
    """Open a file for reading, decompressed where its content is gzip or Zstandard, whatever its name."""
    import pyarrow

    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(_GZIP):
        return gzip.open(path)
    if head == _ZSTD:
        return pyarrow.input_stream(str(path), compression="zstd")
    return path.open("rb")


def open_text(path: Path, encoding: str | None, newline: str = "") -> io.TextIOWrapper:
    """Open a file as text.

    Parameters
    ----------
    path : Path
    encoding : str or None
        Where there is no byte order mark; None: UTF-8, where bytes that are none stand as half surrogates.
    newline : str

    Raises
    ------
    PipelineError
        If the encoding is unknown, or if most of the lines beyond ASCII are not UTF-8.
    """
    head = _head(path)
    marked = next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)
    if not (marked or encoding):
        _check_utf8(path, head)
    used = marked or encoding or "utf-8"
    errors = "surrogateescape" if used.lower().replace("_", "-").startswith("utf-8") else "strict"
    try:
        return io.TextIOWrapper(open_bytes(path), used, errors=errors, newline=newline)
    except LookupError:
        raise PipelineError(
            f"{encoding!r} is no encoding of texts that Python knows: use one such as cp1252, cp932 or gb18030"
        ) from None


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_START)
    return 0 not in head and _is_utf8(head)


def _head(path: Path) -> bytes:
    with open_bytes(path) as file:
        return bytes(file.read(_HEAD))


def _check_utf8(path: Path, head: bytes) -> None:
    """Stop at another encoding than UTF-8, which is then the rule among the lines beyond ASCII."""
    if kind := _kind_of(head):
        raise PipelineError(f"{path} is {kind}: expected text, in CSV or JSON")
    # In UTF-16 every other byte of Latin letters is zero.
    if head.count(0) > len(head) / 4:
        raise PipelineError(f"{path} looks like UTF-16 without a byte order mark: {_NAME_IT}, such as utf-16-le")
    # The last line may be cut off in the middle of a character.
    lines = head.splitlines()[: -1 if len(head) == _HEAD else None]
    beyond = [line for line in lines if not line.isascii()]
    wrong = sum(not _is_utf8(line) for line in beyond)
    if wrong >= _FEW and wrong > len(beyond) / 2:
        from charset_normalizer import from_bytes

        best = from_bytes(b"\n".join(beyond), cp_isolation=_COMMON).best()
        # For a few Western letters the other Latin code pages fit as well.
        named = "cp1252" if best and best.encoding in _LATIN else best and best.encoding
        guess = f", {named} perhaps" if named else ""
        raise PipelineError(f"{path} is not in UTF-8: {_NAME_IT}{guess}")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
