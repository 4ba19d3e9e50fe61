"""The encoder on OpenVINO: compiled from the torch module that is the reference, in float32, bfloat16 or int8.

Imported where it is asked for, since it imports OpenVINO.
"""

import contextlib
import io
import logging
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import count_layers
from pipeline.encoder.load import quiet_transformers
from pipeline.encoder.trunk import Forward, Seen, make_trunk, model_inputs
from pipeline.errors import needs_extra

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Where this package is missing, neither OpenVINO nor nncf reports its use to its makers.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
with needs_extra("backend='openvino'", "openvino"):
    import openvino

# What is left in floating point by int8: softmax, norms, activations.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}
# Models stay as long as their encoder: compiling takes seconds, quantising many. Of each precision there is the last
# backend with its models, since with int8 every calibration would leave a copy of the weights.
_MODELS: "weakref.WeakKeyDictionary[SentenceTransformer, dict[str, tuple[Backend, dict[Any, Any]]]]"
_MODELS = weakref.WeakKeyDictionary()
# Of each encoder the models with the states of all layers, by the layers whose attention is computed: tracing takes
# longer than compiling the part that is asked for.
_WHOLE: "weakref.WeakKeyDictionary[SentenceTransformer, dict[frozenset[int], Any]]" = weakref.WeakKeyDictionary()
# How often each of its weights was changed.
_VERSIONS: "weakref.WeakKeyDictionary[SentenceTransformer, tuple[int, ...]]" = weakref.WeakKeyDictionary()


def make_forward(encoder: "SentenceTransformer", layers: set[int], attention: set[int], backend: Backend) -> Forward:
    """Return what runs batches of inputs on OpenVINO, as many at a time as there are cores."""
    # As many threads as torch would take: one in a worker beside others.
    n_threads = torch.get_num_threads()
    _forget_changed(encoder)
    models, key = _models(encoder, backend), (frozenset(layers), frozenset(attention), n_threads)
    if key not in models:
        models[key] = _compile(encoder, layers, attention, backend, n_threads)
    model = models[key]

    def forward(batches: Iterable[dict[str, Tensor]]) -> Iterator[Seen]:
        idle = [model.create_infer_request() for _ in range(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))]
        running: deque[Any] = deque()
        for inputs in batches:
            if not idle:
                yield _wait(running, idle, encoder.device)
            request = idle.pop()
            request.start_async({name: tensor.cpu().numpy() for name, tensor in inputs.items()}, share_inputs=False)
            running.append((request, inputs["attention_mask"].cpu()))
        while running:
            yield _wait(running, idle, encoder.device)

    return forward


def computes_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 as such; where it does not, it is no faster."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _forget_changed(encoder: "SentenceTransformer") -> None:
    """Forget the models of an encoder whose weights were changed in place: they hold those from before."""
    versions = tuple(tensor._version for tensor in encoder.state_dict().values())
    if _VERSIONS.setdefault(encoder, versions) != versions:
        _MODELS.pop(encoder, None)
        _WHOLE.pop(encoder, None)
        _VERSIONS[encoder] = versions


def _models(encoder: "SentenceTransformer", backend: Backend) -> dict[Any, Any]:
    """Return the models that were made for a backend, to be added to."""
    last = _MODELS.setdefault(encoder, {})
    if backend.precision not in last or last[backend.precision][0] != backend:
        last[backend.precision] = backend, {}
    return last[backend.precision][1]


def _wait(running: "deque[Any]", idle: list[Any], device: torch.device) -> Seen:
    """Return the results of the request that began first, which is then idle, on the encoder's device."""
    (request, mask), seen = running.popleft(), Seen({}, {}, {})
    request.wait()
    empty = ~mask.bool().any(dim=1)
    for output in request.model_outputs:
        kind, layer = output.any_name.split(".")
        values = torch.from_numpy(request.get_tensor(output).data.copy())
        # A softmax over no token at all is not a number: some tokenizers make none of an empty text.
        values[empty] = 0
        getattr(seen, kind)[int(layer)] = values.to(device)
    idle.append(request)
    return seen


