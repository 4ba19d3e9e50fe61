"""The choice of what runs the forward pass: torch or OpenVINO, and in which precision."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from pipeline.digest import value_digest
from pipeline.errors import needs_extra

BackendName = Literal["torch", "openvino"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]

_PRECISIONS = {"torch": ("float32", "bfloat16", "float16"), "openvino": ("float32", "bfloat16", "int8")}


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

    name: BackendName = "torch"
    precision: Precision = "float32"
    calibration: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in _PRECISIONS:
            raise ValueError(f"Got backend {self.name!r}, expected one of {', '.join(_PRECISIONS)}.")
        if self.precision not in _PRECISIONS[self.name]:
            known = ", ".join(_PRECISIONS[self.name])
            raise ValueError(f"Got precision {self.precision!r}, expected one of {known} with {self.name}.")
        if (self.precision == "int8") != bool(self.calibration):
            n = len(self.calibration)
            raise ValueError(f"Got {n} calibration texts with {self.precision}: int8 needs some, the others none.")

    def digest(self) -> str:
        """Return the sha256 of name, precision, calibration texts and the versions of the packages that compute.

        Raises
        ------
        ImportError
            If the backend is not installed.
        """
        packages = {"torch", "transformers", self.name} | ({"nncf"} if self.precision == "int8" else set())
        with needs_extra(f"backend={self.name!r}", "openvino"):
            # 2.13.0+cpu and 2.13.0+cu130 differ by rounding alone: nodes with and without a GPU share their shards.
            versions = {package: version(package).split("+")[0] for package in packages}
        return value_digest(self.name, versions, self.precision, self.calibration)
