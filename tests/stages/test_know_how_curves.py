"""The second set of curves, run for real: every side also gets the embedded reviews."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, SMALL_CURVES, SMALL_SCORE, make_project

from pipeline.errors import PipelineError
from pipeline.evaluation.draws import draw
from pipeline.evaluation.metrics import evaluate
from pipeline.experiment.know_how import foreign_sample
from pipeline.experiment.line import Line
from pipeline.features import TextStats, TMetrics
from pipeline.files import read_manifest, read_parquet
from pipeline.project.conf import score_config
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import read_table
from pipeline.stages import curves
from pipeline.stages.all import run_stage
from pipeline.taguchi import TMethodRegressor, class_moments

pytestmark = pytest.mark.slow

SETS = {"text_stats": ["text_stats"], "words": ["t_metrics", "text_stats"]}
WORDS = {"feature_sets": ["words"], "models": ["Ta", "T(1)"]}
OTHERS = {"feature_sets": ["text_stats"], "models": ["Ridge", "LogisticRegression"]}
KNOW_HOW = {
    "rows": 30,
    "sizes": {0: 4, 10: 2},
    "sides": {"T-method": WORDS, "other models": OTHERS},
    "contrasts": [["T-method", "other models"]],
}
PATHS = DatasetPaths("elsewhere")


def write_conf(n_held_out: int = 1000, **know_how: object) -> None:
    sides = {"T-method": WORDS, "other models": OTHERS}
    settings = SMALL_CURVES | {"feature_sets": list(SETS), "sides": sides, "sizes": {10: 2}, "n_held_out": n_held_out}
    settings |= {"contrasts": KNOW_HOW["contrasts"], "know_how": KNOW_HOW | know_how}
    Path("conf/curves.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = make_project(tmp_path_factory.mktemp("know_how"))
    others = [json.loads(line) for line in (ROOT / "data/sample/reviews.jsonl").read_text().splitlines()]
    known = (root / "data/sample/reviews.jsonl").read_text(encoding="utf-8")
    rows = [row for row in others if json.dumps(row["text"], ensure_ascii=False) not in known][::9]
    (root / "elsewhere.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    settings = SMALL_SCORE | {"feature_sets": SETS, "models": ["Ta", "T(1)", "Ridge", "LogisticRegression"]}
    (root / "conf/score.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        write_conf()
        run_stage("prepare", "elsewhere", {"data": "file", "file": Path("elsewhere.jsonl")})
        for stage in ("features", "score", "curves"):
            run_stage(stage, "elsewhere")
        yield root


def test_every_side_has_a_curve_from_no_review_on(project: Path) -> None:
    table = read_table(PATHS, "know_how")
    assert list(zip(table["side"], table["n_train"], strict=True)) == [
        (side, n) for side in ("T-method", "other models") for n in (0, 10)
    ]
    assert table["qwk"].between(-1, 1).all()
    assert (table["qwk_low"] <= table["qwk_high"]).all()
    contrasts = read_table(PATHS, "know_how_contrasts")
    differences = table.set_index(["side", "n_train"])["qwk"].unstack()
    for row in contrasts.itertuples():
        expected = differences.loc[row.a, row.n_train] - differences.loc[row.b, row.n_train]
        assert row.difference == pytest.approx(expected)


def test_with_no_review_a_t_method_knows_the_sums_of_the_embedded_reviews(project: Path) -> None:
    reviews = pd.read_parquet(PATHS.reviews)
    held_out = reviews[reviews["split"] == "test"]
    sample = foreign_sample("elsewhere", reviews)
    assert sample is not None
    texts, stars = sample["text"].tolist(), sample["stars"].to_numpy(dtype=float)
    words = TMetrics(target_range=(1, 5))
    known = np.hstack([words.fit_transform(texts, stars), TextStats().transform(texts)])
    columns = np.hstack([words.transform(held_out["text"]), TextStats().transform(held_out["text"])])
    quality = [
        evaluate(
            held_out["stars"],
            TMethodRegressor(rule).fit_moments(class_moments(known, stars).counting_as(30)).predict(columns),
        )["qwk"]
        for rule in ("all", "middle")
    ]
    row = read_table(PATHS, "know_how").set_index(["side", "n_train"]).loc[("T-method", 0)]
    chosen = quality[["Ta", "T(1)"].index(row["model"])]
    # The side is measured on halves, its line is the one that is best on all.
    assert chosen == pytest.approx(max(quality))


def test_the_verdict_says_what_know_how_changes(project: Path) -> None:
    *_, last = json.loads(PATHS.verdict.read_text())["sentences"]
    assert last.startswith("With know-how from the embedded reviews, which count as 30 reviews beside the training")
    assert "with no review, " in last
    assert " with 10 (" in last
    assert " without)" in last


def test_draws_are_kept_and_the_columns_too(project: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in [*PATHS.draws.iterdir(), *PATHS.features.glob("*.know_how.*")]}
    run_stage("curves", "elsewhere")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_of_many_held_out_reviews_the_curves_are_measured_on_a_draw_and_say_so(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    predictions = read_parquet(PATHS.predictions, made_by="score")
    n_test, drawn = len(predictions), draw(predictions["stars"], 10, 0, score_config().seed)
    write_conf(n_held_out=10)
    try:
        with caplog.at_level("INFO"):
            run_stage("curves", "elsewhere")
    finally:
        write_conf()
    says = f"on 10 of {n_test} held-out reviews"
    assert says in caplog.text
    assert says in json.loads(PATHS.verdict.read_text())["sentences"][0]
    manifest = read_manifest(PATHS.curves)
    assert (manifest["n_held_out"], manifest["n_test"]) == (10, n_test)
    table = read_table(PATHS, "curves")
    for last in table[table["n_train"] == table["n_train"].max()].itertuples():
        predicted = predictions[str(Line(last.features, last.model))]
        expected = evaluate(predictions["stars"].iloc[drawn], predicted.iloc[drawn])
        assert last.qwk == pytest.approx(expected["qwk"])
    assert {len(pd.read_parquet(path)) for path in PATHS.draws.iterdir()} == {10, n_test}
    run_stage("curves", "elsewhere")
    assert f"on {n_test} held-out reviews" in json.loads(PATHS.verdict.read_text())["sentences"][0]


def test_the_sample_gets_no_know_how_from_itself(project: Path) -> None:
    run_stage("prepare", "sample", {"data": "sample"})
    for stage in ("features", "score", "curves"):
        run_stage(stage, "sample")
    paths = DatasetPaths("sample")
    assert read_table(paths, "know_how").empty
    assert read_table(paths, "know_how_contrasts").empty
    assert len(json.loads(paths.verdict.read_text())["sentences"]) == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 0}, "know_how.rows: Input should be greater than 0, got '0'"),
        ({"contrasts": [["T-method", "nobody"]]}, "unknown side of know_how 'nobody'"),
        ({"sizes": dict.fromkeys(range(60), 1)}, "60 p-values adjusted by Holm cannot fall below 0.05"),
        (
            {"sides": {"T-method": WORDS, "other models": OTHERS | {"models": ["PLS"]}}},
            "know_how: side other models: PLS takes no weights of rows: leave it out",
        ),
        (
            {"sides": {"T-method": WORDS, "other models": OTHERS | {"feature_sets": ["mine"]}}},
            "unknown feature set of know_how, side other models 'mine'",
        ),
    ],
)
def test_wrong_settings_are_told_before_any_work(project: Path, wrong: dict[str, object], message: str) -> None:
    write_conf(**wrong)
    try:
        with pytest.raises(PipelineError, match=message):
            curves.run("elsewhere")
    finally:
        write_conf()
