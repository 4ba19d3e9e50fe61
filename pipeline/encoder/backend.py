"""What runs the forward pass: torch or OpenVINO, and in which precision."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.digest import value_digest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from pipeline.encoder.trunk import Seen

    Forward = Callable[[Iterable[dict[str, Tensor]]], Iterator[Seen]]

PRECISIONS = {"torch": ("float32", "bfloat16", "float16"), "openvino": ("float32", "bfloat16", "int8")}


@dataclass(frozen=True)
class Backend:
    """What computes, and in which precision.

    Parameters
    ----------
    name : {"torch", "openvino"}, default="torch"
        "torch" runs where the encoder is, on the CPU or a GPU; "openvino" runs on the CPU and needs the extra of that
        name.
    precision : {"float32", "bfloat16", "float16", "int8"}, default="float32"
        "float32" is the reference. "float16" is for torch, "int8" for OpenVINO.
    calibration : tuple of str, default=()
        With "int8": texts like those to come, such as 100 of the training texts, from which the ranges of the
        activations are learned. The same texts give the same vectors.

    Examples
    --------
    >>> from pipeline.encoder import Backend
    >>> Backend("openvino", "int8", calibration=("The ramen was superb.",)).precision
    'int8'
    """

    name: str = "torch"
    precision: str = "float32"
    calibration: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in PRECISIONS:
            raise ValueError(f"Got backend {self.name!r}, expected one of {', '.join(PRECISIONS)}.")
        if self.precision not in PRECISIONS[self.name]:
            known = ", ".join(PRECISIONS[self.name])
            raise ValueError(f"Got precision {self.precision!r}, expected one of {known} with {self.name}.")
        if (self.precision == "int8") != bool(self.calibration):
            raise ValueError(
                f"Got {len(self.calibration)} calibration texts with {self.precision}: "
                "int8 needs some, the others none."
            )

    def digest(self) -> str:
        """Return the sha256 of what decides on the numbers: name, precision, calibration texts, and whose code runs.

        Raises
        ------
        ImportError
            If the backend is not installed.
        """
        from importlib.metadata import version

        packages = {"torch", "transformers", self.name} | ({"nncf"} if self.precision == "int8" else set())
        with needs_extra():
            versions = {package: version(package) for package in packages}
        return value_digest(self.name, versions, self.precision, self.calibration)


@contextmanager
def needs_extra() -> Iterator[None]:
    """Say in one line how to get a package of the extra `openvino` that the block does not find."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{error}: pip install 't-method-vs-attention[openvino]'.") from None


def make_forward(encoder: "SentenceTransformer", layers: set[int], attention: set[int], backend: Backend) -> "Forward":
    """Return what runs batches of inputs and yields, in their order, what was seen of each."""
    if backend.name == "torch":
        return _torch_forward(encoder, layers, attention, backend.precision)
    from pipeline.encoder.openvino import openvino_forward

    return openvino_forward(encoder, layers, attention, backend)


def _torch_forward(encoder: "SentenceTransformer", layers: set[int], attention: set[int], precision: str) -> "Forward":
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
