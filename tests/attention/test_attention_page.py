"""The page in a real browser: what is seen and done there, from file:// and without a network."""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from project import ROOT
from tiny_models import save_gpt2
from toy_maps import toy_map

from pipeline.attention.maps import AttentionMap, attention_map
from pipeline.attention.view import page as attention_page
from pipeline.attention.view.page import render

pytestmark = pytest.mark.slow

SENTENCE = "The dog chased the cat"
LONG = " ".join(pd.read_json(ROOT / "data/sample/reviews.jsonl", lines=True).text[:20]).split()[:200]
HOSTILE = '</script><img src=x onerror=alert(1)> & "quotes" {{ 7 * 7 }} \''


@pytest.fixture(scope="module")
def attention() -> AttentionMap:
    return attention_map(SENTENCE)


def data_of(html: str) -> dict[str, Any]:
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(content)


class TestFile:
    def test_holds_the_weights(self, attention: AttentionMap) -> None:
        data = data_of(render(attention))
        steps = np.frombuffer(zlib.decompress(base64.b64decode(data["weights"])), dtype="<u2")
        np.testing.assert_allclose(steps.reshape(attention.weights.shape) / 65535, attention.weights, rtol=0, atol=1e-5)
        assert data["levels"] == []

    def test_of_200_words_is_below_3_mb_and_holds_the_weights_within_0_003(self) -> None:
        attention = attention_map(" ".join(LONG))
        html = render(attention)
        assert len(attention.tokens) > 200
        assert len(html.encode()) < 3_000_000
        data = data_of(html)
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(data["weights"])), dtype=np.uint8)
        stored = np.array(data["levels"])[numbers].reshape(attention.weights.shape)
        np.testing.assert_allclose(stored, attention.weights, rtol=0, atol=0.0031)
        np.testing.assert_allclose(stored.mean(axis=(0, 1)), attention.matrix(), rtol=0, atol=0.0015)

    @pytest.mark.parametrize("steps", [100, 50, 25])
    def test_levels_rise_from_0_to_1_in_a_byte(self, steps: int) -> None:
        levels = attention_page._levels(steps)
        assert (levels[0], levels[-1]) == (0, 1)
        assert len(levels) <= 256
        assert 0 < np.diff(levels).min() <= np.diff(levels).max() < 0.0062

    def test_names_no_other_place(self, attention: AttentionMap) -> None:
        html = render(attention)
        assert set(re.findall(r"\w+://[^\s\"']+", html)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"<(?:link|img|iframe)\b|\bsrc=|@import", html)
        assert "default-src 'none'" in html

    def test_has_the_glyphs_of_its_text_and_no_others(self, attention: AttentionMap) -> None:
        from io import BytesIO

        from fontTools.ttLib import TTFont

        assert "@font-face" not in render(attention)
        (font,) = re.findall(r"data:font/otf;base64,([^\"]+)", render(attention_map("犬が猫を追う")))
        glyphs = TTFont(BytesIO(base64.b64decode(font))).getBestCmap()
        assert {chr(code) for code in glyphs} == set("犬が猫を追う")

    def test_a_map_too_large_to_open_well_is_refused(
        self, attention: AttentionMap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attention_page, "_MAX_WEIGHTS", attention.weights.size)
        render(attention)
        monkeypatch.setattr(attention_page, "_MAX_WEIGHTS", attention.weights.size - 1)
        with pytest.raises(ValueError, match="6 layers x 12 heads x 7 tokens has 3528 weights, but 3527 is the most"):
            render(attention)

    def test_a_layer_or_word_that_does_not_exist_is_an_error(self, attention: AttentionMap) -> None:
        with pytest.raises(ValueError, match="layers 1 to 6"):
            render(attention, layer=7)
        with pytest.raises(ValueError, match="not in the text"):
            render(attention, word="zebra")


