"""The robustness stage: the best line of each side on changed texts, on other data, on slices, and its costs."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.deal import stratified
from pipeline.errors import PipelineError
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.perturbations import change_all, changes_in
from pipeline.evaluation.word_contributions import WordContributions, word_contributions_of_texts
from pipeline.experiment import robustness
from pipeline.experiment.bounded import BoundedRegressor, holds_known_word, known_words
from pipeline.experiment.engine import spread
from pipeline.experiment.know_how import foreign_sample
from pipeline.experiment.line import Line
from pipeline.experiment.models import MODELS, check_models
from pipeline.experiment.pieces import RunContext, run_context
from pipeline.experiment.readings import chosen_reviews, readings_frame
from pipeline.experiment.refits import Array, Reader, from_raw_text, predict_trained_on, refit
from pipeline.experiment.saved import load_transformers
from pipeline.experiment.transformers import make_transformer, without_warning_of_sentiment
from pipeline.files import read_json, read_parquet
from pipeline.progress import progress_bar
from pipeline.project.conf import check_names, feature_configs, robustness_config
from pipeline.project.language import dataset_language, dataset_sample, dataset_score_config
from pipeline.project.paths import DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import read_table, table_path, write_table
from pipeline.scale import FIVE_STARS, Scale

logger = logging.getLogger(__name__)


def run(dataset: str) -> dict[str, Any]:
    """Run the stage: change, transfer, slice, calibrate, and count the costs; return the manifest."""
    paths, config = DatasetPaths(dataset), robustness_config()
    parts = dataset_score_config(paths).feature_sets
    sides = _read_sides(paths, parts)
    pair = _first_pair(paths, sides)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    held_out = reviews[reviews["split"] == "test"].reset_index(drop=True)
    predictions = _read_predictions(paths, held_out, sides)
    costs, scale, language = _costs(paths, parts), dataset_scale(paths), dataset_language(paths)
    changes = changes_in(language)
    context = run_context(dataset)
    taken = stratified(held_out["stars"], min(config.n_reviews, len(held_out)), np.random.default_rng(config.seed))
    some = held_out[taken]

    with progress_bar(len(changes) + 3, "robustness", "step") as bar:
        reader = _read_again(context, paths, sides, parts)
        bar.update()
        tables_of_test = {
            part: context.material().tables[part][~context.material().is_train] for part in reader.transformers
        }
        found: dict[str, dict[Line, Array]] = {}
        for change, predicted in spread(
            partial(_predict_changed, reader, some["text"].tolist(), config.seed, language), changes
        ):
            found[change] = predicted
            bar.update()
        unchanged = reader.predict({part: table[taken] for part, table in tables_of_test.items()})
        changed = {"none": unchanged, **{change: found[change] for change in changes}}
        transfers = _transfers(dataset, reader, foreign_sample(dataset, reviews), some, scale)
        bar.update()
        readings = _readings(pair, reader, reviews, predictions, scale, config.n_readings)
        bar.update()

    spreads, bins = robustness.calibration_frames(
        robustness.calibrated_lines(sides, predictions), held_out["stars"], predictions, scale
    )
    tables = {
        "changes": robustness.changes_frame(sides, some["stars"], changed, config, scale),
        "transfer": robustness.transfer_frame(sides, transfers, config),
        "slices": robustness.slices_frame(sides, held_out, predictions, config, scale),
        "calibration": spreads,
        "calibration_bins": bins,
        "costs": costs,
        "readings": readings,
    }
    for name, table in tables.items():
        write_table(paths, name, table)
    worst = tables["changes"].sort_values("difference", kind="stable").iloc[0]
    logger.info("%s: %s minds %s most, QWK %+.3f", dataset, worst["side"], worst["change"], worst["difference"])
    return {"config": config.model_dump(), "n_reviews": len(some)}


def _predict_changed(
    reader: Reader, texts: list[str], seed: int, language: str | None, change: str
) -> tuple[str, dict[Line, Array]]:
    return change, reader.predict_texts(change_all(texts, change, seed, language))


def _read_again(
    context: RunContext, paths: DatasetPaths, sides: Mapping[str, Line], parts: Mapping[str, list[str]]
) -> Reader:
    """Return the lines of the sides, fitted on all training reviews, with the transformers below them."""
    used = sorted({part for line in sides.values() for part in parts[line.features]})
    transformers = load_transformers(paths, used)
    return Reader(parts, transformers, dict(spread(partial(refit, context), list(dict.fromkeys(sides.values())))))


def _transfers(
    dataset: str, reader: Reader, sample: pd.DataFrame | None, held_out: pd.DataFrame, scale: Scale
) -> dict[tuple[str, str], tuple[pd.Series, dict[Line, Array], Scale]]:
    """Return stars and predictions by what the lines are trained on and tested on: this dataset and the sample.

    Predictions are converted to the scale of the reviews that they are tested on.
    """
    if sample is None:
        return {}
    configs, name = feature_configs(), dataset_sample(DatasetPaths(dataset))
    unfitted = {part: make_transformer(part, configs[part], FIVE_STARS) for part in reader.transformers}
    there = reader.predict_texts(sample["text"].tolist())
    back = predict_trained_on(sample, held_out, reader.estimators, reader.parts, unfitted)
    return {
        (dataset, name): (sample["stars"], _converted(there, scale, FIVE_STARS), FIVE_STARS),
        (name, dataset): (held_out["stars"], _converted(back, FIVE_STARS, scale), scale),
    }


def _readings(
    pair: Mapping[str, Line],
    reader: Reader,
    reviews: pd.DataFrame,
    predictions: Mapping[Line, Array],
    scale: Scale,
    n: int,
) -> pd.DataFrame:
    """Return some held-out reviews as both sides read them, word by word."""
    train, held_out = (reviews[reviews["split"] == split] for split in ("train", "test"))
    mean, known = float(train["stars"].mean()), known_words(train["text"])
    # Of a text without a known word, both sides say the mean.
    is_read = held_out["text"].map(partial(holds_known_word, known=known)).to_numpy(dtype=bool)
    held_out = held_out[is_read]
    chosen = chosen_reviews(held_out, {side: predictions[line][is_read] for side, line in pair.items()}, scale)[:n]
    shown = held_out.iloc[[row for _, row in chosen]]
    models = {
        line: BoundedRegressor.of_fitted(
            from_raw_text(reader.estimators[line], reader.parts[line.features], reader.transformers), scale, mean, known
        )
        for line in pair.values()
    }
    read = dict(spread(partial(_read_words, models, shown["text"].tolist()), list(models)))
    return readings_frame(pair, chosen, shown["review_id"].tolist(), read)


def _read_words(
    models: Mapping[Line, BoundedRegressor], texts: list[str], line: Line
) -> tuple[Line, list[WordContributions]]:
    with without_warning_of_sentiment():
        return line, word_contributions_of_texts(models[line].predict, texts)


def _converted(predictions: Mapping[Line, Array], scale: Scale, to: Scale) -> dict[Line, Array]:
    return {line: scale.convert(values, to) for line, values in predictions.items()}


def _read_sides(paths: DatasetPaths, parts: Mapping[str, list[str]]) -> dict[str, Line]:
    sides, where = robustness.last_lines(read_table(paths, "sides")), str(table_path(paths, "sides"))
    check_names([line.features for line in sides.values()], list(parts), "feature set", where)
    check_models([line.model for line in sides.values()], MODELS, "model", where)
    return sides


def _first_pair(paths: DatasetPaths, sides: Mapping[str, Line]) -> dict[str, Line]:
    """Return the two sides of the first contrast, which the question is about."""
    a, b = read_table(paths, "contrasts")[["a", "b"]].iloc[0]
    check_names([a, b], list(sides), "side", str(table_path(paths, "contrasts")))
    return {side: sides[side] for side in (a, b)}


def _costs(paths: DatasetPaths, parts: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return the costs of the lines that have a learning curve."""
    curves = read_table(paths, "curves")
    known = read_table(paths, "metrics").merge(curves[["features", "model"]].drop_duplicates())
    costs = read_json(paths.feature_costs)
    for part in (part for features in known["features"].unique() for part in parts.get(features, [])):
        if part not in costs:
            raise PipelineError(f"{paths.feature_costs} does not know {part!r}: run the features stage again")
    return cost_table(known, parts, costs)


def _read_predictions(paths: DatasetPaths, held_out: pd.DataFrame, sides: Mapping[str, Line]) -> dict[Line, Array]:
    """Return what each line has predicted for the held-out reviews."""
    path = paths.predictions
    table = read_parquet(path, made_by="score")
    if table["review_id"].tolist() != held_out["review_id"].tolist():
        raise PipelineError(f"{path} is of other reviews: run the score stage again")
    for line in sides.values():
        if str(line) not in table:
            raise PipelineError(f"{path} lacks {line}: run the score and curves stages again")
    return {Line.parse(name): table[name].to_numpy() for name in table.columns[2:]}
