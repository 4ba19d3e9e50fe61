"""The page: everything that the stages before it found stands on it, and safely so."""

import base64
import json
import re
from datetime import datetime
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from report_data import HOSTILE, SENTENCES, build

from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.files import MANIFEST, read_manifest, write_json, write_parquet
from pipeline.project.conf import ReportConfig, report_config
from pipeline.project.paths import DatasetPaths
from pipeline.report.headline import headline
from pipeline.report.page import _facts, draw, render
from pipeline.report.readings import readings
from pipeline.report.results import Results
from pipeline.report.runs import NOTE, runs_of
from pipeline.report.summary import render_summary
from pipeline.stages import report

pytestmark = pytest.mark.slow


def pictures_of(page: str) -> dict[str, str]:
    """The SVG of every picture on the page by its alternative text."""
    found = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]*)"', page)
    live = re.findall(r'<figure class="live[^>]*>(<svg role="group" aria-label="([^"]*)".*?</svg>)', page, re.DOTALL)
    return {text: svg for svg, text in live} | {text: base64.b64decode(content).decode() for content, text in found}


def test_the_three_sentences_of_the_verdict_come_first(page: str) -> None:
    places = [page.index(sentence) for sentence in SENTENCES]
    assert places == sorted(places)
    assert max(places) < page.index('<table id="leaderboard"')


