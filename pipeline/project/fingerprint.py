"""What is stale: a stage is run again once its code, its settings or its data differ from those of its last run."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.digest import code_digest, file_digest, is_library, value_digest
from pipeline.files import MANIFEST, read_json, read_made_from, write_json
from pipeline.project.conf import (
    curves_config,
    feature_configs,
    prepare_config,
    report_config,
    robustness_config,
    score_config,
)
from pipeline.project.paths import CONF, SAMPLE, DatasetPaths
from pipeline.project.tables import TABLES, table_path
from pipeline.shipped import shipped

_REPORT_TEMPLATES = Path(__file__).parents[1] / "report" / "templates"

Settings = Callable[[], Any]


class _Stage(NamedTuple):
    """What a stage reads and leaves, beside its tables.

    Attributes
    ----------
    manifest : callable
        Where its fingerprint is kept.
    settings : mapping of str to callable
        What it reads of conf, by the name of the file.
    inputs : callable
        The files that it reads.
    outputs : callable
        Files that it leaves.
    """

    manifest: Callable[[DatasetPaths], Path]
    settings: Mapping[str, Settings]
    inputs: Callable[[DatasetPaths], list[Path]]
    outputs: Callable[[DatasetPaths], list[Path]]


def _features_settings() -> Any:
    configs, parts = feature_configs(), score_config().parts
    used = [configs[part] for part in parts if part in configs]
    return [parts, [config.model_dump() for config in used], _code(config.transformer for config in used)]


def _score_settings() -> Any:
    config = score_config()
    ablations = config.ablations.models if config.ablations else []
    return [config.model_dump(), _code([*config.models, *config.baselines, *ablations])]


def _code(names: Iterable[str]) -> list[str]:
    """Return digests of the user's modules that dotted names come from."""
    modules = sorted({name.rpartition(".")[0] for name in names if "." in name})
    return [code_digest(module) for module in modules if not is_library(module)]


def _parts(paths: DatasetPaths) -> list[Path]:
    return [paths.feature(part) for part in score_config().parts]


def _results(paths: DatasetPaths) -> list[Path]:
    tables = [table_path(paths, name) for name in TABLES]
    return [paths.reviews, *tables, paths.predictions, paths.lines, paths.verdict]


_SCORE, _CURVES = {"score.yaml": _score_settings}, {"curves.yaml": lambda: curves_config().model_dump()}
_STAGES = {
    "prepare": _Stage(
        lambda paths: paths.prepared / MANIFEST,
        {"prepare.yaml": lambda: prepare_config().model_dump()},
        lambda paths: [],
        lambda paths: [paths.reviews],
    ),
    "features": _Stage(
        lambda paths: paths.features / MANIFEST,
        {"features": _features_settings},
        lambda paths: [paths.reviews],
        lambda paths: [*_parts(paths), paths.feature_costs],
    ),
    "score": _Stage(
        lambda paths: paths.reports / MANIFEST,
        _SCORE,
        lambda paths: [paths.reviews, *_parts(paths)],
        lambda paths: [paths.predictions, paths.lines],
    ),
    "curves": _Stage(
        lambda paths: paths.curves / MANIFEST,
        _SCORE | _CURVES,
        lambda paths: [paths.reviews, *_parts(paths), table_path(paths, "metrics"), paths.feature_costs],
        lambda paths: [paths.verdict],
    ),
    "robustness": _Stage(
        lambda paths: paths.robustness / MANIFEST,
        _SCORE | {"robustness.yaml": lambda: robustness_config().model_dump()},
        lambda paths: [
            *(paths.reviews, *_parts(paths), paths.predictions, paths.feature_costs, shipped(SAMPLE)),
            *(table_path(paths, name) for name in ("metrics", "curves", "sides")),
        ],
        lambda paths: [],
    ),
    "report": _Stage(
        lambda paths: paths.reports / "report.json",
        {"report.yaml": lambda: report_config().model_dump()},
        lambda paths: [*_results(paths), *sorted(_REPORT_TEMPLATES.iterdir())],
        lambda paths: [paths.page, paths.summary],
    ),
    "log": _Stage(lambda paths: paths.runs, {}, _results, lambda paths: []),
}
STAGES = tuple(_STAGES)


class MadeFrom(NamedTuple):
    """What a stage depends on, as digests by their names; part of its manifest.

    Attributes
    ----------
    fingerprint : dict of str to str
        Of code, options and settings.
    inputs : dict of str to str
        Of the files that the stage reads.
    """

    fingerprint: dict[str, str]
    inputs: dict[str, str]


def made_from(stage: str, paths: DatasetPaths, options: Mapping[str, Any]) -> MadeFrom:
    """Return what a stage depends on today.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    paths : DatasetPaths
    options : mapping
        What the stage is called with beside the data set; of a path the content counts too.
    """
    spec = _STAGES[stage]
    files = [*spec.inputs(paths), *(value for value in options.values() if isinstance(value, Path))]
    if options.get("data") == "sample":
        files.append(shipped(SAMPLE))
    settings = {str(CONF / name): value_digest(read()) for name, read in spec.settings.items()}
    return MadeFrom(
        {"code": code_digest(f"pipeline.stages.{stage}"), "options": value_digest(dict(options)), **settings},
        # Of what lies elsewhere the name will do, so that a project may move.
        {path.name if path.is_absolute() else str(path): _data_digest(path) for path in files},
    )


def _data_digest(path: Path) -> str:
    """Return what a table was made from where it says so, else the digest of its content."""
    if not path.is_file():
        return "missing"
    return read_made_from(path) or file_digest(path)


def is_stale(stage: str, paths: DatasetPaths, now: MadeFrom) -> bool:
    """Return whether a stage is to be run: what it depends on has changed, or something that it left is gone."""
    manifest = read_json(_STAGES[stage].manifest(paths))
    if any(manifest.get(name) != digests for name, digests in now._asdict().items()):
        return True
    tables = [table_path(paths, name) for name, table in TABLES.items() if table.stage == stage]
    return not all(path.exists() for path in [*_STAGES[stage].outputs(paths), *tables])


def write_stage_manifest(stage: str, paths: DatasetPaths, facts: Mapping[str, Any] | None, now: MadeFrom) -> None:
    """Write the manifest, the last act of a stage; without facts, add to what the stage has written itself."""
    path = _STAGES[stage].manifest(paths)
    content = read_json(path) if facts is None else facts
    write_json(path, {"stage": stage, "dataset": paths.dataset, **content, **now._asdict()})
