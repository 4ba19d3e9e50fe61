"""Texts in batches of similar length through a transformer, one batch of token states at a time."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipeline.encoder.backend import Backend, make_forward
from pipeline.encoder.layers import check_layer, count_layers, has_transformer
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

SHARD = 1024
SECONDS = 0.02  # for a review, about: how far the bar of all stages moves
# Tokens of a forward pass, padding included: few enough for the caches, many enough for the matrix products.
CPU_TOKENS, GPU_TOKENS = 1024, 65536


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
        The encoder's own sentence embedding, where asked for.
    """

    rows: list[int]
    ids: "Tensor"
    mask: "Tensor"
    states: dict[int, "Tensor"]
    received: dict[int, "Tensor"]
    first: dict[int, "Tensor"]
    sentence: "Tensor | None"


# Takes all texts and the rows of a shard.
Runner = Callable[[Sequence[str], Sequence[int]], Iterator[TokenBatch]]


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
        Whether the encoder's own sentence embedding is wanted.
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
    with progress_bar(len(texts), "encode", "review", seconds=SECONDS * len(texts)) as bar:
        for rows in shards(range(len(texts))):
            for batch in run(texts, rows):
                yield batch
                bar.update(len(batch.rows))


def shards(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the rows in pieces of 1,024, the last one shorter."""
    for start in range(0, len(rows), SHARD):
        yield rows[start : start + SHARD]


def make_runner(
    encoder: "SentenceTransformer",
    layers: Collection[int],
    attention: Collection[int],
    sentence: bool,
    backend: Backend,
) -> Runner:
    """Return what takes all texts and the rows of a shard, and yields the shard's batches."""
    absolute = {layer: check_layer(encoder, layer, lowest=0) for layer in layers}
    absolute |= {layer: check_layer(encoder, layer, lowest=1) for layer in attention}
    if not has_transformer(encoder):
        return partial(_whole_encoder, encoder)
    top = count_layers(encoder)
    needed = {absolute[layer] for layer in layers} | ({top} if sentence else set())
    forward = make_forward(encoder, needed, {absolute[layer] for layer in attention}, backend)

    def run(texts: Sequence[str], rows: Sequence[int]) -> Iterator[TokenBatch]:
        batches = list(_by_length(encoder, texts, rows, backend))
        for (own, inputs), seen in zip(batches, forward(inputs for _, inputs in batches), strict=True):
            yield TokenBatch(
                own,
                inputs["input_ids"],
                inputs["attention_mask"],
                {layer: seen.states[absolute[layer]] for layer in layers},
                {layer: seen.received[absolute[layer]] for layer in attention},
                {layer: seen.first[absolute[layer]] for layer in attention},
                _embedding(encoder, inputs, seen.states[top]) if sentence else None,
            )

    return run


def _by_length(
    encoder: "SentenceTransformer", texts: Sequence[str], rows: Sequence[int], backend: Backend
) -> Iterator[tuple[list[int], dict[str, "Tensor"]]]:
    """Yield rows and inputs of batches of similar length, the longest first."""
    import torch

    from pipeline.encoder.trunk import model_inputs

    if not rows:
        return
    inputs = model_inputs(encoder, encoder.preprocess([texts[row] for row in rows]))
    if not inputs["input_ids"].numel():
        # A transformer cannot run on no position at all, but on one that is padding.
        inputs = {name: value.new_zeros((len(rows), 1), dtype=torch.long) for name, value in inputs.items()}
    mask = inputs["attention_mask"]
    lengths = mask.sum(dim=1).tolist()
    order = sorted(range(len(rows)), key=lambda i: -lengths[i])
    on_cpu = backend.name == "openvino" or encoder.device.type == "cpu"
    budget = CPU_TOKENS if on_cpu else GPU_TOKENS
    # Tokens are not counted from the first real one by every model that pads on the left: it gets no padding.
    padded_left = encoder.tokenizer.padding_side == "left"
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        chosen = order[start : start + max(1, budget // max(1, longest))]
        if padded_left:
            chosen = [i for i in chosen if lengths[i] == longest]
        columns = mask[chosen].any(dim=0).nonzero()[:, 0]
        part = slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
        yield [rows[i] for i in chosen], {name: value[chosen, part] for name, value in inputs.items()}
        start += len(chosen)


def _embedding(encoder: "SentenceTransformer", inputs: dict[str, "Tensor"], last: "Tensor") -> "Tensor":
    """Return what the encoder's modules after the transformer make of its output."""
    import torch

    features = {**inputs, "token_embeddings": last.float()}
    with torch.inference_mode():
        for module in list(encoder)[1:]:
            features = module(features)
    return features["sentence_embedding"]


def _whole_encoder(encoder: "SentenceTransformer", texts: Sequence[str], rows: Sequence[int]) -> Iterator[TokenBatch]:
    """Yield the embeddings of an encoder that has no transformer inside."""
    import torch

    for start in range(0, len(rows), 32):
        own = list(rows[start : start + 32])
        features = {
            name: value.to(encoder.device) if hasattr(value, "to") else value
            for name, value in encoder.preprocess([texts[row] for row in own]).items()
        }
        with torch.inference_mode():
            embedding = encoder(features)["sentence_embedding"]
        none = torch.empty((len(own), 0), dtype=torch.long)
        yield TokenBatch(own, none, none, {}, {}, {}, embedding)
