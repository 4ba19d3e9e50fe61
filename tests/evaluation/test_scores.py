"""Scores in every resample: they agree with loops, and their spread is honest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_data import made_up, noisy
from sklearn.metrics import cohen_kappa_score

from pipeline.evaluation.bootstrap import p_value
from pipeline.evaluation.metrics import clip_to_stars, qwk, round_to_stars
from pipeline.evaluation.scores import resample_reviews, score_lines

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=15)
@given(SEEDS)
def test_every_resample_equals_a_loop_over_reviews_and_draws(seed):
    stars, predictions = made_up(seed, n=40)
    resamples = resample_reviews(stars, 8, seed)
    scores = score_lines(stars, predictions, resamples)
    of_draws = np.random.default_rng([seed, 3]).multinomial(3, np.full(3, 1 / 3), size=8)
    # Counts are moved from their mean, 1, by as much as makes up for the mean of the draws that is subtracted.
    of_draws = np.concatenate([np.ones((1, 3)), 1 + (of_draws - 1) * np.sqrt(3 / 2)])
    for b, counts in enumerate(resamples.counts.astype(int)):
        rows = np.repeat(np.arange(40), counts)
        for i, line in enumerate(predictions.values()):
            parts = (*(rows[resamples.half[rows] == half] for half in (0, 1)), rows)
            for kappas, part in zip((*scores.half_qwk, scores.qwk), parts, strict=True):
                each = [qwk(stars[part], round_to_stars(draw[part])) for draw in line]
                expected = np.average(np.nan_to_num(each), weights=of_draws[b])
                assert kappas[b, i] == pytest.approx(expected, abs=1e-9)
            errors = [np.abs(clip_to_stars(draw[rows]) - stars[rows]).mean() for draw in line]
            assert scores.mae[b, i] == pytest.approx(np.average(errors, weights=of_draws[b]), rel=1e-5)


def test_the_estimate_is_the_mean_kappa_of_the_draws_and_their_spread_is_given():
    stars, predictions = made_up()
    scores = score_lines(stars, predictions, resample_reviews(stars, 10, 0))
    for i, line in enumerate(predictions.values()):
        each = [
            cohen_kappa_score(stars, round_to_stars(draw), weights="quadratic", labels=range(1, 6)) for draw in line
        ]
        assert scores.qwk[0, i] == pytest.approx(np.mean(each), abs=1e-9)
        assert scores.qwk_sd[i] == pytest.approx(np.std(each, ddof=1), abs=1e-9)
    one = {line: each[:1] for line, each in predictions.items()}
    assert np.isnan(score_lines(stars, one, resample_reviews(stars, 10, 0)).qwk_sd).all()


def test_resamples_of_few_draws_spread_as_wide_as_draws_do():
    rng = np.random.default_rng(0)
    stars = np.tile([1, 2, 3, 4, 5], 400)
    # Draws differ, and so many held-out reviews hardly do.
    draws = np.stack([stars + rng.normal(0, sd, 2000) for sd in (0.4, 0.7, 1.0, 1.3, 1.6)])
    scores = score_lines(stars, {"m": draws}, resample_reviews(stars, 2000, 0))
    expected = scores.qwk_sd[0] / np.sqrt(5)
    assert scores.qwk[1:, 0].std() == pytest.approx(expected, rel=0.1)


def test_the_halves_are_stratified_and_have_each_review_once():
    stars = np.repeat([1, 2, 3, 4, 5], [50, 30, 20, 40, 60])
    half = resample_reviews(stars, 10, 3).half
    for star in range(1, 6):
        of_star = half[stars == star]
        assert abs((of_star == 0).sum() - (of_star == 1).sum()) <= 1


def test_no_difference_gives_p_values_that_are_as_often_small_as_they_say():
    p = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        stars = rng.integers(1, 6, 150)
        predictions = {name: noisy(stars, 1.0, 1, rng) for name in "ab"}
        scores = score_lines(stars, predictions, resample_reviews(stars, 199, seed))
        p.append(p_value(scores.qwk[:, 0] - scores.qwk[:, 1]))
    assert np.mean(np.array(p) < 0.05) < 0.11
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.15)
