"""Attention maps: the token x token weights of every layer and head of a transformer."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.attention.tokens import Span, distinct, readable
from pipeline.encoder.causal import NoHeadError, is_gguf, load_causal
from pipeline.encoder.load import BUNDLED, check_extra, load_network
from pipeline.errors import first_line

__all__ = ["AttentionMap", "attention_map", "moved"]

# Gemma 3 with 270 million parameters, a causal model that reads many languages, from the package registry.
BUNDLED_LLM = "bundled-llm"
# Nobody reads a larger map, and its memory grows with the square: 100 MiB for 6 layers x 12 heads x 512 tokens.
_MAX_TOKENS = 512


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention weights of one text. Layers and heads are counted from 1; leaving one out means the average over it.

    Parameters
    ----------
    text : str
        What was read.
    tokens : list of str
        The tokens in a readable form.
    spans : list of (start, end)
        Where each token lies in `text`; empty for a special token.
    weights : ndarray of shape (layers, heads, queries, keys), float32
        `weights[l, h, i, j]` is the share of its attention that token i pays to token j; over j they sum to 1.
    model : str
        Name of the model.
    unknown : tuple of str
        Words that are not in the model's vocabulary: it sees [UNK] for each of them.
    special : tuple of int
        Positions of the tokens that the tokenizer calls special, such as [CLS] and [SEP], counted from 0.

    Raises
    ------
    ValueError
        If the sizes do not fit each other.

    Examples
    --------
    >>> weights = np.array([[[[1, 0], [0.25, 0.75]], [[1, 0], [0.75, 0.25]]]], dtype=np.float32)
    >>> attention = AttentionMap("Dogs bark", ["Dogs", "bark"], [(0, 4), (5, 9)], weights, "a toy")
    >>> attention.frame(layer=1, head=2).loc["bark"].to_dict()
    {'Dogs': 0.75, 'bark': 0.25}
    >>> attention.received().to_dict()
    {'Dogs': 0.75, 'bark': 0.25}
    >>> attention.causal
    True
    """

    text: str
    tokens: list[str]
    spans: list[Span]
    weights: npt.NDArray[np.float32]
    model: str
    unknown: tuple[str, ...] = ()
    special: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        n_tokens = len(self.tokens)
        if self.weights.ndim != 4 or self.weights.shape[2:] != (n_tokens, n_tokens) or len(self.spans) != n_tokens:
            raise ValueError(
                f"Got weights of shape {self.weights.shape} and {len(self.spans)} spans for {n_tokens} tokens, "
                "expected (layers, heads, tokens, tokens) and a span per token."
            )

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.weights.shape[0]

    @property
    def n_heads(self) -> int:
        """Number of heads in each layer."""
        return self.weights.shape[1]

    @cached_property
    def labels(self) -> list[str]:
        """The tokens, those that are there more than once with a number: "the (1)", "the (2)"."""
        return distinct(self.tokens)

    @cached_property
    def causal(self) -> bool:
        """Whether no token looks at a later one, as in the models of the GPT-2 kind."""
        return len(self.tokens) > 1 and not np.triu(self.weights, 1).any()

    def matrix(self, layer: int | None = None, head: int | None = None) -> npt.NDArray[np.float32]:
        """Return the weights of shape (queries, keys) of a layer and head, or their average.

        Raises
        ------
        ValueError
            If the model does not have that layer or head.
        """
        layers = self._chosen("layer", layer, self.n_layers)
        heads = self._chosen("head", head, self.n_heads)
        chosen: npt.NDArray[np.float32] = self.weights[layers, heads].mean(axis=(0, 1))
        return chosen

    def frame(self, layer: int | None = None, head: int | None = None) -> pd.DataFrame:
        """Return `matrix` as a table: a row for each query, a column for each key."""
        queries, keys = (pd.Index(self.labels, name=name) for name in ("query", "key"))
        return pd.DataFrame(self.matrix(layer, head), queries, keys)

    def received(self, layer: int | None = None, head: int | None = None) -> "pd.Series[float]":
        """Return the attention that each token receives: the mean over all queries, which sums to 1 over the tokens.

        In a causal model early tokens are seen by more queries than late ones.
        """
        return self.frame(layer, head).mean(axis=0)

    def without_special(self) -> "AttentionMap":
        """Return the map of the other tokens: special ones are left out, and each row is divided by its sum.

        So `weights` is the share of the attention that stays among these tokens, head by head. A row that gives
        everything to special tokens has nothing left and stays at 0.

        Raises
        ------
        ValueError
            If there are special tokens only.

        Examples
        --------
        >>> weights = np.array([[[[0.5, 0.5, 0], [0.6, 0.3, 0.1], [1, 0, 0]]]], dtype=np.float32)
        >>> spans = [(0, 0), (0, 4), (5, 9)]
        >>> attention = AttentionMap("Dogs bark", ["[CLS]", "Dogs", "bark"], spans, weights, "a toy", special=(0,))
        >>> attention.without_special().frame().round(2)  # doctest: +NORMALIZE_WHITESPACE
        key    Dogs  bark
        query
        Dogs   0.75  0.25
        bark   0.00  0.00
        """
        kept = [i for i in range(len(self.tokens)) if i not in self.special]
        if not kept:
            raise ValueError(f"Got special tokens only ({' '.join(self.labels)}): without them no token is left.")
        weights = self.weights[:, :, kept][:, :, :, kept].astype(np.float64)
        sums = weights.sum(axis=3, keepdims=True)
        shares = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0).astype(np.float32)
        tokens, spans = [self.tokens[i] for i in kept], [self.spans[i] for i in kept]
        return replace(self, tokens=tokens, spans=spans, weights=shares, special=())

    def by_layer(self, word: str, head: int | None = None) -> pd.DataFrame:
        """Return the attention that a word pays to each token: a row for each layer, a column for each key.

        Parameters
        ----------
        word : str
            A label such as "the (2)" or "[CLS]", or any part of the text; the tokens of all its places are averaged.
        head : int, optional

        Raises
        ------
        ValueError
            If the word is not in the text, or the model does not have that head.
        """
        heads = self._chosen("head", head, self.n_heads)
        rows = self.weights[:, heads].mean(axis=1)[:, self.positions(word)].mean(axis=1)
        return pd.DataFrame(rows, pd.RangeIndex(1, self.n_layers + 1, name="layer"), pd.Index(self.labels, name="key"))

    def layer_differences(self, word: str, head: int | None = None) -> pd.DataFrame:
        """Return by how much each layer differs from the one before in the attention that a word pays to each token.

        Rows are the layers from 2 on, and each sums to 0; `moved` makes one number of each.
        """
        return self.by_layer(word, head).diff().iloc[1:]

    def positions(self, word: str) -> list[int]:
        """Return the positions of the tokens that a word consists of, counted from 0.

        Raises
        ------
        ValueError
            If the word is not in the text.

        Examples
        --------
        >>> halves = np.full((1, 1, 2, 2), 0.5, dtype=np.float32)
        >>> AttentionMap("Hot dogs", ["Hot", "dogs"], [(0, 3), (4, 8)], halves, "a toy").positions("DOGS")
        [1]
        """
        if word in self.labels:
            return [self.labels.index(word)]
        wanted, whole = word.strip(), self.text
        if len(whole.casefold()) == len(whole):
            wanted, whole = wanted.casefold(), whole.casefold()
        places = _places(wanted, whole)
        found = [
            i
            for i, (start, end) in enumerate(self.spans)
            if start < end and any(start < place + len(wanted) and place < end for place in places)
        ]
        if not found:
            raise ValueError(f"Got word={word!r}, which is not in the text; its tokens are {' '.join(self.labels)}.")
        return found

    def _chosen(self, what: str, number: int | None, count: int) -> slice:
        if number is None:
            return slice(None)
        if number not in range(1, count + 1):
            known = f"{self.model} has the {what}s 1 to {count}"
            raise ValueError(f"Got {what}={number}, but {known}; without a number it is their average.")
        return slice(number - 1, number)


