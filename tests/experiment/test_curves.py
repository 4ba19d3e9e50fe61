"""Tables of the learning curves: what was put in is found, and every contrast counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.scores import resample_reviews, score_lines
from pipeline.evaluation.sides import Side
from pipeline.experiment.curves import contrasts_frame, crossovers_frame, curve_models, curve_pieces, curves_frame
from pipeline.experiment.line import Line
from pipeline.project.conf import CurvesConfig, ScoreConfig


def test_intervals_of_a_curve_hold_its_value_and_narrow_with_more_reviews():
    widths = []
    for n in (100, 1600):
        rng = np.random.default_rng(0)
        stars = rng.integers(1, 6, n)
        predictions = {Line("f", "m0"): stars + rng.normal(0, 1.0, (3, n))}
        scores = {30: score_lines(stars, predictions, resample_reviews(stars, 400, 0))}
        (row,) = curves_frame(scores, {30: pd.Series({Line("f", "m0"): 0.5})}).to_dict("records")
        assert row["qwk_low"] < row["qwk"] < row["qwk_high"]
        assert row["mae_low"] < row["mae"] < row["mae_high"]
        assert (row["n_train"], row["n_draws"], row["fit_seconds"]) == (30, 3, 0.5)
        widths.append(row["qwk_high"] - row["qwk_low"])
    assert 2 < widths[0] / widths[1] < 8


def side_with(values):
    """A side whose resamples are known."""
    return Side(Line("f", "m"), np.asarray(values, dtype=float))


def test_every_contrast_at_every_size_counts_for_holm():
    rng = np.random.default_rng(0)
    sides = {
        name: {n: side_with(level + 0.01 * rng.normal(size=401)) for n in (10, 100)}
        for name, level in (("a", 0.8), ("b", 0.5), ("c", 0.8))
    }
    table = contrasts_frame(sides, [["a", "b"], ["a", "c"]])
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
    (row,) = crossovers_frame(sides, [["steady", "rising"]]).to_dict("records")
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
    (row,) = crossovers_frame(sides, [["a", "b"]]).to_dict("records")
    assert np.isnan(row["n"])
    # The lead changes where the noise is larger than the lead, either way: half a standard deviation.
    assert row["found"] == pytest.approx(0.617, abs=0.06)
    assert row["ahead_small"] == row["ahead_large"] == "a"


def test_a_feature_set_meets_the_models_that_a_side_asks_for():
    score = ScoreConfig(
        seed=1,
        n_resamples=100,
        feature_sets={"a": ["a"], "b": ["b"], "c": ["c"]},
        models=["T(1)", "Ta", "Ridge", "PLS"],
        baselines=["mean"],
    )
    sides = {
        "one": {"feature_sets": ["a"], "models": ["Ta", "T(1)"]},
        "other": {"feature_sets": ["a", "b"], "models": ["Ridge"]},
    }
    config = CurvesConfig(
        seed=1, n_resamples=100, sizes={10: 2}, feature_sets=["a", "b", "c"], sides=sides, contrasts=[["one", "other"]]
    )
    assert curve_models(config, score) == {
        "a": ("T(1)", "Ta", "Ridge"),
        "b": ("Ridge",),
        "c": ("T(1)", "Ta", "Ridge", "PLS"),  # no side asks: all of them
        "text": ("mean",),
    }
    drawn = {piece.features: piece.models for piece in curve_pieces(config, score, 40) if piece.n_train == 10}
    assert drawn == curve_models(config, score)
