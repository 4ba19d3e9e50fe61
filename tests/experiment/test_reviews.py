"""What is rejected and why, how reviews are drawn and split, and that nothing vanishes."""

import hashlib
import math
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_rows import CONFIG, checked, prepared, raw, review, reviews, source_of, with_seed

from pipeline.errors import PipelineError
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.experiment.reviews import split


def reason_of(row: dict[str, Any]) -> str | None:
    """Why `row` is rejected among good reviews, or None."""
    accepted, rejected = checked(raw(*reviews(3), row, *reviews(3, 3)), "file.csv")
    assert len(accepted) + len(rejected) == 7
    assert len(rejected) <= 1
    assert all(bad["file"] == "file.csv" and bad["line"] == 4 and bad["text"] == row.get("text") for bad in rejected)
    return rejected[0]["reason"] if rejected else None


# Which reviews are usable ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stars", [1, 5, 3.0, "4", "4.0", " 2 ", np.int64(3), np.float32(5)])
def test_whole_stars_from_1_to_5_are_usable_however_they_are_written(stars: Any) -> None:
    accepted, rejected = checked(raw(review(1, stars)))
    assert rejected == []
    assert accepted["stars"].tolist() == [float(stars)]
    assert accepted["stars"].dtype == int


@pytest.mark.parametrize(
    "stars", [0, 6, -1, 3.5, "3.5", "five", "★★★", 1e300, math.inf, "nan", "5 stars", "True", [5], "５５"]
)
def test_other_stars_are_rejected_with_the_value(stars: Any) -> None:
    assert reason_of(review(9, stars)) == f"stars not a whole number from 1 to 5: {stars}"


@pytest.mark.parametrize("stars", [None, math.nan, ""])
def test_missing_stars_are_rejected(stars: Any) -> None:
    row = review(9) | {"stars": stars}
    assert reason_of(row) == "stars not a whole number from 1 to 5: none given"


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n", "\u3000\u2003", "&nbsp; <br />", None])
def test_empty_texts_are_rejected(text: str | None) -> None:
    accepted, rejected = checked(raw(*reviews(3), {"text": text, "stars": 3}))
    assert len(accepted) == 3
    assert [row["reason"] for row in rejected] == ["text empty or not a string"]


@pytest.mark.parametrize(
    ("text", "kind"), [(math.nan, "float"), (5, "int"), (b"good food", "bytes"), (["good"], "list")]
)
def test_what_is_no_text_is_rejected(text: Any, kind: str) -> None:
    accepted, rejected = checked(raw(*reviews(3), {"text": text, "stars": 3}))
    assert len(accepted) == 3
    assert [row["reason"] for row in rejected] == [f"text not a string: {kind}"]


@pytest.mark.parametrize("text", ["👍", "5", "nan", "None", "味は最高", " good ", "a" * 100_000])
def test_any_other_text_is_usable_and_stays_as_it_is(text: str) -> None:
    accepted, rejected = checked(raw({"text": text, "stars": 3}))
    assert rejected == []
    assert accepted["text"].tolist() == [text]


def test_labels_0_to_4_are_stars_1_to_5() -> None:
    rows = [review(i, label) for i, label in enumerate([0, 1, 2, 3, 4, "0", "4.0"])]
    accepted, rejected = checked(raw(*rows), labels=True)
    assert accepted["stars"].tolist() == [1, 2, 3, 4, 5, 1, 5]
    assert rejected == []


@pytest.mark.parametrize("label", [5, -1, 2.5, "great"])
def test_other_labels_are_rejected_with_the_value(label: Any) -> None:
    _, rejected = checked(raw(*reviews(3), review(9, label)), labels=True)
    assert rejected[-1]["reason"] == f"stars not a whole number from 1 to 5: label {label}"


def test_an_unreadable_row_keeps_its_own_reason() -> None:
    row = {"text": None, "stars": None, "problem": "unreadable line: 3 fields, expected 2"}
    assert reason_of(row) == "unreadable line: 3 fields, expected 2"


