"""Results on disk as the stages before the log leave them: a few real models, fitted on reviews of the sample."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, ViewType
from project import ROOT
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.digest import file_digest
from pipeline.evaluation.bootstrap import intervals
from pipeline.evaluation.metrics import evaluate
from pipeline.experiment.bounded import BoundedRegressor, known_words
from pipeline.experiment.line import Line
from pipeline.experiment.saved import save
from pipeline.features import TextStats
from pipeline.files import MANIFEST, write_json, write_parquet, write_text
from pipeline.project.paths import DatasetPaths
from pipeline.project.store import sqlite_uri
from pipeline.project.tables import write_table
from pipeline.scale import FIVE_STARS
from pipeline.taguchi import TMethodRegressor

SIZES = [10, 20]
VERDICT = [
    "With 30 training reviews attention leads.",
    "The lead changes at 20 training reviews.",
    "T-method costs a tenth of attention.",
]
# The best line of the tests comes first; an ablation is not saved as a model.
MODELS: dict[str, Any] = {
    "Ridge": lambda: make_pipeline(StandardScaler(), Ridge(100.0)),
    "T(1)": TMethodRegressor,
    "T(1) clipped": lambda: TMethodRegressor(clip="range"),
    "mean": DummyRegressor,
}
FAMILIES = {"Ridge": "other", "T(1)": "Taguchi", "T(1) clipped": "Taguchi", "mean": "baseline"}


def make_results(root: Path, dataset: str = "sample", n_per_star: int = 8, n_copies: int = 0) -> DatasetPaths:
    """Write under `root` the reviews, the configuration and everything that the log stage reads.

    `n_copies` repeats of the ablation, each with its own name, make a leaderboard of any length.
    """
    shutil.copytree(ROOT / "conf", root / "conf", dirs_exist_ok=True)
    with chdir(root):
        paths = DatasetPaths(dataset)
        reviews = _reviews(n_per_star)
        write_parquet(paths.reviews, reviews)
        names = [*MODELS, *(f"T(1) clipped {i}" for i in range(n_copies))]
        _write_score(paths, reviews, names)
        _write_report(paths)
        manifest = {"stage": "score", "dataset": dataset, "inputs": {str(paths.reviews): file_digest(paths.reviews)}}
        write_json(paths.reports / MANIFEST, manifest)
        return paths


def _reviews(n_per_star: int) -> pd.DataFrame:
    sample = pd.read_json(ROOT / "data/sample/reviews.jsonl", lines=True)
    chosen = sample.groupby("stars").head(n_per_star).reset_index(drop=True)
    held_out = chosen.groupby("stars").cumcount() % 4 == 3
    return pd.DataFrame(
        {
            "review_id": [f"r{i}" for i in range(len(chosen))],
            "text": chosen["text"],
            "stars": chosen["stars"],
            "split": np.where(held_out, "test", "train"),
        }
    )


def _write_score(paths: DatasetPaths, reviews: pd.DataFrame, names: list[str]) -> None:
    train, test = (reviews[reviews["split"] == split].sample(frac=1, random_state=0) for split in ("train", "test"))
    lines, metrics, curves, fitted = [], [], [], {}
    predictions: dict[str, Any] = {"review_id": test["review_id"], "stars": test["stars"]}
    for name in names:
        kind = name if name in MODELS else "T(1) clipped"
        line = Line("text" if kind == "mean" else "text_stats", name)
        for size in (*SIZES, len(train)):
            if (kind, size) not in fitted:
                part = train.groupby("stars").head(size // 5) if size < len(train) else train
                steps = [("features", FeatureUnion([("text_stats", TextStats())])), ("model", MODELS[kind]())]
                started = time.perf_counter()
                model = Pipeline(steps[1:] if kind == "mean" else steps).fit(
                    part["text"].to_numpy(object), part["stars"]
                )
                fitted[kind, size] = model, time.perf_counter() - started
            model, seconds = fitted[kind, size]
            predicted = np.asarray(model.predict(test["text"].to_numpy(object)), float)
            scores = evaluate(test["stars"], predicted) | intervals(test["stars"], predicted, 100, 0)
            curves.append({**line._asdict(), "n_train": size, "n_draws": 1, **scores, "mae": scores["mae_clipped"]})
        predictions[str(line)] = predicted
        sizes = {"n_train": len(train), "n_test": len(test), "n_features": 1 if kind == "mean" else 30}
        costs = {"fit_seconds": seconds, "predict_seconds": 0.01, "peak_mb": None}
        metrics.append({"dataset": paths.dataset, **line._asdict(), **sizes, **scores, **costs})
        file = None
        if name != "T(1) clipped" and name in MODELS:
            file = f"{len(lines)}.skops"
            bounded = BoundedRegressor.of_fitted(model, FIVE_STARS, train["stars"].mean(), known_words(train["text"]))
            save(paths.models / file, bounded)
        lines.append(
            {
                "name": str(line),
                **line._asdict(),
                "parts": None if line.features == "text" else ["text_stats"],
                "family": FAMILIES[kind],
                "params": {"clip": "range"} if kind == "T(1) clipped" else {},
                "chosen": {"alpha": 100.0} if name == "Ridge" else {},
                "model_file": file,
            }
        )
    table = pd.DataFrame(metrics).sort_values("qwk", ascending=False, kind="stable")
    write_table(paths, "metrics", table)
    write_table(paths, "leaderboard", table)
    write_table(paths, "items", pd.DataFrame({"features": ["text_stats"], "item": ["n_words"], "eta": [0.1]}))
    write_json(paths.lines, [lines[i] for i in table.index])
    write_parquet(paths.predictions, pd.DataFrame(predictions))
    _write_curves(paths, pd.DataFrame(curves))


def _write_curves(paths: DatasetPaths, curves: pd.DataFrame) -> None:
    # The ablation has no learning curve.
    write_table(paths, "curves", curves[curves["model"].isin(["Ridge", "T(1)", "mean"])])
    sides = [
        curves[curves["model"] == model].assign(side=side) for side, model in (("T-method", "T(1)"), ("no T", "Ridge"))
    ]
    write_table(paths, "sides", pd.concat(sides))
    sizes = curves["n_train"].unique()
    shown = {"difference": -0.02, "low": -0.3, "high": 0.3, "p": 0.9, "p_holm": 0.9}
    contrasts = pd.DataFrame({"a": "T-method", "b": "no T", "n_train": sizes, **shown})
    write_table(paths, "contrasts", contrasts)
    for name in ("know_how", "know_how_contrasts"):
        write_table(paths, name, pd.DataFrame())
    write_json(paths.verdict, {"sentences": VERDICT})
    write_text(paths.draws / "10.csv", "not for MLflow\n")


def _write_report(paths: DatasetPaths) -> None:
    for name in ("changes", "costs"):
        write_table(paths, name, pd.DataFrame())
    write_text(paths.page, "<!doctype html><title>report</title>")
    write_text(paths.summary, "# Report\n")
    write_text(paths.figures / "curves.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")


def files_under(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def local(root: Path) -> mlflow.MlflowClient:
    mlflow.set_tracking_uri(sqlite_uri(root / "mlflow.db"))
    return mlflow.MlflowClient()


def runs_of(client: mlflow.MlflowClient, where: str = "", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    experiment = client.get_experiment_by_name("t-method-vs-attention")
    return list(client.search_runs([experiment.experiment_id], where, view)) if experiment else []


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a process of its own, less what these tests have set in this one."""
    left = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # `mlflow models serve` looks for its web server beside the interpreter of an active virtual environment.
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return left | {"PYTHONPATH": str(ROOT), "PATH": search, "MLFLOW_DISABLE_TELEMETRY": "true", **extra}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(
    *arguments: str, cwd: Path, port: int = 0, ready: str = "/health", **extra: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run `mlflow` with these arguments as a server, by default on a free port; yield its address and its process."""
    port = port or free_port()
    command = [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    with started(command, cwd, f"http://127.0.0.1:{port}", ready, **extra) as server:
        yield server


@contextmanager
def started(
    command: list[str], cwd: Path, address: str, ready: str = "/health", **extra: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run a server, which writes to the file server-PORT.log, and yield its address and its process."""
    log = cwd / f"server-{address.rsplit(':')[-1]}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(**extra), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(address + ready, process, log)
        yield address, process
    finally:
        stop(process)


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def stop(process: subprocess.Popen) -> None:
    """Kill a server and its workers, without mercy."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def post(address: str, content: Any) -> Any:
    """Send JSON and return the answer's."""
    request = urllib.request.Request(
        address, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
