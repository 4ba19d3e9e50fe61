"""From names in conf/features to transformers, and the columns that they make in one common pass."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import get_tags

import pipeline.features
from pipeline.digest import code_digest, file_digest, value_digest
from pipeline.encoder import TokenStates, is_recorded, load_encoder, read_record
from pipeline.encoder.layers import check_layer
from pipeline.errors import PipelineError, first_line
from pipeline.features import AttentionPooling
from pipeline.features.encoded import EncoderTransformer, encode_together, encoder_of
from pipeline.project.conf import FeatureConfig, check_names
from pipeline.project.paths import FEATURES_CONF
from pipeline.text import words

COSTS = ("learn_seconds", "encode_seconds", "transform_seconds_per_review")


N_TIMED = 32  # held-out reviews by which the seconds of a transformer are measured


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


def learns(transformer: Any) -> bool:
    """Return whether a transformer learns from texts, as all do whose tags say that they need a fit."""
    if isinstance(transformer, EncoderTransformer):
        return transformer.learns
    return bool(get_tags(transformer).requires_fit)


def pools_tokens(transformer: Any) -> bool:
    """Return whether a transformer learns how to pool token states, and so takes their record in place of texts."""
    # What calibrates the encoder on the training texts has token states of its own.
    return isinstance(transformer, AttentionPooling) and learns(transformer) and transformer.precision != "int8"


def fit_transform(
    transformers: dict[str, Any], reviews: pd.DataFrame, cache: Path, tokens: Path
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, float]]]:
    """Fit on the training reviews, transform all of them.

    The training reviews get what `fit_transform` gives them, the others what `transform` does. What encoders make comes
    from one forward pass over both; token states are recorded there, and what pools them by learned weights reads them.

    Parameters
    ----------
    transformers : dict of str to transformer
        Fitted in place.
    reviews : DataFrame with columns review_id, text, stars, split
    cache : Path
        Directory for finished shards, see `pipeline.encoder.encode`.
    tokens : Path
        Directory for the records.

    Returns
    -------
    tables : dict of str to DataFrame
        review_id and the columns of the feature, in the order of `reviews`.
    costs : dict of str to dict of str to float
        What each feature takes if it is made alone: learn_seconds and encode_seconds for all training reviews,
        transform_seconds_per_review for new ones.

    Raises
    ------
    PipelineError
        If a transformer refuses its parameters or its model is not to be had.
    """
    is_train = (reviews["split"] == "train").to_numpy()
    texts, stars = reviews["text"].to_numpy(dtype=object), reviews["stars"].to_numpy()
    results: dict[str, npt.NDArray[Any]] = {}
    pooling = {name: each for name, each in transformers.items() if pools_tokens(each)}
    encoded = {
        name: each
        for name, each in transformers.items()
        if isinstance(each, EncoderTransformer) and name not in pooling
    }
    costs: dict[str, dict[str, float]] = {name: dict.fromkeys(COSTS, 0.0) for name in transformers}
    for name in encoded:
        with _explained(name):
            encoded[name].fit(texts[is_train].tolist(), stars[is_train])
    with _explained():
        poolings = {name: each.pooling() for name, each in encoded.items()}
        missing = {name: each for name, each in pooling.items() if not is_recorded(_record_path(each, tokens))}
        results |= encode_together(encoded, poolings, texts.tolist(), cache, record_paths(missing, tokens))
    for name, transformer in transformers.items():
        if name in encoded:
            continue
        with _explained(name):
            X = token_record(transformer, tokens) if name in pooling else texts
            started = time.perf_counter()
            train = np.asarray(transformer.fit_transform(_rows(X, is_train), stars[is_train]))
            costs[name]["learn_seconds"] = time.perf_counter() - started
            results[name] = np.empty((len(texts), train.shape[1]), dtype=train.dtype)
            results[name][is_train] = train
            results[name][~is_train] = transformer.transform(_rows(X, ~is_train))
    some = texts[~is_train][:N_TIMED].tolist()
    for name, transformer in transformers.items():
        started = time.perf_counter()
        transformer.transform(some)
        each = (time.perf_counter() - started) / len(some)
        costs[name]["transform_seconds_per_review"] = each
        if isinstance(transformer, EncoderTransformer):
            costs[name]["encode_seconds"] = each * int(is_train.sum())
    tables = {}
    for name, transformer in transformers.items():
        table = pd.DataFrame(results[name], columns=transformer.get_feature_names_out())
        table.insert(0, "review_id", reviews["review_id"].to_numpy())
        tables[name] = table
    return tables, costs


def record_paths(transformers: dict[str, Any], directory: Path) -> dict[tuple[Any, ...], dict[int, Path]]:
    """Return, for each encoder that transformers share, the layers that they pool and where their states are kept."""
    paths: dict[tuple[Any, ...], dict[int, Path]] = defaultdict(dict)
    for transformer in transformers.values():
        paths[encoder_of(transformer)][transformer.layer] = _record_path(transformer, directory)
    return dict(paths)


def token_record(transformer: Any, directory: Path) -> TokenStates:
    """Return the recorded token states of all reviews that a transformer pools.

    Raises
    ------
    PipelineError
        If they are not there.
    """
    path = _record_path(transformer, directory)
    try:
        return read_record(
            path, check_layer(load_encoder(transformer.model, transformer.revision), transformer.layer, 0)
        )
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: {first_line(error)}; run the features stage again") from None


def _record_path(transformer: Any, directory: Path) -> Path:
    encoder = value_digest(transformer.model, transformer.revision, transformer.backend, transformer.precision)
    return directory / encoder[:16] / f"layer{transformer.layer}"


def _rows(X: Any, mask: npt.NDArray[np.bool_]) -> Any:
    return X[mask] if isinstance(X, TokenStates) else X[mask].tolist()


@contextmanager
def _explained(name: str = "") -> Iterator[None]:
    """Say which file of conf/ led to an error."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        where = f"{FEATURES_CONF / name}.yaml" if name else str(FEATURES_CONF)
        raise PipelineError(f"{where}: {first_line(error)}") from None


def digests(configs: dict[str, FeatureConfig], reviews: Path) -> dict[str, str]:
    """Return what each feature's table is made from: its configuration, the reviews and the code."""
    reviews_digest, code = (
        file_digest(reviews),
        code_digest("features", "encoder", "taguchi", "highlight.py", "text.py"),
    )
    return {name: value_digest(config.model_dump(), reviews_digest, code) for name, config in configs.items()}


# Long enough to show something, short enough to be read.
_N_WORDS = 40


def explains(transformer: Any) -> bool:
    """Return whether a transformer can say what each token contributes."""
    return getattr(transformer, "weights", None) in ("sn-ratio", "t-method")


def explain_reviews(pooling: Any, reviews: pd.DataFrame) -> pd.DataFrame:
    """Explain one held-out review of each star: the one with about 40 words.

    Parameters
    ----------
    pooling : fitted AttentionPooling that `explains`
    reviews : DataFrame with columns review_id, text, stars, split

    Returns
    -------
    DataFrame
        review_id, stars, text, and the columns of `AttentionPooling.explain`, one row per token.
    """
    held_out = reviews[reviews["split"] == "test"]
    distance = held_out["text"].map(lambda text: abs(len(words(text)) - _N_WORDS))
    nearest = held_out.loc[distance.groupby(held_out["stars"]).idxmin()]
    tables = []
    for review in nearest[["review_id", "stars", "text"]].to_dict("records"):
        table = pooling.explain(review["text"])
        for position, (name, value) in enumerate(review.items()):
            table.insert(position, str(name), value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
