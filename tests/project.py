"""A small copy of the project in a directory of its own, and its command line."""

import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.__main__ import main

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
SHARED_REVIEWS = SHARED / "data/yelp_reviews_5k.parquet"

SMALL_SCORE = {
    "seed": 1,
    "n_resamples": 200,
    "feature_sets": {
        "text_stats": ["text_stats"],
        "embedding": ["embedding"],
        "attention_pooling+text_stats": ["attention_pooling", "text_stats"],
    },
    "models": ["T(1)", "Ta", "Ridge"],
    "baselines": ["mean", "TF-IDF + Ridge"],
}

SMALL_CURVES = {
    "seed": 1,
    "n_resamples": 200,
    "sizes": {10: 3, 20: 2},
    "feature_sets": ["text_stats", "attention_pooling+text_stats"],
    "sides": {
        "T-method": {"feature_sets": ["text_stats"], "models": ["T(1)", "Ta"]},
        "attention": {"feature_sets": ["attention_pooling+text_stats"], "models": ["Ridge"]},
    },
    "contrasts": [["T-method", "attention"]],
}
SMALL_ROBUSTNESS = {"seed": 1, "n_resamples": 200, "n_reviews": 10, "n_readings": 1}


def make_project(directory: Path, n_per_star: int = 12) -> Path:
    """Fill a directory with the project's configuration and some reviews of the sample."""
    shutil.copytree(ROOT / "conf", directory / "conf")
    for name, content in (("score", SMALL_SCORE), ("curves", SMALL_CURVES), ("robustness", SMALL_ROBUSTNESS)):
        (directory / f"conf/{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    lines = (ROOT / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
    random.Random(1).shuffle(lines)
    chosen = [
        line
        for star in range(1, 6)
        for line in [line for line in lines if json.loads(line)["stars"] == star][:n_per_star]
    ]
    sample = directory / "data/sample/reviews.jsonl"
    sample.parent.mkdir(parents=True)
    sample.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    return directory


def module_environment() -> dict[str, str]:
    """Return the environment in which ``python -m pipeline`` runs the code of the working directory in one process."""
    left = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MLFLOW_TRACKING_URI"}}
    return left | {"LOKY_MAX_CPU_COUNT": "1"}


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and return its exit code."""
    # MLflow leaves the store of an earlier test in the environment.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "argv", ["pipeline", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)
