"""Every pooled vector of many texts, from one forward pass, resumed from finished shards."""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import Runner, make_runner, shards
from pipeline.encoder.pooling import TokenPooling
from pipeline.encoder.store import ShardStore
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encode(
    encoder: "SentenceTransformer",
    texts: Sequence[str],
    poolings: Sequence[TokenPooling],
    *,
    backend: Backend = Backend(),  # noqa: B008 - frozen
    cache: Path | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Return one array of shape (n_texts, n_dimensions) per pooling, all from the same forward pass.

    Texts longer than the encoder's `max_seq_length` are cut there, as sentence-transformers does. A text that occurs
    twice is encoded once. Beyond the result, memory does not grow with the number of texts, save for some 100 bytes
    each to find those that occur twice.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    poolings : sequence of TokenPooling
        What is wanted; layers above the highest one are not run.
    backend : Backend
        What computes, and in which precision.
    cache : Path, optional
        Directory in which every 1,024 texts leave a file per pooling when they are done, to be read by whoever asks
        for the same again: the key is the sha256 over weights, tokenizer, maximum length, backend, precision, pooling,
        texts and the code.

    Raises
    ------
    ValueError
        If a pooling asks for a layer that the encoder does not have.

    Examples
    --------
    >>> from pipeline.encoder import Pooling, encode, load_encoder
    >>> embedding, early = encode(load_encoder(), ["Superb!", "Cold."], [Pooling("sentence"), Pooling("uniform", 0)])
    >>> embedding.shape, early.shape
    ((2, 384), (2, 384))
    """
    arrays = [np.empty((len(texts), pooling.size(encoder)), dtype=np.float32) for pooling in poolings]
    first: dict[Hashable, int] = {}
    same = [first.setdefault(_what_is_pooled(text, row, poolings), row) for row, text in enumerate(texts)]
    store = None if cache is None else ShardStore(cache, encoder, backend, poolings)

    @lru_cache(maxsize=1)
    def runner(*missing: int) -> Runner:
        return _runner(encoder, [poolings[i] for i in missing], backend)

    rows = list(first.values())
    with progress_bar(total=len(rows), desc="encode", unit="review") as bar:
        for shard in shards(rows):
            missing = [i for i, array in enumerate(arrays) if store is None or not store.read(i, texts, shard, array)]
            for batch in runner(*missing)(texts, shard) if missing else ():
                for i in missing:
                    arrays[i][batch.rows] = poolings[i].pool(batch).float().cpu().numpy()
                bar.update(len(batch.rows))
            if store is not None:
                for i in missing:
                    store.write(i, texts, shard, arrays[i])
            bar.update(0 if missing else len(shard))
    for array in arrays:
        _repeat(array, same)
    return arrays


def output_size(encoder: "SentenceTransformer", pooling: TokenPooling) -> int:
    """Return the number of dimensions of a pooled vector.

    Raises
    ------
    ValueError
        If the encoder does not have the layer, or has no token states at all.
    """
    return pooling.size(encoder)


def _what_is_pooled(text: str, row: int, poolings: Sequence[TokenPooling]) -> Hashable:
    return (text, *(int(pooling.sets[row]) for pooling in poolings if pooling.sets is not None))


def _runner(encoder: "SentenceTransformer", poolings: Sequence[TokenPooling], backend: Backend) -> Runner:
    of_tokens = [pooling for pooling in poolings if not pooling.sentence]
    return make_runner(
        encoder,
        layers={pooling.layer for pooling in of_tokens},
        attention={pooling.layer for pooling in of_tokens if pooling.attention},
        sentence=len(of_tokens) < len(poolings),
        backend=backend,
    )


def _repeat(array: npt.NDArray[np.float32], same: Sequence[int]) -> None:
    for row, source in enumerate(same):
        if source != row:
            array[row] = array[source]
