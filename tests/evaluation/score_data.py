"""Predictions of lines whose quality is known."""

import numpy as np


def noisy(stars, sd, n_draws, rng):
    """Predictions of a line: the true stars and noise, another in every draw."""
    return stars + rng.normal(0, sd, (n_draws, len(stars)))


def made_up(seed=0, n=60, n_draws=3, sds=(0.5, 1.0)):
    rng = np.random.default_rng(seed)
    stars = rng.integers(1, 6, n)
    return stars, {f"m{i}": noisy(stars, sd, n_draws, rng) for i, sd in enumerate(sds)}
