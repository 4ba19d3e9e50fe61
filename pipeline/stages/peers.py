"""The peers stage: a language model and a fine-tuned encoder beside the T-method, with few training reviews."""

import logging
import shutil
import time
from typing import Any

import numpy as np
import pandas as pd

from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.evaluation.verdict import SURE, who_is_ahead
from pipeline.experiment import curves, peers
from pipeline.experiment.pieces import run_pieces
from pipeline.files import read_manifest, read_parquet
from pipeline.project.conf import curves_config, peers_config
from pipeline.project.language import dataset_score_config
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import write_table

logger = logging.getLogger(__name__)


def run(dataset: str, model: str | None = None, base_url: str | None = None) -> dict[str, Any]:
    """Run the stage: ask the language model, fit what is not done yet, write the tables; return the manifest.

    Parameters
    ----------
    dataset : str
    model, base_url : str, default=None
        The language model, see `pipeline.features.LocalLLM`.
    """
    started = time.monotonic()
    paths, config = DatasetPaths(dataset), peers_config()
    score = dataset_score_config(paths)
    peers.check_peers(config, curves_config(), score)
    if not read_manifest(paths.robustness):
        raise PipelineError(f"{paths.reports} has no results yet: run make all (tmva all) on the same reviews first")
    sides = peers.all_sides(config, curves_config())
    llm = peers.language_models(dataset, config, {"model": model, "base_url": base_url})
    context = peers.peers_context(dataset, config, sides, llm)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    stars = peers.held_out_stars(reviews, config.n_held_out, context.seed)
    n_train = int((reviews["split"] == "train").sum())
    pieces = peers.peer_pieces(config, sides, n_train)
    if not pieces:
        raise PipelineError(f"{dataset} has {n_train} training reviews, fewer than the sizes in conf/peers.yaml")
    asked = peers.ask(context, pieces)
    results = run_pieces(context, pieces, "peers")
    shutil.rmtree(paths.shared, ignore_errors=True)
    for path_of_earlier_settings in set(paths.peer_draws.glob("*.parquet")) - {context.path(piece) for piece in pieces}:
        path_of_earlier_settings.unlink()

    sizes, everyone = curves.by_size(results, curves.models_of(sides)), np.arange(len(stars))
    predictions = {n: curves.predictions_of(lines, everyone) for n, lines in sizes.items()}
    scores = curves.score_sizes(stars, predictions, config.n_resamples, config.seed, dataset_scale(paths))
    made = curves.make_sides(sides, scores, str(CONF / "peers.yaml"))
    contrasts = curves.contrasts_frame(made, config.contrasts)
    seconds = {n: curves.seconds_of(lines) for n, lines in sizes.items()}
    write_table(paths, "peers", curves.curves_frame(scores, seconds))
    write_table(paths, "peer_sides", curves.sides_frame(made))
    write_table(paths, "peer_contrasts", contrasts)
    write_table(paths, "peer_costs", peers.cost_frame(context, made, sizes, asked, n_train))
    sentences = [_sentence(of_pair, len(stars)) for _, of_pair in contrasts.groupby(["a", "b"], sort=False)]
    for sentence in sentences:
        logger.info("%s", sentence)
    return {
        "config": config.model_dump(),
        "reviews_sha256": file_digest(paths.reviews),
        "scale": dataset_scale(paths).written,
        "language_model": peers.described(llm),
        "n_held_out": len(stars),
        "sentences": sentences,
        "seconds": round(time.monotonic() - started, 1),
    }


def _sentence(of_pair: pd.DataFrame, n_test: int) -> str:
    """Say at which sizes one of two sides is ahead."""
    if (of_pair["p_holm"] < SURE).any():
        return f"{who_is_ahead(of_pair, n_test)}."
    a, b = of_pair.iloc[0][["a", "b"]]
    return f"Neither {a} nor {b} is shown to be ahead at any size."
