"""The features stage: one table of columns per conf/features/<name>.yaml, the encoders' from one common pass."""

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io

import pipeline.features
from pipeline.config import FeatureConfig, check_names, feature_configs
from pipeline.errors import PipelineError
from pipeline.features.encoded import EncoderTransformer, encode_together, for_all_texts
from pipeline.highlight import explain_reviews, explains
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


def fit_transform(
    transformers: dict[str, Any], reviews: pd.DataFrame, cache: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Fit on the training reviews, transform all of them.

    The training reviews get what `fit_transform` gives them, the others what `transform` does; what encoders make
    comes from one forward pass over both.

    Parameters
    ----------
    transformers : dict of str to transformer
        Fitted in place.
    reviews : DataFrame with columns review_id, text, stars, split
    cache : Path, default=None
        Directory for finished shards, see `pipeline.encoder.encode`.

    Returns
    -------
    dict of str to DataFrame
        review_id and the columns of the feature, in the order of `reviews`.

    Raises
    ------
    PipelineError
        If a transformer refuses its parameters or its model is not to be had.
    """
    is_train = (reviews["split"] == "train").to_numpy()
    texts, stars = reviews["text"].to_numpy(dtype=object), reviews["stars"].to_numpy()
    results: dict[str, npt.NDArray[Any]] = {}
    encoded = {name: each for name, each in transformers.items() if isinstance(each, EncoderTransformer)}
    poolings = {}
    for name, transformer in transformers.items():
        try:
            if name in encoded:
                pooling = encoded[name].fit_pooling(texts[is_train].tolist(), stars[is_train])
                poolings[name] = for_all_texts(pooling, is_train)
            else:
                results[name] = _each_split(transformer, texts, stars, is_train)
        except (ValueError, OSError, ImportError) as error:
            raise PipelineError(f"{FEATURES_CONF / name}.yaml: {first_line(error)}") from None
    try:
        results |= encode_together(encoded, poolings, texts.tolist(), cache)
    except (ValueError, ImportError) as error:
        raise PipelineError(f"{FEATURES_CONF}: {first_line(error)}") from None
    tables = {}
    for name, transformer in transformers.items():
        table = pd.DataFrame(results[name], columns=transformer.get_feature_names_out())
        table.insert(0, "review_id", reviews["review_id"].to_numpy())
        tables[name] = table
    return tables


def _each_split(
    transformer: Any,
    texts: npt.NDArray[np.object_],
    stars: npt.NDArray[np.int64],
    is_train: npt.NDArray[np.bool_],
) -> npt.NDArray[Any]:
    """Return the columns of all texts, as a scikit-learn pipeline would make them for a model and its predictions.

    That is `fit_transform` for the training texts, which is out of fold where the stars are learned from.
    """
    train = np.asarray(transformer.fit_transform(texts[is_train].tolist(), stars[is_train]))
    columns = np.empty((len(texts), train.shape[1]), dtype=train.dtype)
    columns[is_train] = train
    columns[~is_train] = transformer.transform(texts[~is_train].tolist())
    return columns


def digests(configs: dict[str, FeatureConfig], reviews: Path) -> dict[str, str]:
    """Return what each feature's table is made from: its configuration, the reviews and the code."""
    reviews_digest, code = (
        file_digest(reviews),
        code_digest("features", "encoder", "taguchi", "highlight.py", "text.py"),
    )
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
        if read_made_from(paths.feature(name)) != made_from[name]
        or not paths.transformer(name).exists()
        or (explains(transformers[name]) and not paths.explained(name).exists())
    ]
    if stale:
        tables = fit_transform({name: transformers[name] for name in stale}, reviews, paths.shards)
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
