"""Work as Ray tasks, on the cluster that RAY_ADDRESS names or on one that is started here and ends with us."""

import logging
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.workers import n_cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# How often a task is begun anew when its worker or its node is lost. Pieces are short, and what is finished is kept.
_RETRIES = 5
_SECONDS_TO_LISTEN = 20
# Nothing is reported to Ray's makers, and what its core has to say does not go through our bar.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


def join_cluster() -> None:
    """Join the cluster that RAY_ADDRESS names, or start one here with a worker for each core; once per process.

    Raises
    ------
    PipelineError
        If no cluster answers there.
    """
    if ray.is_initialized():
        return
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("RAY_ADDRESS")
    # Workers write what they say to Ray's files: the terminal has one bar and our lines.
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            _check_listens(address)
        with _silent():
            if address:
                ray.init(address, **quiet)
            else:
                ray.init("local", num_cpus=n_cores(), include_dashboard=False, **quiet)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        where = f"RAY_ADDRESS={address}" if address else "this machine"
        raise PipelineError(
            f"no Ray cluster to be had from {where} ({first_line(error)}): start one (ray start --head) and name its "
            "address, or leave out ENGINE=ray"
        ) from None


def _check_listens(address: str) -> None:
    """Fail at once where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_LISTEN).close()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep off the terminal what no logger of Python's sees: Ray's core says that it will be quiet."""
    sys.stderr.flush()
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def n_workers() -> int:
    """Return how many cores the cluster has now."""
    join_cluster()
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def in_parallel(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Yield what a function makes of each item, in the order in which they are done: a task on one core for each.

    Raises
    ------
    PipelineError
        If an item's worker is lost again and again, perhaps for lack of memory.
    """
    join_cluster()
    task: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
    pending = [task.remote(function, item, str(Path.cwd())) for item in items]
    try:
        while pending:
            (done,), pending = ray.wait(pending, num_returns=1)
            yield pickle.loads(_answer(done))  # noqa: S301 - what `_call` has made
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)


def _call(function: Callable[[_Item], Any], item: _Item, root: str) -> bytes:
    # A node's Ray may have been started in another directory.
    with chdir(root):
        result = function(item)
    # Arrays that Ray itself hands over are read-only, which not every fitted model takes.
    return pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)


def _answer(reference: Any) -> bytes:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if not isinstance(error.cause, RayError):
            # Ray's own text is a traceback with addresses of processes.
            raise error.cause from None
        raise PipelineError(
            f"a worker of Ray cannot do its work ({first_line(error.cause)}): every node needs this package, in the "
            "same version, and the files of this directory under the same path"
        ) from None
    except RayError as error:
        raise PipelineError(
            f"a worker of Ray was lost {_RETRIES + 1} times, perhaps for lack of memory ({type(error).__name__}: "
            f"{first_line(error)}): what is finished is kept; run again, with more memory for each core"
        ) from None
