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

import numpy as np
import pandas as pd
import skops.io
from project import ROOT
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.digest import file_digest
from pipeline.evaluation.bootstrap import intervals
from pipeline.evaluation.metrics import evaluate
from pipeline.features import TextStats
from pipeline.files import write_json, write_manifest, write_parquet
from pipeline.project.paths import DatasetPaths
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
        paths.reports.mkdir(parents=True)
        reviews = _reviews(n_per_star)
        write_parquet(paths.reviews, reviews)
        names = [*MODELS, *(f"T(1) clipped {i}" for i in range(n_copies))]
        _write_score(paths, reviews, names)
        _write_report(paths)
        manifest = {"stage": "score", "dataset": dataset, "inputs": {str(paths.reviews): file_digest(paths.reviews)}}
        write_manifest(paths.reports, manifest)
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
        features = "text" if kind == "mean" else "text_stats"
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
            curves.append({"features": features, "model": name, "n_train": size, "n_draws": 1, "qwk": scores["qwk"]})
            curves[-1] |= {"qwk_low": scores["qwk_low"], "qwk_high": scores["qwk_high"], "mae": scores["mae_clipped"]}
        predictions[f"{features} / {name}"] = predicted
        own = {"dataset": paths.dataset, "features": features, "model": name}
        sizes = {"n_train": len(train), "n_test": len(test), "n_features": 1 if kind == "mean" else 30}
        metrics.append(own | sizes | scores | {"fit_seconds": seconds, "predict_seconds": 0.01, "peak_mb": None})
        file = None
        if name != "T(1) clipped" and name in MODELS:
            file = f"{len(lines)}.skops"
            paths.models.mkdir(exist_ok=True)
            skops.io.dump(model, paths.models / file)
        lines.append(
            {
                "name": f"{features} / {name}",
                "features": features,
                "model": name,
                "parts": None if features == "text" else ["text_stats"],
                "family": FAMILIES[kind],
                "params": {"clip": "range"} if kind == "T(1) clipped" else {},
                "chosen": {"alpha": 100.0} if name == "Ridge" else {},
                "model_file": file,
            }
        )
    table = pd.DataFrame(metrics).sort_values("qwk", ascending=False, kind="stable")
    table.to_csv(paths.metrics, index=False)
    table.drop(columns=["r2_clipped", "mae_low"]).to_csv(paths.leaderboard, index=False)
    pd.DataFrame({"features": ["text_stats"], "item": ["n_words"], "eta": [0.1]}).to_csv(paths.items, index=False)
    write_json(paths.lines, [lines[i] for i in table.index])
    write_parquet(paths.predictions, pd.DataFrame(predictions))
    _write_curves(paths, pd.DataFrame(curves))


def _write_curves(paths: DatasetPaths, curves: pd.DataFrame) -> None:
    paths.curves.mkdir()
    # The ablation has no learning curve.
    curves[curves["model"].isin(["Ridge", "T(1)", "mean"])].to_csv(paths.curve("curves"), index=False)
    sides = [
        curves[curves["model"] == model].assign(side=side) for side, model in (("T-method", "T(1)"), ("no T", "Ridge"))
    ]
    pd.concat(sides)[["side", "n_train", "features", "model", "qwk", "qwk_low", "qwk_high"]].to_csv(
        paths.curve("sides"), index=False
    )
    write_json(paths.verdict, {"sentences": VERDICT})
    (paths.draws).mkdir()
    (paths.draws / "10.csv").write_text("not for MLflow\n")


def _write_report(paths: DatasetPaths) -> None:
    paths.robustness.mkdir()
    paths.robust("changes").write_text("side,features,model,change\n")
    paths.page.write_text("<!doctype html><title>report</title>")
    paths.summary.write_text("# Report\n")
    paths.figures.mkdir()
    (paths.figures / "curves.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


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
    log = cwd / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)],
            cwd=cwd,
            env=environment(**extra),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
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


def post(address: str, content: dict[str, Any]) -> Any:
    """Send JSON and return the answer's."""
    request = urllib.request.Request(
        address, data=json.dumps(content).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
