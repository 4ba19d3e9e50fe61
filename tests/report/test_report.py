"""The report stage: everything that the stages before it found stands on the page and in the summary, and safely so."""

import base64
import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from report_data import HOSTILE, SENTENCES, SIDES, build

from pipeline.stages import report
from pipeline.errors import PipelineError
from pipeline.evaluation.metrics import clip_to_stars, round_to_stars
from pipeline.project.conf import ReportConfig, report_config
from pipeline.project.paths import DatasetPaths
from pipeline.report.curve_plots import frontier
from pipeline.report.page import worst
from pipeline.report.pictures import draw, item_lines
from pipeline.report.results import Results, read_results
from pipeline.report.summary import render_summary
from pipeline.report.tables import change_table, contrast_table, sides_by_size, slice_tables


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetPaths]:
    """A directory with a finished report."""
    directory = tmp_path_factory.mktemp("report")
    paths = build(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        report.run(paths.dataset)
    return directory, paths


@pytest.fixture
def paths(built: tuple[Path, DatasetPaths], monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    monkeypatch.chdir(built[0])
    return built[1]


@pytest.fixture
def results(paths: DatasetPaths) -> Results:
    return read_results(paths)


@pytest.fixture
def page(paths: DatasetPaths) -> str:
    return paths.page.read_text(encoding="utf-8")


def pictures_of(page: str) -> dict[str, str]:
    """The SVG of every picture on the page by its alternative text."""
    found = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]*)"', page)
    return {text: base64.b64decode(content).decode() for content, text in found}


def test_the_three_sentences_of_the_verdict_come_first(page: str) -> None:
    places = [page.index(sentence) for sentence in SENTENCES]
    assert places == sorted(places)
    assert max(places) < page.index("<table")