def test_a_text_is_used_once_however_it_is_typed() -> None:
    composed = {"text": "I don't like the crème brûlée", "stars": 2}
    typed = {"text": unicodedata.normalize("NFD", "I don´t like the crème brûlée"), "stars": 2}
    accepted, rejected = checked(raw(review(1), composed, review(2), typed))
    assert accepted["text"].tolist()[1] == composed["text"]
    assert [(row["line"], row["reason"]) for row in rejected] == [(4, "duplicate text: same as line 2")]


@pytest.mark.parametrize("text", ["\0\0", "\u200b \u200d", "\ufeff", "\u3164"])
def test_a_text_that_shows_nothing_is_empty(text: str) -> None:
    assert reason_of({"text": text, "stars": 5}) == "text empty or not a string"


def test_a_text_is_used_once_whatever_its_spaces_and_star() -> None:
    first = {"text": "Good  food,\nkind staff.", "stars": 5}
    again = {"text": " Good food, kind staff. ", "stars": 1}
    accepted, rejected = checked(raw(review(1), first, review(2), again, again))
    assert accepted["line"].tolist() == [1, 2, 3]
    assert accepted["text"][1] == first["text"]
    assert [(row["line"], row["reason"]) for row in rejected] == [
        (4, "duplicate text: same as line 2"),
        (5, "duplicate text: same as line 2"),
    ]


def test_a_rejected_review_does_not_make_its_twin_a_duplicate() -> None:
    accepted, rejected = checked(raw(review(1, "five"), review(1, 5)))
    assert accepted["line"].tolist() == [2]
    assert [row["line"] for row in rejected] == [1]


# Identifiers ----------------------------------------------------------------------------------------------------------


def test_given_ids_are_kept_and_a_repeated_one_is_rejected() -> None:
    rows = [review(i, review_id=name) for i, name in enumerate(["a", "b", "a", None, "b"])]
    accepted, rejected = checked(raw(*rows))
    assert accepted["review_id"][:2].tolist() == ["a", "b"]
    assert [(row["line"], row["reason"]) for row in rejected] == [
        (3, "review_id used before: a"),
        (5, "review_id used before: b"),
    ]


def test_the_id_of_a_rejected_review_is_free_for_another() -> None:
    accepted, _ = checked(raw(review(1, 9, review_id="a"), review(2, review_id="a")))
    assert accepted[["line", "review_id"]].values.tolist() == [[2, "a"]]


def test_numbers_may_be_ids() -> None:
    accepted, rejected = checked(raw(*(review(i, review_id=i) for i in range(4))))
    assert accepted["review_id"].tolist() == ["0", "1", "2", "3"]
    assert rejected == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), drop=st.integers(0, 9))
def test_ids_depend_on_the_text_alone(seed: int, drop: int) -> None:
    rows = reviews(12)
    first, _ = checked(raw(*rows))
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(12)][drop:]
    second, _ = checked(raw(*shuffled), "another")
    ids = dict(zip(first["text"], first["review_id"], strict=True))
    assert len(set(ids.values())) == 12
    assert second["review_id"].tolist() == [ids[row["text"]] for row in shuffled]


def test_an_id_can_be_had_again_from_the_text() -> None:
    """Results of today are joined to reviews of tomorrow by it, hence the fixed value."""
    accepted, _ = checked(raw({"text": "Good food.", "stars": 5}))
    assert accepted["review_id"].tolist() == [hashlib.sha256(b"Good food.").hexdigest()[:16]]


# Nothing vanishes -----------------------------------------------------------------------------------------------------

ROW = st.fixed_dictionaries(
    {
        "text": st.sampled_from([None, "", "  ", "good", "Good", " good ", "bad food here", "👍", 7, math.nan, "x\ny"]),
        "stars": st.sampled_from([None, 1, 5, "3", 3.5, "five", math.nan, math.inf, 0, "4.0"]),
        "label": st.sampled_from([None, 0, 4, 5, "x"]),
        "review_id": st.sampled_from([None, "a", "b", "", 3]),
        "problem": st.sampled_from([None, None, None, "unreadable line: cut off"]),
    }
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=25))
def test_every_row_is_either_a_review_or_rejected(rows: list[dict[str, Any]]) -> None:
    accepted, rejected = checked(raw(*rows))
    lines = accepted["line"].tolist() + [row["line"] for row in rejected]
    assert sorted(lines) == list(range(1, len(rows) + 1))
    assert accepted["stars"].isin([1, 2, 3, 4, 5]).all()
    assert accepted["review_id"].is_unique
    assert all(row["reason"] for row in rejected)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(train=st.lists(ROW, max_size=12), test=st.lists(ROW, max_size=12), seed=st.integers(0, 99))
