"""Transformers small enough to be made on the spot, with weights spread widely so that their attention differs."""

import json
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


def save_kind(directory: Path, kind: str, tokenizer: str, **settings: object) -> str:
    """Save a model of any type, with random weights and the tokenizer of a directory; return its directory."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.for_model(
        kind, **{"vocab_size": len(VOCABULARY), "pad_token_id": 0, "architectures": [], **settings}
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        AutoModel.from_config(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(directory)
    return str(directory)


JAPANESE = [*"犬猫がを追う", "追う", "東京", "は", "です", "##です", "い", "1", "。"]


def save_japanese_bert(directory: Path, subwords: str) -> str:
    """Save a BERT whose tokenizer cuts words with MeCab; subwords are "wordpiece" or "character"."""
    import torch
    from transformers import BertConfig, BertJapaneseTokenizer, BertModel

    (directory / "vocab.txt").write_text("\n".join([*SPECIAL, *JAPANESE]), encoding="utf-8")
    how = {"word_tokenizer_type": "mecab", "subword_tokenizer_type": subwords}
    mecab = {"mecab_dic": "unidic_lite"}
    BertJapaneseTokenizer(str(directory / "vocab.txt"), mecab_kwargs=mecab, **how).save_pretrained(directory)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(JAPANESE),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        BertModel(config).save_pretrained(directory)
    return str(directory)


def save_rinna(directory: Path) -> str:
    """Save a GPT-2 as rinna does, which reads sentencepiece with T5's tokenizer; id 2 is the end of a text."""
    import sentencepiece
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    corpus = directory / "corpus.txt"
    corpus.write_text("犬が猫を追う\n猫が犬を追う\n東京は良い天気です\n今日は良い天気\n" * 20, encoding="utf-8")
    marks = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    prefix = str(directory / "spiece")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=prefix, vocab_size=60, hard_vocab_limit=False, user_defined_symbols=marks
    )
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "[PAD]"}
    special |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    settings = {**special, "extra_ids": 0, "additional_special_tokens": [], "tokenizer_class": "T5Tokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    size = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model").vocab_size()
    config = GPT2Config(vocab_size=size, n_positions=64, n_embd=8, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        GPT2LMHeadModel(config).save_pretrained(directory)
    return str(directory)
