"""The features stage: one table of columns per conf/features/<name>.yaml, encoded in one forward pass."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io

import pipeline.features
from pipeline.config import FeatureConfig, check_names, feature_configs
from pipeline.errors import PipelineError
from pipeline.features import transform_together
from pipeline.paths import FEATURES_CONF, DatasetPaths
from pipeline.store import (
    atomic_path,
    code_digest,
    file_digest,
    first_line,
    read_made_from,
    read_parquet,
    value_digest,
    write_manifest,
    write_parquet,
)

logger = logging.getLogger(__name__)


def make_transformer(name: str, config: FeatureConfig) -> Any:
    """Return the unfitted transformer that a configuration describes.

    Raises
    ------
    PipelineError
        If there is no such transformer, or it has no such parameter.
    """
    where = f"{FEATURES_CONF / name}.yaml"
    known = [name for name in pipeline.features.__all__ if name[0].isupper()]
    check_names([config.transformer], known, "transformer", where)
    try:
        return getattr(pipeline.features, config.transformer)(**config.params)
    except TypeError as error:
        raise PipelineError(f"{where}: {first_line(error)}") from None


def fit_transform(transformers: dict[str, Any], reviews: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Fit on the training reviews, transform all of them.

    Parameters
    ----------
    transformers : dict of str to transformer
        Fitted in place.
    reviews : DataFrame with columns review_id, text, stars, split

    Returns
    -------
    dict of str to DataFrame
        review_id and the columns of the feature, in the order of `reviews`.

    Raises
    ------
    PipelineError
        If a transformer refuses its parameters or its model is not to be had.
    """
    train = reviews[reviews["split"] == "train"]
    for name, transformer in transformers.items():
        try:
            transformer.fit(train["text"].tolist(), train["stars"].to_numpy())
        except (ValueError, OSError) as error:
            raise PipelineError(f"{FEATURES_CONF / name}.yaml: {first_line(error)}") from None
    try:
        arrays = transform_together(transformers, reviews["text"].tolist())
    except ValueError as error:
        raise PipelineError(f"{FEATURES_CONF}: {first_line(error)}") from None
    tables = {}
    for name, array in arrays.items():
        table = pd.DataFrame(array, columns=transformers[name].get_feature_names_out())
        table.insert(0, "review_id", reviews["review_id"].to_numpy())
        tables[name] = table
    return tables


def digests(configs: dict[str, FeatureConfig], reviews: Path) -> dict[str, str]:
    """Return what each feature's table is made from: its configuration, the reviews and the code."""
    reviews_digest, code = file_digest(reviews), code_digest("features", "encoder", "text.py")
    return {name: value_digest(config.model_dump(), reviews_digest, code) for name, config in configs.items()}


def run(dataset: str) -> None:
    """Run the stage: encode what is not up to date, write one table and one fitted transformer per feature."""
    paths, configs = DatasetPaths(dataset), feature_configs()
    transformers = {name: make_transformer(name, config) for name, config in configs.items()}
    reviews = read_parquet(paths.reviews, made_by="prepare")
    made_from = digests(configs, paths.reviews)

    stale = [
        name
        for name in configs
        if read_made_from(paths.feature(name)) != made_from[name] or not paths.transformer(name).exists()
    ]
    if stale:
        tables = fit_transform({name: transformers[name] for name in stale}, reviews)
        for name, table in tables.items():
            # The table goes first and comes last: where it stands, the transformer beside it is its own.
            paths.feature(name).unlink(missing_ok=True)
            with atomic_path(paths.transformer(name)) as temporary:
                skops.io.dump(transformers[name], temporary)
            table.attrs["made_from"] = made_from[name]
            write_parquet(paths.feature(name), table)
            logger.info("%s: %d reviews x %d columns", name, len(table), table.shape[1] - 1)
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
        },
    )
