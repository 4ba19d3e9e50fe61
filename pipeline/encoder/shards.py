"""Finished shards of pooled vectors on disk, so that a run that was killed goes on where it stood."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pipeline.digest import code_digest, value_digest
from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import has_transformer, transformer_of
from pipeline.encoder.pooling import TokenPooling
from pipeline.files import atomic_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_NAME = "vectors"


class ShardStore:
    """One file per shard and pooling, named by the sha256 of everything that decides on the vectors in it.

    Parameters
    ----------
    directory : Path
        Made where it is missing; several encoders and poolings share it.
    encoder : SentenceTransformer
        What encodes.
    backend : Backend
        What computes.
    poolings : sequence of TokenPooling
        Referred to by their positions.
    """

    def __init__(
        self, directory: Path, encoder: "SentenceTransformer", backend: Backend, poolings: Sequence[TokenPooling]
    ):
        self.directory = directory
        origin = made_by(encoder, backend)
        self.sets = [pooling.sets for pooling in poolings]
        self.digests = [value_digest(origin, pooling.digest()) for pooling in poolings]

    def read(self, i: int, texts: Sequence[str], shard: Sequence[int], array: npt.NDArray[np.float32]) -> bool:
        """Fill the rows of a shard and return True; or return False where they are not there or the file is damaged."""
        path = self._path(i, texts, shard)
        try:
            vectors = load_file(path)[_NAME]
        except (OSError, KeyError, ValueError, SafetensorError):
            return False
        if vectors.shape != (len(shard), array.shape[1]) or vectors.dtype != array.dtype:
            return False
        array[shard] = vectors
        return True

    def write(self, i: int, texts: Sequence[str], shard: Sequence[int], array: npt.NDArray[np.float32]) -> None:
        """Keep the rows of a finished shard."""
        with atomic_path(self._path(i, texts, shard)) as temporary:
            save_file({_NAME: array[shard]}, temporary)

    def _path(self, i: int, texts: Sequence[str], shard: Sequence[int]) -> Path:
        sets = self.sets[i]
        own = None if sets is None else [int(sets[row]) for row in shard]
        key = value_digest(self.digests[i], [texts[row] for row in shard], own)
        return self.directory / key[:2] / f"{key}.safetensors"


def made_by(encoder: "SentenceTransformer", backend: Backend) -> str:
    """Return the sha256 of what decides on token states: encoder, backend and code."""
    return value_digest(encoder_digest(encoder), backend.digest(), code_digest("encoder"))


def encoder_digest(encoder: "SentenceTransformer") -> str:
    """Return the sha256 of weights, modules, configuration, tokenizer and maximum length."""
    import torch

    weights = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        weights.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    config = transformer_of(encoder).config.to_dict() if has_transformer(encoder) else None
    modules = [
        (type(module).__name__, getattr(module, "get_config_dict", module.__repr__)()) for module in encoder.children()
    ]
    return value_digest(weights.hexdigest(), modules, config, encoder.max_seq_length, _tokenizer(encoder.tokenizer))


def _tokenizer(tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return tokenizer.get_vocab()
    # How it cuts and pads depends on the call before.
    return {name: part for name, part in json.loads(backend.to_str()).items() if name not in ("truncation", "padding")}
