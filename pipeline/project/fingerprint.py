"""What is stale: a stage is run again once its code, its settings or its data differ from those of its last run."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.digest import code_digest, file_digest, files_digest, is_library, value_digest
from pipeline.files import MANIFEST, read_json, read_made_from, read_manifest, write_json
from pipeline.project import conf
from pipeline.project.language import dataset_sample, dataset_score_config
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import TABLES, table_path
from pipeline.segmentation import used_dictionaries
from pipeline.shipped import SAMPLES, shipped

_TEMPLATES = Path(__file__).parents[1] / "report" / "templates"


class _Stage(NamedTuple):
    """Where the manifest of a stage is, which files of conf it reads, what it reads and leaves beside its tables.

    Files are named as in `_files`.
    """

    manifest: str
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


_FITTED = ("reviews", "parts", "feature_costs")
# These measure in stars, and so depend on how many there are.
_BY_SCALE = ("features", "score", "curves", "peers", "robustness", "report", "log")
_RESULTS = ("reviews", *TABLES, "predictions", "lines", "verdict")
_STAGES = {
    "prepare": _Stage(f"prepared/{MANIFEST}", ("prepare.yaml",), (), ("reviews",)),
    "features": _Stage(
        f"features/{MANIFEST}", ("features",), ("reviews",), ("parts", "feature_costs", "transformers", "tokens")
    ),
    "score": _Stage(f"reports/{MANIFEST}", ("score.yaml",), ("reviews", "parts"), ("predictions", "lines", "models")),
    "curves": _Stage(f"curves/{MANIFEST}", ("score.yaml", "curves.yaml"), (*_FITTED, "metrics"), ("verdict",)),
    "robustness": _Stage(
        f"robustness/{MANIFEST}",
        ("score.yaml", "robustness.yaml"),
        (*_FITTED, "metrics", "predictions", "curves", "sides", "contrasts", "sample"),
        (),
    ),
    "report": _Stage("reports/report.json", ("report.yaml",), (*_RESULTS, "templates"), ("page", "summary")),
    "log": _Stage("reports/runs.json", (), _RESULTS, ()),
}
STAGES = tuple(_STAGES)
# No part of `make all`: it takes minutes to hours.
_STAGES["peers"] = _Stage(f"peers/{MANIFEST}", ("score.yaml", "curves.yaml", "peers.yaml"), (*_FITTED, "metrics"), ())


def _features_settings(paths: DatasetPaths) -> Any:
    configs, parts = conf.feature_configs(), dataset_score_config(paths).parts
    used = [configs[part] for part in parts if part in configs]
    files = [files_digest(config.params.get("model")) for config in used]
    code = _code(config.transformer for config in used)
    # Where the extra [cjk] is new, words are read in place of characters.
    return [parts, [config.model_dump() for config in used], code, files, used_dictionaries()]


def _score_settings(paths: DatasetPaths) -> Any:
    config = dataset_score_config(paths)
    ablations = config.ablations.models if config.ablations else []
    return [config.model_dump(), _code([*config.models, *config.baselines, *ablations]), used_dictionaries()]


_SETTINGS: dict[str, Callable[[DatasetPaths], Any]] = {
    "prepare.yaml": lambda _: conf.prepare_config().model_dump(),
    "features": _features_settings,
    "score.yaml": _score_settings,
    "curves.yaml": lambda _: conf.curves_config().model_dump(),
    "peers.yaml": lambda _: conf.peers_config().model_dump(),
    "robustness.yaml": lambda _: conf.robustness_config().model_dump(),
    "report.yaml": lambda _: conf.report_config().model_dump(),
}


def _code(names: Iterable[str]) -> list[str]:
    """Return digests of the user's modules that dotted names come from."""
    modules = sorted({name.rpartition(".")[0] for name in names if "." in name})
    return [_module_digest(module) for module in modules if not is_library(module)]


def _module_digest(module: str) -> str:
    try:
        return code_digest(module)
    except (ImportError, SyntaxError, UnicodeDecodeError):
        # The stage that imports it says so, with the file of conf that names it.
        return "missing"


