"""The features stage: one table of columns per feature, the encoders' from one common pass."""

import logging
import shutil

import skops.io

from pipeline.digest import code_digest, file_digest, value_digest
from pipeline.encoder import is_recorded
from pipeline.experiment.transformers import (
    _record_path,
    digests,
    explain_reviews,
    explains,
    fit_transform,
    make_transformer,
    pools_tokens,
)
from pipeline.files import (
    atomic_path,
    read_json,
    read_made_from,
    read_parquet,
    write_json,
    write_manifest,
    write_parquet,
)
from pipeline.project.conf import feature_configs
from pipeline.project.paths import DatasetPaths

logger = logging.getLogger(__name__)


def run(dataset: str) -> None:
    """Run the stage: encode what is not up to date, write one table and one fitted transformer per feature."""
    paths, configs = DatasetPaths(dataset), feature_configs()
    transformers = {name: make_transformer(name, config) for name, config in configs.items()}
    reviews = read_parquet(paths.reviews, made_by="prepare")
    made_from = digests(configs, paths.reviews)

    costs = read_json(paths.feature_costs)
    tokens = paths.tokens / value_digest(file_digest(paths.reviews), code_digest("encoder"))[:16]
    stale = [
        name
        for name in configs
        if read_made_from(paths.feature(name)) != made_from[name]
        or name not in costs
        or not paths.transformer(name).exists()
        or (explains(transformers[name]) and not paths.explained(name).exists())
        or (pools_tokens(transformers[name]) and not is_recorded(_record_path(transformers[name], tokens)))
    ]
    if stale:
        tables, new = fit_transform({name: transformers[name] for name in stale}, reviews, paths.shards, tokens)
        write_json(paths.feature_costs, {name: value for name, value in (costs | new).items() if name in configs})
        for name, table in tables.items():
            # The table goes first and comes last: where it stands, the transformer beside it is its own.
            paths.feature(name).unlink(missing_ok=True)
            with atomic_path(paths.transformer(name)) as temporary:
                skops.io.dump(transformers[name], temporary)
            if explains(transformers[name]):
                write_parquet(paths.explained(name), explain_reviews(transformers[name], reviews))
            table.attrs["made_from"] = made_from[name]
            write_parquet(paths.feature(name), table)
            logger.info("%s: %d reviews x %d columns", name, len(table), table.shape[1] - 1)
    # They are there for a run that is killed; the tables now hold the same.
    shutil.rmtree(paths.shards, ignore_errors=True)
    for old in set(paths.tokens.glob("*")) - {tokens}:
        shutil.rmtree(old)
    for name in configs:
        if name not in stale:
            logger.info("%s: up to date", name)
    write_manifest(
        paths.features,
        {
            "stage": "features",
            "dataset": dataset,
            "config": {name: config.model_dump() for name, config in configs.items()},
            "inputs": {str(paths.reviews): file_digest(paths.reviews)},
            "made_from": made_from,
            "tokens": tokens.name,
        },
    )
