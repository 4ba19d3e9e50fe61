"""The part of each word in the columns of TMetrics that are sums over words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import load_sample
from pipeline.features import TMetrics
from pipeline.features.t_metrics import words_and_pairs

REVIEWS = load_sample()[:150]
METRICS = TMetrics(target_range=(1, 5)).fit(REVIEWS["text"], REVIEWS["stars"])
NAMES = METRICS.get_feature_names_out().tolist()


@given(st.lists(st.sampled_from([*METRICS.items_[::7], "xyzzy"]), max_size=30))
def test_they_sum_up_to_the_columns(words: list[str]) -> None:
    text = " ".join(words)
    items, columns, shares = METRICS.column_shares(text)
    assert shares.shape == (len(items), len(columns))
    expected = METRICS.transform([text])[0, [NAMES.index(name) for name in columns]]
    np.testing.assert_allclose(shares.sum(axis=0), expected, atol=1e-12)
    assert set(items) <= set(words_and_pairs(text))
    assert len(set(items)) == len(items)


def test_columns_that_are_no_sums_are_left_out() -> None:
    _, columns, _ = METRICS.column_shares("good")
    assert [name for name in NAMES if name not in columns] == ["log_n_items", "sd", "strongest_up", "strongest_down"]


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected"):
        METRICS.column_shares(5)  # type: ignore[arg-type]
