"""Slices of the reviews: which there are, and what is in them."""

import pandas as pd

from pipeline.evaluation.slices import review_slices


def test_only_the_twelve_most_frequent_categories_of_twenty_reviews_or_more_are_slices() -> None:
    names = [f"c{i:02}" for i in range(15) for _ in range(40 - i)] + ["rare"] * 19 + [None] * 30
    reviews = pd.DataFrame({"text": "a few words", "stars": 3, "category": names})
    found = {value: rows.sum() for kind, value, rows in review_slices(reviews) if kind == "category"}
    assert found == {f"c{i:02}": 40 - i for i in range(12)}


def test_texts_of_one_length_are_in_one_slice_and_japanese_counts_characters() -> None:
    reviews = pd.DataFrame({"text": ["味は最高"] * 6 + ["it was good here"] * 6 + ["no"] * 4, "stars": [1, 5] * 8})
    found = {value: rows.sum() for kind, value, rows in review_slices(reviews) if kind == "length"}
    assert found == {"1": 4, "4": 12}