def _places(wanted: str, whole: str) -> list[int]:
    """Return where `wanted` begins: as a whole word if there is one, else anywhere, as scripts without spaces need."""
    n = len(wanted)
    starts = [i for i in range(len(whole)) if wanted and whole.startswith(wanted, i)]
    alone = [i for i in starts if not whole[i - 1 : i].isalnum() and not whole[i + n : i + n + 1].isalnum()]
    return alone or starts


def moved(differences: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of a word's attention that moves elsewhere from one layer to the next.

    It is the total variation distance, half the sum of the absolute differences: 0 if nothing moves, 1 if everything.

    Parameters
    ----------
    differences : DataFrame
        From `AttentionMap.layer_differences`.
    """
    return differences.abs().sum(axis=1) / 2


def attention_map(text: str, model: str | Path = BUNDLED, revision: str | None = None) -> AttentionMap:
    """Return the attention weights of a text in an encoder (BERT kind) or a causal model (GPT-2 kind).

    Parameters
    ----------
    text : str
        At least one word.
    model : str or Path, default="bundled"
        "bundled", a directory, or a name on the hub, as in `pipeline.encoder.load_encoder`; "bundled-llm", a causal
        model that reads many languages (Gemma 3 with 270 million parameters, from the extra `peers`, a minute to
        load); or the path of a GGUF file.
    revision : str, optional
        Commit on the hub.

    Raises
    ------
    ValueError
        If the text is empty, too long or not Unicode, or the model cannot be loaded or has no token x token weights.
    OSError
        If the model is not to be had.
    ImportError
        If the extra `encoder` is not installed, or `peers` for a GGUF file.

    Examples
    --------
    >>> attention = attention_map("The dog chased the cat")
    >>> attention.labels
    ['[CLS]', 'The', 'dog', 'chased', 'the', 'cat', '[SEP]']
    >>> attention.weights.shape
    (6, 12, 7, 7)
    """
    check_text(text)
    check_extra("attention_map")
    from pipeline.encoder.probe import check_attention
    from pipeline.encoder.spans import token_spans

    model = str(model)
    tokenizer, network = _open_network(model, revision)
    check_attention(tokenizer, network, model)
    encoding = tokenizer(text, return_offsets_mapping=tokenizer.is_fast, verbose=False)
    numbers = list(encoding["input_ids"])
    limit = longest(tokenizer, network.config)
    if not 0 < len(numbers) <= limit:
        raise ValueError(f"The text has {len(numbers)} tokens, but 1 to {limit} are needed with {model}: shorten it.")
    spans = token_spans(tokenizer, text, encoding)
    tokens = readable(tokenizer.convert_ids_to_tokens(numbers), spans, text)
    named = zip(tokens, numbers, spans, strict=True)
    unknown = [token for token, number, (start, end) in named if number == tokenizer.unk_token_id and start < end]
    marks = set(tokenizer.all_special_ids) - ({tokenizer.unk_token_id} if unknown else set())
    special = tuple(i for i, number in enumerate(numbers) if number in marks)
    names = [name for name in tokenizer.model_input_names if name in encoding]
    weights = _weights(network, {name: encoding[name] for name in names}, len(numbers), model)
    return AttentionMap(text, tokens, spans, weights, model, tuple(dict.fromkeys(unknown)), special)


def _open_network(model: str, revision: str | None) -> Any:
    """Return tokenizer and network; those of a GGUF file are taken from below its head, which `next_tokens` shares."""
    if model == BUNDLED_LLM or is_gguf(model):
        tokenizer, network = open_causal(model, revision)
        return tokenizer, network.base_model
    return load_network(model, revision)


def open_causal(model: str | Path, revision: str | None) -> Any:
    """Return tokenizer and network of a causal model, its head included.

    Raises
    ------
    ValueError
        If it predicts no next token, or cannot be loaded.
    """
    from pipeline.llm import models

    source: str | Path = model
    if model == BUNDLED_LLM:
        source = models.model_path(models.BUNDLED, None)
    elif is_gguf(model):
        source = models.model_path(model, revision)
    try:
        return load_causal(source, revision)
    except NoHeadError as error:
        raise ValueError(no_next_token(model, str(error))) from None


def no_next_token(model: str | Path, why: str) -> str:
    """Return the line that names a model and why it cannot go on with a text."""
    return f"{model} predicts no next token: {why}; use a causal model, such as GPT-2 or {BUNDLED_LLM}."


def check_text(text: str) -> None:
    if not text.strip():
        raise ValueError(f"Got the text {text!r}: give at least one word.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"{text[error.start]!r} in the text, half of a surrogate pair, which is no character"
        raise ValueError(f"Got {half}: leave it out.") from None


def longest(tokenizer: Any, config: Any) -> int:
    positions = getattr(config, "max_position_embeddings", None)
    known = [limit for limit in (tokenizer.model_max_length, positions) if isinstance(limit, int) and limit > 0]
    return min([_MAX_TOKENS, *known])


def _weights(network: Any, inputs: dict[str, list[int]], n_tokens: int, model: str) -> npt.NDArray[np.float32]:
    """Run one forward pass and return the weights that the eager implementation hands out."""
    import torch

    from pipeline.encoder.probe import FAILURES, attention_error, attention_fault, named, read_by

    try:
        with torch.inference_mode():
            tensors = read_by(network, {name: torch.tensor([values]) for name, values in inputs.items()})
            attentions = network(**tensors, output_attentions=True, return_dict=True).attentions
    except FAILURES as error:
        raise ValueError(f"{model}: {named(network)} cannot read a text: {first_line(error)}") from None
    if fault := attention_fault(network.config, attentions, n_tokens):
        raise ValueError(attention_error(network, fault, model))
    if len({layer.shape[1] for layer in attentions}) != 1:
        raise ValueError(f"{model}: {named(network)} has other numbers of heads in other layers: use another model.")
    weights: npt.NDArray[np.float32] = torch.cat(list(attentions)).float().numpy()
    return weights
