"""Columns of many reviews: the numbers are those of one process, whatever is taken at a time."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from pipeline.errors import PipelineError
from pipeline.experiment import columns, text_columns
from pipeline.features import SentenceMetrics, TextStats, TMetrics
from pipeline.features.text_stats import SAYS_LITTLE

WORDS = ["ramen", "cold", "kind", "never", "again", "great.", "slow.", "!"]


def made_up_reviews(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "review_id": [f"r{i}" for i in range(n)],
            "text": [" ".join(rng.choice(WORDS, rng.integers(1, 20))) for _ in range(n)],
            "stars": rng.integers(1, 6, n),
            "split": np.where(rng.random(n) < 0.75, "train", "test"),
        }
    )


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")


@pytest.mark.usefixtures("in_one_process")
def test_many_reviews_have_the_columns_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = made_up_reviews(230)
    few = {"stats": TextStats(), "words": TMetrics(), "sentences": SentenceMetrics()}
    many = {name: clone(each) for name, each in few.items()}
    expected, _ = columns.fit_transform(few, reviews, tmp_path / "shards", tmp_path / "tokens")
    monkeypatch.setattr(columns, "_MANY", 1)
    monkeypatch.setattr(text_columns, "_AT_ONCE", 50)
    tables, costs = columns.fit_transform(many, reviews, tmp_path / "shards", tmp_path / "tokens")
    for name, table in expected.items():
        pd.testing.assert_frame_equal(tables[name], table, check_exact=True)
        texts = reviews["text"].tolist()
        np.testing.assert_array_equal(many[name].transform(texts), few[name].transform(texts))
        assert costs[name]["learn_seconds"] > 0


@pytest.mark.usefixtures("in_one_process")
@pytest.mark.parametrize("many", [1, 1000])
def test_what_the_notes_say_once_no_transform_says_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    reviews = made_up_reviews(60).assign(text="Das Essen war kalt")
    monkeypatch.setattr(columns, "_MANY", many)
    with pytest.warns(UserWarning, match=SAYS_LITTLE):
        TextStats().transform(reviews["text"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        columns.fit_transform({"stats": TextStats()}, reviews, tmp_path / "shards", tmp_path / "tokens")


class _Refuses(TextStats):
    def transform(self, X: Any) -> Any:
        raise ValueError("no texts today")


@pytest.mark.usefixtures("in_one_process")
def test_what_refuses_its_texts_is_named() -> None:
    reviews = made_up_reviews(10)
    of_reviews = reviews["text"].to_numpy(dtype=object), reviews["stars"].to_numpy(), np.ones(10, dtype=bool)
    with pytest.raises(PipelineError, match=r"conf/features/mine\.yaml: no texts today"):
        text_columns.text_columns({"mine": _Refuses()}, *of_reviews)
