"""Classes and functions by their dotted names in conf, and estimators as digests of their settings and their code."""

import hashlib
import pickle
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from pipeline.digest import code_digest, files_digest, is_library, value_digest
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
    # The module is the user's: whatever goes wrong in it is told in one line.
    except Exception as error:
        raise PipelineError(
            f"{where}: {name} cannot be imported ({first_line(error)}): mend the module, or write module.name"
        ) from None


def packages(names: list[str]) -> list[str]:
    """Return the top-level packages of those names that are dotted, but for installed ones.

    Examples
    --------
    >>> packages(["Ridge", "my_package.models.Mine", "TextStats", "sklearn.svm.SVR"])
    ['my_package']
    """
    return sorted({name.partition(".")[0] for name in names if "." in name and not is_library(name)})


def settings(value: Any, modules: set[str] | None = None) -> Any:
    """Return classes and parameters of an unfitted estimator as JSON-able values; of a model's directory the content.

    Parameters
    ----------
    value : object
    modules : set of str, optional
        To it the modules of all classes and functions are added.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> settings(DummyRegressor(strategy="median"))[1]["strategy"]
    'median'
    """
    modules = set() if modules is None else modules
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): settings(each, modules) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [settings(each, modules) for each in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, partial):
        return ["partial", *(settings(each, modules) for each in (value.func, value.args, value.keywords))]
    thing = value if getattr(value, "__module__", None) and hasattr(value, "__qualname__") else type(value)
    modules.add(thing.__module__)
    name = f"{thing.__module__}.{thing.__qualname__}"
    if thing is value:
        return name
    if hasattr(value, "get_params"):
        params = value.get_params(deep=False)
        files = files_digest(params.get("model"))
        return [name, settings(params, modules), *([files] if files else [])]
    return [name, _content_digest(value)]


def _content_digest(value: Any) -> str:
    """Return the sha256 of an object's content; an object that cannot be pickled has none beside its class."""
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except Exception:
        return ""


def estimator_digest(estimator: Any) -> str:
    """Return the sha256 of an unfitted estimator: its settings, and the code of this project and of the user in it."""
    modules: set[str] = set()
    content = settings(estimator, modules)
    return value_digest(content, code_digest(*sorted(module for module in modules if not is_library(module))))
