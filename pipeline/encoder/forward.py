"""What runs a forward pass: torch, OpenVINO, or torch in place of an OpenVINO that cannot run the model.

Imported where a forward pass begins, since it imports torch.
"""

import logging
import weakref
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from pipeline.encoder import trunk
from pipeline.encoder.backend import Backend
from pipeline.encoder.layers import transformer_of
from pipeline.encoder.probe import PROBES, named
from pipeline.encoder.trunk import Forward, Seen, model_inputs
from pipeline.errors import first_line

logger = logging.getLogger(__name__)

# How far the largest difference from torch may be, of the largest value.
_TOLERANCES = {"float32": 1e-3, "bfloat16": 0.1}
# Of each encoder, what was tried: why OpenVINO cannot run it, "" where it can.
_FAULTS: "weakref.WeakKeyDictionary[SentenceTransformer, dict[Any, str]]" = weakref.WeakKeyDictionary()


def make_forward(encoder: SentenceTransformer, layers: set[int], attention: set[int], backend: Backend) -> Forward:
    """Return what runs batches of inputs, and yields in their order what was seen of each.

    Parameters
    ----------
    encoder : SentenceTransformer
    layers : set of int
        Whose states are wanted; 0 is the input embeddings.
    attention : set of int
        Whose attention is wanted.
    backend : Backend
        With its `or_torch`, torch runs what OpenVINO cannot convert, or runs otherwise than torch: two short texts are
        run by both.

    Raises
    ------
    ImportError
        If the backend is not installed, and torch may not stand in for it.
    """
    if backend.name == "torch":
        return trunk.make_forward(encoder, layers, attention, backend)
    if backend.or_torch:
        faults = _FAULTS.setdefault(encoder, {})
        key = frozenset(layers), frozenset(attention), backend.precision
        if key not in faults:
            faults[key] = _fault(encoder, layers, attention, backend)
            if faults[key]:
                what = named(transformer_of(encoder))
                logger.info("%s: torch runs it, since OpenVINO cannot (%s)", what, faults[key])
        if faults[key]:
            return trunk.make_forward(encoder, layers, attention, Backend("torch", backend.precision))
    from pipeline.encoder import openvino

    return openvino.make_forward(encoder, layers, attention, backend)


def _fault(encoder: SentenceTransformer, layers: set[int], attention: set[int], backend: Backend) -> str:
    """Return why OpenVINO does not run a model as torch does; "" where it does."""
    probes = [model_inputs(encoder, encoder.preprocess(list(texts))) for texts in (PROBES, PROBES[1:])]
    try:
        from pipeline.encoder import openvino

        actual = list(openvino.make_forward(encoder, layers, attention, backend)(probes))
    # Whatever OpenVINO raises about a model that it does not know: torch does.
    except Exception as error:
        return first_line(error)
    expected = trunk.make_forward(encoder, layers, attention, Backend())(probes)
    same = all(
        _agree(a, b, inputs["attention_mask"].bool(), _TOLERANCES[backend.precision])
        for a, b, inputs in zip(actual, expected, probes, strict=True)
    )
    return "" if same else "its numbers differ"


def _agree(actual: Seen, expected: Seen, real: Tensor, tolerance: float) -> bool:
    """Return whether two passes saw the same of all tokens but padding."""
    for of_kind, reference in zip(actual, expected, strict=True):
        for layer, values in reference.items():
            a, b = of_kind[layer][real].float(), values[real].float()
            if a.shape != b.shape or not torch.allclose(a, b, rtol=0, atol=tolerance * float(b.abs().max())):
                return False
    return True
