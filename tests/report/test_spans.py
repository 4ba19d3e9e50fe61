"""Reviews cut into their tokens: nothing of the text is lost, and the colours say what the tokens contribute."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.attention import _spans, explained_reviews


@st.composite
def texts_and_tokens(draw: st.DrawFn) -> tuple[str, pd.DataFrame]:
    """A text, and tokens with gaps, overlaps and special ones between."""
    text = draw(st.text(min_size=1, max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=12)))
    starts = [max(0, cut - draw(st.integers(0, 1))) for cut in cuts[:-1]]
    size = draw(st.floats(0.1, 5))
    values = [size * draw(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])) for _ in starts]
    return text, pd.DataFrame({"start": starts, "end": cuts[1:], "estimate": values, "contribution": values})


@given(texts_and_tokens())
def test_the_pieces_add_up_to_the_text_and_the_shares_stay_on_their_scale(case: tuple[str, pd.DataFrame]) -> None:
    text, tokens = case
    pieces = _spans(text, tokens)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    assert all(-1 <= piece.share <= 1 for piece in pieces)
    if len(pieces) > 1:
        assert {piece.share for piece in pieces if not piece.note} <= {0.0}


def test_the_largest_contribution_has_the_full_colour_and_the_others_their_share() -> None:
    tokens = pd.DataFrame(
        {"start": [0, 0, 6], "end": [0, 4, 10], "estimate": [9, 1, -3], "contribution": [0.0, 0.1, -0.4]}
    )
    assert [(piece.text, piece.share) for piece in _spans("good, rude!", tokens)] == [
        ("good", 0.25),
        (", ", 0.0),
        ("rude", -1.0),
        ("!", 0.0),
    ]


@pytest.mark.parametrize("stars", [[5, 1, 3], [0.5, 4.5, 2.5]])
def test_each_review_keeps_its_star_the_most_first(stars: list[float]) -> None:
    token = {"text": "good", "start": 0, "end": 4, "estimate": 1.0, "contribution": 0.1}
    explained = pd.DataFrame([{"review_id": f"r{star}", "stars": star, **token} for star in stars])
    assert [review["stars"] for review in explained_reviews(explained)] == sorted(stars, reverse=True)
