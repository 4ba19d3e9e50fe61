"""The scale of a dataset's stars, as the prepare stage has kept it."""

from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.files import MANIFEST, read_manifest
from pipeline.project.paths import DatasetPaths
from pipeline.scale import FIVE_STARS, Scale


def dataset_scale(paths: DatasetPaths) -> Scale:
    """Return the scale of a dataset's prepared reviews.

    Raises
    ------
    PipelineError
        If the manifest of the prepare stage names none that can be read.
    """
    return kept_scale(paths.prepared, "prepare")


def kept_scale(directory: Path, made_by: str) -> Scale:
    """Return the scale that the manifest in a directory names, 1 to 5 where it names none.

    Raises
    ------
    PipelineError
        If it cannot be read; `made_by` names the stage that writes it.
    """
    try:
        return Scale.parse(str(read_manifest(directory).get("scale", FIVE_STARS.written)))
    except ValueError as error:
        raise PipelineError(f"{directory / MANIFEST}: {error} Run the {made_by} stage again.") from None
