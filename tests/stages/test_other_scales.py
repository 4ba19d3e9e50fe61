"""Score, curves, robustness and report of reviews on other scales than 1 to 5, run for real."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import make_project
from sklearn.metrics import cohen_kappa_score

from pipeline.errors import PipelineError
from pipeline.evaluation import FIVE_STARS, Scale, evaluate_clipped
from pipeline.experiment.line import Line
from pipeline.experiment.saved import load
from pipeline.files import read_json, read_manifest, write_json, write_parquet
from pipeline.project.fingerprint import STAGES, is_stale, stage_digests
from pipeline.project.paths import DatasetPaths
from pipeline.project.scale import dataset_scale
from pipeline.project.tables import read_table
from pipeline.report import Results
from pipeline.report.compare import compare
from pipeline.report.runs import runs_of
from pipeline.stages import prepare
from pipeline.stages.all import run_stage

pytestmark = pytest.mark.slow

SCALES = {"ten": Scale(0, 10), "halves": Scale(1, 5, 0.5), "hundred": Scale(0, 100, 5)}
SET = "t_metrics+text_stats"
OTHERS = ["Ridge", "LogisticRegression", "LogisticRegression (median star)", "ordinal regression"]
SCORE = {
    "seed": 1,
    "n_resamples": 100,
    "feature_sets": {SET: ["t_metrics", "text_stats"]},
    "models": ["T(1)", "unit spaces", *OTHERS],
    "baselines": ["mean"],
}
CURVES = {
    "seed": 1,
    "n_resamples": 200,
    "sizes": {20: 2},
    "feature_sets": [SET],
    "sides": {
        "T-method": {"feature_sets": [SET], "models": ["T(1)", "unit spaces"]},
        "others": {"feature_sets": [SET], "models": OTHERS},
    },
    "contrasts": [["T-method", "others"]],
}


def on_scale(stars: pd.Series, scale: Scale) -> np.ndarray:
    """Spread five stars over a scale: every second review lies one value lower. Few of the 21 of 0 to 100 are there."""
    converted = scale.round(FIVE_STARS.convert(stars, scale))
    lower = np.where(np.arange(len(stars)) % 2, scale.step, 0)
    return scale.round(converted - lower).astype(int if scale.is_whole else float)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second review of the project's sample, with its stars on each of the scales, after all stages but log."""
    directory = make_project(tmp_path_factory.mktemp("scales"), n_per_star=24)
    for name, content in (("score", SCORE), ("curves", CURVES)):
        (directory / f"conf/{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        prepare.run("sample", "sample")
        reviews = pd.read_parquet(DatasetPaths("sample").reviews)
        half = reviews.sort_values(["split", "stars"], kind="stable").iloc[::2].reset_index(drop=True)
        for name, scale in SCALES.items():
            paths = DatasetPaths(name)
            write_parquet(paths.reviews, half.assign(stars=on_scale(half["stars"], scale)))
            options = {"data": "file", "file": f"{name}.csv", "scale": scale.written}
            write_json(paths.prepared / "manifest.json", {"scale": scale.written, "options": options})
            for stage in ("features", "score", "curves", "robustness", "report"):
                run_stage(stage, name)
    return directory


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


each_scale = pytest.mark.parametrize("name", SCALES)


@pytest.mark.usefixtures("here")
class TestStages:
    @each_scale
    def test_the_leaderboard_is_scikit_learns_kappa_on_positions(self, name: str) -> None:
        paths, scale = DatasetPaths(name), SCALES[name]
        predictions, metrics = pd.read_parquet(paths.predictions), read_table(paths, "metrics")
        assert len(metrics) == len(SCORE["models"]) + 1
        stars = scale.position(predictions["stars"])
        for row in metrics.to_dict("records"):
            predicted = predictions[str(Line(row["features"], row["model"]))]
            near = np.abs(predicted.to_numpy()[:, None] - scale.values).argmin(axis=1)
            kappa = cohen_kappa_score(stars, near, weights="quadratic", labels=range(len(scale.values)))
            assert row["qwk"] == pytest.approx(kappa, abs=1e-9)
            clipped = np.clip(predicted, scale.low, scale.high)
            assert row["mae_clipped"] == pytest.approx(np.abs(clipped - predictions["stars"]).mean())
        assert metrics["qwk"].max() > 0.3

    @each_scale
    def test_the_last_point_of_a_curve_is_the_leaderboard(self, name: str) -> None:
        paths = DatasetPaths(name)
        curves, metrics = read_table(paths, "curves"), read_table(paths, "metrics")
        last = curves[curves["n_train"] == curves["n_train"].max()]
        both = last.merge(metrics, on=["features", "model"], suffixes=("", "_of_board"))
        assert len(both) == len(metrics)
        np.testing.assert_allclose(both["qwk"], both["qwk_of_board"], atol=1e-9)
        np.testing.assert_allclose(both["mae"], both["mae_clipped"], rtol=1e-5)

    @each_scale
    def test_slices_by_star_bear_the_stars_of_the_scale(self, name: str) -> None:
        paths, scale = DatasetPaths(name), SCALES[name]
        slices = read_table(paths, "slices")
        by_star = slices[(slices["slice"] == "stars") & (slices["side"] == "T-method")]
        counts = pd.read_parquet(paths.predictions)["stars"].value_counts().sort_index()
        expected = {f"{star:g}": n for star, n in counts[counts > 1].items()}
        assert dict(zip(by_star["value"], by_star["n_reviews"], strict=True)) == expected
        assert scale.contains(by_star["value"].astype(float)).all()

    @each_scale
    def test_a_transfer_is_measured_on_the_scale_of_the_reviews_that_are_tested(self, name: str) -> None:
        paths, scale = DatasetPaths(name), SCALES[name]
        transfer = read_table(paths, "transfer")
        assert transfer[["trained_on", "tested_on"]].values.tolist() == [[name, "sample"], ["sample", name]] * 2
        sample = pd.read_json("data/sample/reviews.jsonl", lines=True)
        sample = sample[~sample["text"].isin(pd.read_parquet(paths.reviews)["text"])]
        files = {
            Line(entry["features"], entry["model"]): entry["model_file"] for entry in Results(paths).lines.values()
        }
        row = transfer.iloc[0]
        model, _ = load(paths.models / files[Line(row["features"], row["model"])], "score")
        predictions = scale.convert(model.predict(sample["text"].tolist()), FIVE_STARS)
        expected = evaluate_clipped(sample["stars"], predictions, 200, 1)
        assert row["n_reviews"] == len(sample)
        assert row["qwk"] == pytest.approx(expected["qwk"], abs=1e-6)
        for text in sample["text"][:5]:
            assert model.explain(text)["contribution"].sum() == pytest.approx(model.predict([text])[0], abs=1e-9)

    @each_scale
    def test_the_page_says_the_scale(self, name: str) -> None:
        page, scale = DatasetPaths(name).page.read_text(encoding="utf-8"), SCALES[name]
        assert f"held-out reviews, stars from {scale};" in page
        assert f"after clipping it to the scale\n(from {scale})" in page
        note = f"The sample's stars go from 1 to 5, those of this data set from {scale}."
        assert note in page
        assert scale == Scale(1, 5, 0.5) or "1 to 5" not in page.replace(note, "")
        assert f"make all DATA=file FILE={name}.csv SCALE={scale.written}".split(" step")[0] in page.replace(
            "&#39;", ""
        )

    @each_scale
    def test_mlflow_is_told_the_scale(self, name: str) -> None:
        runs = runs_of(Results(DatasetPaths(name)))
        assert runs.parent.params["scale"] == SCALES[name].written
        assert len(runs.lines) == len(SCORE["models"]) + 1

    def test_a_comparison_says_that_the_scales_differ(self) -> None:
        text = compare("ten", "halves")
        assert "Stars go from 0 to 10 in A, from 1 to 5 in steps of 0.5 in B: each MAE" in text
        assert "Stars go from" not in compare("ten", "ten")

    def test_a_report_that_was_copied_brings_its_scale_along(self, tmp_path: Path) -> None:
        (tmp_path / "copy").symlink_to(DatasetPaths("ten").reports.resolve())
        assert Results.of(str(tmp_path / "copy")).scale == Scale(0, 10)

    def test_what_depends_on_the_scale_is_stale_when_it_changes_though_the_reviews_do_not(self) -> None:
        paths = DatasetPaths("ten")
        manifest = read_manifest(paths.prepared)

        def stale() -> list[str]:
            return [stage for stage in STAGES[1:] if is_stale(stage, paths, stage_digests(stage, paths, {}))]

        assert stale() == ["log"]
        write_json(paths.prepared / "manifest.json", manifest | {"scale": "0..12"})
        assert stale() == ["features", "score", "curves", "robustness", "report", "log"]
        write_json(paths.prepared / "manifest.json", manifest)
        assert stale() == ["log"]

    def test_stars_outside_of_the_scale_stop_the_stage_in_one_line(self) -> None:
        paths = DatasetPaths("ten")
        manifest = read_json(paths.prepared / "manifest.json")
        try:
            write_json(paths.prepared / "manifest.json", manifest | {"scale": "0..9"})
            with pytest.raises(PipelineError, match=r"reviews.parquet .*no value of the scale 0 to 9.*prepare stage"):
                run_stage("score", "ten")
        finally:
            write_json(paths.prepared / "manifest.json", manifest)

    def test_a_manifest_without_a_scale_means_five_stars_and_a_damaged_one_is_named(self, tmp_path: Path) -> None:
        assert dataset_scale(DatasetPaths("sample")) == FIVE_STARS
        paths = DatasetPaths("odd")
        write_json(paths.prepared / "manifest.json", {"scale": "many"})
        with pytest.raises(
            PipelineError, match=r"^data/prepared/odd/manifest.json: 'many' is no scale: .*prepare stage"
        ):
            dataset_scale(paths)
