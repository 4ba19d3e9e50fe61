"""Reviews cut into their tokens: nothing of the text is lost, and the colours say what the tokens contribute."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import make_project, run_cli

from pipeline.experiment.transformers import explain_reviews, explains
from pipeline.features import AttentionPooling, TextStats
from pipeline.project.paths import DatasetPaths
from pipeline.report.attention import spans


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


@pytest.mark.parametrize("weights", ["sn-ratio", "t-method"])
def test_one_held_out_review_of_each_star_is_explained(
    tiny_encoder: str, texts: list[str], stars: list[int], weights: str
) -> None:
    pooling = AttentionPooling(weights, layer=2, cv=2, model=tiny_encoder).fit(texts, stars)
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


def test_what_says_how_many_stars_a_token_contributes_is_explained(tiny_encoder: str, texts: list[str]) -> None:
    y = np.arange(12) % 5 + 1
    for weights in ("uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"):
        pooling = AttentionPooling(weights, layer=1, cv=2, model=tiny_encoder)
        assert explains(pooling) == ("contribution" in pooling.fit(texts, y).explain("good"))
    assert not explains(TextStats())


def test_explained_reviews_that_were_deleted_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project", n_per_star=6)
    for path in (project / "conf/features").glob("*.yaml"):
        if path.stem not in ("text_stats", "sn_attention"):
            path.unlink()
    monkeypatch.chdir(project)
    assert run_cli(monkeypatch, "prepare") == run_cli(monkeypatch, "features") == 0
    paths = DatasetPaths("sample")
    explained = paths.explained("sn_attention")
    before, others = pd.read_parquet(explained), [paths.feature("text_stats"), paths.transformer("text_stats")]
    written = [path.stat().st_mtime_ns for path in others]
    assert not paths.explained("text_stats").exists()
    explained.unlink()
    assert run_cli(monkeypatch, "features") == 0
    pd.testing.assert_frame_equal(pd.read_parquet(explained), before)
    # What is complete is left as it is.
    assert [path.stat().st_mtime_ns for path in others] == written
    last = explained.stat().st_mtime_ns
    assert run_cli(monkeypatch, "features") == 0
    assert explained.stat().st_mtime_ns == last
