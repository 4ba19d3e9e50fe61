"""One finished report for all tests of this directory."""

from pathlib import Path

import pytest
from report_data import build

from pipeline.project.paths import DatasetPaths
from pipeline.report.results import Results
from pipeline.stages import report


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetPaths]:
    """A directory with a finished report."""
    directory = tmp_path_factory.mktemp("report")
    paths = build(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        report.run(paths.dataset)
    return directory, paths


@pytest.fixture
def paths(built: tuple[Path, DatasetPaths], monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    """Its files; the test works in its directory."""
    monkeypatch.chdir(built[0])
    return built[1]


@pytest.fixture
def results(paths: DatasetPaths) -> Results:
    return Results(paths)


@pytest.fixture
def page(paths: DatasetPaths) -> str:
    return paths.page.read_text(encoding="utf-8")
