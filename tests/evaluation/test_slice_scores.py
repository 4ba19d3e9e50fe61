"""Scores on slices of the rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import roc_auc_score

from pipeline.evaluation import compare, scores_by_slice


def test_a_slice_has_the_scores_of_its_rows():
    rng = np.random.default_rng(0)
    y = rng.integers(1, 6, 150)
    predictions = {"a": y + rng.normal(size=150), "b": y + rng.normal(0, 2, size=(3, 150))}
    where = rng.choice(["food", "hotel"], 150)
    table = scores_by_slice(y, predictions, where, n_resamples=100)
    assert table["slice"].tolist() == ["food", "food", "hotel", "hotel"]
    for value in ("food", "hotel"):
        rows = where == value
        some = {name: each[..., rows] for name, each in predictions.items()}
        found = table[table["slice"] == value]
        assert (found["n_rows"] == rows.sum()).all()
        expected = compare(y[rows], some, n_resamples=100).scores
        columns = ["name", "score", "low", "high"]
        pd.testing.assert_frame_equal(found[columns].reset_index(drop=True), expected[columns])


def test_all_slices_have_the_scale_of_all_rows_and_are_nan_where_nothing_is_defined():
    y = np.array([1, 1, 1, 1, 2, 5, 3, 4, 5])
    table = scores_by_slice(y, {"model": y + 0.2}, ["one"] * 4 + ["some"] * 4 + [None], n_resamples=20)
    assert table["n_rows"].tolist() == [4, 4, 1]
    np.testing.assert_equal(table["score"].to_numpy(), [np.nan, 1.0, np.nan])
    assert pd.isna(table["slice"][2])


def test_quarters_of_a_number_are_slices():
    y = np.arange(80.0)
    table = scores_by_slice(y, {"model": y + y / 10}, pd.qcut(pd.Series(y, index=y + 5), 4), metric="mae")
    assert table["n_rows"].tolist() == [20] * 4
    assert table["score"].is_monotonic_increasing


def test_a_slice_is_asked_for_each_row():
    with pytest.raises(ValueError, match="slices has 2 values, but y has 3 rows: give a slice for each row"):
        scores_by_slice([1, 2, 3], {"model": [1, 2, 3]}, ["a", "b"])


def failing_score(y, predicted):
    if len(set(y)) == 1:
        raise ValueError("one class")
    return roc_auc_score(y, predicted)


@pytest.mark.parametrize("metric", [roc_auc_score, failing_score])
def test_a_slice_that_a_metric_is_not_defined_on_is_nan(metric, recwarn):
    y, where = np.array([0, 1] * 20 + [1] * 20), np.repeat(["both", "one"], [40, 20])
    table = scores_by_slice(y, {"right": y, "wrong": 1 - y}, where, metric, n_resamples=50)
    np.testing.assert_equal(table["score"].to_numpy(), [1, 0, np.nan, np.nan])
    np.testing.assert_equal(table["high"].to_numpy(), [1, 0, np.nan, np.nan])
    assert not [each for each in recwarn if issubclass(each.category, UndefinedMetricWarning)]


def test_a_metric_that_fails_on_all_rows_is_named():
    with pytest.raises(ValueError, match="The metric failing score fails on the predictions of 'm': one class"):
        scores_by_slice([1, 1], {"m": [1, 1]}, ["a", "b"], failing_score)
    with pytest.raises(ValueError, match="The metric <lambda> of 'm' is NaN"):
        scores_by_slice([1, 1], {"m": [1, 1]}, ["a", "b"], lambda y, p: np.nan, greater_is_better=True)


def test_rows_of_a_group_are_resampled_together():
    rng = np.random.default_rng(0)
    y, persons = np.repeat(rng.normal(size=20), 9), np.repeat(np.arange(20), 9)
    predictions = {"m": y + np.repeat(rng.normal(size=20), 9)}
    apart, together = (
        scores_by_slice(y, predictions, ["all"] * 180, "mae", groups=groups).iloc[0] for groups in (None, persons)
    )
    assert together["score"] == pytest.approx(apart["score"])
    once = compare(y[::9], {"m": predictions["m"][::9], "n": y[::9]}, "mae").scores.iloc[0]
    assert together["high"] - together["low"] == pytest.approx(once["high"] - once["low"])
    assert together["high"] - together["low"] > 2.5 * (apart["high"] - apart["low"])
    one_person = scores_by_slice(y, predictions, persons, "mae", groups=persons)
    assert one_person["score"].isna().all()


def test_whole_numbers_stay_as_they_are_on_each_slice():
    y, where = np.array([2, 3, 4] * 20), np.repeat(["a", "b"], 30)
    lines = {"labels": np.where(y == 4, 5, y), "numbers": y + 0.2}
    table = scores_by_slice(y, lines, where, "accuracy", n_resamples=20)
    assert table["score"].tolist() == pytest.approx([2 / 3, 1, 2 / 3, 1])


def test_what_has_no_slices_is_refused_in_one_line():
    y, other = pd.Series([1, 2, 3]), pd.Series([1, 2, 3], index=[2, 1, 0])
    with pytest.raises(ValueError, match="y and slices have different indexes, such as 0 and 2 in row 0"):
        scores_by_slice(y, {"model": y}, other, "mae")
    with pytest.raises(ValueError, match=r"slices has shape \(3, 1\), but y has 3 rows"):
        scores_by_slice(y, {"model": y}, [[1], [2], [3]], "mae")
    with pytest.raises(ValueError, match=r"n_resamples must be a whole number from 2 on, got 2\.5"):
        scores_by_slice(y, {"model": y}, y, "mae", n_resamples=2.5)
