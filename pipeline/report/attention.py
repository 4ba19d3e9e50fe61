"""Explained reviews as coloured spans."""

from typing import Any, NamedTuple

import pandas as pd


class Span(NamedTuple):
    """A piece of a review's text.

    Attributes
    ----------
    text : str
        The piece.
    share : float
        Its contribution as a share of the largest in the review: -1 to 1, 0 between the tokens.
    note : str
        The figures in words; empty between the tokens.
    """

    text: str
    share: float
    note: str


def explained_reviews(explained: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Return the reviews that the features stage has explained, the one with the most stars first.

    Returns
    -------
    list of dict
        With stars; spans: the text, cut by what its tokens contribute; up and down: the spans that pull the most.
    """
    if explained is None:
        return []
    reviews = []
    for _, tokens in explained.groupby("review_id", sort=False):
        pieces = _spans(str(tokens["text"].iloc[0]), tokens)
        ranked = sorted(pieces, key=lambda span: span.share)
        up = list(dict.fromkeys(span.text for span in reversed(ranked) if span.share > 0))[:3]
        down = list(dict.fromkeys(span.text for span in ranked if span.share < 0))[:3]
        reviews.append({"stars": tokens["stars"].iloc[0], "spans": pieces, "up": up, "down": down})
    return sorted(reviews, key=lambda review: -review["stars"])


def _spans(text: str, tokens: pd.DataFrame) -> list[Span]:
    """Cut a text into its tokens and the pieces between them.

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
    >>> [(span.text, span.share) for span in _spans("good, rude!", tokens)]
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