def test_prepare_accounts_for_every_row_of_both_files(
    train: list[dict[str, Any]], test: list[dict[str, Any]], seed: int
) -> None:
    train, test = [*reviews(15), *train], [*reviews(8, 100), *test]
    order = np.random.default_rng(seed).permutation(len(train))
    source = source_of(raw(*(train[i] for i in order)), raw(*test))
    kept, rejected = prepared(source, CONFIG)
    assert len(kept) + len(rejected) == len(train) + len(test)
    of = Counter(row["file"] for row in rejected)
    assert (kept["split"] == "train").sum() + of["train.csv"] == len(train)
    assert (kept["split"] == "test").sum() + of["test.csv"] == len(test)
    one_file, rejected = prepared(source_of(raw(*(train[i] for i in order))), CONFIG)
    assert len(one_file) + len(rejected) == len(train)


# Drawing --------------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_split_again_and_another_seed_another_one() -> None:
    source = source_of(raw(*reviews(60)))
    first, second, other = (prepared(source, with_seed(seed), 40)[0] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert set(first["review_id"]) != set(other["review_id"])
    everything, otherwise = (prepared(source, with_seed(seed))[0] for seed in (1, 2))
    assert set(everything["review_id"]) == set(otherwise["review_id"])
    assert (everything["split"] != otherwise["split"]).any()


@pytest.mark.parametrize("limit", [10, 37, 60, 1000])
def test_the_limit_is_kept_and_stratified(limit: int) -> None:
    rows = [review(i, 5 if i % 3 else 1) for i in range(60)]
    kept, rejected = prepared(source_of(raw(*rows)), CONFIG, limit)
    assert rejected == []
    assert len(kept) == min(limit, 60)
    assert abs((kept["stars"] == 1).sum() - len(kept) / 3) < 1
    assert (kept["split"] == "test").sum() == round(CONFIG.test_size * len(kept))


def test_the_limit_counts_usable_reviews_only() -> None:
    rows = [*reviews(20), *({"text": "", "stars": 3} for _ in range(20))]
    kept, rejected = prepared(source_of(raw(*rows)), CONFIG, 20)
    assert len(kept) == len(rejected) == 20


def test_with_two_files_the_limit_is_for_both_together() -> None:
    source = source_of(raw(*reviews(80)), raw(*reviews(40, 100)))
    kept, _ = prepared(source, CONFIG, 40)
    assert kept["split"].value_counts().to_dict() == {"train": 30, "test": 10}


# Splitting ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_both_sides_have_every_star_in_the_same_share(seed: int) -> None:
    kept, _ = prepared(source_of(raw(*reviews(100))), with_seed(seed))
    assert kept.groupby("split")["stars"].value_counts().to_dict() == {
        **{("train", star): 15 for star in range(1, 6)},
        **{("test", star): 5 for star in range(1, 6)},
    }


def changed(text: str, how: str) -> str:
    words = text.split()
    return {
        "case": text.upper(),
        "punctuation": ", ".join(words) + "!!",
        "one word": " ".join(["changed", *words[1:]]),
        "the last word gone": " ".join(words[:-1]),
        "a word more": f"{text} honestly",
    }[how]


@pytest.mark.parametrize("how", ["case", "punctuation", "one word", "the last word gone", "a word more"])
@pytest.mark.parametrize("seed", range(4))
def test_nearly_identical_texts_are_on_one_side(how: str, seed: int) -> None:
    rows = reviews(30)
    twins = [{"text": changed(row["text"], how), "stars": row["stars"]} for row in rows]
    kept, rejected = prepared(source_of(raw(*rows, *twins)), with_seed(seed))
    assert rejected == []
    side = dict(zip(kept["text"], kept["split"], strict=True))
    assert all(side[row["text"]] == side[twin["text"]] for row, twin in zip(rows, twins, strict=True))
    assert set(side.values()) == {"train", "test"}


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(["ramen", "cold", "kind", "slow"]), min_size=1, max_size=8).map(" ".join),
        min_size=8,
        max_size=40,
        unique=True,
    ),
    seed=st.integers(0, 99),
)
def test_no_group_of_texts_is_divided(texts: list[str], seed: int) -> None:
    table = pd.DataFrame({"text": texts, "stars": [i % 5 + 1 for i in range(len(texts))]})
    sides = split(table, with_seed(seed))["split"]
    groups = near_identical_groups(texts, CONFIG.near_identical)
    assert (sides.groupby(groups).nunique() == 1).all()
    missing = round(CONFIG.test_size * len(texts)) - (sides == "test").sum()
    assert 0 <= missing < np.bincount(groups).max()


