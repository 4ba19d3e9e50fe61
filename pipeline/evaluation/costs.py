"""Cost of each line from raw texts on, beside its quality."""

from collections.abc import Mapping

import pandas as pd

_COLUMNS = ["features", "model", "encode_seconds", "learn_seconds", "fit_seconds", "total_seconds"]
_COLUMNS += ["predict_us", "peak_mb", "qwk", "qwk_low", "qwk_high"]


def cost_table(
    metrics: pd.DataFrame, parts: Mapping[str, list[str]], costs: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Return cost and quality of each line.

    Parameters
    ----------
    metrics : DataFrame
        A row per line: features, model, n_test, fit_seconds, predict_seconds, peak_mb, qwk, qwk_low, qwk_high.
    parts : mapping of str to list of str
        Features of each feature set. A set that is missing here reads raw texts: its features cost nothing.
    costs : mapping of str to mapping
        By feature: encode_seconds and learn_seconds for all training reviews, and transform_seconds_per_review. A
        forward pass that features share counts in full for each of them.

    Returns
    -------
    DataFrame with a row per line
        total_seconds: training from raw texts on; predict_us: microseconds from a raw text to its star.

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
    total = encode + learn + metrics["fit_seconds"]
    predict = 1e6 * (transform + metrics["predict_seconds"] / metrics["n_test"])
    table = metrics.assign(encode_seconds=encode, learn_seconds=learn, total_seconds=total, predict_us=predict)
    return table.reindex(columns=_COLUMNS)
