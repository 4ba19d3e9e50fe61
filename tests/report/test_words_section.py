"""The section on words: bars of S/N ratios, plain names, and names and words that stay text."""

import re
from html import escape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.experiment.line import Line
from pipeline.experiment.transformers import make_transformer
from pipeline.features.encoded import EncoderTransformer
from pipeline.project.conf import ReportConfig, feature_configs
from pipeline.report.bars import bar_lists
from pipeline.report.item_names import _CHARACTERS, _FEATURES, feature_in_words, item_in_words
from pipeline.report.items import best_items, strongest_items
from pipeline.report.page import render
from pipeline.report.results import Results
from pipeline.report.words import strongest_words
from pipeline.scale import FIVE_STARS

TITLES = [("up", True), ("down", False)]
VALUES = st.lists(st.floats(-60, 20, allow_nan=False), max_size=5)


def table(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"name": [f"item {i}" for i in range(len(values))], "value": pd.Series(values, dtype=float)})


@given(VALUES, VALUES)
def test_bars_of_both_lists_are_as_long_as_their_ratios_on_one_scale(up: list[float], down: list[float]) -> None:
    lists = bar_lists(dict(zip(TITLES, (table(up), table(down)), strict=True)))
    ratios = [10 ** (value / 10) for value in (*up, *down)]
    assert [bar.value for found in lists for bar in found.bars] == [*up, *down]
    assert [bar.width for found in lists for bar in found.bars] == pytest.approx(
        [100 * ratio / max(ratios) for ratio in ratios]
    )


def test_the_strongest_items_come_first_by_the_sign_of_their_sensitivity(results: Results) -> None:
    found = best_items(results)
    assert found is not None
    line, items = found
    t_methods = results.metrics[results.metrics["model"].isin(results.items["model"])]
    assert str(line) == t_methods["name"].iloc[0]
    assert items["eta"].is_monotonic_decreasing
    assert (items["eta"] > 0).all()
    shown = strongest_items(results, 4)
    assert shown is not None
    assert sum(len(each.bars) for each in shown["lists"]) == 4
    for each, rises in zip(shown["lists"], (True, False), strict=True):
        of_sign = items.head(4)[(items.head(4)["beta"] > 0) == rises]
        assert each.rises == rises
        assert [bar.value for bar in each.bars] == of_sign["sn_db"].tolist()
        assert [bar.name for bar in each.bars] == [item_in_words(item) for item in of_sign["item"]]


def test_words_go_where_they_push_with_stars_and_counts(results: Results) -> None:
    found = strongest_words(results, 10)
    assert found is not None
    assert found["feature"] == "t_metrics"
    up, down = found["lists"]
    assert [(bar.name, bar.value, bar.cells) for bar in up.bars] == [("good", -9.5, ["+1.2", "9"])]
    assert [(bar.name, bar.cells[1]) for bar in down.bars] == [("<b>never</b> & again", "4"), ("味 は", "5")]
    assert up.columns == down.columns == ["stars", "reviews"]


def test_one_direction_alone_is_one_list(results: Results) -> None:
    vars(results)["words"] = results.words.head(1)
    found = strongest_words(results, 10)
    assert found is not None
    assert [each.rises for each in found["lists"]] == [True]


def test_without_words_items_and_readings_the_section_is_empty(results: Results) -> None:
    for name in ("words", "items", "readings"):
        vars(results)[name] = getattr(results, name).head(0)
    page = render("d", results, [], ReportConfig(n_plots=1, n_items=1, n_mistakes=1))
    section = re.findall(r'<section aria-labelledby="words">(.*?)</section>', page, re.DOTALL)
    assert [each.strip() for each in section] == ['<h2 id="words">The words that make the stars</h2>']


def test_hostile_words_and_sides_stay_text(results: Results) -> None:
    hostile = "</p><script>alert(1)</script>"
    vars(results)["readings"] = results.readings.replace({"side": {"attention": hostile}})
    page = render("d", results, [], ReportConfig(n_plots=1, n_items=5, n_mistakes=1))
    assert hostile not in page
    assert f"T-method and {escape(hostile)}" in page
    assert "<b>never" not in page
    assert escape("<b>never</b> & again") in page
    assert "味 は" in page


def test_the_page_says_how_a_prediction_adds_up(page: str, results: Results) -> None:
    for (_, side), words in results.readings.groupby(["review_id", "side"], sort=False):
        base, predicted = words["base"].iloc[0], words["predicted"].iloc[0]
        assert f"{side}: {predicted:.1f} stars, " in page
        assert f"Starts at {base:.1f}, words add {predicted - base:+.1f} → {predicted:.1f}." in page


@pytest.mark.parametrize("feature", feature_configs())
def test_every_column_of_every_shipped_feature_has_a_plain_name(feature: str) -> None:
    transformer = make_transformer(feature, feature_configs()[feature], FIVE_STARS)
    if isinstance(transformer, EncoderTransformer):
        heads = {"sn-ratio": 3, "t-method": 2, "trained": 2}.get(getattr(transformer, "weights", ""), 1)
        columns = [f"{type(transformer).__name__.lower()}{i}" for i in range(384 * heads)]
    elif feature == "rt_metrics":
        columns = [f"{kind}_{star}" for kind in ("sensitivity", "error") for star in range(1, 6)]
    else:
        columns = list(transformer.get_feature_names_out())
    names = [item_in_words(f"{feature}: {column}", len(columns)) for column in columns]
    assert len(set(names)) == len(names)
    for name in [*names, feature_in_words(feature)]:
        assert not re.search(r"_|attentionpooling|sentenceembedding|\b(?:sn|t|sd|log|n)\d*\b(?!-)", name), name
    assert feature.removesuffix(_CHARACTERS) in _FEATURES


def test_states_are_told_by_head() -> None:
    names = [item_in_words(f"sn_attention: attentionpooling{i}", 1152) for i in (0, 383, 384, 1151)]
    assert names == [
        "state 1 of S/N attention, praise head",
        "state 384 of S/N attention, praise head",
        "state 1 of S/N attention, blame head",
        "state 384 of S/N attention, middle head",
    ]


def test_a_user_s_column_keeps_its_words() -> None:
    assert item_in_words("mine: my_column") == "my column (mine)"


def test_the_only_feature_of_a_line_is_named_too(results: Results) -> None:
    assert results.lines
    alone = results.metrics["features"] == "text_stats"
    vars(results)["metrics"] = results.metrics[alone]
    vars(results)["items"] = results.items[results.items["features"] == "text_stats"].assign(item="n_words")
    found = best_items(results)
    assert found is not None
    assert found[0] == Line("text_stats", found[0].model)
    assert set(found[1]["item"]) == {"text_stats: n_words"}
