"""The prepare stage: check the reviews, set aside what cannot be used, split the rest."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.digest import file_digest
from pipeline.experiment.reviews import Source, prepare
from pipeline.files import write_json_lines, write_parquet
from pipeline.project.conf import PrepareConfig, prepare_config
from pipeline.project.paths import SAMPLE, DatasetPaths
from pipeline.shipped import shipped
from pipeline.stages.sources import read_file, read_hub

logger = logging.getLogger(__name__)


def run(
    dataset: str,
    data: str,
    file: Path | None = None,
    train: Path | None = None,
    test: Path | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Run the stage: read the source, write reviews and rejected rows; return the manifest."""
    config, paths = prepare_config(), DatasetPaths(dataset)
    source, origins = _read(config, data, [path for path in (file or train, test) if path])
    n = limit or (config.yelp.limit if data == "yelp" else None)
    reviews, rejected = prepare(source, config, n, origins)

    write_json_lines(paths.rejected, rejected)
    write_parquet(paths.reviews, reviews)
    counted = _count(source, reviews, rejected)
    kept, stars = counted["kept"], counted["stars"]
    logger.info(
        "%s: %d read, %d train, %d test; stars %s", dataset, counted["read"], kept["train"], kept["test"], stars
    )
    given = pd.to_numeric(source.train["stars"], errors="coerce")
    if given.eq(0).any() and not given.eq(5).any():
        logger.warning("%s: stars run from 0 to 4: if 0 means one star, call the column label", dataset)
    if rejected:
        logger.warning("%s: %d rejected, see %s", dataset, len(rejected), paths.rejected)
    options = {"name": dataset, "data": data, "file": file, "train": train, "test": test, "limit": limit}
    return {
        "config": config.model_dump(),
        "options": {name: None if value is None else str(value) for name, value in options.items()},
        **counted,
        "reviews_sha256": file_digest(paths.reviews),
    }


def _read(config: PrepareConfig, data: str, files: list[Path]) -> tuple[Source, tuple[str, str]]:
    """Return raw reviews, and the names of the train and test files."""
    if data == "yelp":
        return read_hub(config.yelp), (f"{config.yelp.repository}/train", f"{config.yelp.repository}/test")
    if data == "sample":
        return Source(read_file(shipped(SAMPLE))), (str(SAMPLE), str(SAMPLE))
    return Source(*map(read_file, files)), (str(files[0]), str(files[-1]))


def _count(source: Source, reviews: pd.DataFrame, rejected: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many rows were read, kept, rejected and why."""
    n_read = len(source.train) + (0 if source.test is None else len(source.test))
    return {
        "read": n_read,
        "kept": {split: int((reviews["split"] == split).sum()) for split in ("train", "test")},
        "stars": {str(star): int(n) for star, n in reviews["stars"].value_counts().sort_index().items()},
        "not_drawn": n_read - len(reviews) - len(rejected),
        "rejected": len(rejected),
        "rejected_reasons": dict(Counter(row["reason"].split(":")[0] for row in rejected)),
    }
