"""Feature extractors for texts: scikit-learn transformers from a list of str to a 2-d array."""

from pipeline.features.encoded import AttentionPooling, SentenceEmbedding, transform_together
from pipeline.features.text_stats import TextStats

__all__ = ["AttentionPooling", "SentenceEmbedding", "TextStats", "transform_together"]
