"""Digests of files, values and code: what counts, what does not, and that nothing is missed without a word."""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import digest
from pipeline.digest import (
    code_digest,
    file_digest,
    files_digest,
    is_library,
    source_digest,
    value_digest,
    without_words,
)

FILES = {
    "__init__.py": "from mine.words import Words\nfrom mine.other import Other\n",
    "words.py": "from mine import scale\n\n\nclass Words:\n    def count(self):\n        return scale.FACTOR\n",
    "other.py": "class Other:\n    pass\n",
    "scale.py": "FACTOR = 2\n",
    "deep/__init__.py": "",
    "deep/inside.py": "from .. import scale\nfrom ..other import Other\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mine.other import Other\n",
    "user.py": "from mine import Words\n",
    "lazy.py": "def f():\n    import mine.scale\n    return mine.scale.FACTOR\n",
    "optional.py": "try:\n    from mine.nowhere import x\nexcept ImportError:\n    x = None\n",
    "parent.py": "import mine.deep.inside\n\n\ndef f():\n    return mine.deep.LIMIT\n",
    "aside.py": "from helpers_of_mine import K\n",
    "reader.py": "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    from mine.other import Other\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package called mine in the working directory."""
    for name, content in FILES.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path / "mine"
    forget()


def forget() -> None:
    """Read all files again, as the next process would."""
    importlib.invalidate_caches()
    sys.modules.pop("mine", None)
    for cached in (digest._find, digest._source_digest, digest._tree, digest._imports, digest.is_library):
        cached.cache_clear()


def changed(package: Path, file: str, edit: Callable[[str], str], *modules: str) -> list[bool]:
    """Whether an edit of a file changes the digest of each module."""
    before = [code_digest(module) for module in modules]
    (package / file).write_text(edit((package / file).read_text()))
    forget()
    return [code_digest(module) != each for module, each in zip(modules, before, strict=True)]


def test_of_a_models_file_anew_where_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"one")
    assert files_digest(str(path)) == files_digest(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    assert files_digest(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 3_000_000])
def test_of_a_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert file_digest(path) == hashlib.sha256(content).hexdigest()


def test_of_values_does_not_depend_on_the_order_of_keys_and_does_on_everything_else() -> None:
    assert value_digest({"a": 1, "b": [2, 3]}) == value_digest({"b": [2, 3], "a": 1})
    different = [({"a": 1},), ({"a": "1"},), ({"a": 2},), ({"b": 1},), ([1, 2],), ([2, 1],), (1, 2), (None,), ()]
    assert len({value_digest(*values) for values in different}) == len(different)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: f'"""A module."""\n# A comment.\n{text}',
        lambda text: text.replace("class Words:\n", 'class Words:\n    """Some words."""\n\n'),
        lambda text: text.replace("(self):\n", '(self):\n        """Count."""\n        # Why.\n'),
        lambda text: text.replace("scale.FACTOR", "(\n            scale.FACTOR\n        )"),
    ],
)
def test_a_comment_a_docstring_and_layout_change_nothing(package: Path, edit: Callable[[str], str]) -> None:
    assert changed(package, "words.py", edit, "mine.words", "mine.user") == [False, False]


def test_a_text_that_is_no_docstring_counts() -> None:
    assert without_words("x = 'a'") != without_words("x = 'b'")
    assert without_words("def f():\n    'doc'\n    return 'a'") != without_words("def f():\n    return 'b'")


def test_a_change_reaches_all_that_import_it_and_nothing_else(package: Path) -> None:
    modules = ("mine.scale", "mine.words", "mine.user", "mine.deep.inside", "mine.lazy", "mine.other", "mine.typed")
    edit = changed(package, "scale.py", lambda text: text.replace("2", "3"), *modules)
    assert edit == [True, True, True, True, True, False, False]


def test_what_a_package_hands_on_counts_from_where_it_is_defined(package: Path) -> None:
    # Of this project's packages: a user's `__init__` is run, and all that it imports counts.
    assert changed(package, "other.py", lambda text: f"{text}X = 1\n", "mine.user", "mine.scale") == [True, False]
    perturbations = set(digest._imports("pipeline.evaluation.perturbations"))
    assert perturbations == {"pipeline.text", "pipeline.evaluation.british"}
    assert "pipeline.taguchi.t_method" in digest._imports("pipeline.experiment.models")
    assert "pipeline.taguchi" not in digest._imports("pipeline.experiment.models")


def test_what_is_imported_for_types_alone_is_not_run(package: Path) -> None:
    assert changed(package, "other.py", lambda text: f"{text}X = 1\n", "mine.typed") == [False]


def test_of_the_source_alone_knows_no_import(package: Path) -> None:
    before = source_digest("mine.words"), code_digest("mine.words")
    (package / "scale.py").write_text("FACTOR = 3\n")
    forget()
    assert source_digest("mine.words") == before[0]
    assert code_digest("mine.words") != before[1]


def test_a_file_that_moves_keeps_its_digest(package: Path) -> None:
    before = source_digest("mine.scale")
    (package / "scale.py").rename(package / "deep/scale.py")
    forget()
    assert source_digest("mine.deep.scale") == before


@pytest.mark.parametrize("of", [code_digest, source_digest])
@pytest.mark.parametrize("name", ["mine.nowhere", "mine.words.deeper", "pipeline.nosuch", "nosuch", "nosuch.py"])
def test_a_name_that_matches_nothing_is_an_error(package: Path, of: Callable[[str], str], name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"There is no module {name}"):
        of(name)


def test_what_the_user_imports_if_it_is_there_may_be_missing(package: Path) -> None:
    assert changed(package, "optional.py", lambda text: f"{text}X = 1\n", "mine.optional") == [True]


def test_a_second_file_of_the_user_counts(package: Path) -> None:
    (package.parent / "helpers_of_mine.py").write_text("K = 1\n")
    assert changed(package, "../helpers_of_mine.py", lambda text: "K = 2\n", "mine.aside", "mine.words") == [
        True,
        False,
    ]


def test_the_packages_above_an_import_of_the_user_count(package: Path) -> None:
    assert changed(package, "deep/__init__.py", lambda text: "LIMIT = 2\n", "mine.parent", "mine.scale") == [
        True,
        False,
    ]


def test_what_is_not_imported_for_types_counts(package: Path) -> None:
    assert changed(package, "other.py", lambda text: f"{text}X = 1\n", "mine.reader") == [True]


def test_a_package_without_init_counts(package: Path) -> None:
    (package.parent / "plain").mkdir()
    (package.parent / "plain/feature.py").write_text("X = 1\n")
    forget()
    assert not is_library("plain.feature")
    assert changed(package.parent, "plain/feature.py", lambda text: "X = 2\n", "plain.feature") == [True]


def test_the_user_s_modules_are_no_library_and_installed_ones_are(package: Path) -> None:
    assert not is_library("mine.words")
    assert not is_library("pipeline.taguchi")
    assert is_library("sklearn.linear_model")
    assert is_library("json")
