"""Two runs or datasets side by side: the numbers, what is said of them, and that they fit into a terminal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from pipeline.errors import PipelineError
from pipeline.evaluation.bootstrap import qwk_difference
from pipeline.evaluation.metrics import evaluate
from pipeline.experiment.line import Line
from pipeline.format import cut
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import write_table
from pipeline.report.compare import _differences, _is_paired, compare
from pipeline.report.results import Results

STARS = np.tile([1, 2, 3, 4, 5], 20)
LINES = [
    Line("t_metrics+text_stats", "unit spaces (chosen shrinkage)"),
    Line("text_stats", "Ta"),
    Line("text", "TF-IDF + Ridge"),
]


def write_reports(
    directory: Path,
    noise: list[float],
    seed: int = 0,
    first_id: int = 0,
    lines: list[Line] = LINES,
    sizes: tuple[int, ...] = (),
    **manifest: Any,
) -> None:
    """Leave behind what the score and curves stages would, with predictions of so much noise."""
    rng = np.random.default_rng(seed)
    predictions = pd.DataFrame({"review_id": [f"r{first_id + i}" for i in range(len(STARS))], "stars": STARS})
    rows = []
    for line, spread in zip(lines, noise, strict=True):
        predicted = STARS + rng.normal(scale=spread, size=len(STARS))
        predictions[str(line)] = predicted
        rows.append({**line._asdict(), "n_train": 300, **evaluate(STARS, predicted)})
    paths = DatasetPaths.of_reports(directory)
    write_table(paths, "metrics", pd.DataFrame(rows))
    predictions.to_parquet(directory / "predictions.parquet")
    (directory / "manifest.json").write_text(json.dumps({"stage": "score", "dataset": directory.name, **manifest}))
    if sizes:
        sides = [{"side": side, "n_train": n, "qwk": n / 10000} for side in ("T-method", "注意力") for n in sizes]
        write_table(paths, "sides", pd.DataFrame(sides))
        (directory / "curves/manifest.json").write_text(json.dumps({"stage": "curves", "seconds": first_id}))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers(text: str) -> dict[str, list[str]]:
    """The numbers below each line's name."""
    rows = text.splitlines()
    names = [str(line) for line in LINES]
    return {name: rows[rows.index(name) + 1].split() for name in names if name in rows}


def test_the_same_reviews_are_compared_in_pairs_whatever_their_order() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0])
    write_reports(Path("kept"), [1.5, 0.8, 1.0], seed=1)
    shuffled = pd.read_parquet("kept/predictions.parquet").sample(frac=1, random_state=0)
    shuffled.to_parquet("kept/predictions.parquet")
    a, b = Results.of("a"), Results.of("kept")
    assert _is_paired(a, b)
    name = "t_metrics+text_stats / unit spaces (chosen shrinkage)"
    row = _differences(a, b).loc[name]
    in_a, in_b = (results.predictions.set_index("review_id") for results in (a, b))
    expected = qwk_difference(STARS, in_a[name], in_b.loc[in_a.index, name], n_resamples=20000, seed=3)
    np.testing.assert_allclose(row[["difference", "low", "high"]].astype(float), expected, atol=0.02)
    assert row["difference"] == pytest.approx(expected[0], abs=1e-9)
    assert "the differences are paired" in compare("a", "kept")


def test_noise_shared_by_both_runs_cancels_only_where_the_reviews_are_the_same() -> None:
    write_reports(Path("reports/a"), [1.0, 1.0, 1.0])
    write_reports(Path("reports/b"), [1.05, 1.05, 1.05])
    write_reports(Path("reports/c"), [1.05, 1.05, 1.05], first_id=1000)
    paired = _differences(Results.of("a"), Results.of("b"))
    unpaired = _differences(Results.of("a"), Results.of("c"))
    pd.testing.assert_series_equal(paired["difference"], unpaired["difference"].loc[paired.index])
    width = (unpaired["high"] - unpaired["low"]) / (paired["high"] - paired["low"])
    assert (width > 2).all()
    text = compare("a", "c")
    assert "They predict different held-out reviews: the differences are unpaired." in text


def test_other_stars_of_the_same_reviews_are_no_pairs() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0])
    write_reports(Path("reports/b"), [0.5, 0.8, 1.0])
    predictions = pd.read_parquet("reports/b/predictions.parquet")
    predictions.assign(stars=predictions["stars"].to_numpy()[::-1]).to_parquet("reports/b/predictions.parquet")
    assert not _is_paired(Results.of("a"), Results.of("b"))


def test_a_run_does_not_differ_from_itself() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0], config={"seed": 1})
    text = compare("a", "reports/a")
    for row in numbers(text).values():
        assert row[2:7] == ["+0.000", "+0.000", "to", "+0.000", "1.000"]
    assert text.endswith("What differs in settings and data\n  nothing")


def test_the_numbers_are_those_of_the_two_leaderboards_and_the_largest_difference_comes_first() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0])
    write_reports(Path("reports/b"), [0.5, 2.5, 1.6])
    text = compare("a", "b")
    shown = numbers(text)
    metrics = [pd.read_csv(f"reports/{which}/metrics.csv") for which in "ab"]
    for i, name in enumerate(map(str, LINES)):
        qwk = [table["qwk"][i] for table in metrics]
        assert shown[name][:3] == [f"{qwk[0]:.3f}", f"{qwk[1]:.3f}", f"{qwk[0] - qwk[1]:+.3f}"]
        assert shown[name][7:] == [f"{table['mae'][i]:.3f}" for table in metrics]
    assert shown["text_stats / Ta"][6] == "<0.001"
    order = [line for line in text.splitlines() if line in shown]
    sizes = [abs(float(shown[name][2])) for name in order]
    assert sizes == sorted(sizes, reverse=True)


