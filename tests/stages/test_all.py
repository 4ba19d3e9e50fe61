"""The whole pipeline, run for real by make on a few reviews of the sample; the tests look at what it leaves behind."""

import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from project import ROOT, SMALL_CURVES, SMALL_SCORE, make_project

from pipeline.evaluation.metrics import evaluate
from pipeline.experiment.line import Line
from pipeline.files import MANIFEST, write_json
from pipeline.project.fingerprint import STAGES
from pipeline.project.paths import DatasetPaths
from pipeline.stages.all import _expected_seconds

pytestmark = pytest.mark.slow

N_LINES = len(SMALL_SCORE["feature_sets"]) * len(SMALL_SCORE["models"]) + len(SMALL_SCORE["baselines"])


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["make", *arguments, f"PY={sys.executable}"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def stage(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def environment() -> dict[str, str]:
    """Return the environment less what MLflow and an outer make have left in it, with a worker for each core."""
    left = {"MLFLOW_TRACKING_URI", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "LOKY_MAX_CPU_COUNT"}
    return {name: value for name, value in os.environ.items() if name not in left} | {"PYTHONPATH": str(ROOT)}


def copied(project: Path, directory: Path) -> Path:
    """A copy in which a test may run stages; its files are as old as those of the project."""
    return Path(shutil.copytree(project, directory / "project", copy_function=shutil.copy2))


def files_of(project: Path) -> dict[str, int]:
    """When each result was last written."""
    found = [path for name in ("data", "reports") for path in sorted((project / name).rglob("*")) if path.is_file()]
    return {str(path.relative_to(project)): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after `make all`, with the interpreter of the tests in place of a new virtual environment."""
    directory = make_project(tmp_path_factory.mktemp("project"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(ROOT / "pipeline", directory / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (directory / ".venv").mkdir()
    (directory / ".venv/.run").touch()
    result = make(directory, "all")
    assert result.returncode == 0, result.stderr
    return directory


@pytest.fixture(scope="module")
def reports(project: Path) -> Path:
    return project / "reports/sample"


def test_a_second_make_all_does_nothing_whatever_the_environment_names(project: Path, reports: Path) -> None:
    before = files_of(project)
    result = subprocess.run(
        ["make", "all", f"PY={sys.executable}"],
        cwd=project,
        env=environment() | {"NAME": "workstation", "DATA": "yelp", "FILE": "x"},
        capture_output=True,
        text=True,
    )
    assert "sample: up to date, nothing to do\n" in result.stderr
    assert result.stdout.strip() == str(reports / "index.html")
    assert files_of(project) == before


def test_another_limit_under_the_same_name_prepares_anew(project: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    assert make(copy, "prepare", "LIMIT=20").returncode == 0
    assert len(pd.read_parquet(copy / "data/prepared/sample/reviews.parquet")) == 20
    assert "nothing to do" in make(copy, "prepare", "LIMIT=20").stderr
    assert "nothing to do" not in make(copy, "prepare").stderr
    assert len(pd.read_parquet(copy / "data/prepared/sample/reviews.parquet")) == 60


def test_make_report_prints_the_path_of_the_page(project: Path, reports: Path) -> None:
    assert make(project, "report").stdout.strip().splitlines()[-1] == str(reports / "index.html")


def test_own_files_with_spaces_in_their_names_run_through_make(project: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    reviews = pd.read_json(project / "data/sample/reviews.jsonl", lines=True)
    reviews.assign(label=reviews["stars"] - 1)[["label", "text"]].to_csv(tmp_path / "my reviews (1).csv", index=False)
    result = make(copy, "prepare", "DATA=file", f"FILE={tmp_path / 'my reviews (1).csv'}")
    assert result.returncode == 0, result.stderr
    prepared = pd.read_parquet(copy / "data/prepared/my_reviews__1_/reviews.parquet")
    assert sorted(prepared["text"]) == sorted(reviews["text"])
    again = make(copy, "prepare", "DATA=file", f"FILE={tmp_path / 'my reviews (1).csv'}")
    assert "my_reviews__1_: up to date" in again.stderr


def test_the_leaderboard_has_the_promised_columns_and_is_sorted(reports: Path) -> None:
    leaderboard = pd.read_csv(reports / "leaderboard.csv")
    assert ",".join(leaderboard) == (
        "dataset,features,model,n_train,n_test,n_features,r2,r2_clipped,mae,rmse,spearman,"
        "qwk,qwk_low,qwk_high,accuracy,sn_db,fit_seconds,predict_seconds,peak_mb"
    )
    assert len(leaderboard) == N_LINES
    assert leaderboard["qwk"].is_monotonic_decreasing
    assert (leaderboard["qwk_low"] <= leaderboard["qwk"]).all()
    assert (leaderboard["qwk"] <= leaderboard["qwk_high"]).all()
    tfidf = leaderboard[leaderboard["model"] == "TF-IDF + Ridge"]
    assert tfidf["n_features"].item() > 100
    undefined = leaderboard.columns[leaderboard.isna().any()]
    assert set(undefined) <= {"spearman", "sn_db", "peak_mb"}


def test_the_metrics_are_those_of_the_saved_predictions(reports: Path) -> None:
    predictions = pd.read_parquet(reports / "predictions.parquet")
    metrics = pd.read_csv(reports / "metrics.csv")
    for line in metrics.to_dict("records"):
        expected = evaluate(predictions["stars"], predictions[str(Line(line["features"], line["model"]))])
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, nan_ok=True, rel=1e-12), (line["model"], name)


def test_the_held_out_reviews_are_the_test_split(project: Path, reports: Path) -> None:
    reviews = pd.read_parquet(project / "data/prepared/sample/reviews.parquet")
    held_out = reviews[reviews["split"] == "test"]
    predictions = pd.read_parquet(reports / "predictions.parquet")
    assert predictions["review_id"].tolist() == held_out["review_id"].tolist()
    assert len(held_out) == round(0.25 * len(reviews))


def test_every_item_of_every_t_method_has_its_sn_ratio(reports: Path) -> None:
    items = pd.read_csv(reports / "items.csv")
    assert set(items["model"]) == {"T(1)", "Ta"}
    weights = items.groupby(["features", "model"])["weight"].sum()
    np.testing.assert_allclose(weights, 1)
    shown = items[items["eta"] > 0]
    np.testing.assert_allclose(shown["sn_db"], 10 * np.log10(shown["eta"]))


def test_the_report_is_one_page_that_needs_no_network_and_has_all_lines(reports: Path) -> None:
    page = (reports / "index.html").read_text(encoding="utf-8")
    # Links to the tables beside it are for a click; nothing is loaded from there.
    rest = re.sub(r'<a href="[\w/]+\.csv">|xmlns(:xlink)?="[^"]+"', "", page)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)|url\((?!#)|@import""", rest)
    for line in pd.read_csv(reports / "leaderboard.csv").to_dict("records"):
        assert line["model"] in page
        assert line["features"] in page
    for sentence in json.loads((reports / "curves/verdict.json").read_text())["sentences"]:
        assert html.escape(sentence) in page
        assert sentence in (reports / "summary.md").read_text(encoding="utf-8").replace("\\_", "_")


def test_the_last_point_of_a_curve_is_the_leaderboard(reports: Path) -> None:
    curves = pd.read_csv(reports / "curves/curves.csv")
    leaderboard = pd.read_csv(reports / "leaderboard.csv").set_index(["features", "model"])
    full = curves[curves["n_train"] == curves["n_train"].max()]
    asked = {
        (features, model)
        for side in SMALL_CURVES["sides"].values()
        for features in side["feature_sets"]
        for model in side["models"]
    }
    asked |= {("text", model) for model in SMALL_SCORE["baselines"]}
    assert set(zip(full["features"], full["model"], strict=True)) == asked
    assert len(full) == len(asked)
    for row in full.to_dict("records"):
        assert row["qwk"] == pytest.approx(leaderboard.loc[(row["features"], row["model"]), "qwk"], abs=1e-9)
        assert row["n_draws"] == 1
    assert curves.groupby("n_train")["n_draws"].first().tolist() == [3, 2, 1]


def test_the_champion_predicts_what_the_leaderboard_says(project: Path, reports: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    leaderboard = pd.read_csv(reports / "leaderboard.csv")
    name = str(Line(leaderboard["features"].iloc[0], leaderboard["model"].iloc[0]))
    reviews = pd.read_parquet(project / "data/prepared/sample/reviews.parquet")
    held_out = reviews.loc[reviews["split"] == "test", ["text"]]
    predicted = mlflow.pyfunc.load_model("models:/stars-sample@champion").predict(held_out)
    saved = pd.read_parquet(reports / "predictions.parquet")[name]
    np.testing.assert_allclose(predicted, saved.clip(1, 5), rtol=1e-4, atol=1e-4)


def test_make_predict_tells_the_star_of_a_text_and_of_a_file(project: Path, reports: Path, tmp_path: Path) -> None:
    best = next(line for line in json.loads((reports / "lines.json").read_text()) if line["model_file"])
    told = make(project, "predict", 'TEXT=It\'s $$5, "great"\n& #1 `here`').stdout
    assert told.startswith(f"sample · {best['name']} · scale 1 to 5\n")
    assert re.search(r"^star \d\.\d, rounded \d$", told, re.MULTILINE)
    assert " great " in told
    file, out = tmp_path / "my $reviews.jsonl", tmp_path / "stars in $x.csv"
    shutil.copy(project / "data/sample/reviews.jsonl", file)
    result = make(project, "predict", f"FILE={file}", f"OUT={out}", "NAME=sample")
    assert result.stdout.startswith(f"{out}: 60 rows, by sample · {best['name']}, in "), result.stderr
    stars = pd.read_csv(out).set_index("review_id")["predicted"]
    predictions = pd.read_parquet(reports / "predictions.parquet").set_index("review_id")[best["name"]]
    np.testing.assert_allclose(stars[predictions.index], predictions.clip(1, 5), atol=1e-3)


def test_compare_finds_no_difference_of_a_run_with_itself(project: Path, reports: Path, tmp_path: Path) -> None:
    shutil.copytree(reports, tmp_path / "before")
    result = subprocess.run(
        stage("compare", str(tmp_path / "before"), "sample"),
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "Ridge" in result.stdout
    assert not re.search(r"[+-]0\.\d*[1-9]", result.stdout)


def kill_when(project: Path, command: list[str], happened: Path) -> None:
    """Start a command in a process group of its own and kill all of it, without mercy, as soon as a file is there."""
    for _ in range(5):
        shutil.rmtree(happened.parent, ignore_errors=True)
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not happened.exists() and process.poll() is None:
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # On a busy machine the command may have come to its end in between.
        if process.wait() == -signal.SIGKILL and not (happened.parent / "manifest.json").exists():
            return
    pytest.fail(f"{command} ended before it could be killed")


def test_killed_stages_finish_with_the_same_numbers(project: Path, reports: Path, tmp_path: Path) -> None:
    copy = make_project(tmp_path / "killed")
    prepared, features = copy / "data/prepared/sample", copy / "data/features/sample"
    kill_when(copy, stage("prepare"), prepared / "rejected.jsonl")
    subprocess.run(stage("prepare"), cwd=copy, env=environment(), check=True)
    kill_when(copy, stage("features"), features / "attention_pooling.parquet")
    subprocess.run(stage("features"), cwd=copy, env=environment(), check=True)
    kill_when(copy, stage("score"), copy / "reports/sample/draws")
    # One worker in place of one per core: the numbers are the same to the last digit.
    alone = environment() | {"LOKY_MAX_CPU_COUNT": "1"}
    subprocess.run(stage("score"), cwd=copy, env=alone, check=True)
    subprocess.run(stage("curves"), cwd=copy, env=alone, check=True)

    timings = ["fit_seconds", "predict_seconds", "peak_mb"]
    tables = (
        "leaderboard",
        "metrics",
        "items",
        "curves/curves",
        "curves/sides",
        "curves/contrasts",
        "curves/crossovers",
        "words",
    )
    for table in tables:
        pd.testing.assert_frame_equal(
            pd.read_csv(copy / f"reports/sample/{table}.csv").drop(columns=timings, errors="ignore"),
            pd.read_csv(reports / f"{table}.csv").drop(columns=timings, errors="ignore"),
            check_exact=True,
        )
    assert not list(copy.rglob(".*.tmp"))


def test_a_run_that_is_stopped_after_score_leaves_a_page_without_curves(project: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    page, summary = copy / "reports/sample/index.html", copy / "reports/sample/summary.md"
    settings = copy / "conf/score.yaml"
    settings.write_text(settings.read_text().replace("n_resamples: 200", "n_resamples: 201"))
    before = page.stat().st_mtime_ns
    process = subprocess.Popen(
        stage("all"), cwd=copy, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while page.stat().st_mtime_ns == before and process.poll() is None:
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    early = page.read_text(encoding="utf-8")
    assert "Without learning curves and robustness" in early
    assert early.count("<tr data-family=") == N_LINES
    # The verdict of the run before is still there, but it is not of these scores.
    verdict = copy / "reports/sample/curves/verdict.json"
    assert html.escape(json.loads(verdict.read_text())["sentences"][0]) not in early
    assert not summary.exists()

    assert make(copy, "all").returncode == 0
    finished = page.read_text(encoding="utf-8")
    assert "Without learning curves and robustness" not in finished
    assert html.escape(json.loads(verdict.read_text())["sentences"][0]) in finished
    assert summary.exists()


def test_draws_that_are_done_are_not_fitted_again(project: Path, reports: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    draws = sorted((copy / "reports/sample/draws").iterdir())
    before = [path.stat().st_mtime_ns for path in draws]
    (copy / "reports/sample/draws/000010-of-earlier-settings.parquet").write_bytes(b"")
    draws[0].unlink()
    subprocess.run(stage("curves"), cwd=copy, env=environment(), check=True)
    assert sorted((copy / "reports/sample/draws").iterdir()) == draws
    assert [path.stat().st_mtime_ns for path in draws[1:]] == before[1:]
    pd.testing.assert_frame_equal(
        pd.read_csv(copy / "reports/sample/curves/sides.csv"),
        pd.read_csv(reports / "curves/sides.csv"),
        check_exact=True,
    )


def test_make_goes_on_after_everything_was_killed_in_the_middle_of_encoding(project: Path, tmp_path: Path) -> None:
    copy = copied(project, tmp_path)
    features = copy / "data/features/sample"
    kill_when(copy, ["make", "features", f"PY={sys.executable}"], features / "attention_pooling.parquet")
    assert make(copy, "features").returncode == 0
    for table in sorted((project / "data/features/sample").glob("*.parquet")):
        pd.testing.assert_frame_equal(pd.read_parquet(features / table.name), pd.read_parquet(table), check_exact=True)


def test_features_that_are_up_to_date_are_not_encoded_again(project: Path) -> None:
    features = project / "data/features/sample"
    before = {path.name: path.stat().st_mtime_ns for path in features.glob("*.parquet")}
    result = subprocess.run(stage("features"), cwd=project, env=environment(), capture_output=True, text=True)
    assert result.stderr.count("up to date") == len(list(features.glob("*.skops"))) > 0
    assert {path.name: path.stat().st_mtime_ns for path in features.glob("*.parquet")} == before


def test_more_reviews_take_longer_and_every_bar_of_the_plan_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    manifest = DatasetPaths("sample").prepared / MANIFEST
    write_json(manifest, {"kept": {"train": 45, "test": 15}})
    few = _expected_seconds("sample")
    assert tuple(few) == STAGES[1:]
    assert all(min(bars.values()) > 0 for bars in few.values())
    write_json(manifest, {"kept": {"train": 4500, "test": 1500}})
    many = _expected_seconds("sample")
    assert all(sum(many[stage].values()) > sum(few[stage].values()) for stage in ("features", "score"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
    shown = set(re.findall(r'(?:progress_bar|run_pieces)\(.*?, "([^"]+)"', code))
    assert {bar for bars in few.values() for bar in bars} - {"rest"} <= shown
