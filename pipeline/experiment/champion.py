"""The model that predicts where none is named: the best line that the score stage has saved."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import PipelineError
from pipeline.experiment.bounded import BoundedRegressor
from pipeline.experiment.named import packages
from pipeline.experiment.saved import load
from pipeline.files import MANIFEST, reading
from pipeline.project.conf import feature_configs, score_config
from pipeline.project.paths import DatasetPaths


def champion(lines: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the best line that is saved as a model; None where none is.

    Parameters
    ----------
    lines : iterable of mapping
        The entries of lines.json, best first.

    Examples
    --------
    >>> champion([{"name": "a", "model_file": None}, {"name": "b", "model_file": "b.skops"}])["name"]
    'b'
    """
    return next((line for line in lines if line["model_file"]), None)


class SavedModel(NamedTuple):
    """Where a model is.

    Attributes
    ----------
    about : str
        Its dataset and its line, for a reader.
    path : Path
    packages : tuple of str
        Packages of the user that it needs.
    """

    about: str
    path: Path
    packages: tuple[str, ...] = ()


def find_model(dataset: str | None, file: Path | None) -> SavedModel:
    """Return a model by its file, or the champion of a dataset.

    Parameters
    ----------
    dataset : str or None
        None: the one whose models were made last.
    file : Path or None
        None: the champion.

    Raises
    ------
    PipelineError
        If there is no such dataset or file, or no model in it.
    """
    if file is None:
        paths = DatasetPaths(dataset or _last_dataset())
        line = champion(_lines(paths))
        if line is None:
            raise PipelineError(f"{paths.lines} names no saved model: run the score stage again")
        return _saved(paths, line)
    if not file.is_file():
        raise PipelineError(f"{file} is no file: give a model of reports/<dataset>/models by --model (MODEL=)")
    paths = DatasetPaths.of_reports(file.absolute().parent.parent)
    lines = _lines(paths) if paths.models == file.absolute().parent and paths.lines.exists() else []
    known = next((line for line in lines if line["model_file"] == file.name), None)
    if not known and not _is_model(file):
        raise PipelineError(f"{file} is no model: give a file of reports/<dataset>/models by --model (MODEL=)")
    return _saved(paths, known) if known else SavedModel(file.name, file)


def _is_model(file: Path) -> bool:
    """Return whether a file is an archive as skops writes it."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return "schema.json" in archive.namelist()


def load_model(saved: SavedModel) -> BoundedRegressor:
    """Read a model, whose types are checked before.

    Raises
    ------
    PipelineError
        If it is missing or damaged, holds a type from elsewhere, or does not predict stars from texts.
    """
    model, _ = load(saved.path, "score", saved.packages)
    if not isinstance(model, BoundedRegressor):
        raise PipelineError(
            f"{saved.path} holds {type(model).__name__}, which does not predict stars from texts: "
            "give a model of reports/<dataset>/models by --model (MODEL=)"
        )
    return model


def _saved(paths: DatasetPaths, line: Mapping[str, Any]) -> SavedModel:
    about = f"{paths.dataset} · {line['name']}"
    # A copied directory of reports may name any package: only those that conf names, too, are trusted.
    config, configs = score_config(), feature_configs()
    known = packages([*config.models, *config.baselines, *(each.transformer for each in configs.values())])
    return SavedModel(about, paths.models / line["model_file"], tuple(set(known) & set(line.get("packages", []))))


def _lines(paths: DatasetPaths) -> list[dict[str, Any]]:
    if not (paths.reports / MANIFEST).exists():
        others = ", ".join(path.parent.name for path in _manifests())
        raise PipelineError(
            f"{paths.reports} holds no complete score: "
            + (f"name one of the datasets {others} by --dataset" if others else "run make all (tmva all) first")
        )
    with reading(paths.lines, "score"):
        return list(json.loads(paths.lines.read_text(encoding="utf-8")))


def _last_dataset() -> str:
    if not (manifests := _manifests()):
        raise PipelineError("there is no model in reports yet: run make all (tmva all) first")
    return manifests[-1].parent.name


def _manifests() -> list[Path]:
    """Return the manifests of all score stages that are complete, the last one at the end."""
    return sorted(Path("reports").glob(f"*/{MANIFEST}"), key=lambda path: (path.stat().st_mtime_ns, path))
