"""Rows are read twice: for a few bytes of each, then for the texts that are wanted."""

import tracemalloc
from collections.abc import Iterator

import pandas as pd
import pytest
from review_rows import CONFIG, checked, prepared, raw, raw_rows, review, reviews

from pipeline.errors import PipelineError
from pipeline.experiment.reviews import Source, prepare
from pipeline.experiment.usable import Rejected, check
from pipeline.sources.raw import RawRows


def test_parts_of_any_size_give_one_result() -> None:
    rows = [*reviews(30), review(3), review(40, 9), {"text": None, "stars": 2}, review(41, review_id="a")]
    table = raw(*rows)
    whole, rejected = checked(table)
    for size in (1, 7, 33):
        parts = [table[start : start + size] for start in range(0, len(table), size)]
        accepted, bad = check(raw_rows(*parts))
        pd.testing.assert_frame_equal(accepted, whole)
        assert list(bad) == rejected


@pytest.mark.slow
def test_what_is_drawn_of_many_rows_takes_the_memory_of_the_drawn() -> None:
    """The texts of all rows would take 60 MB."""
    n_parts, n_rows = 30, 1000

    def parts() -> Iterator[pd.DataFrame]:
        for part in range(n_parts):
            numbers = range(part * n_rows, (part + 1) * n_rows)
            yield raw(*({"text": f"n{i} " + f"w{i} " * 300, "stars": i % 5 + 1} for i in numbers)).assign(
                line=list(numbers)
            )

    tracemalloc.start()
    result = prepare(Source(RawRows("many", False, parts)), CONFIG, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.n_read == n_parts * n_rows
    assert len(result.reviews) == 100
    assert peak < 20e6


def test_a_file_that_changes_while_it_is_read_stops() -> None:
    tables = iter([raw(*reviews(30)), raw(*reviews(31))])
    rows = RawRows("r.csv", False, lambda: iter([next(tables)]))
    with pytest.raises(PipelineError, match=r"r\.csv has changed while it was read: run the command again"):
        prepare(Source(rows), CONFIG)
    tables = iter([raw(*reviews(30)), raw(*reviews(29))])
    with pytest.raises(PipelineError, match=r"r\.csv has changed while it was read: run the command again"):
        prepare(Source(rows), CONFIG)
    tables = iter([raw(*reviews(30)), raw(*reviews(30, 5))])
    with pytest.raises(PipelineError, match=r"r\.csv has changed while it was read: run the command again"):
        prepare(Source(rows), CONFIG)


def test_rejected_rows_are_kept_in_their_order_with_their_reasons() -> None:
    rejected = Rejected()
    rows = [{"file": "x", "line": i, "reason": f"{'ab'[i % 2]}: {i}", "text": "é" * 999} for i in range(2000)]
    for row in rows:
        rejected.add(row)
    assert list(rejected) == list(rejected) == rows
    assert len(rejected) == 2000
    assert rejected.reasons == {"a": 1000, "b": 1000}
    assert rejected.first == rows[0]


def test_a_template_that_makes_one_text_of_most_reviews_is_named() -> None:
    survey = [{"text": f"Thank you for the visit number {i} to our store today", "stars": i % 5 + 1} for i in range(40)]
    with pytest.raises(PipelineError, match=r"near_identical in conf/prepare\.yaml takes 40 of 40 "):
        prepared(Source(raw_rows(raw(*survey))), CONFIG)
    with pytest.raises(PipelineError, match=r"near_identical in conf/prepare\.yaml took 30 training reviews for "):
        prepared(Source(raw_rows(raw(*survey[:30])), raw_rows(raw(*survey[30:]))), CONFIG)
    kept, _ = prepared(Source(raw_rows(raw(*survey))), CONFIG.model_copy(update={"near_identical": 1.0}))
    assert set(kept["split"]) == {"train", "test"}


@pytest.mark.parametrize("labels_in", ["train", "test"])
def test_stars_and_labels_in_two_files_are_each_counted_as_they_are(labels_in: str) -> None:
    train, test = reviews(40), reviews(20, 100)
    for row in train if labels_in == "train" else test:
        row["stars"] -= 1
    expected = {row["text"]: row["stars"] for row in [*reviews(40), *reviews(20, 100)]}
    source = Source(
        raw_rows(raw(*train), labels=labels_in == "train"), raw_rows(raw(*test), labels=labels_in == "test")
    )
    kept, rejected = prepared(source, CONFIG, scale=None)
    assert rejected == []
    assert dict(zip(kept["text"], kept["stars"], strict=True)) == expected


def test_several_templates_are_named_too() -> None:
    survey = [
        {"text": template.format(i), "stars": i % 5 + 1}
        for template in (
            "Thank you for the visit number {} to our store today",
            "Please tell us what you did not like when guest {} came by",
        )
        for i in range(20)
    ]
    with pytest.raises(PipelineError, match=r"takes 40 of 40 reviews for 2 texts: raise it"):
        prepared(Source(raw_rows(raw(*survey))), CONFIG)


def test_a_duplicate_in_another_file_names_it() -> None:
    first, second = raw(review(1), review(2)), raw(review(2), review(3), review(3))
    rows = RawRows("shards", False, lambda: iter([first.assign(file="a.csv"), second.assign(file="b.csv")]))
    _, rejected = check(rows)
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [
        ("b.csv", 1, "duplicate text: same as line 2 of a.csv"),
        ("b.csv", 3, "duplicate text: same as line 2"),
    ]
