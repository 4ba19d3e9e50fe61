"""A text is encoded once, however often a grid search deals it to another fold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forward_passes import ForwardPasses
from joblib import Memory
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from pipeline.encoder import Pooling, load_encoder, record
from pipeline.encoder.backend import Backend
from pipeline.encoder.text_cache import encode_once
from pipeline.features import AttentionPooling, SentenceEmbedding

ALPHAS = [0.1, 1.0, 10.0, 100.0]


def grid(transformer: Any, **settings: Any) -> GridSearchCV:
    pipeline = Pipeline([("features", transformer), ("ridge", Ridge())], **settings)
    return GridSearchCV(pipeline, {"ridge__alpha": ALPHAS}, cv=3, scoring="r2", error_score="raise")


def scores(search: GridSearchCV) -> Any:
    return search.cv_results_["mean_test_score"]


@pytest.fixture(autouse=True)
def _tried(tiny_encoder: str, texts: list[str]) -> None:
    """Whether an encoder's sentence embedding is to be had is tried once, on two texts of no user."""
    SentenceEmbedding(tiny_encoder).fit(texts)


class TestGridSearch:
    @pytest.mark.parametrize("kind", ["embedding", "received"])
    def test_with_a_cache_the_network_sees_each_text_once(
        self, kind: str, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        make = {"embedding": SentenceEmbedding, "received": lambda **each: AttentionPooling(layer=2, **each)}[kind]
        with ForwardPasses() as passes:
            search = grid(make(model=tiny_encoder, cache=tmp_path)).fit(texts, stars)
        assert passes.n_texts == len(texts)
        with ForwardPasses() as passes:
            again = grid(make(model=tiny_encoder, cache=str(tmp_path))).fit(texts, stars)
        assert passes.n_texts == 0
        expected = grid(make(model=tiny_encoder)).fit(texts, stars)
        for each in (search, again):
            np.testing.assert_allclose(scores(each), scores(expected), rtol=1e-4, atol=1e-5)

    def test_memory_alone_spares_the_fits_but_not_the_held_out_folds(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        n, memory = len(texts), Memory(tmp_path / "memory", verbose=0)
        with ForwardPasses() as passes:
            search = grid(SentenceEmbedding(tiny_encoder), memory=memory).fit(texts, stars)
        # Each text is in two of three training parts, in all of them at last, and is held out once for each candidate.
        assert passes.n_texts == (2 + 1 + len(ALPHAS)) * n
        with ForwardPasses() as passes:
            both = grid(SentenceEmbedding(tiny_encoder, cache=tmp_path / "texts"), memory=memory).fit(texts, stars)
        assert passes.n_texts == n
        np.testing.assert_allclose(scores(both), scores(search), rtol=1e-4, atol=1e-5)

    def test_with_recorded_states_learned_attention_encodes_nothing(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        with ForwardPasses() as passes:
            tokens = record(load_encoder(tiny_encoder), texts, 1, tmp_path)
            grid(AttentionPooling("t-method", 1, cv=2, model=tiny_encoder)).fit(tokens, np.array(stars))
        assert passes.n_texts == len(texts)


class TestCache:
    def vectors(self, tiny_encoder: str, texts: list[str], directory: Path, **settings: Any) -> Any:
        pooling, backend = settings.get("pooling", Pooling("uniform", 1)), settings.get("backend", Backend())
        return encode_once(load_encoder(tiny_encoder), texts, pooling, backend, directory)

    def test_order_and_duplicates_do_not_matter(self, tiny_encoder: str, texts: list[str], tmp_path: Path) -> None:
        first = self.vectors(tiny_encoder, texts, tmp_path)
        with ForwardPasses() as passes:
            again = self.vectors(tiny_encoder, [*texts[::-1], texts[0]], tmp_path)
            assert self.vectors(tiny_encoder, [], tmp_path).shape == (0, 16)
        assert passes.n_texts == 0
        np.testing.assert_array_equal(again, [*first[::-1], first[0]])

    @pytest.mark.parametrize("other", [{"pooling": Pooling("uniform", 2)}, {"backend": Backend("torch", "bfloat16")}])
    def test_another_pooling_or_backend_is_encoded_anew(
        self, tiny_encoder: str, texts: list[str], tmp_path: Path, other: dict[str, Any]
    ) -> None:
        first = self.vectors(tiny_encoder, texts, tmp_path)
        with ForwardPasses() as passes:
            changed = self.vectors(tiny_encoder, texts, tmp_path, **other)
        assert passes.n_texts == len(texts)
        assert np.abs(first - changed).max() > 1e-4

    def test_changed_weights_are_encoded_anew(self, tiny_encoder: str, texts: list[str], tmp_path: Path) -> None:
        import torch

        first = self.vectors(tiny_encoder, texts, tmp_path)
        weight = load_encoder(tiny_encoder)[0].auto_model.embeddings.LayerNorm.weight
        before = weight.detach().clone()
        try:
            with torch.no_grad():
                weight *= 2
            changed = self.vectors(tiny_encoder, texts, tmp_path)
        finally:
            with torch.no_grad():
                weight.copy_(before)
        assert np.abs(first - changed).max() > 1e-3

    def test_a_damaged_file_is_made_again(self, tiny_encoder: str, texts: list[str], tmp_path: Path) -> None:
        first = self.vectors(tiny_encoder, texts, tmp_path)
        (path,) = tmp_path.rglob("*.safetensors")
        path.write_bytes(path.read_bytes()[:100])
        np.testing.assert_array_equal(self.vectors(tiny_encoder, texts, tmp_path), first)

    def test_what_each_fit_learns_is_not_kept(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        pooling = AttentionPooling("idf", 1, model=tiny_encoder, cache=tmp_path)
        np.testing.assert_array_equal(
            pooling.fit_transform(texts), clone(pooling).set_params(cache=None).fit_transform(texts)
        )
        assert not [*tmp_path.iterdir()]
