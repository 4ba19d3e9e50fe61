"""The log stage against real MLflow: its SQLite store, its server, its model server and its pages in a browser."""

import importlib
import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from logged_data import (
    SIZES,
    VERDICT,
    environment,
    files_under,
    free_port,
    local,
    make_results,
    post,
    runs_of,
    served,
    started,
    stop,
)
from mlflow.entities import Run, ViewType
from project import ROOT
from sklearn.base import BaseEstimator

from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.experiment.saved import load
from pipeline.files import read_json, write_json
from pipeline.project.paths import DatasetPaths
from pipeline.project.store import sqlite_uri
from pipeline.project.tables import table_path
from pipeline.report.links import comparison, run_page, views
from pipeline.report.results import lines_of
from pipeline.report.runs import experiment_note
from pipeline.segmentation import used_dictionaries
from pipeline.stages import log as tracking
from pipeline.text import words

pytestmark = pytest.mark.slow

Client = mlflow.MlflowClient
PATHS = DatasetPaths("sample")
SIDES = ["T-method", "no T"]
N_SIDES = len(SIDES)
SERVER = ("server", "--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", "served", "--workers", "1")


class Strange(BaseEstimator):
    """No part of this project."""


def log(root: Path, uri: str = "") -> None:
    """Run the stage in a directory."""
    with chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking.run("sample")


