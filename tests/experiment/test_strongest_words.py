"""The words with the largest S/N ratios, of TMetrics on the sample."""

import numpy as np
import pytest

from pipeline import load_sample
from pipeline.experiment.strongest_words import strongest_words
from pipeline.features import TMetrics
from pipeline.features.t_metrics import words_and_pairs


def test_it_has_the_words_of_the_sample_with_their_counts_and_values() -> None:
    reviews = load_sample()
    metrics = TMetrics().fit(reviews["text"], reviews["stars"])
    items, (beta, eta) = metrics.items_.tolist(), (each[:, 0] for each in metrics.metrics_)
    held = [set(words_and_pairs(text)) for text in reviews["text"]]
    df = np.array([sum(item in each for each in held) for item in items[:400]])
    value = np.divide(eta / (1 + eta), beta, out=np.zeros_like(beta), where=beta != 0)
    table = strongest_words(items[:400], df, value[:400], eta[:400], n=10)
    assert (table["value"] > 0).tolist() == [True] * 10 + [False] * 10
    for direction in (table[:10], table[10:]):
        assert direction["sn_db"].is_monotonic_decreasing
    stars = reviews["stars"].to_numpy()
    for row in table.itertuples():
        has = np.array([row.item in each for each in held])
        assert row.n_texts == has.sum()
        assert row.value == pytest.approx(stars[has].mean() - stars[~has].mean())
        # The share of the stars' variance that the item explains, against the share that it does not.
        explained = np.corrcoef(has, stars)[0, 1] ** 2
        assert row.sn_db == pytest.approx(10 * np.log10(explained / (1 - explained)))


def test_nothing_that_carries_nothing_is_in_it() -> None:
    table = strongest_words(["a", "b"], [1, 1], [0.0, 0.0], [0.0, 0.0])
    assert list(table) == ["item", "n_texts", "value", "sn_db"]
    assert table.empty
