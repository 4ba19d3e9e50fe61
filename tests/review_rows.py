"""Raw rows of reviews as reading a file gives them."""

from typing import Any

import numpy as np
import pandas as pd
from project import ROOT

from pipeline.experiment.reviews import Source, prepare
from pipeline.experiment.usable import check
from pipeline.project.conf import PrepareConfig, load_config
from pipeline.scale import FIVE_STARS, Scale
from pipeline.sources.raw import RawRows, as_parts
from pipeline.sources.row import Row

CONFIG = load_config(ROOT / "conf/prepare.yaml", PrepareConfig)
WORDS = [f"word{i}" for i in range(400)]


def with_seed(seed: int) -> PrepareConfig:
    return CONFIG.model_copy(update={"seed": seed})


def raw(*rows: dict[str, Any]) -> pd.DataFrame:
    """The table that reading a file gives, with line numbers from 1."""
    return pd.concat(as_parts((Row(i, row, row.get("problem")) for i, row in enumerate(rows, 1)), "x"))


def raw_rows(*tables: pd.DataFrame, origin: str = "x", labels: bool = False) -> RawRows:
    """Tables as a source of rows, one part each."""
    return RawRows(origin, labels, lambda: (table.assign(file=origin) for table in tables))


def source_of(train: pd.DataFrame, test: pd.DataFrame | None = None, labels: bool = False) -> Source:
    given = None if test is None else raw_rows(test, origin="test.csv", labels=labels)
    return Source(raw_rows(train, origin="train.csv", labels=labels), given)


def review(number: int, stars: Any = None, **more: Any) -> dict[str, Any]:
    """A review of twelve words that no other number shares."""
    words = np.random.default_rng(number).choice(WORDS, 12)
    return {"text": f"n{number} {' '.join(words)}", "stars": number % 5 + 1 if stars is None else stars, **more}


def reviews(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [review(number) for number in range(first, first + n)]


def checked(table: pd.DataFrame, origin: str = "x", labels: bool = False) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    accepted, rejected = check(raw_rows(table, origin=origin, labels=labels))
    return accepted, list(rejected)


def prepared(
    source: Source, config: PrepareConfig, limit: int | None = None, scale: Scale | None = FIVE_STARS
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    result = prepare(source, config, limit, scale)
    assert len(result.reviews) + len(result.rejected) <= result.n_read
    return result.reviews, list(result.rejected)
