"""Where work runs: in processes of this machine, or on a Ray cluster. The one place that knows which of them it is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Literal, TypeVar

from pipeline.errors import PipelineError, needs_extra
from pipeline.experiment import workers

Engine = Literal["processes", "ray"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_engine: Engine = "processes"


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Let an engine do the work in the block.

    Nothing of Ray is imported before the block says "ray", and no cluster is joined before there is work for it.

    Parameters
    ----------
    engine : {"processes", "ray"}

    Raises
    ------
    PipelineError
        If the extra `ray` is not installed.
    """
    global _engine
    if engine == "ray":
        try:
            with needs_extra("--engine ray (ENGINE=ray)", "ray"):
                for package in ("ray", "datasketch"):
                    import_module(package)
        except ImportError as error:
            raise PipelineError(str(error)) from None
    before, _engine = _engine, engine
    try:
        yield
    finally:
        _engine = before


def on_ray() -> bool:
    """Return whether Ray does the work."""
    return _engine == "ray"


def in_parallel(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Yield what a function makes of each item, in the order in which they are done.

    Parameters
    ----------
    function : callable
        Importable by its name. Under Ray it is called again where a worker or a node is lost.
    items : sequence
        Those that take longest first.

    Raises
    ------
    PipelineError
        If a worker is killed; under Ray, if that happens to one item again and again.
    """
    if on_ray():
        from pipeline.experiment import ray_tasks

        return ray_tasks.in_parallel(function, items)
    return workers.in_parallel(function, items)


def n_workers() -> int:
    """Return how many items are worked on at a time."""
    if on_ray():
        from pipeline.experiment import ray_tasks

        return ray_tasks.n_workers()
    return workers.n_cores()
