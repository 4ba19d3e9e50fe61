"""What a result was made from, as sha256: files, values, and the code with all that it imports."""

import ast
import hashlib
import json
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PROJECT = __name__.partition(".")[0]
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def value_digest(*values: Any) -> str:
    """Return the sha256 of JSON-able values, in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def without_words(source: str) -> str:
    """Return what Python reads of a source: no comment, no docstring, no layout.

    Examples
    --------
    >>> without_words('x = 1  # one') == without_words('"The number one."; x = (1)')
    True
    """
    return ast.dump(_without_docstrings(ast.parse(source)))


def source_digest(*modules: str) -> str:
    """Return the sha256 of modules themselves, whatever they import.

    Parameters
    ----------
    *modules : str
        Dotted names.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module.
    """
    return value_digest(sorted(_source_digest(_find(module)) for module in modules))


def code_digest(*modules: str) -> str:
    """Return the sha256 of modules and of all that they import from this project and from their own package.

    What an `__init__` hands on counts as imported from where it is defined, so that a change in one module of a package
    is no change of what uses the others. A module that moves without a change leaves its own digest as it was.

    Parameters
    ----------
    *modules : str
        Dotted names.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module, or one of them imports what is not there.
    """
    tops = frozenset({_PROJECT, *(module.partition(".")[0] for module in modules)})
    seen: dict[str, None] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen[module] = None
            waiting.extend(_imports(module, tops))
    return value_digest(sorted(_source_digest(_find(module)) for module in seen))


def is_library(module: str) -> bool:
    """Return whether a module is installed from elsewhere: neither part of this project nor a file of the user's.

    Examples
    --------
    >>> is_library("sklearn.svm"), is_library("pipeline.text")
    (True, False)
    """
    top = module.partition(".")[0]
    spec = None if top in (_PROJECT, "__main__") else find_spec(top)
    return spec is not None and (not spec.has_location or str(spec.origin).startswith(_INSTALLED))


@cache
def _find(module: str) -> Path:
    """Return the file of a module without importing it."""
    path = _look_up(module)
    if path is None:
        raise ModuleNotFoundError(f"There is no module {module}.", name=module)
    return path


def _look_up(module: str) -> Path | None:
    top, *parts = module.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin)
    if not parts:
        return base
    base = base.parent.joinpath(*parts)
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


@cache
def _source_digest(path: Path) -> str:
    return hashlib.sha256(ast.dump(_without_docstrings(_tree(path))).encode()).hexdigest()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and node.body and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


@cache
def _imports(module: str, tops: frozenset[str]) -> tuple[str, ...]:
    """Return the modules of some packages that a module imports, anywhere in its code."""
    return tuple({target: None for package, name in _names(module, tops) for target in _targets(package, name, tops)})


def _names(module: str, tops: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    """Yield module and name of each import, None where a module is imported as a whole."""
    path = _find(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _run(_tree(path)):
        if isinstance(node, ast.Import):
            found: list[tuple[str, str | None]] = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            found = [(source, alias.name) for alias in node.names]
        else:
            continue
        yield from (each for each in found if each[0].partition(".")[0] in tops)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree that are run, which is not what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from (each for other in child.orelse for each in [other, *_run(other)])
        else:
            yield child
            yield from _run(child)


def _targets(module: str, name: str | None, tops: frozenset[str]) -> list[str]:
    """Return where an imported name is defined."""
    if name is None or name == "*":
        return [module]
    if _look_up(f"{module}.{name}"):
        return [f"{module}.{name}"]
    if _find(module).name != "__init__.py":
        return [module]
    handed_on = [source for source, other in _names(module, tops) if other == name]
    return [target for source in handed_on for target in _targets(source, name, tops)] or [module]
