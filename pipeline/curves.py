"""The curves stage: every model on growing draws of training reviews, and what may be claimed from that."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.config import CurvesConfig, ScoreConfig, check_names, curves_config, score_config
from pipeline.contrasts import (
    Scores,
    Side,
    contrast_table,
    crossover_table,
    curve_table,
    resample_reviews,
    score_lines,
    side_of,
    side_table,
)
from pipeline.costs import cost_table
from pipeline.draws import draw_sizes
from pipeline.errors import PipelineError
from pipeline.fitting import RAW_TEXT
from pipeline.paths import CONF, DatasetPaths
from pipeline.score import full_tasks, origin_of
from pipeline.store import (
    file_digest,
    read_csv,
    read_json,
    read_manifest,
    read_parquet,
    write_csv,
    write_json,
    write_manifest,
)
from pipeline.tasks import Result, Task, run_tasks
from pipeline.verdict import SURE, three_sentences

logger = logging.getLogger(__name__)


def curve_tasks(config: CurvesConfig, score: ScoreConfig, n_train: int) -> list[Task]:
    """Return every draw x feature set below all training reviews; for all of them, the tasks of the leaderboard.

    Such a task may hold an ablation, too, that reads the same classifier; see `by_size`.
    """
    models = {features: tuple(score.models) for features in config.feature_sets}
    if score.baselines:
        models[RAW_TEXT] = tuple(score.baselines)
    drawn = [
        Task(features, names, n, repeat)
        for n, repeats in draw_sizes(config.sizes, n_train).items()
        for features, names in models.items()
        for repeat in range(repeats)
        if n < n_train
    ]
    full = [task for task in full_tasks(score, n_train) if set(task.models) & set(models.get(task.features, ()))]
    return drawn + full


def by_size(results: Sequence[Result], score: ScoreConfig) -> dict[int, dict[tuple[str, str], list[Result]]]:
    """Return the results of each line at each size, draw by draw; a line that refused a draw is left out there."""
    sizes: dict[int, dict[tuple[str, str], list[Result]]] = defaultdict(lambda: defaultdict(list))
    refused: dict[tuple[int, str, str], str] = {}
    for result in sorted(results, key=lambda each: (each.task.n_train, each.task.repeat)):
        for model in result.task.models:
            if model not in (*score.models, *score.baselines):
                continue
            sizes[result.task.n_train][result.task.features, model].append(result)
        refused |= {(result.task.n_train, result.task.features, name): why for name, why in result.refused.items()}
    for (n_train, features, model), why in refused.items():
        if sizes[n_train].pop((features, model), None):
            logger.warning("left out with %d training reviews: %s", n_train, why)
    return {n_train: dict(lines) for n_train, lines in sizes.items()}


def predictions_of(lines: dict[tuple[str, str], list[Result]]) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """Return the predictions of lines at one size, of shape (n_draws, n_test)."""
    return {
        (features, model): np.stack([result.predictions[model].to_numpy(dtype=np.float64) for result in results])
        for (features, model), results in lines.items()
    }


def seconds_of(lines: dict[tuple[str, str], list[Result]]) -> pd.Series:
    """Return the median seconds of fit of lines at one size."""
    return pd.Series(
        {
            (features, model): float(np.median([result.figures["fit_seconds"][model] for result in results]))
            for (features, model), results in lines.items()
        }
    )


def make_sides(config: CurvesConfig, scores: dict[int, Scores]) -> dict[str, dict[int, Side]]:
    """Return every side at every size.

    Raises
    ------
    PipelineError
        If none of the lines of a side was fitted at some size.
    """
    sides: dict[str, dict[int, Side]] = {}
    for name, side in config.sides.items():
        lines = [(features, model) for features in side.feature_sets for model in side.models]
        try:
            sides[name] = {n_train: side_of(of_size, lines) for n_train, of_size in scores.items()}
        except ValueError as error:
            raise PipelineError(f"{CONF / 'curves.yaml'}: side {name}: {error}") from None
    return sides


def check(config: CurvesConfig, score: ScoreConfig) -> None:
    """Stop before any work if conf/curves.yaml names what is not on the leaderboard.

    Raises
    ------
    PipelineError
        It lists the known names.
    """
    where = str(CONF / "curves.yaml")
    check_names(config.feature_sets, list(score.feature_sets), "feature set", where)
    for name, side in config.sides.items():
        check_names(side.feature_sets, config.feature_sets, f"feature set of side {name}", where)
        check_names(side.models, score.models, f"model of side {name}", where)
    for pair in config.contrasts:
        check_names(pair, list(config.sides), "side", where)
    n_tests = len(config.contrasts) * (len(config.sizes) + 1)
    if n_tests * 2 / (1 + config.n_resamples) >= SURE:
        raise PipelineError(
            f"{where}: n_resamples: {n_tests} p-values adjusted by Holm cannot fall below {SURE} with "
            f"{config.n_resamples} resamples: take {int(n_tests * 2 / SURE)} or more"
        )


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
