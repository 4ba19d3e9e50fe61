"""The page, the summary and MLflow's run, where a language model and SetFit stand beside the curves."""

from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from report_data import build

from pipeline.digest import file_digest
from pipeline.files import MANIFEST, read_manifest, write_json
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import read_table, table_path, write_table
from pipeline.report.results import Results
from pipeline.report.runs import files_of, runs_of
from pipeline.stages import report

SIDES = {"T-method": "T-method", "LLM <b>2 examples</b>": "attention", "SetFit": "combined"}
SENTENCE = "Of the sizes from 10 to 100 training reviews, T-method is ahead with 10 & SetFit is ahead at no size."


def add_peers(paths: DatasetPaths, reviews_sha256: str | None, scale: str = "1..5") -> None:
    """Leave what the peers stage leaves, under other names the curves of the three sides."""
    few = [10, 30, 100]
    names = {old: new for new, old in SIDES.items()}
    sides = read_table(paths, "sides")
    sides = sides[sides["n_train"].isin(few)].assign(side=lambda table: table["side"].map(names))
    contrasts = read_table(paths, "contrasts")
    contrasts = contrasts[contrasts["n_train"].isin(few)].assign(a="T-method", b="SetFit")
    curves = read_table(paths, "curves")
    write_table(paths, "peers", curves[curves["n_train"].isin(few)])
    write_table(paths, "peer_sides", sides)
    write_table(paths, "peer_contrasts", contrasts)
    costs = sides[["side", "n_train", "features", "model"]]
    write_table(paths, "peer_costs", costs.assign(train_seconds=61.5, review_ms=171.0, peak_mb=412.0))
    described = {side: {"feature_sets": ["text"], "models": ["SetFit"]} for side in SIDES}
    manifest = {
        "config": {"n_held_out": 150, "sides": described},
        "reviews_sha256": reviews_sha256,
        "scale": scale,
        "inputs": {str(table_path(paths, "metrics")): file_digest(table_path(paths, "metrics"))},
        "language_model": {"file": "small.gguf", "sha256": "a5fd", "template": "plain"},
        "n_held_out": 150,
        "sentences": [SENTENCE],
    }
    write_json(paths.peers / MANIFEST, manifest)


@pytest.fixture(scope="module")
def with_peers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetPaths]:
    directory = tmp_path_factory.mktemp("peers")
    paths = build(directory)
    with chdir(directory):
        add_peers(paths, Results(paths).reviews_sha256)
        report.run(paths.dataset)
    return directory, paths


@pytest.fixture
def peer_paths(with_peers: tuple[Path, DatasetPaths], monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    monkeypatch.chdir(with_peers[0])
    return with_peers[1]


def test_the_section_has_sentences_curves_differences_costs_and_the_model(peer_paths: DatasetPaths) -> None:
    page = peer_paths.page.read_text(encoding="utf-8")
    section = page[page.index('<section aria-labelledby="peers-title"') :]
    section = section[: section.index("</section>")]
    for shown in ("10 &amp; SetFit is ahead", "LLM &lt;b&gt;2 examples&lt;/b&gt;", "61.5", "171", "412", "small.gguf"):
        assert shown in section
    assert "older than the leaderboard" not in section
    assert section.count("<table>") == 3
    assert section.count("<figure") == 1
    assert (peer_paths.figures / "peers.svg").exists()
    assert "conf/peers.yaml" in page
    assert '<a href="#peers">' in page


def test_the_summary_and_the_run_have_the_sides(peer_paths: DatasetPaths) -> None:
    assert "beside a language model and SetFit" in peer_paths.summary.read_text(encoding="utf-8")
    runs = {run.name: run for run in runs_of(Results(peer_paths)).sides}
    sides = Results(peer_paths).peer_sides.set_index(["side", "n_train"])
    points = {(point.name, point.step): point.value for point in runs["SetFit, beside peers"].points}
    assert points["qwk", 30] == sides.loc[("SetFit", 30), "qwk"]
    assert {"T-method", "T-method, beside peers"} <= set(runs)


@pytest.mark.parametrize("other", ["reviews", "scale"])
def test_results_of_other_reviews_or_another_scale_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    paths = build(tmp_path)
    monkeypatch.chdir(tmp_path)
    add_peers(paths, *([Results(paths).reviews_sha256, "1..10"] if other == "scale" else ["of other reviews"]))
    report.run(paths.dataset)
    assert read_manifest(paths.peers)
    for text in (paths.page, paths.summary):
        assert "SetFit" not in text.read_text(encoding="utf-8")
    assert not [run for run in runs_of(Results(paths)).sides if "peers" in run.name]
    assert not [path for path, place in files_of(Results(paths)) if place == "peers"]


def test_the_run_gets_the_tables_and_an_older_section_says_so(
    peer_paths: DatasetPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len([path for path, place in files_of(Results(peer_paths)) if place == "peers"]) == 5
    paths = build(tmp_path)
    monkeypatch.chdir(tmp_path)
    add_peers(paths, Results(paths).reviews_sha256)
    metrics = read_table(paths, "metrics")
    write_table(paths, "metrics", metrics.assign(fit_seconds=metrics["fit_seconds"] + 1))
    report.run(paths.dataset)
    assert "older than the leaderboard" in paths.page.read_text(encoding="utf-8")


def test_a_page_without_peers_says_nothing_of_them(page: str) -> None:
    assert "peers" not in page


def test_peers_are_drawn_without_bands_where_they_are_many(results: Results) -> None:
    many = pd.concat([results.sides.assign(side=results.sides["side"] + f" {i}") for i in range(3)])
    from pipeline.report.curves import side_curves
    from pipeline.report.figure import drawing

    with drawing():
        crowded, few = (side_curves(table, pd.DataFrame({"n": []})) for table in (many, results.sides))
    assert len(crowded.axes[0].collections) == 0
    assert len(few.axes[0].collections) == 3
