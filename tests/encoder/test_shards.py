import importlib.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from project import ROOT

from pipeline.encoder import Backend, Pooling, TokenBatch, TokenPooling, encode, load_encoder, weighted_mean
from pipeline.encoder.batches import Shard
from pipeline.encoder.pooling import _code
from pipeline.encoder.shards import PooledVectors, _encoder_digest, encoder_key

POOLINGS = [Pooling("sentence"), Pooling("received", 2)]


@dataclass(frozen=True, eq=False)
class TokenTable(TokenPooling):
    """One weight per token id."""

    table: npt.NDArray[np.float32]
    layer: int

    def pool(self, batch: TokenBatch) -> Any:
        import torch

        return weighted_mean(batch.states[self.layer], torch.from_numpy(self.table)[batch.ids] * batch.mask)


@dataclass(frozen=True, eq=False)
class Queries(TokenPooling):
    """Softmax over the tokens by queries, of which each text has one set."""

    queries: npt.NDArray[np.float32]
    layer: int
    query_set: npt.NDArray[np.int64]

    def size(self, encoder: Any) -> int:
        return super().size(encoder) * self.queries.shape[2]

    def pool(self, batch: TokenBatch) -> Any:
        import torch

        states, queries = batch.states[self.layer], torch.from_numpy(self.queries[self.query_set[batch.rows]])
        scores = (states @ queries).masked_fill(batch.mask[:, :, None] == 0, -torch.inf)
        return (scores.softmax(dim=1).transpose(1, 2) @ states).flatten(1)


@pytest.fixture
def many(texts: list[str]) -> list[str]:
    """2,100 texts, all different: three shards."""
    return [f"{texts[i % len(texts)]} {i}" for i in range(2100)]


def forward_passes(encoder: Any) -> list[int]:
    """A list that grows by the number of texts of every forward pass."""
    sizes: list[int] = []
    encoder[0].auto_model.embeddings.register_forward_hook(lambda _m, _i, output: sizes.append(len(output)))
    return sizes


