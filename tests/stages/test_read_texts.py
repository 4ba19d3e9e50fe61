"""What the features stage says of texts that its encoder or its lexicon cannot read; English needs no such note."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from project import make_project, run_cli

from pipeline.experiment.read_notes import notes
from pipeline.experiment.read_texts import what_is_read
from pipeline.features import SentenceEmbedding, TextStats
from pipeline.project.paths import DatasetPaths
from pipeline.report.results import Results

MISSING = [package for package in ("fugashi", "unidic_lite", "rjieba") if find_spec(package) is None]
JAPANESE = ["味は最高です。", "とても美味しい。", "美味しくない。", "店員の態度が最悪。", "普通の味でした。"]


def stage_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(project)
    score = yaml.safe_load(Path("conf/score.yaml").read_text())
    score["feature_sets"] = {"words": ["t_metrics"], "embedding": ["embedding"]}
    score.pop("ablations", None)
    Path("conf/score.yaml").write_text(yaml.safe_dump(score))
    assert run_cli(monkeypatch, "prepare") == 0
    assert run_cli(monkeypatch, "features") == 0
    return json.loads(Path("data/features/sample/manifest.json").read_text())["read"]


@pytest.mark.slow
def test_japanese_is_noted_in_manifest_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = make_project(tmp_path)
    rows = [
        {"text": f"{JAPANESE[star % 5]}{JAPANESE[n % 5]}{n}回目。", "stars": star}
        for star in range(1, 6)
        for n in range(12)
    ]
    (project / "data/sample/reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = stage_read(project, monkeypatch)
    share = read["unknown_tokens"]["bundled"]
    assert 0.05 < share["tokens"] < 1
    assert share["texts"] > 0.3
    assert read["languages"] == {"ja": read["n_texts"]}
    assert read["words"] == ["characters" if MISSING else "dictionary"]
    assert set(read["dictionaries"]) == (set() if MISSING else {"fugashi", "unidic_lite", "rjieba"})
    said = Results(DatasetPaths("sample")).reading_notes
    assert said == notes(read)
    assert f"{share['tokens']:.0%} of the tokens" in said[0]
    assert said[-1].startswith("Japanese texts were read")
    assert ("[cjk]" in said[-1]) == bool(MISSING)
    # What is up to date is not counted again, and says so as before.
    manifest = Path("data/features/sample/manifest.json")
    content = json.loads(manifest.read_text())
    content["read"]["n_texts"] = 7
    content.pop("fingerprint")
    manifest.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        assert run_cli(monkeypatch, "features") == 0
    assert json.loads(manifest.read_text())["read"]["n_texts"] == 7


@pytest.mark.slow
def test_english_has_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = stage_read(make_project(tmp_path), monkeypatch)
    assert read["unknown_tokens"]["bundled"]["tokens"] < 0.01
    assert read["cut_off"]["bundled"]["limit"] == 256
    assert read["cut_off"]["bundled"]["texts"] < 0.05
    assert "languages" not in read
    assert notes(read) == []
    assert Results(DatasetPaths("sample")).reading_notes == []


def test_a_text_beyond_the_encoder_s_limit_is_cut_off() -> None:
    # 254 words with the two special tokens are read to their end.
    texts = ["good " * 254, "good " * 255, "good", "good " * 300]
    assert what_is_read({"embedding": SentenceEmbedding()}, texts)["cut_off"] == {
        "bundled": {"limit": 256, "texts": 0.5}
    }
    assert what_is_read({"stats": TextStats()}, texts)["cut_off"] == {}


def test_characters_are_noted_with_how_to_get_words() -> None:
    (note,) = notes({"languages": {"ja": 3, "zh": 1}, "words": ["characters"]})
    assert note == (
        "Japanese and Chinese texts were read as characters and pairs of them; "
        'for words: pip install "t-method-vs-attention[cjk]".'
    )


def test_words_beside_characters_are_one_note_without_advice() -> None:
    read = {"languages": {"zh": 1}, "words": ["characters", "dictionary"], "dictionaries": {"rjieba": "0.2.2"}}
    (note,) = notes(read)
    assert note == (
        "Chinese texts were read in words by dictionary (rjieba 0.2.2); "
        "features with words: characters read characters."
    )
