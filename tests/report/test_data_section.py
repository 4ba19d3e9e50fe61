"""The section on the reviews themselves, from files that prepare leaves, hostile names among them."""

import re
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from report_data import HOSTILE

from pipeline.files import MANIFEST, write_json, write_json_lines, write_parquet
from pipeline.project.paths import DatasetPaths
from pipeline.report import data
from pipeline.report.figure import drawing
from pipeline.report.page import _environment
from pipeline.report.results import Results

TEXTS = ["word " * n for n in (1, 3, 5, 7, 9, 11, 13, 15, 17, 400)]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.chdir(tmp_path)
    paths = DatasetPaths("<b>d")
    reviews = {"review_id": list("abcdefghij"), "text": TEXTS, "stars": [1, 2, 3, 4, 5] * 2}
    split, category = ["train"] * 7 + ["test"] * 3, [HOSTILE] * 6 + ["<i>bars"] * 3 + [None]
    write_parquet(paths.reviews, pd.DataFrame({**reviews, "split": split, "category": category}))
    rejected = [
        {"file": "<u>f.csv", "line": 3, "reason": "stars not a whole number from 1 to 5: <i>9", "text": HOSTILE},
        {"file": "<u>f.csv", "line": 4, "reason": "text empty or not a string", "text": None},
        {"file": "<u>f.csv", "line": 5, "reason": "stars not a whole number from 1 to 5: 8", "text": "second"},
    ]
    write_json_lines(paths.rejected, rejected)
    manifest: dict[str, Any] = {
        "options": {"data": "file", "file": "<u>f.csv", "limit": None, "scale": None},
        "language": None,
        "read": 13,
        "kept": {"train": 7, "test": 3},
        "not_drawn": 0,
        "rejected": 3,
        "rejected_reasons": {"stars not a whole number from 1 to 5": 2, "text empty or not a string": 1},
        "near_identical": {"reviews": 0, "largest": 1},
        "unescaped": {"HTML entities": 2},
    }
    write_json(paths.prepared / MANIFEST, manifest)
    return Results(paths)


def shown(results: Results) -> str:
    source = '{% from "macros.html" import show, show_pictures with context %}{% include "sections/data.html" %}'
    return _environment().from_string(source).render(data=data.section(results), pictures=drawn(results))


def drawn(results: Results) -> list[Any]:
    with drawing():
        return list(data.pictures(results))


def test_rows_source_and_lengths_are_told(prepared: Results) -> None:
    section = data.section(prepared)
    assert section
    assert section["facts"] == {
        "Source": "DATA=file, FILE=<u>f.csv",
        "Rows": "13 read, 7 to train on, 3 held out, 3 rejected",
        "Language": "neither Japanese nor Chinese: words stand between spaces",
        "Stars": "from 1 to 5",
        "Length": "half have 10 words or fewer, nine of ten 55 or fewer, the longest 400",
        "Near-identical": "none",
    }


def test_every_reason_has_its_count_and_its_first_row(prepared: Results) -> None:
    section = data.section(prepared)
    assert section
    table = section["tables"][0]
    assert [row[::2] for row in table.rows] == [
        ["stars not a whole number from 1 to 5", "2"],
        ["text empty or not a string", "1"],
    ]
    assert table.rows[0][1].startswith("line 3 of <u>f.csv: <i>9: <script>")
    assert table.rows[1][1] == "line 4 of <u>f.csv"


def test_categories_are_counted_by_split_the_largest_first(prepared: Results) -> None:
    section = data.section(prepared)
    assert section
    assert section["tables"][1].rows == [[HOSTILE, "6", "0"], ["<i>bars", "1", "2"], ["none given", "0", "1"]]


def test_hostile_names_stay_text(prepared: Results) -> None:
    page = shown(prepared)
    assert not re.findall(r"<(script|b|i|u)>", page)
    assert escape("<i>9") in page
    assert "undone before anything was read: HTML entities in 2 texts.</p>" in page


def test_the_pictures_count_every_review(prepared: Results) -> None:
    stars, lengths = drawn(prepared)
    assert stars.text == "Reviews by star. " + "; ".join(f"{star}: 2 (20%)" for star in range(1, 6)) + "."
    assert "the longest 400" in lengths.text
    for one in (stars, lengths):
        assert ElementTree.fromstring(one.svg)[0].text == one.text
    assert "7 training" in stars.svg


def test_in_japanese_and_chinese_characters_are_counted(prepared: Results) -> None:
    vars(prepared)["prepared"] = {**prepared.prepared, "language": "ja"}
    vars(prepared)["read"] = {"n_texts": 9, "languages": {"ja": 9}, "words": ["characters"], "unknown_tokens": {}}
    section = data.section(prepared)
    assert section
    assert section["facts"]["Language"] == "Japanese"
    assert "pairs of them" in section["facts"]["Read as"]
    assert section["facts"]["Length"].startswith("half have 50 characters")


@pytest.mark.parametrize(
    ("main", "languages", "said"),
    [
        (None, {"ja": 7}, "Japanese in 7% of the texts; words stand between spaces in the others"),
        ("ja", {"ja": 53, "zh": 2}, "Japanese in 53% of the texts and Chinese in 2% of the texts; words stand"),
        ("zh", {"zh": 60, "ja": 40}, "Japanese in 40% of the texts and Chinese in 60% of the texts"),
    ],
)
def test_of_several_languages_each_has_its_share(
    prepared: Results, main: str | None, languages: dict[str, int], said: str
) -> None:
    vars(prepared)["prepared"] = {**prepared.prepared, "language": main}
    vars(prepared)["read"] = {"n_texts": 100, "languages": languages, "words": ["characters"]}
    section = data.section(prepared)
    assert section
    assert section["facts"]["Language"].startswith(said)


def test_without_prepared_data_the_section_says_so_and_draws_nothing(prepared: Results) -> None:
    for path in prepared.paths.prepared.iterdir():
        path.unlink()
    copied = Results(prepared.paths)
    assert data.section(copied) is None
    assert drawn(copied) == []
    assert "lies in data/prepared, which is not beside these results" in shown(copied)


def test_a_manifest_alone_shows_what_it_knows(prepared: Results) -> None:
    for path in (prepared.paths.reviews, prepared.paths.rejected):
        path.unlink()
    section = data.section(Results(prepared.paths))
    assert section
    assert "Length" not in section["facts"]
    (table,) = section["tables"]
    assert [row[1] for row in table.rows] == ["–", "–"]
    write_json(prepared.paths.prepared / MANIFEST, {"options": {"data": "sample"}})
    assert data.section(Results(prepared.paths)) == {
        "facts": {"Source": "DATA=sample", "Stars": "from 1 to 5"},
        "tables": [],
        "unescaped": {},
    }
