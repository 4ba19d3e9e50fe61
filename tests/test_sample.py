"""The embedded sample: what it holds, how different its reviews are, and whether it teaches anything."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from typing import Any

import pandas as pd
import pytest
from project import ROOT, SHARED_REVIEWS

from pipeline.experiment.reviews import Source, prepare
from pipeline.project.conf import PrepareConfig, load_config
from pipeline.shipped import SAMPLES
from pipeline.sources.raw import read_files
from pipeline.text import words

KEYS = {"review_id", "stars", "category", "text"}
CATEGORIES = {"restaurants", "bars", "hotels", "salons", "shops", "doctors", "repairs"}

with_real_reviews = pytest.mark.skipif(
    not SHARED_REVIEWS.exists(), reason="real reviews are not part of the project: ../shared/data is not there"
)


@pytest.fixture(scope="module")
def sample() -> list[dict[str, Any]]:
    with (ROOT / SAMPLES["sample"]).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def shingles(text: str, n: int) -> set[tuple[str, ...]]:
    tokens = [word.casefold() for word in words(text)]
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


def test_every_review_has_the_same_keys_and_an_id_of_its_own(sample: list[dict[str, Any]]) -> None:
    assert all(set(row) == KEYS for row in sample)
    assert len({row["review_id"] for row in sample}) == len(sample)
    assert all(type(row[key]) is str and row[key].strip() for row in sample for key in KEYS - {"stars"})


def test_there_are_enough_reviews_of_every_star(sample: list[dict[str, Any]]) -> None:
    stars = Counter(row["stars"] for row in sample)
    assert len(sample) >= 400
    assert set(stars) == {1, 2, 3, 4, 5}
    assert min(stars.values()) >= 80


def test_the_kinds_of_business_are_covered_with_good_and_bad_reviews(sample: list[dict[str, Any]]) -> None:
    stars = defaultdict(set)
    for row in sample:
        stars[row["category"]].add(row["stars"])
    assert set(stars) >= CATEGORIES
    assert all(len(stars[category]) >= 4 for category in CATEGORIES)


def test_reviews_are_15_to_300_words_long(sample: list[dict[str, Any]]) -> None:
    lengths = [len(row["text"].split()) for row in sample]
    assert min(lengths) >= 15
    assert max(lengths) <= 300


def test_no_two_reviews_share_more_than_a_fifth_of_their_sequences_of_five_words(sample: list[dict[str, Any]]) -> None:
    sets = [shingles(row["text"], 5) for row in sample]
    holders = defaultdict(list)
    for i, members in enumerate(sets):
        for member in members:
            holders[member].append(i)
    shared = Counter(pair for holder in holders.values() for pair in combinations(holder, 2))
    too_close = [
        (sample[i]["review_id"], sample[j]["review_id"])
        for (i, j), n in shared.items()
        if n > min(len(sets[i]), len(sets[j])) / 5
    ]
    assert too_close == []


def test_prepare_takes_the_whole_sample(sample: list[dict[str, Any]]) -> None:
    config = load_config(ROOT / "conf/prepare.yaml", PrepareConfig)
    prepared = prepare(Source(read_files(ROOT / SAMPLES["sample"])), config)
    kept = prepared.reviews
    assert list(prepared.rejected) == []
    assert prepared.unescaped == {}
    assert set(kept["review_id"]) == {row["review_id"] for row in sample}
    assert set(kept["text"]) == {row["text"] for row in sample}
    assert set(kept.loc[kept["split"] == "test", "stars"]) == {1, 2, 3, 4, 5}


@with_real_reviews
def test_no_ten_words_in_a_row_stand_in_a_real_review(sample: list[dict[str, Any]]) -> None:
    real = set().union(*(shingles(text, 10) for text in pd.read_parquet(SHARED_REVIEWS)["text"]))
    assert len(real) > 100_000
    assert {" ".join(found) for row in sample for found in shingles(row["text"], 10) & real} == set()


@pytest.mark.slow
@with_real_reviews
def test_what_is_learned_from_the_sample_ranks_real_reviews(sample: list[dict[str, Any]]) -> None:
    """On 400 of the 5,000 real reviews, drawn with a fixed seed, as encoding all of them takes minutes."""
    from scipy.stats import spearmanr
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    from pipeline.features import SentenceEmbedding

    real = pd.read_parquet(SHARED_REVIEWS).sample(400, random_state=0)
    model = make_pipeline(SentenceEmbedding(), Ridge())
    model.fit([row["text"] for row in sample], [row["stars"] for row in sample])
    assert spearmanr(model.predict(real["text"].tolist()), real["label"]).statistic >= 0.60
