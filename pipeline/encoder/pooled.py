"""Every pooled vector of many texts, from one forward pass, resumed from finished shards."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import Runner, make_runner, shards
from pipeline.encoder.layers import check_layer
from pipeline.encoder.load import check_extra
from pipeline.encoder.pooling import TokenPooling
from pipeline.encoder.recorded import Texts, TokenStates, read_record
from pipeline.encoder.recorder import Recorder
from pipeline.encoder.shards import PooledVectors, encoder_key
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_Output = PooledVectors | Recorder
_Vectors = npt.NDArray[np.float32]


def encode(
    encoder: "SentenceTransformer",
    texts: Texts,
    poolings: Sequence[TokenPooling],
    *,
    backend: Backend = Backend(),  # noqa: B008 - frozen
    cache: Path | None = None,
    records: Mapping[int, Path] | None = None,
    finish: bool = True,
) -> list[_Vectors]:
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
        Layers whose token states are kept from the same pass, and one directory for each: see `read_record`.
    finish : bool
        False: leave the shards of the records as they are, for a call that has these texts among others. So several
        machines may encode, 1,024 texts or a multiple of that in a call, and one call puts their shards together.

    Raises
    ------
    ValueError
        If a pooling asks for a layer that the encoder does not have, or for what a record does not hold.
    ImportError
        If the extra `encoder` is not installed.

    Examples
    --------
    >>> from pipeline.encoder import Pooling, encode, load_encoder
    >>> embedding, early = encode(load_encoder(), ["Superb!", "Cold."], [Pooling("sentence"), Pooling("uniform", 0)])
    >>> embedding.shape, early.shape
    ((2, 384), (2, 384))
    """
    check_extra("encode")
    arrays = [np.empty((len(texts), pooling.size(encoder)), dtype=np.float32) for pooling in poolings]
    if isinstance(texts, TokenStates):
        _pool_recorded(encoder, texts, poolings, arrays)
        return arrays
    key = encoder_key(encoder, backend) if cache or records else ""
    vectors = [PooledVectors(pooling, array, cache, key) for pooling, array in zip(poolings, arrays, strict=True)]
    recorders = [Recorder(directory, layer, key) for layer, directory in (records or {}).items()]
    first = _first_of_duplicates(texts, poolings)
    rows = list(dict.fromkeys(first))
    _run(encoder, texts, rows, [*vectors, *recorders], backend)
    position = {row: i for i, row in enumerate(rows)}
    for recorder in recorders if finish else ():
        recorder.finish([position[row] for row in first])
    for array in arrays:
        for row, source in enumerate(first):
            if source != row:
                array[row] = array[source]
    return arrays


def record(
    encoder: "SentenceTransformer",
    texts: Sequence[str],
    layer: int,
    directory: Path,
    backend: Backend = Backend(),  # noqa: B008 - frozen
) -> TokenStates:
    """Encode texts, keep the token states of a layer in a directory, and return a view of them.

    The files take 2 bytes x dimensions for each token: 768 MB for 10,000 reviews of 100 tokens with 384 dimensions.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    layer : int
        Whose states.
    directory : Path
        Made where it is missing.
    backend : Backend
        What runs the encoder.

    Returns
    -------
    TokenStates

    Raises
    ------
    ValueError
        If the encoder does not have the layer, or a state is too large for 2 bytes, 65,504, or not a number.
    ImportError
        If the extra `encoder` is not installed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from pipeline.encoder import load_encoder, record
    >>> record(load_encoder(), ["Superb!", "Cold fries, again."], 3, Path(mkdtemp())).lengths.tolist()
    [4, 7]
    """
    check_extra("record")
    absolute = check_layer(encoder, layer, lowest=0)
    encode(encoder, texts, [], backend=backend, records={layer: directory})
    return read_record(directory, absolute)


def _run(
    encoder: "SentenceTransformer", texts: Sequence[str], rows: list[int], outputs: Sequence[_Output], backend: Backend
) -> None:
    """Encode these rows of the texts for each output that has no finished shard of them."""

    @lru_cache(maxsize=1)
    def runner(missing: tuple[_Output, ...]) -> Runner:
        of_tokens = [output.reads for output in missing if not output.reads.sentence]
        layers = {pooling.layer for pooling in of_tokens}
        attention = {pooling.layer for pooling in of_tokens if pooling.attention}
        return make_runner(encoder, layers, attention, len(of_tokens) < len(missing), backend)

    with progress_bar(len(rows), "encode", "review") as bar:
        for shard in shards(texts, rows):
            missing = tuple(output for output in outputs if not output.restore(shard))
            if not missing:
                bar.update(len(shard.rows))
                continue
            for batch in runner(missing)(shard):
                for output in missing:
                    output.add(batch)
                bar.update(len(batch.rows))
            for output in missing:
                output.end_shard(shard)


def _pool_recorded(
    encoder: "SentenceTransformer", tokens: TokenStates, poolings: Sequence[TokenPooling], arrays: list[_Vectors]
) -> None:
    more = [pooling for pooling in poolings if pooling.attention or pooling.sentence]
    if more:
        raise ValueError(f"Recorded token states hold no attention and no sentence embedding, which {more[0]} reads.")
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


def _first_of_duplicates(texts: Sequence[str], poolings: Sequence[TokenPooling]) -> list[int]:
    """Return for each text the row of the first one that every pooling treats alike."""
    sets = [pooling.query_set for pooling in poolings if pooling.query_set is not None]
    first: dict[Hashable, int] = {}
    return [first.setdefault((text, *(int(each[row]) for each in sets)), row) for row, text in enumerate(texts)]
