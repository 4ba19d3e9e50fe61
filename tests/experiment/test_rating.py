"""Which scale stars are on, and what happens where nobody says it."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_rows import CONFIG, prepared, raw, review, reviews, source_of

from pipeline.errors import PipelineError
from pipeline.experiment.rating import _USUAL, Rating, likely_scale, rating_of
from pipeline.scale import FIVE_STARS, Scale

LIKELY = {
    "0..1": [0, 1],
    "1..5": [1, 2, 3, 4, 5],
    "0..4": [0, 1, 2, 3, 4],
    "0..5": [0, 1, 2, 3, 4, 5],
    "1..5 step 0.5": [1, 3.5, 4, 5],
    "0.5..5 step 0.5": [0.5, 1, 5],
    "0..5 step 0.5": [0, 0.5, 5],
    "1..7": [1, 4, 7],
    "1..10": [2, 4, 6, 8, 10],
    "0..10": [0, 3, 7, 10],
    "10..50 step 10": [10, 30, 50],
    "0..100 step 10": [0, 40, 70, 100],
    "80..100": [80, 91, 92, 100],
    "-1..1": [-1, 0, 1],
}


@pytest.mark.parametrize("written", LIKELY)
def test_numbers_on_another_scale_stop_with_the_option_that_takes_them(written: str) -> None:
    numbers = np.tile(np.array(LIKELY[written], dtype=float), 9)
    scale = likely_scale(numbers)
    assert scale is not None
    assert scale.written == written
    if scale != FIVE_STARS:
        with pytest.raises(PipelineError, match=re.escape(written)) as caught:
            rating_of(numbers, False, None, "r.csv")
        assert "SCALE=" in str(caught.value)
        assert "\n" not in str(caught.value)
    rating = rating_of(numbers, False, scale, "r.csv")
    np.testing.assert_allclose(rating.stars(numbers), numbers)


@pytest.mark.parametrize("labels", [[1, 2, 3, 4, 5], [0, 1], [0, 1, 2], [1, 2, 3, 4], [0, 1, 2, 3, 4, 5]])
def test_labels_that_are_not_0_to_4_stop(labels: list[int]) -> None:
    with pytest.raises(PipelineError, match=r"the labels go from .* SCALE="):
        rating_of(np.array(labels * 9, dtype=float), True, None, "r.csv")


def test_labels_0_to_4_are_five_stars() -> None:
    rating = rating_of(np.array([0, 1, 2, 3, 4] * 3, dtype=float), True, None, "r.csv")
    assert rating == Rating(FIVE_STARS, 1)
    assert rating.stars(np.array([0.0, 4.0])).tolist() == [1, 5]


@pytest.mark.parametrize("mistakes", [[0.0], [7.0, 3.5], [999.0]])
def test_single_mistakes_do_not_change_the_scale(mistakes: list[float]) -> None:
    numbers = np.array([1, 2, 3, 4, 5] * 20 + mistakes)
    rating = rating_of(numbers, False, None, "r.csv")
    assert rating.scale == FIVE_STARS
    assert np.isnan(rating.stars(numbers)[-len(mistakes) :]).all()


def test_more_values_than_a_scale_has_are_rounded_only_where_a_scale_is_given() -> None:
    numbers = np.arange(101, dtype=float)
    with pytest.raises(PipelineError, match=r"101 different values.* at most 21 .* SCALE='0\.\.100 step 5'"):
        rating_of(numbers, False, None, "r.csv")
    rating = rating_of(numbers, False, Scale(0, 100, 5), "r.csv")
    assert rating.rounded
    assert rating.stars(np.array([0, 2, 3, 97.5, 101])).tolist()[:4] == [0, 0, 5, 100]
    assert np.isnan(rating.stars(np.array([101.0]))).all()
    assert not rating_of(np.array([1, 2.5, 4.5, 5] * 9), False, FIVE_STARS, "r.csv").rounded


@settings(max_examples=50, deadline=None)
@given(
    scale=st.sampled_from(_USUAL),
    picks=st.lists(st.integers(0, 20), min_size=2, max_size=9),
)
def test_the_likely_scale_holds_the_numbers_and_has_no_more_values_than_theirs(scale: Scale, picks: list[int]) -> None:
    numbers = scale.values[np.array(picks) % len(scale.values)]
    likely = likely_scale([*numbers, scale.high])
    assert likely is not None
    assert likely.contains(numbers).all()
    assert len(likely.values) <= len(scale.values)


@pytest.mark.parametrize(
    ("written", "stars"),
    [
        ("1..10", [1, 2, 5, 8, 10]),
        ("0..4", [0, 1, 2, 3, 4]),
        ("1..5 step 0.5", ["1", "1.5", "3,5", "4.50", 5]),
        ("0..1", [0, 1, 0, 1, 0]),
    ],
)
def test_all_rows_are_used_on_the_scale_that_is_given(written: str, stars: list[object]) -> None:
    source = source_of(raw(*(review(i, stars[i % 5]) for i in range(40))))
    with pytest.raises(PipelineError, match="SCALE="):
        prepared(source, CONFIG, scale=None)
    scale = Scale.parse(written)
    kept, rejected = prepared(source, CONFIG, scale=scale)
    assert rejected == []
    assert len(kept) == 40
    assert sorted(kept["stars"].unique()) == sorted({float(str(star).replace(",", ".")) for star in stars})
    assert (kept["stars"].dtype == int) == scale.is_whole


@pytest.mark.parametrize("high", [22, 41, 101, 1e6])
def test_any_range_gets_a_scale_to_round_to(high: float) -> None:
    with pytest.raises(PipelineError, match=r"such as SCALE='.* step .*'") as caught:
        rating_of(np.linspace(1, high, 60), False, None, "r.csv")
    written = str(caught.value).split("SCALE='")[1].removesuffix("'")
    assert Scale.parse(written).low <= 1
    assert Scale.parse(written).high >= high


@pytest.mark.parametrize("star", ["３", "３．０", " 3 ", "3,0"])
def test_stars_in_full_width_are_numbers(star: str) -> None:
    kept, rejected = prepared(source_of(raw(*reviews(12), review(50, star))), CONFIG)
    assert rejected == []
    assert kept.loc[kept["text"] == review(50)["text"], "stars"].tolist() == [3]


@pytest.mark.parametrize(("scale", "n_codes"), [("1..5", 3), ("1..10", 3), ("0..10", 4), ("1..5 step 0.5", 5)])
def test_codes_for_a_missing_star_do_not_hide_the_scale(scale: str, n_codes: int) -> None:
    values = Scale.parse(scale).values
    numbers = np.concatenate([np.resize(values, 60), np.full(n_codes, 99.0)])
    option = f"SCALE='{scale}'" if " " in scale else f"SCALE={scale}"
    with pytest.raises(PipelineError, match=re.escape(f"give {option}, which 60 of {60 + n_codes} rows fit (--scale)")):
        rating_of(numbers, False, None, "r.csv")
    rating = rating_of(numbers, False, Scale.parse(scale), "r.csv")
    assert not rating.rounded
    assert np.isnan(rating.stars(numbers)).sum() == n_codes


def test_rows_beside_the_scale_are_rejected_with_its_name() -> None:
    source = source_of(raw(*(review(i, i % 10 + 1) for i in range(40)), review(50, 11), review(51, 2.5)))
    _, rejected = prepared(source, CONFIG, scale=Scale(1, 10))
    assert [row["reason"] for row in rejected] == [
        "stars not a whole number from 1 to 10: 11",
        "stars not a whole number from 1 to 10: 2.5",
    ]
    _, rejected = prepared(source, CONFIG, scale=Scale(1, 10, 0.5))
    assert [row["reason"] for row in rejected] == ["stars not on the scale 1 to 10 in steps of 0.5: 11"]
