"""Fitted transformers and models in files that run no code when they are read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import skops.io

from pipeline.errors import PipelineError
from pipeline.experiment.named import packages
from pipeline.files import atomic_path, damaged
from pipeline.project.conf import feature_configs
from pipeline.project.paths import DatasetPaths


def save(path: Path, estimator: Any) -> None:
    """Write a fitted estimator, atomically."""
    with atomic_path(path) as temporary:
        skops.io.dump(estimator, temporary)


def load_transformers(paths: DatasetPaths, parts: Iterable[str]) -> dict[str, Any]:
    """Read the fitted transformers of some features.

    Raises
    ------
    PipelineError
        As in `load`.
    """
    configs = feature_configs()
    return {part: load(paths.transformer(part), "features", packages([configs[part].transformer]))[0] for part in parts}


def load(path: Path, made_by: str, packages: Sequence[str] = ()) -> tuple[Any, list[str]]:
    """Read a fitted estimator that a stage has saved.

    Parameters
    ----------
    path : Path
    made_by : str
        Name of the stage, for the error.
    packages : sequence of str
        Packages of the user whose types are trusted, beside those of this project and of scikit-learn.

    Returns
    -------
    (estimator, list of str)
        With the types that skops has to trust.

    Raises
    ------
    PipelineError
        If it is missing or damaged, or if it holds a type from elsewhere.
    """
    types = types_in(path, made_by, packages)
    try:
        return skops.io.load(path, trusted=types), types
    # What a damaged archive makes skops raise is of any kind.
    except Exception as error:
        raise damaged(path, made_by, error) from None


def types_in(path: Path, made_by: str, packages: Sequence[str] = ()) -> list[str]:
    """Return the types in a file of `load` that skops has to trust, without loading it.

    Parameters
    ----------
    path, made_by, packages
        As in `load`.

    Raises
    ------
    PipelineError
        As in `load`.
    """
    trusted = tuple(f"{package}." for package in ("pipeline", "sklearn", *packages))
    try:
        types = skops.io.get_untrusted_types(file=path)
    except Exception as error:
        raise damaged(path, made_by, error) from None
    if strange := [name for name in types if not name.startswith(trusted)]:
        raise PipelineError(f"{path} holds {strange[0]}, which is no part of a model of this project: delete it")
    return list(types)
