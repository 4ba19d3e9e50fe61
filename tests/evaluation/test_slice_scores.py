"""Scores on slices of the rows."""

import numpy as np
import pandas as pd
import pytest

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
