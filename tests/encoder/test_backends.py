import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from project import ROOT
from tiny_models import VOCABULARY

from pipeline.encoder import Backend, Pooling, encode, load_encoder, record, token_batches
from pipeline.encoder.backend import choose_backend
from pipeline.encoder.shards import _encoder_digest
from pipeline.encoder.trunk import _can_be_cut
from pipeline.features.token_weights import QueryPooling

N_LAYERS = 3
POOLINGS = [
    Pooling("sentence"),
    *(Pooling("uniform", layer) for layer in range(N_LAYERS + 1)),
    *(Pooling(weights, layer) for weights in ("received", "cls") for layer in range(1, N_LAYERS + 1)),
]
SMALL = {"vocab_size": len(VOCABULARY), "initializer_range": 0.5, "pad_token_id": 0}
BERT_LIKE = {
    "hidden_size": 16,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 70,
}
# Model type to configuration, and whether the layers above the highest one needed can be left out.
ARCHITECTURES: dict[str, tuple[dict[str, Any], bool]] = {
    "roberta": (BERT_LIKE, True),
    "xlm-roberta": (BERT_LIKE, True),
    "electra": ({**BERT_LIKE, "embedding_size": 16}, True),
    "distilbert": (
        {"dim": 16, "n_layers": N_LAYERS, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 70},
        True,
    ),
    "modernbert": ({**BERT_LIKE, "local_attention": 8, "global_attn_every_n_layers": 2}, True),
    "gpt2": ({"n_embd": 16, "n_layer": N_LAYERS, "n_head": 2, "n_positions": 70}, True),
    "mpnet": (BERT_LIKE, False),
    "albert": ({**BERT_LIKE, "embedding_size": 16}, False),
}
# Models that OpenVINO cannot convert, or cannot run once they are.
NOT_ON_OPENVINO: dict[str, dict[str, Any]] = {
    "xlm": {"emb_dim": 16, "n_layers": N_LAYERS, "n_heads": 2, "pad_index": 0},
    "mamba": {"hidden_size": 16, "state_size": 4, "num_hidden_layers": N_LAYERS},
}
LOW = [Backend("torch", "bfloat16"), Backend("openvino", "bfloat16")]


