"""From the states of a text's tokens to one vector."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from pipeline.digest import value_digest
from pipeline.encoder.layers import check_layer, sentence_size, state_size

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from pipeline.encoder.batches import TokenBatch

_WEIGHTS = ("sentence", "uniform", "received", "cls")


class TokenPooling(ABC):
    """How the token states of a batch become one vector per text: what `encode` takes a list of.

    A subclass is a dataclass whose fields say everything about it: they go into the key of cached shards. One of them
    is `layer`: 0 for the input embeddings, 1 for the first layer's output and so on; negative values count from the
    end.

    Attributes
    ----------
    layer : int
        Whose states, and attention, `pool` reads.
    sets : sequence of int, optional
        Texts with the same words but another set are pooled apart: one number per text, where `pool` looks up
        `sets[row]`.

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
    sets: Sequence[int] | None = None

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
        """Return the number of dimensions of a pooled vector: that of a token state unless a subclass says otherwise.

        Raises
        ------
        ValueError
            If the encoder does not have the layer, or has no token states at all.
        """
        check_layer(encoder, self.layer, lowest=1 if self.attention else 0)
        return state_size(encoder)

    def digest(self) -> str:
        """Return the sha256 of the class, its code and its fields; arrays count with type, shape and content."""
        content = [
            (field.name, _content(getattr(self, field.name)))
            for field in fields(self)  # type: ignore[arg-type]
            if field.name != "sets"
        ]
        return value_digest([_code(kind) for kind in type(self).__mro__ if issubclass(kind, TokenPooling)], content)


def _code(kind: type) -> list[str]:
    """Return what tells a class from others of its name, its source where it has one: not if typed at a prompt."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = ""
    return [kind.__module__, kind.__qualname__, source]


def _content(value: object) -> object:
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return [str(array.dtype), array.shape, array.tobytes().hex()]
    return value


@dataclass(frozen=True)
class Pooling(TokenPooling):
    r"""The weighted mean of token states :math:`\sum_k w_k h_k / \sum_k w_k`, or the encoder's own embedding.

    Parameters
    ----------
    weights : {"sentence", "uniform", "received", "cls"}
        "sentence" is the encoder's own sentence embedding; the others weigh the token states of `layer`: all the same,
        by the attention that a token receives, or by the attention that the first token pays to it.
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

    weights: str
    layer: int = -1

    def __post_init__(self) -> None:
        if self.weights not in _WEIGHTS:
            raise ValueError(f"Got weights={self.weights!r}, expected one of {', '.join(_WEIGHTS)}.")

    @property
    def attention(self) -> bool:
        """Whether the weights are attention."""
        return self.weights in ("received", "cls")

    @property
    def sentence(self) -> bool:
        """Whether it is the encoder's own embedding."""
        return self.weights == "sentence"

    def size(self, encoder: "SentenceTransformer") -> int:
        """Return the number of dimensions of a pooled vector."""
        if self.sentence:
            return sentence_size(encoder)
        check_layer(encoder, self.layer, lowest=1 if self.attention else 0, weights=self.weights)
        return state_size(encoder)

    def pool(self, batch: "TokenBatch") -> "Tensor":
        """Return the weighted means, or the embeddings."""
        if self.sentence:
            assert batch.sentence is not None  # noqa: S101 - for mypy
            return batch.sentence
        return weighted_mean(batch.states[self.layer], self.token_weights(batch)[:, :, 0])

    def token_weights(self, batch: "TokenBatch") -> "Tensor":
        """Return the weights of shape (batch, tokens, 1); over the tokens of a text they sum to 1."""
        weights = {"uniform": {self.layer: batch.mask}, "received": batch.received, "cls": batch.first}[self.weights]
        own = weights[self.layer].float()
        return (own / own.sum(dim=1, keepdim=True).clamp_min(1e-9))[:, :, None]


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
