"""Simulations: how often a difference is claimed that is not there, and how often an interval holds the truth."""

import numpy as np
import pytest

from pipeline.evaluation import FIVE_STARS
from pipeline.evaluation.bootstrap import holm
from pipeline.evaluation.measured import measure, spread

pytestmark = pytest.mark.slow

METRICS = ["qwk", "mae", "accuracy"]


def simulated(metric, n, sds, n_simulations, n_targets=50):
    """Yield estimate, low, high and p of all pairs of models with errors so large, correlated by one half."""
    per_target = n_simulations // n_targets
    for seed in range(n_targets):
        rng = np.random.default_rng(seed)
        y = rng.integers(1, 6, n)
        shared = rng.normal(size=(per_target, 1, n))
        errors = (shared + rng.normal(size=(per_target, len(sds), n))) / np.sqrt(2) * np.array(sds)[:, None]
        # One call for many simulations: they share the target and the resamples.
        lines = dict(enumerate((y + errors).reshape(-1, n)))
        found = measure(y, lines, metric, FIVE_STARS, n_resamples=1000, random_state=seed)
        for start in range(0, len(lines), len(sds)):
            pairs = [(i, j) for i in range(start, start + len(sds)) for j in range(i + 1, start + len(sds))]
            yield [spread(found.by_draw[i] - found.by_draw[j], found.resampled[:, i] - found.resampled[:, j], n)
                   for i, j in pairs]  # fmt: skip


@pytest.mark.parametrize("n", [50, 100, 300])
@pytest.mark.parametrize("metric", METRICS)
def test_equal_models_are_told_apart_in_5_percent_of_500_simulations_give_or_take_2(metric, n):
    claims = [pair[0][3] < 0.05 for pair in simulated(metric, n, (0.9, 0.9), 500)]
    assert np.mean(claims) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("metric", METRICS)
def test_of_three_equal_models_any_two_are_told_apart_in_at_most_7_percent(metric):
    claims = [holm([pair[3] for pair in pairs]).min() < 0.05 for pairs in simulated(metric, 100, (0.9,) * 3, 500)]
    assert np.mean(claims) <= 0.07


@pytest.mark.parametrize("metric", METRICS)
def test_95_percent_of_the_intervals_hold_the_true_difference_give_or_take_2(metric):
    rng = np.random.default_rng(1)
    y = rng.integers(1, 6, 300_000)
    lines = {sd: y + rng.normal(0, sd, len(y)) for sd in (0.7, 1.1)}
    true = -np.diff(measure(y, lines, metric, FIVE_STARS, n_resamples=2).by_draw[:, 0]).item()
    held = [pair[0][1] <= true <= pair[0][2] for pair in simulated(metric, 100, (0.7, 1.1), 1000, n_targets=100)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