@pytest.fixture
def fresh_encoder(tiny_encoder: str) -> Any:
    """An encoder that no other test has."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(tiny_encoder, device="cpu", model_kwargs={"attn_implementation": "eager"}).eval()
    encode(encoder, ["good"], [Pooling("received", 1), Pooling("sentence")])
    return encoder


class TestDuplicates:
    def test_they_are_encoded_once_and_get_the_same_vector(self, fresh_encoder: Any, texts: list[str]) -> None:
        expected = encode(fresh_encoder, texts, POOLINGS)
        sizes = forward_passes(fresh_encoder)
        order = [0, 3, 3, 1, 0, *range(len(texts)), 7]
        for a, b in zip(encode(fresh_encoder, [texts[i] for i in order], POOLINGS), expected, strict=True):
            np.testing.assert_allclose(a, b[order], rtol=0, atol=1e-5)
        assert sum(sizes) == len(texts)

    def test_texts_with_other_sets_of_queries_are_apart(self, tiny_encoder: str, texts: list[str]) -> None:
        queries = np.random.default_rng(0).normal(size=(2, 16, 3)).astype(np.float32)
        encoder, n = load_encoder(tiny_encoder), len(texts)
        (both,) = encode(encoder, texts * 2, [Queries(queries, 2, np.repeat([0, 1], n))])
        assert both.shape == (2 * n, 48)
        for which in (0, 1):
            (alone,) = encode(encoder, texts, [Queries(queries[which : which + 1], 2, np.zeros(n, dtype=np.int64))])
            np.testing.assert_allclose(both[which * n : (which + 1) * n], alone, rtol=0, atol=1e-5)
        assert np.abs(both[:n] - both[n:]).max() > 0.01

    def test_weights_by_token_id(self, tiny_encoder: str, texts: list[str]) -> None:
        encoder = load_encoder(tiny_encoder)
        ones, uniform = encode(encoder, texts, [TokenTable(np.ones(100, np.float32), 1), Pooling("uniform", 1)])
        np.testing.assert_allclose(ones, uniform, rtol=0, atol=1e-6)
        only_cls = np.zeros(100, np.float32)
        only_cls[2] = 3
        (first,) = encode(encoder, texts[:1], [TokenTable(only_cls, 0)])
        # At the input every text begins alike.
        np.testing.assert_allclose(first, encode(encoder, ["bad"], [TokenTable(only_cls, 0)])[0], rtol=0, atol=1e-6)


class TestShards:
    def test_what_is_there_is_not_encoded_again(self, fresh_encoder: Any, many: list[str], tmp_path: Path) -> None:
        expected = encode(fresh_encoder, many, POOLINGS, cache=tmp_path)
        sizes = forward_passes(fresh_encoder)
        for a, b in zip(encode(fresh_encoder, many, POOLINGS, cache=tmp_path), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        assert sizes == []
        # One more pooling takes one more pass, one more text the last shard.
        encode(fresh_encoder, many, [*POOLINGS, Pooling("uniform", 1)], cache=tmp_path)
        assert sum(sizes) == 2100
        encode(fresh_encoder, [*many, "new"], POOLINGS, cache=tmp_path)
        assert sum(sizes) == 2100 + 53

    def test_a_damaged_file_is_made_again(self, fresh_encoder: Any, many: list[str], tmp_path: Path) -> None:
        expected = encode(fresh_encoder, many, POOLINGS[:1], cache=tmp_path)[0]
        first, second, third = sorted(tmp_path.rglob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        first.write_bytes(first.read_bytes()[:-100])
        second.write_bytes(b"")
        third.unlink()
        sizes = forward_passes(fresh_encoder)
        np.testing.assert_array_equal(encode(fresh_encoder, many, POOLINGS[:1], cache=tmp_path)[0], expected)
        assert sum(sizes) == 2100
        encode(fresh_encoder, many, POOLINGS[:1], cache=tmp_path)
        assert sum(sizes) == 2100

    @pytest.mark.slow
    def test_after_a_kill_finished_shards_are_not_encoded_again(
        self, fresh_encoder: Any, tiny_encoder: str, many: list[str], tmp_path: Path
    ) -> None:
        program = (
            "import sys\nfrom pathlib import Path\nfrom pipeline.encoder import *\n"
            "import pipeline.encoder.batches as batches; batches._CPU_TOKENS = 1  # slow enough to be caught\n"
            "many = Path(sys.argv[1]).read_text().split('\\n')\n"
            "encode(load_encoder(sys.argv[2]), many, [Pooling('sentence')], cache=Path(sys.argv[3]))"
        )
        (tmp_path / "texts").write_text("\n".join(many))
        cache = tmp_path / "cache"
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "texts"), tiny_encoder, str(cache)], cwd=ROOT
        )
        while process.poll() is None and not list(cache.rglob("*.safetensors")):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        finished = len([path for path in cache.rglob("*.safetensors") if not path.name.startswith(".")])
        assert 1 <= finished < 3
        sizes = forward_passes(fresh_encoder)
        (resumed,) = encode(fresh_encoder, many, [Pooling("sentence")], cache=cache)
        assert sum(sizes) == 2100 - 1024 * finished
        np.testing.assert_allclose(resumed, encode(fresh_encoder, many, [Pooling("sentence")])[0], rtol=0, atol=1e-5)

    def test_everything_that_decides_on_the_vectors_is_in_the_key(
        self, fresh_encoder: Any, texts: list[str], tmp_path: Path
    ) -> None:
        import torch

        table = np.ones(100, np.float32)
        other = table.copy()
        other[5] = 2

        def key(
            pooling: TokenPooling = POOLINGS[1],
            texts: list[str] = texts,
            backend: Backend = Backend(),  # noqa: B008
        ) -> Path:
            vectors = PooledVectors(pooling, np.empty((0, 0)), tmp_path, encoder_key(fresh_encoder, backend))
            return vectors._path(Shard(range(len(texts)), texts))

        sets = np.zeros(len(texts), dtype=np.int64)
        queries = np.ones((2, 16, 1), np.float32)
        keys = [
            key(),
            key(Pooling("received", 1)),
            key(Pooling("cls", 2)),
            key(TokenTable(table, 2)),
            key(TokenTable(other, 2)),
            key(Queries(queries, 2, sets)),
            key(Queries(queries, 2, sets + 1)),
            key(texts=[*texts[:-1], "other"]),
            key(backend=Backend("torch", "bfloat16")),
            key(backend=Backend("openvino")),
            key(backend=Backend("openvino", "int8", ("good",))),
            key(backend=Backend("openvino", "int8", ("bad",))),
        ]
        assert key() == keys[0]
        fresh_encoder.max_seq_length = 32
        keys.append(key())
        with torch.no_grad():
            fresh_encoder[0].auto_model.encoder.layer[0].output.dense.bias[0] += 1
        keys.append(key())
        assert len(set(keys)) == len(keys)

    def test_vectors_are_not_shared_by_classes_of_one_name_or_by_a_class_before_and_after_a_change(
        self, fresh_encoder: Any, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = (
            "from dataclasses import dataclass\nfrom pipeline.encoder import TokenPooling\n"
            "@dataclass(frozen=True)\nclass One(TokenPooling):\n    layer: int\n"
            "    def pool(self, batch):\n        return batch.states[self.layer][:, 0]"
        )

        def vectors(directory: str, name: str, code: str) -> npt.NDArray[np.float32]:
            path = tmp_path / directory / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(code)
            spec: Any = importlib.util.spec_from_file_location(name, path)
            module: Any = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
            return encode(fresh_encoder, texts, [module.One(1)], cache=tmp_path / "cache")[0]

        sizes = forward_passes(fresh_encoder)
        first = vectors("before", "poolings_a", code)
        assert sum(sizes) == len(texts)
        np.testing.assert_array_equal(vectors("before", "poolings_a", code), first)
        assert sum(sizes) == len(texts)
        np.testing.assert_array_equal(vectors("after", "poolings_a", f"{code} + 1"), first + 1)
        # The same code can mean another thing in another module.
        vectors("before", "poolings_b", code)
        assert sum(sizes) == 3 * len(texts)
        # Words change no vector.
        words = code.replace("    layer: int", '    """The first token."""\n    layer: int  # counted from 0')
        np.testing.assert_array_equal(vectors("words", "poolings_a", words), first)
        assert sum(sizes) == 3 * len(texts)

    def test_of_a_class_inside_a_function_only_statements_count(self) -> None:
        class One:
            def pool(self) -> str:
                return """1
