"""The report in a real browser: it sorts, filters, fits, can be read in both schemes, and asks for nothing."""

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from report_data import FEATURES

from pipeline.format import short
from pipeline.project.paths import DatasetPaths

pytestmark = pytest.mark.slow

N_COLUMNS = 22
SCHEMES = ["light", "dark"]
# Ratio of WCAG 2 between the colour of each text and the colours that lie behind it.
CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) =>
    element ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor] : [];
  const found = {};
  for (const details of document.querySelectorAll('details')) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const back = behind(element), text = getComputedStyle(element).color;
    const [high, low] = [luminance(paint(back)), luminance(paint([...back, text]))].sort((a, b) => b - a);
    found[`${element.tagName} ${element.className} ${text}`] = (high + 0.05) / (low + 0.05);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def page_file(built: tuple[Path, DatasetPaths]) -> Path:
    return built[0] / built[1].page


@pytest.fixture(scope="module")
def metrics(page_file: Path) -> pd.DataFrame:
    return pd.read_csv(page_file.with_name("metrics.csv"))


@pytest.fixture
def show(browser: Any, page_file: Path) -> Iterator[Any]:
    """Open the report; whatever the test does with it, nothing may be complained about or loaded."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_page(width: int = 1280, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url.split(",")[0]))
        page.goto(page_file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:image/svg+xml"))] == []


def column(page: Any, name: str) -> list[str]:
    """The visible cells under the head with that name."""
    names = [text.strip() for text in page.locator("#leaderboard thead th").all_inner_texts()]
    place = names.index(name) + 1
    return page.locator(f"#leaderboard tbody tr:not([hidden]) > :nth-child({place})").all_inner_texts()


def head(page: Any, name: str) -> Any:
    return page.locator("#leaderboard thead th", has=page.get_by_role("button", name=name, exact=True))


class TestLeaderboard:
    def test_a_click_sorts_best_first_and_another_one_worst_first(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        for name, key, best_is_high in (("MAE", "mae", False), ("QWK", "qwk", True), ("fit s", "fit_seconds", False)):
            values = metrics[key].sort_values(ascending=not best_is_high)
            assert head(page, name).count() == 1
            expected = [short(value) if key == "fit_seconds" else f"{value:.3f}" for value in values]
            page.click(f"#leaderboard thead button:text-is('{name}')")
            assert column(page, name) == expected
            assert head(page, name).get_attribute("aria-sort") == ("descending" if best_is_high else "ascending")
            page.click(f"#leaderboard thead button:text-is('{name}')")
            assert column(page, name) == expected[::-1]
            assert page.locator("#leaderboard th:not([aria-sort=none])[aria-sort]").count() == 1

    def test_cells_without_a_value_come_last_whichever_way(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        n_empty = int(metrics["peak_mb"].isna().sum())
        assert n_empty
        for _ in range(2):
            page.click("#leaderboard thead button:text-is('peak MB')")
            assert column(page, "peak MB")[-n_empty:] == ["–"] * n_empty

    def test_names_sort_by_the_alphabet(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        page.click("#leaderboard thead button:text-is('model')")
        assert column(page, "model") == sorted(metrics["model"], key=str.lower)

    def test_words_and_choices_filter_and_the_count_follows(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        assert page.inner_text("#count") == f"{len(metrics)} of {len(metrics)} lines"
        page.fill("#words", "ridge TEXT_stats")
        assert set(column(page, "model")) == {"Ridge"}
        assert page.inner_text("#count") == f"3 of {len(metrics)} lines"
        page.select_option("#features", "text_stats")
        assert column(page, "features") == ["text_stats"]
        page.fill("#words", "")
        page.select_option("#family", "Taguchi")
        assert len(column(page, "model")) == 3
        page.select_option("#features", "")
        assert set(column(page, "family")) == {"Taguchi"}
        page.fill("#words", "no such words")
        assert page.inner_text("#count") == f"0 of {len(metrics)} lines"

    def test_the_keyboard_alone_does_the_same(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        page.focus("#words")
        page.keyboard.type("stats")
        page.keyboard.press("Tab")
        page.keyboard.type("o")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "features"
        assert set(column(page, "family")) == {"other"}
        page.focus("#leaderboard thead button:text-is('MAE')")
        page.keyboard.press("Enter")
        values = [float(value) for value in column(page, "MAE")]
        assert values == sorted(values)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    def test_without_a_script_it_is_a_plain_table(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show(java_script_enabled=False)
        assert column(page, "model") == metrics["model"].tolist()
        assert not page.is_visible("#controls")
        assert page.locator("#leaderboard button").count() == 0


class TestAnyReader:
    @pytest.mark.parametrize("width", [320, 390, 768, 1280])
    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_the_page_itself_never_scrolls_sideways(self, show: Any, width: int, scheme: str) -> None:
        page = show(width, color_scheme=scheme)
        page.eval_on_selector_all("details", "all => all.forEach((each) => { each.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_every_text_stands_out_from_what_is_behind_it(self, show: Any, scheme: str) -> None:
        ratios = show(color_scheme=scheme).evaluate(CONTRAST)
        assert len(ratios) > 10
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_pictures_follow_the_scheme_but_on_paper_they_are_light(self, show: Any, scheme: str) -> None:
        page = show(color_scheme=scheme)
        for media, is_light in (("screen", scheme == "light"), ("print", True)):
            page.emulate_media(media=media, color_scheme=scheme)
            grey = Image.open(BytesIO(page.locator("img").first.screenshot())).convert("L")
            darkest, brightest = grey.getextrema()
            # The lines are of a middle brightness: what is darker or brighter is ink and paper.
            assert (darkest < 60, brightest > 200) == (True, True)
            assert (grey.getpixel((grey.width - 1, 0)) > 240) == is_light

    def test_every_picture_loads_and_has_words(self, show: Any) -> None:
        page = show()
        pictures = page.eval_on_selector_all(
            "img", "all => all.map((i) => [i.complete && i.naturalWidth, i.alt.length])"
        )
        assert len(pictures) > 12
        assert all(width > 100 and words > 40 for width, words in pictures)

    def test_headings_are_in_order_and_the_contents_lead_to_them(self, show: Any) -> None:
        page = show()
        levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map((h) => +h.tagName[1])")
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        targets = page.eval_on_selector_all("nav a, a.skip", "all => all.map((a) => a.getAttribute('href'))")
        assert len(targets) > 8
        assert all(page.locator(target).count() == 1 for target in targets)
        assert page.get_attribute("html", "lang") == "en"

    def test_every_table_has_a_caption_and_heads_with_a_scope(self, show: Any) -> None:
        page = show()
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("th:not([scope])").count() == 0
        assert page.locator("#leaderboard thead th").count() == N_COLUMNS
        nameless = page.locator("[role=region]:not([aria-label]), [tabindex]:not([aria-label])")
        assert nameless.count() == 0

    def test_the_keyboard_reaches_the_content_first(self, show: Any) -> None:
        page = show()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0

    def test_printed_it_is_light_whole_and_without_controls(self, show: Any) -> None:
        page = show(color_scheme="dark")
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.is_visible("#controls")
        assert not page.is_visible("nav")
        colour = page.evaluate("getComputedStyle(document.body).color")
        assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 150
        assert page.evaluate("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"
        assert page.evaluate("getComputedStyle(document.querySelector('.tall thead th')).position") == "static"
        rest = page.locator(".mistakes details p").first
        assert rest.evaluate("each => each.getBoundingClientRect().height") > 0

    def test_the_choices_are_those_of_the_table(self, show: Any) -> None:
        page = show()
        assert page.locator("#features option").all_inner_texts() == ["all", *sorted([*FEATURES, "text"])]
