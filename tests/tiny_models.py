"""Transformers small enough to be made on the spot, with weights spread widely so that their attention differs."""

import string
from pathlib import Path

# Every letter is a token, so that no English word is unknown to the tiny encoder.
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "and", "was", "not", "food", "service", "good", "bad", "never", ".", ",", "!"]
VOCABULARY = [*SPECIAL, *WORDS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]


def save_gpt2(directory: Path) -> str:
    """Save a GPT-2 of 2 layers and 3 heads that reads bytes; return its directory."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    pieces = [*sorted(ByteLevel.alphabet()), "<|endoftext|>"]
    merges = [("Ġ", "d"), ("o", "g"), ("Ġd", "og"), ("Ġ", "c"), ("a", "t"), ("Ġc", "at"), ("t", "h"), ("th", "e")]
    pieces += ["".join(pair) for pair in merges]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    end = pieces.index("<|endoftext|>")
    config = GPT2Config(
        vocab_size=len(pieces),
        n_positions=96,
        n_embd=24,
        n_layer=2,
        n_head=3,
        initializer_range=0.5,
        bos_token_id=end,
        eos_token_id=end,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        GPT2LMHeadModel(config).save_pretrained(directory)
    GPT2TokenizerFast(vocab=vocabulary, merges=merges).save_pretrained(directory)
    return str(directory)


def save_bert(parts: Path, directory: Path) -> str:
    """Save an encoder with a BERT of 3 layers, 2 heads and 16 dimensions, and mean pooling; return its directory."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

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
