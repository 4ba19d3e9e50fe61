"""Intervals and p-values: they hold what they promise, and choices are counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error

from pipeline.evaluation.bootstrap import evaluate_clipped, holm, intervals, p_value, qwk_difference
from pipeline.evaluation.metrics import qwk, round_to_stars


def guesses(n, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(1, 6, size=n)
    return y, y + rng.normal(scale=noise, size=n)


class TestIntervals:
    @pytest.mark.parametrize("seed", range(5))
    def test_they_contain_the_point_estimate(self, seed):
        y, y_hat = guesses(200, seed)
        found = intervals(y, y_hat, n_resamples=400, seed=1)
        assert found["qwk_low"] < qwk(y, round_to_stars(y_hat)) < found["qwk_high"]
        assert found["mae_low"] < mean_absolute_error(y, y_hat) < found["mae_high"]

    def test_sixteen_times_the_reviews_make_them_four_times_as_narrow(self):
        few, many = (intervals(*guesses(n, seed=3), n_resamples=500, seed=1) for n in (125, 2000))
        for metric in ("qwk", "mae"):
            ratio = (few[f"{metric}_high"] - few[f"{metric}_low"]) / (many[f"{metric}_high"] - many[f"{metric}_low"])
            assert 3 < ratio < 5.5

    def test_the_interval_of_the_mean_absolute_error_is_that_of_its_standard_error(self):
        y, y_hat = guesses(2000, seed=5)
        found = intervals(y, y_hat, n_resamples=2000, seed=1)
        half = 1.96 * np.abs(y - y_hat).std(ddof=1) / np.sqrt(2000)
        assert (found["mae_high"] - found["mae_low"]) / 2 == pytest.approx(half, rel=0.1)

    def test_the_seed_alone_decides(self):
        y, y_hat = guesses(100)
        assert intervals(y, y_hat, 300, seed=7) == intervals(y, y_hat, 300, seed=7)
        assert intervals(y, y_hat, 300, seed=7) != intervals(y, y_hat, 300, seed=8)

    def test_perfect_predictions_have_intervals_of_no_width(self):
        y = np.tile([1, 2, 3, 4, 5], 20)
        assert intervals(y, y, 300, seed=1) == {"qwk_low": 1, "qwk_high": 1, "mae_low": 0, "mae_high": 0}


class TestDifference:
    def test_identical_predictions_differ_by_exactly_zero(self):
        y, y_hat = guesses(100)
        assert qwk_difference(y, y_hat, y_hat, n_resamples=300, seed=1) == (0, 0, 0)

    def test_it_changes_sign_with_the_order(self):
        y, a = guesses(100, seed=1)
        b = guesses(100, seed=2)[1]
        difference, low, high = qwk_difference(y, a, b, 300, seed=1)
        assert (-difference, -high, -low) == pytest.approx(qwk_difference(y, b, a, 300, seed=1))

    def test_it_is_the_difference_of_the_rounded_stars_with_an_interval_around(self):
        y, good = guesses(400, seed=1, noise=0.5)
        poor = y + np.random.default_rng(9).normal(scale=2, size=400)
        difference, low, high = qwk_difference(y, good, poor, n_resamples=500, seed=1)
        assert difference == pytest.approx(qwk(y, round_to_stars(good)) - qwk(y, round_to_stars(poor)))
        assert 0 < low < difference < high
        assert qwk_difference(y, good, poor, 500, seed=1) == (difference, low, high)

    def test_pairing_makes_it_narrower_than_the_two_intervals_apart(self):
        y, a = guesses(400, seed=1, noise=1.5)
        b = a + np.random.default_rng(2).normal(scale=0.2, size=400)
        _, low, high = qwk_difference(y, a, b, n_resamples=500, seed=1)
        alone = intervals(y, a, n_resamples=500, seed=1)
        assert high - low < (alone["qwk_high"] - alone["qwk_low"]) / 2


def test_qwk_is_left_out_where_all_stars_are_the_same_and_the_error_is_of_the_clipped_prediction() -> None:
    result = evaluate_clipped([5, 5, 5], [9.0, 4.0, 5.0], n_resamples=100, seed=1)
    assert np.isnan([result["qwk"], result["qwk_low"], result["qwk_high"]]).all()
    assert result["mae"] == pytest.approx(1 / 3)


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
