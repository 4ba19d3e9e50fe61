"""What a line costs from raw texts on, beside what it is worth."""

from collections.abc import Mapping

import pandas as pd

COST_COLUMNS = ["features", "model", "encode_seconds", "learn_seconds", "fit_seconds", "total_seconds"]
COST_COLUMNS += ["predict_us", "peak_mb", "qwk", "qwk_low", "qwk_high"]


def cost_table(
    metrics: pd.DataFrame, parts: Mapping[str, list[str]], costs: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return cost and quality of each line.

    Parameters
    ----------
    metrics : DataFrame
        A row per line: features, model, n_test, fit_seconds, predict_seconds, peak_mb, qwk, qwk_low, qwk_high.
    parts : mapping of str to list of str
        The features that each feature set is made of; what is not in it reads raw texts and has no features to pay.
    costs : mapping of str to mapping
        Per feature encode_seconds and learn_seconds for all training reviews, and transform_seconds_per_review. A
        forward pass that features share is paid by each of them, as if it were made alone.

    Returns
    -------
    DataFrame
        total_seconds is the training from raw texts, predict_us the microseconds from a raw text to its star.

    Examples
    --------
    >>> line = {"features": "a", "model": "Ridge", "n_test": 10, "fit_seconds": 1.0, "predict_seconds": 0.001}
    >>> costs = {"a": {"encode_seconds": 5.0, "learn_seconds": 2.0, "transform_seconds_per_review": 0.01}}
    >>> cost_table(pd.DataFrame([line]), {"a": ["a"]}, costs)[["total_seconds", "predict_us"]]
       total_seconds  predict_us
    0            8.0     10100.0
    """

    def paid(cost: str) -> "pd.Series[float]":
        sums = [sum((costs[part][cost] for part in parts.get(name, [])), 0.0) for name in metrics["features"]]
        return pd.Series(sums, index=metrics.index, dtype=float)

    encode, learn, transform = map(paid, ("encode_seconds", "learn_seconds", "transform_seconds_per_review"))
    table = metrics.assign(
        encode_seconds=encode,
        learn_seconds=learn,
        total_seconds=encode + learn + metrics["fit_seconds"],
        predict_us=1e6 * (transform + metrics["predict_seconds"] / metrics["n_test"]),
    )
    return table.reindex(columns=COST_COLUMNS)
