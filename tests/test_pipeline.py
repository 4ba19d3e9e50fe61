"""The whole pipeline, run for real by make on a few reviews of the sample; the tests look at what it leaves behind."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from project import ROOT, SMALL_SCORE, make_project

from pipeline.metrics import evaluate

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
    """Return the environment less what MLflow and an outer make have left in it."""
    left = {"MLFLOW_TRACKING_URI", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}
    return {name: value for name, value in os.environ.items() if name not in left} | {"PYTHONPATH": str(ROOT)}


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


@pytest.fixture
def runs(project: Path) -> pd.DataFrame:
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    return mlflow.search_runs(experiment_names=["t-method-vs-attention"])


def active_children(runs: pd.DataFrame, reports: Path) -> pd.DataFrame:
    parent = json.loads((reports / "runs.json").read_text())["parent"]
    return runs[runs["tags.mlflow.parentRunId"] == parent].set_index("tags.mlflow.runName")


def test_a_second_make_all_does_nothing(project: Path) -> None:
    assert "Nothing to be done for 'all'" in make(project, "all").stdout


def test_editing_the_score_configuration_re_scores_without_re_encoding(project: Path) -> None:
    conf = project / "conf/score.yaml"
    stamp = conf.stat()
    os.utime(conf)
    commands = make(project, "--dry-run", "all").stdout
    os.utime(conf, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert re.findall(r"-m pipeline (\w+)", commands) == ["score", "report"]


def test_another_limit_under_the_same_name_prepares_anew(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, copy_function=shutil.copy2)
    commands = make(copy, "--dry-run", "all", "LIMIT=20").stdout
    assert re.findall(r"-m pipeline (\w+)", commands) == ["prepare", "features", "score", "report"]


def test_the_environment_does_not_name_the_dataset(project: Path) -> None:
    result = subprocess.run(
        ["make", "--dry-run", "all"],
        cwd=project,
        env=environment() | {"NAME": "workstation", "DATA": "yelp", "FILE": "x"},
        capture_output=True,
        text=True,
    )
    assert "Nothing to be done for 'all'" in result.stdout


def test_make_report_prints_the_path_of_the_page(project: Path, reports: Path) -> None:
    assert make(project, "report").stdout.strip().splitlines()[-1] == str(reports / "index.html")


def test_own_files_with_spaces_in_their_names_run_through_make(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, copy_function=shutil.copy2)
    reviews = pd.read_json(project / "data/sample/reviews.jsonl", lines=True)
    reviews.assign(label=reviews["stars"] - 1)[["label", "text"]].to_csv(tmp_path / "my reviews (1).csv", index=False)
    result = make(copy, "prepare", "DATA=file", f"FILE={tmp_path / 'my reviews (1).csv'}")
    assert result.returncode == 0, result.stderr
    prepared = pd.read_parquet(copy / "data/prepared/my_reviews__1_/reviews.parquet")
    assert sorted(prepared["text"]) == sorted(reviews["text"])
    assert make(copy, "prepare", "DATA=file", f"FILE={tmp_path / 'my reviews (1).csv'}").stdout.startswith(
        "make: Nothing"
    )


def test_the_leaderboard_has_the_promised_columns_and_is_sorted(reports: Path) -> None:
    leaderboard = pd.read_csv(reports / "leaderboard.csv")
    assert ",".join(leaderboard) == (
        "dataset,features,model,n_train,n_test,n_features,r2,r2_clipped,mae,rmse,spearman,"
        "qwk,qwk_low,qwk_high,accuracy,sn_db,fit_seconds,predict_seconds"
    )
    assert len(leaderboard) == N_LINES
    assert leaderboard["qwk"].is_monotonic_decreasing
    assert (leaderboard["qwk_low"] <= leaderboard["qwk"]).all()
    assert (leaderboard["qwk"] <= leaderboard["qwk_high"]).all()
    tfidf = leaderboard[leaderboard["model"] == "TF-IDF + Ridge"]
    assert tfidf["n_features"].item() > 100
    undefined = leaderboard.columns[leaderboard.isna().any()]
    assert set(undefined) <= {"spearman", "sn_db"}


def test_the_metrics_are_those_of_the_saved_predictions(reports: Path) -> None:
    predictions = pd.read_parquet(reports / "predictions.parquet")
    metrics = pd.read_csv(reports / "metrics.csv")
    for line in metrics.to_dict("records"):
        own = evaluate(predictions["stars"], predictions[f"{line['features']} / {line['model']}"])
        for name, value in own.items():
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


def test_the_report_is_one_page_that_needs_no_network(reports: Path) -> None:
    page = (reports / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)|url\(|@import|<script""", page)
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 5 + 2
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert page.count("<tr>") == N_LINES + 1
    assert len(re.findall(r'alt="[^"]{20,}"', page)) == len(pictures)


def test_the_report_names_the_winner(reports: Path) -> None:
    best = pd.read_csv(reports / "leaderboard.csv").iloc[0]
    page = (reports / "index.html").read_text(encoding="utf-8")
    assert f"{best.model} on {best.features} won: of {N_LINES} combinations" in page
    assert f"QWK {best.qwk:.3f}" in page
    # So few reviews allow no comparison of groups, and the page makes none.
    assert "With only 15 held-out reviews the ranking is mostly noise." in page
    assert "The best member of the Taguchi family, " not in page


