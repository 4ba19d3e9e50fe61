"""Shared by all test modules: a dozen reviews, and an encoder that is small enough to be built on the spot."""

import string
from typing import Any

import hypothesis
import pytest

# A busy machine is slow now and then; that is no failure.
hypothesis.settings.register_profile("project", deadline=None, max_examples=50)
hypothesis.settings.load_profile("project")

# Every letter is a piece of its own, so that no English word is unknown to the tiny encoder.
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "and", "was", "not", "food", "service", "good", "bad", "never", ".", ",", "!"]
VOCABULARY = [*SPECIAL, *WORDS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]


@pytest.fixture
def reviews() -> list[dict[str, Any]]:
    """A dozen reviews: text and stars, every star at least twice."""
    rows = [
        (1, "Worst haircut ever. They never listened and charged me $85!"),
        (1, "The noodles were cold, the waiter was rude, and nobody said sorry."),
        (2, "Nice patio, but the food was bland and we waited an hour."),
        (2, "Overpriced. The mechanic didn't fix the brakes the first time."),
        (3, "It was okay. Good coffee, bad chairs."),
        (3, "Average pizza. I would not drive here for it, but it is fine if you are near."),
        (3, "Some dishes shine, some don't."),
        (4, "Really good tacos and friendly service. Parking is a pain."),
        (4, "Clean rooms, a quiet street, and a decent breakfast."),
        (5, "Best dentist in town!!! Painless and kind."),
        (5, "The ramen was superb. We will be back soon!"),
        (5, "I love this little bookshop, the owner knows every shelf."),
    ]
    return [{"text": text, "stars": stars} for stars, text in rows]


@pytest.fixture
def texts(reviews: list[dict[str, Any]]) -> list[str]:
    return [review["text"] for review in reviews]


@pytest.fixture
def stars(reviews: list[dict[str, Any]]) -> list[int]:
    return [review["stars"] for review in reviews]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a BERT of 3 layers, 2 heads and 16 dimensions with random weights and mean pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    parts, directory = tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("tiny_encoder")
    # With the usual spread of 0.02 all attention weights would be nearly equal, and no test could tell them apart.
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        BertModel(config).save_pretrained(parts)
    (parts / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    BertTokenizerFast(str(parts / "vocab.txt")).save_pretrained(parts)
    transformer = Transformer(str(parts), max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(directory))
    return str(directory)
