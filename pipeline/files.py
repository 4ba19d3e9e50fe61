"""Files that are either complete or not there: write to a temporary name, then rename."""

import glob
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError, first_line

MANIFEST = "manifest.json"
# Process numbers are those of one machine, or of one container.
_HOST = re.sub(r"[^\w-]", "_", socket.gethostname())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    The temporary name is this process's alone. A process that is killed in the block leaves `path` as it was; what it
    leaves under its temporary name is deleted by the next attempt of any process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_left_over(path)
    temporary = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _delete_left_over(path: Path) -> None:
    """Delete the temporary files for `path` whose processes on this machine are no more."""
    mine = f".{path.name}.{_HOST}-"
    for left in path.parent.glob(f"{glob.escape(mine)}*.tmp"):
        process = left.name.removeprefix(mine).removesuffix(".tmp")
        if process.isdecimal() and not _is_running(int(process)):
            left.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    # On Windows the same call would end the process.
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write `table` without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `table` without its index, atomically."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


@contextmanager
def reading(path: Path, made_by: str) -> Iterator[None]:
    """Name the stage that makes a file anew, where the block finds it missing or damaged.

    Raises
    ------
    PipelineError
        In one line.
    """
    try:
        yield
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: run the {made_by} stage first") from None
    except (OSError, ValueError) as error:
        raise damaged(path, made_by, error) from None


def damaged(path: Path, made_by: str, error: Exception) -> PipelineError:
    """Return the error for a file that cannot be read."""
    return PipelineError(f"{path} cannot be read ({first_line(error)}): delete it and run the {made_by} stage again")


def read_parquet(path: Path, made_by: str) -> pd.DataFrame:
    """Read a table that an earlier stage has written.

    Raises
    ------
    PipelineError
        If it is missing or damaged; `made_by` names the stage that makes it anew.
    """
    with reading(path, made_by):
        return pd.read_parquet(path)


def read_made_from(path: Path) -> str | None:
    """Return the attribute `made_from` that a table was written with, or None where there is no such table."""
    import pyarrow.parquet

    try:
        attributes = json.loads(pyarrow.parquet.read_schema(path).metadata[b"PANDAS_ATTRS"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return attributes.get("made_from")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or an empty one where there is none to trust."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest in `directory`, or an empty one where there is none to trust."""
    return read_json(directory / MANIFEST)


def git_commit() -> str:
    """Return the commit of the working directory, with "-dirty" where files differ from it, or "unknown"."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def file_name(name: str) -> str:
    """Return a name as part of a file's name: letters, digits, + and -; whatever else becomes an underscore.

    Examples
    --------
    >>> file_name("t_metrics+text_stats / T(1)")
    't_metrics+text_stats_t_1'
    """
    return re.sub(r"[^\w+-]+", "_", name).strip("_").lower()