def test_mlflow_has_a_parent_and_one_child_a_line(runs: pd.DataFrame, reports: Path) -> None:
    children = active_children(runs, reports)
    leaderboard = pd.read_csv(reports / "leaderboard.csv")
    assert sorted(children.index) == sorted(leaderboard["features"] + " / " + leaderboard["model"])
    assert (runs["status"] == "FINISHED").all()
    assert (children["tags.dataset"] == "sample").all()
    assert children["tags.git_commit"].str.len().gt(0).all()
    for line in leaderboard.to_dict("records"):
        child = children.loc[f"{line['features']} / {line['model']}"]
        assert child["params.model"] == line["model"]
        for name in ("qwk", "qwk_low", "mae", "n_features", "fit_seconds"):
            assert child[f"metrics.{name}"] == pytest.approx(line[name])
    assert children.filter(like="metrics.").shape[1] < 25


def test_mlflow_parent_holds_configuration_report_and_figures(runs: pd.DataFrame, reports: Path) -> None:
    client = mlflow.MlflowClient()
    parent = client.get_run(json.loads((reports / "runs.json").read_text())["parent"])
    for directory, name in (
        ("conf", "conf/score.yaml"),
        ("report", "report/index.html"),
        ("", "leaderboard.csv"),
    ):
        assert name in [file.path for file in client.list_artifacts(parent.info.run_id, directory)]
    assert len(client.list_artifacts(parent.info.run_id, "figures")) == 7
    assert "Compare" in parent.data.tags["mlflow.note.content"]
    contexts = {tag.value for data in parent.inputs.dataset_inputs for tag in data.tags}
    assert contexts == {"training", "testing"}


def test_every_logged_model_predicts_from_raw_text_what_the_leaderboard_says(
    runs: pd.DataFrame, project: Path, reports: Path
) -> None:
    reviews = pd.read_parquet(project / "data/prepared/sample/reviews.parquet")
    held_out = reviews.loc[reviews["split"] == "test", ["text"]]
    predictions = pd.read_parquet(reports / "predictions.parquet")
    best_of_each = pd.read_csv(reports / "leaderboard.csv").drop_duplicates("model")
    logged = set(best_of_each["features"] + " / " + best_of_each["model"])
    client = mlflow.MlflowClient()
    for name, child in active_children(runs, reports).iterrows():
        outputs = client.get_run(child["run_id"]).outputs.model_outputs
        assert len(outputs) == (name in logged)
        if not outputs:
            continue
        (output,) = outputs
        model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
        np.testing.assert_allclose(model.predict(held_out), predictions[name], rtol=1e-4, atol=1e-4)
        assert model.metadata.signature.inputs.input_names() == ["text"]
        assert list(model.input_example) == ["text"]


def test_a_logged_model_loads_where_the_project_is_not(runs: pd.DataFrame, reports: Path, tmp_path: Path) -> None:
    children = active_children(runs, reports)
    child = children[children["params.model"] == "T(1)"].sort_values("metrics.qwk").iloc[-1]
    (output,) = mlflow.MlflowClient().get_run(child["run_id"]).outputs.model_outputs
    location = mlflow.get_logged_model(output.model_id).artifact_location
    # -I: neither the current directory nor PYTHONPATH; dropping the project from sys.path undoes an editable install.
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path = [p for p in sys.path if p != {str(ROOT)!r}]\n"
        "import mlflow, importlib.util; assert importlib.util.find_spec('pipeline') is None\n"
        f"model = mlflow.pyfunc.load_model({location!r})\n"
        "import pandas as pd\n"
        "texts = pd.DataFrame({'text': ['Horrible and rude, never again.', 'Wonderful, I love this place!']})\n"
        "print(model.predict(texts))"
    )
    result = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    low, high = map(float, re.findall(r"-?\d+\.\d+", result.stdout))
    assert low < high


def test_the_mlflow_ui_serves_the_runs(project: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        stage("ui", "--port", str(port)),
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                page = urllib.request.urlopen(address, timeout=5).read().decode()
                break
            except OSError:
                time.sleep(0.2)
        assert "<title>MLflow</title>" in page
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/runs/search",
            data=json.dumps({"experiment_ids": ["1"], "filter": "tags.level = 'child'"}).encode(),
            headers={"Content-Type": "application/json"},
        )
        found = json.load(urllib.request.urlopen(request, timeout=10))["runs"]
        assert len(found) >= N_LINES
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


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
    kill_when(copy, stage("score"), copy / "reports/sample/runs.json")
    subprocess.run(stage("score"), cwd=copy, env=environment(), check=True)

    timings = ["fit_seconds", "predict_seconds"]
    for table in ("leaderboard.csv", "metrics.csv"):
        pd.testing.assert_frame_equal(
            pd.read_csv(copy / "reports/sample" / table).drop(columns=timings),
            pd.read_csv(reports / table).drop(columns=timings),
            check_exact=True,
        )
    mlflow.set_tracking_uri(f"sqlite:///{copy / 'mlflow.db'}")
    left = mlflow.search_runs(experiment_names=["t-method-vs-attention"])
    assert len(left) == N_LINES + 1
    assert (left["status"] == "FINISHED").all()
    assert not list(copy.rglob(".*.tmp"))


def test_make_goes_on_after_everything_was_killed_in_the_middle_of_encoding(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, copy_function=shutil.copy2)
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