def test_the_page_needs_nothing_beside_it(page: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)|url\(|@import|https?://""", page)
    for svg in pictures_of(page).values():
        assert not re.findall(r"""href\s*=\s*["'](?!data:|#)|url\((?!#)|@import""", svg)


def test_every_picture_is_whole_says_what_it_shows_and_is_a_file_too(page: str, paths: DatasetPaths) -> None:
    pictures = pictures_of(page)
    assert page.count("<img") == len(pictures)
    assert min(map(len, pictures)) > 40
    files = {path.read_text(encoding="utf-8") for path in paths.figures.glob("*.svg")}
    assert files == set(pictures.values())
    for svg in files:
        root = ElementTree.fromstring(svg)
        assert root[0].tag.endswith("title")
        assert "prefers-color-scheme:dark" in svg


def test_the_dashes_of_a_model_tell_its_family(page: str, results: Results) -> None:
    (panel,) = (svg for text, svg in pictures_of(page).items() if "models on text." in text)
    assert len(set(results.curves[results.curves["features"] == "text"]["model"])) == 2
    assert len(re.findall(r"stroke-dasharray: [^;]+", panel)) == 2
    (panel,) = (svg for text, svg in pictures_of(page).items() if "models on text_stats." in text)
    assert len(re.findall(r"stroke-dasharray: [^;]+", panel)) == 3


def test_the_same_results_give_the_same_figures_to_the_last_byte(results: Results) -> None:
    config = report_config()
    assert draw(results, config) == draw(results, config)


def test_the_leaderboard_holds_every_line_with_its_numbers_in_full(page: str, results: Results) -> None:
    (table,) = re.findall(r'<table id="leaderboard">(.*?)</table>', page, re.DOTALL)
    rows = re.findall(r"<tr data-family.*?</tr>", table, re.DOTALL)
    assert len(rows) == len(results.metrics)
    for row, line in zip(rows, results.metrics.to_dict("records"), strict=True):
        values = re.findall(r'data-value="([^"]*)"', row)
        assert float(values[1]) == line["qwk"]
        assert float(values[4]) == line["mae"]
        assert re.search(r'data-family="(\w+)"', row)[1] == results.families[line["name"]]  # type: ignore[index]
        assert ("shrinkage = 0.3" in row) == ("chosen" in line["model"])


def test_text_of_reviews_stays_text(page: str) -> None:
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert escape(HOSTILE) in re.sub(r"</?span[^>]*>", "", page)


def test_explained_reviews_are_coloured_by_contribution(page: str) -> None:
    assert '<span class="up" style="--share: 0.25" title="estimate +1.00, contribution +0.100">alert</span>' in page
    assert 'class="down" style="--share: 1.0" title="estimate -2.00, contribution -0.400"' in page


def test_the_worst_mistakes_are_those_farthest_from_the_truth(results: Results) -> None:
    for name in results.final["name"]:
        wrong = worst(results, name, 5)
        distances = [abs(float(clip_to_stars(one.predicted)) - one.stars) for one in wrong]
        assert distances == sorted(distances, reverse=True)
        every = np.abs(clip_to_stars(results.predictions[name]) - results.predictions["stars"])
        assert distances[0] == pytest.approx(every.max())
        assert all(one.rounded == round_to_stars(one.predicted) != one.stars for one in wrong)


def test_a_mistake_has_its_whole_text_in_two_parts(results: Results, page: str) -> None:
    name = results.final["name"].iloc[0]
    texts = set(results.texts)
    wrong = worst(results, name, 50)
    assert {"".join(one.text) for one in wrong} <= texts
    assert all(len(one.text[0]) <= 600 for one in wrong)
    assert any(one.text[1] for one in wrong)
    assert "The rest of this review" in page


def test_a_line_without_mistakes_has_none_to_show(results: Results) -> None:
    results.predictions["perfect"] = results.predictions["stars"].astype(float)
    assert worst(results, "perfect", 10) == []


def test_sides_by_size_has_a_row_a_side_and_a_column_a_size(results: Results) -> None:
    table = sides_by_size(results.sides)
    assert [row[0] for row in table.rows] == list(SIDES)
    assert table.columns[1:] == [str(size) for size in sorted(set(results.sides["n_train"]))]
    first = results.sides.iloc[0]
    assert table.rows[0][1] == f"{first.qwk:.2f} ({first.qwk_low:.2f} to {first.qwk_high:.2f})"


def test_every_contrast_has_its_interval_and_its_corrected_p_value(results: Results, page: str) -> None:
    table = contrast_table(results.contrasts)
    assert len(table.rows) == len(results.contrasts)
    for row, line in zip(table.rows, results.contrasts.itertuples(), strict=True):
        assert row[2] == f"{line.difference:+.3f} ({line.low:+.3f} to {line.high:+.3f})"
        assert row[3:] == ["< 0.001", "0.031"]
        assert row[2] in page


def test_a_change_shows_what_it_takes_from_the_unchanged_reviews(results: Results) -> None:
    table = change_table(results.changes)
    assert table.columns == ["side", "unchanged", "typos", "shouting", "truncated", "shuffled"]
    typos = results.changes[results.changes["change"] == "typos"]
    assert [row[2].split()[0].lstrip("+-") for row in table.rows] == [f"{abs(d):.2f}" for d in typos["difference"]]


def test_within_one_star_the_error_is_shown_and_not_the_agreement(results: Results) -> None:
    by_kind = {table.columns[0]: table for table in slice_tables(results.slices)}
    assert by_kind["length"].caption.startswith("QWK")
    assert by_kind["stars"].caption.startswith("MAE")
    assert len(by_kind["stars"].rows) == 5


def test_no_line_is_both_better_and_cheaper_than_one_on_the_frontier(results: Results) -> None:
    best = frontier(results.costs)
    assert len(best)
    for line in best.itertuples():
        cheaper = results.costs["total_seconds"] <= line.total_seconds
        assert results.costs[cheaper]["qwk"].max() == line.qwk


def test_the_strongest_item_comes_first_and_the_best_t_method_too(results: Results) -> None:
    (best, items), (plain, _) = item_lines(results)
    assert best["qwk"] >= plain["qwk"]
    assert plain["features"] == "text_stats"
    assert items["eta"].is_monotonic_decreasing
    assert (items["eta"] > 0).all()


def test_the_box_says_how_to_run_it_again(page: str) -> None:
    assert "make all DATA=file NAME=d FILE=&#39;my reviews.csv&#39;" in page
    assert "a1b2" * 16 in page
    for stage in ("score", "curves", "robustness", "report"):
        assert f"conf/{stage}.yaml" in page
    assert "n_mistakes: 10" in page


def test_figures_of_another_time_are_removed(paths: DatasetPaths) -> None:
    stale = [paths.figures / "stale.svg", paths.figures / "older.png"]
    for path in stale:
        path.write_text("old")
    report.run(paths.dataset)
    assert not any(path.exists() for path in stale)
    assert (paths.figures / "learning_curves.svg").exists()


def test_the_summary_is_markdown_with_whole_tables(results: Results, paths: DatasetPaths) -> None:
    summary = paths.summary.read_text(encoding="utf-8")
    for sentence in SENTENCES:
        assert sentence in summary
    blocks = re.findall(r"(?:^\|.*\n)+", summary, re.MULTILINE)
    assert len(blocks) == 5
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert f"of {len(results.metrics)} lines" in summary


@pytest.mark.parametrize("name", ["T | pipes", "<b>T</b>", "T *method* $x$", "Ｔ法 犬"])
def test_names_from_configuration_stay_plain_text_everywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = build(tmp_path, n_test=40, t_name=name)
    report.run(paths.dataset)
    page, summary = (path.read_text(encoding="utf-8") for path in (paths.page, paths.summary))
    assert "<b>T" not in page
    assert "<b>T" not in summary.replace("\\<b\\>", "")
    shown = "".join(ElementTree.fromstring(pictures_of(page)[next(iter(pictures_of(page)))]).itertext())
    assert name in shown
    for block in re.findall(r"(?:^\|.*\n)+", summary, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("n_test", [6, 15])
def test_a_few_held_out_reviews_of_the_sample_make_a_report_too(
    n_test: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = build(tmp_path, n_test=n_test, transfer=False)
    report.run(paths.dataset)
    page = paths.page.read_text(encoding="utf-8")
    assert "There is no transfer to another data set here" in page
    assert ">nan" not in page
    assert "nan to" not in page


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("manifest.json", "score"),
        ("metrics.csv", "score"),
        ("lines.json", "score"),
        ("predictions.parquet", "score"),
        ("curves/manifest.json", "curves"),
        ("curves/sides.csv", "curves"),
        ("curves/verdict.json", "curves"),
        ("robustness/manifest.json", "robustness"),
        ("robustness/costs.csv", "robustness"),
        ("robustness/transfer.csv", "robustness"),
    ],
)
def test_a_missing_file_says_which_stage_to_run(missing: str, stage: str, paths: DatasetPaths) -> None:
    path, kept = paths.reports / missing, (paths.reports / missing).read_bytes()
    path.unlink()
    try:
        with pytest.raises(PipelineError, match=rf"run the {stage} stage") as error:
            read_results(paths)
    finally:
        path.write_bytes(kept)
    assert "\n" not in str(error.value)


def test_a_table_of_an_older_version_says_what_it_lacks(paths: DatasetPaths) -> None:
    path, kept = paths.curve("contrasts"), paths.curve("contrasts").read_bytes()
    pd.read_csv(path).drop(columns="p_holm").to_csv(path, index=False)
    try:
        with pytest.raises(PipelineError, match=r"contrasts\.csv lacks the column 'p_holm': run the curves stage"):
            read_results(paths)
    finally:
        path.write_bytes(kept)


def test_curves_of_other_lines_are_refused(paths: DatasetPaths) -> None:
    path, kept = paths.curve("sides"), paths.curve("sides").read_bytes()
    pd.read_csv(path).replace("Ridge", "Lasso").to_csv(path, index=False)
    try:
        with pytest.raises(PipelineError, match=r"lacks 'attention_pooling\+text_stats / Lasso': run the curves stage"):
            read_results(paths)
    finally:
        path.write_bytes(kept)


def test_only_as_much_is_drawn_as_the_configuration_asks_for(results: Results) -> None:
    few = draw(results, ReportConfig(n_plots=1, n_items=1, n_mistakes=1))
    assert [picture.kind for picture in few].count("predictions") == 1
    more = draw(results, ReportConfig(n_plots=3, n_items=1, n_mistakes=1))
    assert [picture.kind for picture in more].count("predictions") == 3


def test_the_summary_escapes_what_markdown_would_read(results: Results) -> None:
    assert render_summary(HOSTILE, results).startswith("# T-method vs attention: \\<script\\>alert(1)")