def test_the_page_needs_nothing_beside_it(page: str, paths: DatasetPaths) -> None:
    # Links to the tables beside it are for a click; nothing is loaded from there.
    tables = re.findall(r'<a href="([\w/]+\.csv)">', page)
    assert {"metrics.csv", "curves/contrasts.csv", "robustness/costs.csv"} <= set(tables)
    assert all((paths.reports / table).is_file() for table in tables)
    rest = re.sub(r'<a href="[\w/]+\.csv">|xmlns(:xlink)?="[^"]+"', "", page)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)|url\((?!#)|@import|https?://""", rest)
    for svg in pictures_of(page).values():
        assert not re.findall(r"""href\s*=\s*["'](?!data:|#)|url\((?!#)|@import""", svg)


def test_every_picture_is_whole_says_what_it_shows_and_is_a_file_too(page: str, paths: DatasetPaths) -> None:
    pictures = pictures_of(page)
    live = re.findall(r'<figure class="live[^>]* data-file="([^"]+)"', page)
    assert live
    assert page.count("<img") + len(live) == len(pictures)
    assert min(map(len, pictures)) > 40
    files = {path.name: path.read_text(encoding="utf-8") for path in paths.figures.glob("*.svg")}
    assert {svg for name, svg in files.items() if name not in live} <= set(pictures.values())
    assert len(files) == len(pictures)
    for name in live:
        assert page.count(f'id="{name.removesuffix(".svg")}-figure_1"') == 1
    for svg in files.values():
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
        assert re.search(r'data-family="(\w+)"', row)[1] == results.family(Line(line["features"], line["model"]))  # type: ignore[index]
        assert ("shrinkage = 0.3" in row) == ("chosen" in line["model"])


def test_it_tells_the_day_of_the_run(page: str, results: Results) -> None:
    assert results.day == datetime.now().astimezone().date()
    assert f'<time datetime="{results.day}">{results.day.day} {results.day:%B %Y}</time>' in page


def test_text_of_reviews_stays_text(page: str) -> None:
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert escape(HOSTILE) in re.sub(r"</?span[^>]*>", "", page)


def test_words_of_reviews_are_coloured_by_what_they_add(page: str, results: Results) -> None:
    found = readings(results)
    assert found is not None
    spans = [span for one in found["both_right"] for read in one.sides for span in read.spans if span.note]
    assert {span.text for span in spans} > {"script", "alert"}
    for span in spans:
        way = "up" if span.share > 0 else "down"
        assert f'<span class="{way}" style="--share: {abs(span.share)}" title="{span.note}">{span.text}</span>' in page


def test_the_box_says_how_to_run_it_again(page: str, paths: DatasetPaths) -> None:
    assert "make all DATA=file NAME=d FILE=&#39;my reviews.csv&#39;" in page
    assert file_digest(paths.reviews) in page
    for stage in ("score", "curves", "robustness", "report"):
        assert f"conf/{stage}.yaml" in page
    assert "n_mistakes: 10" in page


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({"name": "sample", "data": "sample"}, "make all"),
        ({"name": "sample", "data": "sample", "limit": "100"}, "make all LIMIT=100"),
        ({"name": "yelp", "data": "yelp"}, "make all DATA=yelp"),
        ({"name": "my_reviews", "data": "file", "file": "my reviews.csv"}, "make all DATA=file FILE='my reviews.csv'"),
        (
            {"name": "r", "data": "file", "file": "in/r.csv.gz", "stars": "mark", "scale": "1..5 step 0.5"},
            "make all DATA=file FILE=in/r.csv.gz STARS=mark SCALE='1..5 step 0.5'",
        ),
        ({"name": "x", "data": "file", "train": "a", "test": "b$"}, "make all DATA=file NAME=x TRAIN=a TEST='b$$'"),
        (None, "unknown, since the stages were not run by make"),
    ],
)
def test_the_command_names_what_is_not_usual(
    options: dict[str, str | None] | None, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = DatasetPaths("d")
    write_json(paths.reports / MANIFEST, {"stage": "score"})
    if options:
        nothing = dict.fromkeys(["file", "train", "test", "limit"])
        write_json(paths.prepared / MANIFEST, {"options": {**nothing, **options}})
    assert _facts(Results(paths))["Command"] == command


def test_figures_of_another_time_are_removed_and_the_answer_is_told(
    paths: DatasetPaths, results: Results, caplog: pytest.LogCaptureFixture
) -> None:
    stale = [paths.figures / "stale.svg", paths.figures / "older.png"]
    for path in stale:
        path.write_text("old")
    with caplog.at_level("INFO"):
        report.run(paths.dataset)
    assert not any(path.exists() for path in stale)
    assert (paths.figures / "learning_curves.svg").exists()
    found = headline(results)
    assert caplog.messages == [found.sentence, *found.advice, *results.sentences]


def test_names_from_configuration_stay_plain_text_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "<b>T</b> | pipes, *method* $x$ Ｔ法 犬"
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


def test_only_as_much_is_drawn_as_the_configuration_asks_for(results: Results) -> None:
    drawn = draw(results, ReportConfig(n_plots=1, n_items=1, n_mistakes=1))
    assert [picture.kind for picture in drawn].count("predictions") == 1


def test_the_page_says_what_was_undone_in_the_texts_only_if_something_was(results: Results, page: str) -> None:
    assert results.unescaped == {}
    assert "undone" not in page
    manifest = json.loads((results.paths.prepared / MANIFEST).read_text(encoding="utf-8"))
    try:
        write_json(
            results.paths.prepared / MANIFEST, {**manifest, "unescaped": {"HTML entities": 12, "escaped quotes": 1}}
        )
        undone = render("d", Results(results.paths), [], report_config())
    finally:
        write_json(results.paths.prepared / MANIFEST, manifest)
    assert "undone before anything was read: HTML entities in 12 texts; escaped quotes in 1 text.</p>" in undone


def test_page_summary_and_log_say_which_tokens_are_unknown_only_if_there_are_some(results: Results, page: str) -> None:
    said = "The encoder bundled does not know 65% of the tokens of these texts; 100% of the texts"
    assert results.reading_notes == []
    assert "does not know" not in page
    manifest = read_manifest(results.paths.features)
    shares = {"bundled": {"tokens": 0.653, "texts": 1.0}, "mine": {"tokens": 0.01, "texts": 0.2}}
    try:
        write_json(results.paths.features / MANIFEST, {**manifest, "read": {"unknown_tokens": shares}})
        noted = Results(results.paths)
        assert len(noted.reading_notes) == 1
        assert said in render("d", noted, [], report_config())
        assert said in render_summary("d", noted)
        assert said in runs_of(noted).parent.tags[NOTE]
    finally:
        write_json(results.paths.features / MANIFEST, manifest)


@pytest.mark.parametrize("change", ["reviews", "scale"])
def test_scores_of_other_reviews_or_another_scale_make_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    paths = build(tmp_path)
    monkeypatch.chdir(tmp_path)
    if change == "reviews":
        write_parquet(paths.reviews, pd.read_parquet(paths.reviews).assign(text="another"))
    else:
        write_json(paths.prepared / MANIFEST, {"scale": "0..10"})
    with pytest.raises(PipelineError, match=r"holds no scores of .*reviews\.parquet: run the score stage first"):
        report.run(paths.dataset)
