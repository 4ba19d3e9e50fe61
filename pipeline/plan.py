"""What a call of make still has to do, and about how long that takes: for the one progress bar."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from pipeline.config import curves_config, score_config
from pipeline.curves import curve_tasks
from pipeline.paths import DatasetPaths
from pipeline.progress import one_bar_for_all, started
from pipeline.score import full_tasks
from pipeline.store import MANIFEST, read_manifest
from pipeline.tasks import Task

# On two cores; only their proportions matter, since the bar corrects itself by the speed that it sees.
ENCODE, LEARN = 0.020, 0.030  # a review; a training review, for all features that learn


def expected_seconds(dataset: str) -> dict[str, float]:
    """Return about how many seconds each stage takes for prepared reviews, in the order of the stages."""
    kept = read_manifest(DatasetPaths(dataset).prepared).get("kept", {})
    n_train, n_test = kept.get("train", 0), kept.get("test", 0)
    config = score_config()
    full = full_tasks(config, n_train)
    drawn = [task for task in curve_tasks(curves_config(), config, n_train) if task.n_train < n_train]
    n_lines = sum(len(task.models) for task in full)
    return {
        "features": 15 + features_seconds(n_train, n_test),
        "score": 15 + tasks_seconds(full) * 1.1,
        "curves": 15 + tasks_seconds(drawn),
        "robustness": 40,
        "report": 15,
        "log": 15 + 0.15 * n_lines,
    }


def features_seconds(n_train: int, n_test: int) -> float:
    """Return about how long the features take."""
    return ENCODE * (n_train + n_test) + LEARN * n_train


def tasks_seconds(tasks: list[Task]) -> float:
    """Return about how long tasks take on the cores that there are."""
    return sum(task.cost for task in tasks) / joblib.cpu_count()


@contextmanager
def shown(stage: str, dataset: str) -> Iterator[None]:
    """Show how far the whole is, if make runs all stages; else a stage shows its own bars."""
    begin = started()
    if begin is None or stage == "prepare":
        yield
        return
    expected, paths = expected_seconds(dataset), DatasetPaths(dataset)
    done = {
        "features": paths.features / MANIFEST,
        "score": paths.reports / MANIFEST,
        "curves": paths.curves / MANIFEST,
        "robustness": paths.robustness / MANIFEST,
        "report": paths.page,
    }
    names = list(expected)
    ran = [
        name
        for name in names[: names.index(stage)]
        if done[name].exists() and os.path.getmtime(done[name]) >= begin  # noqa: PTH204
    ]
    with one_bar_for_all(stage, {name: expected[name] for name in [*ran, *names[names.index(stage) :]]}, ran):
        yield