def test_given_splits_are_kept() -> None:
    train, test = reviews(30), reviews(10, 100)
    kept, rejected = prepared(source_of(raw(*train), raw(*test)), CONFIG)
    assert rejected == []
    sides = dict(zip(kept["text"], kept["split"], strict=True))
    assert sides == {row["text"]: "train" for row in train} | {row["text"]: "test" for row in test}


@pytest.mark.parametrize("how", ["case", "punctuation", "one word", "the last word gone", "a word more"])
def test_training_reviews_that_nearly_repeat_a_test_review_are_rejected(how: str) -> None:
    train, test = reviews(30), reviews(10, 100)
    leaks = [{"text": changed(row["text"], how), "stars": row["stars"]} for row in test[:3]]
    kept, rejected = prepared(source_of(raw(*train, *leaks), raw(*test)), CONFIG)
    assert {row["text"] for row in test} == set(kept.loc[kept["split"] == "test", "text"])
    assert {row["text"] for row in train} == set(kept.loc[kept["split"] == "train", "text"])
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [
        ("train.csv", line, "nearly identical to a test review") for line in (31, 32, 33)
    ]


def test_a_training_review_with_the_id_of_a_test_review_is_rejected() -> None:
    train = [review(i, review_id=f"train{i}") for i in range(20)]
    test = [review(100 + i, review_id=f"test{i}") for i in range(8)]
    train[4]["review_id"] = "test2"
    kept, rejected = prepared(source_of(raw(*train), raw(*test)), CONFIG)
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [
        ("train.csv", 5, "review_id of a test review: test2")
    ]
    assert kept["review_id"].is_unique


def test_near_twins_within_the_test_split_are_kept() -> None:
    test = reviews(8, 100)
    twin = {"text": changed(test[0]["text"], "case"), "stars": 1}
    kept, rejected = prepared(source_of(raw(*reviews(10)), raw(*test, twin)), CONFIG)
    assert (kept["split"] == "test").sum() == 9
    assert rejected == []


# Too little -----------------------------------------------------------------------------------------------------------


