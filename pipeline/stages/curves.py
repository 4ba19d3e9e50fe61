"""The curves stage: every model on growing draws of training reviews, and what may be claimed from that."""

import logging
import time

from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.sides import resample_reviews, score_lines
from pipeline.evaluation.verdict import three_sentences
from pipeline.experiment.curves import (
    by_size,
    check,
    contrast_table,
    crossover_table,
    curve_table,
    curve_tasks,
    make_sides,
    predictions_of,
    seconds_of,
    side_table,
)
from pipeline.experiment.leaderboard import full_tasks
from pipeline.experiment.pieces import origin_of, run_tasks
from pipeline.files import read_csv, read_json, read_manifest, read_parquet, write_csv, write_json, write_manifest
from pipeline.project.conf import curves_config, score_config
from pipeline.project.paths import DatasetPaths

logger = logging.getLogger(__name__)


def run(dataset: str) -> None:
    """Run the stage: fit all draws that are not done yet, write the tables and the verdict."""
    started = time.monotonic()
    paths, config, score = DatasetPaths(dataset), curves_config(), score_config()
    check(config, score)
    if "config" not in read_manifest(paths.reports):
        raise PipelineError(f"{paths.reports} holds no complete score: run the score stage first")
    origin = origin_of(dataset)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    is_test = reviews["split"] == "test"
    stars = reviews.loc[is_test, "stars"].to_numpy()
    todo = curve_tasks(config, score, int((~is_test).sum()))
    sizes = by_size(run_tasks(origin, todo, "learning curves"), score)
    forget(paths, {origin.path(task) for task in (*todo, *full_tasks(score, int((~is_test).sum())))})

    resamples = resample_reviews(stars, config.n_resamples, config.seed)
    scores = {n_train: score_lines(stars, predictions_of(lines), resamples) for n_train, lines in sizes.items()}
    sides = make_sides(config, scores)
    curves = curve_table(scores, {n_train: seconds_of(lines) for n_train, lines in sizes.items()})
    tables = {
        "curves": curves,
        "sides": side_table(sides),
        "contrasts": contrast_table(sides, config.contrasts),
        "crossovers": crossover_table(sides, config.contrasts),
    }
    for name, table in tables.items():
        write_csv(paths.curve(name), table)
    metrics = read_csv(paths.metrics, ["features", "model", "fit_seconds"], "score")
    costs = cost_table(metrics, score.feature_sets, read_json(paths.feature_costs)).set_index(["features", "model"])
    seconds = {name: costs["total_seconds"][of_size[max(of_size)].line] for name, of_size in sides.items()}
    sentences = three_sentences(tables["sides"], tables["contrasts"], tables["crossovers"], len(stars), seconds)
    write_json(paths.verdict, {"sentences": sentences})
    write_manifest(
        paths.curves,
        {
            "stage": "curves",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": {str(paths.reviews): file_digest(paths.reviews)},
            "n_draws": len({(task.n_train, task.repeat) for task in todo}),
            "seconds": round(time.monotonic() - started, 1),
        },
    )
    for sentence in sentences:
        logger.info("%s", sentence)


def forget(paths: DatasetPaths, needed: set[object]) -> None:
    """Remove the results of earlier settings."""
    for path in set(paths.draws.glob("*.parquet")) - needed:
        path.unlink()
