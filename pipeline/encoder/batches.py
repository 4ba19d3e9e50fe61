"""Texts in batches of similar length through a transformer, one batch of token states at a time."""

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import check_layer, count_layers, has_transformer, sentence_size, transformer_of
from pipeline.errors import first_line
from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

_SHARD = 1024
# Tokens of a forward pass, padding included: few enough for the caches, many enough for the matrix products.
_CPU_TOKENS, _GPU_TOKENS = 1024, 65536
# Of what sentence-transformers runs by itself, between two steps of the progress bar.
_TEXTS_AT_ONCE = 32
_USE = "use another model, such as one of the BERT kind."


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
        The encoder's sentence embedding, where asked for; its default prompt is part of it, but not of the tokens.
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
    """Return what takes a shard and yields its batches.

    Raises
    ------
    ValueError
        If the encoder does not have a layer, or the backend cannot run it.
    """
    states_of = {layer: check_layer(encoder, layer, lowest=0) for layer in layers}
    attention_of = {layer: check_layer(encoder, layer, lowest=1) for layer in attention}
    whole = sentence and not _sentence(encoder).from_tokens
    if whole:
        check_sentence(encoder, backend)
    if not (states_of or attention_of):
        return partial(_embed, encoder) if whole else _token_runner(encoder, {}, {}, sentence, backend)
    if not sentence or not (whole or default_prompt(encoder)):
        return _token_runner(encoder, states_of, attention_of, sentence, backend)
    # A prompt is part of the sentence embedding, but not of the text whose tokens are weighed.
    sentences = partial(_embed, encoder) if whole else _token_runner(encoder, {}, {}, True, backend)
    return partial(_beside, _token_runner(encoder, states_of, attention_of, False, backend), sentences)


def _beside(tokens: Runner, sentences: Runner, shard: Shard) -> Iterator[TokenBatch]:
    """Yield the batches of one runner with the sentence embeddings of another one."""
    import torch

    embedding_of: dict[int, Tensor] = {}
    for batch in sentences(shard):
        assert batch.sentence is not None  # noqa: S101 - for mypy
        embedding_of.update(zip(batch.rows, batch.sentence, strict=True))
    for batch in tokens(shard):
        yield replace(batch, sentence=torch.stack([embedding_of[row] for row in batch.rows]))


def _token_runner(
    encoder: "SentenceTransformer",
    states_of: dict[int, int],
    attention_of: dict[int, int],
    sentence: bool,
    backend: Backend,
) -> Runner:
    """Return what runs the transformer on a shard; with the sentence embedding, the default prompt goes before it."""
    from pipeline.encoder.forward import make_forward

    top = count_layers(encoder)
    needed = {*states_of.values(), *([top] if sentence else [])}
    forward = make_forward(encoder, needed, set(attention_of.values()), backend)
    prompt = default_prompt(encoder) if sentence else ""

    def run(shard: Shard) -> Iterator[TokenBatch]:
        inputs, length = _inputs(encoder, shard.texts, prompt)
        batches = list(_batches(encoder, shard, inputs, backend))
        for (rows, some), seen in zip(batches, forward(some for _, some in batches), strict=True):
            for received in seen.received.values():
                _check_sums(encoder, received, some["attention_mask"])
            yield TokenBatch(
                rows,
                some["input_ids"],
                some["attention_mask"],
                {layer: seen.states[absolute] for layer, absolute in states_of.items()},
                {layer: seen.received[absolute] for layer, absolute in attention_of.items()},
                {layer: seen.first[absolute] for layer, absolute in attention_of.items()},
                _embedding(encoder, {**some, **length}, seen.states[top]) if sentence else None,
            )

    return run


def _check_sums(encoder: "SentenceTransformer", received: "Tensor", mask: "Tensor") -> None:
    """Refuse weights that are no attention in this batch, though they were on short texts: they sum to 1 per token."""
    n_tokens = mask.sum(dim=1)
    if not bool(((received.sum(dim=1) - n_tokens).abs() <= 0.05 * n_tokens).all()):
        raise ValueError(f"{_kind(encoder)} hands out weights that are no attention on texts of this length: cut them.")


def default_prompt(encoder: "SentenceTransformer") -> str:
    """Return what the encoder puts before each text, by its settings."""
    name = encoder.default_prompt_name
    return "" if name is None else str(encoder.prompts.get(name) or "")


class _Sentence(NamedTuple):
    """How an encoder's sentence embedding is had.

    Attributes
    ----------
    from_tokens : bool
        Whether the transformer's last token states, with the modules after it, are the embedding of a text alone.
    fault : str
        Why it is not to be had as sentence-transformers gives it; "" where it is.
    """

    from_tokens: bool
    fault: str


_SENTENCES: "weakref.WeakKeyDictionary[SentenceTransformer, _Sentence]" = weakref.WeakKeyDictionary()


def _sentence(encoder: "SentenceTransformer") -> _Sentence:
    """Return how the sentence embedding is had; it is tried on two short texts, beside each other and alone."""
    if encoder not in _SENTENCES:
        _SENTENCES[encoder] = _tried(encoder)
    return _SENTENCES[encoder]


