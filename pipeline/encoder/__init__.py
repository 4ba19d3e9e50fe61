"""Sentence encoders: loading them safely, and one forward pass that yields every pooled vector."""

from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import TokenBatch, token_batches
from pipeline.encoder.load import BUNDLED, load_encoder
from pipeline.encoder.pooled import encode, output_size
from pipeline.encoder.pooling import Pooling, TokenPooling, weighted_mean

__all__ = [
    "BUNDLED",
    "Backend",
    "Pooling",
    "TokenBatch",
    "TokenPooling",
    "encode",
    "load_encoder",
    "output_size",
    "token_batches",
    "weighted_mean",
]
