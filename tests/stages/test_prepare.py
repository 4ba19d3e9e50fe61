"""The prepare stage: files in, reviews, rejected rows and a manifest out."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from project import ROOT
from review_rows import review, reviews

from pipeline.errors import PipelineError
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.experiment.usable import check
from pipeline.sources.raw import read_files
from pipeline.stages import prepare as stage
from pipeline.stages.all import run_stage

# The stage ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_jsonl(path: Path, rows: list[dict[str, Any]], *lines: str) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n".join(lines), encoding="utf-8")


def test_the_manifest_accounts_for_every_line_of_the_files(project: Path) -> None:
    train = [*reviews(40), review(60, 7), {"text": " ", "stars": 3}, review(3), review(61, review_id="a")]
    write_jsonl(project / "train.jsonl", train, "{oops", '"text"', json.dumps(review(101)))
    write_jsonl(project / "test.jsonl", reviews(12, 100), "[]")
    run_stage(
        "prepare", "mine", {"data": "file", "train": Path("train.jsonl"), "test": Path("test.jsonl"), "limit": 30}
    )

    manifest = json.loads(Path("data/prepared/mine/manifest.json").read_text(encoding="utf-8"))
    kept = pd.read_parquet("data/prepared/mine/reviews.parquet")
    with Path("data/prepared/mine/rejected.jsonl").open(encoding="utf-8") as file:
        rejected = [json.loads(line) for line in file]

    assert manifest["read"] == 47 + 13
    assert manifest["rejected"] == len(rejected)
    assert manifest["kept"] == kept["split"].value_counts().to_dict()
    assert sum(manifest["kept"].values()) + manifest["rejected"] + manifest["not_drawn"] == manifest["read"]
    assert sum(manifest["rejected_reasons"].values()) == len(rejected)
    assert manifest["stars"] == {str(star): n for star, n in Counter(kept["stars"]).items()}
    sizes = np.bincount(near_identical_groups(kept["text"].tolist(), 0.5))
    assert manifest["near_identical"] == {"reviews": sizes[sizes > 1].sum(), "largest": sizes.max()}
    certain = {(row["file"], row["line"], row["reason"].split(":")[0]) for row in rejected}
    assert certain >= {
        ("train.jsonl", 41, "stars not a whole number from 1 to 5"),
        ("train.jsonl", 42, "text empty or not a string"),
        ("train.jsonl", 43, "duplicate text"),
        ("train.jsonl", 45, "unreadable line"),
        ("train.jsonl", 46, "unreadable line"),
        ("test.jsonl", 13, "unreadable line"),
    }


def test_the_same_file_gives_the_same_bytes(project: Path) -> None:
    write_jsonl(project / "mine.jsonl", reviews(30))
    contents = []
    for _ in range(2):
        run_stage("prepare", "mine", {"data": "file", "file": Path("mine.jsonl")})
        contents.append({path.name: path.read_bytes() for path in Path("data/prepared/mine").iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"reviews.parquet", "rejected.jsonl", "manifest.json"}


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([row["text"].encode("utf-16") for row in reviews(12)]),
        pd.Series(pd.date_range("2026-01-01", periods=12)),
        pd.Series([["a", "b"]] * 12),
        pd.Series(range(12)),
    ],
    ids=["bytes", "times", "lists", "numbers"],
)
def test_a_column_of_something_else_than_text_stops_with_the_reason(project: Path, column: pd.Series) -> None:
    pd.DataFrame({"text": column, "stars": [1, 2, 3, 4] * 3}).to_parquet("mine.parquet")
    with pytest.raises(PipelineError, match=r"0 usable reviews, .* first rejected: line 1, text not a string: "):
        stage.run("mine", "file", file=Path("mine.parquet"))
    assert not (project / "data").exists()


def test_whole_numbers_with_gaps_stay_what_they_are_as_ids(project: Path) -> None:
    ids = [None, 2**60, *(2**60 + i for i in range(1, 19))]
    table = pd.DataFrame(reviews(20)).assign(review_id=pd.array(ids, dtype="Int64"))
    table.to_parquet("mine.parquet")
    stage.run("mine", "file", file=Path("mine.parquet"))
    kept = pd.read_parquet("data/prepared/mine/reviews.parquet")
    assert set(map(str, ids[1:])) < set(kept["review_id"])
    assert len(kept) == 20


def test_true_is_no_star(project: Path) -> None:
    table = pd.DataFrame(reviews(20)).assign(stars=True)
    table.to_parquet("mine.parquet")
    with pytest.raises(PipelineError, match="stars not a whole number from 1 to 5: True"):
        stage.run("mine", "file", file=Path("mine.parquet"))


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.csv"])
def test_an_empty_id_is_as_good_as_none(project: Path, name: str) -> None:
    rows = [review(i, review_id="") for i in range(12)]
    if name.endswith(".csv"):
        pd.DataFrame(rows).to_csv(name, index=False)
    else:
        write_jsonl(project / name, rows)
    accepted, rejected = check(read_files(Path(name)))
    assert list(rejected) == []
    assert accepted["review_id"].str.fullmatch("[0-9a-f]{16}").all()


def test_categories_survive_the_file(project: Path) -> None:
    rows = [row | {"category": f"c{i % 3}"} for i, row in enumerate(reviews(12))]
    write_jsonl(Path("mine.jsonl"), rows)
    stage.run("mine", "file", Path("mine.jsonl"))
    kept = pd.read_parquet("data/prepared/mine/reviews.parquet").set_index("text")
    assert kept["category"].to_dict() == {row["text"]: row["category"] for row in rows}
