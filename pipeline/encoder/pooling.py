"""From the states of a text's tokens to one vector."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pipeline.digest import value_digest, without_words
from pipeline.encoder.layers import check_layer, check_tokens, sentence_size, state_size

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from pipeline.encoder.batches import TokenBatch

Weights = Literal["sentence", "uniform", "received", "cls"]


class TokenPooling(ABC):
    """How the token states of a batch become one vector per text: what `encode` takes a list of.

    A subclass is a dataclass whose fields say everything about it: they go into the key of cached shards. One of them
    is `layer`: 0 for the input embeddings, 1 for the first layer's output and so on; negative values count from the
    end.

    Attributes
    ----------
    layer : int
        Whose states, and attention, `pool` reads.
    query_set : sequence of int, optional
        Query index of each text; duplicates are merged only within a set.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import torch
    >>> from pipeline.encoder import TokenPooling, encode, load_encoder
    >>> @dataclass(frozen=True)
    ... class Largest(TokenPooling):
    ...     layer: int
    ...     def pool(self, batch):
    ...         return batch.states[self.layer].masked_fill(batch.mask[:, :, None] == 0, -torch.inf).amax(dim=1)
    >>> encode(load_encoder(), ["The ramen was superb."], [Largest(layer=3)])[0].shape
    (1, 384)
    """

    layer: int
    query_set: Sequence[int] | None = None

    @property
    def attention(self) -> bool:
        """Whether `pool` reads attention: `TokenBatch.received` or `TokenBatch.first`."""
        return False

    @property
    def sentence(self) -> bool:
        """Whether `pool` reads `TokenBatch.sentence` instead of token states."""
        return False

    @abstractmethod
    def pool(self, batch: "TokenBatch") -> "Tensor":
        """Return one vector per text of the batch, of shape (batch, `size`)."""

    def size(self, encoder: "SentenceTransformer") -> int:
        """Return the number of dimensions of a pooled vector: those of a token state, unless a subclass has others.

        Raises
        ------
        ValueError
            If the encoder does not have the layer, has no token states at all, or hands out as attention what is none.
        """
        check_layer(encoder, self.layer, lowest=1 if self.attention else 0)
        check_tokens(encoder, self.attention)
        return state_size(encoder)

    def digest(self) -> str:
        """Return the sha256 of the class, its code without docstrings and comments, and its fields.

        Arrays count with type, shape and content.
        """
        named = ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        content = [(name, _content(value)) for name, value in named if name != "query_set"]
        return value_digest([_code(kind) for kind in type(self).__mro__ if issubclass(kind, TokenPooling)], content)


def _code(kind: type) -> list[str]:
    """Return module, name and code of a class; a class that was typed at a prompt has no source to read."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        return [kind.__module__, kind.__qualname__]
    # A class inside a function is indented, the lines of its strings need not be.
    return [kind.__module__, kind.__qualname__, without_words(f"if True:\n{source}" if source[0].isspace() else source)]


def _content(value: object) -> object:
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return [str(array.dtype), array.shape, array.tobytes().hex()]
    return value


@dataclass(frozen=True)
class Pooling(TokenPooling):
    r"""The weighted mean of token states :math:`\sum_k w_k h_k / \sum_k w_k`, or the encoder's sentence embedding.

    Parameters
    ----------
    weights : {"sentence", "uniform", "received", "cls"}
        "sentence" is the encoder's sentence embedding. The others weigh the token states of `layer`: all alike, by the
        attention that a token receives, or by the attention that the first token pays to it.
    layer : int, default=-1
        0 for the input embeddings, 1 for the first layer's output and so on; negative values count from the end.

    Raises
    ------
    ValueError
        If `weights` is none of these.

    Examples
    --------
    >>> from pipeline.encoder import Pooling, encode, load_encoder
    >>> poolings = [Pooling("sentence"), Pooling("received", layer=3)]
    >>> [array.shape for array in encode(load_encoder(), ["The ramen was superb."], poolings)]
    [(1, 384), (1, 384)]
    """

    weights: Weights
    layer: int = -1

    def __post_init__(self) -> None:
        if self.weights not in get_args(Weights):
            raise ValueError(f"Got weights={self.weights!r}, expected one of {', '.join(get_args(Weights))}.")

    @property
    def attention(self) -> bool:
        """Whether the weights are attention."""
        return self.weights in ("received", "cls")

    @property
    def sentence(self) -> bool:
        """Whether it is the encoder's sentence embedding."""
        return self.weights == "sentence"

    def size(self, encoder: "SentenceTransformer") -> int:
        """Return the number of dimensions of a pooled vector."""
        if self.sentence:
            return sentence_size(encoder)
        check_layer(encoder, self.layer, lowest=1 if self.attention else 0, weights=self.weights)
        check_tokens(encoder, self.attention)
        return state_size(encoder)

    def pool(self, batch: "TokenBatch") -> "Tensor":
        """Return the weighted means, or the embeddings."""
        if self.sentence:
            assert batch.sentence is not None  # noqa: S101 - for mypy
            return batch.sentence
        return weighted_mean(batch.states[self.layer], self.token_weights(batch)[:, :, 0])

    def token_weights(self, batch: "TokenBatch") -> "Tensor":
        """Return the weights of shape (batch, tokens, 1); over the tokens of a text they sum to 1."""
        of_layer = {"uniform": {self.layer: batch.mask}, "received": batch.received, "cls": batch.first}[self.weights]
        weights = of_layer[self.layer].float()
        return (weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9))[:, :, None]


def weighted_mean(states: "Tensor", weights: "Tensor") -> "Tensor":
    """Return the weighted mean of token states, in float32.

    Parameters
    ----------
    states : Tensor of shape (batch, tokens, dimensions)
        Output of a layer.
    weights : Tensor of shape (batch, tokens)
        Not negative; 0 for padding. They need not sum to 1; where all are 0, so is the mean.

    Returns
    -------
    Tensor of shape (batch, dimensions)

    Examples
    --------
    >>> import torch
    >>> weighted_mean(torch.tensor([[[1.0, 0.0], [5.0, 4.0]]]), torch.tensor([[3.0, 1.0]])).tolist()
    [[2.0, 1.0]]
    """
    total = weights.float().sum(dim=1, keepdim=True).clamp_min(1e-9)
    return ((weights.float() / total)[:, None, :] @ states.float())[:, 0, :]
