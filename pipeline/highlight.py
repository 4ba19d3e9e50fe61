"""Reviews with the attention of their tokens: chosen and explained in the features stage, coloured in the report."""

from typing import Any, NamedTuple

import pandas as pd

from pipeline.text import words

# Long enough to show something, short enough to be read.
_N_WORDS = 40


class Span(NamedTuple):
    """A piece of a review's text.

    Attributes
    ----------
    text : str
        The piece.
    share : float
        Its contribution as a share of the largest in the review: -1 to 1, 0 for what stands between the tokens.
    note : str
        The figures in words; empty between the tokens.
    """

    text: str
    share: float
    note: str


def explains(transformer: Any) -> bool:
    """Return whether a transformer can say what each token contributes."""
    return getattr(transformer, "weights", None) in ("sn-ratio", "t-method")


def explain_reviews(pooling: Any, reviews: pd.DataFrame) -> pd.DataFrame:
    """Explain one held-out review of each star: the one with about 40 words.

    Parameters
    ----------
    pooling : fitted AttentionPooling that `explains`
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
    for review in nearest[["review_id", "stars", "text"]].to_dict("records"):
        table = pooling.explain(review["text"])
        for position, (name, value) in enumerate(review.items()):
            table.insert(position, str(name), value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def spans(text: str, tokens: pd.DataFrame) -> list[Span]:
    """Cut a text into its tokens and what stands between them.

    Parameters
    ----------
    text : str
        The review.
    tokens : DataFrame
        Columns start, end, estimate and contribution, from `AttentionPooling.explain`.

    Returns
    -------
    list of Span
        Their texts add up to `text`.

    Examples
    --------
    >>> tokens = pd.DataFrame({"start": [0, 6], "end": [4, 10], "estimate": [0.5, -1], "contribution": [0.1, -0.2]})
    >>> [(span.text, span.share) for span in spans("good, rude!", tokens)]
    [('good', 0.5), (', ', 0.0), ('rude', -1.0), ('!', 0.0)]
    """
    shown = tokens[tokens["end"] > tokens["start"]]
    largest = float(tokens["contribution"].abs().max()) or 1.0
    pieces, position = [], 0
    columns = (shown[name].tolist() for name in ("start", "end", "estimate", "contribution"))
    for start, end, estimate, contribution in zip(*columns, strict=True):
        if start > position:
            pieces.append(Span(text[position:start], 0.0, ""))
        # Tokens of one character overlap where a tokenizer works on bytes.
        if end > max(position, start):
            note = f"estimate {estimate:+.2f}, contribution {contribution:+.3f}"
            pieces.append(Span(text[max(position, start) : end], round(contribution / largest, 2), note))
        position = max(position, end)
    return [*pieces, Span(text[position:], 0.0, "")] if position < len(text) else pieces