def with_texts(root: Path) -> pd.DataFrame:
    """Return what the score stage has predicted for the held-out reviews, beside their texts."""
    reviews = pd.read_parquet(root / PATHS.reviews)
    return pd.read_parquet(root / PATHS.predictions).merge(reviews[["review_id", "text"]], on="review_id")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with results that have been logged once to the store in it."""
    directory = tmp_path_factory.mktemp("logged")
    make_results(directory)
    log(directory)
    return directory


@pytest.fixture
def again(root: Path, tmp_path: Path) -> Path:
    """A copy of it, in which a test may log again; the artifacts go where those of the first log are."""
    return Path(shutil.copytree(root, tmp_path / "again"))


@pytest.fixture
def client(root: Path) -> Client:
    return local(root)


@pytest.fixture
def runs(root: Path) -> dict[str, Any]:
    return json.loads((root / PATHS.runs).read_text())


@pytest.fixture
def parent(client: Client, runs: dict[str, Any]) -> Run:
    return client.get_run(runs["parent"])


@pytest.fixture
def children(client: Client, runs: dict[str, Any]) -> dict[str, Run]:
    return {name: client.get_run(run_id) for name, run_id in runs["children"].items()}


@pytest.fixture
def sides(client: Client, runs: dict[str, Any]) -> dict[str, Run]:
    return {name: client.get_run(run_id) for name, run_id in runs["sides"].items()}


@pytest.fixture
def metrics(root: Path) -> pd.DataFrame:
    table = pd.read_csv(root / table_path(PATHS, "metrics"))
    return table.set_index(pd.Index([str(line) for line in lines_of(table)]))


@pytest.fixture
def predictions(root: Path) -> pd.DataFrame:
    return with_texts(root)


class TestRuns:
    def test_a_parent_and_one_finished_child_a_side_and_a_line(
        self,
        client: Client,
        parent: Run,
        children: dict[str, Run],
        sides: dict[str, Run],
        metrics: pd.DataFrame,
    ) -> None:
        assert sorted(children) == sorted(metrics.index)
        all_children = [*children.values(), *sides.values()]
        assert {run.info.run_id for run in runs_of(client)} == {run.info.run_id for run in (parent, *all_children)}
        assert {run.info.status for run in (parent, *all_children)} == {"FINISHED"}
        assert {child.data.tags["mlflow.parentRunId"] for child in all_children} == {parent.info.run_id}
        for name, child in children.items():
            assert child.info.run_name == " · ".join(reversed(name.split(" / ")))
        assert [run.info.run_name for run in sides.values()] == list(sides) == ["no T", "T-method"]

    def test_the_duration_is_that_of_the_fit(
        self, parent: Run, children: dict[str, Run], sides: dict[str, Run], metrics: pd.DataFrame
    ) -> None:
        def seconds(run: Run) -> float:
            return (run.info.end_time - run.info.start_time) / 1000

        for name, child in children.items():
            assert seconds(child) == pytest.approx(metrics["fit_seconds"][name], abs=1e-3)
        assert seconds(sides["no T"]) == seconds(children["text_stats / Ridge"])
        assert seconds(parent) == pytest.approx(metrics["fit_seconds"].sum(), abs=1e-3)

    def test_a_child_has_the_metrics_of_its_line(self, children: dict[str, Run], metrics: pd.DataFrame) -> None:
        for name, child in children.items():
            line = metrics.loc[name].drop(["dataset", "features", "model", "n_train", "n_test"]).dropna()
            assert child.data.metrics == pytest.approx(line.to_dict())
            assert len(child.data.metrics) < 25

    def test_search_finds_lines_by_tag_and_parameter(self, client: Client, children: dict[str, Run]) -> None:
        for where, names in (
            ("tags.level = 'parent'", ["sample"]),
            ("tags.family = 'Taguchi'", ["T(1) clipped · text_stats", "T(1) · text_stats"]),
            ("tags.kind = 'side'", ["T-method", "no T"]),
            ("tags.side LIKE '%T-method%'", ["T-method"]),
            ("tags.dataset = 'sample' and tags.features = 'text'", ["mean · text"]),
            ("params.model = 'Ridge' and params.chosen__alpha = '100.0'", ["Ridge · text_stats"]),
            ("params.model__clip = 'range'", ["T(1) clipped · text_stats"]),
        ):
            assert sorted(run.info.run_name for run in runs_of(client, where)) == names, where
        assert all(child.data.tags["git_commit"] for child in children.values())

    def test_the_step_of_a_learning_curve_is_the_number_of_training_reviews(
        self, client: Client, root: Path, children: dict[str, Run], metrics: pd.DataFrame
    ) -> None:
        curves = pd.read_csv(root / table_path(PATHS, "curves"))
        for (features, model), curve in curves.groupby(["features", "model"]):
            run_id = children[str(Line(features, model))].info.run_id
            for name, column in (("qwk", "qwk"), ("mae_clipped", "mae")):
                points = {point.step: point.value for point in client.get_metric_history(run_id, name)}
                assert points == pytest.approx(dict(zip(curve["n_train"], curve[column], strict=True)))
        # What is no part of the curves stage is one point, so that it lies in the same chart.
        (point,) = client.get_metric_history(children["text_stats / T(1) clipped"].info.run_id, "qwk")
        assert point.step == metrics["n_train"].iloc[0] > max(SIZES)

    def test_a_side_has_its_curve_with_its_interval_and_the_line_it_has_chosen(
        self, client: Client, root: Path, sides: dict[str, Run]
    ) -> None:
        table = pd.read_csv(root / table_path(PATHS, "sides"))
        assert set(table["side"]) == set(sides)
        for side, curve in table.groupby("side"):
            run = sides[str(side)]
            assert set(run.data.metrics) == {"qwk", "qwk_low", "qwk_high"}
            for name, value in run.data.metrics.items():
                points = {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}
                assert points == dict(zip(curve["n_train"], curve[name], strict=True))
                assert value == curve[name].iloc[-1]
            assert run.data.params == curve.iloc[-1][["features", "model"]].to_dict()

    def test_the_parent_holds_configuration_tables_report_and_figures(self, client: Client, parent: Run) -> None:
        for directory, names in (
            ("conf", {"conf/score.yaml", "conf/curves.yaml", "conf/features"}),
            ("conf/features", {"conf/features/text_stats.yaml"}),
            (None, {"leaderboard.csv", "metrics.csv", "items.csv"}),
            ("curves", {"curves/curves.csv", "curves/sides.csv", "curves/verdict.json"}),
            ("robustness", {"robustness/changes.csv"}),
            ("report", {"report/index.html", "report/summary.md"}),
            ("figures", {"figures/curves.svg"}),
        ):
            assert names <= {file.path for file in client.list_artifacts(parent.info.run_id, directory)}
        # What a draw has predicted is no result.
        assert "curves/draws" not in {file.path for file in client.list_artifacts(parent.info.run_id, "curves")}

    def test_the_note_tells_the_verdict_the_best_lines_and_where_to_look(
        self, parent: Run, metrics: pd.DataFrame, runs: dict[str, Any]
    ) -> None:
        note, headline = (parent.data.tags[name] for name in ("mlflow.note.content", "headline"))
        assert note.startswith(f"**{headline}**\n\n- With 10 ")
        assert "\n\n".join(VERDICT) in note
        rows = re.findall(r"^\| (\S+)\s+\| (.+?)\s+\| ([\d.]+)\s", note, re.MULTILINE)
        assert rows == [(row.features, row.model, f"{row.qwk:.3f}") for row in metrics.itertuples()]
        assert f"({comparison('1', runs['upload'], curves=True)})" in note
        assert f"tags.upload = '{runs['upload']}'" in note

    def test_the_experiment_is_described_by_the_newest_log_and_has_its_views(
        self, client: Client, parent: Run, runs: dict[str, Any]
    ) -> None:
        tags = client.get_experiment("1").tags
        about = experiment_note("1", [(parent.info.run_id, parent.data.tags)])
        assert tags["mlflow.note.content"] == about
        assert parent.data.tags["headline"] in about
        assert views(runs["upload"]).items() <= tags.items()

    def test_every_line_names_the_reviews_it_was_fitted_and_measured_on(
        self, client: Client, root: Path, children: dict[str, Run]
    ) -> None:
        reviews = pd.read_parquet(root / PATHS.reviews)
        for child in children.values():
            inputs = {data.tags[0].value: data.dataset for data in child.inputs.dataset_inputs}
            assert set(inputs) == {"training", "testing"}
            assert inputs["training"].digest == inputs["testing"].digest
            for context, split in (("training", "train"), ("testing", "test")):
                assert json.loads(inputs[context].profile)["num_rows"] == (reviews["split"] == split).sum()

    def test_a_second_log_is_a_parent_of_its_own(self, again: Path) -> None:
        log(again)
        client = local(again)
        parents = runs_of(client, "tags.level = 'parent'")
        assert len(parents) == 2
        assert read_json(again / PATHS.runs)["parent"] == parents[0].info.run_id


@pytest.mark.parametrize("name", ["a b%20c", "a%25b%c", "a?b=c&d#e", "味は最高 é"])
def test_whatever_the_project_is_called_its_runs_are_in_its_own_file(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Quoted twice, or not at all, an address names another directory: those are here, too, and stay empty."""
    project, others = tmp_path / name, {name, unquote(name), quote(name), re.split("[?#]", name)[0]} - {name}
    for directory in {project, *(tmp_path / other for other in others)}:
        directory.mkdir()
    for part in ("data", "conf", "reports"):
        shutil.copytree(root / part, project / part)
    lines = [{**line, "model_file": None} for line in json.loads((root / PATHS.lines).read_text())]
    write_json(project / PATHS.lines, lines)
    with caplog.at_level("WARNING"):
        log(project)
    client = local(project)
    assert len(runs_of(client)) == len(lines) + N_SIDES + 1
    assert {path.name for path in project.iterdir()} == {
        "conf",
        "data",
        "mlflow.db",
        ".mlflow.db.lock",
        "mlruns",
        "reports",
    }
    parent = read_json(project / PATHS.runs)["parent"]
    assert (project / "mlruns" / parent / "artifacts/report/index.html").exists()
    assert {file.path for file in client.list_artifacts(parent, "report")} >= {"report/index.html"}
    assert {path.name for path in tmp_path.iterdir()} == {name, *others}
    assert not [path for other in others for path in (tmp_path / other).iterdir()]
    assert ("MLflow cannot load the models" in caplog.text) == (unquote(name) != name)
    # A second run finds the file again.
    log(project)
    assert len(runs_of(client)) == 2 * (len(lines) + N_SIDES + 1)


