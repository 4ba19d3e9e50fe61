"""The forward pass of an encoder as one function, whatever backend runs it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pipeline.encoder.backend import Backend, Precision

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from pipeline.encoder.trunk import Forward, Seen


def make_forward(encoder: "SentenceTransformer", layers: set[int], attention: set[int], backend: Backend) -> "Forward":
    """Return what runs batches of inputs and yields, in their order, what was seen of each."""
    if backend.name == "torch":
        return _torch_forward(encoder, layers, attention, backend.precision)
    from pipeline.encoder.openvino import openvino_forward

    return openvino_forward(encoder, layers, attention, backend)


def _torch_forward(
    encoder: "SentenceTransformer", layers: set[int], attention: set[int], precision: Precision
) -> "Forward":
    import torch

    from pipeline.encoder.trunk import make_trunk

    trunk = make_trunk(encoder, layers, attention, getattr(torch, precision))

    def forward(batches: "Iterable[dict[str, Tensor]]") -> "Iterator[Seen]":
        for inputs in batches:
            # Around the call alone: what the caller does between two batches is not this function's to decide.
            with torch.inference_mode():
                seen = trunk(inputs)
            yield seen

    return forward
