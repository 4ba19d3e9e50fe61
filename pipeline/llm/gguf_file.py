"""What a GGUF file says about its model, read from its header in a fraction of a second."""

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.digest import files_digest
from pipeline.errors import first_line
from pipeline.llm.quantisation import quantisation

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
# The numbers of the kinds of values: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_NUMBERS = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?"))) | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# No key and no template is longer; a damaged file may say so.
_LONGEST = 1 << 24
_ENDS = "the file ends inside its header"


@dataclass(frozen=True)
class ModelFile:
    """A model in a GGUF file.

    Parameters
    ----------
    path : Path
    digest : str
        sha256 of the file.
    name, architecture : str
        As the file has them.
    n_context : int or None
        Tokens that the model was made for.
    chat_template : str or None
        None where the file has none: llama.cpp would take one of its own.
    quantisation : str or None
        As llama.cpp writes it.
    """

    path: Path
    digest: str
    name: str
    architecture: str
    n_context: int | None
    chat_template: str | None
    quantisation: str | None


def read_model_file(path: Path) -> ModelFile:
    """Return what a GGUF file says about its model; a file is read once unless it changes.

    The package `gguf` takes 8 s for the 262,144 tokens of Gemma's vocabulary, which nothing here needs.

    Raises
    ------
    ValueError
        If it is no file, no GGUF, damaged in its header, or one of several parts.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a directory: give the path of a GGUF file in it.")
    return _read(path.resolve(), files_digest(path))


@lru_cache(maxsize=8)
def _read(path: Path, digest: str) -> ModelFile:
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise ValueError(f"{path} is no GGUF file (it does not begin with GGUF): convert the model to GGUF first.")
        try:
            facts = _facts(file)
            architecture = _text(facts, "general.architecture") or ""
            found = ModelFile(
                path,
                digest,
                _text(facts, "general.name") or path.stem,
                architecture,
                _count(facts, f"{architecture}.context_length"),
                _text(facts, "tokenizer.chat_template"),
                quantisation(_count(facts, "general.file_type")),
            )
            parts = _count(facts, "split.count") or 1
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is damaged or cut off ({first_line(error)}): get the file again.") from None
    if parts > 1:
        raise ValueError(f"{path} is one of {parts} parts of a model: merge them with llama-gguf-split --merge.")
    return found


def _text(facts: dict[str, Any], key: str) -> str | None:
    value = facts.get(key)
    if not isinstance(value, str | None):
        raise ValueError(f"{key} is {value!r}, no text")
    return value


def _count(facts: dict[str, Any], key: str) -> int | None:
    value = facts.get(key)
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(f"{key} is {value!r}, no whole number")
    return value


def _facts(file: BinaryIO) -> dict[str, Any]:
    """Return the values in a header by their keys; long lists are passed over."""
    version, _, n_values = _unpack(file, "IQQ")
    if version not in _VERSIONS:
        raise ValueError(f"version {version}, not 2 or 3, in its header")
    facts = {}
    for _ in range(n_values):
        key = _string(file)
        (kind,) = _unpack(file, "I")
        if kind == _ARRAY:
            _pass_over(file)
        else:
            facts[key] = _string(file) if kind == _STRING else _unpack(file, _number(kind))[0]
    return facts


def _number(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"a value of the unknown kind {kind} in its header")
    return _NUMBERS[kind]


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", _bytes(file, struct.calcsize(f"<{layout}")))


def _bytes(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise ValueError(_ENDS)
    return found


def _string(file: BinaryIO) -> str:
    (size,) = _unpack(file, "Q")
    if size > _LONGEST:
        raise ValueError(f"a text of {size} bytes in its header")
    return _bytes(file, size).decode()


def _pass_over(file: BinaryIO) -> None:
    """Skip an array, of arrays too."""
    kind, n = _unpack(file, "IQ")
    if kind == _STRING:
        for _ in range(n):
            _skip(file, _unpack(file, "Q")[0])
    elif kind == _ARRAY:
        for _ in range(n):
            _pass_over(file)
    else:
        _skip(file, n * struct.calcsize(_number(kind)))


def _skip(file: BinaryIO, size: int) -> None:
    # A seek goes beyond the end of a file without a word.
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError(_ENDS)
    file.seek(size, os.SEEK_CUR)
