"""When a stage is stale: what it depends on, and what it should have left."""

from pathlib import Path

import pytest
from project import make_project

from pipeline.files import read_json, write_text
from pipeline.project.fingerprint import STAGES, is_stale, mark_stale, stage_digests, write_stage_manifest
from pipeline.project.paths import DatasetPaths

PATHS = DatasetPaths("sample")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_project(tmp_path, n_per_star=2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepared(**options: Path) -> None:
    """Leave what the prepare stage would."""
    write_text(PATHS.reviews, "reviews")
    write_stage_manifest("prepare", PATHS, {"kept": {}}, stage_digests("prepare", PATHS, options))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_was_never_run_is_stale(stage: str) -> None:
    assert is_stale(stage, PATHS, stage_digests(stage, PATHS, {}))


def test_a_stage_is_up_to_date_until_its_settings_change() -> None:
    prepared()
    assert not is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))
    conf = Path("conf/prepare.yaml")
    conf.write_text(f"# A comment.\n{conf.read_text()}")
    assert not is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))
    conf.write_text(conf.read_text().replace("0.25", "0.3"))
    assert is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))


def test_a_stage_that_broke_off_is_stale_though_its_settings_are_back_and_its_manifest_may_be_read() -> None:
    prepared()
    mark_stale("prepare", PATHS)
    assert is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))
    assert read_json(PATHS.prepared / "manifest.json")["kept"] == {}


def test_of_two_files_with_one_name_each_counts(tmp_path: Path) -> None:
    files = {name: tmp_path / name / "reviews.csv" for name in ("train", "test")}
    for path in files.values():
        path.parent.mkdir()
        path.write_text("text,stars\n")
    prepared(**files)
    for path in files.values():
        assert not is_stale("prepare", PATHS, stage_digests("prepare", PATHS, files))
        before = path.read_text()
        path.write_text("text,stars\ngood,5\n")
        assert is_stale("prepare", PATHS, stage_digests("prepare", PATHS, files))
        path.write_text(before)


def test_what_is_gone_is_made_again() -> None:
    prepared()
    PATHS.reviews.unlink()
    assert is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_manifest_vouches_for_nothing(content: str) -> None:
    prepared()
    (PATHS.prepared / "manifest.json").write_text(content)
    assert is_stale("prepare", PATHS, stage_digests("prepare", PATHS, {}))
