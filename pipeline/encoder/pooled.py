"""Every pooled vector of many texts, from one forward pass, resumed from finished shards."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.digest import value_digest
from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import SECONDS, Runner, make_runner, shards
from pipeline.encoder.layers import check_layer
from pipeline.encoder.pooling import TokenPooling
from pipeline.encoder.recorded import Recorder, Texts, TokenStates
from pipeline.encoder.shards import ShardStore, made_by
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encode(
    encoder: "SentenceTransformer",
    texts: Texts,
    poolings: Sequence[TokenPooling],
    *,
    backend: Backend = Backend(),  # noqa: B008 - frozen
    cache: Path | None = None,
    records: Mapping[int, Path] | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Return one array of shape (n_texts, n_dimensions) per pooling, all from the same forward pass.

    Texts longer than the encoder's `max_seq_length` are cut there, as sentence-transformers does. A text that occurs
    twice is encoded once. Beyond the result, memory does not grow with the number of texts, save for some 100 bytes
    each to find those that occur twice.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str, or TokenStates
        Texts; of recorded ones the states are pooled, and the encoder does not run.
    poolings : sequence of TokenPooling
        What is wanted; layers above the highest one are not run.
    backend : Backend
        What computes, and in which precision.
    cache : Path, optional
        Directory in which every 1,024 texts leave a file per pooling when they are done, to be read by whoever asks
        for the same again: the key is the sha256 over weights, tokenizer, maximum length, backend, precision, pooling,
        texts and the code.
    records : mapping of int to Path, optional
        Layers whose token states are kept from the same pass, each in a directory of its own: see `read_record`.

    Raises
    ------
    ValueError
        If a pooling asks for a layer that the encoder does not have, or for what a record does not hold.

    Examples
    --------
    >>> from pipeline.encoder import Pooling, encode, load_encoder
    >>> embedding, early = encode(load_encoder(), ["Superb!", "Cold."], [Pooling("sentence"), Pooling("uniform", 0)])
    >>> embedding.shape, early.shape
    ((2, 384), (2, 384))
    """
    arrays = [np.empty((len(texts), pooling.size(encoder)), dtype=np.float32) for pooling in poolings]
    if isinstance(texts, TokenStates):
        _pool_recorded(encoder, texts, poolings, arrays)
        return arrays
    first: dict[Hashable, int] = {}
    same = [first.setdefault(_what_is_pooled(text, row, poolings), row) for row, text in enumerate(texts)]
    rows = list(first.values())
    store = None if cache is None else ShardStore(cache, encoder, backend, poolings)
    origin = made_by(encoder, backend) if records else ""
    recorders = [Recorder(directory, layer, origin) for layer, directory in (records or {}).items()]
    keys = [value_digest([texts[row] for row in shard]) for shard in shards(rows)] if records else []

    @lru_cache(maxsize=1)
    def runner(missing: tuple[int, ...], layers: tuple[int, ...]) -> Runner:
        return _runner(encoder, [poolings[i] for i in missing], layers, backend)

    with progress_bar(len(rows), "encode", "review", seconds=SECONDS * len(rows)) as bar:
        for number, shard in enumerate(shards(rows)):
            missing = [i for i, array in enumerate(arrays) if store is None or not store.read(i, texts, shard, array)]
            recording = [each for each in recorders if not each.has(keys[number])]
            layers = tuple(each.layer for each in recording)
            for batch in runner(tuple(missing), layers)(texts, shard) if missing or recording else ():
                for i in missing:
                    arrays[i][batch.rows] = poolings[i].pool(batch).float().cpu().numpy()
                for each in recording:
                    each.add(batch)
                bar.update(len(batch.rows))
            if store is not None:
                for i in missing:
                    store.write(i, texts, shard, arrays[i])
            for each in recording:
                each.end_shard(keys[number], shard)
            bar.update(0 if missing or recording else len(shard))
    position = {row: i for i, row in enumerate(rows)}
    for each in recorders:
        each.finish(check_layer(encoder, each.layer, lowest=0), keys, [position[source] for source in same])
    for array in arrays:
        _repeat(array, same)
    return arrays


def _pool_recorded(
    encoder: "SentenceTransformer",
    tokens: TokenStates,
    poolings: Sequence[TokenPooling],
    arrays: Sequence[npt.NDArray[np.float32]],
) -> None:
    for pooling in poolings:
        if pooling.attention or pooling.sentence:
            raise ValueError(
                f"Recorded token states hold no attention and no sentence embedding, which {pooling} reads."
            )
    for batch in tokens.batches(encoder, {pooling.layer for pooling in poolings}):
        for pooling, array in zip(poolings, arrays, strict=True):
            array[batch.rows] = pooling.pool(batch).numpy()


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


def _runner(
    encoder: "SentenceTransformer", poolings: Sequence[TokenPooling], layers: Sequence[int], backend: Backend
) -> Runner:
    of_tokens = [pooling for pooling in poolings if not pooling.sentence]
    return make_runner(
        encoder,
        layers={*(pooling.layer for pooling in of_tokens), *layers},
        attention={pooling.layer for pooling in of_tokens if pooling.attention},
        sentence=len(of_tokens) < len(poolings),
        backend=backend,
    )


def _repeat(array: npt.NDArray[np.float32], same: Sequence[int]) -> None:
    for row, source in enumerate(same):
        if source != row:
            array[row] = array[source]
