"""Blocks of texts through Ray Data: by actors that keep an encoder, one a GPU, or by tasks on one core each."""

import logging
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data

from pipeline.encoder.pooling import TokenPooling
from pipeline.experiment.fitting import one_thread
from pipeline.experiment.ray_tasks import join_cluster, n_workers
from pipeline.features.encoded import EncoderTransformer, encode_together
from pipeline.progress import progress_bar

# A finished file of the encoder holds so many texts, see `pipeline.encoder.encode`: a block is some such files.
_TEXTS_OF_A_SHARD = 1024
_BLOCKS_PER_WORKER = 4
_MOST_SHARDS = 16


def fill_shards(
    transformers: Mapping[str, EncoderTransformer],
    poolings: Mapping[str, TokenPooling],
    texts: list[str],
    cache: Path,
    records: Mapping[tuple[Any, ...], Mapping[int, Path]],
) -> None:
    """Encode texts on the cluster, so that `encode_together` with the same arguments finds all of its shards done.

    There is an actor for each GPU, or for each node where there is none. What another one has finished is not encoded
    again, whether it ended well or was killed.

    Parameters
    ----------
    transformers, poolings, texts, cache, records
        As in `encode_together`. The directories have to be seen from every node.
    """
    if not transformers and not records:
        return
    join_cluster()
    # The encoder reads a text once, and cuts what is left into shards.
    unique = list(dict.fromkeys(texts))
    gpus, cores = int(ray.cluster_resources().get("GPU", 0)), _cores_of_nodes()
    n_actors = gpus or len(cores)
    shards = -(-len(unique) // _TEXTS_OF_A_SHARD)
    size = _TEXTS_OF_A_SHARD * min(_MOST_SHARDS, max(1, shards // (_BLOCKS_PER_WORKER * n_actors)))
    encode = _Encode(dict(transformers), dict(poolings), cache, dict(records), Path.cwd())
    resources: dict[str, Any] = {"num_gpus": 1} if gpus else {"num_cpus": min(cores)}
    pool = ray.data.ActorPoolStrategy(size=min(n_actors, -(-len(unique) // size)), max_tasks_in_flight_per_actor=2)
    with progress_bar(len(unique), "encode", "review") as bar:
        for _, n in _map_blocks(encode, unique, size, compute=pool, **resources):
            bar.update(n)


def transform(transformer: Any, texts: list[str]) -> tuple[npt.NDArray[Any], float]:
    """Return what a fitted transformer makes of texts, in their order, and the sum of the seconds of all blocks."""
    size = max(1, -(-len(texts) // (_BLOCKS_PER_WORKER * n_workers())))
    blocks = dict(_map_blocks(_Transform(transformer), texts, size, num_cpus=1))
    columns, seconds = zip(*(blocks[start] for start in sorted(blocks)), strict=True)
    return np.concatenate(columns), sum(seconds)


def _cores_of_nodes() -> list[int]:
    """Return how many cores each node has that has one."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [n for n in cores if n > 0]


class _Encode:
    """Encodes a block into the cache; a process keeps its encoder from block to block."""

    def __init__(self, transformers: Any, poolings: Any, cache: Path, records: Any, root: Path):
        self.arguments = transformers, poolings, cache, records
        self.root = root

    def __call__(self, texts: list[str]) -> int:
        transformers, poolings, cache, records = self.arguments
        with chdir(self.root):
            encode_together(transformers, poolings, texts, cache, records, finish=False)
        return len(texts)


class _Transform:
    """Transforms a block, and measures how long that takes."""

    def __init__(self, transformer: Any):
        self.transformer = transformer

    def __call__(self, texts: list[str]) -> tuple[npt.NDArray[Any], float]:
        with one_thread():
            started = time.perf_counter()
            return np.asarray(self.transformer.transform(texts)), time.perf_counter() - started


def _map_blocks(
    function: Callable[[list[str]], Any], texts: list[str], size: int, **options: Any
) -> Iterator[tuple[int, Any]]:
    """Yield where each block of texts starts, and what a function makes of it, in the order in which they are done."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    items = [{"start": start, "texts": texts[start : start + size]} for start in range(0, len(texts), size)]
    blocks = ray.data.from_items(items, override_num_blocks=len(items))
    done = blocks.map_batches(_Block, fn_constructor_args=(function,), batch_size=1, **options)
    for row in done.iter_rows():
        result = pickle.loads(row["result"])  # noqa: S301 - what `_Block` has made
        if isinstance(result, Exception):
            raise result
        yield int(row["start"]), result


class _Block:
    """What Ray Data calls; an error is a result, since Ray Data would wrap it in pages of its own."""

    def __init__(self, function: Callable[[list[str]], Any]):
        self.function = function

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
        try:
            result = self.function(list(batch["texts"][0]))
        except Exception as error:
            result = error
        return {"start": batch["start"], "result": [pickle.dumps(result)]}
