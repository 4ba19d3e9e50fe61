"""Classes and functions by their dotted names in conf, and estimators as digests of their settings and their code."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.digest import code_digest, is_library, value_digest
from pipeline.errors import PipelineError, first_line


def imported(name: str, where: str) -> Any:
    """Return what a dotted name such as ``my_package.MyFeature`` stands for.

    Parameters
    ----------
    name : str
        Importable from the working directory or an installed package.
    where : str
        The file that names it, for the error.

    Raises
    ------
    PipelineError
        If there is no such module, or nothing of that name in it.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise PipelineError(
            f"{where}: {name} cannot be imported ({first_line(error)}): name a class or function as module.name"
        ) from None


def packages(names: list[str]) -> list[str]:
    """Return the top-level packages of those names that are dotted.

    Examples
    --------
    >>> packages(["Ridge", "my_package.models.Mine", "TextStats"])
    ['my_package']
    """
    return sorted({name.partition(".")[0] for name in names if "." in name})


def settings(value: Any) -> Any:
    """Return classes and parameters of an unfitted estimator as JSON-able values.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> settings(DummyRegressor(strategy="median"))[1]["strategy"]
    'median'
    """
    if isinstance(value, type) or not hasattr(value, "get_params"):
        if isinstance(value, dict):
            return {str(key): settings(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [settings(each) for each in value]
        if isinstance(value, np.ndarray):
            return value.tolist()
        if callable(value):
            return _name(value)
        return [_name(type(value)), settings(vars(value))] if hasattr(value, "__dict__") else repr(value)
    return [_name(type(value)), settings(value.get_params(deep=False))]


def estimator_digest(estimator: Any) -> str:
    """Return the sha256 of an unfitted estimator: its settings, and the code of this project and of the user in it."""
    content = settings(estimator)
    modules = {name.partition(":")[0] for name in _names(content)}
    return value_digest(content, code_digest(*sorted(module for module in modules if not is_library(module))))


def _name(thing: Any) -> str:
    return f"{thing.__module__}:{thing.__qualname__}"


def _names(content: Any) -> Iterator[str]:
    if isinstance(content, str) and ":" in content:
        yield content
    elif isinstance(content, list | dict):
        for each in content.values() if isinstance(content, dict) else content:
            yield from _names(each)
