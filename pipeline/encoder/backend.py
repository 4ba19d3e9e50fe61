"""The choice of what runs the forward pass: torch or OpenVINO, and in which precision."""

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Literal

from pipeline.digest import value_digest
from pipeline.errors import needs_extra

BackendName = Literal["torch", "openvino"]
BackendChoice = Literal["auto", "torch", "openvino"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]

# What `platform.machine` calls an x86 processor of 64 bits on Linux, macOS and Windows.
_X86 = ("x86_64", "AMD64")
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
    or_torch : bool, default=False
        With "openvino": torch runs a model that OpenVINO cannot run as torch does. It is no part of the digest, since
        the vectors are the same to rounding.

    Examples
    --------
    >>> from pipeline.encoder import Backend
    >>> Backend("openvino", "int8", calibration=("The ramen was superb.",)).precision
    'int8'
    """

    name: BackendName = "torch"
    precision: Precision = "float32"
    calibration: tuple[str, ...] = ()
    or_torch: bool = field(default=False, compare=False)

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
            versions = {package: version(package) for package in packages}
        return value_digest(self.name, versions, self.precision, self.calibration)


def choose_backend(
    name: BackendChoice, precision: Precision, calibration: tuple[str, ...] = (), device: str = "cpu"
) -> Backend:
    """Return what computes here and now: "auto" is OpenVINO on an x86 processor where it is installed, else torch.

    Nothing of the choice is learned: a transformer that was fitted with one backend runs on a machine with the other.

    Parameters
    ----------
    name : {"auto", "torch", "openvino"}
        What was asked for.
    precision, calibration
        As in `Backend`. With "auto", float16 means torch, and int8 OpenVINO.
    device : str, default="cpu"
        Type of the encoder's device; only the CPU is OpenVINO's.

    Examples
    --------
    >>> choose_backend("auto", "float32", device="cuda").name
    'torch'
    """
    if name != "auto":
        return Backend(name, precision, calibration)
    if precision == "int8":
        return Backend("openvino", precision, calibration)
    if precision == "float16" or device != "cpu" or not _has_openvino():
        return Backend("torch", precision, calibration)
    return Backend("openvino", precision, calibration, or_torch=True)


def _has_openvino() -> bool:
    return platform.machine() in _X86 and find_spec("openvino") is not None
