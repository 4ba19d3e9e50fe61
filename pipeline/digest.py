"""What a result was made from, as sha256: files, values, and the code with all that it imports."""

import ast
import hashlib
import json
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PROJECT = __name__.partition(".")[0]
_SITE = {"site-packages", "dist-packages"}
_STDLIB = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Stamp = tuple[tuple[str | int, ...], ...]


def directory_stamp(path: Path | str) -> Stamp:
    """Return what changes when a file in a directory is written, put there or taken away; () for no directory.

    That is name, size, inode and times of each file: nothing is read.
    """
    files = sorted(each for each in Path(path).rglob("*") if each.is_file())
    facts = ((str(each), each.stat()) for each in files)
    return tuple((name, fact.st_size, fact.st_ino, fact.st_mtime_ns, fact.st_ctime_ns) for name, fact in facts)


def files_digest(model: object) -> str:
    """Return the sha256 of a model's file, or of names and contents of the files in its directory; "" for neither.

    They are read once, unless one of them changes.
    """
    if not isinstance(model, str | Path):
        return ""
    path = Path(model)
    if path.is_file():
        fact = path.stat()
        return _file_digest(path.resolve(), (fact.st_size, fact.st_ino, fact.st_mtime_ns, fact.st_ctime_ns))
    return _directory_digest(path, directory_stamp(path)) if path.is_dir() else ""


@lru_cache(maxsize=32)
def _file_digest(path: Path, _stamp: tuple[int, ...]) -> str:
    return file_digest(path)


@lru_cache(maxsize=32)
def _directory_digest(path: Path, stamp: Stamp) -> str:
    files = [Path(str(name)) for name, *_ in stamp]
    return value_digest([[str(file.relative_to(path)), file_digest(file)] for file in files])


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
    """Return the sha256 of modules and of all that they import from this project and from the user's files.

    What an `__init__` of this project hands on counts as imported from where it is defined: a change in one module of a
    package does not reach those that import another one. A module that moves without a change keeps its digest.

    Parameters
    ----------
    *modules : str
        Dotted names.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module, or a module of this project imports what is not there.
    """
    seen: dict[str, None] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen[module] = None
            waiting.extend(_imports(module))
    return value_digest(sorted(_source_digest(_find(module)) for module in seen))


@cache
def is_library(module: str) -> bool:
    """Return whether a module is installed from elsewhere: neither part of this project nor a file of the user's.

    Examples
    --------
    >>> is_library("sklearn.svm"), is_library("pipeline.text")
    (True, False)
    """
    top = module.partition(".")[0]
    if top == "__main__":
        return True
    spec = None if top == _PROJECT else find_spec(top)
    if spec is None:
        return False
    places = spec.submodule_search_locations or [str(spec.origin)]
    # What is built in has no place.
    files = [str(place) for place in places if Path(place).is_absolute()]
    return all(place.startswith(_STDLIB) or not _SITE.isdisjoint(Path(place).parts) for place in files)


@cache
def _find(module: str) -> Path:
    """Return the file of a module, or the directory of a package without one; nothing is imported."""
    path = _look_up(module)
    if path is None:
        raise ModuleNotFoundError(f"There is no module {module}.", name=module)
    return path


def _look_up(module: str) -> Path | None:
    top, *parts = module.split(".")
    spec = find_spec(top) if top else None
    if spec is None:
        return None
    if not parts and spec.origin:
        return Path(spec.origin)
    for place in spec.submodule_search_locations or ():
        base = Path(place, *parts)
        suffixes = (".py", *EXTENSION_SUFFIXES)
        files = [base / "__init__.py", *(base.with_name(base.name + suffix) for suffix in suffixes)]
        if found := next((path for path in files if path.is_file()), base if base.is_dir() else None):
            return found
    return None


@cache
def _source_digest(path: Path) -> str:
    if path.suffix in ("", ".py"):
        return hashlib.sha256(ast.dump(_without_docstrings(_tree(path))).encode()).hexdigest()
    return file_digest(path)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes() if path.suffix == ".py" else "")


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and node.body and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules of this project and of the user that a module imports, anywhere in its code."""
    targets: dict[str, None] = {}
    for package, name in _names(module):
        for target in _targets(package, name):
            # What the user imports if it is there may be missing; importing a module runs the packages above it.
            if _belongs_to_project(target) or _look_up(target):
                targets[target] = None
            if not _belongs_to_project(target):
                targets |= dict.fromkeys(parent for parent in _parents(target) if _look_up(parent))
    return tuple(targets)


def _belongs_to_project(module: str) -> bool:
    return module.partition(".")[0] == _PROJECT


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _names(module: str) -> Iterator[tuple[str, str | None]]:
    """Yield module and name of each import that is no library's, None where a module is imported as a whole."""
    path = _find(module)
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in _nodes_at_run_time(_tree(path)):
        if isinstance(node, ast.Import):
            found: list[tuple[str, str | None]] = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            found = [(source, alias.name) for alias in node.names]
        else:
            continue
        yield from (each for each in found if not is_library(each[0]))


def _nodes_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree but those under ``if TYPE_CHECKING``, which never run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (each for other in child.orelse for each in [other, *_nodes_at_run_time(other)])
        else:
            yield child
            yield from _nodes_at_run_time(child)


def _targets(module: str, name: str | None) -> list[str]:
    """Return where an imported name is defined."""
    if name is None or name == "*":
        return [module]
    if _look_up(f"{module}.{name}"):
        return [f"{module}.{name}"]
    if not _belongs_to_project(module) or _find(module).stem != "__init__":
        return [module]
    handed_on = [source for source, other in _names(module) if other == name]
    return [target for source in handed_on for target in _targets(source, name)] or [module]
