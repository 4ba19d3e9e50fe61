"""Attention, opened up: queries, keys, values, scores and weights."""

from pipeline.attention.core import Attention, causal_mask, scaled_dot_product_attention, sliding_mask
from pipeline.attention.self_attention import SelfAttention

__all__ = ["Attention", "SelfAttention", "causal_mask", "scaled_dot_product_attention", "sliding_mask"]
