"""The prepare stage: check the reviews, set aside what cannot be used, split the rest."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline.digest import file_digest
from pipeline.experiment.reviews import Source, prepare
from pipeline.files import write_json_lines, write_manifest, write_parquet
from pipeline.project.conf import PrepareConfig, prepare_config
from pipeline.project.paths import SAMPLE, DatasetPaths
from pipeline.shipped import shipped
from pipeline.stages.sources import read_file, read_hub

logger = logging.getLogger(__name__)


class _Read(NamedTuple):
    """Raw reviews, the names of the train and test files, and the digest or revision of each file."""

    source: Source
    origins: tuple[str, str]
    inputs: dict[str, str]


def run(
    dataset: str,
    data: str,
    file: Path | None = None,
    train: Path | None = None,
    test: Path | None = None,
    limit: int | None = None,
) -> None:
    """Run the stage: read the source, write reviews, rejected rows and the manifest."""
    config, paths = prepare_config(), DatasetPaths(dataset)
    limit = limit or (config.yelp.limit if data == "yelp" else None)
    read = _read(config, data, [path for path in (file or train, test) if path])
    reviews, rejected = prepare(read.source, config, limit, read.origins)

    write_json_lines(paths.rejected, rejected)
    write_parquet(paths.reviews, reviews)
    counted = _count(read.source, reviews, rejected)
    write_manifest(
        paths.prepared,
        {
            "stage": "prepare",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": read.inputs,
            "limit": limit,
            **counted,
            "reviews_sha256": file_digest(paths.reviews),
        },
    )
    kept, stars = counted["kept"], counted["stars"]
    logger.info(
        "%s: %d read, %d train, %d test; stars %s", dataset, counted["read"], kept["train"], kept["test"], stars
    )
    given = pd.to_numeric(read.source.train["stars"], errors="coerce")
    if given.eq(0).any() and not given.eq(5).any():
        logger.warning("%s: stars run from 0 to 4: if 0 means one star, call the column label", dataset)
    if rejected:
        logger.warning("%s: %d rejected, see %s", dataset, len(rejected), paths.rejected)


def _read(config: PrepareConfig, data: str, files: list[Path]) -> _Read:
    if data == "yelp":
        name = config.yelp.repository
        return _Read(read_hub(config.yelp), (f"{name}/train", f"{name}/test"), {name: config.yelp.revision})
    files = [shipped(SAMPLE)] if data == "sample" else files
    source = Source(*map(read_file, files))
    names = [str(SAMPLE)] if data == "sample" else [str(path) for path in files]
    inputs = {name: file_digest(path) for name, path in zip(names, files, strict=True)}
    return _Read(source, (names[0], names[-1]), inputs)


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
