"""Queries trained by gradient descent from recorded token states."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.deal import deal_folds
from pipeline.encoder import TokenStates, load_encoder, record
from pipeline.features import AttentionPooling
from pipeline.features.trained_query import train_queries

FILLER = ["we", "sat", "at", "table", "near", "door", "with", "friends", "on", "friday", "ordered", "soup", "rice"]


def make_needles(n: int) -> tuple[list[str], list[int]]:
    """Texts of which one word alone tells whether they have 1 or 5 stars."""
    rng = np.random.default_rng(0)
    stars = rng.choice([1, 5], n).tolist()
    texts = []
    for star in stars:
        words = rng.choice(FILLER, 9).tolist()
        words.insert(int(rng.integers(10)), "superb" if star == 5 else "awful")
        texts.append(" ".join(words))
    return texts, stars


def kept(tiny_encoder: str, texts: list[str], directory: Path) -> TokenStates:
    return record(load_encoder(tiny_encoder), texts, 1, directory)


class TestTraining:
    def test_nothing_is_left_on_disk(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        AttentionPooling("trained", 1, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert list(tmp_path.iterdir()) == []

    def test_a_seed_gives_the_same_queries_whatever_else_draws_numbers(
        self, tiny_encoder: str, texts: list[str], stars: list[int]
    ) -> None:
        import torch

        def query(seed: int | np.random.RandomState) -> np.ndarray:
            pooling = AttentionPooling("trained", 1, cv=2, model=tiny_encoder, random_state=seed)
            return pooling.fit(texts, stars).query_

        first = query(0)
        torch.manual_seed(99)
        torch.rand(10)
        np.testing.assert_array_equal(query(0), first)
        np.testing.assert_array_equal(query(np.random.RandomState(0)), query(np.random.RandomState(0)))
        assert np.abs(query(1) - first).max() > 1e-4

    def test_the_global_random_state_is_left_alone(self, tiny_encoder: str, texts: list[str], stars: list[int]) -> None:
        import torch

        load_encoder(tiny_encoder)
        before = torch.random.get_rng_state()
        AttentionPooling("trained", 1, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert torch.is_grad_enabled()

    @pytest.mark.parametrize("n_heads", [1, 2])
    def test_a_word_that_decides_gets_nearly_all_attention(self, n_heads: int) -> None:
        texts, stars = make_needles(250)
        pooling = AttentionPooling("trained", 0, n_heads, cv=2).fit(texts, stars)
        for text in ("we ordered superb soup at the door", "rice after work and an awful table"):
            table = pooling.explain(text)
            for name in table.filter(regex="^weight"):
                weights = table.set_index("token")[name]
                needle = weights["superb"] if "superb" in text else weights["awful"]
                # Alike, each of the 9 tokens would have a ninth.
                assert needle > 0.8
                assert needle == weights.max()

    def test_a_fold_s_model_does_not_know_the_stars_of_its_texts(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        folds = deal_folds(y, 3, 0)
        other = y.copy()
        row = int(np.flatnonzero(y == 2)[0])
        other[row] = 4
        assert set(other) == set(y)
        first, second = (train_queries(tokens, each, folds, 3, 2, 0) for each in (y, other))
        assert first.shape == (4, 16, 2)
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first[folds[row]], second[folds[row]])
        for fold in {0, 1, 2, 3} - {int(folds[row])}:
            assert np.abs(first[fold] - second[fold]).max() > 1e-4

    def test_the_last_model_learns_from_all_texts_and_folds_change_nothing_for_it(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        alone = train_queries(tokens, y, np.zeros(12, dtype=np.intp), 1, 2, 0)[-1]
        np.testing.assert_allclose(train_queries(tokens, y, deal_folds(y, 4, 0), 4, 2, 0)[-1], alone, atol=1e-4)

    def test_names_of_the_classes_do_not_matter(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        folds = deal_folds(y, 2, 0)
        first = train_queries(tokens, y, folds, 2, 1, 0)
        np.testing.assert_array_equal(train_queries(tokens, 10 * y - 3, folds, 2, 1, 0), first)

    def test_texts_without_tokens_are_left_out(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        lengths = tokens.lengths.copy()
        lengths[[2, 7]] = 0
        emptied = replace(tokens, lengths=lengths)
        folds, rest = np.arange(12) % 2, np.delete(np.arange(12), [2, 7])
        np.testing.assert_allclose(
            train_queries(emptied, y, folds, 2, 1, 0),
            train_queries(tokens[rest], y[rest], folds[rest], 2, 1, 0),
            atol=1e-5,
        )

    def test_a_dimension_that_never_changes_does_no_harm(self) -> None:
        rng = np.random.default_rng(0)
        states = rng.normal(size=(40, 3)).astype(np.float16)
        states[:, 1] = 2.5
        ids = np.zeros(40, dtype=np.int32)
        tokens = TokenStates(states, ids, np.arange(0, 40, 4), np.full(10, 4), 1)
        query = train_queries(tokens, np.arange(10) % 2 + 0.0, np.arange(10) % 5, 5, 1, 0)
        assert np.isfinite(query).all()

    def test_a_continuous_target_is_refused(self, tiny_encoder: str, texts: list[str]) -> None:
        pooling = AttentionPooling("trained", layer=1, model=tiny_encoder)
        with pytest.raises(ValueError, match=r"as a class, got 24 of them: 0, 0\.5, 1, "):
            pooling.fit(texts * 2, np.arange(24) / 2)
