"""The words with the largest S/N ratios, of TMetrics on the sample."""

import numpy as np
import pytest

from pipeline import load_sample
from pipeline.experiment.strongest_words import strongest_words, words_frame
from pipeline.features import SentenceMetrics, TextStats, TMetrics
from pipeline.features.t_metrics import words_and_pairs


def test_it_has_the_words_of_the_sample_with_their_counts_and_values() -> None:
    reviews = load_sample()
    metrics = TMetrics().fit(reviews["text"], reviews["stars"])
    table = strongest_words(metrics.sums_, metrics.metrics_, n=10)
    assert (table["difference"] > 0).tolist() == [True] * 10 + [False] * 10
    for direction in (table[:10], table[10:]):
        assert direction["sn_db"].is_monotonic_decreasing
    held, stars = [set(words_and_pairs(text)) for text in reviews["text"]], reviews["stars"].to_numpy()
    for row in table.itertuples():
        has = np.array([row.item in each for each in held])
        assert row.n_texts == has.sum()
        assert row.difference == pytest.approx(stars[has].mean() - stars[~has].mean())
        # The share of the stars' variance that the item explains, against the share that it does not.
        explained = np.corrcoef(has, stars)[0, 1] ** 2
        assert row.sn_db == pytest.approx(10 * np.log10(explained / (1 - explained)))


def test_nothing_that_carries_nothing_is_in_it() -> None:
    metrics = TMetrics(cv=2).fit(["a b", "b", "c b", "b c"], [1, 5, 3, 3])
    table = strongest_words(metrics.sums_, metrics.metrics_)
    assert "b" not in table["item"].tolist()
    assert "c" not in table["item"].tolist()


def test_words_of_all_features_that_learn_from_words_are_told_apart() -> None:
    texts, stars = ["good", "bad", "so so"], [5, 1, 3]
    fitted = {"a": TMetrics(cv=2).fit(texts, stars), "b": TextStats(), "c": SentenceMetrics(cv=2).fit(texts, stars)}
    assert words_frame(fitted)["features"].unique().tolist() == ["a", "c"]
    assert words_frame({"b": TextStats()}).empty
