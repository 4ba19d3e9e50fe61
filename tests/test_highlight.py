"""Reviews cut into their tokens: nothing of the text is lost, and the colours say what the tokens contribute."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features import AttentionPooling
from pipeline.highlight import explain_reviews, spans


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
    pieces = spans(text, tokens)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    assert all(-1 <= piece.share <= 1 for piece in pieces)
    if len(pieces) > 1:
        assert {piece.share for piece in pieces if not piece.note} <= {0.0}


def test_the_largest_contribution_has_the_full_colour_and_the_others_their_share() -> None:
    tokens = pd.DataFrame(
        {"start": [0, 0, 6], "end": [0, 4, 10], "estimate": [9, 1, -3], "contribution": [0.0, 0.1, -0.4]}
    )
    assert [(piece.text, piece.share) for piece in spans("good, rude!", tokens)] == [
        ("good", 0.25),
        (", ", 0.0),
        ("rude", -1.0),
        ("!", 0.0),
    ]


def test_one_held_out_review_of_each_star_is_explained(tiny_encoder: str, texts: list[str], stars: list[int]) -> None:
    pooling = AttentionPooling("t-method", layer=2, cv=2, model=tiny_encoder).fit(texts, stars)
    split = np.where(np.arange(12) % 2, "train", "test")
    reviews = pd.DataFrame({"review_id": map(str, range(12)), "text": texts, "stars": stars, "split": split})
    table = explain_reviews(pooling, reviews)
    chosen = table.drop_duplicates("review_id")
    held_out = reviews[reviews["split"] == "test"]
    assert chosen["stars"].tolist() == sorted(held_out["stars"].unique())
    assert set(chosen["review_id"]) <= set(held_out["review_id"])
    for _, tokens in table.groupby("review_id"):
        text = tokens["text"].iloc[0]
        pd.testing.assert_frame_equal(
            tokens.iloc[:, 3:].reset_index(drop=True), pooling.explain(text), check_exact=False, atol=1e-6
        )
        assert "".join(piece.text for piece in spans(text, tokens)) == text
