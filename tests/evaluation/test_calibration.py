"""Calibration: slopes, spread and bins of predicted stars."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.calibration import calibration_bins, calibration_statistics


@given(st.lists(st.integers(1, 5), min_size=2, max_size=30), st.integers(0, 1000))
def test_slopes_and_spread_agree_and_bins_keep_the_means(stars: list[int], seed: int) -> None:
    predictions = np.array(stars) * 1.5 + np.random.default_rng(seed).normal(size=len(stars))
    result = calibration_statistics(stars, predictions)
    if len(set(stars)) > 1:
        correlation = np.corrcoef(stars, predictions)[0, 1]
        assert result["slope"] == pytest.approx(correlation * result["sd_ratio"], abs=1e-9)
        assert result["slope"] * result["slope_true"] == pytest.approx(correlation**2, abs=1e-9)
    else:
        assert np.isnan(result["slope"])
    bins = calibration_bins(stars, predictions)
    assert bins["n_reviews"].sum() == len(stars)
    assert bins["n_reviews"].max() - bins["n_reviews"].min() <= 1
    assert bins["predicted"].is_monotonic_increasing
    for column, mean in (("predicted", predictions.mean()), ("true", np.mean(stars))):
        assert np.average(bins[column], weights=bins["n_reviews"]) == pytest.approx(mean)


def test_a_constant_prediction_has_slope_zero_and_nothing_to_be_taken_at_its_word() -> None:
    result = calibration_statistics([1, 2, 3], [3, 3, 3])
    assert (result["slope"], result["sd_ratio"], result["bias"]) == (0, 0, 1)
    assert np.isnan(result["slope_true"])


def test_without_a_scale_any_target_is_calibrated():
    y, predicted = [100.5, 200.0, 301.5, 380.0], [120.0, 180.0, 290.0, 410.0]
    scaled = calibration_statistics(np.array(y) / 2, np.array(predicted) / 2, scale=None)
    plain = calibration_statistics(y, predicted, scale=None)
    assert scaled["slope"] == pytest.approx(plain["slope"])
    assert scaled["bias"] == pytest.approx(plain["bias"] / 2)
    assert calibration_bins(y, predicted, 2, scale=None)["true"].tolist() == [150.25, 340.75]
    with pytest.raises(ValueError, match="The target must be finite numbers, got nan at position 1"):
        calibration_bins([1.0, np.nan], [1.0, 2.0], scale=None)


@pytest.mark.parametrize("function", [calibration_statistics, calibration_bins])
@pytest.mark.parametrize(
    ("y", "predicted", "message"),
    [
        ([1, 2], [1], r"Got targets of shape \(2,\) and predictions of \(1,\): give one for each row"),
        ([1], [1, 2], "give one for each row"),
        ([], [], "give one for each row"),
        ([[1], [2]], [1, 2], "give one for each row"),
        (pd.Series([1, 2]), pd.Series([1, 2], index=[1, 0]), "the target and the prediction have different indexes"),
    ],
)
def test_a_target_and_a_prediction_are_asked_for_each_row(function, y, predicted, message):
    with pytest.raises(ValueError, match=message):
        function(y, predicted, scale=None)


def test_there_is_at_least_one_bin():
    with pytest.raises(ValueError, match="n_bins must be a whole number from 1 on, got 0"):
        calibration_bins([1, 2], [1, 2], n_bins=0)
