"""The three sentences say what the tables say, and nothing that is not sure."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.sides import Side
from pipeline.evaluation.verdict import know_how_sentence, others_sentence, three_sentences, who_is_ahead
from pipeline.experiment.curves import contrasts_frame, crossovers_frame, sides_frame
from pipeline.experiment.line import Line

SIZES = [10, 100, 1000]
PAIRS = [["T-method", "attention"], ["combined", "attention"]]
SECONDS = {"T-method": 4.2, "attention": 250.0}


def sides(levels: dict[str, list[float]], spread: float = 0.01) -> dict[str, dict[int, Side]]:
    """Sides with a known QWK at each size, and independent noise in the resamples."""
    rng = np.random.default_rng(0)
    return {
        name: {
            n: Side(Line(name.lower(), "Ta"), level + np.concatenate([[0], spread * rng.normal(size=2000)]))
            for n, level in zip(SIZES, at_sizes, strict=True)
        }
        for name, at_sizes in levels.items()
    }


def sentences(levels: dict[str, list[float]], n_test: int = 1250, spread: float = 0.01) -> list[str]:
    made = sides(levels, spread)
    return three_sentences(
        sides_frame(made), contrasts_frame(made, PAIRS), crossovers_frame(made, PAIRS), n_test, SECONDS
    )


CROSSING = {"T-method": [0.7, 0.75, 0.8], "attention": [0.5, 0.7, 0.9], "combined": [0.6, 0.7, 0.9]}


def test_the_first_sentence_gives_both_sides_their_lines_the_difference_and_who_is_ahead() -> None:
    first = sentences(CROSSING)[0]
    assert first.startswith("With all 1,000 training reviews T-method reaches QWK 0.800 (95% interval ")
    assert "; its best line is Ta on t-method) and attention reaches QWK 0.900 (" in first
    assert "on 1,250 held-out reviews: difference -0.100 (-0.1" in first
    assert first.endswith("Holm p 0.006), so attention is ahead.")


def test_the_second_sentence_says_at_which_sizes_each_is_surely_ahead_and_where_the_lead_changes() -> None:
    second = sentences(CROSSING)[1]
    assert "T-method is ahead with 10 and 100 training reviews (Holm p below 0.05), by up to 0.200" in second
    assert "and attention is ahead with 1,000 training reviews (Holm p below 0.05), by up to 0.100" in second
    assert "the lead goes from T-method to attention at about 220 reviews in 100% of the resamples (95%" in second


def test_the_third_sentence_gives_the_other_contrasts_and_the_costs() -> None:
    third = sentences(CROSSING)[2]
    assert third.startswith("With all of them, too: combined against attention, difference +0.000 (")
    assert "so neither is shown to be ahead; " in third
    assert third.endswith("training from raw texts takes 4.2 s for T-method and 4 min for attention.")


def test_a_lead_that_stays_is_said_to_stay() -> None:
    second = sentences({"T-method": [0.7, 0.8, 0.9], "attention": [0.4, 0.5, 0.6], "combined": [0.5, 0.5, 0.5]})[1]
    assert "with 10, 100 and 1,000 training reviews" in second
    assert "attention is ahead at no size" in second
    ends = "T-method has the higher estimate at both ends, and in 0% of the resamples only one of them."
    assert second.endswith(ends)


def test_equal_sides_neither_lead_nor_cross() -> None:
    second = sentences({"T-method": [0.5, 0.5, 0.5], "attention": [0.5, 0.5, 0.5], "combined": [0.5, 0.5, 0.5]})[1]
    assert "T-method is ahead at no size, and attention is ahead at no size" in second
    assert "the estimates do not cross, and in " in second


@pytest.mark.parametrize(("n_test", "spread"), [(12, 0.01), (1250, 0.5)], ids=["few reviews", "wide intervals"])
def test_what_is_not_sure_is_not_claimed(n_test: int, spread: float) -> None:
    text = " ".join(sentences(CROSSING, n_test, spread))
    assert "so attention is ahead" not in text
    assert "is ahead with" not in text
    assert ("too few to tell sides apart" in text) == (n_test == 12)


def test_a_change_of_the_lead_that_is_not_sure_is_said_not_to_be() -> None:
    assert "which is not sure" not in sentences(CROSSING)[1]
    assert sentences(CROSSING, spread=0.5)[1].endswith(", which is not sure.")


def test_every_pair_that_is_surely_ahead_is_named_losses_too() -> None:
    levels = {**CROSSING, "combined": [0.6, 0.7, 0.7]}
    table = contrasts_frame(sides(levels), [*PAIRS, ["T-method", "combined"]])
    assert others_sentence(table, n_test=1250) == (
        "Of the other pairs, combined is ahead of attention with 10; attention is ahead of combined with 1,000; "
        "T-method is ahead of combined with 10, 100 and 1,000 training reviews (Holm p below 0.05)."
    )
    assert others_sentence(table, n_test=12) == ""
    assert others_sentence(table[:3], n_test=1250) == ""
    known = sides_frame(sides(levels))
    said = know_how_sentence(table, known, known, 1250, 100)
    assert said.endswith(f". {others_sentence(table, n_test=1250)}")


def test_numbers_in_the_sentences_are_those_of_the_tables() -> None:
    made = sides(CROSSING)
    table = contrasts_frame(made, PAIRS)
    full = table[(table["n_train"] == 1000) & (table["b"] == "attention")].iloc[0]
    first = three_sentences(sides_frame(made), table, crossovers_frame(made, PAIRS), 99, SECONDS)[0]
    assert f"difference {full['difference']:+.3f} ({full['low']:+.3f} to {full['high']:+.3f}" in first
    assert isinstance(table, pd.DataFrame)


def test_an_interval_with_zero_in_it_is_told_with_its_signs() -> None:
    table = pd.DataFrame({"a": ["T-method"], "b": "attention", "n_train": 10, "difference": -0.2, "p_holm": 0.01})
    said = who_is_ahead(table.assign(low=-0.5, high=0.01), n_test=400)
    assert "attention is ahead with 10 training reviews (Holm p below 0.05), by up to 0.200 (-0.010 to 0.500)" in said
