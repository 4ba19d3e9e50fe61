"""Two runs at the same time, each in a process of its own: of one dataset, and of two that share the project."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from logged_data import environment, local, make_results, runs_of
from project import make_project

from pipeline.files import read_json
from pipeline.project.paths import DatasetPaths

pytestmark = pytest.mark.slow

SCORE = "seed: 1\nn_resamples: 100\nfeature_sets: {stats: [text_stats]}\nmodels: [Ta, Ridge]\nbaselines: [mean]\n"
CURVES = (
    "seed: 1\nn_resamples: 200\nsizes: {10: 2}\nfeature_sets: [stats]\ncontrasts: [[T, R]]\n"
    "sides: {T: {feature_sets: [stats], models: [Ta]}, R: {feature_sets: [stats], models: [Ridge]}}\n"
)
TIMINGS = ["fit_seconds", "predict_seconds", "peak_mb"]
ALL = ("all", "--until", "score")


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=project,
        env=environment(LOKY_MAX_CPU_COUNT="1"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    """Return what a process that has come to a good end has said."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path, n_per_star=4)
    (tmp_path / "conf/score.yaml").write_text(SCORE)
    (tmp_path / "conf/curves.yaml").write_text(CURVES)
    return tmp_path


def leaderboard(project: Path) -> pd.DataFrame:
    return pd.read_csv(project / "reports/sample/leaderboard.csv").drop(columns=TIMINGS)


def test_the_second_run_of_a_dataset_waits_and_finds_everything_done(project: Path) -> None:
    said = [end(process) for process in [start(project, *ALL), start(project, *ALL)]]
    (waited,) = [text for text in said if "waiting" in text]
    line, *rest = waited.splitlines()
    assert line.startswith("sample: waiting for process ")
    assert "which does all stages up to score since" in line
    assert rest == ["sample: up to date, nothing to do"]
    assert len(leaderboard(project)) == 3
    assert not [path for path in project.rglob("*") if path.name.endswith((".tmp", ".holder"))]


def test_a_single_stage_waits_for_the_whole_and_what_was_killed_holds_nothing(project: Path) -> None:
    first = start(project, *ALL)
    while not (project / DatasetPaths("sample").lock).with_suffix(".holder").exists():
        assert first.poll() is None
        time.sleep(0.01)
    second = start(project, "prepare")
    assert second.stderr.readline().startswith("sample: waiting for process ")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    end(second)
    end(start(project, *ALL))
    assert len(leaderboard(project)) == 3


def test_two_datasets_are_logged_to_one_new_store_at_the_same_time(tmp_path: Path) -> None:
    for dataset in ("kc", "sample"):
        make_results(tmp_path, dataset)
    said = [end(process) for process in [start(tmp_path, "log", "--dataset", name) for name in ("kc", "sample")]]
    assert "".join(said).count("mlflow.db: waiting for process ") == 1
    client = local(tmp_path)
    assert {run.info.status for run in runs_of(client)} == {"FINISHED"}
    for dataset in ("kc", "sample"):
        runs = read_json(tmp_path / DatasetPaths(dataset).runs)
        found = {run.info.run_id for run in runs_of(client, f"tags.dataset = '{dataset}'")}
        assert found == {runs["parent"], *runs["children"].values(), *runs["sides"].values()}
        assert client.get_model_version_by_alias(f"stars-{dataset}", "champion").version
