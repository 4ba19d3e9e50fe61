"""One run at a time: a lock that is free again when its process ends, however that ends."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.files import write_text

logger = logging.getLogger(__name__)


@contextmanager
def alone(lock: Path, what: str, doing: str) -> Iterator[None]:
    """Hold a lock in the block; where another process holds it, say in one line which, and wait for its end.

    Parameters
    ----------
    lock : Path
        The locked file; who holds it stands beside it, in a file with the suffix `.holder`.
    what : str
        What only one process at a time may work on, for the line.
    doing : str
        What this process is about to do, for the line that another one writes.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held, holder = FileLock(lock), lock.with_suffix(".holder")
    try:
        # Long enough for the other one to write down who it is.
        held.acquire(timeout=0.5)
    except Timeout:
        logger.info("%s: waiting for %s", what, _read(holder))
        held.acquire(poll_interval=0.2)
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_text(holder, f"process {os.getpid()} on {socket.gethostname()}, which does {doing} since {since}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        held.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip()
    except OSError:
        # It has just begun, or has just come to its end.
        return "another process"
