"""Files of the kinds that exports come in: other separators, encodings, shapes of JSON, compressions, shards."""

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import SHARED

from pipeline.errors import PipelineError
from pipeline.sources.columns import ColumnNames
from pipeline.sources.csv_rows import csv_rows
from pipeline.sources.json_rows import json_rows
from pipeline.sources.raw import read_files

ROWS = [
    {"text": "Good food, kind staff", "stars": 5},
    {"text": 'The waiter said "no"; we left', "stars": 1},
    {"text": "味は最高、また行きたい\nと思います", "stars": 4},
    {"text": "So-so\twith a tab", "stars": 3},
]


def read(path: Path, *names: str, encoding: str | None = None) -> list[tuple[str, float]]:
    table = pd.concat(read_files(path, ColumnNames(*names), encoding).parts(), ignore_index=True)
    assert table["problem"].isna().all(), table["problem"].tolist()
    return list(zip(table["text"], table["stars"].astype(float), strict=True))


EXPECTED = [(row["text"], float(row["stars"])) for row in ROWS]


def csv_text(separator: str = ",", **options: Any) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, **options)
    writer.writerows([["text", "stars"], *([row["text"], row["stars"]] for row in ROWS)])
    return file.getvalue()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
TABLE = pd.DataFrame(ROWS)
SHAPES = {
    "comma.csv": csv_text(),
    "semicolon.csv": csv_text(";"),
    "tab.csv": csv_text("\t"),
    "tab.tsv": csv_text("\t"),
    "bar.csv": csv_text("|"),
    "all-quoted.csv": csv_text(";", quoting=csv.QUOTE_ALL),
    "blank-lines.csv": "\n\r\n" + csv_text(),
    "excel.csv": "sep=;\r\n" + csv_text(";"),
    "lines.jsonl": LINES,
    "lines.ndjson": LINES,
    "lines.json": LINES,
    "array.json": json.dumps(ROWS),
    "array.jsonl": json.dumps(ROWS, ensure_ascii=False),
    "indented.json": json.dumps(ROWS, indent=2),
    "array-of-lines.json": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "objects.json": "\n".join(json.dumps(row, indent=4) for row in ROWS),
    "named.json": json.dumps({"reviews": ROWS, "count": 4}),
    "named-beside-others.json": json.dumps({"feed": {"country": "jp"}, "reviews": ROWS}),
    "deep.json": json.dumps({"data": {"page": 1, "reviews": ROWS}}),
    "lists.json": json.dumps(TABLE.to_dict("list")),
    **{f"{orient}.json": TABLE.to_json(orient=orient) for orient in ("columns", "index", "split", "records", "table")},
    **{f"{orient}-indented.json": TABLE.to_json(orient=orient, indent=1) for orient in ("columns", "index", "split")},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_is_read_whatever_its_shape(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SHAPES[name].encode())
    assert read(tmp_path / name) == EXPECTED


@pytest.mark.parametrize("name", ["comma.csv", "tab.tsv", "lines.jsonl", "indented.json", "columns.json"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes(SHAPES[name].encode(encoding))
    assert read(tmp_path / name) == EXPECTED


@pytest.mark.parametrize("name", ["comma.csv", "lines.jsonl", "array.json"])
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_are_read(tmp_path: Path, name: str, suffix: str) -> None:
    content = SHAPES[name].encode()
    # Parts that were compressed one by one stand behind one another.
    half = len(content) // 2
    codec = pa.Codec("zstd")
    pack = gzip.compress if suffix == ".gz" else lambda part: codec.compress(part).to_pybytes()
    (tmp_path / (name + suffix)).write_bytes(pack(content[:half]) + pack(content[half:]))
    assert read(tmp_path / (name + suffix)) == EXPECTED
    (tmp_path / name).write_bytes(pack(content))
    assert read(tmp_path / name) == EXPECTED


def test_compressed_parquet_is_read(tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "r.parquet")
    (tmp_path / "r.parquet.gz").write_bytes(gzip.compress((tmp_path / "r.parquet").read_bytes()))
    assert read(tmp_path / "r.parquet.gz") == EXPECTED


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.large_string(), pa.string_view()])
def test_texts_of_any_arrow_type_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array([row["text"] for row in ROWS]).cast(pa.string())
    column = texts.cast(kind)
    pq.write_table(pa.table({"text": column, "stars": [row["stars"] for row in ROWS]}), tmp_path / "r.parquet")
    assert read(tmp_path / "r.parquet") == EXPECTED


def test_a_directory_of_shards_is_one_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "part-1.csv").write_text(csv_text(), encoding="utf-8")
    (tmp_path / "a" / "part-2.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    TABLE.to_parquet(tmp_path / "part-3.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.csv").touch()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "part-4.csv.bz2").write_bytes(b"BZh")
    with caplog.at_level("WARNING"):
        assert read(tmp_path) == EXPECTED * 3
    assert "not read, for their suffix: part-4.csv.bz2" in caplog.text
    table = pd.concat(read_files(tmp_path).parts())
    assert [Path(file).name for file in table["file"].unique()] == ["part-1.csv", "part-2.jsonl.gz", "part-3.parquet"]
    assert table["line"].tolist()[-4:] == [1, 2, 3, 4]


def test_a_shard_without_the_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("text,stars\ngood,5\n", encoding="utf-8")
    (tmp_path / "2.csv").write_text("text\ngood\n", encoding="utf-8")
    with pytest.raises(PipelineError, match=r"2\.csv has no column stars or label"):
        read_files(tmp_path)
    (tmp_path / "2.csv").write_text("text,label\ngood,4\n", encoding="utf-8")
    with pytest.raises(PipelineError, match="has files with stars and others with labels: name one column"):
        read_files(tmp_path)


# Encodings ------------------------------------------------------------------------------------------------------------

JAPANESE = [("味は最高、また行きたい", 5.0), ("店員が無愛想で残念だった", 1.0), ("値段の割に量が少ない", 2.0)]


@pytest.mark.parametrize("encoding", ["cp932", "euc-jp", "gb18030", "utf-16-le"])
@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_another_encoding_is_asked_for_and_then_used(tmp_path: Path, name: str, encoding: str) -> None:
    table = pd.DataFrame(JAPANESE, columns=["text", "stars"])
    content = (
        table.to_csv(index=False) if name == "r.csv" else table.to_json(orient="records", lines=True, force_ascii=False)
    )
    (tmp_path / name).write_bytes(content.encode(encoding))
    with pytest.raises(PipelineError, match=r"UTF-(8|16 without a byte order mark): name the encoding by ENCODING="):
        read(tmp_path / name)
    assert read(tmp_path / name, encoding=encoding) == JAPANESE


def test_an_encoding_that_does_not_fit_or_exist_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes("text,stars\n味は最高,5\n".encode())
    with pytest.raises(PipelineError, match=r"r\.csv is in another encoding, where the byte e5 is none"):
        read(tmp_path / "r.csv", encoding="ascii")
    for name in ("utf8-ish", "hex", "rot13"):
        with pytest.raises(PipelineError, match=f"'{name}' is no encoding of texts that Python knows"):
            read(tmp_path / "r.csv", encoding=name)


@pytest.mark.parametrize(("written", "named"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16", "cp932")])
def test_a_byte_order_mark_counts_more_than_the_encoding_that_is_named(
    tmp_path: Path, written: str, named: str
) -> None:
    (tmp_path / "r.csv").write_bytes(SHAPES["comma.csv"].encode(written))
    assert read(tmp_path / "r.csv", encoding=named) == EXPECTED


# Quotes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        'stars, text\n5, "good, kind"\n1, "bad ""wine"", cold"\n',
        'stars,text\n5, "good, kind"\n1,   "bad ""wine"", cold"\n',
        'stars; text\n5; "good, kind"\n1; "bad ""wine"", cold"\n',
        'stars,text\n5, """good"", kind"\n1, """bad"" wine"\n',
        'stars\t"text"\n5\t"good, kind"\n1\t"bad ""wine"", cold"\n',
    ],
)
def test_quotes_after_spaces_open_a_field(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.csv").write_text(content, encoding="utf-8")
    expected = [('"good", kind', 5.0), ('"bad" wine', 1.0)] if '"""' in content else None
    assert read(tmp_path / "r.csv") == (expected or [("good, kind", 5.0), ('bad "wine", cold', 1.0)])


def test_quotes_behind_backslashes_are_quotes(tmp_path: Path) -> None:
    content = 'stars,text\n5,"he said \\"no\\", ok"\n1,"in C:\\\\new"\n4,"plain"\n'
    (tmp_path / "r.csv").write_text(content, encoding="utf-8")
    assert read(tmp_path / "r.csv") == [('he said "no", ok', 5.0), ("in C:\\new", 1.0), ("plain", 4.0)]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_rows_inside_of_a_quote_that_is_never_closed_are_rows(tmp_path: Path, separator: str) -> None:
    rows = ["stars,text", "5,Fine", '3,"Great food never closed', "4,a", "2,b", '1,pizzas of 12"', "5,last"]
    (tmp_path / "r.csv").write_text("\n".join(rows).replace(",", separator) + "\n", encoding="utf-8")
    table = pd.concat(read_files(tmp_path / "r.csv").parts(), ignore_index=True)
    assert table["line"].tolist() == [2, 3, 4, 5, 6, 7]
    good = table[table["problem"].isna()]
    assert set(good["text"]) >= {"Fine", "a", "b", "last"}


def test_a_text_over_several_lines_stays_one(tmp_path: Path) -> None:
    texts = ["one\ntwo, 2\nthree", "first,\n5, yes\n4, no", "1\n2\n3"]
    pd.DataFrame({"text": texts, "stars": [1, 2, 3]}).to_csv(tmp_path / "r.csv", index=False)
    assert [text for text, _ in read(tmp_path / "r.csv")] == texts
    pd.DataFrame({"stars": [1, 2, 3], "text": texts}).to_csv(tmp_path / "r.csv", index=False)
    assert [text for text, _ in read(tmp_path / "r.csv")] == texts


def test_quotes_between_tabs_may_be_text(tmp_path: Path) -> None:
    (tmp_path / "r.tsv").write_text('stars\ttext\n5\t"Great" food\n1\t"never again\n4\tthe "best"\n', encoding="utf-8")
    assert read(tmp_path / "r.tsv") == [('"Great" food', 5.0), ('"never again', 1.0), ('the "best"', 4.0)]


# Names of columns -----------------------------------------------------------------------------------------------------

NAMES = {
    "Amazon 2018": ["overall", "verified", "reviewerID", "reviewText", "summary"],
    "Amazon 2023": ["rating", "title", "text", "images"],
    "Amazon customers": ["marketplace", "review_id", "star_rating", "review_headline", "review_body"],
    "Amazon fine food": ["Id", "ProductId", "Score", "Summary", "Text"],
    "Google Play": ["reviewId", "userName", "content", "score", "thumbsUpCount"],
    "TripAdvisor": ["Review", "Rating"],
    "IMDb": ["review", "rating", "title"],
    "App Store": ["userName", "review", "rating", "isEdited"],
    "spaces": ["Review Text", "Star Rating"],
    "Japanese": ["口コミ", "評価"],
}


@pytest.mark.parametrize("export", NAMES)
def test_columns_of_common_exports_are_found_and_said(
    tmp_path: Path, export: str, caplog: pytest.LogCaptureFixture
) -> None:
    stars = {"overall", "rating", "star_rating", "Score", "score", "Rating", "Star Rating", "評価"}
    texts = {"reviewText", "text", "review_body", "Text", "content", "Review", "review", "Review Text", "口コミ"}
    row = {name: 4 if name in stars else "good food" if name in texts else "x" for name in NAMES[export]}
    pd.DataFrame([row]).to_csv(tmp_path / "r.csv", index=False)
    with caplog.at_level("INFO"):
        assert read(tmp_path / "r.csv") == [("good food", 4.0)]
    assert f"{(stars & set(row)).pop()!r} the stars" in caplog.text


def test_an_exact_name_comes_before_one_in_other_letters(tmp_path: Path) -> None:
    pd.DataFrame([{"Text": "no", "Stars": 1, "text": "good", "stars": 5}]).to_csv(tmp_path / "r.csv", index=False)
    assert read(tmp_path / "r.csv") == [("good", 5.0)]


def test_a_named_column_is_taken_whatever_the_others_are_called(tmp_path: Path) -> None:
    pd.DataFrame([{"text": "no", "stars": 1, "Body": "good", "mark": 5}]).to_csv(tmp_path / "r.csv", index=False)
    assert read(tmp_path / "r.csv", "body", "mark") == [("good", 5.0)]
    assert read(tmp_path / "r.csv") == [("no", 1.0)]
    with pytest.raises(PipelineError, match=r"has no column 'marks' \(STARS=\); found: text, stars, Body, mark"):
        read(tmp_path / "r.csv", "Body", "marks")
    with pytest.raises(PipelineError, match="cannot hold both"):
        read(tmp_path / "r.csv", "mark", "mark")


# Cases that went wrong ------------------------------------------------------------------------------------------------

CASES = SHARED / "cases"


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
@pytest.mark.parametrize(
    "name",
    ["semicolon.csv", "tab.tsv", "capital.csv", "utf16.csv", "array.json", "reviews.jsonl.gz", "amazon2023.jsonl"],
)
def test_the_shared_cases_hold_one_table(name: str) -> None:
    assert read(CASES / name) == read(CASES / "label15.csv")


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
def test_the_other_shared_cases_are_read() -> None:
    assert {text[0] + text[-1] for text, _ in read(CASES / "quoted-after-space.csv")} == {"Td"}
    assert read(CASES / "text-binary.parquet")[0] == ("Review number 0 about the soup at table 0.", 1.0)


def test_keys_that_come_late_in_json_are_read(tmp_path: Path) -> None:
    rows = [
        {"text": f"t{i}", "stars": 3} | ({"category": "c", "review_id": f"r{i}"} if i > 1100 else {})
        for i in range(1200)
    ]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = pd.concat(read_files(tmp_path / "r.jsonl").parts(), ignore_index=True)
    assert table["category"].notna().sum() == 99
    assert table["review_id"].iloc[-1] == "r1199"


@pytest.mark.parametrize("name", ["array.json", "lines.jsonl", "r.csv"])
def test_a_long_file_is_read_piece_by_piece(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"text": [f"n{i} " + "word " * 2000 for i in range(3000)], "stars": 3})
    if name == "r.csv":
        table.to_csv(tmp_path / name, index=False)
    else:
        table.to_json(tmp_path / name, orient="records", lines=name == "lines.jsonl")
    assert (tmp_path / name).stat().st_size > 30e6
    tracemalloc.start()
    rows = csv_rows(tmp_path / name, None) if name == "r.csv" else json_rows(tmp_path / name, None)
    assert sum(1 for _ in rows) == 3000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6


def test_texts_alone_need_no_stars(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id,Review\n1,Good\n2,Bad\n")
    with pytest.raises(PipelineError, match="has no column stars or label"):
        read_files(tmp_path / "r.csv")
    table = pd.concat(read_files(tmp_path / "r.csv", with_stars=False).parts())
    assert table["text"].tolist() == ["Good", "Bad"]
    assert table["stars"].isna().all()
