"""The curves stage: every model on growing draws of training reviews, and what may be claimed from that."""

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.sides import Side
from pipeline.evaluation.verdict import know_how_sentence, others_sentence, three_sentences
from pipeline.experiment import curves
from pipeline.experiment.know_how import foreign_sample, make_know_how
from pipeline.experiment.leaderboard import full_pieces
from pipeline.experiment.line import Line
from pipeline.experiment.pieces import Piece, PieceResult, RunContext, held_out_rows, run_context, run_pieces
from pipeline.experiment.transformers import make_transformers
from pipeline.files import read_json, read_manifest, read_parquet, write_json
from pipeline.project.conf import CurvesConfig, curves_config, feature_configs
from pipeline.project.language import dataset_score_config
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import read_table, write_table
from pipeline.scale import FIVE_STARS

logger = logging.getLogger(__name__)


def run(dataset: str) -> dict[str, Any]:
    """Run the stage: fit all draws that are not done yet, write the tables and the verdict; return the manifest."""
    started = time.monotonic()
    paths, config = DatasetPaths(dataset), curves_config()
    score = dataset_score_config(paths)
    curves.check_curves(config, score)
    if "config" not in read_manifest(paths.reports):
        raise PipelineError(f"{paths.reports} holds no complete score: run the score stage first")
    context = run_context(dataset)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    is_test = reviews["split"] == "test"
    stars, n_train, n_test = reviews.loc[is_test, "stars"].to_numpy(), int((~is_test).sum()), int(is_test.sum())
    held_out = held_out_rows(stars, curves.n_held_out(config, n_test), context.seed)
    stars = stars[held_out]
    if len(stars) < n_test:
        logger.info("%s: the curves are measured on %d of %d held-out reviews", dataset, len(stars), n_test)
    context, known_pieces = _with_know_how(context, reviews, config, n_train)
    pieces = [*curves.curve_pieces(config, score, n_train, n_test), *known_pieces]
    # What a stopped run has left may come from another sample or other code.
    shutil.rmtree(paths.shared, ignore_errors=True)
    results = run_pieces(context, pieces, "learning curves")
    plain = [result for result in results if not result.piece.know_how]
    sizes = curves.by_size(plain, curves.curve_models(config, score))
    shutil.rmtree(paths.shared, ignore_errors=True)
    needed = {context.path(piece) for piece in (*pieces, *full_pieces(score, n_train))}
    for path_of_earlier_settings in set(paths.draws.glob("*.parquet")) - needed:
        path_of_earlier_settings.unlink()

    scale = dataset_scale(paths)

    def scored(of_sizes: Mapping[int, dict[Line, list[PieceResult]]]) -> dict[int, Scores[Line]]:
        predictions = {n: curves.predictions_of(lines, held_out) for n, lines in of_sizes.items()}
        return curves.score_sizes(stars, predictions, config.n_resamples, config.seed, scale)

    scores = scored(sizes)
    sides = curves.make_sides(config.sides, scores)
    tables = {
        "curves": curves.curves_frame(scores, {n: curves.seconds_of(lines) for n, lines in sizes.items()}),
        "sides": curves.sides_frame(sides),
        "contrasts": curves.contrasts_frame(sides, config.contrasts),
        "crossovers": curves.crossovers_frame(sides, config.contrasts),
        "know_how": pd.DataFrame(),
        "know_how_contrasts": pd.DataFrame(),
    }
    if config.know_how and known_pieces:
        with_it = [result for result in results if result.piece.know_how]
        with_know_how = scored(curves.by_size(with_it, curves.models_of(config.know_how.sides)))
        known_sides = curves.make_sides(config.know_how.sides, with_know_how)
        tables["know_how"] = curves.sides_frame(known_sides)
        tables["know_how_contrasts"] = curves.contrasts_frame(known_sides, config.know_how.contrasts)
    seconds = _training_seconds(paths, score.feature_sets, sides)
    made = tables["sides"], tables["contrasts"], tables["crossovers"]
    sentences = three_sentences(*made, len(stars), seconds, n_test)
    if others := others_sentence(tables["contrasts"], len(stars)):
        sentences.append(others)
    if config.know_how and len(tables["know_how"]):
        first = tables["know_how_contrasts"], tables["know_how"], tables["sides"]
        sentences.append(know_how_sentence(*first, len(stars), config.know_how.rows))

    for name, table in tables.items():
        write_table(paths, name, table)
    write_json(paths.verdict, {"sentences": sentences})
    for sentence in sentences:
        logger.info("%s", sentence)
    return {
        "config": config.model_dump(),
        "n_test": n_test,
        "n_held_out": len(stars),
        "n_draws": len({(piece.n_train, piece.repeat) for piece in pieces}),
        "seconds": round(time.monotonic() - started, 1),
    }


def _with_know_how(
    context: RunContext, reviews: pd.DataFrame, config: CurvesConfig, n_train: int
) -> tuple[RunContext, list[Piece]]:
    """Make the embedded reviews' columns, and return the pieces that use them; none for the sample or another scale."""
    paths = DatasetPaths(context.dataset)
    sample = foreign_sample(context.dataset, reviews) if dataset_scale(paths) == FIVE_STARS else None
    if config.know_how is None or sample is None:
        return context, []
    n_held_out = curves.n_held_out(config, len(reviews) - n_train)
    sets = {features for side in config.know_how.sides.values() for features in side.feature_sets}
    parts = sorted({part for features in sets for part in dataset_score_config(paths).feature_sets[features]})
    transformers = make_transformers(parts, feature_configs(), str(CONF / "curves.yaml"), FIVE_STARS)
    tokens = paths.tokens / str(read_manifest(paths.features).get("tokens"))
    known = make_know_how(paths, transformers, sample, reviews["text"].to_numpy(dtype=object), tokens)
    return replace(context, known=known), curves.know_how_pieces(config.know_how, n_train, n_held_out)


def _training_seconds(
    paths: DatasetPaths, feature_sets: dict[str, list[str]], sides: dict[str, dict[int, Side[Line]]]
) -> dict[str, float]:
    """Return what the line of each side takes with all training reviews, from raw texts on."""
    costs = cost_table(read_table(paths, "metrics"), feature_sets, read_json(paths.feature_costs))
    total: pd.Series[float] = costs.set_index(["features", "model"])["total_seconds"]
    return {name: float(total[of_size[max(of_size)].line]) for name, of_size in sides.items()}
