"""The statistics of the comparison: they agree with loops, count every choice, and find what was put in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from pipeline.evaluation.bootstrap import holm, p_value
from pipeline.evaluation.metrics import clip_to_stars, qwk, round_to_stars
from pipeline.evaluation.sides import Side, resample_reviews, score_lines, side_of
from pipeline.experiment.curves import contrast_table, crossover_table, curve_table

SEEDS = st.integers(0, 2**32 - 1)


def noisy(stars, sd, n_draws, rng):
    """Predictions of a line: the true stars and noise, another in every draw."""
    return stars + rng.normal(0, sd, (n_draws, len(stars)))


def made_up(seed=0, n=60, n_draws=3, sds=(0.5, 1.0)):
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 6, n)
    return stars, {("f", f"m{i}"): noisy(stars, sd, n_draws, rng) for i, sd in enumerate(sds)}


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
            for part, keep in enumerate((resamples.half == 0, resamples.half == 1, np.ones(40, dtype=bool))):
                own = rows[keep[rows]]
                each = [qwk(stars[own], round_to_stars(draw[own])) for draw in line]
                expected = np.average(np.nan_to_num(each), weights=of_draws[b])
                assert scores.qwk[part, b, i] == pytest.approx(expected, abs=1e-9)
            errors = [np.abs(clip_to_stars(draw[rows]) - stars[rows]).mean() for draw in line]
            assert scores.mae[b, i] == pytest.approx(np.average(errors, weights=of_draws[b]), rel=1e-5)


def test_the_estimate_is_the_mean_kappa_of_the_draws_and_their_spread_is_given():
    stars, predictions = made_up()
    scores = score_lines(stars, predictions, resample_reviews(stars, 10, 0))
    for i, line in enumerate(predictions.values()):
        each = [
            cohen_kappa_score(stars, round_to_stars(draw), weights="quadratic", labels=range(1, 6)) for draw in line
        ]
        assert scores.qwk[2, 0, i] == pytest.approx(np.mean(each), abs=1e-9)
        assert scores.qwk_sd[i] == pytest.approx(np.std(each, ddof=1), abs=1e-9)
    one = {line: each[:1] for line, each in predictions.items()}
    assert np.isnan(score_lines(stars, one, resample_reviews(stars, 10, 0)).qwk_sd).all()


def test_resamples_of_few_draws_spread_as_wide_as_draws_do():
    rng = np.random.default_rng(0)
    stars = np.tile([1, 2, 3, 4, 5], 400)
    # Draws differ, and so many held-out reviews hardly do.
    draws = np.stack([stars + rng.normal(0, sd, 2000) for sd in (0.4, 0.7, 1.0, 1.3, 1.6)])
    scores = score_lines(stars, {("f", "m"): draws}, resample_reviews(stars, 2000, 0))
    expected = scores.qwk_sd[0] / np.sqrt(5)
    assert scores.qwk[2, 1:, 0].std() == pytest.approx(expected, rel=0.1)


def test_the_halves_are_stratified_and_have_each_review_once():
    stars = np.repeat([1, 2, 3, 4, 5], [50, 30, 20, 40, 60])
    half = resample_reviews(stars, 10, 3).half
    for star in range(1, 6):
        own = half[stars == star]
        assert abs((own == 0).sum() - (own == 1).sum()) <= 1


def test_choosing_the_best_of_many_lines_that_know_nothing_flatters_nobody():
    rng = np.random.default_rng(0)
    stars = rng.integers(1, 6, 300)
    predictions = {("f", f"m{i}"): rng.uniform(1, 5, (1, 300)) for i in range(60)}
    scores = score_lines(stars, predictions, resample_reviews(stars, 200, 0))
    best_of_all = scores.qwk[2, 0].max()
    side = side_of(scores, list(predictions))
    assert best_of_all > 0.08
    assert abs(side.qwk[0]) < 0.06
    assert side.line == list(predictions)[int(scores.qwk[2, 0].argmax())]


def test_a_side_of_one_line_is_that_line_measured_half_by_half():
    stars, predictions = made_up()
    scores = score_lines(stars, predictions, resample_reviews(stars, 20, 0))
    side = side_of(scores, [("f", "m1"), ("f", "not fitted")])
    np.testing.assert_allclose(side.qwk, scores.qwk[:2, :, 1].mean(axis=0))
    with pytest.raises(ValueError, match="None of the lines f / m7 was fitted"):
        side_of(scores, [("f", "m7")])


def test_intervals_of_a_curve_hold_its_value_and_narrow_with_more_reviews():
    widths = []
    for n in (100, 1600):
        stars, predictions = made_up(n=n, sds=(1.0,))
        scores = {30: score_lines(stars, predictions, resample_reviews(stars, 400, 0))}
        (row,) = curve_table(scores, {30: pd.Series({("f", "m0"): 0.5})}).to_dict("records")
        assert row["qwk_low"] < row["qwk"] < row["qwk_high"]
        assert row["mae_low"] < row["mae"] < row["mae_high"]
        assert (row["n_train"], row["n_draws"], row["fit_seconds"]) == (30, 3, 0.5)
        widths.append(row["qwk_high"] - row["qwk_low"])
    assert 2 < widths[0] / widths[1] < 8


def test_no_difference_gives_p_values_that_are_as_often_small_as_they_say():
    p = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        stars = rng.integers(1, 6, 150)
        predictions = {("f", name): noisy(stars, 1.0, 1, rng) for name in "ab"}
        scores = score_lines(stars, predictions, resample_reviews(stars, 199, seed))
        p.append(p_value(scores.qwk[2, :, 0] - scores.qwk[2, :, 1]))
    assert np.mean(np.array(p) < 0.05) < 0.11
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.15)


def test_a_large_difference_has_the_smallest_p_value_there_is():
    assert p_value(np.array([0.3, *np.linspace(0.2, 0.4, 99)])) == pytest.approx(2 / 100)
    assert p_value(np.zeros(100)) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    adjusted = holm(p)
    assert ((adjusted >= np.array(p) - 1e-12) & (adjusted <= 1)).all()
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for step, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] * (len(p) - step) > alpha:
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(adjusted <= alpha).tolist()) == rejected


def side_with(values):
    """A side whose resamples are known."""
    return Side(("f", "m"), np.asarray(values, dtype=float))


def test_every_contrast_at_every_size_counts_for_holm():
    rng = np.random.default_rng(0)
    sides = {
        name: {n: side_with(level + 0.01 * rng.normal(size=401)) for n in (10, 100)}
        for name, level in (("a", 0.8), ("b", 0.5), ("c", 0.8))
    }
    table = contrast_table(sides, [["a", "b"], ["a", "c"]])
    assert table[["a", "b", "n_train"]].to_numpy().tolist() == [
        ["a", "b", 10], ["a", "b", 100], ["a", "c", 10], ["a", "c", 100]
    ]  # fmt: skip
    assert table["p_holm"].iloc[:2].tolist() == pytest.approx([4 * 2 / 401] * 2)
    assert (table["low"] < table["difference"]).all()
    assert (table["difference"] < table["high"]).all()


@given(st.floats(1.2, 2.8))
def test_a_crossover_lies_where_the_lines_meet_on_a_logarithmic_scale(where):
    sizes, resamples = [10, 100, 1000], np.ones(51)
    sides = {
        "steady": {n: side_with(0.5 * resamples) for n in sizes},
        "rising": {n: side_with((0.5 + 0.1 * (np.log10(n) - where)) * resamples) for n in sizes},
    }
    (row,) = crossover_table(sides, [["steady", "rising"]]).to_dict("records")
    assert row["n"] == pytest.approx(10**where, rel=1e-6)
    assert row["n_low"] == pytest.approx(row["n_high"])
    assert (row["found"], row["ahead_small"], row["ahead_large"]) == (1, "steady", "rising")


def test_where_the_lead_never_changes_there_is_no_crossover_but_the_share_of_resamples_with_one():
    rng = np.random.default_rng(0)
    noise = np.concatenate([[0], rng.normal(0, 0.1, 400)])
    sides = {
        "a": {10: side_with(0.5 + noise), 100: side_with(0.5 - noise)},
        "b": {n: side_with(np.full(401, 0.45)) for n in (10, 100)},
    }
    (row,) = crossover_table(sides, [["a", "b"]]).to_dict("records")
    assert np.isnan(row["n"])
    # The lead changes where the noise is larger than the lead, either way: half a standard deviation.
    assert row["found"] == pytest.approx(0.617, abs=0.06)
    assert row["ahead_small"] == row["ahead_large"] == "a"
