"""What a line costs is the sum of what its features cost and of its fit."""

import pandas as pd
import pytest

from pipeline.evaluation.costs import cost_table


def test_a_feature_set_pays_for_each_of_its_features_and_raw_text_for_none() -> None:
    metrics = pd.DataFrame(
        {
            "features": ["a+b", "text"],
            "model": ["Ridge", "mean"],
            "n_test": 100,
            "fit_seconds": [0.5, 0.25],
            "predict_seconds": [0.01, 0.02],
            "qwk": [0.8, 0.0],
        }
    )
    costs = {
        "a": {"encode_seconds": 3.0, "learn_seconds": 1.0, "transform_seconds_per_review": 0.002},
        "b": {"encode_seconds": 0.0, "learn_seconds": 2.0, "transform_seconds_per_review": 0.001},
    }
    table = cost_table(metrics, {"a+b": ["a", "b"]}, costs)
    assert table["encode_seconds"].tolist() == [3, 0]
    assert table["learn_seconds"].tolist() == [3, 0]
    assert table["total_seconds"].tolist() == [6.5, 0.25]
    assert table["predict_us"].tolist() == pytest.approx([3100, 200])
    assert table["peak_mb"].isna().all()
