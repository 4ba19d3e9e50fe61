"""Encoders as actors of Ray Data, one a GPU: they fill the cache of shards from every node."""

import copy
import logging
import pickle
import socket
from collections.abc import Iterable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data

from pipeline.encoder import load_encoder
from pipeline.encoder.pooling import TokenPooling
from pipeline.encoder.shards import encoder_key
from pipeline.errors import PipelineError
from pipeline.experiment.ray_tasks import join_cluster
from pipeline.features.encoded import EncoderTransformer, encode_together, encoder_of
from pipeline.progress import progress_bar

# A finished file of the encoder holds so many texts, see `pipeline.encoder.encode`: a block is some such files.
_TEXTS_OF_A_SHARD = 1024
_BLOCKS_PER_ACTOR = 4
_MOST_SHARDS = 16

_Encoder = tuple[Any, ...]  # from `encoder_of`


def fill_shards(
    transformers: Mapping[str, EncoderTransformer],
    poolings: Mapping[str, TokenPooling],
    texts: list[str],
    cache: Path,
    records: Mapping[_Encoder, Mapping[int, Path]],
) -> None:
    """Encode texts on the cluster, so that `encode_together` with the same arguments finds all of its shards done.

    There is an actor for each GPU, or for each node where there is none. What another one has finished is not encoded
    again, whether it ended well or was killed.

    Parameters
    ----------
    transformers, poolings, texts, cache, records
        As in `encode_together`. The directories have to be seen from every node.

    Raises
    ------
    PipelineError
        If a node has another encoder, or other packages.
    """
    if not transformers and not records:
        return
    join_cluster()
    # The encoder reads a text once, and cuts what is left into shards.
    unique = list(dict.fromkeys(texts))
    gpus, cores = _n_gpus(), _cores_of_nodes()
    n_actors = gpus or len(cores)
    n_shards = -(-len(unique) // _TEXTS_OF_A_SHARD)
    size = _TEXTS_OF_A_SHARD * min(_MOST_SHARDS, max(1, n_shards // (_BLOCKS_PER_ACTOR * n_actors)))
    blocks = [{"texts": unique[start : start + size]} for start in range(0, len(unique), size)]
    _be_quiet()
    done = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
        _Actor,
        fn_constructor_args=(transformers, poolings, cache, records, Path.cwd(), _keys(transformers, records)),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(n_actors, len(blocks)), max_tasks_in_flight_per_actor=2),
        num_gpus=1 if gpus else None,
        num_cpus=None if gpus else min(cores),
    )
    with progress_bar(len(unique), "encode", "review") as bar:
        for row in done.iter_rows():
            if row["error"]:
                raise pickle.loads(row["error"])  # noqa: S301 - what `_Actor` has made
            bar.update(int(row["n"]))


def pinned(transformer: EncoderTransformer) -> EncoderTransformer:
    """Return a transformer that runs by torch, if it leaves that open and the cluster has GPUs: all nodes agree."""
    join_cluster()
    is_open = transformer.backend == "auto" and transformer.precision != "int8"
    return copy.copy(transformer).set_params(backend="torch") if is_open and _n_gpus() else transformer


class _Actor:
    """Encodes blocks into the cache; its process keeps the encoder from block to block."""

    def __init__(
        self,
        transformers: Mapping[str, EncoderTransformer],
        poolings: Mapping[str, TokenPooling],
        cache: Path,
        records: Mapping[_Encoder, Mapping[int, Path]],
        root: Path,
        keys: Mapping[_Encoder, str],
    ):
        self.transformers, self.records, self.root, self.keys = transformers, records, root, keys
        self.poolings, self.cache, self.checked = poolings, cache, False

    def __call__(self, batch: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
        texts, failure = list(batch["texts"][0]), b""
        try:
            with chdir(self.root):
                self._check()
                encode_together(self.transformers, self.poolings, texts, self.cache, self.records, finish=False)
        # It is raised where the work was asked for: Ray Data would wrap it in pages of its own.
        except Exception as error:
            failure = pickle.dumps(error)
        return {"n": np.array([len(texts)]), "error": [failure]}

    def _check(self) -> None:
        """Refuse an encoder whose shards nobody would find."""
        if not self.checked and _keys(self.transformers, self.records) != self.keys:
            raise PipelineError(
                f"the encoder on {socket.gethostname()} is another one than here, or runs with other packages: install "
                "the same versions, and the same model, on every node"
            )
        self.checked = True


def _keys(transformers: Mapping[str, EncoderTransformer], encoders: Iterable[_Encoder]) -> dict[_Encoder, str]:
    """Return for each encoder the sha256 of all that decides on its token states."""
    wanted = dict.fromkeys([*map(encoder_of, transformers.values()), *encoders])
    return {each: encoder_key(load_encoder(each[0], each[1]), each[2]) for each in wanted}


def _n_gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


def _cores_of_nodes() -> list[int]:
    """Return how many cores each node has that has one."""
    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [n for n in cores if n > 0]


def _be_quiet() -> None:
    """Keep Ray Data's bars and reports off the terminal, which has one bar."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