def test_at_most_so_many_lines_are_shown_and_the_rest_is_counted() -> None:
    many = [Line("text_stats", f"model {i}") for i in range(25)]
    write_reports(Path("reports/a"), [1.0] * 25, lines=many)
    write_reports(Path("reports/b"), [1.0] * 25, lines=many, seed=1)
    text = compare("a", "b")
    assert text.count("text_stats / model") == 20
    assert "and 5 more, which differ no more than these" in text
    assert compare("a", "b", 30).count("text_stats / model") == 25


def test_lines_that_only_one_has_are_named_as_such() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8], lines=LINES[:2])
    write_reports(Path("reports/b"), [0.8, 1.0], lines=LINES[1:])
    text = compare("a", "b")
    assert list(numbers(text)) == ["text_stats / Ta"]
    assert f"only in A: 1, the best of them\n  {LINES[0]}\n" in text
    assert f"only in B: 1, the best of them\n  {LINES[2]}\n" in text


def test_runs_without_a_common_line_can_be_compared_all_the_same() -> None:
    write_reports(Path("reports/a"), [0.5], lines=LINES[:1])
    write_reports(Path("reports/b"), [0.8], lines=LINES[1:2])
    assert numbers(compare("a", "b")) == {}


def test_settings_and_data_that_differ_are_named_with_both_values() -> None:
    inputs = {"data/prepared/a/reviews.parquet": "1f"}
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0], config={"seed": 1, "models": ["Ta"]}, inputs=inputs)
    inputs = {"data/prepared/b/reviews.parquet": "2e"}
    write_reports(Path("reports/b"), [0.5, 0.8, 1.0], config={"seed": 1, "models": ["Ta", "Ridge"]}, inputs=inputs)
    told = compare("a", "b").split("What differs in settings and data\n")[1]
    assert told.splitlines() == [
        "  score: config.models",
        '    A ["Ta"]',
        '    B ["Ta", "Ridge"]',
        "  score: inputs.data/prepared/<dataset>/reviews.parquet",
        "    A 1f",
        "    B 2e",
    ]


def test_sides_stand_below_each_other_by_training_size() -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0], sizes=(10, 5000))
    write_reports(Path("reports/b"), [0.5, 0.8, 1.0], sizes=(10, 20), first_id=7)
    text = compare("a", "b")
    start = text.splitlines().index("QWK of each side by the number of training reviews")
    head, *rows = text.splitlines()[start + 1 : start + 6]
    assert head.split() == ["10", "20", "5000"]
    assert [row.rsplit(maxsplit=3) for row in rows] == [
        ["T-method A", "0.00", "-", "0.50"],
        ["T-method B", "0.00", "0.00", "-"],
        ["注意力 A", "0.00", "-", "0.50"],
        ["注意力 B", "0.00", "0.00", "-"],
    ]
    assert {wcswidth(row) for row in rows} == {wcswidth(head)}
    assert "What differs in settings and data\n  nothing" in text  # how long the curves took is no setting


def test_no_line_is_wider_than_80_columns_whatever_the_names() -> None:
    lines = [Line("説明変数" * 15, "Ta"), Line("a" * 90, "Ridge\n\x1b[31m")]
    sizes = tuple(range(100000, 100030))
    write_reports(Path("reports/レビュー"), [0.5, 0.8], lines=lines, sizes=sizes, config={"long": "x" * 200})
    write_reports(Path("reports/b"), [0.5, 0.8], lines=lines, sizes=sizes, config={"long": "y" * 200})
    text = compare("レビュー", "b")
    assert max(wcswidth(line) for line in text.splitlines()) <= 80
    assert min(wcswidth(line) for line in text.splitlines()) >= 0
    assert "\x1b" not in text
    assert "100029" in text


@given(st.text(), st.integers(1, 30))
def test_a_cut_text_fits_and_is_a_prefix(text: str, width: int) -> None:
    result = cut(text, width)
    assert 0 <= wcswidth(result) <= width
    printable = "".join(c if c.isprintable() else " " for c in text).rstrip()
    assert result == printable or printable.startswith(result.removesuffix("…"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: None, "'nowhere' is neither a dataset (reports/nowhere is missing) nor a reports directory"),
        (lambda: Path("nowhere").mkdir(), "nowhere holds no complete score (no manifest.json)"),
        (
            lambda: (Path("reports/a").rename("nowhere") / "metrics.csv").unlink(),
            "nowhere/metrics.csv is missing: run the score",
        ),
        (
            lambda: (Path("reports/a").rename("nowhere") / "metrics.csv").write_text("x\n1\n"),
            "lacks the column 'dataset'",
        ),
        (
            lambda: (Path("reports/a").rename("nowhere") / "predictions.parquet").write_text("x"),
            "nowhere/predictions.parquet cannot be read",
        ),
        (
            lambda: (Path("reports/a").rename("nowhere") / "curves/sides.csv").unlink(),
            "sides.csv is missing: run the curves",
        ),
        (lambda: (Path("reports/a").rename("nowhere") / "manifest.json").write_text("{"), "holds no complete score"),
    ],
)
def test_what_is_missing_incomplete_or_damaged_is_told_in_one_line(damage: Any, message: str) -> None:
    write_reports(Path("reports/a"), [0.5, 0.8, 1.0], sizes=(10,))
    write_reports(Path("reports/b"), [0.5, 0.8, 1.0], sizes=(10,))
    damage()
    with pytest.raises(PipelineError) as error:
        compare("b", "nowhere")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
