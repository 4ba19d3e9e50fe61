"""What is installed: files, dependencies, and a library that works without a checkout and without its extras."""

import ast
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOT

from pipeline import __version__

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
EXTRAS["core"] = [Requirement(text) for text in PROJECT["dependencies"]]
# Found by their names as files, not imported.
FONTS = {"matplotlib-fontja", "noto-cjk-sans-otc"}
# Imported by setfit's trainer, which does not declare it, and by pandas where it writes a workbook.
OF_OTHERS = {"accelerate", "openpyxl"}

# The longest beginning of a module's name says which extra it may import from.
USED_BY = {"": "pipeline", "attention.maps": "encoder", "attention.view": "maps", "encoder": "encoder"}
USED_BY |= {"encoder.openvino": "openvino", "features": "encoder", "taguchi.plots": "workbench"}
USED_BY |= dict.fromkeys(["attention", "deal", "digest", "errors", "evaluation", "files", "format", "progress"], "core")
USED_BY |= dict.fromkeys(["features.local_llm", "llm", "peers"], "core")
USED_BY |= dict.fromkeys(["know_how", "scale", "segmentation", "shipped", "taguchi", "text"], "core")
USED_BY |= dict.fromkeys(["features.out_of_fold", "features.t_metrics", "features.text_stats"], "core")
USED_BY |= dict.fromkeys(["features.presence", "features.sentence_metrics", "features.t_estimates"], "core")
USED_BY |= dict.fromkeys(["features.word_items", "features.word_sums"], "core")
USED_BY |= dict.fromkeys(
    [f"experiment.{name}" for name in ("near_identical_minhash", "ray_encoders", "ray_tasks")], "ray"
)


def declared(*extras: str) -> set[str]:
    """Return the distributions of the core and of extras, with the extras that these build on."""
    found: set[str] = set()
    for requirement in (each for extra in ("core", *extras) for each in EXTRAS[extra]):
        builds_on = requirement.name == PROJECT["name"]
        found |= declared(*requirement.extras) if builds_on else {canonicalize_name(requirement.name)}
    return found


def imports(node: ast.AST, everywhere: bool) -> Iterator[str]:
    """Yield the packages that a module imports, in its functions too or only when it is imported itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0]
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        elif everywhere or not isinstance(child, ast.FunctionDef):
            yield from imports(child, everywhere)


def third_party(everywhere: bool) -> Iterator[tuple[str, str, str]]:
    """Yield module, package and distribution of every import from elsewhere."""
    distributions, known = packages_distributions(), declared(*EXTRAS)
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in imports(ast.parse(path.read_text(encoding="utf-8")), everywhere):
            if package not in sys.stdlib_module_names and package != "pipeline":
                names = [canonicalize_name(name) for name in distributions[package]]
                yield module, package, next((name for name in names if name in known), names[0])


def extra_of(module: str) -> str:
    parts = module.split(".")[1:]
    return next(USED_BY[name] for n in range(len(parts), -1, -1) if (name := ".".join(parts[:n])) in USED_BY)


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    found = {distribution for _, _, distribution in third_party(everywhere=True)}
    assert found == declared("pipeline", "openvino", "ray", "peers") - FONTS - OF_OTHERS


def test_a_module_imports_only_what_its_extra_brings() -> None:
    brought = {extra: declared(extra) for extra in EXTRAS}
    wrong = [
        (module, package)
        for module, package, distribution in third_party(everywhere=False)
        if distribution not in brought[extra_of(module)]
    ]
    assert wrong == []


def test_no_dependency_has_two_ranges() -> None:
    ours = {str(each) for requirements in EXTRAS.values() for each in requirements if each.name != PROJECT["name"]}
    names = [Requirement(each).name for each in ours]
    assert sorted(set(names)) == sorted(names)


# The built package ----------------------------------------------------------------------------------------------------


def build(directory: Path, *options: str) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(directory), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)


def files_of(wheel: Path) -> dict[str, int]:
    """Return the name and the checksum of each file."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.CRC for info in archive.infolist()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sdist and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("dist")
    build(directory)
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


def test_a_package_index_takes_both(built: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(built.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.stdout.count("PASSED") == 2, done.stdout + done.stderr


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(wheel: Path, tmp_path: Path) -> None:
    build(tmp_path, "--wheel")
    (other,) = tmp_path.glob("*.whl")
    assert files_of(wheel) == files_of(other)


def test_the_wheel_brings_settings_sample_templates_and_types_but_no_tests(wheel: Path) -> None:
    names = set(files_of(wheel))
    shipped = [*(ROOT / "conf").rglob("*.yaml"), *(ROOT / "data").glob("sample*/*")]
    assert {f"pipeline/defaults/{path.relative_to(ROOT)}" for path in shipped} < names
    pages = [path for path in (ROOT / "pipeline").rglob("*") if path.suffix in {".html", ".css", ".js"}]
    assert len(pages) >= 4
    assert {str(path.relative_to(ROOT)) for path in pages} < names
    assert "pipeline/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pipeline"}


def test_the_sdist_carries_what_a_developer_needs_and_no_results(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = ["Makefile", "constraints.txt", "CHANGELOG.md", "conf/score.yaml", "data/sample/reviews.jsonl"]
    assert {
        *expected,
        "docs/t-method.md",
        "docs/examples/plot_1_factory_table.py",
        "tests/conftest.py",
        "tests/test_package.py",
        "CITATION.cff",
        "SECURITY.md",
        "docs/results/yelp-5000/metrics.csv",
    } < names
    assert not [name for name in names if name.startswith(".ci") or "__pycache__" in name or "_cache/" in name]
    assert not [name for name in names if name.startswith(("reports/", "data/prepared", "mlruns")) and name[-1] != "p"]


def test_there_is_a_console_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "tmva = pipeline.__main__:main" in archive.read(name).decode()


def closure(names: set[str]) -> set[str]:
    """Return distributions with all that they require."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        needed = map(Requirement, requires(name) or [])
        needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        waiting |= {canonicalize_name(each.name) for each in needed} - found
    return found


REUSE = """
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden)
from pathlib import Path
import pipeline.attention, pipeline.evaluation, pipeline.files
from pipeline import __version__, load_sample
from pipeline.features import TextStats, TMetrics
from pipeline.know_how import load_know_how
from pipeline.shipped import shipped
from pipeline.taguchi import TMethodRegressor

train = load_sample()
model = TMethodRegressor().fit(TextStats().fit_transform(train.text), train.stars)
print([len(load_sample(language)) for language in ("en", "ja", "zh")])
print(load_know_how("sample").reader().predict(["Good food, lovely people."]))
print(__version__, len(train), model.predict(TextStats().transform(["Good food, lovely people."])).clip(1, 5))
print(pipeline.__file__)
print(shipped(Path("conf/score.yaml")))
"""


def test_the_library_works_from_its_wheel_in_an_empty_directory_with_the_core_alone(
    wheel: Path, tmp_path: Path
) -> None:
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    core = closure(declared("core"))
    hidden = {package for _, package, distribution in third_party(everywhere=True) if distribution not in core}
    command = [sys.executable, "-c", REUSE.format(hidden=hidden)]
    done = subprocess.run(command, cwd=empty, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sizes, read, results, package, settings = done.stdout.splitlines()
    assert sizes == "[600, 120, 120]"
    assert 4 < float(read.strip("[]")) <= 5
    assert results.startswith(f"{__version__} 600 [")
    assert Path(package) == installed / "pipeline/__init__.py"
    assert Path(settings) == installed / "pipeline/defaults/conf/score.yaml"
    assert list(empty.iterdir()) == []
