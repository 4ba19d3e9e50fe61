"""The words that say most about the stars, as a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.features.word_items import WordItemsTransformer, values_and_strengths
from pipeline.features.word_sums import WordMetrics, WordSums
from pipeline.taguchi.integrated import in_db

_N = 50  # up and down each


def strongest_words(sums: WordSums, metrics: WordMetrics, n: int = _N) -> pd.DataFrame:
    """Return the items with the largest S/N ratios: those that pull the target up, then those that pull it down.

    Parameters
    ----------
    sums : WordSums
    metrics : WordMetrics
        What `TMetrics` or `SentenceMetrics` makes of them.
    n : int, default=50
        How many at most, up and down each.

    Returns
    -------
    DataFrame
        Columns item; n_texts, how many texts have it; difference, its value in units of the target; and sn_db, its S/N
        ratio in dB. Each direction goes from the largest S/N ratio down, of equal ones the item of more texts first,
        then by name. An item that carries nothing is left out.

    Examples
    --------
    >>> from pipeline.features import TMetrics
    >>> words = TMetrics(cv=2).fit(["good food", "good wine", "bad food", "bad wine"], [5, 4, 1, 2])
    >>> strongest_words(words.sums_, words.metrics_, n=1).round(1).to_dict("split")["data"]
    [['good', 2.0, 3.0, 9.5], ['bad', 2.0, -3.0, 9.5]]
    """
    eta, value = metrics.eta[:, 0], values_and_strengths(metrics)[0][:, 0]
    known = np.flatnonzero(eta > 0)
    table = pd.DataFrame(
        {
            "item": np.array(sums.names, dtype=object)[known],
            "n_texts": sums.df[known],
            "difference": value[known],
            "sn_db": in_db(eta[known]),
        }
    )
    table = table.sort_values(["sn_db", "n_texts", "item"], ascending=[False, False, True], kind="stable")
    up, down = table["difference"] > 0, table["difference"] < 0
    return pd.concat([table[up].head(n), table[down].head(n)], ignore_index=True)


def words_frame(transformers: Mapping[str, Any]) -> pd.DataFrame:
    """Return the strongest words of each feature that learns from words, with the feature's name."""
    parts = [
        strongest_words(each.sums_, each.metrics_).assign(features=name)
        for name, each in transformers.items()
        if isinstance(each, WordItemsTransformer)
    ]
    return pd.concat([pd.DataFrame(), *parts], ignore_index=True)
