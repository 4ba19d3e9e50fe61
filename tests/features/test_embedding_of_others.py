"""SentenceEmbedding against SentenceTransformer.encode: models with all that sentence-transformers lets them have."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import VOCABULARY, save_bert, save_gpt2, save_kind

from pipeline.encoder import Backend, Pooling, encode, load_encoder, token_batches
from pipeline.features import AttentionPooling, SentenceEmbedding

pytestmark = pytest.mark.slow

TEXTS = ["bad", "the food was good and the service was not", "", "a quiet table, and good bread. " * 9, "good good"]
PROMPTS = {"prompts": {"query": "the good food: ", "passage": "a bad one "}, "default_prompt_name": "query"}
MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
BERT_LIKE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}

Save = Callable[..., str]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A plain directory of transformers: a tiny BERT without any module of sentence-transformers."""
    directory = tmp_path_factory.mktemp("parts")
    save_bert(directory, tmp_path_factory.mktemp("whole"))
    return str(directory)


@pytest.fixture
def save(parts: str, tmp_path: Path) -> Save:
    """Save an encoder of the tiny BERT and more modules."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    def save(*modules: Any, source: str = parts, max_length: int = 64, lower: bool = False, **settings: Any) -> str:
        transformer = Transformer(source, max_seq_length=max_length, do_lower_case=lower)
        encoder = SentenceTransformer(modules=[transformer, *modules], device="cpu", **settings)
        encoder.save(str(tmp_path / "model"))
        return str(tmp_path / "model")

    return save


def expected(model: str, texts: Sequence[str] = TEXTS) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32})
    if getattr(encoder.tokenizer, "pad_token", "") is None:
        encoder.tokenizer.pad_token = encoder.tokenizer.eos_token
    return encoder.encode(list(texts))


def check(model: str) -> None:
    """Alone, and in a pass beside a pooling of tokens, the embedding is that of sentence-transformers."""
    right = expected(model)
    reference = SentenceEmbedding(model, backend="torch").fit(TEXTS).transform(TEXTS)
    np.testing.assert_allclose(reference, right, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(SentenceEmbedding(model).fit(TEXTS).transform(TEXTS), right, rtol=0, atol=1e-4)
    beside = encode(load_encoder(model), TEXTS, [Pooling("uniform", 1), Pooling("sentence")])[1]
    np.testing.assert_allclose(beside, right, rtol=1e-5, atol=1e-5)


class TestPrompts:
    @pytest.mark.parametrize("include", [True, False])
    @pytest.mark.parametrize("max_length", [64, 12, 4])
    def test_the_default_prompt_goes_before_a_text(self, save: Save, include: bool, max_length: int) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        modes = Modes(16, pooling_mode=MODES, include_prompt=include)
        check(save(modes, max_length=max_length, truncate_dim=90, **PROMPTS))

    def test_prompts_of_which_none_is_the_default_do_not(self, save: Save) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        model = save(Modes(16), prompts=PROMPTS["prompts"])
        check(model)
        np.testing.assert_allclose(expected(model), expected(save(Modes(16))), atol=1e-6)

    def test_it_is_no_part_of_the_tokens(self, save: Save) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        plain, prompted = (AttentionPooling(layer=1, model=save(Modes(16), **each)) for each in ({}, PROMPTS))
        before = plain.fit(TEXTS).explain("good food")
        assert prompted.fit(TEXTS).explain("good food").equals(before)
        (batch,) = token_batches(load_encoder(prompted.model), ["good food"], layers=[1], sentence=True)
        assert batch.ids.shape[1] == len(before)
        assert batch.sentence is not None

    def test_openvino_reads_it_too(self, save: Save) -> None:
        pytest.importorskip("openvino")
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        model = save(Modes(16, include_prompt=False), truncate_dim=7, **PROMPTS)
        actual = SentenceEmbedding(model, backend="openvino").fit(TEXTS).transform(TEXTS)
        np.testing.assert_allclose(actual, expected(model), rtol=0, atol=1e-4)


class TestModules:
    @pytest.mark.parametrize("mode", [*MODES, ("cls", "max", "weightedmean")], ids=str)
    def test_every_mode_of_pooling(self, save: Save, mode: Any) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        check(save(Modes(16, pooling_mode=mode)))

    @pytest.mark.parametrize("size", [5, 16, 99])
    def test_truncated_dimensions(self, save: Save, size: int) -> None:
        from sentence_transformers.sentence_transformer.modules import Normalize
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        model = save(Modes(16), Normalize(), truncate_dim=size)
        check(model)
        assert len(SentenceEmbedding(model).fit(TEXTS).get_feature_names_out()) == min(size, 16)

    def test_dense_and_norms_and_words(self, save: Save) -> None:
        from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, WordWeights
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        check(save(WordWeights(VOCABULARY, {"good": 3.0}), Modes(16), LayerNorm(16), Dense(16, 7), Normalize()))

    def test_a_mean_over_layers_which_only_sentence_transformers_itself_makes(
        self, save: Save, parts: str, tmp_path: Path
    ) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes
        from sentence_transformers.sentence_transformer.modules import WeightedLayerPooling

        shutil.copytree(parts, tmp_path / "states")
        config = tmp_path / "states/config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "output_hidden_states": True}))
        model = save(WeightedLayerPooling(16, 3, 1), Modes(16), source=str(tmp_path / "states"))
        check(model)
        with pytest.raises(ValueError, match="makes its sentence embedding with 'torch' and 'float32' only"):
            SentenceEmbedding(model, precision="bfloat16").fit(TEXTS)

    def test_lower_case_and_a_short_maximum(self, save: Save) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        check(save(Modes(16), max_length=6, lower=True))

    def test_a_directory_without_modules(self, parts: str) -> None:
        check(parts)

    @pytest.mark.parametrize("settings", [{}, {"truncate_dim": 3}, PROMPTS, {"truncate_dim": 3, **PROMPTS}], ids=str)
    def test_static_embeddings(self, settings: dict[str, Any], tmp_path: Path) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        words = ["[UNK]", "good", "bad", "food", "the", "service", "a"]
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        module = StaticEmbedding(tokenizer, embedding_dim=7)
        SentenceTransformer(modules=[module], device="cpu", **settings).save(str(tmp_path))
        actual = SentenceEmbedding(tmp_path).fit(TEXTS).transform(TEXTS)
        np.testing.assert_allclose(actual, expected(str(tmp_path)), rtol=0, atol=1e-5)
        with pytest.raises(ValueError, match="StaticEmbedding makes its sentence embedding with 'torch'"):
            SentenceEmbedding(tmp_path, backend="openvino").fit(TEXTS)


class TestTransformers:
    @pytest.mark.parametrize("mode", ["mean", "lasttoken", "weightedmean"])
    def test_a_gpt2_without_a_token_for_padding(self, save: Save, mode: str, tmp_path: Path) -> None:
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        (tmp_path / "gpt2").mkdir()
        model = save(Modes(24, pooling_mode=mode), source=save_gpt2(tmp_path / "gpt2"))
        some = [text for text in TEXTS if text]
        actual = SentenceEmbedding(model).fit(some).transform(some)
        np.testing.assert_allclose(actual, expected(model, some), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_files_are_computed_in_float32(self, save: Save, dtype: str, parts: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        model = save(Modes(16), Dense(16, 7))
        SentenceTransformer(model, device="cpu").to(getattr(torch, dtype)).save(model)
        check(model)

    @pytest.mark.parametrize(
        ("kind", "settings"),
        [
            ("bart", {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 8}),
            ("t5", {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}),
            ("xlm", {"emb_dim": 16, "n_layers": 2, "n_heads": 2, "pad_index": 0}),
            ("mamba", {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}),
            ("xlnet", {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}),
        ],
        ids=lambda value: str(value)[:9],
    )
    def test_those_that_are_no_stack_of_layers(
        self, kind: str, settings: dict[str, Any], parts: str, tmp_path: Path
    ) -> None:
        model = save_kind(tmp_path, kind, parts, **settings)
        actual = SentenceEmbedding(model).fit(TEXTS).transform(TEXTS)
        np.testing.assert_allclose(actual, expected(model), rtol=0, atol=1e-5)

    @pytest.mark.parametrize(
        ("kind", "settings"),
        [
            ("fnet", {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32}),
            ("convbert", {**BERT_LIKE, "embedding_size": 16}),
            ("funnel", {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32, "block_sizes": [1, 1]}),
            ("big_bird", {**BERT_LIKE, "block_size": 4, "num_random_blocks": 1}),
        ],
        ids=lambda value: str(value)[:9],
    )
    def test_those_that_give_a_text_other_vectors_beside_others_are_refused(
        self, kind: str, settings: dict[str, Any], parts: str, tmp_path: Path
    ) -> None:
        model = save_kind(tmp_path, kind, parts, **settings)
        with pytest.raises(ValueError, match=rf"^{kind} \(\w+\) makes another sentence embedding of a text where") as e:
            SentenceEmbedding(model).fit(TEXTS)
        assert "\n" not in str(e.value)

    def test_of_those_the_token_states_are_those_of_a_text_alone(self, parts: str, tmp_path: Path) -> None:
        import torch

        model = save_kind(tmp_path, "convbert", parts, **BERT_LIKE, embedding_size=16)
        pooling = AttentionPooling("uniform", model=model).fit(TEXTS)
        encoder = load_encoder(model)
        for text, vector in zip(TEXTS, pooling.transform(TEXTS), strict=True):
            with torch.inference_mode():
                states = encoder[0].auto_model(**encoder.preprocess([text])).last_hidden_state
            np.testing.assert_allclose(vector, states[0].mean(dim=0), rtol=0, atol=1e-5)

    def test_a_module_that_cannot_run_is_refused_in_one_line(self, save: Save) -> None:
        from sentence_transformers.sentence_transformer.modules import LSTM
        from sentence_transformers.sentence_transformer.modules import Pooling as Modes

        model = save(LSTM(16, 8), Modes(16))
        with pytest.raises(ValueError, match=r"makes no sentence embedding \(KeyError: 'sentence_lengths'\)"):
            SentenceEmbedding(model).fit(TEXTS)

    def test_weights_that_are_missing_are_not_drawn_at_random(self, parts: str, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(parts, tmp_path / "model")
        file = tmp_path / "model/model.safetensors"
        weights = {name: value for name, value in load_file(file).items() if "layer.1.attention.self.query" not in name}
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"its weights lack encoder\.layer\.1\.attention\.self\.query\.bias and 1"):
            SentenceEmbedding(tmp_path / "model").fit(TEXTS)

    def test_a_text_longer_than_the_positions_of_a_roberta_is_cut_there(self, parts: str, tmp_path: Path) -> None:
        settings = {**BERT_LIKE, "max_position_embeddings": 34, "pad_token_id": 0}
        model = save_kind(tmp_path, "roberta", parts, **settings)
        (tmp_path / "tokenizer_config.json").write_text(
            json.dumps({**json.loads((tmp_path / "tokenizer_config.json").read_text()), "model_max_length": 10**30})
        )
        long, longer = SentenceEmbedding(model).fit_transform(["good " * 31, "good " * 99])
        np.testing.assert_allclose(long, longer, atol=1e-6)


def test_a_backend_that_is_not_the_reference_runs_a_bert(parts: str) -> None:
    (actual,) = encode(load_encoder(parts), TEXTS, [Pooling("sentence")], backend=Backend(precision="bfloat16"))
    assert 1e-5 < np.abs(actual - expected(parts)).max() < 0.5
