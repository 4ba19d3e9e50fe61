"""What a GGUF file says about its model, read from its header in a fraction of a second."""

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.digest import files_digest
from pipeline.errors import first_line

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
# The numbers of the kinds of values: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_NUMBERS = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?"))) | {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# No key and no template is longer; a damaged file may say so.
_LONGEST = 1 << 24


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
    """

    path: Path
    digest: str
    name: str
    architecture: str
    n_context: int | None
    chat_template: str | None


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
        except (struct.error, ValueError, KeyError, OverflowError, MemoryError) as error:
            raise ValueError(
                f"{path} is damaged or cut off ({first_line(error)} in its header): get the file again."
            ) from None
    if (parts := facts.get("split.count", 0)) > 1:
        raise ValueError(f"{path} is one of {parts} parts of a model: merge them with llama-gguf-split --merge.")
    architecture = str(facts.get("general.architecture", ""))
    return ModelFile(
        path,
        digest,
        str(facts.get("general.name", path.stem)),
        architecture,
        facts.get(f"{architecture}.context_length"),
        facts.get("tokenizer.chat_template"),
    )


def _facts(file: BinaryIO) -> dict[str, Any]:
    """Return the values in a header by their keys; long lists are passed over."""
    version, _, n_values = _unpack(file, "IQQ")
    if version not in _VERSIONS:
        raise ValueError(f"version {version}, not 2 or 3,")
    facts = {}
    for _ in range(n_values):
        key = _string(file)
        (kind,) = _unpack(file, "I")
        if kind == _ARRAY:
            _pass_over(file)
        else:
            facts[key] = _string(file) if kind == _STRING else _unpack(file, _NUMBERS[kind])[0]
    return facts


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", file.read(struct.calcsize(f"<{layout}")))


def _string(file: BinaryIO) -> str:
    (size,) = _unpack(file, "Q")
    if size > _LONGEST:
        raise ValueError(f"a text of {size} bytes")
    return file.read(size).decode()


def _pass_over(file: BinaryIO) -> None:
    kind, n = _unpack(file, "IQ")
    if kind == _STRING:
        for _ in range(n):
            (size,) = _unpack(file, "Q")
            file.seek(size, os.SEEK_CUR)
    else:
        file.seek(n * struct.calcsize(_NUMBERS[kind]), os.SEEK_CUR)
