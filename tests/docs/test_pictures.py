"""The pictures of the README are what their script makes, and say in words what they show."""

import re
import runpy
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from project import ROOT

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    pytest.importorskip("matplotlib")
    return runpy.run_path(str(ROOT / "docs/pictures.py"))


@pytest.mark.parametrize("name", ["curves", "review"])
def test_a_picture_is_what_the_script_makes_of_the_results(name: str, script: dict[str, Any]) -> None:
    draw: Callable[[], str] = script[name]
    assert draw() == (ROOT / f"docs/pictures/{name}.svg").read_text(encoding="utf-8"), "run python docs/pictures.py"


def test_the_words_add_up_to_the_predicted_star(script: dict[str, Any]) -> None:
    _, found = script["read_review"]()
    assert found.base + found.words["contribution"].sum() == pytest.approx(found.prediction)
    picture = ElementTree.parse(ROOT / "docs/pictures/review.svg").getroot()
    (sum_of_parts,) = [text for text in map(said, picture.iter(f"{SVG}text")) if text.endswith(" stars")]
    base, up, down, star = map(float, re.findall(r"\d\.\d", sum_of_parts))
    assert base + up - down == pytest.approx(star, abs=0.15)  # four rounded numbers
    assert f"{found.prediction:.1f}" == f"{star}"


@pytest.mark.parametrize("name", ["curves", "review"])
def test_a_picture_is_text_with_a_title_and_follows_the_dark(name: str) -> None:
    source = (ROOT / f"docs/pictures/{name}.svg").read_text(encoding="utf-8")
    picture = ElementTree.fromstring(source)
    title = picture.findtext(f"{SVG}title")
    assert title
    assert "T-method" in title
    assert len(list(picture.iter(f"{SVG}text"))) > 10
    assert "prefers-color-scheme:dark" in source


def said(element: ElementTree.Element) -> str:
    return "".join(element.itertext())
