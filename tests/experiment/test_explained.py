"""Held-out reviews with the attention of their tokens, one for each star."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import SMALL_SCORE, make_project, run_cli

from pipeline.experiment.explained import explain_reviews
from pipeline.experiment.transformers import explains
from pipeline.features import AttentionPooling, TextStats
from pipeline.project.paths import DatasetPaths
from pipeline.report.attention import _spans


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
        assert "".join(piece.text for piece in _spans(text, tokens)) == text


def test_what_says_how_many_stars_a_token_contributes_is_explained(tiny_encoder: str, texts: list[str]) -> None:
    y = np.arange(12) % 5 + 1
    for weights in ("uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"):
        pooling = AttentionPooling(weights, layer=1, cv=2, model=tiny_encoder)
        assert explains(pooling) == ("contribution" in pooling.fit(texts, y).explain("good"))
    assert not explains(TextStats())


def test_explained_reviews_that_were_deleted_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project", n_per_star=6)
    score = {**SMALL_SCORE, "feature_sets": {name: [name] for name in ("text_stats", "sn_attention")}}
    (project / "conf/score.yaml").write_text(yaml.safe_dump(score, sort_keys=False))
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
