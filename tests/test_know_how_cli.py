"""``know-how make``, ``add`` and ``show`` on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from project import run_cli

from pipeline import load_sample
from pipeline.know_how import load_know_how, make_know_how

REVIEWS = load_sample()[::6].reset_index(drop=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory but for reviews.csv with the columns body and mark, and few.safetensors."""
    monkeypatch.chdir(tmp_path)
    REVIEWS.rename(columns={"text": "body", "stars": "mark"})[["body", "mark"]].to_csv("reviews.csv", index=False)
    make_know_how(REVIEWS["text"], REVIEWS["stars"], origin="few").save("few.safetensors")
    return tmp_path


def test_make_sums_up_any_file_of_reviews(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", "sub/made.safetensors", "--licence", "CC0", "--min-texts", "3", "--text", "body"]
    assert run_cli(monkeypatch, "know-how", "make", "reviews.csv", *options, "--stars", "mark") == 0
    made = load_know_how("sub/made.safetensors")
    about = {"origin": "reviews.csv", "licence": "CC0", "min_texts": 3}
    expected = make_know_how(REVIEWS["text"], REVIEWS["stars"], **about)
    assert made.about == expected.about
    np.testing.assert_array_equal(made.words["sentence_metrics"].L, expected.words["sentence_metrics"].L)
    n = sum(len(sums.df) for sums in made.words.values())
    said = capsys.readouterr().out
    assert f"sub/made.safetensors: 100 reviews, {n} words and phrases in 3 or more reviews, 0." in said


def test_make_takes_other_scales_and_says_what_it_leaves_out(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": text, "stars": 2 * star} for text, star in zip(REVIEWS["text"], REVIEWS["stars"], strict=True)]
    lines = [json.dumps(row) for row in [*rows, {"text": "", "stars": 2}, rows[0]]]
    Path("reviews.jsonl").write_text("\n".join(lines))
    options = ["--out", "ten.safetensors", "--origin", "shop", "--scale", "2..10 step 2"]
    with caplog.at_level("WARNING"):
        assert run_cli(monkeypatch, "know-how", "make", "reviews.jsonl", *options) == 0
    assert load_know_how("ten.safetensors").about.scale == "2..10 step 2"
    assert "reviews.jsonl: 2 of 102 rows are left out, the first in line 101: text empty" in caplog.text


def test_add_adds_in_full(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cli(monkeypatch, "know-how", "add", "few.safetensors", "sample", "--out", "both.safetensors") == 0
    both = load_know_how("both.safetensors")
    assert both.about.n_texts == 700
    assert both.about.origin.startswith("few; ")
    assert both.columns.n_rows == 700


def test_show_says_where_it_comes_from_and_which_words_are_strong(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "know-how", "show", "sample", "--n", "3") == 0
    shown = capsys.readouterr().out
    for part in (
        "BSD-3-Clause",
        "600 reviews",
        "120 x 5",
        "great",
        "rude",
        "n_texts",
        "sn_db",
        "text_stats: sent",
    ):
        assert part in shown
    up, down = shown.index("pull up"), shown.index("pull down")
    assert up < shown.index("great") < down < shown.index("rude")


def test_show_moves_no_cursor(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    make_know_how(REVIEWS["text"], REVIEWS["stars"], origin="\x1b[2Jshop").save("odd.safetensors")
    assert run_cli(monkeypatch, "know-how", "show", "odd.safetensors") == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none"], "none is missing"),
        (["show", "reviews.csv"], "reviews.csv cannot be read as know-how"),
        (["add", "sample", "none", "--out", "x"], "none is missing"),
        (["add", "sample"], "Missing option '--out'"),
        (["make", "none.csv", "--out", "x"], "none.csv does not exist"),
        (["make", "reviews.csv", "--out", "x"], "has no column stars or label"),
        (["make", "reviews.csv", "--out", "x", "--stars", "mark", "--scale", "five"], "'five' is no scale"),
        (
            ["make", "reviews.csv", "--out", "x", "--stars", "mark", "--min-texts", "30"],
            "a star than min_texts=30 (20 of 1, ",
        ),
        (["make", "reviews.csv", "--out", "x", "--stars", "mark", "--min-texts", "0"], "min-texts"),
    ],
)
def test_what_is_wrong_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_cli(monkeypatch, "know-how", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("x").exists()
