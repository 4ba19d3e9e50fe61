"""Sides: the choice of a line flatters nobody."""

import numpy as np
import pytest
from score_data import made_up

from pipeline.evaluation.scores import resample_reviews, score_lines
from pipeline.evaluation.sides import last_change, side_of


def test_choosing_the_best_of_many_lines_that_know_nothing_flatters_nobody():
    rng = np.random.default_rng(0)
    stars = rng.integers(1, 6, 300)
    predictions = {f"m{i}": rng.uniform(1, 5, (1, 300)) for i in range(60)}
    scores = score_lines(stars, predictions, resample_reviews(stars, 200, 0))
    best_of_all = scores.qwk[0].max()
    side = side_of(scores, list(predictions))
    assert best_of_all > 0.08
    assert abs(side.qwk[0]) < 0.06
    assert side.line == list(predictions)[int(scores.qwk[0].argmax())]


def test_a_side_of_one_line_is_that_line_measured_half_by_half():
    stars, predictions = made_up()
    scores = score_lines(stars, predictions, resample_reviews(stars, 20, 0))
    side = side_of(scores, ["m1", "not fitted"])
    np.testing.assert_allclose(side.qwk, scores.half_qwk[:, :, 1].mean(axis=0))
    with pytest.raises(ValueError, match="None of the lines m7 was fitted"):
        side_of(scores, ["m7"])


@pytest.mark.parametrize(
    ("difference", "where"), [([1, 2, -2], 2.5), ([1, -1, 1, -3], 3.25), ([1, -1, 1], np.nan), ([0, 1, -1], np.nan)]
)
def test_the_last_change_of_sign_counts_where_the_ends_differ(difference, where):
    found = last_change(np.arange(1.0, 1 + len(difference)), np.array(difference, dtype=float))
    assert found == pytest.approx(where, nan_ok=True)
