"""The site, built once for all tests of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from project import ROOT


@pytest.fixture(scope="session")
def docs(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy of docs with everything built in it, so that the checkout stays as it is."""
    pytest.importorskip("sphinx_gallery")
    base = tmp_path_factory.getbasetemp()
    # Workers are processes of one session: the first builds, the others wait.
    project = (base if worker_id == "master" else base.parent) / "site"
    with FileLock(f"{project}.lock"):
        if not project.exists():
            build(project)
    log = (project / "log").read_text(encoding="utf-8")
    assert log.startswith("0\n"), log
    return project / "docs"


def build(project: Path) -> None:
    shutil.copytree(ROOT / "docs", project / "docs", ignore=shutil.ignore_patterns("_build", "gallery", "api"))
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, project)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"]
    done = subprocess.run(
        command, cwd=project, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    (project / "log").write_text(f"{done.returncode}\n{done.stdout}{done.stderr}", encoding="utf-8")
