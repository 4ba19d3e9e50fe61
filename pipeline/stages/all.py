"""What a call of make still has to do, and about how long that takes: for the one progress bar."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.experiment.curves import curve_tasks
from pipeline.experiment.leaderboard import full_tasks
from pipeline.experiment.pieces import seconds
from pipeline.files import MANIFEST, read_manifest
from pipeline.progress import one_bar_for_all, started
from pipeline.project.conf import curves_config, score_config
from pipeline.project.paths import DatasetPaths


def expected_seconds(dataset: str) -> dict[str, float]:
    """Return about how many seconds each stage takes for prepared reviews, in the order of the stages.

    They were measured on two cores. Their proportions matter: the time left is corrected by the speed that is seen.
    """
    kept = read_manifest(DatasetPaths(dataset).prepared).get("kept", {})
    n_train, n_test = kept.get("train", 0), kept.get("test", 0)
    config = score_config()
    full = full_tasks(config, n_train)
    drawn = [task for task in curve_tasks(curves_config(), config, n_train) if task.n_train < n_train]
    return {
        "features": 10 + 0.020 * (n_train + n_test) + 0.006 * n_train,
        "score": 20 + seconds(full),
        "curves": 15 + seconds(drawn),
        "robustness": 60,
        "report": 10,
        "log": 20 + 0.1 * len([name for task in full for name in task.models]),
    }


@contextmanager
def shown(stage: str, dataset: str) -> Iterator[None]:
    """Show how far the whole is, if make runs all stages; else a stage shows its own bars."""
    begin = started()
    if begin is None:
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
