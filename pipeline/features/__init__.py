"""Feature extractors for texts: scikit-learn transformers from a list of str to a 2-d array."""

from pipeline.features.attention_pooling import AttentionPooling
from pipeline.features.encoded import SentenceEmbedding, transform_together
from pipeline.features.local_llm import LocalLLM
from pipeline.features.rt_metrics import RTMetrics
from pipeline.features.sentence_metrics import SentenceMetrics
from pipeline.features.t_estimates import TEstimates
from pipeline.features.t_metrics import TMetrics
from pipeline.features.text_stats import TextStats

__all__ = [
    "AttentionPooling",
    "LocalLLM",
    "RTMetrics",
    "SentenceEmbedding",
    "SentenceMetrics",
    "TEstimates",
    "TMetrics",
    "TextStats",
    "transform_together",
]
