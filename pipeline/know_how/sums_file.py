"""A file of sums: named arrays, and a header in JSON; what is damaged is never read as something else."""

import hashlib
import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import first_line
from pipeline.files import atomic_path

FileArrays = dict[str, npt.NDArray[Any]]

_FORMAT = 1
# One entry alone keeps its place: equal contents make equal files.
_HEADER = "know_how"
_TYPES = {"F64", "U8"}


def write_sums(path: str | PathLike[str], arrays: FileArrays, header: dict[str, Any]) -> None:
    """Write a safetensors file, atomically.

    Parameters
    ----------
    path : path-like
    arrays : dict of str to ndarray
        Bytes (uint8) and numbers, which become float64.
    header : dict
        What JSON can hold.
    """
    kept = {name: _as_kept(array) for name, array in arrays.items()}
    header = {"format": _FORMAT, **header}
    header["sha256"] = _digest(kept, header)
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(save(kept, {_HEADER: json.dumps(header, sort_keys=True)}))


def read_sums(path: str | PathLike[str]) -> tuple[dict[str, Any], FileArrays]:
    """Return the header and the arrays of a file.

    Raises
    ------
    ValueError
        In one line, if the file is missing, damaged, no such file, or of another format.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path} is {'a directory' if Path(path).is_dir() else 'missing'}: give a file of know-how.")
    try:
        with safe_open(path, framework="np") as file:
            written = (file.metadata() or {}).get(_HEADER)
            if written is None:
                raise ValueError("it holds other arrays")
            header = json.loads(written)
            if not isinstance(header, dict):
                raise ValueError("its header is no object")
            if header.get("format") != _FORMAT:
                raise ValueError(f"its format is {header.get('format')!r:.20}, this version reads {_FORMAT}")
            names = list(file.keys())
            if other := next((name for name in names if file.get_slice(name).get_dtype() not in _TYPES), None):
                raise ValueError(f"{other!r:.80} holds neither float64 nor bytes")
            arrays = {name: file.get_tensor(name) for name in names}
        if header.pop("sha256", None) != _digest(arrays, header):
            raise ValueError("it is damaged: its sha256 is another one")
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as know-how ({first_line(error)}): get or make it anew.") from None
    return header, arrays


def _as_kept(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.array(array, dtype="|u1" if array.dtype == np.uint8 else "<f8", order="C")


def _digest(arrays: FileArrays, header: dict[str, Any]) -> str:
    """Return the sha256 of all that a file holds."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