class Opened:
    """A page in the browser, with everything that it complained about or asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1400, **settings: Any):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url.split(",")[0]))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("#layers td")

    def title(self) -> str:
        return str(self.page.text_content("#title"))

    def heat(self) -> np.ndarray:
        texts = self.page.locator("#heat td[data-key]").all_inner_texts()
        side = round(len(texts) ** 0.5)
        return np.array([text or 0 for text in texts], dtype=float).reshape(side, side)

    def lines(self) -> dict[tuple[int, int], float]:
        """Weight of each line by (query, key)."""
        found = self.page.eval_on_selector_all(
            "#lines line", "lines => lines.map(l => [+l.dataset.query, +l.dataset.key, +l.dataset.weight])"
        )
        return {(i, j): weight for i, j, weight in found}


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Write and open the page of a map; whatever the test does with it, nothing may be complained about or loaded."""
    shown: list[Opened] = []

    def open_page(
        attention: AttentionMap, width: int = 1400, media: dict[str, Any] | None = None, **first: Any
    ) -> Opened:
        path = tmp_path / f"{len(shown)}.html"
        path.write_text(render(attention, **first), encoding="utf-8")
        shown.append(Opened(browser, path, width, **(media or {})))
        return shown[-1]

    yield open_page
    for opened in shown:
        opened.context.close()
        assert opened.complaints == []
        assert [url for url in opened.requests if not url.startswith(("file:", "data:font/"))] == []


