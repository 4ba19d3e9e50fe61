"""From names in conf/features to transformers, and which of them learn or pool token states."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sklearn.utils import get_tags

import pipeline.features
from pipeline.digest import file_digest, source_digest, value_digest
from pipeline.errors import PipelineError, first_line
from pipeline.experiment.named import estimator_digest, imported
from pipeline.features import AttentionPooling, LocalLLM, TEstimates
from pipeline.features.encoded import EncoderTransformer
from pipeline.features.text_stats import SAYS_LITTLE
from pipeline.features.word_items import WordItemsTransformer
from pipeline.project.conf import FeatureConfig, check_names
from pipeline.project.paths import FEATURES_CONF
from pipeline.scale import Scale
from pipeline.segmentation import READINGS, dictionaries, reading

# What decides on a table beside its transformer.
_HOW_COLUMNS_ARE_MADE = (
    "pipeline.experiment.columns",
    "pipeline.experiment.text_columns",
    "pipeline.stages.features",
)


def make_transformer(name: str, config: FeatureConfig, scale: Scale) -> Any:
    """Return the unfitted transformer that a configuration describes, for stars on a scale.

    Raises
    ------
    PipelineError
        If there is no such transformer, or it has no such parameter.
    """
    where = f"{FEATURES_CONF / name}.yaml"
    try:
        if "." in config.transformer:
            return imported(config.transformer, where)(**config.params)
        known = [name for name in pipeline.features.__all__ if hasattr(getattr(pipeline.features, name), "transform")]
        check_names([config.transformer], known, "transformer", where)
        transformer = getattr(pipeline.features, config.transformer)(**config.params)
    except (TypeError, ValueError) as error:
        raise PipelineError(f"{where}: {first_line(error)}") from None
    # A draw may lack the highest or the lowest star.
    if isinstance(transformer, WordItemsTransformer | TEstimates) and transformer.target_range is None:
        transformer.set_params(target_range=(scale.low, scale.high))
    if isinstance(transformer, LocalLLM) and transformer.scale is None:
        transformer.set_params(scale=scale)
    # What is installed decides on the table, and so belongs to its key.
    if getattr(transformer, "words", None) in READINGS:
        transformer.set_params(words=reading(transformer.words))
    return transformer


def make_transformers(
    parts: list[str], configs: Mapping[str, FeatureConfig], where: str, scale: Scale
) -> dict[str, Any]:
    """Return unfitted transformers by the names of their features.

    Raises
    ------
    PipelineError
        If conf/features does not have one of the features, which `where` names.
    """
    check_names(parts, list(configs), "feature", where)
    return {part: make_transformer(part, configs[part], scale) for part in parts}


def learns(transformer: Any) -> bool:
    """Return whether a transformer learns from texts, as all do whose tags say that they need a fit."""
    if isinstance(transformer, EncoderTransformer):
        return transformer.learns
    return bool(get_tags(transformer).requires_fit)


def learns_from_words(transformer: Any) -> bool:
    """Return whether a transformer learns sums over words, which add up to those of know-how."""
    return isinstance(transformer, WordItemsTransformer)


def pools_tokens(transformer: Any) -> bool:
    """Return whether a transformer learns how to pool token states, and so takes their record in place of texts."""
    # What calibrates the encoder on the training texts has token states of its own.
    return isinstance(transformer, AttentionPooling) and learns(transformer) and transformer.precision != "int8"


def table_digests(transformers: Mapping[str, Any], reviews: Path) -> dict[str, str]:
    """Return what the table of each feature is made from: its unfitted transformer, the reviews and the code."""
    beside = (file_digest(reviews), source_digest(*_HOW_COLUMNS_ARE_MADE))
    return {
        part: value_digest(estimator_digest(each), *beside, *([dictionaries()] if _looks_words_up(each) else []))
        for part, each in transformers.items()
    }


def _looks_words_up(transformer: Any) -> bool:
    return getattr(transformer, "words", None) == "dictionary"


@contextmanager
def without_warning_of_sentiment() -> Iterator[None]:
    """Silence what each of several transforms would say anew: the notes of the features stage say it once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SAYS_LITTLE)
        yield


@contextmanager
def naming_conf(name: str = "") -> Iterator[None]:
    """Say which file of conf/ led to an error."""
    try:
        yield
    except PipelineError:
        raise
    # The transformer may be the user's: whatever goes wrong in it is told in one line.
    except Exception as error:
        where = f"{FEATURES_CONF / name}.yaml" if name else str(FEATURES_CONF)
        kind = "" if isinstance(error, ValueError | OSError | ImportError) else f"{type(error).__name__}: "
        raise PipelineError(f"{where}: {kind}{first_line(error)}") from None
