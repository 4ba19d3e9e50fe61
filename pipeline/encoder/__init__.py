"""Sentence encoders: loading them safely, and one forward pass that yields every pooled vector."""

from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import TokenBatch, token_batches
from pipeline.encoder.load import BUNDLED, load_encoder
from pipeline.encoder.pooled import encode, output_size, record
from pipeline.encoder.pooling import Pooling, TokenPooling, weighted_mean
from pipeline.encoder.recorded import Texts, TokenStates, batches_of, is_recorded, read_record

__all__ = ["BUNDLED", "Backend", "Pooling", "Texts", "TokenBatch", "TokenPooling", "TokenStates"]
__all__ += ["batches_of", "encode", "load_encoder", "output_size", "token_batches", "weighted_mean"]
__all__ += ["is_recorded", "read_record", "record"]
