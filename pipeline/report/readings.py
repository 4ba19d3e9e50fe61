"""Reviews as two sides read them: words coloured by what they add to the predicted star."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation.metrics import round_to_stars
from pipeline.experiment.predict import by_word
from pipeline.experiment.readings import BOTH
from pipeline.format import number
from pipeline.report.results import Results

# Less than this share of the scale is no colour.
_FAINT = 0.02
_N_NAMED = 3
_FULL = 0.97


class Span(NamedTuple):
    """A piece of a review's text.

    Attributes
    ----------
    text : str
        The piece.
    share : float
        What it adds as a share of the end of the colour scale: -1 to 1, the ends included for more; 0 between words.
    note : str
        What it adds in stars; empty where it has no colour.
    """

    text: str
    share: float
    note: str


class SideReading(NamedTuple):
    """A review as one side reads it.

    Attributes
    ----------
    side : str
    base, added, predicted : float
        Stars at the start, what the words add to them, and the sum.
    right : bool
        Whether the prediction, rounded, is the true star.
    spans : list of Span
    up, down : list of str
        The words that add and take away most, with how much.
    """

    side: str
    base: float
    added: float
    predicted: float
    right: bool
    spans: list[Span]
    up: list[str]
    down: list[str]


class Reading(NamedTuple):
    """A review with its true star, as each side reads it."""

    stars: float
    sides: list[SideReading]


def readings(results: Results) -> dict[str, Any] | None:
    """Return the reviews that both sides read, None where there are none.

    Returns
    -------
    dict
        one_right, both_right: lists of Reading; sides: their names; end: stars from which on a colour is full, for
        all reviews and sides.
    """
    table = results.readings
    if table.empty:
        return None
    # Few words say more; were the largest the end, most would be pale.
    end = float(np.ceil(10 * table["contribution"].abs().quantile(_FULL)) / 10) or 1.0
    reviews = results.reviews.set_index("review_id")
    made: dict[str, list[Reading]] = {"one_right": [], "both_right": []}
    for review_id, words in table.groupby("review_id", sort=False):
        text, stars = str(reviews["text"][review_id]), float(reviews["stars"][review_id])
        sides = [_side(side, of_side, text, stars, end, results) for side, of_side in words.groupby("side", sort=False)]
        made["both_right" if words["reason"].iloc[0] == BOTH else "one_right"].append(Reading(stars, sides))
    return {**made, "sides": table["side"].unique().tolist(), "end": end}


def _side(side: Any, words: pd.DataFrame, text: str, stars: float, end: float, results: Results) -> SideReading:
    base, predicted = (float(words[name].iloc[0]) for name in ("base", "predicted"))
    ranked = by_word(words).sort_values()
    named = [f"{word} {number(added, 2, sign=True)}" for word, added in ranked.items()]
    up, down = int((ranked > 0).sum()), int((ranked < 0).sum())
    return SideReading(
        side=str(side),
        base=base,
        added=float(words["contribution"].sum()),
        predicted=predicted,
        right=bool(round_to_stars(predicted, results.scale) == stars),
        spans=_spans(text, words, end),
        up=named[::-1][: min(_N_NAMED, up)],
        down=named[: min(_N_NAMED, down)],
    )


def _spans(text: str, words: pd.DataFrame, end: float) -> list[Span]:
    """Cut a text into its words and the pieces between them.

    Parameters
    ----------
    text : str
        The review.
    words : DataFrame
        Columns start, end and contribution, from `pipeline.evaluation.word_contributions`.
    end : float
        The contribution from which on the colour is full.

    Returns
    -------
    list of Span
        Their texts add up to `text`.

    Examples
    --------
    >>> words = pd.DataFrame({"start": [0, 6], "end": [4, 10], "contribution": [0.1, -0.2]})
    >>> [(span.text, span.share) for span in _spans("good, rude!", words, end=0.2)]
    [('good', 0.5), (', ', 0.0), ('rude', -1.0), ('!', 0.0)]
    """
    pieces, position = [], 0
    columns = (words[name].tolist() for name in ("start", "end", "contribution"))
    for start, stop, contribution in zip(*columns, strict=True):
        if start > position:
            pieces.append(Span(text[position:start], 0.0, ""))
        share = round(min(max(contribution / end, -1.0), 1.0), 2)
        if abs(share) < _FAINT:
            pieces.append(Span(text[start:stop], 0.0, ""))
        else:
            pieces.append(Span(text[start:stop], share, f"{number(contribution, 2, sign=True)} stars"))
        position = stop
    return [*pieces, Span(text[position:], 0.0, "")] if position < len(text) else pieces
