"""Work on all cores, in processes that end with the one that started them."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import joblib

from pipeline.errors import PipelineError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_SECONDS_BETWEEN_LOOKS = 2.0

_kept: ProcessPoolExecutor | None = None
_n_kept = 0  # blocks of `kept` around


def in_parallel(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Yield what a function makes of each item, in the order in which they are done.

    There is a worker for each core, or as many as LOKY_MAX_CPU_COUNT says; a single one is this process itself. Unlike
    joblib's, a worker is not replaced when its memory grows, since that counts the pages of files that it reads.

    Parameters
    ----------
    function : callable
        Importable by its name.
    items : sequence
        Those that take longest first.

    Raises
    ------
    PipelineError
        If a worker is killed.
    """
    if min(n_cores(), len(items)) < 2:
        yield from map(function, items)
        return
    with kept(), _broken_is_an_error():
        pool = _pool()
        tasks = [pool.submit(function, item) for item in items]
        try:
            for done in as_completed(tasks):
                yield done.result()
        finally:
            for task in tasks:
                task.cancel()


@contextmanager
def kept() -> Iterator[None]:
    """Let all calls of `in_parallel` in the block share their workers: starting one takes seconds."""
    global _kept, _n_kept
    _n_kept += 1
    try:
        yield
    finally:
        _n_kept -= 1
        if not _n_kept and _kept is not None:
            _kept.shutdown(wait=False, cancel_futures=True)
            _kept = None


def _pool() -> ProcessPoolExecutor:
    global _kept
    if _kept is None:
        _kept = ProcessPoolExecutor(n_cores(), get_context("spawn"), _end_with_parent, (os.getpid(),))
    return _kept


@contextmanager
def _broken_is_an_error() -> Iterator[None]:
    global _kept
    try:
        yield
    except BrokenProcessPool:
        _kept = None
        raise PipelineError(
            "a worker was killed, perhaps for lack of memory: what is finished is kept; run again with fewer "
            f"workers than {n_cores()} (LOKY_MAX_CPU_COUNT=1)"
        ) from None


def n_cores() -> int:
    """Return how many workers there may be."""
    return int(joblib.cpu_count())


def _end_with_parent(parent: int) -> None:
    """End this process soon after the one that started it, even if that one was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
