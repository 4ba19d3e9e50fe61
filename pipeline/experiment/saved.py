"""Fitted transformers and models in files."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import skops.io

from pipeline.errors import PipelineError, first_line
from pipeline.project.paths import DatasetPaths


def load_transformer(paths: DatasetPaths, part: str) -> Any:
    """Return a transformer that the features stage has fitted.

    Raises
    ------
    PipelineError
        If it is missing or damaged.
    """
    path = paths.transformer(part)
    try:
        own = [name for name in skops.io.get_untrusted_types(file=path) if name.startswith("pipeline.")]
        return skops.io.load(path, trusted=own)
    except (OSError, TypeError, ValueError, BadZipFile) as error:
        raise PipelineError(
            f"{path} cannot be read ({first_line(error)}): delete it and run the features stage again"
        ) from None


def load_model(path: Path) -> tuple[Any, list[str]]:
    """Load a fitted pipeline that the score stage has saved.

    Returns
    -------
    (estimator, list of str)
        With the types that skops has to trust.

    Raises
    ------
    PipelineError
        If it is missing or damaged, or if it holds a type that is neither the project's nor scikit-learn's.
    """
    try:
        types = skops.io.get_untrusted_types(file=path)
        strange = [name for name in types if not name.startswith(_TRUSTED)]
        model = None if strange else skops.io.load(path, trusted=types)
    except Exception as error:
        raise PipelineError(f"{path} cannot be read ({first_line(error)}): run the score stage again") from None
    if strange:
        raise PipelineError(f"{path} holds {strange[0]}, which is no part of a model of this project: delete it")
    return model, types


# What a file of the score stage is made of besides numbers: the project's own types and scikit-learn's.
_TRUSTED = ("pipeline.", "sklearn.")