def _compile(
    encoder: "SentenceTransformer", layers: set[int], attention: set[int], backend: Backend, n_threads: int
) -> Any:
    if backend.precision == "int8":
        models = _models(encoder, backend)
        if "quantised" not in models:
            models["quantised"] = _quantised(encoder, backend.calibration)
        whole = models["quantised"]
    else:
        traced, key = _WHOLE.setdefault(encoder, {}), frozenset(attention)
        if key not in traced:
            traced[key] = _converted(encoder, attention)
        whole = traced[key]
    outputs = [whole.output(name).get_node() for name in _outputs(layers, attention)]
    model = openvino.Model(outputs, whole.get_parameters())
    hints = {
        "INFERENCE_PRECISION_HINT": _HINTS[backend.precision],
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": n_threads,
    }
    return openvino.Core().compile_model(model, "CPU", hints)


def _outputs(layers: set[int], attention: set[int]) -> list[str]:
    kinds = {"states": layers, "received": attention, "first": attention}
    return [f"{kind}.{layer}" for kind, wanted in kinds.items() for layer in sorted(wanted)]


class _Flat(nn.Module):
    """A trunk with tensors in and tensors out: OpenVINO traces nothing else."""

    def __init__(self, trunk: nn.Module, inputs: list[str], outputs: list[str]):
        super().__init__()
        self.trunk, self.inputs = trunk, inputs
        self.outputs = [(kind, int(layer)) for kind, layer in (name.split(".") for name in outputs)]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        seen = self.trunk(dict(zip(self.inputs, tensors, strict=True)))
        return tuple(getattr(seen, kind)[layer] for kind, layer in self.outputs)


def _converted(encoder: "SentenceTransformer", attention: set[int]) -> Any:
    """Return the OpenVINO model of all layers, whose inputs and outputs bear names; every shape is dynamic."""
    layers = set(range(count_layers(encoder) + 1))
    outputs = _outputs(layers, attention)
    # One of the two is padded, so that the mask is part of what is traced.
    inputs = model_inputs(encoder, encoder.preprocess(["a b c d e f g", "h i"]))
    trunk = make_trunk(encoder, layers, attention, torch.float32, torch.device("cpu"))
    flat = _Flat(trunk, list(inputs), outputs)
    example = tuple(tensor.cpu() for tensor in inputs.values())
    with _quiet(), torch.no_grad():
        # Not checked by further passes: what is compiled is compared with torch.
        traced = torch.jit.trace(flat, example, check_trace=False)
        model = openvino.convert_model(traced, example_input=example)
    for port, name in zip([*model.inputs, *model.outputs], [*inputs, *outputs], strict=True):
        port.get_tensor().set_names({name})
    return model


def _quantised(encoder: "SentenceTransformer", texts: Sequence[str]) -> Any:
    """Return the whole model with 8-bit weights and products.

    All layers, whatever is asked for, so that no vector depends on what else is asked for.
    """
    with needs_extra("precision='int8'", "openvino"):
        import nncf
    model = _converted(encoder, set(range(1, count_layers(encoder) + 1)))
    inputs = (model_inputs(encoder, encoder.preprocess([text])) for text in texts)
    samples = [{name: tensor.cpu().numpy() for name, tensor in of_text.items()} for of_text in inputs]
    nncf.set_log_level(logging.ERROR)
    kind = nncf.ModelType.TRANSFORMER
    # In a long text most of a token's attention is less than a step of 8 bits: its sums stay as they are.
    sums = nncf.IgnoredScope(names=sorted(set(_sums_of_attention(model))))
    with _quiet():
        return nncf.quantize(
            model, nncf.Dataset(samples), model_type=kind, subset_size=len(samples), ignored_scope=sums
        )


def _sums_of_attention(model: Any) -> Iterator[str]:
    """Yield the names of the products that sum attention up, which stand before the outputs."""
    for output in model.outputs:
        node, is_states = output.get_node(), output.any_name.startswith("states")
        while not is_states and node.get_type_name() not in ("MatMul", "Parameter", "Constant"):
            node = node.input_value(0).get_node()
        if node.get_type_name() == "MatMul":
            yield node.get_friendly_name()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of a trace and the progress bars of the quantiser from the terminal."""
    root = logging.getLogger()
    level, handlers, filters = root.level, root.handlers[:], root.filters[:]
    try:
        with quiet_transformers(), warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        # A conversion that fails leaves the root logger as OpenVINO has set it.
        root.setLevel(level)
        root.handlers[:], root.filters[:] = handlers, filters
