"""Attention pooling from outside: what it computes for a text, and how it behaves as a scikit-learn transformer."""

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import skops.io
from conftest import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_checks
from tiny_models import save_gpt2

from pipeline.deal import deal_folds
from pipeline.encoder import load_encoder, token_batches
from pipeline.experiment.transformers import fit_transform
from pipeline.features import AttentionPooling, TextStats
from pipeline.features.token_weights import document_frequency, idf_weights, length_weights, vocabulary_size

ALL = ["uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"]
FROM_THE_TARGET = ["sn-ratio", "t-method", "trained"]
N_HEADS = dict.fromkeys(ALL, 1) | {"sn-ratio": 3, "t-method": 2, "trained": 2}
ODD_TEXTS = {
    "empty": "",
    "spaces": "  \n ",
    "one word": "Superb",
    "5,000 words": "We sat at a table. " * 999 + "The soup was really terrible.",
    "emoji": "😀👍🏽❤️ 😡",
    "Japanese": "味は最高。店員さんも親切でした！",
    "Chinese": "味道很好，但是服务太慢了。",
}
Array = npt.NDArray[Any]


def make_reviews(n: int, seed: int = 0) -> tuple[list[str], Array]:
    """Texts of words that the tiny encoder knows, with stars that go with good and bad."""
    rng = np.random.default_rng(seed)
    stars = rng.permutation(np.arange(n) % 5 + 1)
    chance = np.ones((n, len(WORDS)))
    chance[:, WORDS.index("good")] = stars
    chance[:, WORDS.index("bad")] = 6 - stars
    return [" ".join(rng.choice(WORDS, 8, p=p / p.sum())) for p in chance], stars


REVIEWS, STARS = make_reviews(40)


@pytest.fixture(scope="session")
def fitted(tiny_encoder: str) -> dict[str, AttentionPooling]:
    """Every weighting of the tiny encoder's second layer, fitted; not to be changed."""
    return {weights: AttentionPooling(weights, 2, cv=3, model=tiny_encoder).fit(REVIEWS, STARS) for weights in ALL}


