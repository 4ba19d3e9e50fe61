"""What a model hands out, found out on two short texts: token states, attention, and whether padding changes them.

Imported where a model is about to run, since it imports torch.
"""

import copy
import inspect
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES

from pipeline.errors import first_line

# Of lengths that no tokenizer makes alike: weights as wide as a window may fit one of them, and one of them is padded.
PROBES = ("The food was good, the service was not, and we will never ever be back here again!", "Fine.")
# A model of one layer after another, fed with anything odd, raises one of these.
FAILURES = (
    AttributeError,
    AssertionError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
_USE_STATES = "use SentenceEmbedding with it."
_USE_ATTENTION = "an encoder or a causal model, such as BERT or GPT-2."


class Traits(NamedTuple):
    """What a transformer hands out.

    Attributes
    ----------
    states : str
        Why it has no token states; empty where it has.
    attention : str
        Why it has no attention of every token to every token; empty where it has.
    alone : frozenset of int
        Layers in which the first token sees nothing but itself, as in a causal model.
    reads_padding : bool
        Whether padding changes the states of the tokens beside it.
    """

    states: str
    attention: str
    alone: frozenset[int]
    reads_padding: bool


def attention_fault(config: Any, attentions: Any, n_tokens: int) -> str:
    """Return why what a model hands out is no attention of every token to every token; "" where it is.

    Parameters
    ----------
    config : PretrainedConfig
    attentions : sequence of Tensor of shape (batch, heads, queries, keys)
        The model's output of that name.
    n_tokens : int
        Of the text, which is alone in its batch.
    """
    if fault := _known_fault(config):
        return fault
    layers = list(attentions) if isinstance(attentions, tuple | list) else []
    if not layers or not all(torch.is_tensor(layer) for layer in layers):
        return "hands out no token x token weights"
    n_layers = config.get_text_config().num_hidden_layers
    if len(layers) != n_layers:
        return f"hands out no token x token weights in every layer, but in {len(layers)} of {n_layers}"
    for shape in (tuple(layer.shape) for layer in layers):
        if len(shape) != 4 or shape[2:] != (n_tokens, n_tokens):
            return f"hands out no token x token weights in every layer: {n_tokens} tokens have the shape {shape}"
    return _value_fault(layers)


def _known_fault(config: Any) -> str:
    if config.is_encoder_decoder or config.model_type in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return "is an encoder-decoder"
    if getattr(config, "attention_type", None) == "block_sparse":
        return "attends to some blocks of a long text, not to all of it"
    return ""


def _value_fault(layers: Sequence[Tensor]) -> str:
    weights = [layer.float() for layer in layers]
    if not all(bool(each.isfinite().all()) for each in weights):
        return "hands out attention weights that are not finite: its weights are damaged"
    if lowest := min(0.0, *(float(each.min()) for each in weights)):
        return f"hands out scores, not weights: the lowest is {lowest:.2g}, and attention is never negative"
    sums = torch.cat([each.sum(dim=-1).flatten() for each in weights])
    furthest = float(sums[(sums - 1).abs().argmax()])
    if abs(furthest - 1) > 1e-2:
        return f"hands out weights of which a token's sum to {furthest:.2g}, and attention sums to 1"
    return ""


def named(transformer: Any) -> str:
    """Return type and class of a model, as messages name it."""
    return f"{transformer.config.model_type} ({type(transformer).__name__})"


def check_attention(tokenizer: Any, transformer: Any, model: str = "") -> None:
    """Refuse a model whose attention is none, on any text.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    transformer : PreTrainedModel
    model : str, optional
        Its name, for the error.

    Raises
    ------
    ValueError
        In one line.
    """
    if fault := traits(tokenizer, transformer).attention:
        raise ValueError(attention_error(transformer, fault, model))


def attention_error(transformer: Any, fault: str, model: str = "") -> str:
    """Return the line that names a model and why its attention is none."""
    use = f"use {_USE_ATTENTION}" if model else f"use weights='uniform', or {_USE_ATTENTION}"
    return f"{f'{model}: ' if model else ''}{named(transformer)} {fault}: {use}"


def check_states(tokenizer: Any, transformer: Any) -> None:
    """Refuse a model that does not have a state for every token in every layer.

    Raises
    ------
    ValueError
        In one line.
    """
    if fault := traits(tokenizer, transformer).states:
        raise ValueError(f"{named(transformer)} {fault}: {_USE_STATES}")


_TRAITS: "weakref.WeakKeyDictionary[Any, Traits]" = weakref.WeakKeyDictionary()


def traits(tokenizer: Any, transformer: Any) -> Traits:
    """Return what a transformer hands out; it runs once for each of two short texts, and is left as it is."""
    if transformer not in _TRAITS:
        _TRAITS[transformer] = _found_out(tokenizer, transformer)
    return _TRAITS[transformer]


@torch.inference_mode()
def _found_out(tokenizer: Any, transformer: Any) -> Traits:
    model = shared_copy(transformer).eval()
    try:
        model.set_attn_implementation("eager")
        inputs = [_encoded(tokenizer, text, model) for text in PROBES]
        outputs = [run_whole(model, each) for each in inputs]
    except FAILURES as error:
        fault = _known_fault(model.config) or f"cannot read a text ({first_line(error)})"
        return Traits(fault, fault, frozenset(), reads_padding=False)
    lengths = [each["input_ids"].shape[1] for each in inputs]
    pairs = list(zip(outputs, lengths, strict=True))
    states = next(filter(None, (_states_fault(model.config, output, n) for output, n in pairs)), "")
    faults = (attention_fault(model.config, getattr(output, "attentions", None), n) for output, n in pairs)
    attention = next(filter(None, faults), "")
    layers = () if attention or lengths[0] == 1 else outputs[0].attentions
    alone = frozenset(i for i, layer in enumerate(layers, start=1) if not layer[0, :, 0, 1:].any())
    reads_padding = not states and _reads_padding(model, tokenizer.pad_token_id or 0, inputs, outputs)
    return Traits(states, attention, alone, reads_padding)


def _encoded(tokenizer: Any, text: str, model: Any) -> dict[str, Tensor]:
    encoding = tokenizer(text, truncation=True, max_length=min(tokenizer.model_max_length, 64), return_tensors="pt")
    known = {name: encoding[name].to(model.device) for name in tokenizer.model_input_names if name in encoding}
    return read_by(model, known)


def read_by(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs that a model's forward pass takes."""
    parameters = inspect.signature(model.forward).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return dict(inputs)
    return {name: value for name, value in inputs.items() if name in parameters}


def run_whole(model: Any, inputs: Mapping[str, Tensor]) -> Any:
    """Return the output of all layers with states and attention."""
    return model(**inputs, output_hidden_states=True, output_attentions=True, return_dict=True)


def _states_fault(config: Any, output: Any, n_tokens: int) -> str:
    states, n_layers = getattr(output, "hidden_states", None), config.get_text_config().num_hidden_layers
    if config.is_encoder_decoder:
        return "is an encoder-decoder"
    if not isinstance(states, tuple | list) or len(states) != n_layers + 1:
        return "hands out no token states of every layer"
    shapes = {tuple(each.shape[:2]) for each in states if torch.is_tensor(each)}
    return "" if shapes == {(1, n_tokens)} else f"has no state for each token: {n_tokens} tokens have {sorted(shapes)}"


def _reads_padding(model: Any, padding: int, inputs: Sequence[dict[str, Tensor]], outputs: Sequence[Any]) -> bool:
    """Return whether the shorter text has other states where the model is given padding after it."""
    (longer, shorter), n = inputs, inputs[1]["input_ids"].shape[1]
    n_padding = longer["input_ids"].shape[1] - n
    padded = {
        name: torch.nn.functional.pad(value, (0, n_padding), value=padding if name == "input_ids" else 0)
        for name, value in shorter.items()
    }
    try:
        beside = model(**padded, return_dict=True)
    except FAILURES:
        return True
    expected = outputs[1].last_hidden_state[0]
    return not torch.allclose(beside.last_hidden_state[0, :n], expected, rtol=1e-4, atol=1e-4)


def shared_copy(transformer: Any) -> Any:
    """Return a copy of modules and configuration that shares the weights."""
    weights = [*transformer.parameters(), *transformer.buffers()]
    return copy.deepcopy(transformer, {id(weight): weight for weight in weights})
