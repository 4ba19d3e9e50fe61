"""Texts in batches of similar length through a transformer, one batch of token states at a time."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import check_layer, count_layers, has_transformer
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

_SHARD = 1024
# Tokens of a forward pass, padding included: few enough for the caches, many enough for the matrix products.
_CPU_TOKENS, _GPU_TOKENS = 1024, 65536


@dataclass(frozen=True)
class TokenBatch:
    """What one forward pass yields. Tensors are on the encoder's device; dicts are keyed by the layers asked for.

    Attributes
    ----------
    rows : list of int
        Positions of the texts in the list that was given.
    ids : Tensor of shape (batch, tokens)
        Token ids, special tokens and padding included.
    mask : Tensor of shape (batch, tokens)
        1 for a token, 0 for padding.
    states : dict of int to Tensor of shape (batch, tokens, dimensions)
        Layer to token states; layer 0 is the input embeddings.
    received : dict of int to Tensor of shape (batch, tokens)
        Layer to the attention that a token receives from all tokens, mean over the heads; 0 for padding. The sum over
        the tokens of a text is their number.
    first : dict of int to Tensor of shape (batch, tokens)
        Layer to the attention that the first token pays, mean over the heads; it sums to 1.
    sentence : Tensor of shape (batch, dimensions) or None
        The encoder's sentence embedding, where asked for.
    """

    rows: list[int]
    ids: "Tensor"
    mask: "Tensor"
    states: dict[int, "Tensor"]
    received: dict[int, "Tensor"]
    first: dict[int, "Tensor"]
    sentence: "Tensor | None"


class Shard(NamedTuple):
    """Some of the texts, by their positions in the list that was given."""

    rows: Sequence[int]
    texts: list[str]


Runner = Callable[[Shard], Iterator[TokenBatch]]


def token_batches(
    encoder: "SentenceTransformer",
    texts: Sequence[str],
    *,
    layers: Collection[int] = (),
    attention: Collection[int] = (),
    sentence: bool = False,
    backend: Backend = Backend(),  # noqa: B008 - frozen
) -> Iterator[TokenBatch]:
    """Yield the token states of all texts, batch by batch; nothing of a batch is kept once it is left.

    Texts longer than the encoder's `max_seq_length` are cut there, as sentence-transformers does. Of every 1,024 texts
    the longest come first, so that there is little padding, and a batch is full when it has 1,024 tokens (65,536 on a
    GPU). Texts that occur twice are encoded twice.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    layers : collection of int
        Whose token states are wanted; layers above the highest one needed are not run.
    attention : collection of int
        Whose attention is wanted: 1 is the first layer's.
    sentence : bool
        Whether the encoder's sentence embedding is wanted.
    backend : Backend
        What computes, and in which precision.

    Yields
    ------
    TokenBatch

    Raises
    ------
    ValueError
        If the encoder does not have a layer that is asked for.

    Examples
    --------
    The Gram matrix of all token states of layer 3:

    >>> from pipeline.encoder import load_encoder, token_batches
    >>> gram = 0
    >>> for batch in token_batches(load_encoder(), ["Superb!", "Cold fries, again."], layers=[3]):
    ...     states = batch.states[3][batch.mask.bool()]
    ...     gram = gram + states.T @ states
    >>> tuple(gram.shape)
    (384, 384)
    """
    run = make_runner(encoder, layers, attention, sentence, backend)
    with progress_bar(len(texts), "encode", "review") as bar:
        for shard in shards(texts, range(len(texts))):
            for batch in run(shard):
                yield batch
                bar.update(len(batch.rows))


def shards(texts: Sequence[str], rows: Sequence[int]) -> Iterator[Shard]:
    """Yield these of the texts in pieces of 1,024, the last one shorter."""
    for start in range(0, len(rows), _SHARD):
        some = rows[start : start + _SHARD]
        yield Shard(some, [texts[row] for row in some])


def make_runner(
    encoder: "SentenceTransformer", layers: Iterable[int], attention: Iterable[int], sentence: bool, backend: Backend
) -> Runner:
    """Return what takes a shard and yields its batches."""
    states_of = {layer: check_layer(encoder, layer, lowest=0) for layer in layers}
    attention_of = {layer: check_layer(encoder, layer, lowest=1) for layer in attention}
    if not has_transformer(encoder):
        return partial(_embed, encoder)
    top = count_layers(encoder)
    needed = {*states_of.values(), *([top] if sentence else [])}
    if backend.name == "torch":
        from pipeline.encoder.trunk import make_forward
    else:
        from pipeline.encoder.openvino import make_forward
    forward = make_forward(encoder, needed, set(attention_of.values()), backend)

    def run(shard: Shard) -> Iterator[TokenBatch]:
        batches = list(_batches(encoder, shard, backend))
        for (rows, inputs), seen in zip(batches, forward(inputs for _, inputs in batches), strict=True):
            yield TokenBatch(
                rows,
                inputs["input_ids"],
                inputs["attention_mask"],
                {layer: seen.states[absolute] for layer, absolute in states_of.items()},
                {layer: seen.received[absolute] for layer, absolute in attention_of.items()},
                {layer: seen.first[absolute] for layer, absolute in attention_of.items()},
                _embedding(encoder, inputs, seen.states[top]) if sentence else None,
            )

    return run


def _batches(
    encoder: "SentenceTransformer", shard: Shard, backend: Backend
) -> Iterator[tuple[list[int], dict[str, "Tensor"]]]:
    """Yield rows and inputs of batches of similar length, the longest first."""
    inputs = _inputs(encoder, shard.texts)
    mask = inputs["attention_mask"]
    on_cpu = backend.name == "openvino" or encoder.device.type == "cpu"
    # Tokens are not counted from the first real one by every model that pads on the left: it gets no padding.
    padded_left = encoder.tokenizer.padding_side == "left"
    for chosen in by_length(mask.sum(dim=1).tolist(), _CPU_TOKENS if on_cpu else _GPU_TOKENS, alike=padded_left):
        columns = mask[chosen].any(dim=0).nonzero()[:, 0]
        part = slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
        yield [shard.rows[i] for i in chosen], {name: value[chosen, part] for name, value in inputs.items()}


def _inputs(encoder: "SentenceTransformer", texts: list[str]) -> dict[str, "Tensor"]:
    """Return what the transformer reads of texts, of shape (n_texts, n_tokens)."""
    import torch

    from pipeline.encoder.trunk import model_inputs

    inputs = model_inputs(encoder, encoder.preprocess(texts))
    if not inputs["input_ids"].numel():
        # A transformer cannot run on no position at all, but on one that is padding.
        return {name: value.new_zeros((len(texts), 1), dtype=torch.long) for name, value in inputs.items()}
    return inputs


def by_length(lengths: Sequence[int], n_tokens: int, alike: bool = False) -> Iterator[list[int]]:
    """Yield the positions of texts that make a batch of so many tokens, padding included, the longest first.

    With `alike` the texts of a batch have one length.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        longest = lengths[order[0]]
        chosen = order[: max(1, n_tokens // max(1, longest))]
        if alike:
            chosen = [i for i in chosen if lengths[i] == longest]
        yield chosen
        del order[: len(chosen)]


def _embedding(encoder: "SentenceTransformer", inputs: dict[str, "Tensor"], last: "Tensor") -> "Tensor":
    """Return what the encoder's modules after the transformer make of its output."""
    import torch

    features = {**inputs, "token_embeddings": last.float()}
    with torch.inference_mode():
        for module in list(encoder)[1:]:
            features = module(features)
    return features["sentence_embedding"]


def _embed(encoder: "SentenceTransformer", shard: Shard) -> Iterator[TokenBatch]:
    """Yield the sentence embeddings of an encoder that has no transformer inside."""
    import torch

    for start in range(0, len(shard.rows), 32):
        rows = list(shard.rows[start : start + 32])
        features = {
            name: value.to(encoder.device) if hasattr(value, "to") else value
            for name, value in encoder.preprocess(shard.texts[start : start + 32]).items()
        }
        with torch.inference_mode():
            embedding = encoder(features)["sentence_embedding"]
        none = torch.empty((len(rows), 0), dtype=torch.long)
        yield TokenBatch(rows, none, none, {}, {}, {}, embedding)
