"""Finished shards on disk, so that a run that was killed goes on where it stood."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.digest import code_digest, value_digest
from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import Shard, TokenBatch
from pipeline.encoder.layers import has_transformer, transformer_of
from pipeline.encoder.pooling import TokenPooling
from pipeline.files import atomic_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encoder_key(encoder: "SentenceTransformer", backend: Backend) -> str:
    """Return the sha256 of all that decides on token states: encoder, backend and code."""
    return value_digest(_encoder_digest(encoder), backend.digest(), code_digest("pipeline.encoder.pooled"))


def read_shard(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the named arrays in a file, none where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError):
        return {}


def write_shard(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write named arrays, atomically."""
    from safetensors.numpy import save_file

    with atomic_path(path) as temporary:
        save_file(arrays, temporary)


class PooledVectors:
    """Takes batches, pools them, and keeps finished shards, named by the sha256 of all that decides on their vectors.

    Parameters
    ----------
    pooling : TokenPooling
        How token states become one vector.
    array : ndarray of shape (n_texts, n_dimensions), float32
        To be filled.
    cache : Path or None
        Directory of the shards, which several encoders and poolings share; without one nothing is kept.
    key : str
        From `encoder_key`.
    """

    def __init__(self, pooling: TokenPooling, array: npt.NDArray[np.float32], cache: Path | None, key: str):
        self.reads, self.array, self.cache = pooling, array, cache
        self.key = value_digest(key, pooling.digest()) if cache else ""

    def restore(self, shard: Shard) -> bool:
        """Fill the rows of a shard that is on disk; return whether there is one."""
        if self.cache is None:
            return False
        vectors = read_shard(self._path(shard)).get("vectors")
        if vectors is None or (vectors.shape, vectors.dtype) != (self.array[shard.rows].shape, self.array.dtype):
            return False
        self.array[shard.rows] = vectors
        return True

    def add(self, batch: TokenBatch) -> None:
        """Fill the rows of a batch."""
        self.array[batch.rows] = self.reads.pool(batch).float().cpu().numpy()

    def end_shard(self, shard: Shard) -> None:
        """Keep the vectors of a shard, all of whose batches were added."""
        if self.cache is not None:
            write_shard(self._path(shard), {"vectors": self.array[shard.rows]})

    def _path(self, shard: Shard) -> Path:
        assert self.cache is not None  # noqa: S101 - for mypy
        query_set = self.reads.query_set
        queries = None if query_set is None else [int(query_set[row]) for row in shard.rows]
        name = value_digest(self.key, shard.texts, queries)
        return self.cache / name[:2] / f"{name}.safetensors"


def _encoder_digest(encoder: "SentenceTransformer") -> str:
    """Return the sha256 of weights, modules, configuration, tokenizer and maximum length."""
    import torch

    weights = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    config = transformer_of(encoder).config.to_dict() if has_transformer(encoder) else None
    modules = [(type(each).__name__, getattr(each, "get_config_dict", each.__repr__)()) for each in encoder.children()]
    return value_digest(weights.hexdigest(), modules, config, encoder.max_seq_length, _tokenizer(encoder.tokenizer))


def _tokenizer(tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return tokenizer.get_vocab()
    # How it cuts and pads depends on the call before.
    return {name: part for name, part in json.loads(backend.to_str()).items() if name not in ("truncation", "padding")}