class TestModels:
    def test_each_predicts_from_raw_text_what_the_score_stage_has_predicted(
        self, client: Client, root: Path, children: dict[str, Run], predictions: pd.DataFrame
    ) -> None:
        lines = {line["name"]: line for line in json.loads((root / PATHS.lines).read_text())}
        for name, child in children.items():
            outputs = child.outputs.model_outputs
            assert len(outputs) == bool(lines[name]["model_file"])
            for output in outputs:
                model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
                np.testing.assert_allclose(model.predict(predictions[["text"]]), predictions[name].clip(1, 5))
                assert model.metadata.signature.inputs.input_names() == ["text"]
                assert list(model.input_example) == ["text"]

    def test_each_knows_the_metrics_of_its_line(self, client: Client, children: dict[str, Run]) -> None:
        for child in children.values():
            for output in child.outputs.model_outputs:
                of_model = client.get_logged_model(output.model_id).metrics
                final = {point.key: point.value for point in sorted(of_model, key=lambda point: point.step)}
                assert final == pytest.approx(child.data.metrics)
                assert {point.dataset_name for point in of_model} == {"sample-test"}

    def test_the_best_line_is_the_champion(
        self, client: Client, runs: dict[str, Any], metrics: pd.DataFrame, predictions: pd.DataFrame
    ) -> None:
        best = metrics.index[0]
        version = client.get_model_version_by_alias("stars-sample", "champion")
        assert version.run_id == runs["children"][best]
        assert str(Line(version.tags["features"], version.tags["model"])) == best
        assert float(version.tags["qwk"]) == pytest.approx(metrics["qwk"].iloc[0], abs=1e-4)
        assert best in version.description
        model = mlflow.pyfunc.load_model("models:/stars-sample@champion")
        np.testing.assert_allclose(model.predict(predictions[["text"]]), predictions[best].clip(1, 5))

    def test_where_the_best_line_has_no_model_the_next_one_is_the_champion(
        self, again: Path, metrics: pd.DataFrame
    ) -> None:
        lines = json.loads((again / PATHS.lines).read_text())
        lines[0]["model_file"] = None
        write_json(again / PATHS.lines, lines)
        log(again)
        version = local(again).get_model_version_by_alias("stars-sample", "champion")
        expected = next(line["name"] for line in lines if line["model_file"])
        assert version.run_id == read_json(again / PATHS.runs)["children"][expected]
        assert int(version.version) == 2

    def test_loads_where_the_project_is_not(self, client: Client, tmp_path: Path) -> None:
        version = client.get_model_version_by_alias("stars-sample", "champion")
        location = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
        # -I: neither the current directory nor PYTHONPATH; the project off sys.path undoes an editable install.
        code = (
            "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
            f"sys.path = [p for p in sys.path if p != {str(ROOT)!r}]\n"
            "import mlflow, importlib.util; assert importlib.util.find_spec('pipeline') is None\n"
            f"model = mlflow.pyfunc.load_model({location!r})\n"
            "import pandas as pd\n"
            "texts = pd.DataFrame({'text': ['Horrible and rude, never again.', 'Wonderful, I love this place!']})\n"
            "print(*model.predict(texts))"
        )
        result = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        low, high = map(float, re.findall(r"-?\d+\.\d+", result.stdout))
        assert low < high

    def test_predictions_are_stars_and_the_mean_where_nothing_is_known(
        self, client: Client, root: Path, children: dict[str, Run], predictions: pd.DataFrame
    ) -> None:
        reviews = pd.read_parquet(root / PATHS.reviews)
        mean = reviews.loc[reviews["split"] == "train", "stars"].mean()
        unknown = pd.DataFrame({"text": ["", " \n", "😀", "味は最高", "!!!", "Xyzzy plugh."]})
        # Before, the T(1) left the scale on both sides.
        assert predictions["text_stats / T(1)"].min() < 1
        assert predictions["text_stats / T(1)"].max() > 5
        for child in children.values():
            for output in child.outputs.model_outputs:
                model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
                np.testing.assert_array_equal(model.predict(unknown), np.full(len(unknown), mean))
                assert model.predict(predictions[["text"]]).min() >= 1
                assert model.predict(predictions[["text"]]).max() <= 5
        about = client.get_registered_model("stars-sample").description
        assert f"A text without a word of the training reviews gets their mean, {mean:.2f}." in about

    @pytest.fixture(scope="class")
    @staticmethod
    def server(root: Path) -> Iterator[str]:
        arguments = ("models", "serve", "-m", "models:/stars-sample@champion", "--env-manager", "local")
        with served(*arguments, cwd=root, ready="/ping", MLFLOW_TRACKING_URI=sqlite_uri(root / "mlflow.db")) as (at, _):
            yield f"{at}/invocations"

    def test_the_model_server_answers_for_the_champion(
        self, server: str, metrics: pd.DataFrame, predictions: pd.DataFrame
    ) -> None:
        texts, expected = predictions["text"].tolist(), predictions[metrics.index[0]].clip(1, 5)
        for content in (
            {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}},
            {"dataframe_records": [{"text": text} for text in texts]},
            {"inputs": {"text": texts}},
            {"inputs": texts},
            {"instances": texts},
        ):
            np.testing.assert_allclose(post(server, content)["predictions"], expected)

    def test_the_model_server_tells_the_words_where_they_are_asked_for(
        self, server: str, predictions: pd.DataFrame
    ) -> None:
        texts = [*predictions["text"].tolist()[:2], "Xyzzy."]
        stars = post(server, {"inputs": texts})["predictions"]
        asked = {"inputs": texts, "params": {"explain": True}}
        explained = post(server, asked)["predictions"]
        assert [row["star"] for row in explained] == stars
        for row in explained:
            assert row["base"] + sum(word["contribution"] for word in row["words"]) == pytest.approx(row["star"])
        assert [word["word"] for word in explained[0]["words"]] == words(texts[0])
        model = mlflow.pyfunc.load_model("models:/stars-sample@champion")
        table = model.predict(pd.DataFrame({"text": texts}), params={"explain": True})
        assert table.to_dict("records") == explained
        assert post(server, asked | {"params": {"explain": False}})["predictions"] == stars
        with pytest.raises(HTTPError) as refusal:
            post(server, asked | {"inputs": [None]})
        assert "Expected str, got NoneType (None) at position 0." in refusal.value.read().decode()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            *[
                (content, "Expected str, got NoneType (None) at position 0.")
                for content in (
                    {"inputs": [None]},
                    {"inputs": {"text": None}},
                    {"instances": [{"text": None}]},
                    {"dataframe_records": [{"text": None}]},
                    {"dataframe_split": {"columns": ["text"], "data": [[None]]}},
                )
            ],
            *[
                (content, "Expected str, got int (5) at position 0.")
                for content in (
                    {"inputs": [5]},
                    {"inputs": {"text": 5}},
                    {"instances": [5, "good"]},
                    {"dataframe_records": [{"text": 5}, {"text": "good"}]},
                    {"dataframe_split": {"columns": ["text"], "data": [[5]]}},
                )
            ],
            *[
                (content, "Expected at least one text, got none.")
                for content in (
                    {"inputs": []},
                    {"inputs": {"text": []}},
                    {"instances": []},
                    {"dataframe_split": {"columns": ["text"], "data": []}},
                )
            ],
            *[
                (content, 'Expected texts in a column named "text", got no such column.')
                for content in (
                    {"inputs": {"txt": ["good"]}},
                    {"inputs": 5},
                    {"dataframe_records": []},
                    {"dataframe_records": [{"Text": "good"}]},
                    {"dataframe_split": {"columns": ["review"], "data": [["good"]]}},
                )
            ],
            ({"inputs": ["good", None]}, "Expected str, got float (nan) at position 1."),
            ({"inputs": [True]}, "Expected str, got bool (True) at position 0."),
            ({"inputs": [["good"], ["bad"]]}, "Expected str, got list (['good']) at position 0."),
            ({"dataframe_records": [{"text": {"a": 1}}]}, "Expected str, got dict ({'a': 1}) at position 0."),
            ({"inputs": None}, "Expected input to be DataFrame. Found: NoneType"),
            ({"text": ["good"]}, "The input must be a JSON dictionary with exactly one of the input fields"),
            ([], "The input must be a JSON dictionary with exactly one of the input fields"),
        ],
        ids=json.dumps,
    )
    def test_the_model_server_refuses_what_is_no_text_in_one_line(
        self, server: str, root: Path, content: Any, reason: str
    ) -> None:
        with pytest.raises(HTTPError) as refusal:
            post(server, content)
        answer = refusal.value.read().decode()
        assert refusal.value.code == 400
        assert reason in json.loads(answer)["message"]
        assert len(answer.splitlines()) == 1
        for inside in ("Traceback", "stack_trace", "site-packages", str(ROOT), str(root)):
            assert inside not in answer

    def test_a_model_of_the_users_travels_with_its_code(
        self, again: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "travelling_models.py").write_text(
            "from sklearn.dummy import DummyRegressor\nclass Mean(DummyRegressor):\n    'A model of the user.'\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        mean = importlib.import_module("travelling_models").Mean().fit([[0], [0]], [1, 4])
        lines = json.loads((again / PATHS.lines).read_text())
        (line,) = (line for line in lines if line["model"] == "mean")
        skops.io.dump(mean, again / PATHS.models / line["model_file"])
        write_json(
            again / PATHS.lines, [{**each, "packages": ["travelling_models"] * (each == line)} for each in lines]
        )
        log(again)
        child = local(again).get_run(read_json(again / PATHS.runs)["children"][line["name"]])
        uri = f"models:/{child.outputs.model_outputs[0].model_id}"
        code = "import sys, mlflow; print(mlflow.pyfunc.load_model(sys.argv[1]).predict({'text': ['good']}))"
        settings = environment(MLFLOW_TRACKING_URI=f"sqlite:///{again / 'mlflow.db'}")
        result = subprocess.run([sys.executable, "-c", code, uri], env=settings, capture_output=True, text=True)
        assert result.stdout.strip() == "[2.5]", result.stderr

    def test_a_model_names_the_dictionaries_that_read_words(self, root: Path) -> None:
        files = list(root.rglob("requirements.txt"))
        assert files
        for file in files:
            named = dict(line.split("==") for line in file.read_text().splitlines())
            assert used_dictionaries().items() <= named.items()

    def test_a_file_with_a_type_from_elsewhere_is_not_loaded(self, tmp_path: Path) -> None:
        skops.io.dump(Strange(), tmp_path / "model.skops")
        with pytest.raises(PipelineError, match=r"model\.skops holds test_log\.Strange"):
            load(tmp_path / "model.skops", "score")


class TestFailures:
    def test_what_a_failure_leaves_is_deleted_at_once(self, again: Path) -> None:
        before, results = {run.info.run_id for run in runs_of(local(again))}, read_json(again / PATHS.runs)
        described = local(again).get_experiment("1").tags
        lines = json.loads((again / PATHS.lines).read_text())
        # The best line comes last, when the runs of all others are there.
        (again / PATHS.models / lines[0]["model_file"]).write_bytes(b"PK no more")
        with pytest.raises(PipelineError, match=r"cannot be read .* run the score stage again"):
            log(again)
        client = local(again)
        assert {run.info.run_id for run in runs_of(client)} == before
        deleted = runs_of(client, view=ViewType.DELETED_ONLY)
        assert len(deleted) == len(lines) + N_SIDES + 1
        assert "RUNNING" not in {run.info.status for run in deleted}
        assert len(client.search_logged_models(["1"])) == sum(bool(line["model_file"]) for line in lines)
        assert int(client.get_model_version_by_alias("stars-sample", "champion").version) == 1
        assert client.get_experiment("1").tags == described
        assert read_json(again / PATHS.runs) == results
        assert not (again / PATHS.upload).exists()

    def test_what_a_killed_log_leaves_is_deleted_by_the_next(
        self, again: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        client, n_lines = local(again), len(json.loads((again / PATHS.lines).read_text()))
        command = [sys.executable, "-c", "from pipeline.stages import log; log.run('sample')"]
        process = subprocess.Popen(command, cwd=again, env=environment(), stderr=subprocess.DEVNULL)
        while len(left := runs_of(client)) < n_lines + N_SIDES + 3:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "RUNNING" in {run.info.status for run in left}
        with caplog.at_level(logging.INFO, logger="pipeline"):
            log(again)
        assert re.search(r"deleted \d+ runs of an upload that did not come to its end", caplog.text)
        active = runs_of(client)
        assert len(active) == 2 * (n_lines + N_SIDES + 1)
        assert {run.info.status for run in active} == {"FINISHED"}
        assert "RUNNING" not in {run.info.status for run in runs_of(client, view=ViewType.ALL)}

    def test_an_unfinished_upload_elsewhere_is_named(self, again: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_json(again / PATHS.upload, {"upload": "abc", "uri": "http://other:5000"})
        # Some library raises the level of every handler that it finds, pytest's too.
        with caplog.at_level(logging.WARNING):
            log(again)
        assert "http://other:5000: delete its runs there, tags.upload = 'abc'" in caplog.text

    def test_a_server_that_is_not_there_is_one_line(self, again: Path) -> None:
        before, address = files_under(again / "reports"), f"127.0.0.1:{free_port()}"
        with pytest.raises(PipelineError) as error:
            log(again, f"http://ann:secret@{address}")
        assert str(error.value) == (
            f"MLflow at http://{address}: Connection refused; the results are complete in reports/sample, "
            "make log (python -m pipeline log --dataset sample) sends them later"
        )
        assert files_under(again / "reports") == before

    def test_a_deleted_experiment_is_one_line(self, again: Path) -> None:
        client = local(again)
        client.delete_experiment(client.get_experiment_by_name("t-method-vs-attention").experiment_id)
        with pytest.raises(
            PipelineError, match=r"MLflow at sqlite:.* deleted experiment .* complete in reports/sample"
        ):
            log(again)

    @pytest.mark.parametrize(
        ("path", "stage"),
        [
            (PATHS.reviews, "prepare"),
            (table_path(PATHS, "metrics"), "score"),
            (PATHS.lines, "score"),
            (table_path(PATHS, "curves"), "curves"),
            (PATHS.verdict, "curves"),
            (PATHS.page, "report"),
            (PATHS.summary, "report"),
        ],
        ids=lambda value: value if isinstance(value, str) else value.name,
    )
    def test_a_missing_result_names_its_stage(self, tmp_path: Path, root: Path, path: Path, stage: str) -> None:
        for part in ("data", "conf", "reports"):
            shutil.copytree(root / part, tmp_path / part)
        (tmp_path / path).unlink()
        with pytest.raises(PipelineError, match=f"^{path} is missing: run the {stage} stage first$"):
            log(tmp_path)
        assert not (tmp_path / "mlflow.db").exists()

    def test_scores_of_other_reviews_are_refused(self, tmp_path: Path, root: Path) -> None:
        for part in ("data", "conf", "reports"):
            shutil.copytree(root / part, tmp_path / part)
        pd.read_parquet(tmp_path / PATHS.reviews)[::-1].to_parquet(tmp_path / PATHS.reviews)
        with pytest.raises(PipelineError, match=r"holds no scores of .*: run the score stage first"):
            log(tmp_path)


def test_a_server_that_goes_away_loses_nothing_and_gets_everything_later(tmp_path: Path) -> None:
    make_results(tmp_path, n_copies=4)
    before, n_lines = files_under(tmp_path / "reports"), len(json.loads((tmp_path / PATHS.lines).read_text()))

    with served(*SERVER, cwd=tmp_path) as (address, process):
        client = Client(address)

        def kill_in_the_middle() -> None:
            while len(runs_of(client)) < n_lines // 2:
                time.sleep(0.02)
            stop(process)

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        with pytest.raises(
            PipelineError, match=r"^MLflow at http://127\..* complete in reports/sample, make log [^\n]*$"
        ):
            log(tmp_path, address)
        killer.join()
    lost = read_json(tmp_path / PATHS.upload)["upload"]
    after = files_under(tmp_path / "reports")
    assert {name: content for name, content in after.items() if not name.endswith("upload.json")} == before

    # On the same port: whether an upload is this server's is told by its address.
    with served(*SERVER, cwd=tmp_path, port=int(address.rsplit(":")[-1])):
        assert n_lines // 2 <= len(runs_of(client, f"tags.upload = '{lost}'")) <= n_lines + N_SIDES
        log(tmp_path, address)
        assert not (tmp_path / PATHS.upload).exists()
        assert not runs_of(client, f"tags.upload = '{lost}'")
        assert "RUNNING" not in {run.info.status for run in runs_of(client, view=ViewType.ALL)}

        runs = read_json(tmp_path / PATHS.runs)
        content = {"experiment_ids": ["1"], "filter": f"tags.upload = '{runs['upload']}'"}
        found = post(f"{address}/api/2.0/mlflow/runs/search", content)["runs"]
        assert {run["info"]["run_id"] for run in found} == {
            runs["parent"],
            *runs["children"].values(),
            *runs["sides"].values(),
        }
        assert {run["info"]["status"] for run in found} == {"FINISHED"}

        mlflow.set_tracking_uri(address)
        version = client.get_model_version_by_alias("stars-sample", "champion")
        predictions = with_texts(tmp_path)
        model = mlflow.pyfunc.load_model("models:/stars-sample@champion")
        expected = predictions[str(Line(version.tags["features"], version.tags["model"]))].clip(1, 5)
        np.testing.assert_allclose(model.predict(predictions[["text"]]), expected)
        assert client.list_artifacts(runs["parent"], "report")
    assert not (tmp_path / "mlflow.db").exists()


class TestBrowser:
    @pytest.fixture(scope="class")
    @staticmethod
    def links(root: Path) -> Iterator[list[str]]:
        """What `make ui` prints while the server is there: the links to the table and to the curves."""
        port = free_port()
        command = [sys.executable, "-m", "pipeline", "ui", "--port", str(port)]
        with started(command, root, f"http://127.0.0.1:{port}") as (address, _):
            printed = (root / f"server-{port}.log").read_text().split()
            yield [word for word in printed if word.startswith(f"{address}/#/")]

    @pytest.fixture
    @staticmethod
    def page(browser: Any) -> Iterator[Any]:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        page.close()

    def test_the_first_link_shows_the_sides_with_their_numbers_and_then_the_lines(
        self, page: Any, links: list[str], root: Path, sides: dict[str, Run], metrics: pd.DataFrame
    ) -> None:
        page.goto(links[0])
        table = pd.read_csv(root / table_path(PATHS, "sides")).groupby("side").last()
        expected = [
            *((side, table.loc[side, "qwk"], None, *table.loc[side, ["features", "model"]]) for side in SIDES),
            *(
                (f"{row.model} · {row.features}", row.qwk, row.mae, row.features, row.model)
                for row in metrics.itertuples()
            ),
        ]
        for place, (name, qwk, mae, features, model) in enumerate(expected):
            row = page.locator(f".ag-row[row-index='{place}']")
            row.get_by_role("link", name=name, exact=True).wait_for()
            cells = {
                column: row.locator(f"[col-id='{column}']").inner_text()
                for column in ("metrics.`qwk`", "metrics.`mae`", "params.`features`", "params.`model`")
            }
            shown = list(cells.values())
            assert float(shown[0]) == pytest.approx(qwk, abs=1e-6)
            assert shown[1] == "-" if mae is None else float(shown[1]) == pytest.approx(mae, abs=1e-6)
            assert shown[2:] == [features, model]
        assert page.locator(".ag-center-cols-container .ag-row").count() == len(expected)

    def test_the_second_link_draws_the_curves_of_the_sides(
        self, page: Any, links: list[str], root: Path, sides: dict[str, Run]
    ) -> None:
        page.goto(links[1])
        curves = "(document.querySelector('.js-plotly-plot')?.data ?? []).map(t => [t.name, t.x, t.y])"
        page.wait_for_function(f"{curves}.filter(t => t[1]?.length > 1).length >= {len(SIDES)}")
        drawn = page.evaluate(curves)
        table = pd.read_csv(root / table_path(PATHS, "sides"))
        assert {name: dict(zip(x, y, strict=True)) for name, x, y in drawn if x} == {
            side: pytest.approx(dict(zip(curve["n_train"], curve["qwk"], strict=True)))
            for side, curve in table.groupby("side")
        }

    def test_comparing_runs_draws_a_curve_for_each(self, page: Any, links: list[str], children: dict[str, Run]) -> None:
        names = ("text_stats / Ridge", "text_stats / T(1)", "text / mean")
        ids = [children[name].info.run_id for name in names]
        page.goto(f"{links[0].split('#')[0]}#/compare-runs?runs={json.dumps(ids)}&experiments=[%221%22]")
        page.get_by_role("link", name="mae_clipped", exact=True).click()
        page.locator(".js-plotly-plot .scatterlayer .trace").nth(2).wait_for()
        for name in names:
            page.get_by_text(f"{children[name].info.run_name} (mae_clipped)").first.wait_for()

    def test_the_page_of_the_parent_shows_the_note_and_leads_to_the_comparison(
        self, page: Any, links: list[str], runs: dict[str, Any], parent: Run
    ) -> None:
        page.goto(f"{links[0].split('#')[0]}{run_page('1', runs['parent'])}")
        page.get_by_text("Model training").wait_for()
        page.get_by_text(parent.data.tags["headline"], exact=True).first.wait_for()
        page.get_by_text("Show more").first.click()
        for sentence in VERDICT:
            page.get_by_text(sentence).wait_for()
        assert page.get_by_role("cell", name="T(1) clipped").is_visible()
        page.get_by_role("link", name="Comparison").first.click()
        page.context.pages[-1].get_by_role("link", name="no T", exact=True).wait_for()

    def test_a_port_that_is_taken_is_one_line(self, root: Path, links: list[str]) -> None:
        port = links[0].split("/#")[0].rsplit(":")[-1]
        command = [sys.executable, "-m", "pipeline", "ui", "--port", port]
        done = subprocess.run(command, cwd=root, env=environment(), capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            f"error: port {port} of this machine cannot be used (Address already in use): choose another, such as "
            f"make ui PORT={int(port) + 1} (--port {int(port) + 1})"
        ]

    def test_with_a_server_the_links_are_on_it(self, root: Path, runs: dict[str, Any]) -> None:
        """No server is asked: where the last log went is known."""
        command = [sys.executable, "-m", "pipeline", "ui"]
        settings = environment(MLFLOW_TRACKING_URI="http://ann:secret@server:8000")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            kept = PATHS.runs.read_text()
            write_json(PATHS.runs, {**runs, "uri": "http://server:8000"})
            done = subprocess.run(command, env=settings, capture_output=True, text=True)
            PATHS.runs.write_text(kept)
        assert done.returncode == 0, done.stderr
        assert f"http://server:8000/{comparison('1', runs['upload'])}\n" in done.stdout
        assert "secret" not in done.stdout
