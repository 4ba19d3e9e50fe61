"""Shared by the tests of attention pooling: fitted ones, and an encoder without special tokens."""

import pytest
from pooling_cases import ALL, REVIEWS, STARS
from tiny_models import save_gpt2

from pipeline.features import AttentionPooling


@pytest.fixture(scope="session")
def fitted(tiny_encoder: str) -> dict[str, AttentionPooling]:
    """Every weighting of the tiny encoder's second layer, fitted; not to be changed."""
    return {weights: AttentionPooling(weights, 2, cv=3, model=tiny_encoder).fit(REVIEWS, STARS) for weights in ALL}


@pytest.fixture(scope="session")
def no_special_tokens(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a tiny GPT-2 as encoder, whose tokenizer makes no token of an empty text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer

    parts, directory = save_gpt2(tmp_path_factory.mktemp("gpt2")), str(tmp_path_factory.mktemp("encoder"))
    tokenizer = AutoTokenizer.from_pretrained(parts)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(parts)
    transformer = Transformer(parts, max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(directory)
    return directory
