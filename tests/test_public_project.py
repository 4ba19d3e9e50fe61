"""What a public project has beside its code: a citation, how to report, forms, and a workflow that runs its tests."""

import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import ROOT

from pipeline import __version__

GITHUB = sorted((ROOT / ".github").rglob("*.yml"))


def read(name: str | Path) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_names_the_version_and_the_day_of_the_changelog() -> None:
    citation = read("CITATION.cff")
    # What the schema of 1.2.0 asks for.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["cff-version"], citation["type"], citation["license"]) == ("1.2.0", "software", "BSD-3-Clause")
    assert all(set(author) == {"name"} for author in citation["authors"])
    releases = re.findall(r"^## (\d\S*) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert (citation["version"], str(citation["date-released"])) == releases[0]
    assert citation["version"] == __version__
    assert [day for _, day in releases] == sorted((str(date.fromisoformat(day)) for _, day in releases), reverse=True)


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_a_file_for_the_code_host_can_be_read(path: Path) -> None:
    content = read(path)
    if path.parent.name == "workflows":
        assert content["permissions"] == {"contents": "read"}
        assert all(job["timeout-minutes"] <= 90 for job in content["jobs"].values())
        for step in (step for job in content["jobs"].values() for step in job["steps"] if "run" in step):
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)
        return
    if path.stem == "config":
        return
    assert {"name", "description", "body"} <= set(content)
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 2
    assert all(field["attributes"]["label"] for field in fields)


def test_the_workflow_runs_what_a_developer_runs_on_the_python_versions_that_are_promised() -> None:
    (test,) = [job for job in read(".github/workflows/test.yml")["jobs"].values() if "strategy" in job]
    commands = "\n".join(step.get("run", "") for step in test["steps"])
    targets = re.findall(r"^make ([\w-]+)", commands, flags=re.MULTILINE)
    assert targets == ["test"]
    assert re.search(r"^test:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert oldest
    assert test["strategy"]["matrix"]["python"][0] == oldest[1]


@pytest.mark.parametrize("name", ["SECURITY.md", "CONTRIBUTING.md", ".github/pull_request_template.md"])
def test_links_lead_to_files_and_paths_in_backticks_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
        assert (ROOT / name).parent.joinpath(target).exists(), target
    for path in re.findall(r"`((?:docs|tests|pipeline|conf|data/sample)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
