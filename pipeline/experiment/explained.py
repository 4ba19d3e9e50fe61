"""Held-out reviews with the attention of their tokens."""

from typing import Any

import pandas as pd

from pipeline.text import words

# Long enough to show something, short enough to be read.
_N_WORDS = 40


def explain_reviews(pooling: Any, reviews: pd.DataFrame) -> pd.DataFrame:
    """Explain one held-out review of each star: the one with about 40 words.

    Parameters
    ----------
    pooling : fitted AttentionPooling
        With weights from sums over the training reviews.
    reviews : DataFrame with columns review_id, text, stars, split

    Returns
    -------
    DataFrame
        review_id, stars, text, and the columns of `AttentionPooling.explain`, one row per token.
    """
    held_out = reviews[reviews["split"] == "test"]
    distance = held_out["text"].map(lambda text: abs(len(words(text)) - _N_WORDS))
    nearest = held_out.loc[distance.groupby(held_out["stars"]).idxmin()]
    tables = []
    for row in nearest[["review_id", "stars", "text"]].to_dict("records"):
        tokens = pooling.explain(row["text"])
        tables.append(pd.concat([pd.DataFrame([row] * len(tokens)), tokens], axis=1))
    return pd.concat(tables, ignore_index=True)
