"""One bar for all stages of a make: it goes on where the stage before ended, and tells the time left."""

import os
import time
from pathlib import Path

import pytest
from project import make_project

from pipeline import progress
from pipeline.files import write_manifest
from pipeline.progress import STARTED, one_bar_for_all, progress_bar
from pipeline.project.paths import DatasetPaths
from pipeline.stages.all import expected_seconds, shown

EXPECTED = {"features": 30.0, "score": 50.0, "curves": 20.0}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> float:
    now = time.time()
    monkeypatch.setenv(STARTED, str(now - 60))
    return now - 60


def whole() -> progress._Whole:
    assert progress._whole is not None
    return progress._whole


def test_a_piece_of_work_on_its_own_has_a_bar_of_its_own() -> None:
    with progress_bar(10, "work", "step") as bar:
        bar.update(3)
        bar.skip(2)
        assert (bar.n, bar.total, bar.initial) == (5, 10, 2)


def test_pieces_of_work_move_the_bar_of_all_stages(started: float) -> None:
    with one_bar_for_all("score", EXPECTED, ["features"]):
        bar = whole().bar
        assert (bar.n, bar.total) == (30, 100)
        with progress_bar(4, "work", "step", seconds=40) as part:
            part.update()
            assert bar.n == pytest.approx(40)
            part.update(2)
        assert bar.n == pytest.approx(60)
        with progress_bar(2, "more than was expected", "step", seconds=99) as part:
            part.update(2)
        # A stage that takes longer than expected waits for its end.
        assert bar.n == pytest.approx(80)
    assert progress._whole is None


def test_the_time_left_comes_from_the_speed_so_far_without_what_was_done_before(started: float) -> None:
    with one_bar_for_all("score", EXPECTED, ["features"]):
        bar = whole().bar
        with progress_bar(50, "work", "step", seconds=50) as part:
            part.skip(40)
            part.update(5)
        state = bar.format_dict
        # 30 + 5 expected seconds of work in a minute; 25 are left.
        speed = (state["n"] - state["initial"]) / state["elapsed"]
        assert speed == pytest.approx(35 / 60, rel=0.05)
        assert (state["total"] - state["n"]) / speed == pytest.approx(25 * 60 / 35, rel=0.05)
        assert "gone, " in str(bar)
        assert str(bar).endswith(" left")


def test_no_time_is_told_before_there_is_a_speed(started: float) -> None:
    with one_bar_for_all("features", EXPECTED, []), progress_bar(100, "work", "step", seconds=30) as part:
        part.update(10)
        assert str(whole().bar).endswith(" gone")


def test_an_error_in_a_stage_closes_the_bar(started: float) -> None:
    with pytest.raises(ValueError, match="stop"), one_bar_for_all("score", EXPECTED, []):
        raise ValueError("stop")
    assert progress._whole is None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    paths = DatasetPaths("sample")
    write_manifest(paths.prepared, {"kept": {"train": 45, "test": 15}})
    return paths


def test_a_stage_that_is_run_alone_shows_its_own_bars(project: DatasetPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STARTED, raising=False)
    with shown("score", "sample"):
        assert progress._whole is None


def test_stages_that_this_make_has_run_are_done_and_older_ones_are_no_part_of_it(
    project: DatasetPaths, started: float
) -> None:
    expected = expected_seconds("sample")
    assert list(expected) == ["features", "score", "curves", "robustness", "report", "log"]
    assert min(expected.values()) > 0
    for directory, age in ((project.features, 100), (project.reports, 10)):
        write_manifest(directory, {})
        made = time.time() - age
        os.utime(directory / "manifest.json", (made, made))
    with shown("curves", "sample"):
        assert whole().bar.n == pytest.approx(expected["score"])
        assert whole().bar.total == pytest.approx(sum(expected.values()) - expected["features"])


def test_more_reviews_take_longer(project: DatasetPaths) -> None:
    few = expected_seconds("sample")
    write_manifest(project.prepared, {"kept": {"train": 4500, "test": 1500}})
    many = expected_seconds("sample")
    assert all(many[stage] > few[stage] for stage in ("features", "score"))
