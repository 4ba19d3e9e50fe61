"""What a result was made from, as sha256: files, values, code."""

import hashlib
import json
from pathlib import Path
from typing import Any


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def value_digest(*values: Any) -> str:
    """Return the sha256 of JSON-able values, in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def code_digest(*parts: str) -> str:
    """Return the sha256 of modules and subpackages of `pipeline`, so that results follow the code."""
    root = Path(__file__).parent
    files = sorted(
        path for part in parts for path in (root.glob(part) if part.endswith(".py") else (root / part).rglob("*.py"))
    )
    return value_digest([(path.relative_to(root).as_posix(), file_digest(path)) for path in files])
