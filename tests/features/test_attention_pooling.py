"""Attention pooling from outside: what it computes for a text, and how it behaves as a scikit-learn transformer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import ALL, FROM_THE_TARGET, N_HEADS, ODD_TEXTS, REVIEWS, STARS, Array, naive_weights
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict

from pipeline.deal import deal_folds
from pipeline.encoder import load_encoder
from pipeline.features import AttentionPooling
from pipeline.features.token_weights import document_frequency, idf_weights, length_weights, vocabulary_size


class TestVectors:
    @pytest.mark.slow
    @pytest.mark.parametrize("weights", ALL)
    @settings(max_examples=20)
    @given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
    def test_each_text_is_what_plain_numpy_makes_of_it_alone(
        self, fitted: dict[str, AttentionPooling], weights: str, texts: list[str]
    ) -> None:
        vectors = fitted[weights].transform(texts)
        for text, vector in zip(texts, vectors, strict=True):
            expected, states = naive_weights(fitted[weights], text)
            np.testing.assert_allclose(vector, (expected.T @ states).ravel(), rtol=0, atol=1e-4)

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
        # The bundled encoder ends in a normalisation, whatever is asked for.
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

    # Not "cls": this encoder is a causal one.
    @pytest.mark.parametrize("weights", [weights for weights in ALL if weights != "cls"])
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
        # Words may weigh the same in all heads, or differ from head to head.
        shape = (3, 7, n_heads) if of_each_head else (3, 7)
        log_weights = rng.normal(size=shape).astype(np.float32)
        batch = TokenBatch(
            rows, torch.from_numpy(ids), torch.from_numpy(mask).long(), {1: torch.from_numpy(states)}, {}, {}, None
        )
        pooling = QueryPooling(queries, log_weights, 1, sets.tolist())
        weights, vectors = pooling.token_weights(batch).numpy(), pooling.pool(batch).numpy()
        for i, row in enumerate(rows):
            real = slice(lengths[i])
            of_words = log_weights[sets[row]][ids[i, real]].reshape(lengths[i], n_heads if of_each_head else 1)
            expected = np.exp(states[i, real] @ queries[sets[row]] + of_words)
            expected /= expected.sum(axis=0)
            np.testing.assert_allclose(weights[i, real], expected, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(vectors[i], (expected.T @ states[i, real]).ravel(), rtol=1e-4, atol=1e-5)
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
        expected, states = naive_weights(fitted[weights], text)
        shown = table.filter(regex="^weight").to_numpy()
        np.testing.assert_allclose(shown, expected, rtol=0, atol=1e-5)
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
            of_texts = [star for review, star in zip(REVIEWS, STARS, strict=True) if token in review.split()]
            assert estimate == pytest.approx(
                (sum(of_texts) - len(of_texts) * STARS.mean()) / (len(of_texts) + 10), abs=1e-12
            )
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
        inside = folds == 2
        # Two texts of a fold that change their stars and stay in it.
        changed = STARS.copy()
        changed[[12, 33]] = STARS[[33, 12]]
        assert (STARS[12], STARS[33], folds[12], folds[33]) == (1, 5, 2, 2)
        assert (deal_folds(changed, 3, 0) == folds).all()
        before = pooling.fit_transform(REVIEWS, STARS)
        new_before = pooling.transform(["the food was never good"])
        after = pooling.fit_transform(REVIEWS, changed)
        np.testing.assert_array_equal(before[inside], after[inside])
        for fold in set(folds[~inside].tolist()):
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

    @pytest.mark.slow
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
        with_the_five = deal_folds(stars, 2, 0) == deal_folds(stars, 2, 0)[5]
        if weights != "trained":
            uniform = np.tile(AttentionPooling("uniform", 1, model=tiny_encoder).fit_transform(texts), 2)
            np.testing.assert_allclose(columns[with_the_five], uniform[with_the_five], rtol=0, atol=1e-5)
            assert np.abs(columns[~with_the_five] - uniform[~with_the_five]).max() > 1e-4
