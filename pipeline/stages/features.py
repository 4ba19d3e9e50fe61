"""The features stage: one table of columns per feature, the encoders' from one common pass."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.digest import code_digest, file_digest, value_digest
from pipeline.experiment.columns import Costs, fit_transform, has_token_record, without_cache
from pipeline.experiment.read_notes import notes
from pipeline.experiment.read_texts import what_is_read
from pipeline.experiment.saved import save
from pipeline.experiment.transformers import make_transformers, pools_tokens, table_digests
from pipeline.files import read_json, read_made_from, read_manifest, read_parquet, write_json, write_parquet
from pipeline.project.conf import feature_configs
from pipeline.project.language import dataset_score_config
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale

logger = logging.getLogger(__name__)


def run(dataset: str) -> dict[str, Any]:
    """Run the stage: make the tables that are not up to date, each with its transformer; return the manifest."""
    paths, configs = DatasetPaths(dataset), feature_configs()
    parts = dataset_score_config(paths).parts
    transformers = make_transformers(parts, configs, str(CONF / "score.yaml"), dataset_scale(paths))
    reviews = read_parquet(paths.reviews, made_by="prepare")
    made_from = table_digests(transformers, paths.reviews)
    costs: Costs = read_json(paths.feature_costs)
    tokens = paths.tokens / value_digest(file_digest(paths.reviews), code_digest("pipeline.encoder"))[:16]

    stale = {
        part: transformer
        for part, transformer in transformers.items()
        if part not in costs or not _is_up_to_date(paths, part, transformer, made_from[part], tokens)
    }
    if stale:
        tables, new_costs = fit_transform(stale, reviews, paths.shards, tokens)
        write_json(paths.feature_costs, {part: cost for part, cost in (costs | new_costs).items() if part in parts})
        for part, table in tables.items():
            _write(paths, part, stale[part], table, made_from[part])
            logger.info("%s: %d reviews x %d columns", part, len(table), table.shape[1] - 1)
    for part in parts:
        if part not in stale:
            logger.info("%s: up to date", part)
    _forget(paths, tokens)
    before = read_manifest(paths.features)
    # What is up to date is not read again: that would load the encoders.
    read = before.get("read") if before.get("made_from") == made_from else None
    # A run of before kept nothing of what encoders cut off.
    if not read or "cut_off" not in read:
        read = what_is_read(transformers, reviews["text"].tolist())
    for note in notes(read):
        logger.warning("%s", note)
    return {
        "config": {part: configs[part].model_dump() for part in parts},
        "made_from": made_from,
        "read": read,
        "tokens": tokens.name if tokens.exists() else None,
    }


def _is_up_to_date(paths: DatasetPaths, part: str, transformer: Any, made_from: str, tokens: Path) -> bool:
    return (
        read_made_from(paths.feature(part)) == made_from
        and paths.transformer(part).exists()
        and (not pools_tokens(transformer) or has_token_record(transformer, tokens))
    )


def _write(paths: DatasetPaths, part: str, transformer: Any, table: pd.DataFrame, made_from: str) -> None:
    # The table goes first and comes last: where it stands, the transformer beside it is the one that made it.
    paths.feature(part).unlink(missing_ok=True)
    # A model that is served elsewhere is not to fill a directory there.
    save(paths.transformer(part), without_cache(transformer))
    table.attrs["made_from"] = made_from
    write_parquet(paths.feature(part), table)


def _forget(paths: DatasetPaths, tokens: Path) -> None:
    """Remove finished shards, which are there for a run that is killed, and token states of other reviews or code."""
    shutil.rmtree(paths.shards, ignore_errors=True)
    for directory in set(paths.tokens.glob("*")) - {tokens}:
        shutil.rmtree(directory)
