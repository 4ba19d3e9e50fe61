"""Transformers small enough to be made on the spot, with weights spread widely so that their attention differs."""

from pathlib import Path


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
