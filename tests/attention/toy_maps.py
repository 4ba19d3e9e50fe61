"""Attention maps that are made up, and sentences whose maps are made."""

import numpy as np

from pipeline.attention.maps import AttentionMap

SENTENCE = "The dog chased the cat"
JAPANESE = "今日はカレーライスを食べました。明日はラーメンを食べようと思います。"
CHINESE = ["这只狗在追猫吗？我们喜欢它。", "這隻狗在追貓嗎？我們喜歡牠。"]


def toy_map(weights: np.ndarray, tokens: list[str]) -> AttentionMap:
    text = " ".join(tokens)
    starts = [len(" ".join(tokens[:i])) + (i > 0) for i in range(len(tokens))]
    spans = [(start, start + len(token)) for start, token in zip(starts, tokens, strict=True)]
    return AttentionMap(text, tokens, spans, weights.astype(np.float32), "a toy")


def random_map(n_layers: int, n_heads: int, tokens: list[str], seed: int) -> AttentionMap:
    shape = (n_layers, n_heads, len(tokens), len(tokens))
    weights = np.random.default_rng(seed).dirichlet(np.full(len(tokens), 0.3), shape[:3])
    return toy_map(weights, tokens)
