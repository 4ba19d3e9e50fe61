"""The page whole: axe finds nothing to mend, it stays small, opens short, and prints on a few sheets."""

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

MOST_BYTES = 2_000_000
MOST_PIXELS = 6_000
MOST_SHEETS = 9


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(show: Any, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # Axe is a script that the page itself would refuse.
    page = show(width, color_scheme=scheme, bypass_csp=True)
    page.eval_on_selector_all("details", "all => all.forEach((each) => { each.open = true; })")
    found = axe.run(page).response["violations"]
    assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found] == []


def test_it_is_small_and_opens_short(show: Any, page_file: Path) -> None:
    assert page_file.stat().st_size < MOST_BYTES
    assert show(unfold=False).evaluate("document.documentElement.scrollHeight") < MOST_PIXELS


def test_it_prints_on_a_few_sheets(show: Any) -> None:
    printed = show(unfold=False).pdf(format="A4", prefer_css_page_size=True)
    assert 1 < len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= MOST_SHEETS