@pytest.fixture(scope="session")
def no_special_tokens(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a tiny GPT-2 as encoder, whose tokenizer makes no token of an empty text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer

    parts, directory = save_gpt2(tmp_path_factory.mktemp("gpt2")), str(tmp_path_factory.mktemp("encoder"))
    tokenizer = AutoTokenizer.from_pretrained(parts)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(parts)
    transformer = Transformer(parts, max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(directory)
    return directory


def naive_weights(pooling: AttentionPooling, text: str) -> tuple[Array, Array]:
    """Weights of shape (tokens, heads) and token states of one text, by plain numpy."""
    encoder = pooling.load()
    (batch,) = token_batches(encoder, [text], layers=[pooling.layer], attention=[pooling.layer])
    ids, states = batch.ids[0].tolist(), batch.states[pooling.layer][0].double().numpy()
    special = set(encoder.tokenizer.all_special_ids)
    if pooling.weights == "uniform":
        weights = np.ones(len(ids))
    elif pooling.weights == "received":
        weights = batch.received[pooling.layer][0].double().numpy()
    elif pooling.weights == "cls":
        weights = batch.first[pooling.layer][0].double().numpy()
    elif pooling.weights == "idf":
        df = Counter(token for review in REVIEWS for token in set(encoder.tokenizer(review)["input_ids"]))
        weights = np.array([np.log((1 + len(REVIEWS)) / (1 + df[token])) + 1 for token in ids])
    elif pooling.weights == "length":
        tokens = encoder.tokenizer.convert_ids_to_tokens(ids)
        pairs = zip(ids, tokens, strict=True)
        weights = np.array([1e-6 if i in special else len(token.replace("##", "")) for i, token in pairs])
    else:
        of_words = pooling.log_weights_[ids].reshape(len(ids), -1).astype(np.float64)
        weights = np.exp(states @ pooling.query_ + of_words)
    weights = weights.reshape(len(ids), -1)
    return weights / weights.sum(axis=0), states


class TestVectors:
    @pytest.mark.parametrize("weights", ALL)
    @settings(max_examples=20)
    @given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
    def test_each_text_is_what_plain_numpy_makes_of_it_alone(
        self, fitted: dict[str, AttentionPooling], weights: str, texts: list[str]
    ) -> None:
        vectors = fitted[weights].transform(texts)
        for text, vector in zip(texts, vectors, strict=True):
            own, states = naive_weights(fitted[weights], text)
            np.testing.assert_allclose(vector, (own.T @ states).ravel(), rtol=0, atol=1e-4)

    @settings(max_examples=25)
    @given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.randoms())
    def test_uniform_over_the_final_layer_is_the_encoders_own_mean_pooling(
        self, tiny_encoder: str, texts: list[str], random: Any
    ) -> None:
        pooling = AttentionPooling("uniform", model=tiny_encoder).fit(texts)
        expected = load_encoder(tiny_encoder).encode(texts, normalize_embeddings=False, show_progress_bar=False)
        np.testing.assert_allclose(pooling.transform(texts), expected, rtol=0, atol=1e-5)
        order = random.sample(range(len(texts)), len(texts))
        np.testing.assert_allclose(pooling.transform([texts[i] for i in order]), expected[order], rtol=0, atol=1e-5)

    def test_uniform_over_the_final_layer_is_the_bundled_sentence_embedding(self, texts: list[str]) -> None:
        vectors = AttentionPooling("uniform").fit_transform([*texts, "", "味は最高。"])
        expected = load_encoder().encode(
            [*texts, "", "味は最高。"], normalize_embeddings=False, show_progress_bar=False
        )
        # The bundled encoder ends in a normalisation of its own, whatever is asked for.
        np.testing.assert_allclose(
            vectors / np.linalg.norm(vectors, axis=1, keepdims=True), expected, rtol=0, atol=1e-5
        )

    @pytest.mark.parametrize("weights", ALL)
    def test_neighbours_in_the_batch_change_nothing(
        self, fitted: dict[str, AttentionPooling], weights: str, texts: list[str]
    ) -> None:
        together = fitted[weights].transform([*texts, "good " * 60, ""])[:12]
        alone = np.concatenate([fitted[weights].transform([text]) for text in texts])
        np.testing.assert_allclose(together, alone, rtol=0, atol=2e-5)

    @pytest.mark.parametrize("weights", ALL)
    def test_odd_texts_give_finite_vectors(self, weights: str) -> None:
        texts = list(ODD_TEXTS.values())
        vectors = AttentionPooling(weights, 1, cv=2).fit_transform(texts, [1, 2, 3, 4, 5, 1, 2])
        assert vectors.shape == (7, 384 * N_HEADS[weights])
        assert np.isfinite(vectors).all()
        # Nothing and white space are the same text to the tokenizer; all others differ.
        assert len(np.unique(vectors[1:].round(4), axis=0)) == 6

    @pytest.mark.parametrize("weights", ALL)
    def test_a_text_of_no_token_at_all_gives_finite_vectors(self, weights: str, no_special_tokens: str) -> None:
        texts = ["the dog", "", "the cat", "the cat the dog", "", "dog cat"]
        pooling = AttentionPooling(weights, 1, cv=2, model=no_special_tokens)
        assert np.isfinite(pooling.fit_transform(texts, [1, 2, 3, 4, 5, 3])).all()
        vectors = pooling.transform(["the dog", ""])
        assert np.abs(vectors[0]).max() > 0
        assert (vectors[1] == 0).all()

    @given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3), st.booleans(), st.integers(0, 2**31))
    def test_weights_of_queries_are_a_softmax_over_the_real_tokens_by_the_text_s_own_set(
        self, n_texts: int, n_tokens: int, n_heads: int, of_each_head: bool, seed: int
    ) -> None:
        import torch

        from pipeline.encoder import TokenBatch
        from pipeline.features.token_weights import QueryPooling

        rng = np.random.default_rng(seed)
        lengths, sets = rng.integers(0, n_tokens + 1, n_texts), rng.integers(-1, 3, n_texts + 5)
        rows = rng.permutation(n_texts + 5)[:n_texts].tolist()
        mask = np.arange(n_tokens) < lengths[:, None]
        ids, states = (
            rng.integers(0, 7, (n_texts, n_tokens)),
            rng.normal(size=(n_texts, n_tokens, 4)).astype(np.float32),
        )
        queries = rng.normal(size=(3, 4, n_heads)).astype(np.float32)
        # Words may weigh the same in all heads, or each head has weights of its own.
        shape = (3, 7, n_heads) if of_each_head else (3, 7)
        log_weights = rng.normal(size=shape).astype(np.float32)
        batch = TokenBatch(
            rows, torch.from_numpy(ids), torch.from_numpy(mask).long(), {1: torch.from_numpy(states)}, {}, {}, None
        )
        pooling = QueryPooling(queries, log_weights, 1, sets.tolist())
        weights, vectors = pooling.token_weights(batch).numpy(), pooling.pool(batch).numpy()
        for i, row in enumerate(rows):
            own = slice(lengths[i])
            of_words = log_weights[sets[row]][ids[i, own]].reshape(lengths[i], n_heads if of_each_head else 1)
            expected = np.exp(states[i, own] @ queries[sets[row]] + of_words)
            expected /= expected.sum(axis=0)
            np.testing.assert_allclose(weights[i, own], expected, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(vectors[i], (expected.T @ states[i, own]).ravel(), rtol=1e-4, atol=1e-5)
            assert (weights[i, lengths[i] :] == 0).all()
        without_sets = QueryPooling(queries, log_weights, 1).token_weights(batch).numpy()
        last = QueryPooling(queries, log_weights, 1, [2] * (n_texts + 5)).token_weights(batch).numpy()
        np.testing.assert_array_equal(without_sets, last)


class TestWordWeights:
    @given(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=10))
    def test_idf_is_scikit_learns(self, documents: list[list[int]]) -> None:
        counts = np.array([[document.count(term) for term in range(5)] for document in documents])
        expected = TfidfTransformer(smooth_idf=True).fit(counts).idf_
        np.testing.assert_allclose(idf_weights((counts > 0).sum(axis=0), len(documents)), expected)

    def test_document_frequency_counts_texts_and_not_tokens(self, tiny_encoder: str) -> None:
        encoder = load_encoder(tiny_encoder)
        frequency = document_frequency(encoder, ["good good food", "good", ""] * 500)
        ids = dict(zip(["good", "food", "bad", "[CLS]", "[PAD]"], range(5), strict=True))
        ids = {word: encoder.tokenizer.convert_tokens_to_ids(word) for word in ids}
        assert {word: frequency[i] for word, i in ids.items()} == {
            "good": 1000,
            "food": 500,
            "bad": 0,
            "[CLS]": 1500,
            "[PAD]": 0,
        }
        assert frequency.shape == (vocabulary_size(encoder),)

    def test_pieces_of_a_word_share_its_length(self) -> None:
        tokenizer = load_encoder().tokenizer
        word = "unputdownableness"
        ids = tokenizer(word, add_special_tokens=False)["input_ids"]
        assert len(ids) > 2
        assert length_weights(tokenizer, len(tokenizer))[ids].sum() == len(word)

    def test_marks_for_spaces_do_not_count_and_special_tokens_hardly(self, no_special_tokens: str) -> None:
        tokenizer = load_encoder(no_special_tokens).tokenizer
        weights = length_weights(tokenizer, len(tokenizer))
        assert weights[tokenizer("the dog", add_special_tokens=False)["input_ids"]].tolist() == [3, 3]
        assert weights[tokenizer.all_special_ids].tolist() == [1e-6]


