"""The columns of all features: fitted on the training reviews, what encoders make from one common forward pass."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.digest import files_digest, value_digest
from pipeline.encoder import Backend, TokenStates, is_recorded, load_encoder, read_record
from pipeline.encoder.layers import check_layer
from pipeline.errors import PipelineError, first_line
from pipeline.experiment.engine import encode_together, pinned
from pipeline.experiment.text_columns import text_columns
from pipeline.experiment.transformers import naming_conf, pools_tokens, without_warning_of_sentiment
from pipeline.features.encoded import EncoderTransformer, encoder_of
from pipeline.project.paths import FEATURES_CONF

logger = logging.getLogger(__name__)

_COSTS = ("learn_seconds", "encode_seconds", "transform_seconds_per_review")
_MANY = 10_000  # reviews from which on workers are worth their start
_N_TIMED = 16  # held-out reviews by which the seconds of a transformer are measured

Costs = dict[str, dict[str, float]]


@without_warning_of_sentiment()
def fit_transform(
    transformers: Mapping[str, Any], reviews: pd.DataFrame, cache: Path, tokens: Path
) -> tuple[dict[str, pd.DataFrame], Costs]:
    """Fit on the training reviews, transform all of them.

    The training reviews get what `fit_transform` gives them, the others what `transform` does. What encoders make comes
    from one forward pass over both; token states are recorded there, and what pools them by learned weights reads them.

    Parameters
    ----------
    transformers : mapping of str to transformer
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
    costs: Costs = {name: dict.fromkeys(_COSTS, 0.0) for name in transformers}
    results = _encode(transformers, reviews, cache, tokens)
    if len(texts) >= _MANY:
        of_texts = {name: each for name, each in transformers.items() if name not in results and not pools_tokens(each)}
        for name, made in text_columns(of_texts, texts, stars, is_train).items():
            vars(transformers[name]).update(vars(made.transformer))
            results[name], costs[name]["learn_seconds"] = made.columns, made.seconds
    for name, transformer in transformers.items():
        if name in results:
            continue
        with naming_conf(name):
            X = token_record(transformer, tokens) if pools_tokens(transformer) else texts
            started = time.perf_counter()
            train = np.asarray(transformer.fit_transform(_rows(X, is_train), stars[is_train]))
            costs[name]["learn_seconds"] = time.perf_counter() - started
            results[name] = np.empty((len(texts), train.shape[1]), dtype=train.dtype)
            results[name][is_train] = train
            if not is_train.all():
                results[name][~is_train] = transformer.transform(_rows(X, ~is_train))
    _time_transforms(transformers, texts[~is_train][:_N_TIMED].tolist(), int(is_train.sum()), costs)
    return {name: _table(each, results[name], reviews["review_id"]) for name, each in transformers.items()}, costs


def _encode(
    transformers: Mapping[str, Any], reviews: pd.DataFrame, cache: Path, tokens: Path
) -> dict[str, npt.NDArray[Any]]:
    """Return what encoders make without learned weights; record the token states that learned weights pool."""
    pooling = {name: each for name, each in transformers.items() if pools_tokens(each)}
    encoded = {
        name: each
        for name, each in transformers.items()
        if isinstance(each, EncoderTransformer) and name not in pooling
    }
    train = reviews[reviews["split"] == "train"]
    for name, transformer in encoded.items():
        with naming_conf(name):
            transformer.fit(train["text"].tolist(), train["stars"].to_numpy())
    with naming_conf():
        poolings = {name: each.pooling() for name, each in encoded.items()}
        encoded = {name: pinned(each) for name, each in encoded.items()}
        missing = [each for each in pooling.values() if not has_token_record(each, tokens)]
        for backend in dict.fromkeys(encoder_of(each)[2] for each in [*encoded.values(), *missing]):
            logger.info("encoder: %s %s%s", backend.name, backend.precision, _faster(backend))
        return {**encode_together(encoded, poolings, reviews["text"].tolist(), cache, _record_paths(missing, tokens))}


def _faster(backend: Backend) -> str:
    """Return which parameter makes OpenVINO faster, as measured on 2 cores of an AMD EPYC 9005; "" for others."""
    if (backend.name, backend.precision) != ("openvino", "float32"):
        return ""
    try:
        from pipeline.encoder.openvino import computes_bfloat16
    # It is there and cannot be loaded: torch runs the encoder, and says so.
    except ImportError:
        return ""

    bfloat16 = "precision: bfloat16 (1.4 times as fast) or " if computes_bfloat16() else ""
    return f"; {FEATURES_CONF}/*.yaml may ask for {bfloat16}precision: int8 (1.9 times) among their params"


def _time_transforms(transformers: Mapping[str, Any], texts: list[str], n_train: int, costs: Costs) -> None:
    for name, transformer in transformers.items() if texts else ():
        transformer = without_cache(transformer)
        # What is compiled is compiled once.
        transformer.transform(texts[:1])
        started = time.perf_counter()
        transformer.transform(texts)
        seconds = (time.perf_counter() - started) / len(texts)
        costs[name]["transform_seconds_per_review"] = seconds
        if isinstance(transformer, EncoderTransformer):
            costs[name]["encode_seconds"] = seconds * n_train


def without_cache(transformer: Any) -> Any:
    """Return a fitted transformer that reads and keeps no vectors, with all else shared."""
    return copy(transformer).set_params(cache=None) if getattr(transformer, "cache", None) else transformer


def _table(transformer: Any, columns: npt.NDArray[Any], review_id: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame(columns, columns=transformer.get_feature_names_out())
    table.insert(0, "review_id", review_id.to_numpy())
    return table


def _record_paths(transformers: list[Any], directory: Path) -> dict[tuple[Any, ...], dict[int, Path]]:
    """Return, for each encoder that transformers share, the layers that they pool and where their states are kept."""
    paths: dict[tuple[Any, ...], dict[int, Path]] = defaultdict(dict)
    for transformer in transformers:
        paths[encoder_of(pinned(transformer))][transformer.layer] = _record_path(transformer, directory)
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


def has_token_record(transformer: Any, directory: Path) -> bool:
    """Return whether the token states that a transformer pools are recorded."""
    return is_recorded(_record_path(transformer, directory))


def _record_path(transformer: Any, directory: Path) -> Path:
    model = str(transformer.model), files_digest(transformer.model)
    encoder = value_digest(model, transformer.revision, transformer.backend, transformer.precision)
    return directory / encoder[:16] / f"layer{transformer.layer}"


def _rows(X: Any, mask: npt.NDArray[np.bool_]) -> Any:
    return X[mask] if isinstance(X, TokenStates) else X[mask].tolist()
