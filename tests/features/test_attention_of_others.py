"""Attention is taken only if it is attention: by AttentionPooling in fit and by attention_map alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import save_bert, save_kind

from pipeline.attention.maps import attention_map
from pipeline.encoder import Pooling, encode, load_encoder
from pipeline.features import AttentionPooling

pytestmark = pytest.mark.slow

TEXTS = ["the food was good", "never", "the food was good and the service was not good and a bad food"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SMALL_BERT = {**SMALL, "initializer_range": 0.5}
SEQ2SEQ = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
SEQ2SEQ |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
FUNNEL = {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32, "block_sizes": [1, 1]}
MAMBA = {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}
RWKV = {"hidden_size": 16, "num_hidden_layers": 2, "attention_hidden_size": 16}
JAMBA = {**SMALL, "num_key_value_heads": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2}
JAMBA |= {"use_mamba_kernels": False, "mamba_d_state": 4}
FNET = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}
XLNET = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}
DEBERTA = {**SMALL_BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
OPENAI = {"n_embd": 16, "n_layer": 2, "n_head": 2}
QWEN = {**SMALL_BERT, "num_key_value_heads": 2}
NO_ATTENTION = [
    ("squeezebert", {**SMALL_BERT, "embedding_size": 16}, "hands out scores, not weights"),
    ("longformer", {**SMALL_BERT, "attention_window": 8}, "hands out no token x token weights in every layer"),
    ("big_bird", {**SMALL_BERT, "block_size": 4, "num_random_blocks": 1}, "attends to some blocks of a long text"),
    ("fnet", FNET, "hands out no token x token weights"),
    ("mamba", MAMBA, "hands out no token x token weights"),
    ("rwkv", RWKV, "hands out no token x token weights in every layer"),
    ("funnel", FUNNEL, "hands out no token x token weights in every layer"),
    ("jamba", JAMBA, "hands out no token x token weights in every layer, but in 1 of 2"),
    ("t5", T5, "is an encoder-decoder"),
    ("bart", SEQ2SEQ, "is an encoder-decoder"),
    ("led", {**SEQ2SEQ, "attention_window": 4}, "is an encoder-decoder"),
]
ATTENTION = [("xlnet", XLNET), ("deberta-v2", DEBERTA), ("roformer", SMALL_BERT)]
CAUSAL = [("llama", SMALL_BERT), ("qwen2", QWEN), ("mistral", {**QWEN, "sliding_window": 6}), ("openai-gpt", OPENAI)]
CAUSAL += [("bert", {**SMALL_BERT, "is_decoder": True})]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("parts")
    save_bert(directory, tmp_path_factory.mktemp("whole"))
    return str(directory)


def weights_in_a_map(text: str, model: Any) -> tuple[Any, Any]:
    """What the last layer's tokens receive, and what its first one pays, by `attention_map`."""
    mean = attention_map(text, model).weights[-1].mean(axis=0)
    return mean.mean(axis=0), mean[0]


@pytest.mark.parametrize(("kind", "settings", "reason"), NO_ATTENTION, ids=lambda value: str(value)[:12])
def test_what_is_no_attention_is_refused_by_name_and_reason_in_fit_and_in_maps(
    kind: str, settings: dict[str, Any], reason: str, tokenizer: str, tmp_path: Path
) -> None:
    model = save_kind(tmp_path, kind, tokenizer, **settings)
    calls = [lambda: attention_map("good food", model)]
    calls += [
        lambda weights=weights: AttentionPooling(weights, model=model).fit(TEXTS) for weights in ("received", "cls")
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"{kind}.*{reason}") as error:
            call()
        assert "\n" not in str(error.value)
        assert "use " in str(error.value)


def test_a_text_as_wide_as_a_window_is_refused_too(tokenizer: str, tmp_path: Path) -> None:
    model = save_kind(tmp_path, "longformer", tokenizer, **SMALL_BERT, attention_window=8)
    # Of the 8 + 1 tokens of this text the weights are 9 x 9, and look like attention.
    assert len(load_encoder(model).tokenizer("the food was not good .  a")["input_ids"]) == 9
    with pytest.raises(ValueError, match=r"longformer.*hands out no token x token weights in every layer"):
        attention_map("the food was not good .  a", model)
    with pytest.raises(ValueError, match=r"longformer.*hands out no token x token weights in every layer"):
        encode(load_encoder(model), ["the food was not good .  a"], [Pooling("received")])


@pytest.mark.parametrize(("kind", "settings"), [*ATTENTION, *CAUSAL], ids=lambda value: str(value)[:10])
def test_pooling_and_map_take_the_same_weights(
    kind: str, settings: dict[str, Any], tokenizer: str, tmp_path: Path
) -> None:
    model = save_kind(tmp_path, kind, tokenizer, **settings)
    received, first = weights_in_a_map(TEXTS[2], model)
    pooling = AttentionPooling("received", model=model).fit(TEXTS)
    np.testing.assert_allclose(pooling.explain(TEXTS[2])["weight"], received, rtol=0, atol=1e-5)
    cls = AttentionPooling("cls", model=model)
    if (kind, settings) in CAUSAL:
        with pytest.raises(ValueError, match=rf"^Got weights='cls' with {kind} .* use weights='received'"):
            cls.fit(TEXTS)
    else:
        np.testing.assert_allclose(cls.fit(TEXTS).explain(TEXTS[2])["weight"], first, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", ["uniform", "length", "idf"])
def test_weights_that_are_no_attention_need_none(weights: Any, tokenizer: str, tmp_path: Path) -> None:
    model = save_kind(tmp_path, "squeezebert", tokenizer, **SMALL_BERT, embedding_size=16)
    assert np.isfinite(AttentionPooling(weights, model=model).fit_transform(TEXTS)).all()


@pytest.mark.parametrize(
    ("kind", "settings"), [("bart", SEQ2SEQ), ("funnel", FUNNEL)], ids=lambda value: str(value)[:6]
)
def test_a_model_without_a_state_for_each_token_is_refused_in_one_line(
    kind: str, settings: dict[str, Any], tokenizer: str, tmp_path: Path
) -> None:
    model = save_kind(tmp_path, kind, tokenizer, **settings)
    with pytest.raises(ValueError, match=rf"^{kind} .*: use SentenceEmbedding with it\.$"):
        AttentionPooling("uniform", model=model).fit(TEXTS)


def test_a_gpt2_without_a_token_for_padding_is_pooled(gpt2_without_pad: str) -> None:
    received, _ = weights_in_a_map("the dog", gpt2_without_pad)
    pooling = AttentionPooling("received", model=gpt2_without_pad).fit(TEXTS)
    np.testing.assert_allclose(pooling.explain("the dog")["weight"], received, rtol=0, atol=1e-5)
    assert AttentionPooling("idf", model=gpt2_without_pad).fit_transform(TEXTS).shape == (3, 24)


@pytest.fixture(scope="module")
def gpt2_without_pad(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tiny_models import save_gpt2

    return save_gpt2(tmp_path_factory.mktemp("gpt2"))
