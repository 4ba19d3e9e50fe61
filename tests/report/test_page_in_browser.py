"""The report in a real browser: it sorts, filters, fits, can be read in both schemes, and asks for nothing."""

import re
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
from pipeline.report.results import Results

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
def metrics(page_file: Path) -> pd.DataFrame:
    return pd.read_csv(page_file.with_name("metrics.csv"))


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
        page.fill("#find", "ridge TEXT_stats")
        assert set(column(page, "model")) == {"Ridge"}
        assert page.inner_text("#count") == f"3 of {len(metrics)} lines"
        page.select_option("#features", "text_stats")
        assert column(page, "features") == ["text_stats"]
        page.fill("#find", "")
        page.select_option("#family", "Taguchi")
        assert len(column(page, "model")) == 3
        page.select_option("#features", "")
        assert set(column(page, "family")) == {"Taguchi"}
        page.fill("#find", "no such words")
        assert page.inner_text("#count") == f"0 of {len(metrics)} lines"

    def test_the_keyboard_alone_does_the_same(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show()
        page.focus("#find")
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

    def test_a_long_one_shows_its_first_lines_until_all_are_asked_for_or_some_are_looked_for(
        self, show: Any, page_file: Path, metrics: pd.DataFrame, tmp_path: Path
    ) -> None:
        body = re.compile(r"(<tr data-family.*?)(?=</tbody>)", re.DOTALL)
        long = tmp_path / "long.html"
        long.write_text(body.sub(r"\1\1", page_file.read_text(encoding="utf-8"), count=1), encoding="utf-8")
        page, n = show(file=long), 2 * len(metrics)
        assert page.inner_text("#count") == f"20 of {n} lines"
        page.click(f"text='Show all {n} lines'")
        assert len(column(page, "model")) == n
        page.click("text='Show the first 20 lines'")
        page.click("#leaderboard thead button:text-is('MAE')")
        assert column(page, "MAE") == [f"{mae:.3f}" for mae in sorted([*metrics["mae"]] * 2)[:20]]
        page.select_option("#family", "Taguchi")
        assert not page.is_visible("#more")
        page.emulate_media(media="print")
        assert page.locator("#leaderboard tbody tr:visible").count() == 20

    def test_without_a_script_it_is_a_plain_table(self, show: Any, metrics: pd.DataFrame) -> None:
        page = show(java_script_enabled=False, fragment="#board")
        assert page.is_visible("#leaderboard")
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
            for drawn in ("#predictions img", "#curves ~ .live svg"):
                grey = Image.open(BytesIO(page.locator(drawn).first.screenshot())).convert("L")
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
        sections = page.eval_on_selector_all("section h2", "all => all.map((h) => h.textContent)")
        assert page.locator("nav a").evaluate_all("all => all.map((a) => a.textContent)") == sections
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
        page = show(unfold=False)
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

    def test_what_is_folded_is_printed_and_what_is_left_out_on_paper_is_named(self, show: Any) -> None:
        page = show(unfold=False)
        page.emulate_media(media="print")
        height = "all => all.map((each) => [each.id, each.getBoundingClientRect().height])"
        printed = {name for name, high in page.eval_on_selector_all(".fold > div", height) if high}
        assert printed == {"differences", "verdict", "board", "predictions"}
        left_out = page.locator("main > .paper").inner_text()
        assert "Quality against cost; What each side got wrong; Robustness" in left_out

    def test_the_choices_are_those_of_the_table(self, show: Any) -> None:
        page = show()
        assert page.locator("#features option").all_inner_texts() == ["all", *sorted([*FEATURES, "text"])]


class TestContents:
    def test_a_link_opens_its_section_and_marks_it(self, show: Any) -> None:
        page = show(unfold=False)
        assert page.locator("nav [aria-current]").count() == 0
        page.evaluate("document.getElementById('curves').scrollIntoView()")
        page.locator("nav [aria-current]:text-is('Learning curves')").wait_for()
        assert not page.is_visible("#robustness table")
        page.click("nav a:text-is('Robustness')")
        page.locator("nav [aria-current]:text-is('Robustness')").wait_for()
        title = page.locator("#robustness-title")
        assert 0 <= title.bounding_box()["y"] < 300
        title.click()
        assert not page.is_visible("#robustness table")
        page.click("nav a:text-is('Robustness')")
        assert page.is_visible("#robustness table")

    @pytest.mark.parametrize("script", [True, False])
    def test_an_address_with_a_section_opens_it(self, show: Any, script: bool) -> None:
        page = show(fragment="#costs", unfold=False, java_script_enabled=script)
        assert page.is_visible("#costs table")
        assert not page.is_visible("#robustness table")

    def test_a_term_leads_to_its_meaning(self, show: Any) -> None:
        page = show(unfold=False)
        page.click("#curves ~ p a:text-is('QWK')")
        assert page.locator("#qwk").inner_text() == "QWK"
        assert page.is_visible("#qwk + dd")

    def test_one_button_opens_and_closes_all(self, show: Any) -> None:
        page = show(unfold=False)
        page.click("text='Open all sections'")
        assert page.locator(".fold:not([open])").count() == 0
        page.click("text='Close all sections'")
        assert page.locator(".fold[open]").count() == 0

    def test_on_a_phone_they_fold_into_one_bar_that_stays(self, show: Any) -> None:
        page = show(390, unfold=False)
        assert not page.is_visible("nav a")
        page.evaluate("scrollTo(0, 1500)")
        assert page.locator("nav summary").bounding_box()["y"] == 0
        page.click("nav summary")
        page.click("nav a:text-is('Leaderboard')")
        assert not page.is_visible("nav a")
        assert page.is_visible("#leaderboard")
        bar = page.locator("nav").bounding_box()
        assert page.locator("#board-title").bounding_box()["y"] >= bar["y"] + bar["height"]


class TestCurvesToPointAt:
    @pytest.fixture
    def sides(self, built: tuple[Path, DatasetPaths], monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
        monkeypatch.chdir(built[0])
        return Results(built[1]).sides.sort_values("qwk", ascending=False)

    @staticmethod
    def values(sides: pd.DataFrame, size: int) -> list[str]:
        at = sides[sides["n_train"] == size].itertuples()
        return [f"{row.side}: {row.qwk:.2f} ({row.qwk_low:.2f} to {row.qwk_high:.2f})" for row in at]

    def test_pointer_and_keys_show_the_values_of_a_size(self, show: Any, sides: pd.DataFrame) -> None:
        page = show(unfold=False)
        readout = page.locator(".live output").last
        assert readout.inner_text().splitlines() == ["3000 training reviews", *self.values(sides, 3000)]
        page.locator(".live .hint").nth(-6).hover()
        assert readout.inner_text().splitlines() == ["10 training reviews", *self.values(sides, 10)]
        page.locator(".live .hint").last.click()
        assert page.evaluate("document.activeElement.tabIndex") == 0
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        assert readout.inner_text().splitlines() == ["384 training reviews", *self.values(sides, 384)]
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        assert readout.inner_text().splitlines()[0] == "3000 training reviews"

    def test_the_answer_tells_its_difference_at_each_size(self, show: Any, sides: pd.DataFrame) -> None:
        page = show(390, unfold=False, has_touch=True)
        contrasts = pd.read_csv("reports/d/curves/contrasts.csv")
        first = contrasts[contrasts["n_train"] == 10].iloc[0]
        page.locator("header .live .hint").first.tap()
        said = page.locator("header .live output").inner_text()
        assert said.startswith("10 reviews")
        assert f"{first.difference:+.2f} ({first.low:+.2f} to {first.high:+.2f}), " in said

    def test_a_side_is_switched_off_and_on(self, show: Any, sides: pd.DataFrame) -> None:
        page = show(unfold=False)
        figure = page.locator(".live", has=page.locator(".switches"))
        button = figure.get_by_role("button", name="attention", exact=True)
        drawn = figure.locator("[id*=axes] .series[data-series=attention]")
        assert drawn.count() == 2
        for pressed in ("false", "true"):
            button.press("Enter")
            assert button.get_attribute("aria-pressed") == pressed
            assert [drawn.nth(place).is_visible() for place in range(2)] == [pressed == "true"] * 2
            assert ("attention: " in figure.locator("output").inner_text().splitlines()[-1]) == (pressed == "true")

    def test_without_a_script_the_values_are_tooltips(self, show: Any, sides: pd.DataFrame) -> None:
        page = show(java_script_enabled=False)
        title = page.locator(".live .hint title").last.text_content()
        assert title.splitlines()[1:] == self.values(sides, 3000)
        assert page.locator(".live .hint[tabindex], .live button").count() == 0

    def test_no_two_elements_share_an_id(self, show: Any) -> None:
        ids = show(unfold=False).eval_on_selector_all("[id]", "all => all.map((each) => each.id)")
        assert len(ids) == len(set(ids))

    def test_the_last_size_is_in_sight_without_scrolling(self, show: Any) -> None:
        page = show(unfold=False)
        table = page.locator(".stacked").first
        assert table.evaluate("each => each.scrollWidth <= each.clientWidth")
