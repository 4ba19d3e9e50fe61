"""The words of the report: who won, by how much, and whether that is more than chance."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.config import ReportConfig
from pipeline.metrics import evaluate, intervals
from pipeline.report import Results, draw, item_lines, render, verdict

ATTENTION = {"transformer": "AttentionPooling", "params": {"weights": "received"}}
MEAN = {"transformer": "AttentionPooling", "params": {"weights": "uniform"}}
T_ATTENTION = {"transformer": "AttentionPooling", "params": {"weights": "t-method"}}
TRAINED = {"transformer": "AttentionPooling", "params": {"weights": "trained"}}


def results(noise: dict[tuple[str, str], float], n: int = 200) -> Results:
    """Results of models whose predictions are the true stars plus noise of a given size."""
    rng = np.random.default_rng(0)
    stars = rng.integers(1, 6, n)
    predictions = pd.DataFrame({"review_id": map(str, range(n)), "stars": stars})
    lines = []
    for (features, model), sd in noise.items():
        predictions[f"{features} / {model}"] = stars + rng.normal(0, sd, n)
        metrics = evaluate(stars, predictions[f"{features} / {model}"])
        low_high = intervals(stars, predictions[f"{features} / {model}"], n_resamples=200, seed=0)
        seconds = {"n_train": n, "n_test": n, "n_features": len(features), "fit_seconds": 0.1, "predict_seconds": 0.1}
        name = f"{features} / {model}"
        lines.append({"features": features, "model": model, "name": name, **metrics, **low_high, **seconds})
    items = pd.DataFrame(
        [
            {"features": features, "model": model, "item": item, "beta": beta, "eta": eta, "sn_db": 10 * np.log10(eta)}
            for features, model in noise
            if model == "Ta"
            for item, beta, eta in (("length", 1.0, 0.2), ("<i>anger</i>", -1.0, 0.4))
        ],
        columns=["features", "model", "item", "beta", "eta", "sn_db"],
    )
    return Results(
        metrics=pd.DataFrame(lines).sort_values("qwk", ascending=False, ignore_index=True),
        predictions=predictions,
        items=items,
        feature_sets={
            **{name: [name] for name in ("attention", "mean", "t_attention", "trained")},
            "<b>both</b>": ["attention", "mean"],
        },
        models=["Ta", "Ridge"],
        feature_configs={"attention": ATTENTION, "mean": MEAN, "t_attention": T_ATTENTION, "trained": TRAINED},
    )


@pytest.mark.parametrize(
    ("t_method", "ridge", "outcome"),
    [
        (0.2, 2.0, "it is ahead, and the interval leaves out 0"),
        (2.0, 0.2, "it is behind, and the interval leaves out 0"),
        (0.8, 0.8, "these 200 reviews do not tell the two apart"),
    ],
)
def test_the_verdict_says_how_the_t_method_stands_and_how_sure_that_is(
    t_method: float, ridge: float, outcome: str
) -> None:
    won, compared = verdict(results({("mean", "Ta"): t_method, ("mean", "Ridge"): ridge}), n_resamples=500, seed=0)
    assert re.search(r"won: of 2 combinations .* QWK 0\.\d{3} \(95% interval 0\.\d{3} to 0\.\d{3}\)", won)
    assert compared.startswith("The best member of the Taguchi family, Ta on mean, reaches 0.")
    assert outcome in compared


def test_ablations_win_but_are_not_compared() -> None:
    shown = results({("mean", "T(1) full"): 0.1, ("mean", "Ta"): 1.0, ("mean", "Ridge"): 0.8})
    won, compared = verdict(shown, n_resamples=200, seed=0)
    assert won.startswith("T(1) full on mean won: of 3 combinations")
    assert compared.startswith("The best member of the Taguchi family, Ta on mean, ")


def test_the_verdict_compares_attention_weights_with_their_absence() -> None:
    sentences = verdict(results({("attention", "Ridge"): 0.2, ("mean", "Ridge"): 2.0}), n_resamples=500, seed=0)
    assert len(sentences) == 2
    assert "combination pooled by attention, Ridge on attention," in sentences[1]
    assert "it is ahead, and the interval leaves out 0" in sentences[1]


def test_the_verdict_compares_t_attention_with_trained_queries() -> None:
    shown = results({("t_attention", "Ridge"): 2.0, ("trained", "Ridge"): 0.2, ("mean", "Ridge"): 3.0})
    *_, compared = verdict(shown, n_resamples=500, seed=0)
    assert compared.startswith("The best combination with T-attention, Ridge on t_attention, reaches 0.")
    assert "the best one with a query trained by gradient descent, Ridge on trained, 0." in compared
    assert "it is behind, and the interval leaves out 0" in compared


def test_explained_reviews_are_coloured_by_contribution_and_escaped() -> None:
    text = "<script>Good</script>, rude!"
    columns = {"start": [0, 8, 23], "end": [0, 12, 27], "estimate": [3, 1, -2], "contribution": [0.0, 0.1, -0.4]}
    tokens = pd.DataFrame({"review_id": "r", "stars": 2, "text": text, **columns})
    shown = replace(results({("mean", "Ta"): 0.5, ("mean", "Ridge"): 0.6}), explained=tokens)
    page = render("d", shown, [], ["won"])
    assert "2 stars; most up: Good; most down: rude" in page
    assert '<span class="up" style="--share: 0.25" title="estimate +1.00, contribution +0.100">Good</span>' in page
    assert '<span class="down" style="--share: 1.0" title="estimate -2.00, contribution -0.400">rude</span>' in page
    assert "<script>" not in page
    assert "What T-attention looks at" not in render("d", results({("mean", "Ta"): 0.5}), [], ["won"])


def test_a_single_line_has_nothing_to_be_compared_with() -> None:
    assert len(verdict(results({("mean", "Ta"): 0.5}), n_resamples=200, seed=0)) == 1


def test_few_reviews_are_called_few() -> None:
    sentences = verdict(results({("mean", "Ta"): 0.5, ("mean", "Ridge"): 0.6}, n=12), n_resamples=200, seed=0)
    assert sentences[1:] == ["With only 12 held-out reviews the ranking is mostly noise."]
    sentences = verdict(results({("mean", "Ta"): 0.5, ("mean", "Ridge"): 0.6}, n=40), n_resamples=200, seed=0)
    assert sentences[1] == "With only 40 held-out reviews the ranking is mostly noise."
    assert sentences[2].startswith("The best member of the Taguchi family")


def test_nobody_wins_where_nothing_agrees_beyond_chance() -> None:
    shown = results({("mean", "Ta"): 0.5, ("mean", "Ridge"): 0.6})
    for undefined in (0.0, float("nan")):
        shown.metrics["qwk"] = undefined
        assert verdict(shown, n_resamples=200, seed=0)[0].startswith("Nobody won")


def test_names_from_configuration_and_data_are_escaped() -> None:
    shown = results({("<b>both</b>", "Ta"): 0.5, ("mean", "Ridge"): 0.6})
    pictures = draw(shown, ReportConfig(n_plots=6, n_items=5))
    page = render("data & more", shown, pictures, verdict(shown, n_resamples=200, seed=0))
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;both&lt;/b&gt;" in page
    assert "&lt;i&gt;anger&lt;/i&gt;" in page
    assert "data &amp; more" in page


def test_the_strongest_item_comes_first() -> None:
    ((line, items),) = item_lines(results({("mean", "Ta"): 0.5, ("mean", "Ridge"): 0.6}))
    assert line["model"] == "Ta"
    assert items["item"].tolist() == ["<i>anger</i>", "length"]


def test_a_score_without_t_methods_has_no_items_to_show() -> None:
    shown = results({("mean", "Ridge"): 0.5})
    assert item_lines(shown) == []
    page = render("d", shown, draw(shown, ReportConfig(n_plots=1, n_items=5)), ["won"])
    assert "What the T-method listens to" not in page
