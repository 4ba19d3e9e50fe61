"""Raw rows of reviews as reading a file gives them."""

from typing import Any

import numpy as np
import pandas as pd
from project import ROOT

from pipeline.project.conf import PrepareConfig, load_config

CONFIG = load_config(ROOT / "conf/prepare.yaml", PrepareConfig)
WORDS = [f"word{i}" for i in range(400)]
COLUMNS = ["line", "review_id", "text", "stars", "label", "problem"]


def with_seed(seed: int) -> PrepareConfig:
    return CONFIG.model_copy(update={"seed": seed})


def raw(*rows: dict[str, Any]) -> pd.DataFrame:
    """The table that reading a file gives, with line numbers from 1."""
    table = pd.DataFrame([dict.fromkeys(COLUMNS) | {"line": i, **row} for i, row in enumerate(rows, 1)], dtype=object)
    return table.reindex(columns=COLUMNS)


def review(number: int, stars: Any = None, **more: Any) -> dict[str, Any]:
    """A review of twelve words that no other number shares."""
    words = np.random.default_rng(number).choice(WORDS, 12)
    return {"text": f"n{number} {' '.join(words)}", "stars": number % 5 + 1 if stars is None else stars, **more}


def reviews(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [review(number) for number in range(first, first + n)]
