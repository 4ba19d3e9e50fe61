"""Reviews cut into their words: nothing of the text is lost, one colour scale serves all, and the sums add up."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.metrics import round_to_stars
from pipeline.report.readings import _spans, readings
from pipeline.report.results import Results


@st.composite
def texts_and_words(draw: st.DrawFn) -> tuple[str, pd.DataFrame]:
    """A text, and words with gaps between them."""
    text = draw(st.text(min_size=1, max_size=30))
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    values = [draw(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0])) for _ in pairs]
    starts, ends = [start for start, _ in pairs], [end for _, end in pairs]
    return text, pd.DataFrame({"start": starts, "end": ends, "contribution": values})


@given(texts_and_words())
def test_the_pieces_add_up_to_the_text_and_the_shares_stay_on_their_scale(case: tuple[str, pd.DataFrame]) -> None:
    text, words = case
    pieces = _spans(text, words, end=1.0)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    assert all(-1 <= piece.share <= 1 for piece in pieces)
    assert {piece.share for piece in pieces if not piece.note} <= {0.0}


def test_a_word_has_its_share_of_the_scale_s_end_and_no_more_than_the_full_colour() -> None:
    words = pd.DataFrame({"start": [0, 6, 12, 19], "end": [4, 10, 18, 20], "contribution": [0.1, -0.4, 0.9, 0.001]})
    assert [(piece.text, piece.share, piece.note) for piece in _spans("good, rude, superb a", words, end=0.4)] == [
        ("good", 0.25, "+0.10 stars"),
        (", ", 0.0, ""),
        ("rude", -1.0, "-0.40 stars"),
        (", ", 0.0, ""),
        ("superb", 1.0, "+0.90 stars"),
        (" ", 0.0, ""),
        ("a", 0.0, ""),
    ]


def test_a_reading_starts_at_its_base_and_ends_at_the_prediction(results: Results) -> None:
    found = readings(results)
    assert found is not None
    assert found["sides"] == results.readings["side"].unique().tolist()
    assert found["one_right"]
    assert found["both_right"]
    for one in found["one_right"] + found["both_right"]:
        assert [read.side for read in one.sides] == found["sides"]
        for read in one.sides:
            assert read.base + read.added == pytest.approx(read.predicted)
            assert read.right == (round_to_stars(read.predicted)[()] == one.stars)
        rights = [read.right for read in one.sides]
        assert (sum(rights) == 1) == (one in found["one_right"])


def test_one_colour_scale_serves_all(results: Results) -> None:
    found = readings(results)
    assert found is not None
    sizes = results.readings["contribution"].abs()
    assert found["end"] == pytest.approx(np.ceil(10 * sizes.quantile(0.97)) / 10)
    for one in found["one_right"] + found["both_right"]:
        for read in one.sides:
            for span in read.spans:
                if span.note and abs(span.share) < 1:
                    assert float(span.note.split()[0]) == pytest.approx(span.share * found["end"], abs=0.01)


def test_without_readings_there_is_nothing(results: Results) -> None:
    results.__dict__["readings"] = results.readings.head(0)
    assert readings(results) is None
