"""Queries trained by gradient descent, and the file of token states that they are trained from."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.encoder import Backend, load_encoder, token_batches
from pipeline.features import AttentionPooling
from pipeline.features.trained_query import TokenStates, keep_states, train_queries

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
    return keep_states(load_encoder(tiny_encoder), texts, 1, Backend(), directory / "states")


class TestStates:
    def test_the_file_holds_the_states_of_each_text_in_half_precision(
        self, tiny_encoder: str, texts: list[str], tmp_path: Path
    ) -> None:
        # Several batches, whose order is not that of the texts, and some texts twice.
        texts = [*texts, "", *(f"{text} {i}" for i in range(3) for text in texts), *texts]
        tokens = kept(tiny_encoder, texts, tmp_path)
        assert tokens.states.dtype == np.float16
        assert (tmp_path / "states").stat().st_size == tokens.lengths.sum() * 16 * 2
        for row, text in enumerate(texts):
            (batch,) = token_batches(load_encoder(tiny_encoder), [text], layers=[1])
            expected = batch.states[1][0].numpy()
            own = tokens.states[tokens.starts[row] : tokens.starts[row] + tokens.lengths[row]]
            np.testing.assert_allclose(own, expected, rtol=2e-3, atol=1e-3)
        # No two texts share a token.
        order = np.argsort(tokens.starts)
        np.testing.assert_array_equal(np.cumsum(tokens.lengths[order])[:-1], tokens.starts[order][1:])

    def test_nothing_is_left_on_disk(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        AttentionPooling("trained", 1, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert list(tmp_path.iterdir()) == []


class TestTraining:
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

    def test_only_the_rows_asked_for_are_learned_from(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, rows = kept(tiny_encoder, texts, tmp_path), np.arange(0, 12, 2)
        y = np.array(stars, dtype=np.float64)
        other = np.where(np.arange(12) % 2, y[::-1], y)
        assert set(other) == set(y)
        assert (other != y).any()
        first = train_queries(tokens, rows, y, 2, 0)
        np.testing.assert_array_equal(train_queries(tokens, rows, other, 2, 0), first)
        assert np.abs(train_queries(tokens, rows + 1, y, 2, 0) - first).max() > 1e-4
        assert first.shape == (16, 2)
        assert first.dtype == np.float32

    def test_names_of_the_classes_do_not_matter(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        first = train_queries(tokens, np.arange(12), y, 1, 0)
        np.testing.assert_array_equal(train_queries(tokens, np.arange(12), 10 * y - 3, 1, 0), first)

    def test_texts_without_tokens_are_left_out(
        self, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
    ) -> None:
        tokens, y = kept(tiny_encoder, texts, tmp_path), np.array(stars, dtype=np.float64)
        lengths = tokens.lengths.copy()
        lengths[[2, 7]] = 0
        emptied = TokenStates(tokens.states, tokens.starts, lengths)
        rest = np.delete(np.arange(12), [2, 7])
        np.testing.assert_array_equal(
            train_queries(emptied, np.arange(12), y, 1, 0), train_queries(tokens, rest, y, 1, 0)
        )

    def test_a_dimension_that_never_changes_does_no_harm(self) -> None:
        rng = np.random.default_rng(0)
        states = rng.normal(size=(40, 3)).astype(np.float16)
        states[:, 1] = 2.5
        tokens = TokenStates(states, np.arange(0, 40, 4), np.full(10, 4))
        query = train_queries(tokens, np.arange(10), np.arange(10) % 2 + 0.0, 1, 0)
        assert np.isfinite(query).all()

    def test_a_continuous_target_is_refused(self, tiny_encoder: str, texts: list[str]) -> None:
        pooling = AttentionPooling("trained", layer=1, model=tiny_encoder)
        with pytest.raises(ValueError, match=r"as a class, got 24 of them: 0, 0\.5, 1, "):
            pooling.fit(texts * 2, np.arange(24) / 2)
