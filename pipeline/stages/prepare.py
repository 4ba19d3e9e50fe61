"""The prepare stage: check the reviews, set aside what cannot be used, split the rest."""

import logging
from pathlib import Path
from typing import Any

from pipeline.digest import file_digest
from pipeline.experiment.reviews import Prepared, Source, prepare
from pipeline.files import write_json_lines, write_parquet
from pipeline.project.conf import PrepareConfig, prepare_config
from pipeline.project.paths import DatasetPaths
from pipeline.scale import Scale
from pipeline.segmentation import common_language
from pipeline.shipped import SAMPLES, shipped
from pipeline.sources.columns import NO_NAMES, ColumnNames
from pipeline.sources.hub import read_hub
from pipeline.sources.raw import read_files

logger = logging.getLogger(__name__)

# From this share of all reviews on, one group of nearly identical texts is worth a word.
_LARGE_GROUP = 0.2
# From this share of all rows on, stars off the scale are no mistakes.
_MANY = 0.1


def run(
    dataset: str,
    data: str,
    file: Path | None = None,
    train: Path | None = None,
    test: Path | None = None,
    limit: int | None = None,
    columns: ColumnNames = NO_NAMES,
    scale: str | None = None,
    encoding: str | None = None,
) -> dict[str, Any]:
    """Run the stage: read the source, write reviews and rejected rows; return the manifest."""
    config, paths = prepare_config(), DatasetPaths(dataset)
    files = [path for path in (file or train, test) if path]
    source = _source(config, data, files, columns, encoding)
    n = limit or (config.yelp.limit if data == "yelp" else None)
    prepared = prepare(source, config, n, Scale.parse(scale) if scale else None)

    write_json_lines(paths.rejected, prepared.rejected)
    write_parquet(paths.reviews, prepared.reviews)
    counted = _count(prepared)
    _log(dataset, prepared, counted, paths.rejected)
    options = {"name": dataset, "data": data, "file": file, "train": train, "test": test, "limit": limit}
    options |= {"text": columns.text, "stars": columns.stars, "id": columns.review_id, "category": columns.category}
    options |= {"scale": scale, "encoding": encoding}
    return {
        "config": config.model_dump(),
        "options": {name: None if value is None else str(value) for name, value in options.items()},
        **counted,
        "reviews_sha256": file_digest(paths.reviews),
    }


def _source(config: PrepareConfig, data: str, files: list[Path], columns: ColumnNames, encoding: str | None) -> Source:
    if data == "yelp":
        return Source(*read_hub(config.yelp))
    if data in SAMPLES:
        return Source(read_files(shipped(SAMPLES[data]), origin=str(SAMPLES[data])))
    return Source(*(read_files(file, columns, encoding) for file in files))


def _count(prepared: Prepared) -> dict[str, Any]:
    """Return how many rows were read, kept, rejected and why."""
    reviews, rejected = prepared.reviews, prepared.rejected
    return {
        "scale": prepared.rating.scale.written,
        "language": common_language(reviews["text"]),
        "read": prepared.n_read,
        "kept": {split: int((reviews["split"] == split).sum()) for split in ("train", "test")},
        "stars": {f"{star:g}": int(n) for star, n in reviews["stars"].value_counts().sort_index().items()},
        "not_drawn": prepared.n_read - len(reviews) - len(rejected),
        "rejected": len(rejected),
        "rejected_reasons": dict(rejected.reasons),
        "near_identical": {"reviews": prepared.n_alike, "largest": prepared.largest_group},
        "unescaped": prepared.unescaped,
        "rounded": prepared.rating.rounded,
    }


def _log(dataset: str, prepared: Prepared, counted: dict[str, Any], rejected: Path) -> None:
    kept, n = counted["kept"], len(prepared.reviews)
    logger.info(
        "%s: %d read, %d train, %d test; stars %s",
        *(dataset, counted["read"], kept["train"], kept["test"], counted["stars"]),
    )
    if prepared.rating.offset:
        logger.info("%s: labels from 0 on are stars from %d on", dataset, prepared.rating.offset)
    n_off = sum(n for reason, n in prepared.rejected.reasons.items() if reason.startswith("stars not"))
    if n_off >= _MANY * counted["read"]:
        scale = prepared.rating.scale
        logger.warning(
            "%s: %d of %d rows have no star on the scale %s: is it another one (SCALE=)?",
            *(dataset, n_off, counted["read"], scale),
        )
    if undone := ", ".join(f"{kind} in {count}" for kind, count in prepared.unescaped.items()):
        logger.info("%s: undone what an export left in the texts: %s of %d reviews", dataset, undone, n)
    if prepared.rating.rounded:
        logger.warning("%s: numbers between the values of the scale %s are rounded", dataset, prepared.rating.scale)
    if prepared.largest_group >= max(3, _LARGE_GROUP * n):
        logger.warning(
            "%s: %d of %d reviews are nearly identical and stay on one side of the split: see near_identical in "
            "conf/prepare.yaml",
            *(dataset, prepared.largest_group, n),
        )
    if counted["rejected"]:
        logger.warning("%s: %d rejected, see %s", dataset, counted["rejected"], rejected)
