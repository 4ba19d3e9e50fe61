"""Sentence encoders: loading them safely, and one forward pass that yields every pooled vector."""

from pipeline.encoder.forward import Pooling, encode, output_size
from pipeline.encoder.load import BUNDLED, load_encoder

__all__ = ["BUNDLED", "Pooling", "encode", "load_encoder", "output_size"]