def _files(paths: DatasetPaths, name: str) -> list[Path]:
    """Return the files behind a name: a table of results, an attribute of the paths, or a group."""
    groups: dict[str, Callable[[], list[Path]]] = {
        "parts": lambda: [paths.feature(part) for part in dataset_score_config(paths).parts],
        "transformers": lambda: [paths.transformer(part) for part in dataset_score_config(paths).parts],
        "tokens": lambda: [paths.tokens / name for name in [read_manifest(paths.features).get("tokens")] if name],
        "models": lambda: [paths.models / name for name in read_manifest(paths.reports).get("models", [])],
        "sample": lambda: [shipped(SAMPLES[dataset_sample(paths)])],
        "templates": lambda: sorted(path for path in _TEMPLATES.rglob("*") if path.is_file()),
    }
    if name in groups:
        return groups[name]()
    return [table_path(paths, name) if name in TABLES else getattr(paths, name)]


class StageDigests(NamedTuple):
    """What a stage depends on, as digests by their names; part of its manifest.

    Attributes
    ----------
    fingerprint : dict of str to str
        Of code, options and settings, and the scale of the stars.
    inputs : dict of str to str
        Of the files that the stage reads.
    """

    fingerprint: dict[str, str]
    inputs: dict[str, str]


def stage_digests(stage: str, paths: DatasetPaths, options: Mapping[str, Any]) -> StageDigests:
    """Return what a stage depends on today.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    paths : DatasetPaths
    options : mapping
        What the stage is called with beside the data set; of a path the content counts too.
    """
    files = [path for name in _STAGES[stage].inputs for path in _files(paths, name)]
    files += [shipped(SAMPLES[options["data"]])] if options.get("data") in SAMPLES else []
    # Of what lies elsewhere the name will do, so that a project may move.
    inputs = {path.name if path.is_absolute() else str(path): path for path in files}
    inputs |= {name: value for name, value in options.items() if isinstance(value, Path)}
    settings = {str(CONF / name): value_digest(_SETTINGS[name](paths)) for name in _STAGES[stage].settings}
    settings |= {"scale": dataset_scale(paths).written} if stage in _BY_SCALE else {}
    return StageDigests(
        {"code": code_digest(f"pipeline.stages.{stage}"), "options": value_digest(dict(options)), **settings},
        {name: _data_digest(path) for name, path in inputs.items()},
    )


def _data_digest(path: Path) -> str:
    """Return the digest that a table of a feature carries, else that of the file's content; of a directory, all."""
    if path.is_dir():
        return files_digest(path)
    if not path.is_file():
        return "missing"
    return read_made_from(path) or file_digest(path)


def is_stale(stage: str, paths: DatasetPaths, now: StageDigests) -> bool:
    """Return whether a stage is to be run: what it depends on has changed, or something that it left is gone."""
    manifest = read_json(_manifest(stage, paths))
    if any(manifest.get(name) != digests for name, digests in now._asdict().items()):
        return True
    left = [*_STAGES[stage].outputs, *(name for name, table in TABLES.items() if table.stage == stage)]
    return not all(path.exists() for name in left for path in _files(paths, name))


def mark_stale(stage: str, paths: DatasetPaths) -> None:
    """Take the digests out of a manifest, so that a stage that breaks off is run again; the rest may still be read."""
    path = _manifest(stage, paths)
    if content := read_json(path):
        write_json(path, {name: value for name, value in content.items() if name not in StageDigests._fields})


def write_stage_manifest(stage: str, paths: DatasetPaths, facts: Mapping[str, Any] | None, now: StageDigests) -> None:
    """Write the manifest, the last act of a stage; without facts, add to what the stage has written itself."""
    path = _manifest(stage, paths)
    content = read_json(path) if facts is None else facts
    write_json(path, {"stage": stage, "dataset": paths.dataset, **content, **now._asdict()})


def _manifest(stage: str, paths: DatasetPaths) -> Path:
    directory, name = _STAGES[stage].manifest.split("/")
    return Path(getattr(paths, directory), name)
