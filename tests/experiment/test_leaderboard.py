"""The leaderboard from what the pieces have predicted, and what it says of its lines."""

import logging

import numpy as np
import pandas as pd
import pytest
import yaml
from project import SMALL_SCORE, make_project, run_cli
from sklearn.dummy import DummyRegressor

from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import evaluate
from pipeline.experiment.leaderboard import (
    _models_of,
    chosen,
    describe,
    full_pieces,
    has_items,
    items_frame,
    score,
)
from pipeline.experiment.line import Line
from pipeline.experiment.models import _TAGUCHI_FAMILY, MODELS
from pipeline.experiment.pieces import Piece, PieceResult, groups
from pipeline.project.conf import ScoreConfig

ABLATIONS = {"feature_sets": ["text_stats"], "models": ["T(1) selected", "T(1) full", "MT per star", "Ta"]}
STARS = np.tile([1, 2, 3, 4, 5], 8)


def config(**changes):
    options = {"feature_sets": {"text_stats": ["text_stats"], "again": ["text_stats"]}, "baselines": ["mean"]}
    return ScoreConfig(**{**SMALL_SCORE, **options, **changes})


def result(features, sds, refused=None):
    """What a piece would leave whose models predict the true stars and noise."""
    rng = np.random.default_rng(0)
    predictions = pd.DataFrame({model: STARS + rng.normal(0, sd, 40) for model, sd in sds.items()}, dtype=np.float32)
    figures = pd.DataFrame(
        {"n_features": 3.0, "fit_seconds": 0.1, "predict_seconds": 0.01, "peak_mb": 2.0}, index=list(sds)
    )
    return PieceResult(Piece(features, tuple(sds), 100), predictions, figures, refused or {})


def test_ablations_meet_their_feature_sets_only_and_no_model_stands_there_twice():
    settings = config(ablations=ABLATIONS)
    assert _models_of("text_stats", settings) == ["T(1)", "Ta", "Ridge", "T(1) selected", "T(1) full", "MT per star"]
    assert _models_of("again", settings) == ["T(1)", "Ta", "Ridge"]
    assert _models_of("again", config()) == ["T(1)", "Ta", "Ridge"]


def test_every_line_is_fitted_in_one_piece_and_classifiers_that_are_read_twice_in_the_same():
    models = ["LogisticRegression", "Ridge", "LogisticRegression (median star)"]
    pieces = full_pieces(config(models=models), 100)
    assert [(piece.features, piece.models) for piece in pieces] == [
        *((name, group) for name in ("text_stats", "again") for group in ((models[0], models[2]), ("Ridge",))),
        ("text", ("mean",)),
    ]
    assert {name for group in groups("text_stats", list(MODELS)).values() for name in group} == set(MODELS)


def test_the_best_qwk_comes_first_and_the_metrics_are_those_of_the_predictions():
    results = [result("text_stats", {"T(1)": 1.0, "Ridge": 0.1}), result("again", {"Ta": 0.5})]
    lines = score(results, STARS, config())
    assert [each.line.model for each in lines] == ["Ridge", "Ta", "T(1)"]
    for line in lines:
        expected = evaluate(STARS, line.predictions)
        assert {key: line.metrics[key] for key in expected} == expected
        assert (line.metrics["n_train"], line.metrics["n_test"], line.metrics["n_features"]) == (100, 40, 3)
        assert line.metrics["peak_mb"] == 2


def test_lines_that_are_equally_good_stand_in_the_order_of_their_names():
    results = [result("text_stats", {"Ta": 0.5}), result("again", {"Ta": 0.5})]
    assert [each.line.features for each in score(results, STARS, config())] == ["again", "text_stats"]
    assert [each.line.features for each in score(results[::-1], STARS, config())] == ["again", "text_stats"]


def test_an_ablation_that_the_data_do_not_allow_is_left_out_with_a_warning(caplog):
    refused = {"MT per star": "MT per star on text_stats: too few"}
    with caplog.at_level(logging.WARNING):
        lines = score([result("text_stats", {"Ta": 0.5}, refused)], STARS, config(ablations=ABLATIONS))
    assert "left out: MT per star on text_stats: too few" in caplog.text
    assert [each.line.model for each in lines] == ["Ta"]


def test_a_model_that_the_data_do_not_allow_stops_the_stage():
    refused = {"Ridge": "Ridge on text_stats: too few"}
    with pytest.raises(PipelineError, match="Ridge on text_stats: too few"):
        score([result("text_stats", {"Ta": 0.5}, refused)], STARS, config())


def test_items_of_a_selection_keep_their_names_and_weights_sum_up_to_one():
    rng = np.random.default_rng(0)
    X = np.outer(STARS, [1.0, -1.0, 0.0]) + rng.normal(size=(40, 3))
    names = ["T(1)", "Ta", "T(1) selected", "T(1) full"]
    fitted = {Line("f", name): MODELS[name]().fit(X, STARS) for name in names}
    items = items_frame(fitted, {"f": ["praise", "anger", "noise"]})
    weights = items.groupby("model")["weight"].sum()
    assert set(weights.index) == set(names)
    np.testing.assert_allclose(weights, 1)
    selected = items[items["model"] == "T(1) selected"]
    whole = items[items["model"] == "T(1)"].set_index("item")
    assert {"praise", "anger"} <= set(selected["item"])
    np.testing.assert_allclose(selected["eta"], whole.loc[selected["item"], "eta"])


def test_only_models_that_weigh_the_columns_themselves_have_items():
    assert {name for name in MODELS if has_items(Line("f", name))} == {
        *(name for name in _TAGUCHI_FAMILY if name.startswith(("T(", "Ta", "Tb")) and "+" not in name)
    }


CHOOSING = ["Ridge", "PLS", "LogisticRegression", "ordinal regression", "linear SVR", "unit spaces"]
CHOOSING += ["HistGradientBoosting", "k-nearest neighbours"]


@pytest.mark.parametrize("name", CHOOSING)
def test_what_a_model_has_chosen_inside_its_training_reviews_is_told(name):
    rng = np.random.default_rng(0)
    X = np.outer(STARS, [1.0, -1.0, 0.0]) + rng.normal(size=(40, 3))
    told = chosen(MODELS[name]().fit(X, STARS))
    assert len(told) == 1
    assert np.isfinite(next(iter(told.values())))
    assert chosen(MODELS["Ta"]().fit(X, STARS)) == chosen(DummyRegressor().fit(X, STARS)) == {}


def test_a_line_is_described_with_family_parts_and_parameters():
    told = describe(Line("text_stats", "Ta"), config(), model_file="ta.skops")
    assert told["name"] == "text_stats / Ta"
    assert (told["family"], told["parts"], told["model_file"]) == ("Taguchi", ["text_stats"], "ta.skops")
    assert told["params"]["unit_space"] == "all"
    assert describe(Line("text", "mean"), config())["family"] == "baseline"
    assert describe(Line("again", "Ridge"), config())["family"] == "other"


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
