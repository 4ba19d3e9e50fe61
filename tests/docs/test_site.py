"""The site: every page has a title, every link a target, every picture a text, and every language its translations."""

import importlib
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from project import ROOT

pytestmark = pytest.mark.slow

PACKAGES = ["taguchi", "taguchi.plots", "features", "attention", "attention.maps"]
PACKAGES += ["encoder", "evaluation", "know_how", "llm", "peers"]
# Values without a docstring: the pages of what takes them say what they are.
CONSTANTS = {"BUNDLED", "CHANGES", "FIVE_STARS", "Texts"}


class Page(HTMLParser):
    """What a page links to, shows and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.anchors: set[str | None] = set()
        self.language: str | None = None
        self.switch: dict[str | None, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get("id"))
        if tag == "html":
            self.language = values["lang"]
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if tag == "a" and "hreflang" in values:
            self.switch[values["hreflang"]] = values["href"]
        if tag == "img":
            self.images.append(values)


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def html(docs: Path) -> Path:
    return docs / "_build/html"


@pytest.fixture(scope="module")
def pages(html: Path) -> list[Path]:
    # The rendered report is no page of the site: tests/report looks at it.
    return sorted(
        path for path in html.rglob("*.html") if "_static" not in path.parts and path.name != "sample-report.html"
    )


def test_every_link_has_a_target(pages: list[Path]) -> None:
    wrong = []
    for path in pages:
        for link in read(path).links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", (path, link)
                assert "." in parts.netloc, (path, link)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target.suffix == ".html" and anchor not in read(target).anchors):
                wrong.append((path.name, link))
    assert wrong == []


def test_every_page_has_a_title_and_every_picture_a_text(pages: list[Path]) -> None:
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert path.name == "search.html" or re.search(r"<h1[^>]*>.*\w.*<", text), path
        for image in read(path).images:
            # Beside its title a preview of the gallery needs no words, and has an empty text.
            assert image.get("alt") or (path.parent.name, path.name) == ("gallery", "index.html"), (path, image)
            assert (path.parent / unquote(image["src"] or "")).stat().st_size > 100


def test_every_markdown_file_is_a_page_without_raw_formulas(docs: Path, html: Path) -> None:
    for source in sorted(docs.rglob("*.md")):
        if "_build" not in source.parts:
            text = (html / source.relative_to(docs)).with_suffix(".html").read_text(encoding="utf-8")
            assert "$$" not in text, source
    assert (html / "t-method.html").read_text(encoding="utf-8").count("<math") > 20


def test_a_page_has_its_language_and_leads_to_the_others(pages: list[Path], html: Path) -> None:
    for path in pages:
        name = path.relative_to(html)
        language = name.parts[0] if name.parts[0] in {"ja", "zh"} else "en"
        page = read(path)
        assert page.language == language, path
        assert list(page.switch) == ["en", "ja", "zh"], path
        bare = name.relative_to(language) if language != "en" else name
        for code, link in page.switch.items():
            translated = html / bare if code == "en" else html / str(code) / bare
            target = path if link == "#" else (path.parent / str(link)).resolve()
            assert target.is_file()
            assert target == translated.resolve() or not translated.exists(), (path, code)


def test_the_api_lists_every_public_name(html: Path) -> None:
    text = (html / "api.html").read_text(encoding="utf-8")
    listed = set(re.findall(r'href="api/pipeline\.([\w.]+)\.html[#"]', text))
    public = {
        f"{package}.{name}"
        for package in PACKAGES
        for name in importlib.import_module(f"pipeline.{package}").__all__
        if name not in CONSTANTS
    }
    assert listed == public | {"load_sample"}


def test_the_changelog_of_the_site_is_that_of_the_project(html: Path) -> None:
    entries = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").count("\n- ")
    assert (html / "changelog.html").read_text(encoding="utf-8").count("<li><p>") >= entries
