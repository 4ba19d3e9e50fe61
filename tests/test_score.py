import logging

import numpy as np
import pandas as pd
import pytest
import yaml
from project import SMALL_SCORE, make_project, run_cli

from pipeline.config import ScoreConfig
from pipeline.errors import PipelineError
from pipeline.score import item_table, models_of, score

ABLATIONS = {"feature_sets": ["text_stats"], "models": ["T(1) selected", "T(1) full", "MT per star", "Ta"]}


@pytest.fixture
def reviews():
    """Forty reviews, a quarter held out, with one training review of five stars only."""
    stars = np.array([1, 2, 3, 4] * 9 + [5, 1, 2, 3])
    split = np.where(np.arange(40) % 4 == 3, "test", "train")
    return pd.DataFrame({"review_id": np.arange(40), "text": "text", "stars": stars, "split": split})


@pytest.fixture
def tables(reviews):
    rng = np.random.default_rng(0)
    items = np.outer(reviews["stars"], [1.0, -1.0, 0.0]) + rng.normal(size=(40, 3))
    table = pd.DataFrame(items, columns=["praise", "anger", "noise"])
    table.insert(0, "review_id", reviews["review_id"])
    return {"text_stats": table}


def config(**changes):
    options = {"feature_sets": {"text_stats": ["text_stats"], "again": ["text_stats"]}, "baselines": ["mean"]}
    return ScoreConfig(**{**SMALL_SCORE, **options, **changes})


def test_ablations_meet_their_feature_sets_only_and_no_model_stands_there_twice():
    settings = config(ablations=ABLATIONS)
    assert models_of("text_stats", settings) == ["T(1)", "Ta", "Ridge", "T(1) selected", "T(1) full", "MT per star"]
    assert models_of("again", settings) == ["T(1)", "Ta", "Ridge"]
    assert models_of("again", config()) == ["T(1)", "Ta", "Ridge"]


def test_an_ablation_that_the_data_do_not_allow_is_left_out_with_a_warning(reviews, tables, caplog):
    with caplog.at_level(logging.WARNING):
        lines = score(reviews, tables, config(ablations=ABLATIONS))
    assert "left out: MT per star on text_stats: " in caplog.text
    assert {line.model for line in lines if line.features == "text_stats"} == {
        "T(1)", "Ta", "Ridge", "T(1) selected", "T(1) full"
    }  # fmt: skip


def test_a_model_that_the_data_do_not_allow_stops_the_stage(reviews, tables):
    with pytest.raises(PipelineError, match="MT per star on text_stats: "):
        score(reviews, tables, config(models=["MT per star"]))


def test_items_of_a_selection_keep_their_names_and_weights_sum_up_to_one(reviews, tables):
    lines = score(reviews, tables, config(ablations=ABLATIONS))
    items = item_table(lines, {name: ["praise", "anger", "noise"] for name in ("text_stats", "again")})
    weights = items.groupby(["features", "model"])["weight"].sum()
    assert set(weights.index.get_level_values("model")) == {"T(1)", "Ta", "T(1) selected", "T(1) full"}
    np.testing.assert_allclose(weights, 1)
    selected = items[items["model"] == "T(1) selected"]
    whole = items[(items["model"] == "T(1)") & (items["features"] == "text_stats")].set_index("item")
    assert {"praise", "anger"} <= set(selected["item"])
    np.testing.assert_allclose(selected["eta"], whole.loc[selected["item"], "eta"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": ["T(9)"]}, "unknown model 'T(9)'"),
        ({"feature_sets": ["nowhere"]}, "unknown feature set 'nowhere'"),
    ],
)
def test_unknown_names_among_the_ablations_stop_before_any_work(changed, message, tmp_path, monkeypatch, capsys):
    project = make_project(tmp_path)
    monkeypatch.chdir(project)
    settings = {**SMALL_SCORE, "ablations": {**ABLATIONS, **changed}}
    (project / "conf/score.yaml").write_text(yaml.safe_dump(settings))
    assert run_cli(monkeypatch, "score") == 2
    assert message in capsys.readouterr().err