class TestExplain:
    @pytest.mark.parametrize("weights", ALL)
    @pytest.mark.parametrize("text", ["Good food, bad service!", "", "never " * 200, "😀 good 味"])
    def test_it_shows_the_weights_that_pooling_uses(
        self, fitted: dict[str, AttentionPooling], weights: str, text: str
    ) -> None:
        table = fitted[weights].explain(text)
        own, states = naive_weights(fitted[weights], text)
        shown = table.filter(regex="^weight").to_numpy()
        np.testing.assert_allclose(shown, own, rtol=0, atol=1e-5)
        np.testing.assert_allclose(shown.sum(axis=0), 1, rtol=0, atol=1e-5)
        np.testing.assert_allclose((shown.T @ states).ravel(), fitted[weights].transform([text])[0], rtol=0, atol=1e-4)

    def test_names_of_the_columns_say_how_many_heads_there_are(self, fitted: dict[str, AttentionPooling]) -> None:
        columns = {weights: fitted[weights].explain("good").columns.tolist() for weights in ALL}
        place = ["token", "start", "end"]
        assert columns["received"] == [*place, "weight"]
        assert columns["t-method"] == [*place, "weight_for", "weight_against", "estimate", "contribution"]
        heads = ["weight_up", "weight_down", "weight_middle"]
        assert columns["sn-ratio"] == [*place, *heads, "estimate", "contribution"]
        assert columns["trained"] == [*place, "weight_1", "weight_2"]
        for weights in ("sn-ratio", "t-method"):
            one = clone(fitted[weights]).set_params(n_heads=1).fit(REVIEWS, STARS).explain("good")
            assert one.columns.tolist() == [*place, "weight", "estimate", "contribution"]
        two = clone(fitted["sn-ratio"]).set_params(n_heads=2).fit(REVIEWS, STARS).explain("good")
        assert two.columns.tolist() == [*place, *heads[:2], "estimate", "contribution"]

    @pytest.mark.parametrize("n_heads", [1, 2])
    def test_contributions_add_up_to_the_estimate_of_the_pooled_states(
        self, fitted: dict[str, AttentionPooling], n_heads: int
    ) -> None:
        pooling = clone(fitted["t-method"]).set_params(n_heads=n_heads).fit(REVIEWS, STARS)
        text = "the food was never good"
        pooled = pooling.transform([text])[0].reshape(n_heads, 16).mean(axis=0)
        expected = (pooled - pooling.center_) @ pooling.coef_
        assert pooling.explain(text)["contribution"].sum() == pytest.approx(expected, abs=1e-4)

    def test_the_estimate_of_a_word_is_how_far_its_texts_lie_from_the_mean(
        self, fitted: dict[str, AttentionPooling]
    ) -> None:
        table = fitted["sn-ratio"].explain("the food was not good bad")
        for token, estimate in zip(table["token"][1:-1], table["estimate"][1:-1], strict=True):
            own = [star for review, star in zip(REVIEWS, STARS, strict=True) if token in review.split()]
            assert estimate == pytest.approx((sum(own) - len(own) * STARS.mean()) / (len(own) + 10), abs=1e-12)
        np.testing.assert_allclose(table["estimate"].iloc[[0, -1]], 0, atol=1e-12)
        mean_weight = (table["weight_up"] + table["weight_down"] + table["weight_middle"]) / 3
        np.testing.assert_allclose(table["contribution"], mean_weight * table["estimate"], rtol=1e-5, atol=1e-12)
        by_token = table.set_index("token")
        assert by_token["estimate"]["good"] > 0 > by_token["estimate"]["bad"]
        assert by_token["weight_up"]["good"] > 2 * by_token["weight_up"]["bad"]
        assert by_token["weight_down"]["bad"] > 2 * by_token["weight_down"]["good"]

    @pytest.mark.parametrize(
        "text",
        [
            "Awful food, superb wine!",
            "  \n Awful   food ",
            "ラーメンは最高。店員さん",
            "  味は最高 good",
            "Good 味😀 great",
            "Über-cool café",
        ],
    )
    def test_start_and_end_cut_the_token_out_of_the_text(self, text: str) -> None:
        table = AttentionPooling("length", 0).fit(["good"]).explain(text)
        words = table[~table["token"].isin(["[CLS]", "[SEP]", "[UNK]"])]
        assert len(words) >= 2
        for token, start, end in words[["token", "start", "end"]].itertuples(index=False):
            piece = token.removeprefix("##")
            assert end - start == len(piece)
            # The bundled tokenizer lowers the case and drops accents and the marks of voiced sounds.
            if text.isascii():
                assert text[start:end].lower() == piece
        unknown = table[table["token"] == "[UNK]"]
        assert (unknown["end"] > unknown["start"]).all()
        assert (table[table["token"].isin(["[CLS]", "[SEP]"])][["start", "end"]] == 0).all(axis=None)
        # In order, without overlap, and all that is no space.
        places = table[table["end"] > table["start"]]
        assert (places["start"].to_numpy()[1:] >= places["end"].to_numpy()[:-1]).all()
        covered = {i for start, end in zip(places["start"], places["end"], strict=True) for i in range(start, end)}
        assert covered == {i for i, letter in enumerate(text) if not letter.isspace()}

    def test_leading_spaces_count_with_a_tokenizer_that_keeps_them(self, no_special_tokens: str) -> None:
        text = "  the dog "
        table = AttentionPooling("uniform", 1, model=no_special_tokens).fit(["the"]).explain(text)
        pieces = [text[start:end] for start, end in zip(table["start"], table["end"], strict=True)]
        assert "".join(pieces) == text
        assert [piece.strip() for piece in pieces if piece.strip()] == ["the", "dog"]

    def test_a_text_beyond_the_limit_is_explained_up_to_there(self, fitted: dict[str, AttentionPooling]) -> None:
        table = fitted["uniform"].explain("good " * 500)
        assert len(table) == 64
        assert table["end"].max() == 62 * 5 - 1

    def test_errors(self, fitted: dict[str, AttentionPooling]) -> None:
        with pytest.raises(ValueError, match=r"^Expected str, got int \(3\) at position 0\.$"):
            fitted["idf"].explain(3)  # type: ignore[arg-type]
        for weights in ALL:
            with pytest.raises(NotFittedError, match="not fitted yet"):
                AttentionPooling(weights).explain("good")


