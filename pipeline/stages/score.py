"""The score stage: every feature set x model, fitted on all training reviews and scored on the held-out ones."""

import logging
import shutil

import pandas as pd
import skops.io

from pipeline.digest import file_digest
from pipeline.experiment.fitting import RAW_TEXT
from pipeline.experiment.leaderboard import (
    LEADERBOARD_COLUMNS,
    describe,
    from_raw_text,
    full_tasks,
    has_items,
    item_table,
    refit,
    score,
)
from pipeline.experiment.pieces import load_material, origin_of, run_tasks
from pipeline.experiment.saved import load_transformer
from pipeline.files import (
    atomic_path,
    file_name,
    read_parquet,
    write_csv,
    write_json,
    write_manifest,
    write_parquet,
)
from pipeline.project.conf import score_config
from pipeline.project.paths import DatasetPaths

logger = logging.getLogger(__name__)


def run(dataset: str) -> None:
    """Run the stage: fit and score all lines, write the results and the best line of each model."""
    paths, config = DatasetPaths(dataset), score_config()
    origin = origin_of(dataset)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    held_out = reviews.loc[reviews["split"] == "test", ["review_id", "stars"]].reset_index(drop=True)
    results = run_tasks(origin, full_tasks(config, len(reviews) - len(held_out)), "score")
    scored = score(results, held_out["stars"].to_numpy(), config)

    material = load_material(dataset, origin.root, origin.made_from)
    names = {part: list(read_parquet(paths.feature(part), made_by="features").columns[1:]) for part in material.tables}
    items = {
        features: [f"{part}: {name}" if len(parts) > 1 else name for part in parts for name in names[part]]
        for features, parts in config.feature_sets.items()
    }
    with_items = [line for line in scored if line.features != RAW_TEXT and has_items(line.model)]
    # The lines are sorted, so the first of a model is its best.
    main = {*config.models, *config.baselines}
    best = list({line.model: line for line in reversed(scored) if line.model in main}.values())
    # Those that take longest first.
    again = sorted(
        {line.name: line for line in (*with_items, *best)}.values(), key=lambda line: -line.metrics["fit_seconds"]
    )
    fitted = {f"{features} / {model}": estimator for (features, model), estimator in refit(origin, again).items()}
    transformers = {part: load_transformer(paths, part) for part in material.tables}
    shutil.rmtree(paths.models, ignore_errors=True)
    files = {line.name: f"{file_name(line.name)}.skops" for line in best}
    for line in best:
        pipeline = from_raw_text(fitted[line.name], config.feature_sets.get(line.features), transformers)
        with atomic_path(paths.models / files[line.name]) as temporary:
            skops.io.dump(pipeline, temporary)

    metrics = pd.DataFrame(
        [{"dataset": dataset, "features": line.features, "model": line.model, **line.metrics} for line in scored]
    )
    predictions = pd.concat([held_out, pd.DataFrame({line.name: line.predictions for line in scored})], axis=1)
    write_parquet(paths.predictions, predictions)
    write_csv(paths.items, item_table([(line, fitted[line.name]) for line in with_items], items))
    write_csv(paths.metrics, metrics)
    write_csv(paths.leaderboard, metrics[LEADERBOARD_COLUMNS])
    write_json(paths.lines, [describe(line, config, files.get(line.name), fitted.get(line.name)) for line in scored])
    write_manifest(
        paths.reports,
        {
            "stage": "score",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": {
                str(path): file_digest(path) for path in (paths.reviews, *(paths.feature(part) for part in names))
            },
            "n_train": material.n_train,
            "n_test": len(held_out),
        },
    )
    first = scored[0]
    logger.info("%s: %d models scored; best %s, QWK %.3f", dataset, len(scored), first.name, first.metrics["qwk"])
