"""The score stage: every feature set x model, fitted on all training reviews and scored on the held-out ones."""

import logging
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.digest import value_digest
from pipeline.experiment import workers
from pipeline.experiment.bounded import BoundedRegressor, known_words
from pipeline.experiment.engine import in_parallel
from pipeline.experiment.leaderboard import ScoredLine, describe, full_pieces, has_items, items_frame, score
from pipeline.experiment.line import Line
from pipeline.experiment.named import packages
from pipeline.experiment.pieces import run_context, run_pieces
from pipeline.experiment.refits import from_raw_text, refit
from pipeline.experiment.saved import load_transformers, save
from pipeline.experiment.strongest_words import words_frame
from pipeline.files import file_name, read_parquet, write_json, write_parquet
from pipeline.project.conf import FeatureConfig, ScoreConfig, feature_configs
from pipeline.project.language import dataset_score_config
from pipeline.project.paths import DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import write_table
from pipeline.scale import Scale

logger = logging.getLogger(__name__)


def run(dataset: str) -> dict[str, Any]:
    """Run the stage: fit and score all lines, write results and models; return the manifest."""
    paths = DatasetPaths(dataset)
    config = dataset_score_config(paths)
    scale = dataset_scale(paths)
    context = run_context(dataset)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    held_out = reviews.loc[reviews["split"] == "test", ["review_id", "stars"]].reset_index(drop=True)
    n_train = len(reviews) - len(held_out)
    results = run_pieces(context, full_pieces(config, n_train), "score")
    scored = score(results, held_out["stars"].to_numpy(), config, scale)

    best = _best_of_each_model(scored, config)
    with_items = [each.line for each in scored if has_items(each.line)]
    # Those that take longest first.
    seconds = {each.line: each.metrics["fit_seconds"] for each in scored}
    again = sorted(dict.fromkeys([*with_items, *best]), key=lambda line: -seconds[line])
    fitted = dict(in_parallel(partial(refit, context), again))
    items = items_frame({line: fitted[line] for line in with_items}, _item_names(paths, config))
    train = reviews[reviews["split"] == "train"]
    transformers = load_transformers(paths, config.parts)
    files = _save_models(paths, config, {line: fitted[line] for line in best}, scale, train, transformers)

    metrics = pd.DataFrame([{"dataset": dataset, **each.line._asdict(), **each.metrics} for each in scored])
    predictions = pd.DataFrame({str(each.line): each.predictions for each in scored})
    write_parquet(paths.predictions, pd.concat([held_out, predictions], axis=1))
    words = words_frame(transformers)
    for name, table in {"items": items, "words": words, "metrics": metrics, "leaderboard": metrics}.items():
        write_table(paths, name, table)
    configs = feature_configs()
    write_json(
        paths.lines,
        [
            {**describe(line, config, fitted.get(line), files.get(line)), "packages": _packages(line, config, configs)}
            for line in (each.line for each in scored)
        ],
    )
    first = scored[0]
    logger.info("%s: %d models scored; best %s, QWK %.3f", dataset, len(scored), first.line, first.metrics["qwk"])
    return {
        "config": config.model_dump(),
        "scale": scale.written,
        "n_train": n_train,
        "n_test": len(held_out),
        "models": sorted(files.values()),
    }


def _best_of_each_model(scored: list[ScoredLine], config: ScoreConfig) -> list[Line]:
    """Return the best line of each model, ablations aside."""
    best = {each.line.model: each.line for each in reversed(scored)}
    return [best[model] for model in (*config.models, *config.baselines)]


def _item_names(paths: DatasetPaths, config: ScoreConfig) -> dict[str, list[str]]:
    """Return the columns of each feature set, named by their feature where there are several."""
    columns = {part: list(read_parquet(paths.feature(part), made_by="features").columns[1:]) for part in config.parts}
    return {
        features: [f"{part}: {name}" if len(parts) > 1 else name for part in parts for name in columns[part]]
        for features, parts in config.feature_sets.items()
    }


def _packages(line: Line, config: ScoreConfig, configs: Mapping[str, FeatureConfig]) -> list[str]:
    """Return the packages of the user that a line needs, beside this project."""
    return packages([line.model, *(configs[part].transformer for part in config.feature_sets.get(line.features, []))])


def _save_models(
    paths: DatasetPaths,
    config: ScoreConfig,
    fitted: Mapping[Line, Any],
    scale: Scale,
    train: pd.DataFrame,
    transformers: Mapping[str, Any],
) -> dict[Line, str]:
    """Write the lines as models that predict from raw texts, within the scale; return the names of the files."""
    shutil.rmtree(paths.models, ignore_errors=True)
    # Names may differ in what a name of a file leaves out.
    files = {line: f"{file_name(str(line))}-{value_digest(line)[:6]}.skops" for line in fitted}
    mean, known = float(train["stars"].mean()), known_words(train["text"])
    models = [
        (
            (paths.models / files[line]).absolute(),
            BoundedRegressor.of_fitted(
                from_raw_text(estimator, config.feature_sets.get(line.features), transformers), scale, mean, known
            ),
        )
        for line, estimator in fitted.items()
    ]
    # Here and not on a cluster, whose nodes may see a new file late.
    for _ in workers.in_parallel(_save, models):
        pass
    return files


def _save(model: tuple[Path, Any]) -> None:
    save(*model)
