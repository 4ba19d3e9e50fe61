"""One finished report for all tests of this directory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def page_file(built: tuple[Path, DatasetPaths]) -> Path:
    return built[0] / built[1].page


@pytest.fixture
def show(browser: Any, page_file: Path) -> Iterator[Any]:
    """Open the report; whatever the test does with it, nothing may be complained about or loaded."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_page(
        width: int = 1280, fragment: str = "", unfold: bool = True, file: Path = page_file, **how: Any
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url.split(",")[0]))
        page.goto(f"{file.as_uri()}{fragment}")
        if unfold and how.get("java_script_enabled", True):
            page.click("#all")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:image/svg+xml"))] == []
