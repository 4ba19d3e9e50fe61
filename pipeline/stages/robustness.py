"""The robustness stage: the best line of each side on changed texts, on other data, on slices, and what it costs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.deal import stratified
from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.perturbations import CHANGES, change_all
from pipeline.experiment.models import MODELS
from pipeline.experiment.refits import Refitted, refit, train_elsewhere
from pipeline.experiment.robustness import (
    Array,
    Line,
    calibrated_lines,
    calibration_tables,
    change_table,
    last_lines,
    slice_table,
    transfer_table,
)
from pipeline.experiment.saved import load_transformer
from pipeline.experiment.transformers import digests, make_transformer
from pipeline.files import read_csv, read_json, read_made_from, read_parquet, write_csv, write_manifest
from pipeline.progress import progress_bar
from pipeline.project.conf import check_names, feature_configs, robustness_config, score_config
from pipeline.project.paths import SAMPLE, DatasetPaths
from pipeline.stages.prepare import MIN_REVIEWS, check
from pipeline.stages.sources import read_file

logger = logging.getLogger(__name__)


def foreign_sample(dataset: str, reviews: pd.DataFrame) -> pd.DataFrame | None:
    """Return the sample's reviews that this dataset does not hold, or None where it is the sample, or holds most."""
    sample, _ = check(read_file(SAMPLE), str(SAMPLE))
    foreign = sample[~sample["text"].isin(reviews["text"])].reset_index(drop=True)
    return None if dataset == "sample" or len(foreign) < MIN_REVIEWS else foreign


def run(dataset: str) -> None:
    """Run the stage: change, transfer, slice, calibrate, and count the costs; one table each."""
    paths, config, parts = DatasetPaths(dataset), robustness_config(), score_config().feature_sets
    sides = _read_sides(paths.curve("sides"), parts)
    used = sorted({part for features, _ in sides.values() for part in parts[features]})
    reviews = read_parquet(paths.reviews, made_by="prepare")
    columns = _read_columns(paths, used)
    is_train = (reviews["split"] == "train").to_numpy()
    held_out = reviews[~is_train].reset_index(drop=True)
    predictions = _read_predictions(paths.predictions, held_out, sides)
    costs = _costs(paths, parts)
    taken = stratified(held_out["stars"], min(config.n_reviews, len(held_out)), np.random.default_rng(config.seed))
    some = held_out[taken]

    with progress_bar(len(CHANGES) + 3, "robustness", "step", seconds=15) as bar:
        transformers = {part: load_transformer(paths, part) for part in used}
        training = {part: own[is_train] for part, own in columns.items()}
        refitted = refit(list(sides.values()), parts, transformers, training, reviews["stars"][is_train])
        bar.update()
        changed = {"none": refitted.predict({part: own[~is_train][taken] for part, own in columns.items()})}
        for change in CHANGES:
            changed[change] = refitted.predict_texts(change_all(some["text"].tolist(), change, config.seed))
            bar.update()
        sample = foreign_sample(dataset, reviews)
        transfers = {} if sample is None else _transfers(dataset, refitted, sample, some)
        bar.update()
        spreads, bins = calibration_tables(calibrated_lines(sides, predictions), held_out["stars"], predictions)
        tables = {
            "changes": change_table(sides, some["stars"], changed, config),
            "transfer": transfer_table(sides, transfers, config),
            "slices": slice_table(sides, held_out, predictions, config),
            "calibration": spreads,
            "calibration_bins": bins,
            "costs": costs,
        }
        bar.update()

    for name, table in tables.items():
        write_csv(paths.robust(name), table)
    inputs = [paths.reviews, paths.predictions, paths.curve("sides"), *(paths.feature(part) for part in used)]
    write_manifest(
        paths.robustness,
        {
            "stage": "robustness",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": {str(path): file_digest(path) for path in inputs},
            "n_reviews": len(some),
        },
    )
    worst = tables["changes"].sort_values("difference", kind="stable").iloc[0]
    logger.info("%s: %s minds %s most, QWK %+.3f", dataset, worst["side"], worst["change"], worst["difference"])


def _transfers(
    dataset: str, refitted: Refitted, sample: pd.DataFrame, held_out: pd.DataFrame
) -> dict[tuple[str, str], tuple[pd.Series, dict[Line, Array]]]:
    """Return stars and predictions by what the lines are trained on and tested on: this dataset and the sample."""
    configs = feature_configs()
    unfitted = {part: make_transformer(part, configs[part]) for part in refitted.transformers}
    to_sample = refitted.predict_texts(sample["text"].tolist())
    from_sample = train_elsewhere(list(refitted.estimators), refitted.parts, unfitted, sample, held_out)
    return {
        (dataset, "sample"): (sample["stars"], to_sample),
        ("sample", dataset): (held_out["stars"], from_sample),
    }


def _read_sides(path: Path, parts: Mapping[str, list[str]]) -> dict[str, Line]:
    sides = last_lines(read_csv(path, ["side", "n_train", "features", "model"], "curves"))
    check_names([features for features, _ in sides.values()], list(parts), "feature set", str(path))
    check_names([model for _, model in sides.values()], list(MODELS), "model", str(path))
    return sides


def _costs(paths: DatasetPaths, parts: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return the costs of the lines that have a learning curve."""
    curves = read_csv(paths.curve("curves"), ["features", "model"], "curves")
    metrics = read_csv(paths.metrics, ["features", "model", "fit_seconds", "predict_seconds", "qwk"], "score")
    known = metrics.merge(curves[["features", "model"]].drop_duplicates())
    costs = read_json(paths.feature_costs)
    for part in (part for features in known["features"].unique() for part in parts.get(features, [])):
        if part not in costs:
            raise PipelineError(f"{paths.feature_costs} does not know {part!r}: run the features stage again")
    return cost_table(known, parts, costs)


def _read_columns(paths: DatasetPaths, parts: list[str]) -> dict[str, npt.NDArray[Any]]:
    made_from = digests(feature_configs(), paths.reviews)
    columns = {}
    for part in parts:
        table = read_parquet(paths.feature(part), made_by="features")
        if read_made_from(paths.feature(part)) != made_from.get(part):
            raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")
        columns[part] = table.drop(columns="review_id").to_numpy()
    return columns


def _read_predictions(path: Path, held_out: pd.DataFrame, sides: Mapping[str, Line]) -> dict[Line, Array]:
    """Return what each line has predicted for the held-out reviews."""
    table = read_parquet(path, made_by="score")
    if table["review_id"].tolist() != held_out["review_id"].tolist():
        raise PipelineError(f"{path} is of other reviews: run the score stage again")
    for features, model in sides.values():
        if f"{features} / {model}" not in table:
            raise PipelineError(f"{path} lacks {features} / {model}: run the score and curves stages again")
    names = {name: tuple(name.rsplit(" / ", 1)) for name in table.columns[2:]}
    return {(features, model): table[name].to_numpy() for name, (features, model) in names.items()}
