"""All stages in their order, each where something that it depends on has changed."""

import logging
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pipeline.experiment.workers import kept
from pipeline.files import MANIFEST, read_manifest
from pipeline.progress import overall_progress
from pipeline.project.conf import curves_config
from pipeline.project.fingerprint import STAGES, is_stale, mark_stale, stage_digests, write_stage_manifest
from pipeline.project.language import dataset_score_config
from pipeline.project.lock import alone
from pipeline.project.paths import DatasetPaths

logger = logging.getLogger(__name__)


def run(dataset: str, options: Mapping[str, Any], until: str = STAGES[-1]) -> None:
    """Run the stages up to one of them, and leave out what is up to date.

    Another process that works on the dataset comes to its end first.

    Parameters
    ----------
    dataset : str
    options : mapping
        Of the prepare stage.
    until : str
    """
    with alone(DatasetPaths(dataset).lock, dataset, f"all stages up to {until}"):
        _run_stale(dataset, options, until)


def run_stage(stage: str, dataset: str, options: Mapping[str, Any] | None = None) -> None:
    """Run one stage, whether or not anything has changed, and write its manifest.

    Another process that works on the dataset comes to its end first.
    """
    with alone(DatasetPaths(dataset).lock, dataset, f"the stage {stage}"), kept():
        _run_stage(stage, dataset, options or {})


def _run_stale(dataset: str, options: Mapping[str, Any], until: str) -> None:
    started = time.time()
    stages = STAGES[: STAGES.index(until) + 1]
    first = next((i for i, stage in enumerate(stages) if _is_stale(stage, dataset, options)), None)
    if first is None:
        logger.info("%s: up to date, nothing to do", dataset)
        return
    if first == 0:
        _run_stage("prepare", dataset, options)
    waiting = stages[max(first, 1) :]
    if not waiting:
        return
    expected = _expected_seconds(dataset)
    with overall_progress({stage: expected[stage] for stage in waiting}, started) as overall, kept():
        for stage in waiting:
            if _is_stale(stage, dataset, options):
                with overall.stage(stage):
                    if stage == "curves" and "report" in stages:
                        _write_first_page(dataset)
                    _run_stage(stage, dataset, {})
            else:
                overall.skip_stage(stage)
                logger.info("%s: up to date", stage)


def _run_stage(stage: str, dataset: str, options: Mapping[str, Any]) -> None:
    paths = DatasetPaths(dataset)
    now = stage_digests(stage, paths, options)
    mark_stale(stage, paths)
    facts = import_module(f"pipeline.stages.{stage}").run(dataset, **options)
    write_stage_manifest(stage, paths, facts, now)


def _write_first_page(dataset: str) -> None:
    """Show what the score stage has found, unless the page does so already."""
    paths = DatasetPaths(dataset)
    if not paths.page.exists() or paths.page.stat().st_mtime_ns < (paths.reports / MANIFEST).stat().st_mtime_ns:
        report = import_module("pipeline.stages.report")
        report.run_early(dataset)


def _is_stale(stage: str, dataset: str, options: Mapping[str, Any]) -> bool:
    paths = DatasetPaths(dataset)
    return is_stale(stage, paths, stage_digests(stage, paths, options if stage == "prepare" else {}))


def _expected_seconds(dataset: str) -> dict[str, dict[str, float]]:
    """Return about how many seconds the bars of each stage take for prepared reviews, and the rest of the stage.

    They were measured on two cores. Their proportions matter: the time left is corrected by the speed that is seen.
    """
    from pipeline.experiment.curves import check_curves, curve_pieces
    from pipeline.experiment.leaderboard import full_pieces
    from pipeline.experiment.pieces import check_score, seconds

    reviews = read_manifest(DatasetPaths(dataset).prepared).get("kept", {})
    n_train, n = reviews.get("train", 0), sum(reviews.values())
    config, curves = dataset_score_config(DatasetPaths(dataset)), curves_config()
    check_score(config)
    check_curves(curves, config)
    full = full_pieces(config, n_train)
    drawn = [piece for piece in curve_pieces(curves, config, n_train) if piece.n_train < n_train]
    return {
        "features": {"rest": 5 + 0.004 * n_train, "encode": 0.007 * n, "text statistics": 0.001 * n},
        "score": {"rest": 8 + 0.006 * n_train, "score": seconds(full)},
        "curves": {"rest": 6, "learning curves": seconds(drawn)},
        "robustness": {"rest": 3 + 0.004 * n_train, "robustness": 12},
        "report": {"rest": 2},
        "log": {"rest": 4, "log to MLflow": 0.03 * sum(len(piece.models) for piece in full)},
    }
