"""Statistics on other scales than 1 to 5: the right values, and what is no star is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from pipeline.evaluation import (
    FIVE_STARS,
    Scale,
    calibration_bins,
    calibration_statistics,
    clip_to_stars,
    evaluate,
    evaluate_clipped,
    intervals,
    qwk,
    qwk_difference,
    resample_reviews,
    review_slices,
    round_to_stars,
    score_lines,
    spearman,
)
from pipeline.evaluation.bootstrap import resample_counts, star_sums

SCALES = [Scale(0, 4), Scale(0, 10), Scale(1, 10), Scale(1, 5, 0.5), Scale(0, 100, 5), Scale(-1, 1, 0.1)]


def guesses(scale, n=80, seed=0):
    rng = np.random.default_rng(seed)
    y = scale.values[rng.integers(0, len(scale.values), n)]
    return y, y + rng.normal(scale=0.3 * (scale.high - scale.low), size=n)


@pytest.mark.parametrize("scale", SCALES, ids=str)
class TestRightValues:
    def test_qwk_is_scikit_learns_on_the_positions(self, scale):
        y, predicted = guesses(scale)
        expected = cohen_kappa_score(
            scale.position(y), scale.position(predicted), weights="quadratic", labels=range(len(scale.values))
        )
        found = evaluate(y, predicted, scale)
        assert found["qwk"] == pytest.approx(expected, abs=1e-9)
        assert found["accuracy"] == np.mean(scale.position(y) == scale.position(predicted))
        assert found["mae_clipped"] == pytest.approx(np.abs(np.clip(predicted, scale.low, scale.high) - y).mean())
        lines = score_lines(y, {"a": predicted[None]}, resample_reviews(y, 50, 0), scale)
        assert lines.qwk[0, 0] == pytest.approx(expected, abs=1e-9)
        assert lines.mae[0, 0] == pytest.approx(found["mae_clipped"], rel=1e-5)

    def test_all_is_as_on_five_stars_when_their_steps_are_renamed(self, scale):
        """Five of the values, named 1 to 5: QWK and its intervals do not depend on the names."""
        five = Scale(scale.low, scale.low + 4 * scale.step, scale.step)
        y, predicted = guesses(FIVE_STARS)
        there = FIVE_STARS.convert(y, five), FIVE_STARS.convert(predicted, five)
        here, renamed = (
            evaluate_clipped(*pair, 200, 1, on) for pair, on in (((y, predicted), FIVE_STARS), (there, five))
        )
        same = ["n_reviews", "qwk", "qwk_low", "qwk_high", "accuracy", "spearman", "r2", "r2_clipped"]
        assert [renamed[name] for name in same] == pytest.approx([here[name] for name in same])
        in_stars = ["mae", "mae_low", "mae_high", "rmse"]
        assert [renamed[name] for name in in_stars] == pytest.approx([scale.step * here[name] for name in in_stars])
        assert renamed["sn_db"] == pytest.approx(here["sn_db"] - 20 * np.log10(scale.step))
        other = y[::-1]
        assert qwk_difference(there[0], there[1], FIVE_STARS.convert(other, five), 100, 1, five) == pytest.approx(
            qwk_difference(y, predicted, other, 100, 1)
        )

    def test_slices_are_named_by_their_star(self, scale):
        y, _ = guesses(scale, 200)
        found = {
            value: rows
            for kind, value, rows in review_slices(pd.DataFrame({"text": "a", "stars": y}), scale)
            if kind == "stars"
        }
        assert list(found) == [f"{star:g}" for star in scale.values if (y == star).sum() > 1]
        assert all(scale.contains(float(value)) for value in found)
        assert sum(map(np.sum, found.values())) > 190


CALLS = {
    "evaluate": lambda y, p: evaluate(y, p),
    "intervals": lambda y, p: intervals(y, p, 50, 0),
    "evaluate_clipped": lambda y, p: evaluate_clipped(y, p, 50, 0),
    "qwk_difference": lambda y, p: qwk_difference(y, [1, 2, 3, 4], p, 50, 0),
    "score_lines": lambda y, p: score_lines(y, {"a": [p]}, resample_reviews([1, 2, 3, 4], 50, 0)),
    "calibration_statistics": lambda y, p: calibration_statistics(y, p),
    "calibration_bins": lambda y, p: calibration_bins(y, p),
    "qwk": lambda y, p: qwk(y, p),
}
STARS_ALONE = {"review_slices": lambda y, p: list(review_slices(pd.DataFrame({"text": "a", "stars": y})))}


@pytest.mark.parametrize("wrong", [0, 6, 2.5, np.nan, np.inf])
@pytest.mark.parametrize("name", [*CALLS, *STARS_ALONE])
def test_stars_that_are_not_on_the_scale_are_refused(name, wrong):
    y = [1, 2, wrong, 4]
    with pytest.raises(ValueError, match=r"holds \S+ at position 2, which is no value of the scale 1 to 5"):
        (CALLS | STARS_ALONE)[name](y, [1, 2, 3, 4])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("name", CALLS)
def test_predictions_that_are_no_numbers_are_refused(name, wrong):
    with pytest.raises(ValueError, match=r"must be finite numbers|no value of the scale"):
        CALLS[name]([1, 2, 3, 4], [1.0, wrong, 3.0, 4.0])


@pytest.mark.parametrize(
    "call", [round_to_stars, clip_to_stars, lambda p: spearman([1, 2], p), lambda p: spearman(p, [1, 2])]
)
def test_nan_is_no_star_and_has_no_rank(call):
    with pytest.raises(ValueError, match=r"must be finite numbers, got nan at position 1"):
        call([2.0, np.nan])


def test_halves_are_rounded_to_halves():
    assert round_to_stars([0.2, 2.2, 2.25, 4.8], Scale(1, 5, 0.5)).tolist() == [1.0, 2.0, 2.5, 5.0]
    assert round_to_stars([0.2, 9.5, 12], Scale(0, 10)).tolist() == [0, 10, 10]
    assert round_to_stars([3.2]).dtype.kind == "i"


@pytest.mark.parametrize("largest", [5, 21])
def test_sums_are_exact_for_many_reviews_of_large_numbers(largest):
    """Where float32 would round: 21 squared, times more than 40,000 reviews."""
    n = 60_000
    y = np.full(n, largest)
    y[::2] -= 1
    counts = resample_counts(n, 2, 0)
    whole = counts.astype(np.int64)
    p, pp, py, ones, sum_y, yy = star_sums(counts, y, y[:, None])[:, :, 0]
    for found, expected in ((p, y), (pp, y**2), (py, y**2), (ones, np.ones(n, int)), (sum_y, y), (yy, y**2)):
        assert found.tolist() == (whole @ expected).tolist()