def test_ten_reviews_two_for_each_star_are_enough() -> None:
    kept, rejected = prepared(source_of(raw(*reviews(10))), CONFIG)
    assert rejected == []
    assert kept["split"].value_counts().to_dict() == {"train": 8, "test": 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (reviews(9), "9 usable reviews, at least 10 are needed"),
        (
            [review(50, 3.5), *reviews(9)],
            "9 usable reviews, at least 10 are needed; first rejected: line 1, stars not a whole number",
        ),
        ([{"text": "same", "stars": 3}] * 50, "1 usable reviews, at least 10 are needed; first rejected: line 2"),
        ([{"text": "", "stars": 3}], "0 usable reviews, at least 10 are needed; first rejected: line 1, text empty"),
        ([review(i, 4) for i in range(30)], "all 30 reviews have 4 stars: one class only"),
        (
            [*(review(i, 4) for i in range(30)), review(50, "ten")],
            "all 30 reviews have 4 stars: one class only; first rejected: line 31, stars not a whole number",
        ),
    ],
    ids=["nine", "nine and a bad one", "one text", "empty", "one star", "one star and a bad one"],
)
def test_too_few_reviews_or_stars_stop_with_the_reason(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        prepared(source_of(raw(*rows)), CONFIG)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_training_split_with_one_star_stops() -> None:
    source = source_of(raw(*(review(i, 5) for i in range(12))), raw(*reviews(10, 100)))
    with pytest.raises(PipelineError, match=r"the train split has 12 reviews with 1 different stars: .* two different"):
        prepared(source, CONFIG)


@pytest.mark.parametrize(("test", "n"), [([{"text": "", "stars": 3}], 0), (reviews(1, 100), 1)], ids=["none", "one"])
def test_a_test_split_with_fewer_than_two_usable_reviews_stops(test: list[dict[str, Any]], n: int) -> None:
    with pytest.raises(PipelineError, match=f"the test split has {n} reviews with {n} different stars: two reviews"):
        prepared(source_of(raw(*reviews(12)), raw(*test)), CONFIG)


def test_a_test_split_may_have_one_star_only() -> None:
    source = source_of(raw(*reviews(12)), raw(*(review(i, 5) for i in range(100, 104))))
    kept, _ = prepared(source, CONFIG)
    assert kept.loc[kept["split"] == "test", "stars"].tolist() == [5] * 4


def test_a_training_split_that_only_repeats_the_test_split_stops() -> None:
    rows = reviews(12)
    with pytest.raises(PipelineError, match="the train split has 0 reviews"):
        prepared(source_of(raw(*rows), raw(*rows)), CONFIG)


def test_a_large_group_does_not_upset_the_share_of_the_test_split() -> None:
    texts = [f"The same words again and again, visit {i % 2}." for i in range(80)] + [
        row["text"] for row in reviews(20)
    ]
    table = pd.DataFrame({"text": texts, "stars": [i % 5 + 1 for i in range(100)]})
    for seed in range(5):
        sides = split(table, with_seed(seed))["split"]
        assert sides[:80].nunique() == 1
        assert 5 <= (sides == "test").sum() <= 25


# Categories -----------------------------------------------------------------------------------------------------------


def with_categories(rows: list[dict[str, Any]], categories: list[Any]) -> pd.DataFrame:
    table = raw(*rows)
    return table.assign(category=pd.Series(categories, index=table.index, dtype=object))


def test_reviews_keep_their_category_and_a_source_without_any_has_no_such_column() -> None:
    rows = reviews(30)
    categories = [f"c{i % 4}" if i % 5 else None for i in range(30)]
    kept, _ = prepared(source_of(with_categories(rows, categories)), CONFIG, 20)
    assert list(kept.columns) == ["review_id", "text", "stars", "split", "category"]
    category_of = dict(zip((row["text"] for row in rows), categories, strict=True))
    assert [None if pd.isna(category) else category for category in kept["category"]] == [
        category_of[t] for t in kept["text"]
    ]
    kept, _ = prepared(source_of(raw(*rows)), CONFIG, 20)
    assert list(kept.columns) == ["review_id", "text", "stars", "split"]


def test_a_category_changes_neither_split_nor_ids() -> None:
    rows = reviews(40)
    with_them, _ = prepared(source_of(with_categories(rows, ["a", "b"] * 20)), CONFIG)
    without, _ = prepared(source_of(raw(*rows)), CONFIG)
    pd.testing.assert_frame_equal(with_them.drop(columns="category"), without)


def test_spaces_are_no_category_and_a_rejected_row_takes_its_own_away() -> None:
    rows = [review(0), review(1, 9), review(2), review(3)]
    accepted, _ = checked(with_categories(rows, [" Bars ", "lost", "  ", ""]))
    assert accepted["category"].iloc[0] == "Bars"
    assert accepted["category"].iloc[1:].isna().all()


def test_only_one_of_two_files_may_have_categories() -> None:
    train, test = with_categories(reviews(20), ["Bars"] * 20), raw(*reviews(10, 20))
    kept, _ = prepared(source_of(train, test), CONFIG)
    assert (kept.loc[kept["split"] == "train", "category"] == "Bars").all()
    assert kept.loc[kept["split"] == "test", "category"].isna().all()
