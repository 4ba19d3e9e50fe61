"""A transformer up to the highest layer that is needed: its token states, and its attention already summed up.

Imported where a forward pass begins, since it imports torch.
"""

import copy
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import count_layers, transformer_of
from pipeline.encoder.probe import FAILURES, read_by, shared_copy

_SUMMED = "summed_attention"


class Seen(NamedTuple):
    """What a forward pass has seen, by layer: token states, attention received, attention of the first token."""

    states: dict[int, Tensor]
    received: dict[int, Tensor]
    first: dict[int, Tensor]


Forward = Callable[[Iterable[dict[str, Tensor]]], Iterator[Seen]]


class _Trunk(nn.Module):
    """A transformer that shares its weights with the given one, without the layers above the highest one needed.

    Parameters
    ----------
    transformer : PreTrainedModel
        Left as it is.
    layers : set of int
        Whose states are wanted; 0 is the input embeddings.
    attention : set of int
        Whose attention is wanted; only there are the weights of all pairs of tokens computed, and not kept.
    """

    def __init__(self, transformer: Any, layers: set[int], attention: set[int]):
        super().__init__()
        self.layers, self.n_layers = layers, transformer.config.num_hidden_layers
        self.model = shared_copy(transformer)
        self.model.set_attn_implementation(_SUMMED)
        blocks = _blocks(self.model)
        del blocks[max(1, *layers, *attention) :]
        self.model.config.num_hidden_layers = len(blocks)
        blocks[0].register_forward_pre_hook(self._keep_input, with_kwargs=True)
        for layer, block in enumerate(blocks, start=1):
            block.register_forward_hook(lambda _module, _args, output, layer=layer: self._keep(layer, output))
            for module in block.modules():
                module.summed_into = (self, layer) if layer in attention else None  # type: ignore[assignment]

    def forward(self, inputs: dict[str, Tensor]) -> Seen:
        """Run a batch, given as the transformer's inputs."""
        mask = inputs["attention_mask"]
        real = mask.float()
        # The first token that is no padding: some tokenizers pad on the left.
        self.queries = torch.stack([real, real * (real.cumsum(dim=1) == 1)], dim=1)
        self.seen = Seen({}, {}, {})
        output = self.model(**read_by(self.model, inputs), return_dict=True)
        if self.n_layers in self.layers:
            # A model may end in a norm, which only its output has passed.
            self.seen.states[self.n_layers] = output.last_hidden_state
        return self.seen

    def _keep_input(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if 0 in self.layers:
            self.seen.states[0] = args[0] if args else kwargs["hidden_states"]

    def _keep(self, layer: int, output: Any) -> None:
        if layer in self.layers:
            self.seen.states[layer] = output[0] if isinstance(output, tuple | list) else output

    def sum_up(self, layer: int, weights: Tensor) -> None:
        """Keep what each token receives, and what the first one pays, as means over the heads."""
        real, _ = self.queries.unbind(dim=1)
        sums = (self.queries[:, None].to(weights.dtype) @ weights).mean(dim=1).float() * real[:, None]
        self.seen.received[layer], self.seen.first[layer] = sums.unbind(dim=1)


class _WholeModel(nn.Module):
    """A transformer that `_Trunk` does not know how to cut: all layers run, and all attention is kept."""

    def __init__(self, transformer: Any, layers: set[int], attention: set[int]):
        super().__init__()
        self.layers, self.attention = layers, attention
        self.model = shared_copy(transformer)
        self.model.set_attn_implementation("eager")

    def forward(self, inputs: dict[str, Tensor]) -> Seen:
        """Run a batch, given as the transformer's inputs."""
        wanted = {"output_hidden_states": True, "output_attentions": bool(self.attention)}
        output = self.model(**read_by(self.model, inputs), **wanted, return_dict=True)
        real = inputs["attention_mask"].float()
        first = real * (real.cumsum(dim=1) == 1)
        seen = Seen({layer: output.hidden_states[layer] for layer in self.layers}, {}, {})
        for layer in self.attention:
            mean = output.attentions[layer - 1].float().mean(dim=1)
            seen.received[layer] = (real[:, :, None] * mean).sum(dim=1) * real
            seen.first[layer] = (first[:, :, None] * mean).sum(dim=1) * real
        return seen


def make_forward(encoder: SentenceTransformer, layers: set[int], attention: set[int], backend: Backend) -> Forward:
    """Return what runs batches of inputs with torch, and yields in their order what was seen of each."""
    trunk = make_trunk(encoder, layers, attention, getattr(torch, backend.precision), encoder.device)

    def forward(batches: Iterable[dict[str, Tensor]]) -> Iterator[Seen]:
        for inputs in batches:
            # Around the call alone: what the caller does between two batches is not this function's to decide.
            with torch.inference_mode():
                seen = trunk(inputs)
            yield seen

    return forward


def make_trunk(
    encoder: SentenceTransformer, layers: set[int], attention: set[int], dtype: torch.dtype, device: torch.device
) -> nn.Module:
    """Return the encoder's transformer up to the highest layer needed; as the encoder is, it shares the weights."""
    kind, transformer = _Trunk if _can_be_cut(encoder) else _WholeModel, transformer_of(encoder)
    if dtype != torch.float32 or device != encoder.device:
        # `to` would change the weights of whoever shares them.
        transformer = copy.deepcopy(transformer).to(device, dtype)
    return kind(transformer, layers, attention).eval()


_CAN_BE_CUT: "weakref.WeakKeyDictionary[SentenceTransformer, bool]" = weakref.WeakKeyDictionary()


def _can_be_cut(encoder: SentenceTransformer) -> bool:
    """Return whether `_Trunk` gives what the whole transformer gives, on two texts of which one is padded."""
    if encoder not in _CAN_BE_CUT:
        _CAN_BE_CUT[encoder] = _agree(encoder)
    return _CAN_BE_CUT[encoder]


@torch.inference_mode()
def _agree(encoder: SentenceTransformer) -> bool:
    transformer, n_layers = transformer_of(encoder), count_layers(encoder)
    inputs = model_inputs(encoder, encoder.preprocess(["a b c d e f g", "h i"]))
    layers = set(range(n_layers + 1))
    try:
        whole = _WholeModel(transformer, layers, layers - {0}).eval()(inputs)
        cut = [_Trunk(transformer, {n}, {n} - {0}).eval()(inputs) for n in layers]
    except FAILURES:
        return False
    real = inputs["attention_mask"].bool()
    return all(
        n in seen and seen[n].shape == expected.shape and torch.allclose(seen[n][real], expected[real], atol=1e-4)
        for i in range(3)
        for n, expected in whole[i].items()
        for seen in [cut[n][i]]
    )


def model_inputs(encoder: SentenceTransformer, features: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tokenizer's outputs that the transformer reads, and the mask, on the encoder's device."""
    names = dict.fromkeys([*encoder.tokenizer.model_input_names, "attention_mask"])
    return {name: features[name].to(encoder.device) for name in names if name in features}


def _blocks(transformer: Any) -> nn.ModuleList:
    n_layers = transformer.config.num_hidden_layers
    for module in transformer.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return module
    raise ValueError(f"{type(transformer).__name__} has no list of {n_layers} layers.")


def _summed_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Sum the attention weights up in the layers where they are wanted; elsewhere never compute them as such."""
    wanted: Any = module.summed_into
    if wanted is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    trunk, layer = wanted
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        lowest = torch.finfo(query.dtype).min
        attention_mask = torch.zeros_like(attention_mask, dtype=query.dtype).masked_fill(~attention_mask, lowest)
    # By architecture: some cap or bias their scores.
    eager = sys.modules[type(module).__module__].eager_attention_forward
    output, weights = eager(module, query, key, value, attention_mask, **kwargs)
    trunk.sum_up(layer, weights)
    return output, None


def _whole_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    # SDPA can do without a causal mask, which is then lost on the layers that compute their weights.
    return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})


AttentionInterface.register(_SUMMED, _summed_attention)
AttentionMaskInterface.register(_SUMMED, _whole_mask)