class TestMaps:
    def test_all_layers_heads_and_their_means_are_side_by_side(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        labels = opened.page.eval_on_selector_all("#grid button", "all => all.map(b => b.ariaLabel)")
        assert len(labels) == len(set(labels)) == 7 * 13
        assert opened.title() == "mean of 6 layers, mean of 12 heads"
        np.testing.assert_allclose(opened.heat(), attention.matrix(), atol=0.0051)

    def test_each_small_map_is_painted_with_its_weights(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        for layer, head in ((1, 3), (6, 12), (4, 0), (0, 0)):
            alpha = opened.page.eval_on_selector(
                f'#grid [data-layer="{layer}"][data-head="{head}"] canvas',
                "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 === 3)",
            )
            matrix = attention.matrix(layer or None, head or None)
            np.testing.assert_allclose(np.array(alpha).reshape(7, 7), 255 * np.sqrt(matrix), atol=1.5)

    def test_a_click_makes_one_large(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        opened.page.click('#grid [data-layer="4"][data-head="11"]')
        assert opened.title() == "layer 4, head 11"
        np.testing.assert_allclose(opened.heat(), attention.matrix(4, 11), atol=0.0051)
        for (i, j), weight in opened.lines().items():
            assert weight == pytest.approx(attention.weights[3, 10, i, j], abs=2e-5)
        assert opened.page.get_attribute('#grid [data-layer="4"][data-head="11"]', "aria-pressed") == "true"
        assert opened.page.locator('#grid [aria-pressed="true"]').count() == 1

    def test_the_keyboard_alone_does_the_same(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        opened.page.keyboard.press("Tab")
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
            opened.page.keyboard.press(key)
        assert opened.title() == "mean of 6 layers, mean of 12 heads"
        assert opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        opened.page.keyboard.press("Enter")
        assert opened.title() == "layer 2, head 2"
        np.testing.assert_allclose(opened.heat(), attention.matrix(2, 2), atol=0.0051)

    def test_arrows_stop_at_the_edges_and_tab_goes_on_to_the_tokens(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=6, head=12)
        opened.page.keyboard.press("Tab")
        for key in ("ArrowDown", "ArrowRight"):
            opened.page.keyboard.press(key)
        assert opened.page.evaluate("document.activeElement.ariaLabel") == "layer 6, head 12"
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className.split(' ')[0]") == "token"

    def test_layer_head_and_word_of_the_command_are_chosen_at_first(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=3, head=5, word="cat")
        assert opened.title() == "layer 3, head 5"
        assert {i for i, _ in opened.lines()} == {5}


class TestTokens:
    def test_focus_shows_a_tokens_lines_and_values_alone(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=3, head=5)
        opened.page.focus('#queries [data-i="5"]')
        lines = opened.lines()
        assert set(lines) == {(5, j) for j in range(7)}
        for (i, j), weight in lines.items():
            assert weight == pytest.approx(attention.weights[2, 4, i, j], abs=2e-5)
        assert opened.page.inner_text("#values-title") == "“cat” looks at"
        shown = dict(
            zip(
                opened.page.locator("#values .label").all_inner_texts(),
                map(float, opened.page.locator("#values .value").all_inner_texts()),
                strict=True,
            )
        )
        assert shown == pytest.approx(attention.frame(3, 5).loc["cat"].to_dict(), abs=6e-4)
        assert list(shown.values()) == sorted(shown.values(), reverse=True)

    def test_the_right_side_shows_who_looks_at_it(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=3, head=5)
        opened.page.focus('#keys [data-i="2"]')
        assert set(opened.lines()) == {(i, 2) for i in range(7)}
        assert opened.page.inner_text("#values-title") == "“dog” is looked at by"

    def test_the_mouse_shows_a_tokens_lines_and_leaving_shows_all(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        everything = opened.lines()
        opened.page.hover('#queries [data-i="2"]')
        assert {i for i, _ in opened.lines()} == {2}
        opened.page.hover("h1")
        assert opened.lines() == everything
        assert {i for i, _ in everything} == set(range(7))

    def test_arrows_walk_enter_keeps_and_escape_lets_go(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        everything = opened.lines()
        opened.page.focus('#queries [data-i="0"]')
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "Enter"):
            opened.page.keyboard.press(key)
        assert {i for i, _ in opened.lines()} == {3}
        opened.page.evaluate("document.activeElement.blur()")
        assert {i for i, _ in opened.lines()} == {3}
        opened.page.click('#grid [data-layer="2"][data-head="2"]')
        assert {i for i, _ in opened.lines()} == {3}
        opened.page.click('#grid [data-layer="0"][data-head="0"]')
        opened.page.focus('#queries [data-i="3"]')
        opened.page.keyboard.press("Escape")
        assert opened.lines() == everything

    def test_lines_are_as_opaque_as_the_colour_of_the_weight(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=3, head=5, word="cat")
        opacity = opened.page.eval_on_selector_all(
            "#lines line", "all => all.map(l => +l.getAttribute('stroke-opacity'))"
        )
        np.testing.assert_allclose(opacity, np.sqrt(list(opened.lines().values())), atol=1e-3)

    def test_a_token_layer_by_layer(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, head=5, word="cat")
        assert opened.page.inner_text("#layers-title") == "Layer by layer: what “cat” looks at, head 5"
        cells = np.array(opened.page.locator("#layers td[data-key]").all_inner_texts(), dtype=float).reshape(6, -1)
        np.testing.assert_allclose(cells, attention.by_layer("cat", 5), atol=6e-4)
        shares = [float(text) for text in opened.page.locator("#layers td.moved").all_inner_texts()[1:]]
        expected = attention.layer_differences("cat", 5).abs().sum(axis=1) / 2
        np.testing.assert_allclose(shares, expected, atol=0.0051)
        assert opened.page.locator("#layers svg").count() == 7

    def test_attention_received(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention, layer=1)
        texts = opened.page.locator("#received .value").all_inner_texts()
        np.testing.assert_allclose([float(text) for text in texts], attention.received(1), atol=0.0051)


def contrast(ink: str, colour: str) -> float:
    from pipeline.attention.view.ink import contrast as of_colours

    first, second = ([int(c) / 255 for c in re.findall(r"\d+", each)[:3]] for each in (ink, colour))
    return of_colours(first, second)


class TestContrast:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_value_can_be_read_on_its_colour(self, show: Any, scheme: str) -> None:
        weights = np.linspace(0.001, 1, 196, dtype=np.float32).reshape(1, 1, 14, 14)
        opened = show(toy_map(weights, [f"token{i}" for i in range(14)]), media={"color_scheme": scheme}, word="token3")
        found = opened.page.evaluate(
            "[...document.querySelectorAll('#heat td[data-key], #values .value, #layers td[data-key]')].map(e => "
            "{ const s = getComputedStyle(e); return [s.color, s.backgroundColor]; })"
        )
        assert len(found) > 200
        assert min(contrast(*pair) for pair in found) >= 4.5

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_texts_beside_them_too(self, show: Any, scheme: str, attention: AttentionMap) -> None:
        opened = show(attention, media={"color_scheme": scheme}, layer=3, word="cat")
        back = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        for place in ("h1", ".note", "#layers tr.current th", "#layers thead th", "#layers td.moved"):
            ink = opened.page.eval_on_selector(place, "e => getComputedStyle(e).color")
            assert contrast(ink, back) >= 4.5, place


class TestAnyText:
    def test_hostile_text_stays_text(self, show: Any) -> None:
        attention = attention_map(HOSTILE)
        opened = show(attention)
        assert opened.page.inner_text("h1") == HOSTILE
        assert opened.page.locator("img").count() == 0
        assert opened.page.locator("#queries .token").all_inner_texts() == attention.labels

    def test_a_script_in_the_page_beside_ours_is_not_run(self, browser: Any, tmp_path: Path) -> None:
        path = tmp_path / "tampered.html"
        path.write_text(render(attention_map("the dog")).replace("<main>", "<main><script>alert(1)</script>"))
        opened = Opened(browser, path)
        assert any("Content Security Policy" in complaint for complaint in opened.complaints)
        assert "1" not in opened.complaints
        opened.context.close()

    def test_a_causal_model_shows_a_triangle(self, show: Any, tmp_path: Path) -> None:
        attention = attention_map("the dog 犬", save_gpt2(tmp_path / "gpt2"))
        opened = show(attention)
        assert not np.triu(opened.heat(), 1).any()
        np.testing.assert_allclose(opened.heat(), attention.matrix(), atol=0.0051)
        assert all(j <= i for i, j in opened.lines())
        assert "causal" in opened.page.inner_text("header")
        assert opened.page.locator("#keys .token").all_inner_texts()[-3:] == ["犬 1/3", "犬 2/3", "犬 3/3"]

    def test_japanese_is_drawn_with_the_font_that_comes_with_the_page(self, show: Any) -> None:
        opened = show(attention_map("犬が猫を追う"))
        assert opened.page.evaluate(
            "document.fonts.ready.then(() => document.fonts.check('1em \"Glyphs of this text\"', '犬'))"
        )
        assert opened.page.evaluate("[...document.fonts].map(f => f.status)") == ["loaded"]

    @pytest.mark.parametrize("text", ["the " * 30, "The waiter was rude. " * 20, "a"])
    def test_long_and_short_texts(self, show: Any, text: str) -> None:
        attention = attention_map(text)
        opened = show(attention)
        opened.page.focus('#queries [data-i="1"]')
        assert len(opened.lines()) == len(attention.tokens)
        assert opened.page.locator("#queries .token").count() == len(attention.tokens)

    @pytest.mark.parametrize("width", [390, 1280])
    def test_200_words_wrap_and_their_map_scrolls(self, show: Any, width: int) -> None:
        opened = show(attention_map(" ".join(LONG)), width, values=True)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.page.evaluate("document.querySelector('h1').scrollWidth") <= width
        drawn = "document.getElementById('heat-canvas').toDataURL()"
        before = opened.page.evaluate(drawn)
        opened.page.evaluate("document.getElementById('heat').scrollTo(3000, 3000)")
        opened.page.wait_for_timeout(100)
        assert opened.page.evaluate(drawn) != before

    def test_values_can_be_asked_for_and_left_out(self, show: Any, attention: AttentionMap) -> None:
        long = attention_map("the " * 20)
        assert not show(long).heat().any()
        np.testing.assert_allclose(show(long, values=True).heat(), long.matrix(), atol=0.0051)
        assert not show(attention, values=False).heat().any()

    @pytest.mark.parametrize("width", [500, 1400])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fits_narrow_and_wide_screens_in_light_and_dark(
        self, show: Any, attention: AttentionMap, width: int, scheme: str
    ) -> None:
        opened = show(attention, width, {"color_scheme": scheme, "reduced_motion": "reduce"})
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        back, text = opened.page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (back, text)]
        assert (brightness[0] > 600 > 200 > brightness[1]) == (scheme == "light")
        assert opened.page.evaluate("getComputedStyle(document.querySelector('.token')).transitionDuration") == "0s"

    def test_every_button_and_region_has_a_name(self, show: Any, attention: AttentionMap) -> None:
        opened = show(attention)
        nameless = opened.page.evaluate(
            "[...document.querySelectorAll('button, [role=region], [role=grid], [role=group], [role=img], [tabindex]')]"
            ".filter(e => !(e.ariaLabel || e.innerText || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)"
        )
        assert nameless == []
        assert opened.page.locator('#grid [tabindex="0"]').count() == 1
        assert opened.page.locator('#both [tabindex="0"]').count() == 1
