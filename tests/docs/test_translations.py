"""The Japanese and Chinese pages hold the code and the numbers of the English ones, and use the terms of the field."""

import re
from collections import Counter
from pathlib import Path

import pytest
from project import ROOT

NAMES = ("README", "t-method", "attention", "first-steps-quality", "first-steps-nlp", "comparison", "parts", "extend")
PAGES = [pytest.param(language, name, id=f"{language}/{name}") for language in ("ja", "zh") for name in NAMES]

TERMS = {
    "ja": [
        "両側T法",
        "片側T法",
        "単位空間",
        "信号データ",
        "項目",
        "感度",
        "SN比",
        "有効除数",
        "総合推定値",
        "直交表",
        "要因効果図",
        "利得",
    ],
    "zh": ["单位空间", "信号数据", "灵敏度", "信噪比", "正交表", "因子效应图"],
}
# Literal renderings that nobody in the field uses, and terms of the other language.
WRONG = {
    "ja": [
        "信号雑音比",
        "信号対雑音比",
        "単位スペース",
        "感受性",
        "注目機構",
        "因子効果図",
        "直交配列",
        "单位",
        "信噪比",
    ],
    "zh": ["信号雑音比", "単位空間", "信号データ", "感度", "直交表", "要因効果図"],
}

BLOCK = re.compile(r"^```\w*\n.*?^```$", flags=re.MULTILINE | re.DOTALL)
# A number with a decimal point: the others may be written as words. 270 million is 2.7 of a Chinese unit.
MEASURED = re.compile(r"(?<![\d.])\d+\.\d+(?!\.?\d| ?[億亿])")
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
GLOSSARY = re.compile(r"^\|(?: [^|]* \|){3}$", flags=re.MULTILINE)  # three languages side by side


def english(name: str) -> Path:
    return ROOT / "README.md" if name == "README" else ROOT / f"docs/{name}.md"


def translated(language: str, name: str) -> Path:
    return ROOT / f"docs/{language}/{name}.md"


def prose(path: Path) -> str:
    return BLOCK.sub("", path.read_text(encoding="utf-8"))


def headings(path: Path) -> list[str]:
    return re.findall(r"^(#+) ", prose(path), flags=re.MULTILINE)


def table_rows(path: Path) -> list[str]:
    """Return the rows of a page's tables, without their heads."""
    rows = re.findall(r"^\|.*\|$", prose(path), flags=re.MULTILINE)
    rules = {i for i, row in enumerate(rows) if re.fullmatch(r"[|:-]+", row)}
    return [row for i, row in enumerate(rows) if not rules & {i, i + 1}]


def numbers(row: str) -> Counter[str]:
    return Counter(number.replace(",", "") for number in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", row))


def measured(text: str) -> Counter[str]:
    return Counter(MEASURED.findall(text))


def slugs(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_the_code_is_that_of_the_english_page_in_its_order(language: str, name: str) -> None:
    original, page = (path.read_text(encoding="utf-8") for path in (english(name), translated(language, name)))
    assert BLOCK.findall(page) == BLOCK.findall(original)
    assert page.count("```") == original.count("```")


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_the_sections_are_those_of_the_english_page(language: str, name: str) -> None:
    assert headings(translated(language, name)) == headings(english(name))


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_each_table_row_has_the_numbers_of_the_english_row(language: str, name: str) -> None:
    here, there = table_rows(translated(language, name)), table_rows(english(name))
    assert len(here) == len(there)
    for row, original in zip(here, there, strict=True):
        assert numbers(row) == numbers(original), f"{original}\n{row}"


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_the_sentences_have_the_measured_numbers_of_the_english_page(language: str, name: str) -> None:
    here = measured(prose(translated(language, name)))
    assert set(here) <= set(measured(english(name).read_text(encoding="utf-8")))
    assert measured(prose(english(name))) <= here


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_each_relative_link_leads_somewhere(language: str, name: str) -> None:
    page = translated(language, name)
    for target, anchor in links(page):
        assert target.exists(), target
        if anchor:
            assert anchor in slugs(target), f"{target}#{anchor}"


@pytest.mark.parametrize(("language", "name"), PAGES)
def test_the_first_line_switches_the_language_and_the_rest_keeps_it(language: str, name: str) -> None:
    page = translated(language, name)
    first = page.read_text(encoding="utf-8").splitlines()[0]
    others = [english(name), *(translated(other, name) for other in TERMS if other != language)]
    assert [(page.parent / target).resolve() for target, _ in LINK.findall(first)] == others
    assert {"ja": "日本語", "zh": "中文"}[language] in LINK.sub("", first)
    rest = {target for target, _ in links(page)[len(others) :]}
    assert rest.isdisjoint(map(english, NAMES))


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the files that a page links to, each with the anchor or an empty string."""
    targets = [found[0] or found[1] for found in LINK.findall(prose(page))]
    parts = [target.partition("#") for target in targets if not target.startswith(("http:", "https:"))]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


@pytest.mark.parametrize("language", TERMS)
def test_the_terms_are_those_of_the_field(language: str) -> None:
    page = prose(translated(language, "t-method"))
    assert [term for term in TERMS[language] if term not in page] == []
    for name in NAMES:
        text = GLOSSARY.sub("", prose(translated(language, name)))
        assert [term for term in WRONG[language] if term in text] == [], name


@pytest.mark.parametrize("language", TERMS)
def test_each_claim_about_the_t_method_names_the_test_of_the_english_page(language: str) -> None:
    here, there = (prose(path) for path in (translated(language, "t-method"), english("t-method")))
    assert re.findall(r"`(test_\w+)`", here) == re.findall(r"`(test_\w+)`", there)
