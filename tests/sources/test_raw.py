"""Files of reviews: what goes in comes out, and what cannot be read is kept with its line and reason."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.sources.raw import COLUMNS, read_files

# Line breaks of every kind, quotes, separators, both halves of Unicode, and what spreadsheets take for a formula.
AWKWARD = st.sampled_from(list("\n\r\t\",;\\'\u2028\u2029\x85\x0b\x0c\x1c\x00=|ab😀👩‍🍳味麺é\u0301\ufeff\u200b"))
TEXT = st.one_of(
    st.text(AWKWARD, min_size=1, max_size=30), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
)
REVIEWS = st.lists(st.tuples(TEXT, st.integers(1, 5)), min_size=1, max_size=8)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_parquet(path, index=False)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_quoted_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False, quoting=csv.QUOTE_ALL)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def write_escaped_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode("ascii"))


WRITERS = {
    "r.parquet": write_parquet,
    "r.csv": write_csv,
    "r.jsonl": write_jsonl,
    "r.json": write_escaped_jsonl,
    "R.CSV": write_quoted_csv,
}
every_format = pytest.mark.parametrize("name", WRITERS)


def good(n: int) -> list[dict[str, Any]]:
    return [{"text": f"review {i}", "stars": i % 5 + 1} for i in range(n)]


def read_file(path: Path) -> pd.DataFrame:
    return pd.concat(read_files(path).parts(), ignore_index=True)


def stars_of(table: pd.DataFrame) -> list[float]:
    return pd.to_numeric(table["stars"]).tolist()


def read_bytes(tmp_path: Path, name: str, content: bytes) -> pd.DataFrame:
    path = tmp_path / name
    path.write_bytes(content)
    return read_file(path)


# The file is written anew for each example.
same_directory = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@every_format
@same_directory
@example(reviews=[('"', 1), ('""', 2), ('a,"b",\r\nc', 3), ("\u2028", 4), ("\n", 5)])
@given(reviews=REVIEWS)
def test_texts_and_stars_survive_a_round_trip(tmp_path: Path, name: str, reviews: list[tuple[str, int]]) -> None:
    WRITERS[name](tmp_path / name, [{"text": text, "stars": stars} for text, stars in reviews])
    table = read_file(tmp_path / name)
    assert list(table.columns) == COLUMNS
    assert table["text"].tolist() == [text for text, _ in reviews]
    assert stars_of(table) == [stars for _, stars in reviews]
    assert table["problem"].isna().all()


@every_format
def test_ids_and_labels_are_read_and_other_columns_are_not(tmp_path: Path, name: str) -> None:
    rows = [{"review_id": f"id{i}", "label": i % 5, "city": "Reno", "text": f"review {i}"} for i in range(7)]
    WRITERS[name](tmp_path / name, rows)
    table = read_file(tmp_path / name)
    assert list(table.columns) == COLUMNS
    assert table["review_id"].tolist() == [row["review_id"] for row in rows]
    assert stars_of(table) == [row["label"] for row in rows]
    assert read_files(tmp_path / name).labels


@every_format
def test_the_shape_of_the_yelp_open_dataset_fits(tmp_path: Path, name: str) -> None:
    rows = [
        {
            "review_id": f"KU_O5udG6zpxOg-VcAE{i:03}",
            "user_id": "mh_-eMZ6K5RLWhZyISBhwA",
            "business_id": "XQfwVwDr-v0ZS3_CbbE5Xw",
            "stars": float(i % 5 + 1),
            "useful": 0,
            "funny": 1,
            "cool": 0,
            "text": f"If you decide to eat here, allow {i} hours.\n\nWe did not.",
            "date": "2018-07-07 22:09:11",
        }
        for i in range(12)
    ]
    WRITERS[name](tmp_path / name, rows)
    table = read_file(tmp_path / name)
    assert table["review_id"].tolist() == [row["review_id"] for row in rows]
    assert table["text"].tolist() == [row["text"] for row in rows]
    assert stars_of(table) == [row["stars"] for row in rows]


@every_format
def test_missing_values_stay_missing(tmp_path: Path, name: str) -> None:
    rows = [*good(3), {"text": None, "stars": 3}, {"text": "no star", "stars": None}]
    WRITERS[name](tmp_path / name, rows)
    table = read_file(tmp_path / name)
    assert table["text"].tolist() == ["review 0", "review 1", "review 2", None, "no star"]
    assert table["stars"].isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, good(3))
    table = read_bytes(tmp_path, name, b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert table["text"].tolist() == ["review 0", "review 1", "review 2"]


def test_parquet_with_other_string_types_and_nested_columns_is_read(tmp_path: Path) -> None:
    texts = ["good", "bad", "good"]
    for strings in (pa.array(texts, pa.large_string()), pa.array(texts).dictionary_encode()):
        pq.write_table(
            pa.table({"text": strings, "stars": pa.array([5, 1, 4], pa.int8()), "tags": [["a"], [], None]}),
            tmp_path / "r.parquet",
        )
        table = read_file(tmp_path / "r.parquet")
        assert table["text"].tolist() == texts
        assert stars_of(table) == [5, 1, 4]


@pytest.mark.parametrize("stem", ["r [2026]", "r*", "レビュー 1", "it's", "100%", "a#b"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_file_may_have_any_name(tmp_path: Path, stem: str, suffix: str) -> None:
    WRITERS["r" + suffix](tmp_path / f"r of another name{suffix}", good(9))
    WRITERS["r" + suffix](tmp_path / (stem + suffix), good(3))
    assert len(read_file(tmp_path / (stem + suffix))) == 3


# Lines that cannot be read -------------------------------------------------------------------------------------------

BAD_JSON = {
    b'{"text": "cut off", "stars"': "unreadable line: ",
    b"text,stars": "unreadable line: ",
    b'{"text": "caf\xe9", "stars": 4}': "unreadable line: not UTF-8: name the encoding by ENCODING=",
    b"\xff\xfe\x00": "unreadable line: ",
    b'{"text": "x", "stars": 3} {"text": "y", "stars": 3}': "unreadable line: ",
    b"[" * 20_000: "unreadable line: ",
    b'{"text": "x", "stars": ' + b"9" * 5_000 + b"}": "unreadable line: ",
    b'[{"text": "x", "stars": 3}]': "unreadable line: a list, expected a JSON object",
    b'"just text"': "unreadable line: a str, expected a JSON object",
    b"5": "unreadable line: a int, expected a JSON object",
    b"null": "unreadable line: a NoneType, expected a JSON object",
    b"true": "unreadable line: a bool, expected a JSON object",
    b'{"text": "half \\ud83d", "stars": 5}': "unreadable line: half of a surrogate pair",
    b'{"text": "x", "stars": 5, "review_id": "\\udc00"}': "unreadable line: half of a surrogate pair",
    b'{"text": 5, "stars": 3}': "text not a string: int",
    b'{"text": ["x"], "stars": 3}': "text not a string: list",
    b'{"text": {"en": "x"}, "stars": 3}': "text not a string: dict",
    b'{"text": 0, "stars": 3}': "text not a string: int",
    b'{"text": false, "stars": 3}': "text not a string: bool",
    b'{"text": [], "stars": 3}': "text not a string: list",
}
BAD_CSV = {
    b"no star": "unreadable line: 1 fields, expected 2",
    b"a comma, not quoted,3": "unreadable line: 3 fields, expected 2",
    b"caf\xe9,3": "unreadable line: not UTF-8",
    b"\xff\xfe,3": "unreadable line: not UTF-8",
    b'"he said "hello" to us",3': "unreadable line: ",
    b'"closed" too early,3': "unreadable line: ",
}


def are_mistakes(lines: list[bytes | None]) -> bool:
    """Three lines that are not UTF-8 are none: the file is in another encoding."""
    return sum(not (line or b"").isascii() for line in lines) < 3


@pytest.mark.parametrize("bad", BAD_JSON, ids=lambda line: line[:30].decode("latin-1"))
def test_a_bad_json_line_is_kept_with_its_number_and_reason(tmp_path: Path, bad: bytes) -> None:
    lines = [json.dumps(row).encode() for row in good(4)]
    table = read_bytes(tmp_path, "r.jsonl", b"\n".join([*lines[:2], bad, *lines[2:]]))
    assert table["line"].tolist() == [1, 2, 3, 4, 5]
    assert table["problem"].isna().tolist() == [True, True, False, True, True]
    assert table["problem"][2].startswith(BAD_JSON[bad])
    assert len(table["problem"][2]) > len("unreadable line: ")
    assert table["text"].drop(2).tolist() == [row["text"] for row in good(4)]


@pytest.mark.parametrize("bad", BAD_CSV, ids=lambda line: line.decode("latin-1"))
def test_a_bad_csv_line_is_kept_with_its_number_and_reason(tmp_path: Path, bad: bytes) -> None:
    lines = [f"{row['text']},{row['stars']}".encode() for row in good(4)]
    table = read_bytes(tmp_path, "r.csv", b"\n".join([b"text,stars", *lines[:2], bad, *lines[2:], b""]))
    assert table["line"].tolist() == [2, 3, 4, 5, 6]
    assert table["problem"].isna().tolist() == [True, True, False, True, True]
    assert table["problem"][2].startswith(BAD_CSV[bad])
    assert len(table["problem"][2]) > len("unreadable line: ")
    assert table["text"].drop(2).tolist() == [row["text"] for row in good(4)]


@same_directory
@given(
    kinds=st.lists(st.one_of(st.none(), st.just(b""), st.sampled_from(list(BAD_JSON))), max_size=12).filter(
        are_mistakes
    )
)
def test_every_json_line_is_either_a_review_or_a_problem(tmp_path: Path, kinds: list[bytes | None]) -> None:
    lines = [f'{{"text": "review {i}", "stars": 3}}'.encode() if kind is None else kind for i, kind in enumerate(kinds)]
    table = read_bytes(tmp_path, "r.jsonl", b"\n".join([b'{"text": "first", "stars": 3}', *lines, b""]))
    numbered = list(enumerate(kinds, 2))
    problems = table["line"][table["problem"].notna()].tolist()
    assert problems == [line for line, kind in numbered if kind]
    assert table["line"].tolist() == [1, *(line for line, kind in numbered if kind != b"")]
    assert table["text"][table["problem"].isna()].tolist() == [
        "first",
        *(f"review {i}" for i, kind in enumerate(kinds) if kind is None),
    ]


@same_directory
@given(
    kinds=st.lists(st.one_of(st.none(), st.just(b""), st.sampled_from(list(BAD_CSV))), max_size=12).filter(are_mistakes)
)
def test_every_csv_line_is_either_a_review_or_a_problem(tmp_path: Path, kinds: list[bytes | None]) -> None:
    lines = [f"review {i},3".encode() if kind is None else kind for i, kind in enumerate(kinds)]
    table = read_bytes(tmp_path, "r.csv", b"\r\n".join([b"text,stars", b"first,3", *lines, b""]))
    numbered = list(enumerate(kinds, 3))
    assert table["line"][table["problem"].notna()].tolist() == [line for line, kind in numbered if kind]
    assert table["line"].tolist() == [2, *(line for line, kind in numbered if kind != b"")]
    assert table["text"][table["problem"].isna()].tolist() == [
        "first",
        *(f"review {i}" for i, kind in enumerate(kinds) if kind is None),
    ]


def test_the_line_of_a_csv_review_is_where_it_begins(tmp_path: Path) -> None:
    table = read_bytes(tmp_path, "r.csv", 'text,stars\n"two\nlines",1\n\n"three\r\nlin\u2028es\n",2\nlast,3\n'.encode())
    assert table["line"].tolist() == [2, 5, 8]
    assert table["text"].tolist() == ["two\nlines", "three\r\nlin\u2028es\n", "last"]


@pytest.mark.parametrize("quote", ["", '"'], ids=["plain", "quoted"])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_lines_swallowed_by_an_open_quote_do_not_vanish(tmp_path: Path, quote: str, after: int) -> None:
    """The reader takes what follows the quote for one field; each line of it has to be accounted for."""
    lines = [f"{quote}{row['text']}{quote},{row['stars']}" for row in good(3 + after)]
    lines.insert(3, '"never closed,3')
    table = read_bytes(tmp_path, "r.csv", "\n".join(["text,stars", *lines, ""]).encode())
    assert table["text"][:3].tolist() == ["review 0", "review 1", "review 2"]
    assert table["line"].tolist() == list(range(2, 2 + len(lines)))
    assert table["problem"][3].startswith("unreadable line: ")


def test_long_texts_are_read_whole(tmp_path: Path) -> None:
    rows = [{"text": "very good " * 50_000, "stars": 5}, *good(2)]
    for name, write in WRITERS.items():
        write(tmp_path / name, rows)
        assert read_file(tmp_path / name)["text"].str.len().tolist() == [500_000, 8, 8]


# Files that cannot be used -------------------------------------------------------------------------------------------


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def not_utf8() -> pa.Table:
    binary = pa.array([b"caf\xe9", b"good"], pa.binary())
    return pa.table({"text": pa.Array.from_buffers(pa.string(), 2, binary.buffers()), "stars": [1, 5]})


PARQUET = parquet_bytes(pa.table({"text": [f"review number {i}" for i in range(200)], "stars": [1, 5] * 100}))
NO_ROWS = pa.table({"text": pa.array([], pa.string()), "stars": pa.array([], pa.int64())})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.parquet", b"", "is empty (0 bytes): name a file that holds texts"),
        ("r.csv", b"", "is empty"),
        ("r.jsonl", b"", "is empty"),
        ("r.parquet", PARQUET[:-50], "cannot be read as Parquet"),
        ("r.parquet", PARQUET[: len(PARQUET) // 2], "cannot be read as Parquet"),
        ("r.parquet", PARQUET[:60] + bytes(200) + PARQUET[260:], "cannot be read as Parquet"),
        ("r.parquet", b"text,stars\ngood,5\n", "cannot be read as Parquet"),
        ("r.parquet", parquet_bytes(not_utf8()), "cannot be read as Parquet"),
        (
            "r.txt",
            b"text,stars\ngood,5\n",
            "suffix '.txt': expected one of .parquet, .csv, .tsv, .json, .jsonl, .ndjson",
        ),
        ("reviews", b"text,stars\ngood,5\n", "suffix '': expected one of .parquet, .csv, .tsv, .json, .jsonl, .ndjson"),
        ("r.xlsx", b"PK\x03\x04", "suffix '.xlsx', and it is a ZIP archive or an Excel workbook: expected one of"),
        ("r.csv", b"PK\x03\x04" + bytes(9), "is a ZIP archive or an Excel workbook: expected text, in CSV or JSON"),
        ("r.csv", PARQUET, "a Parquet file: expected text"),
        ("r.json", b"<!DOCTYPE html><html>404</html>", "is a web page: expected text"),
        ("r.jsonl.gz", b"\x1f\x8b", "cannot be read as JSON"),
        ("r.csv.zst", b"\x28\xb5\x2f\xfd", "cannot be read as CSV"),
        ("r.csv", b"remark,stars\ngood,5\n", "has no column text; found: remark, stars"),
        ("r.csv", b"text,mark\ngood,5\n", "has no column stars or label; found: text, mark"),
        ("r.csv", b"text:stars\ngood:5\n", "has no column text; found: text:stars"),
        ("r.jsonl", b'{"remark": "good", "stars": 5}\n', "has no column text; found: remark, stars"),
        ("r.json", b'{"text": "good", "mark": 5}\n', "has no column stars or label; found: text, mark"),
        ("r.jsonl", b'oops\n[1]\n{"text": "good", "mark": 5}\n', "has no column stars or label"),
        ("r.json", b'[{"text": "good", "stars": 5}, {"text": "cut', "cannot be read as JSON after 1 rows"),
        ("r.json", b'[{"text": "good", "stars": 5},\n', "cannot be read as JSON after 1 rows (it breaks off)"),
        ("r.json", b'[["good", 5], ["bad", 1]]', "is an array of lists, which name no columns"),
        ("r.json", b'{"train": [{"text": "x"}], "test": [{"text": "y"}]}', "several lists of rows (train, test)"),
        ("r.parquet", b"text,stars\ngood,5\n", "it is a text"),
        ("r.gz", b"x", "suffix '.gz', and none before it that names the format, as in reviews.csv.gz"),
        ("r.json", b'{"total": {"count": 5}, "page": 2}', "is one JSON value without rows"),
        ("r.json", b'{"text": {"0": "good", "1": "x"}, "stars": {"0": 5}}', "columns of different lengths: 'stars'"),
        (
            "r.parquet",
            parquet_bytes(pa.table({"remark": ["good"], "stars": [5]})),
            "has no column text; found: remark, stars",
        ),
        ("r.parquet", parquet_bytes(pa.table({"text": ["good"]})), "has no column stars or label; found: text"),
        ("r.csv", b"text,stars\n", "holds no review"),
        ("r.csv", b"text,stars\n\n\r\n", "holds no review"),
        ("r.jsonl", b"\n \n", "holds no review"),
        ("r.parquet", parquet_bytes(NO_ROWS), "holds no review"),
    ],
)
def test_an_unusable_file_is_named_with_the_reason(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read_bytes(tmp_path, name, content)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def make_nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_nothing, "does not exist: check FILE=, TRAIN= and TEST="),
        (Path.mkdir, "is a directory without a file of reviews (it is empty)"),
        (lambda path: path.symlink_to(path.parent / "gone.csv"), "does not exist"),
    ],
    ids=["missing", "directory", "broken link"],
)
def test_a_path_without_a_file_is_named_with_what_to_do(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "reviews.csv"
    make(path)
    with pytest.raises(PipelineError) as caught:
        read_file(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


# Categories -----------------------------------------------------------------------------------------------------------


@every_format
def test_categories_are_kept_as_text_in_every_format(tmp_path: Path, name: str) -> None:
    rows = [row | {"category": category} for row, category in zip(good(3), ["Bars", "味", None], strict=True)]
    WRITERS[name](tmp_path / name, rows)
    table = read_file(tmp_path / name)
    assert list(table.columns) == COLUMNS
    assert table["category"].tolist()[:2] == ["Bars", "味"]
    assert pd.isna(table["category"][2])


@every_format
def test_a_column_without_any_category_is_as_good_as_none(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, [row | {"category": None} for row in good(3)])
    assert read_file(tmp_path / name)["category"].isna().all()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Categorical(["x", "y", "x"]), ["x", "y", "x"]),
        ([3, 1, 2], ["3", "1", "2"]),
        ([["x"], ["y"], []], None),
        ([{"x": 1}, {"x": 2}, {"x": 3}], None),
    ],
)
def test_categories_that_are_not_text_are_written_as_text_or_left_out(
    tmp_path: Path, column: Any, expected: list[str] | None
) -> None:
    pd.DataFrame(good(3)).assign(category=column).to_parquet(tmp_path / "r.parquet")
    table = read_file(tmp_path / "r.parquet")
    assert table["text"].tolist() == ["review 0", "review 1", "review 2"]
    assert table["category"].tolist() == (expected or [None] * 3)


def test_two_columns_of_categories_stop_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="2 columns category: keep one of them"):
        read_bytes(tmp_path, "r.csv", b"text,stars,category,category\ngood,5,a,b\n")
