"""Attention maps drawn: pictures without a missing glyph, and tables that fit a terminal."""

import itertools
import re
import sys
import warnings
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import pytest
from toy_maps import CHINESE, JAPANESE, SENTENCE, random_map, toy_map

from pipeline.attention.maps import AttentionMap, attention_map, moved
from pipeline.attention.view import fonts, terminal
from pipeline.attention.view.ink import contrast, ink
from pipeline.attention.view.plots import heat_map, word_by_layer

pytestmark = pytest.mark.slow


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
        np.testing.assert_array_equal(lower.lines[0].get_xdata(), range(1, 6))
        np.testing.assert_allclose(lower.lines[0].get_ydata(), bundled.without_special().received(3, 5))
        assert "without" in lower.get_ylabel()
        lower = heat_map(bundled, 3, 5, special=True).axes[1]
        np.testing.assert_allclose(lower.lines[0].get_ydata(), bundled.received(3, 5))
        assert lower.get_ylabel() == "received\n(mean)"
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
        assert len(upper.get_yticklabels()) == n_tokens

    @pytest.mark.parametrize("n_tokens", [20, 40])
    def test_values_of_many_tokens_fit_their_cells(self, n_tokens: int) -> None:
        attention = random_map(1, 1, [f"token{i}" for i in range(n_tokens)], seed=1)
        upper = drawn(heat_map(attention, values=True)).axes[0]
        shown = [f"{weight:.2f}" if weight else "" for weight in attention.matrix().ravel()]
        assert [text.get_text() for text in upper.texts] == shown
        widest = max(text.get_window_extent().width for text in upper.texts)
        assert widest < 0.95 * upper.get_window_extent().width / n_tokens

    def test_values_of_very_many_tokens_are_refused(self) -> None:
        with pytest.raises(ValueError, match="Got 301 tokens, but at most 300 can show values"):
            heat_map(random_map(1, 1, [f"token{i}" for i in range(301)], seed=1), values=True)

    def test_every_value_can_be_read_on_its_colour(self) -> None:
        from matplotlib.colors import to_rgb

        weights = np.linspace(0.001, 1, 196).reshape(1, 1, 14, 14)
        upper = drawn(heat_map(toy_map(weights, [f"token{i}" for i in range(14)]))).axes[0]
        colours = upper.collections[0].get_facecolors().reshape(-1, 4)
        pairs = zip((to_rgb(text.get_color()) for text in upper.texts), colours[:, :3], strict=True)
        assert min(contrast(first, second) for first, second in pairs) >= 4.5

    def test_a_long_text_stands_above_in_several_lines(self) -> None:
        attention = random_map(1, 1, [f"token{i}" for i in range(20)], seed=1)
        above = drawn(heat_map(attention)).get_suptitle().splitlines()[:-1]
        assert len(above) > 1
        assert " ".join(above) == attention.text

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


def test_black_or_white_can_be_read_on_any_colour() -> None:
    steps = np.linspace(0, 1, 12)
    names = {"black": (0, 0, 0), "white": (1, 1, 1)}
    assert min(contrast(names[ink(c)], c) for c in itertools.product(steps, steps, steps)) >= 4.5


class TestTerminal:
    @pytest.mark.parametrize("width", [40, 80])
    def test_all_values_of_a_long_sentence_stand_in_blocks(self, width: int) -> None:
        attention = random_map(1, 1, [f"token{i}" for i in range(20)], seed=1)
        lines = terminal.show(attention, width=width, values=True).splitlines()
        assert max(map(terminal._columns, lines)) <= width
        rows = [line.split() for line in lines if re.match(r" *token\d+ +\d\.\d\d +\d\.\d\d", line)]
        found = {label: [cell for row in rows if row[0] == label for cell in row[1:]] for label in attention.labels}
        assert found == {
            label: [f"{weight:.2f}" for weight in weights]
            for label, weights in zip(attention.labels, attention.matrix(), strict=True)
        }

    def test_a_short_sentence_is_a_table_within_80_columns(self, bundled: AttentionMap) -> None:
        lines = terminal.show(bundled, 3, 5, 80).splitlines()
        assert max(map(terminal._columns, lines)) <= 80
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
        assert max(map(terminal._columns, lines[4:])) <= width
        frame = attention.frame(3, 2)
        (line,) = [line for line in lines if re.match(r" *思   ", line)]
        best = frame.loc["思"].sort_values(ascending=False)
        assert f"思   {best.index[0]} {best.iloc[0]:.2f}  {best.index[1]} {best.iloc[1]:.2f}" in line

    def test_columns_stand_below_each_other_in_japanese(self) -> None:
        lines = terminal.show(attention_map("犬が猫を追う"), width=80).splitlines()
        table = [line for line in lines if re.search(r"\d\.\d\d  \d\.\d\d", line) or "query" in line]
        assert len(table) == 9
        assert len({terminal._columns(line) for line in table}) == 1

    def test_a_word_has_a_row_for_each_layer(self, bundled: AttentionMap) -> None:
        lines = terminal.show_word(bundled, "cat", head=3, width=80).splitlines()
        rows = [line.split() for line in lines if re.match(r" *\d  ", line)]
        table = bundled.by_layer("cat", 3)
        np.testing.assert_allclose([[float(cell) for cell in row[1:-1]] for row in rows], table, atol=0.0051)
        shares = moved(bundled.layer_differences("cat", 3))
        assert [row[-1] for row in rows] == ["-", *(f"{share:.2f}" for share in shares)]

    def test_a_word_in_a_long_sentence_shows_as_many_tokens_as_fit(self) -> None:
        text = terminal.show_word(attention_map(JAPANESE), "明日", width=80)
        assert max(terminal._columns(line) for line in text.splitlines()[4:]) <= 80
        assert "of 36" in text

    def test_control_characters_of_the_text_do_not_reach_the_terminal(self) -> None:
        shown = terminal.show(attention_map("red \x1b[31m text\nnext"))
        assert all(line.isprintable() for line in shown.splitlines())
