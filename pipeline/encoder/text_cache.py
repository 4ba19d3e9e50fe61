"""Vectors of texts in files, text by text: what cross-validation deals to other folds is not encoded again."""

import hashlib
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.digest import value_digest
from pipeline.encoder.backend import Backend
from pipeline.encoder.pooled import encode
from pipeline.encoder.pooling import TokenPooling
from pipeline.encoder.shards import encoder_key, read_shard, write_shard

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Hashing the weights takes a tenth of a second: a grid search asks for the same key hundreds of times.
_KEYS: "weakref.WeakKeyDictionary[SentenceTransformer, tuple[Any, str]]" = weakref.WeakKeyDictionary()


def encode_once(
    encoder: "SentenceTransformer", texts: Sequence[str], pooling: TokenPooling, backend: Backend, directory: Path
) -> npt.NDArray[np.float32]:
    """Return the vectors of texts, and encode only those that no call before has left in a directory.

    Each call leaves one file with the vectors that it was the first to need, so that several processes can share the
    directory. The key is that of `encode`'s shards.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    pooling : TokenPooling
        How token states become one vector, the same for all texts.
    backend : Backend
        What computes, and in which precision.
    directory : Path
        Made where it is missing; several encoders and poolings share it.

    Returns
    -------
    ndarray of shape (n_texts, n_dimensions), float32

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from pipeline.encoder import Backend, Pooling, load_encoder
    >>> directory = Path(mkdtemp())
    >>> for texts in (["Superb!", "Cold."], ["Cold.", "Superb!", "Fine."]):
    ...     vectors = encode_once(load_encoder(), texts, Pooling("sentence"), Backend(), directory)
    >>> vectors.shape, sorted(len(read_shard(path)["texts"]) for path in directory.rglob("*.safetensors"))
    ((3, 384), [1, 2])
    """
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    folder = directory / value_digest(_key(encoder, backend), pooling.digest())
    known = _read(folder)
    missing = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
    if missing:
        (vectors,) = encode(encoder, list(missing.values()), [pooling], backend=backend)
        keys = np.frombuffer(b"".join(missing), dtype=np.uint8).reshape(len(missing), -1)
        name = hashlib.sha256(keys.tobytes()).hexdigest()
        write_shard(folder / f"{name}.safetensors", {"texts": keys, "vectors": vectors})
        known |= dict(zip(missing, vectors, strict=True))
    size = pooling.size(encoder)
    return np.array([known[digest] for digest in digests], dtype=np.float32).reshape(len(texts), size)


def _read(folder: Path) -> dict[bytes, npt.NDArray[np.float32]]:
    """Return the vectors in a folder by the sha256 of their texts; a damaged file has none."""
    known: dict[bytes, npt.NDArray[np.float32]] = {}
    for path in folder.glob("*.safetensors"):
        shard = read_shard(path)
        if {"texts", "vectors"} <= shard.keys():
            known |= zip(map(bytes, shard["texts"]), shard["vectors"], strict=True)
    return known


def _key(encoder: "SentenceTransformer", backend: Backend) -> str:
    """Return `encoder_key`, computed anew where weights were changed in place."""
    state = [tensor._version for tensor in encoder.state_dict().values()], encoder.max_seq_length, backend
    if encoder not in _KEYS or _KEYS[encoder][0] != state:
        _KEYS[encoder] = state, encoder_key(encoder, backend)
    return _KEYS[encoder][1]