def _tried(encoder: "SentenceTransformer") -> _Sentence:
    import torch

    from pipeline.encoder.probe import FAILURES, PROBES

    try:
        together = _encoded(encoder, list(PROBES))
        alone = torch.cat([_encoded(encoder, [text]) for text in PROBES])
    except FAILURES as error:
        return _Sentence(False, f"makes no sentence embedding ({type(error).__name__}: {first_line(error)})")
    from_tokens, size = _is_from_tokens(encoder, alone), sentence_size(encoder)
    if size != alone.shape[1]:
        return _Sentence(
            from_tokens, f"says that its sentence embedding has {size} dimensions: it has {alone.shape[1]}"
        )
    if _differ(together, alone) or _remembers(encoder):
        return _Sentence(from_tokens, "makes another sentence embedding of a text where longer ones stand beside it")
    return _Sentence(from_tokens, "")


def _is_from_tokens(encoder: "SentenceTransformer", expected: "Tensor") -> bool:
    import torch

    from pipeline.encoder.probe import FAILURES, PROBES, traits

    if not has_transformer(encoder) or traits(encoder.tokenizer, transformer_of(encoder)).states:
        return False
    try:
        run = _token_runner(encoder, {}, {}, True, Backend())
        vectors = [batch.sentence for text in PROBES for batch in run(Shard([0], [text]))]
        return not _differ(torch.cat([vector for vector in vectors if vector is not None]), expected)
    except FAILURES:
        return False


def _differ(a: "Tensor", b: "Tensor") -> bool:
    import torch

    return a.shape != b.shape or not torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def _kind(encoder: "SentenceTransformer") -> str:
    """Return the type of an encoder, as messages name it."""
    from pipeline.encoder.probe import named

    return named(transformer_of(encoder)) if has_transformer(encoder) else type(encoder[0]).__name__


def _remembers(encoder: "SentenceTransformer") -> bool:
    """Return whether a short text turns off the blocks of the model's attention for all texts to come."""
    return has_transformer(encoder) and getattr(transformer_of(encoder).config, "attention_type", "") == "block_sparse"


def check_sentence(encoder: "SentenceTransformer", backend: Backend) -> None:
    """Refuse an encoder whose sentence embedding is not to be had as sentence-transformers gives it.

    Raises
    ------
    ValueError
        In one line.
    """
    how = _sentence(encoder)
    if how.fault:
        raise ValueError(f"{_kind(encoder)} {how.fault}: {_USE}")
    asked_for = backend.precision != "float32" or not (backend.name == "torch" or backend.or_torch)
    if not how.from_tokens and asked_for:
        raise ValueError(
            f"Got backend={backend.name!r} and precision={backend.precision!r}, but {_kind(encoder)} makes its "
            "sentence embedding with 'torch' and 'float32' only."
        )


def _batches(
    encoder: "SentenceTransformer", shard: Shard, inputs: dict[str, "Tensor"], backend: Backend
) -> Iterator[tuple[list[int], dict[str, "Tensor"]]]:
    """Yield rows and inputs of batches of similar length, the longest first."""
    from pipeline.encoder.probe import traits

    mask = inputs["attention_mask"]
    on_cpu = backend.name == "openvino" or encoder.device.type == "cpu"
    # Tokens are not counted from the first real one by every model that pads on the left: it gets no padding. Nor does
    # a model that reads it.
    alike = encoder.tokenizer.padding_side == "left" or traits(encoder.tokenizer, transformer_of(encoder)).reads_padding
    for chosen in by_length(mask.sum(dim=1).tolist(), _CPU_TOKENS if on_cpu else _GPU_TOKENS, alike=alike):
        columns = mask[chosen].any(dim=0).nonzero()[:, 0]
        part = slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
        yield [shard.rows[i] for i in chosen], {name: value[chosen, part] for name, value in inputs.items()}


def _inputs(
    encoder: "SentenceTransformer", texts: list[str], prompt: str = ""
) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """Return what the transformer reads of texts, of shape (n_texts, n_tokens), and the prompt's length in tokens."""
    import torch

    from pipeline.encoder.trunk import model_inputs

    features = encoder.preprocess(texts, prompt=prompt or None)
    length = {"prompt_length": features["prompt_length"]} if "prompt_length" in features else {}
    if "attention_mask" not in features:
        features["attention_mask"] = (features["input_ids"] != encoder.tokenizer.pad_token_id).long()
    inputs = model_inputs(encoder, features)
    if not inputs["input_ids"].numel():
        # A transformer cannot run on no position at all, but on one that is padding.
        inputs = {name: value.new_zeros((len(texts), 1), dtype=torch.long) for name, value in inputs.items()}
    return inputs, length


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


def _embedding(encoder: "SentenceTransformer", inputs: dict[str, Any], last: "Tensor") -> "Tensor":
    """Return what the encoder's modules after the transformer make of its output."""
    import torch

    features = {**inputs, "token_embeddings": last.float()}
    with torch.inference_mode():
        for module in list(encoder)[1:]:
            features = module(features)
    return features["sentence_embedding"][:, : encoder.truncate_dim]


def _embed(encoder: "SentenceTransformer", shard: Shard) -> Iterator[TokenBatch]:
    """Yield the sentence embeddings that the encoder makes by itself, with no token states beside them."""
    import torch

    for start in range(0, len(shard.rows), _TEXTS_AT_ONCE):
        part = slice(start, start + _TEXTS_AT_ONCE)
        rows = list(shard.rows[part])
        none = torch.empty((len(rows), 0), dtype=torch.long)
        yield TokenBatch(rows, none, none, {}, {}, {}, _encoded(encoder, shard.texts[part]))


def _encoded(encoder: "SentenceTransformer", texts: list[str]) -> "Tensor":
    return encoder.encode(texts, convert_to_tensor=True, show_progress_bar=False).float()
