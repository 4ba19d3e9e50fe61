"""Draws of training reviews: nested and reproducible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.draws import draw, draw_sizes

STARS = st.lists(st.integers(1, 5), min_size=2, max_size=200)


@given(STARS, st.integers(0, 1000), st.integers(0, 29))
def test_a_larger_draw_holds_the_smaller_ones_of_its_repeat(stars, seed, repeat):
    before: set[int] = set()
    for n in range(1, len(stars) + 1):
        rows = draw(stars, n, repeat, seed)
        assert len(set(rows.tolist())) == n
        assert (np.diff(rows) > 0).all()
        assert before <= set(rows.tolist())
        before = set(rows.tolist())


def test_repeats_and_seeds_differ_and_the_same_ones_agree():
    stars = np.tile([1, 2, 3, 4, 5], 40)
    first = draw(stars, 20, 0, 7)
    np.testing.assert_array_equal(draw(stars, 20, 0, 7), first)
    assert set(draw(stars, 20, 1, 7)) != set(first)
    assert set(draw(stars, 20, 0, 8)) != set(first)


@pytest.mark.parametrize(
    ("n_train", "expected"),
    [(5000, {10: 3, 200: 2, 5000: 1}), (100, {10: 3, 100: 1}), (200, {10: 3, 200: 1}), (10, {10: 1}), (6, {6: 1})],
)
def test_the_last_size_is_all_training_reviews_drawn_once(n_train, expected):
    assert draw_sizes({200: 2, 10: 3}, n_train) == expected
