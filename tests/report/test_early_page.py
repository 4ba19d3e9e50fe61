"""The page after score: what is known stands on it, what is not is left out, and it says so."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.project.paths import DatasetPaths
from pipeline.report.results import Results
from pipeline.stages import report

pytestmark = pytest.mark.slow

MARK = "Without learning curves and robustness"


@pytest.fixture
def early(built: tuple[Path, DatasetPaths], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    """A copy with the page after score, beside what curves and robustness have left of a run before, damaged."""
    directory, paths = built
    shutil.copytree(directory, tmp_path / "early")
    monkeypatch.chdir(tmp_path / "early")
    for path in [*paths.curves.iterdir(), *paths.robustness.iterdir()]:
        path.write_bytes(b"\0")
    report.run_early(paths.dataset)
    return paths


def test_it_says_what_is_missing_and_the_finished_page_does_not(
    early: DatasetPaths, built: tuple[Path, DatasetPaths]
) -> None:
    assert MARK in early.page.read_text(encoding="utf-8")
    assert MARK not in (built[0] / built[1].page).read_text(encoding="utf-8")
    assert not early.summary.exists()


def test_it_holds_the_leaderboard_and_no_link_to_what_is_left_out(early: DatasetPaths) -> None:
    page = early.page.read_text(encoding="utf-8")
    assert page.count("<tr data-family=") == len(Results(early).metrics)
    links = re.findall(r'href="#([^"]+)"', page)
    assert set(links) <= set(re.findall(r'id="([^"]+)"', page))
    sections = re.findall(r'<section aria-labelledby="([^"]+?)(?:-title)?"', page)
    assert sections == ["alerts", "words", "board", "predictions", "mistakes", "data", "glossary", "again"]


def test_its_pictures_are_those_of_the_scores_and_files_too(early: DatasetPaths) -> None:
    page = early.page.read_text(encoding="utf-8")
    files = sorted(path.name.partition("_")[0] for path in early.figures.iterdir())
    assert set(files) == {"predictions", "confusion", "data"}
    assert files.count("confusion") == 2
    assert page.count("<img") == len(files)


def test_the_best_line_of_each_family_is_looked_into(early: DatasetPaths) -> None:
    results, page = Results(early), early.page.read_text(encoding="utf-8")
    best = results.best_of_families.set_index("side")
    assert set(best.index) == {"Taguchi family", "other models"}
    for side, family in (("Taguchi family", "Taguchi"), ("other models", "other")):
        lines = [line for line, entry in results.lines.items() if entry["family"] == family]
        qwk = results.metrics.set_index("name").loc[list(map(str, lines)), "qwk"]
        assert best.loc[side, "name"] == qwk.idxmax()
        assert f"<summary>{side}: {best.loc[side, 'model']} on {best.loc[side, 'features']}</summary>" in page


def test_the_report_stage_itself_asks_for_all_results(early: DatasetPaths) -> None:
    (early.curves / "manifest.json").unlink()
    with pytest.raises(PipelineError, match="run the curves stage first"):
        report.run(early.dataset)