class TestOutOfFold:
    @pytest.mark.parametrize(("weights", "n_heads"), [("sn-ratio", 3), ("t-method", 1), ("trained", 1)])
    def test_a_texts_own_star_does_not_change_its_columns(self, tiny_encoder: str, weights: str, n_heads: int) -> None:
        pooling = AttentionPooling(weights, 1, n_heads, cv=3, model=tiny_encoder)
        folds = deal_folds(STARS, 3, 0)
        own = folds == 2
        # Two texts of a fold that change their stars and stay in it.
        changed = STARS.copy()
        changed[[12, 33]] = STARS[[33, 12]]
        assert (STARS[12], STARS[33], folds[12], folds[33]) == (1, 5, 2, 2)
        assert (deal_folds(changed, 3, 0) == folds).all()
        before = pooling.fit_transform(REVIEWS, STARS)
        new_before = pooling.transform(["the food was never good"])
        after = pooling.fit_transform(REVIEWS, changed)
        np.testing.assert_array_equal(before[own], after[own])
        for fold in set(folds[~own].tolist()):
            assert (before[folds == fold] != after[folds == fold]).any()
        assert np.abs(new_before - pooling.transform(["the food was never good"])).max() > 0

    # The folds' trained queries see batches that hold their own texts, too, which do not count: see test_trained_query.
    @pytest.mark.parametrize("weights", [weights for weights in FROM_THE_TARGET if weights != "trained"])
    def test_fit_transform_gives_each_text_what_a_fit_on_the_other_folds_gives(
        self, fitted: dict[str, AttentionPooling], weights: str
    ) -> None:
        pooling = clone(fitted[weights]).set_params(n_heads=1)
        columns, folds = pooling.fit_transform(REVIEWS, STARS), deal_folds(STARS, 3, 0)
        texts = np.array(REVIEWS, dtype=object)
        for fold in range(3):
            outside = clone(pooling).fit(texts[folds != fold], STARS[folds != fold])
            np.testing.assert_allclose(
                columns[folds == fold], outside.transform(texts[folds == fold]), rtol=0, atol=1e-4
            )

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    def test_fit_transform_fits_on_all_texts(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        again = clone(fitted[weights])
        columns = again.fit_transform(REVIEWS, STARS)
        np.testing.assert_array_equal(again.transform(REVIEWS), fitted[weights].transform(REVIEWS))
        assert np.abs(columns - again.transform(REVIEWS)).max() > 1e-6

    @pytest.mark.parametrize("weights", [weights for weights in ALL if weights not in FROM_THE_TARGET])
    def test_without_a_target_it_is_fit_and_then_transform(
        self, fitted: dict[str, AttentionPooling], weights: str
    ) -> None:
        columns = clone(fitted[weights]).fit_transform(REVIEWS)
        np.testing.assert_array_equal(columns, fitted[weights].transform(REVIEWS))

    @pytest.mark.parametrize("weights", ["sn-ratio", "t-method"])
    def test_random_stars_leave_no_trace_out_of_fold(self, weights: str) -> None:
        vocabulary = load_encoder().tokenizer.get_vocab()
        words = sorted(word for word in vocabulary if word.isalpha() and word.isascii() and 4 <= len(word) <= 7)
        rng = np.random.default_rng(0)
        texts = [" ".join(rng.choice(words, 30)) for _ in range(250)]
        stars = np.random.default_rng(1).integers(1, 6, 250)
        pooling = AttentionPooling(weights, 0, cv=2)

        def trace(columns: Array) -> float:
            return float(np.corrcoef(cross_val_predict(Ridge(), columns, stars, cv=5), stars)[0, 1])

        assert trace(pooling.fit_transform(texts, stars)) < 0.15
        assert trace(pooling.transform(texts)) > 0.25

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    def test_a_fold_whose_complement_has_one_star_only_is_pooled_alike(self, tiny_encoder: str, weights: str) -> None:
        texts = ["good food", "never bad", "the service", "a food", "never good", "never was"]
        stars = [1, 1, 1, 1, 1, 5]
        columns = AttentionPooling(weights, 1, 2, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert np.isfinite(columns).all()
        own = deal_folds(stars, 2, 0) == deal_folds(stars, 2, 0)[5]
        if weights != "trained":
            uniform = np.tile(AttentionPooling("uniform", 1, model=tiny_encoder).fit_transform(texts), 2)
            np.testing.assert_allclose(columns[own], uniform[own], rtol=0, atol=1e-5)
            assert np.abs(columns[~own] - uniform[~own]).max() > 1e-4


class TestFeaturize:
    def test_the_stage_gives_fit_transform_for_training_and_transform_for_the_others(
        self, tiny_encoder: str, tmp_path: Path
    ) -> None:
        # Some texts stand on both sides, and twice: each copy has what is learned for its own fold.
        texts = [*REVIEWS, *REVIEWS[:5], *make_reviews(15, seed=1)[0]]
        stars = np.concatenate([STARS, STARS[:5], make_reviews(15, seed=1)[1]])
        train = np.random.default_rng(0).permutation(np.arange(60) < 45)
        reviews = pd.DataFrame(
            {
                "review_id": [str(i) for i in range(60)],
                "text": texts,
                "stars": stars,
                "split": np.where(train, "train", "test"),
            }
        )

        def make() -> dict[str, Any]:
            return {each: AttentionPooling(each, 2, cv=3, model=tiny_encoder) for each in ALL} | {"stats": TextStats()}

        tables, _ = fit_transform(make(), reviews, tmp_path / "shards", tmp_path / "tokens")
        for name, transformer in make().items():
            columns = tables[name].drop(columns="review_id")
            assert columns.columns.tolist() == transformer.fit([""] * 3, [1, 2, 3]).get_feature_names_out().tolist()
            is_train = [text for text, inside in zip(texts, train, strict=True) if inside]
            own = transformer.fit_transform(is_train, stars[train])
            # The record of token states, from which weights are learned and states pooled, has half precision.
            atol = 2e-2 if name == "trained" else 5e-3 if name in FROM_THE_TARGET or name in ("idf", "length") else 2e-5
            np.testing.assert_allclose(columns[train], own, rtol=0, atol=atol, err_msg=name)
            others = transformer.transform([text for text, inside in zip(texts, train, strict=True) if not inside])
            np.testing.assert_allclose(columns[~train], others, rtol=0, atol=atol, err_msg=name)

    @pytest.mark.parametrize("weights", ALL)
    def test_skops_keeps_the_fit(
        self, fitted: dict[str, AttentionPooling], weights: str, tmp_path: Path, texts: list[str]
    ) -> None:
        path = tmp_path / "transformer.skops"
        skops.io.dump(fitted[weights], path)
        untrusted = skops.io.get_untrusted_types(file=path)
        assert untrusted == ["pipeline.features.attention_pooling.AttentionPooling"]
        loaded = skops.io.load(path, trusted=untrusted)
        np.testing.assert_array_equal(loaded.transform(texts), fitted[weights].transform(texts))
        pd.testing.assert_frame_equal(loaded.explain(texts[0]), fitted[weights].explain(texts[0]))

    def test_skops_keeps_the_texts_that_calibrate_int8(
        self, tiny_encoder: str, tmp_path: Path, texts: list[str]
    ) -> None:
        pytest.importorskip("nncf")
        pooling = AttentionPooling("uniform", 2, model=tiny_encoder, backend="openvino", precision="int8")
        before = pooling.fit(texts).transform(texts)
        assert pooling.calibration_ == texts
        path = tmp_path / "transformer.skops"
        skops.io.dump(pooling, path)
        loaded = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
        assert loaded.make_backend() == pooling.make_backend()
        np.testing.assert_array_equal(loaded.transform(texts), before)
        pooling.set_params(backend="torch", precision="float32").fit(texts)
        assert not hasattr(pooling, "calibration_")

    def test_three_hundred_texts_from_all_over_the_training_texts_calibrate_int8(self, tiny_encoder: str) -> None:
        pytest.importorskip("nncf")
        pooling = AttentionPooling("uniform", 0, model=tiny_encoder, backend="openvino", precision="int8")
        assert pooling.fit([str(i) for i in range(1000)]).calibration_ == [str(i * 999 // 299) for i in range(300)]
        # Of fewer texts all do.
        assert pooling.fit(["c", "a", "b"]).calibration_ == ["c", "a", "b"]


class TestScikitLearn:
    @pytest.mark.filterwarnings("ignore:Can't test estimator")
    @pytest.mark.parametrize("weights", ALL)
    def test_contract(self, weights: str, tiny_encoder: str) -> None:
        estimator = AttentionPooling(weights, layer=2, model=tiny_encoder)
        assert estimator_checks.check_estimator(estimator)
        for check in (
            estimator_checks.check_no_attributes_set_in_init,
            estimator_checks.check_parameters_default_constructible,
            estimator_checks.check_get_params_invariance,
            estimator_checks.check_set_params,
            estimator_checks.check_valid_tag_types,
            estimator_checks.check_mixin_order,
            estimator_checks.check_estimator_repr,
        ):
            check("AttentionPooling", estimator)

    def test_the_target_is_required_where_it_is_learned_from(self) -> None:
        required = {weights for weights in ALL if AttentionPooling(weights).__sklearn_tags__().target_tags.required}
        assert required == set(FROM_THE_TARGET)

    @pytest.mark.parametrize("weights", ALL)
    def test_clone_pickle_and_pandas(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        pooling = fitted[weights]
        copy = clone(pooling)
        assert copy.get_params() == pooling.get_params()
        with pytest.raises(NotFittedError):
            copy.transform(["good"])
        content = pickle.dumps(pooling)
        assert len(content) < 5000
        np.testing.assert_array_equal(pickle.loads(content).transform(REVIEWS), pooling.transform(REVIEWS))
        table = copy.set_output(transform="pandas").fit_transform(pd.Series(REVIEWS, index=range(7, 47)), STARS)
        n_columns = 16 * N_HEADS[weights]
        assert table.columns.tolist() == [f"attentionpooling{i}" for i in range(n_columns)]
        assert table.columns.tolist() == copy.get_feature_names_out().tolist()
        assert table.index.tolist() == list(range(7, 47))

    @pytest.mark.parametrize(
        ("weights", "n_heads"), [("sn-ratio", 1), ("sn-ratio", 2), ("t-method", 1), ("trained", 1), ("trained", 3)]
    )
    def test_each_head_has_its_dimensions(self, tiny_encoder: str, weights: str, n_heads: int) -> None:
        pooling = AttentionPooling(weights, 1, n_heads, cv=2, model=tiny_encoder)
        assert pooling.fit_transform(REVIEWS, STARS).shape == (40, 16 * n_heads)
        assert pooling.query_.shape == (16, n_heads)
        assert pooling.transform([]).shape == (0, 16 * n_heads)

    def test_grid_search_over_weights(self, tiny_encoder: str) -> None:
        steps = [("pool", AttentionPooling(layer=1, cv=2, model=tiny_encoder)), ("ridge", Ridge())]
        search = GridSearchCV(Pipeline(steps), {"pool__weights": ALL}, cv=2, error_score="raise")
        search.fit(REVIEWS, STARS)
        assert len(set(search.cv_results_["mean_test_score"].round(9))) == len(ALL)
        best = clone(search.best_estimator_).fit(REVIEWS, STARS)
        np.testing.assert_allclose(search.predict(["good food"]), best.predict(["good food"]))

    def test_a_fit_with_other_weights_forgets_the_one_before(self, tiny_encoder: str) -> None:
        of_all = {"query_", "log_weights_"}
        of = dict.fromkeys(["idf", "length", "trained"], of_all) | {
            "sn-ratio": of_all | {"sn_ratio_", "shift_"},
            "t-method": of_all | {"temperature_", "sn_ratio_", "coef_", "center_"},
        }
        learned = of["sn-ratio"] | of["t-method"]
        pooling = AttentionPooling(layer=1, cv=2, model=tiny_encoder)
        for weights in [*ALL[::-1], *ALL, "t-method", "sn-ratio"]:
            pooling.set_params(weights=weights).fit(REVIEWS, STARS)
            assert {name for name in vars(pooling) if name in learned} == of.get(weights, set())
            fresh = clone(pooling).fit(REVIEWS, STARS)
            np.testing.assert_array_equal(pooling.transform(REVIEWS), fresh.transform(REVIEWS))

    def test_other_weights_than_those_fitted_have_to_be_fitted_first(self, tiny_encoder: str) -> None:
        pooling = AttentionPooling("uniform", model=tiny_encoder).fit(REVIEWS).set_params(weights="idf")
        with pytest.raises(NotFittedError, match="not fitted yet"):
            pooling.transform(REVIEWS)

    def test_inputs_are_not_changed(self, tiny_encoder: str) -> None:
        texts, stars = np.array(REVIEWS, dtype=object), STARS.astype(np.float64)
        AttentionPooling("t-method", 1, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert texts.tolist() == REVIEWS
        assert (stars == STARS).all()

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    def test_stars_may_be_floats(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        as_floats = clone(fitted[weights]).fit_transform(REVIEWS, pd.Series(STARS.astype(np.float32)))
        np.testing.assert_array_equal(as_floats, clone(fitted[weights]).fit_transform(REVIEWS, STARS))
        halves = clone(fitted[weights]).fit_transform(REVIEWS, STARS + np.arange(40) % 2 / 2)
        assert np.isfinite(halves).all()


class TestErrors:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"weights": "sn-ratio", "n_heads": 4}, "Got n_heads=4 with weights='sn-ratio', which has at most 3."),
            ({"weights": "t-method", "n_heads": 3}, "Got n_heads=3 with weights='t-method', which has at most 2."),
            ({"weights": "uniform", "n_heads": 2}, "Got n_heads=2 with weights='uniform', which has at most 1."),
            *(
                (
                    {"weights": weights, "layer": 4},
                    f"Got layer=4 with weights={weights!r}, but the encoder has the layers {lowest} to 3.",
                )
                for weights, lowest in zip(ALL, [0, 1, 1, 0, 0, 0, 0, 0], strict=True)
            ),
            (
                {"weights": "cls", "layer": -4},
                "Got layer=-4 with weights='cls', but the encoder has the layers 1 to 3.",
            ),
            (
                {"weights": "t-method", "cv": 41},
                "Got cv=41 folds but only 40 texts: give more texts or a smaller cv.",
            ),
        ],
    )
    def test_parameters(self, tiny_encoder: str, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011 - compared in full
            AttentionPooling(model=tiny_encoder).set_params(**parameters).fit(REVIEWS, STARS)
        assert str(error.value) == message

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "AttentionPooling requires y to be passed, but the target y is None."),
            ([3] * 40, "The target y is constant (3): there is nothing to learn."),
            (STARS[:39], "Found input variables with inconsistent numbers of samples: [40, 39]"),
            (STARS[:, None], "The target y must be one column, got shape (40, 1)."),
            ([np.nan, *STARS[1:]], "Input y contains NaN."),
        ],
    )
    def test_targets(self, tiny_encoder: str, weights: str, y: Any, message: str) -> None:
        for method in ("fit", "fit_transform"):
            with pytest.raises(ValueError) as error:  # noqa: PT011 - compared in full
                getattr(AttentionPooling(weights, model=tiny_encoder), method)(REVIEWS, y)
            assert str(error.value) == message

    @pytest.mark.parametrize("weights", ALL)
    def test_texts(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        with pytest.raises(ValueError, match="single string 'Great!': put it into a list"):
            clone(fitted[weights]).fit("Great!", [1])
        with pytest.raises(ValueError, match=r"Expected str, got NoneType \(None\) at position 1"):
            fitted[weights].transform(["good", None])
