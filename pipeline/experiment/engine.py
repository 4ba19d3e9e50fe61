"""Where work runs: in processes of this machine, or on a Ray cluster. The one place that knows which of them it is."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.encoder.pooling import TokenPooling
from pipeline.errors import PipelineError, needs_extra
from pipeline.experiment import workers
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.features import encoded
from pipeline.features.encoded import EncoderTransformer

Engine = Literal["processes", "ray"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# So many texts are done before a cluster has begun.
_FEW = 2000
_JOINED_AT_EASE = 500_000

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


def transform(transformer: Any, X: Any) -> tuple[npt.NDArray[Any], float]:
    """Return what a fitted transformer makes of texts or token states, and the seconds that it takes on one core.

    Under Ray many texts are cut into blocks.
    """
    if on_ray() and isinstance(X, list) and len(X) > _FEW:
        from pipeline.experiment import ray_blocks

        return ray_blocks.transform(transformer, X)
    started = time.perf_counter()
    return np.asarray(transformer.transform(X)), time.perf_counter() - started


def find_near_identical(texts: list[str], threshold: float) -> npt.NDArray[np.int32]:
    """Return `near_identical_groups`; under Ray, of more texts than one machine joins at ease, by MinHash first."""
    if on_ray() and len(texts) > _JOINED_AT_EASE:
        from pipeline.experiment.near_identical_minhash import near_identical_groups_by_minhash

        return near_identical_groups_by_minhash(texts, threshold)
    return near_identical_groups(texts, threshold)


def encode_together(
    transformers: Mapping[str, EncoderTransformer],
    poolings: Mapping[str, TokenPooling],
    texts: list[str],
    cache: Path,
    records: Mapping[tuple[Any, ...], Mapping[int, Path]],
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what `pipeline.features.encoded.encode_together` does; under Ray the encoders run on the cluster."""
    if on_ray():
        from pipeline.experiment import ray_blocks

        ray_blocks.fill_shards(transformers, poolings, texts, cache, records)
    return encoded.encode_together(transformers, poolings, texts, cache, records)