not indented"""

        def commented() -> type:
            class One:
                """With words."""

                def pool(self) -> str:
                    # And more of them.
                    return """1
not indented"""

            return One

        def changed() -> type:
            class One:
                def pool(self) -> str:
                    return """2
not indented"""

            return One

        module, name, statements = _code(One)
        assert (module, name) == (__name__, One.__qualname__)
        assert _code(commented())[2] == statements
        assert _code(changed())[2] != statements

    def test_a_tokenizer_that_has_cut_texts_has_the_same_digest(self, fresh_encoder: Any) -> None:
        before = _encoder_digest(fresh_encoder)
        fresh_encoder.tokenizer(["good"] * 3, truncation=True, max_length=5, padding="max_length")
        assert _encoder_digest(fresh_encoder) == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_reviews(tiny_encoder: str) -> None:
    program = (
        "import resource, sys\nfrom pipeline.encoder import *\n"
        "encoder, n = load_encoder(sys.argv[1]), int(sys.argv[2])\n"
        "texts = [f'the food was good {i % 1000} ' + 'and ' * (i % 20) + str(i) for i in range(n)]\n"
        "(vectors,) = encode(encoder, texts, [Pooling('received', 1)])\n"
        "held = vectors.nbytes + sum(map(sys.getsizeof, texts))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held)"
    )

    def beyond(n: int) -> int:
        command = [sys.executable, "-c", program, tiny_encoder, str(n)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    small, large = beyond(2048), beyond(8192)
    # All token states of the larger one, of any single layer, would be 14 MB more.
    assert large - small < 8e6