def cosines(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def make_encoder(kind: str, tiny_encoder: str, directory: Path, side: str = "right") -> Any:
    """An encoder of another architecture, with the tiny one's tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling as MeanPooling
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    settings = NOT_ON_OPENVINO[kind] if kind in NOT_ON_OPENVINO else ARCHITECTURES[kind][0]
    config = AutoConfig.for_model(kind, **SMALL, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        AutoModel.from_config(config).save_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    tokenizer.model_input_names, tokenizer.padding_side = ["input_ids", "attention_mask"], side
    tokenizer.save_pretrained(directory)
    transformer = Transformer(str(directory), max_seq_length=64, model_kwargs={"attn_implementation": "eager"})
    transformer.tokenizer.padding_side = side
    return SentenceTransformer(modules=[transformer, MeanPooling(16, pooling_mode="mean")], device="cpu").eval()


def alone(encoder: Any, text: str) -> list[npt.NDArray[np.float32]]:
    """The vectors of `POOLINGS` for one text, by transformers itself and NumPy."""
    import torch

    inputs = encoder.tokenizer(text, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        output = encoder[0].auto_model(**inputs, output_hidden_states=True, output_attentions=True)
    states = [each[0].numpy() for each in output.hidden_states]
    attention = [each[0].numpy().mean(axis=0) for each in output.attentions]
    vectors = [states[-1].mean(axis=0)]
    for pooling in POOLINGS[1:]:
        w = {
            "uniform": lambda _: np.ones(len(states[0])),
            "received": lambda layer: attention[layer - 1].sum(axis=0),
            "cls": lambda layer: attention[layer - 1][0],
        }[pooling.weights](pooling.layer)
        vectors.append(w / w.sum() @ states[pooling.layer])
    return vectors


class TestArchitectures:
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", ARCHITECTURES)
    def test_every_pooling_of_every_layer_is_what_transformers_gives(
        self, kind: str, tiny_encoder: str, tmp_path: Path, texts: list[str]
    ) -> None:
        encoder = make_encoder(kind, tiny_encoder, tmp_path)
        assert _can_be_cut(encoder) is ARCHITECTURES[kind][1]
        expected = [np.array(column) for column in zip(*(alone(encoder, text) for text in texts), strict=True)]
        for pooling, together, vectors in zip(POOLINGS, encode(encoder, texts, POOLINGS), expected, strict=True):
            np.testing.assert_allclose(together, vectors, rtol=0, atol=1e-4, err_msg=str(pooling))
            # What is asked for beside it decides on how many layers are run.
            np.testing.assert_allclose(
                encode(encoder, texts, [pooling])[0], vectors, rtol=0, atol=1e-4, err_msg=f"{pooling} alone"
            )

    def test_padding_on_the_left_changes_nothing(self, tiny_encoder: str, tmp_path: Path, texts: list[str]) -> None:
        encoder = make_encoder("gpt2", tiny_encoder, tmp_path, side="left")
        assert encoder.tokenizer.padding_side == "left"
        expected = [np.array(column) for column in zip(*(alone(encoder, text) for text in texts), strict=True)]
        for pooling, actual, vectors in zip(POOLINGS, encode(encoder, texts, POOLINGS), expected, strict=True):
            np.testing.assert_allclose(actual, vectors, rtol=0, atol=1e-4, err_msg=str(pooling))

    @pytest.mark.parametrize("backend", [Backend(), Backend("openvino")], ids=lambda backend: backend.name)
    @pytest.mark.parametrize("side", ["right", "left"])
    def test_a_text_without_any_token_gives_zeros_alone_and_beside_others(
        self, side: str, backend: Backend, tiny_encoder: str, tmp_path: Path
    ) -> None:
        from tokenizers.processors import TemplateProcessing

        encoder = make_encoder("gpt2", tiny_encoder, tmp_path, side)
        # As GPT-2's own tokenizer, it adds nothing to a text.
        encoder.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
        poolings = [*POOLINGS, QueryPooling(np.ones((1, 16, 2), np.float32), np.zeros((1, 99), np.float32), 2)]
        for texts in ([""], ["", " "], ["good bread", "", "bad"]):
            for pooling, vectors in zip(poolings, encode(encoder, texts, poolings, backend=backend), strict=True):
                assert vectors.any(axis=1).tolist() == [bool(text.strip()) for text in texts], pooling
                assert np.isfinite(vectors).all(), pooling


class TestBackends:
    def test_openvino_in_float32_is_the_reference_to_rounding(self, tiny_encoder: str, texts: list[str]) -> None:
        encoder = load_encoder(tiny_encoder)
        expected = encode(encoder, texts, POOLINGS)
        for pooling, a, b in zip(
            POOLINGS, encode(encoder, texts, POOLINGS, backend=Backend("openvino")), expected, strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4, err_msg=str(pooling))

    @pytest.mark.slow
    @pytest.mark.parametrize("backend", LOW, ids=lambda backend: f"{backend.name} {backend.precision}")
    def test_a_lower_precision_is_close_and_not_the_same(self, backend: Backend, texts: list[str]) -> None:
        poolings = [Pooling("sentence"), Pooling("received", 3), Pooling("cls", 1)]
        expected = encode(load_encoder(), texts, poolings)
        for a, b in zip(encode(load_encoder(), texts, poolings, backend=backend), expected, strict=True):
            assert cosines(a, b).min() > 0.999
            assert np.abs(a - b).max() > 1e-6

    @pytest.mark.slow
    def test_int8_is_close_and_the_same_calibration_texts_give_the_same_vectors(
        self, tiny_encoder: str, tmp_path: Path, texts: list[str]
    ) -> None:
        encoder, backend = load_encoder(tiny_encoder), Backend("openvino", "int8", tuple(texts[:6]))
        first = encode(encoder, texts, POOLINGS, backend=backend)
        for pooling, a, b in zip(POOLINGS, first, encode(encoder, texts, POOLINGS), strict=True):
            assert cosines(a, b).min() > 0.8, pooling
            assert np.abs(a - b).max() > 1e-4, pooling
        # Another path is another encoder, quantised anew.
        copy = shutil.copytree(tiny_encoder, tmp_path / "copy")
        for a, b in zip(first, encode(load_encoder(str(copy)), texts, POOLINGS, backend=backend), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.slow
    def test_int8_leaves_the_sums_of_attention_as_they_are(self, texts: list[str]) -> None:
        # Of 250 tokens each has less attention than a step of 8 bits.
        long = " ".join(texts * 9)
        backend = Backend("openvino", "int8", tuple(texts[:2]))
        (batch,) = token_batches(load_encoder(), [long], layers=[3], attention=[3], backend=backend)
        np.testing.assert_allclose(batch.received[3].sum(dim=1), batch.mask.sum(dim=1), rtol=5e-3)
        np.testing.assert_allclose(batch.first[3].sum(dim=1), 1, rtol=5e-3)

    @pytest.mark.slow
    def test_of_several_calibrations_the_last_ones_models_are_kept(self, tiny_encoder: str, texts: list[str]) -> None:
        from openvino import CompiledModel, Model

        from pipeline.encoder.openvino import _MODELS

        encoder = load_encoder(tiny_encoder)
        first, second = (Backend("openvino", "int8", (text,)) for text in texts[:2])
        for backend in (Backend("openvino"), first, second):
            encode(encoder, ["good"], [Pooling("uniform", 1)], backend=backend)
        assert _MODELS[encoder]["float32"][0] == Backend("openvino")
        kept, models = _MODELS[encoder]["int8"]
        assert kept == second
        assert [type(model) for model in models.values()] == [Model, CompiledModel]

    @pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="needs a GPU")
    def test_beside_a_gpu_openvino_computes_on_the_cpu(self, tiny_encoder: str, texts: list[str]) -> None:
        from sentence_transformers import SentenceTransformer

        encoder = SentenceTransformer(tiny_encoder, device="cuda").eval()
        for pooling, a, b in zip(
            POOLINGS,
            encode(encoder, texts, POOLINGS, backend=Backend("openvino")),
            encode(load_encoder(tiny_encoder), texts, POOLINGS),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-3, err_msg=str(pooling))
        (batch,) = token_batches(encoder, ["good"], layers=[1], attention=[1], backend=Backend("openvino"))
        assert {part.device for part in (batch.ids, batch.states[1], batch.received[1])} == {encoder.device}
        assert {weight.device for weight in encoder.parameters()} == {encoder.device}

    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["float32", "int8"])
    def test_batches_change_nothing_on_openvino(
        self, tiny_encoder: str, texts: list[str], precision: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend = Backend("openvino", precision, tuple(texts[:6]) if precision == "int8" else ())
        expected = encode(load_encoder(tiny_encoder), texts, POOLINGS, backend=backend)
        for tokens in (1, 200):
            monkeypatch.setattr("pipeline.encoder.batches._CPU_TOKENS", tokens)
            actual = encode(load_encoder(tiny_encoder), texts, POOLINGS, backend=backend)
            for pooling, a, b in zip(POOLINGS, actual, expected, strict=True):
                np.testing.assert_allclose(
                    a, b, rtol=0, atol=1e-4 if precision == "float32" else 0.05, err_msg=str(pooling)
                )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("jax",), "Got backend 'jax', expected one of torch, openvino"),
            (("torch", "int8"), "Got precision 'int8', expected one of float32, bfloat16, float16 with torch"),
            (("openvino", "int8"), "Got 0 calibration texts with int8: int8 needs some"),
            (("torch", "float32", ("good",)), "Got 1 calibration texts with float32: int8 needs some, the others none"),
        ],
    )
    def test_what_is_not_there_is_refused(self, arguments: tuple[Any, ...], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Backend(*arguments)

    @pytest.mark.slow
    @pytest.mark.parametrize("missing", ["openvino", "nncf"])
    def test_without_the_extra_one_line_says_how_to_get_it(self, tiny_encoder: str, missing: str) -> None:
        program = (
            f"import sys; sys.modules[{missing!r}] = None\n"
            "from pipeline.encoder import *\n"
            f"encode(load_encoder({tiny_encoder!r}), ['good'], [Pooling('uniform')], "
            "backend=Backend('openvino', 'int8', ('bad',)))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        what = {"openvino": "backend='openvino'", "nncf": "precision='int8'"}[missing]
        message = f'ImportError: {what} needs {missing}: pip install "t-method-vs-attention[openvino]"'
        assert done.stderr.splitlines()[-1] == message

    @pytest.mark.parametrize("missing", ["openvino", "nncf"])
    def test_neither_does_the_key_of_cached_vectors_hide_it(
        self, missing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import importlib.metadata

        def version(package: str) -> str:
            if package == missing:
                raise importlib.metadata.PackageNotFoundError(package)
            return "1"

        monkeypatch.setattr("pipeline.encoder.backend.version", version)
        with pytest.raises(ImportError) as caught:
            Backend("openvino", "int8", ("good",)).digest()
        message = f"""backend='openvino' needs {missing}: pip install "t-method-vs-attention[openvino]\""""
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        ("package", "backend", "counts"),
        [
            ("torch", Backend(), True),
            ("transformers", Backend(), True),
            ("openvino", Backend(), False),
            ("torch", Backend("openvino"), True),
            ("openvino", Backend("openvino"), True),
            ("nncf", Backend("openvino"), False),
            ("nncf", Backend("openvino", "int8", ("good",)), True),
        ],
    )
    def test_another_version_of_what_computes_is_another_backend(
        self, package: str, backend: Backend, counts: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import importlib.metadata

        before, version = backend.digest(), importlib.metadata.version
        assert backend.digest() == before
        # Before what names the build, such as +cpu, which is no other version.
        other = lambda name: version(name).split("+")[0] + ".post1" * (name == package)  # noqa: E731
        monkeypatch.setattr("pipeline.encoder.backend.version", other)
        assert (backend.digest() != before) is counts

    @pytest.mark.slow
    def test_openvino_is_silent_and_sends_nothing(self, tiny_encoder: str, tmp_path: Path) -> None:
        program = (
            "import socket, sys\n"
            "def refuse(*arguments): sys.exit('network')\n"
            "socket.socket.connect = socket.getaddrinfo = refuse\n"
            "from pipeline.encoder import *\n"
            f"encode(load_encoder({tiny_encoder!r}), ['good'], [Pooling('uniform')], "
            "backend=Backend('openvino', 'int8', ('bad',)))\n"
            "print(any(name.startswith('openvino_telemetry.') for name in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
        assert "Statistics" not in done.stderr

    @pytest.mark.parametrize("backend", [Backend(), *LOW], ids=lambda backend: f"{backend.name} {backend.precision}")
    def test_the_encoder_stays_as_it_is(self, tiny_encoder: str, texts: list[str], backend: Backend) -> None:
        encoder = load_encoder(tiny_encoder)
        before, config = _encoder_digest(encoder), encoder[0].auto_model.config.to_dict()
        encode(encoder, texts, [Pooling("received", 2)], backend=backend)
        assert _encoder_digest(encoder) == before
        assert encoder[0].auto_model.config.to_dict() == config
        assert not any(module._forward_hooks for module in encoder[0].auto_model.encoder.layer)


class TestChoice:
    """ "auto": OpenVINO where it is of use, torch elsewhere; decided when the encoder runs."""

    @pytest.mark.parametrize(
        ("precision", "device", "machine", "installed", "expected"),
        [
            ("float32", "cpu", "x86_64", True, "openvino"),
            ("bfloat16", "cpu", "AMD64", True, "openvino"),
            ("float16", "cpu", "x86_64", True, "torch"),
            ("float32", "cuda", "x86_64", True, "torch"),
            ("float32", "cpu", "aarch64", True, "torch"),
            ("float32", "cpu", "x86_64", False, "torch"),
        ],
    )
    def test_it_depends_on_precision_device_processor_and_what_is_installed(
        self,
        precision: Any,
        device: str,
        machine: str,
        installed: bool,
        expected: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("platform.machine", lambda: machine)
        if not installed:
            monkeypatch.setitem(sys.modules, "openvino", None)
        chosen = choose_backend("auto", precision, device=device)
        assert (chosen, chosen.or_torch) == (Backend(expected, precision), expected == "openvino")
        assert choose_backend("torch", precision, device=device) == Backend("torch", precision)

    def test_int8_is_openvino_s_wherever_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
        chosen = choose_backend("auto", "int8", ("good",), "cuda")
        assert (chosen.name, chosen.or_torch) == ("openvino", False)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("kind", NOT_ON_OPENVINO)
    def test_torch_runs_what_openvino_cannot_and_the_log_says_so(
        self, kind: str, tiny_encoder: str, tmp_path: Path, texts: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        encoder, poolings = make_encoder(kind, tiny_encoder, tmp_path), [Pooling("uniform", layer) for layer in (1, 2)]
        with pytest.raises(Exception, match=r"Exception from|Check .* failed"):
            encode(encoder, texts, poolings, backend=Backend("openvino"))
        with caplog.at_level("INFO"):
            for _ in range(2):
                actual = encode(encoder, texts, poolings, backend=choose_backend("auto", "float32"))
        np.testing.assert_array_equal(actual, encode(encoder, texts, poolings))
        (line,) = [record.getMessage() for record in caplog.records if record.name == "pipeline.encoder.forward"]
        assert line.startswith(f"{kind} (")
        assert "torch runs it, since OpenVINO cannot" in line

    def test_what_openvino_computes_otherwise_is_torch_s(
        self, tiny_encoder: str, tmp_path: Path, texts: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        import torch

        from pipeline.encoder.openvino import _VERSIONS

        encoder = load_encoder(str(shutil.copytree(tiny_encoder, tmp_path / "other")))
        encode(encoder, texts, [Pooling("uniform", 1)], backend=Backend("openvino"))
        # The compiled model is not to see that: it stands for one that was traced wrongly.
        with torch.no_grad():
            encoder[0].auto_model.encoder.layer[0].output.dense.weight *= 2
        _VERSIONS[encoder] = tuple(tensor._version for tensor in encoder.state_dict().values())
        with caplog.at_level("INFO"):
            (actual,) = encode(encoder, texts, [Pooling("uniform", 1)], backend=choose_backend("auto", "float32"))
        np.testing.assert_array_equal(actual, encode(encoder, texts, [Pooling("uniform", 1)])[0])
        assert "its numbers differ" in caplog.text

    def test_as_many_threads_as_torch_has(self, tiny_encoder: str, texts: list[str]) -> None:
        import torch

        from pipeline.encoder.openvino import _MODELS

        encoder, before = load_encoder(tiny_encoder), torch.get_num_threads()
        try:
            for n_threads in (2, 1):
                torch.set_num_threads(n_threads)
                encode(encoder, texts, [Pooling("cls", 2)], backend=Backend("openvino"))
        finally:
            torch.set_num_threads(before)
        models = _MODELS[encoder]["float32"][1]
        for n_threads in (1, 2):
            compiled = models[frozenset([2]), frozenset([2]), n_threads]
            assert compiled.get_property("INFERENCE_NUM_THREADS") == n_threads

    def test_recorded_states_are_those_of_torch_to_two_bytes(
        self, texts: list[str], tmp_path: Path, tiny_encoder: str
    ) -> None:
        records = [
            record(load_encoder(tiny_encoder), texts, 2, tmp_path / name, choose_backend(name, "float32"))
            for name in ("torch", "auto")
        ]
        np.testing.assert_array_equal(records[0].ids, records[1].ids)
        np.testing.assert_allclose(records[0].states, records[1].states, rtol=2e-3, atol=1e-3)

    def test_of_the_bundled_model_all_cosines_with_torch_are_1(self, texts: list[str]) -> None:
        poolings = [Pooling("sentence"), Pooling("uniform", 3), Pooling("received", 3), Pooling("cls", 6)]
        expected = encode(load_encoder(), texts, poolings)
        actual = encode(load_encoder(), texts, poolings, backend=choose_backend("auto", "float32"))
        for a, b in zip(actual, expected, strict=True):
            assert cosines(a.astype(np.float64), b.astype(np.float64)).min() > 1 - 5e-7


class TestTokenBatches:
    @pytest.mark.parametrize("backend", [Backend(), Backend("openvino")], ids=lambda backend: backend.name)
    def test_attention_sums_to_what_it_must_and_padding_has_none(
        self, tiny_encoder: str, texts: list[str], backend: Backend
    ) -> None:
        rows = []
        for batch in token_batches(
            load_encoder(tiny_encoder), texts, layers=[0, -1], attention=[1, 3], sentence=True, backend=backend
        ):
            rows += batch.rows
            assert set(batch.states) == {0, -1}
            assert batch.states[-1].shape == (*batch.ids.shape, 16)
            assert batch.sentence is not None
            for layer in (1, 3):
                np.testing.assert_allclose(batch.received[layer].sum(dim=1), batch.mask.sum(dim=1), rtol=1e-4)
                np.testing.assert_allclose(batch.first[layer].sum(dim=1), 1, rtol=1e-4)
                assert not batch.received[layer][batch.mask == 0].any()
        assert sorted(rows) == list(range(len(texts)))

    def test_the_gram_matrix_counts_a_text_as_often_as_it_occurs(self, tiny_encoder: str, texts: list[str]) -> None:
        def gram(texts: list[str]) -> Any:
            total: Any = 0
            for batch in token_batches(load_encoder(tiny_encoder), texts, layers=[2]):
                states = batch.states[2][batch.mask.bool()]
                total = total + states.T @ states
            return total

        np.testing.assert_allclose(gram(texts * 2), 2 * gram(texts), rtol=1e-4, atol=1e-4)

    def test_layers_above_the_highest_one_needed_are_not_run(self, tiny_encoder: str, texts: list[str]) -> None:
        encoder, calls = load_encoder(tiny_encoder), []
        blocks = encoder[0].auto_model.encoder.layer
        handles = [
            block.register_forward_hook(lambda *_, layer=layer: calls.append(layer))
            for layer, block in enumerate(blocks, start=1)
        ]
        try:
            encode(encoder, texts[:1], [Pooling("uniform", 2), Pooling("received", 1)])
            assert sorted(calls) == [1, 2]
            assert len(blocks) == N_LAYERS
        finally:
            for handle in handles:
                handle.remove()


@pytest.mark.slow
def test_weights_that_are_changed_in_place_are_seen_by_openvino(tiny_encoder: str, texts: list[str]) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    encoder, backend = SentenceTransformer(tiny_encoder, device="cpu"), Backend("openvino")
    (before,) = encode(encoder, texts, [Pooling("uniform", 1)], backend=backend)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(1.5)
    (after,) = encode(encoder, texts, [Pooling("uniform", 1)], backend=backend)
    (expected,) = encode(encoder, texts, [Pooling("uniform", 1)])
    assert np.abs(after - before).max() > 0.01
    np.testing.assert_allclose(after, expected, atol=1e-5)
