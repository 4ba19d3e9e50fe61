"""The project's progress bar."""

from typing import NoReturn

from tqdm import tqdm


def progress_bar(total: int, desc: str, unit: str) -> "tqdm[NoReturn]":
    """Return a bar that shows itself only once the work has lasted two seconds."""
    return tqdm(total=total, desc=desc, unit=unit, delay=2, mininterval=1, leave=False)
