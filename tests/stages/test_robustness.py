"""The robustness stage, run for real on a few reviews, and the arithmetic of its tables."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT, make_project

from pipeline.stages import features as featurize, prepare, robustness, score
from pipeline.errors import PipelineError
from pipeline.evaluation.calibration import calibration, calibration_bins
from pipeline.evaluation.costs import cost_table
from pipeline.evaluation.slices import measured, slices
from pipeline.experiment.robustness import calibrated_lines, change_table, last_lines
from pipeline.files import read_manifest
from pipeline.project.conf import RobustnessConfig
from pipeline.project.paths import DatasetPaths

CONFIG = RobustnessConfig(seed=1, n_resamples=100, n_reviews=12)
SIDES = {
    "T-method": ("text_stats", "T(1)"),
    "attention": ("attention_pooling+text_stats", "Ridge"),
    "both": ("attention_pooling+text_stats", "Ta"),
}
SIDES_CSV = "reports/sample/curves/sides.csv"
TABLES = ("changes", "transfer", "slices", "calibration", "calibration_bins", "costs")


def write_curves(paths: DatasetPaths) -> None:
    """What the curves stage would leave, as far as this stage reads it."""
    rows = [
        {"side": side, "n_train": n_train, "features": features, "model": model if n_train == 45 else "Ridge"}
        for side, (features, model) in SIDES.items()
        for n_train in (10, 45)
    ]
    paths.curves.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(paths.curve("sides"), index=False)
    lines = [*SIDES.values(), ("text", "mean")]
    pd.DataFrame(lines, columns=["features", "model"]).to_csv(paths.curve("curves"), index=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets after the robustness stage: the sample, and reviews that this project's sample does not hold."""
    directory = make_project(tmp_path_factory.mktemp("project"))
    for path in (directory / "conf/features").glob("*.yaml"):
        if path.stem not in ("text_stats", "embedding", "attention_pooling"):
            path.unlink()
    (directory / "conf/robustness.yaml").write_text(yaml.safe_dump(CONFIG.model_dump()))
    own = (directory / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
    others = [line for line in (ROOT / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
              if line not in own]  # fmt: skip
    (directory / "elsewhere.jsonl").write_text("\n".join(others[::9]) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        prepare.run("sample", "sample")
        prepare.run("elsewhere", "file", Path("elsewhere.jsonl"))
        for dataset in ("sample", "elsewhere"):
            featurize.run(dataset)
            score.run(dataset)
            write_curves(DatasetPaths(dataset))
            robustness.run(dataset)
    return directory


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def table_of(name: str, dataset: str = "sample") -> pd.DataFrame:
    return pd.read_csv(DatasetPaths(dataset).robust(name), keep_default_na=False, na_values=[""], dtype={"side": str})


def test_every_change_is_measured_for_every_side_on_the_same_reviews(here: Path) -> None:
    changes = table_of("changes")
    assert changes["side"].tolist() == [side for side in SIDES for _ in range(5)]
    assert changes["change"].tolist() == ["none", "typos", "shouting", "truncated", "shuffled"] * len(SIDES)
    assert (changes["n_reviews"] == 12).all()
    unchanged = changes.groupby("side")["qwk"].transform("first")
    np.testing.assert_allclose(changes["difference"], changes["qwk"] - unchanged, atol=1e-9)
    assert (changes.loc[changes["change"] == "none", ["difference", "low", "high"]] == 0).all(axis=None)
    assert (changes["low"] <= changes["high"]).all()


def test_unchanged_texts_get_the_predictions_of_the_leaderboard(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = CONFIG.model_copy(update={"n_reviews": 100})
    monkeypatch.setattr(robustness, "robustness_config", lambda: every)
    copy = here.parent / "all_reviews"
    shutil.copytree(here, copy)
    monkeypatch.chdir(copy)
    robustness.run("sample")
    metrics = pd.read_csv("reports/sample/metrics.csv").set_index(["features", "model"])
    changes = table_of("changes").query("change == 'none'").set_index(["features", "model"])
    np.testing.assert_allclose(changes["qwk"], metrics.loc[changes.index, "qwk"])


def test_the_sample_has_no_transfer_and_another_dataset_has_it_both_ways(here: Path) -> None:
    assert table_of("transfer").empty
    transfer = table_of("transfer", "elsewhere")
    assert list(zip(transfer["side"], transfer["trained_on"], transfer["tested_on"], strict=True)) == [
        (side, *pair) for side in SIDES for pair in (("elsewhere", "sample"), ("sample", "elsewhere"))
    ]
    assert transfer.query("tested_on == 'sample'")["n_reviews"].unique() == [60]
    assert transfer.query("tested_on == 'elsewhere'")["n_reviews"].unique() == [12]
    assert transfer["qwk"].between(-1, 1).all()


def test_reviews_that_a_dataset_shares_with_the_sample_are_no_test_of_transfer(here: Path) -> None:
    own = pd.read_parquet("data/prepared/sample/reviews.parquet")
    other = pd.read_parquet("data/prepared/elsewhere/reviews.parquet")
    assert robustness.foreign_sample("copy", own) is None
    some = robustness.foreign_sample("elsewhere", pd.concat([other, own.head(20)]))
    assert some is not None
    assert sorted(some["text"]) == sorted(own["text"][20:])


def test_slices_of_one_kind_hold_every_held_out_review_once(here: Path) -> None:
    sliced = table_of("slices")
    assert set(sliced["slice"]) == {"length", "stars"}  # no category has twenty held-out reviews here
    assert (sliced.groupby(["side", "slice"])["n_reviews"].sum() == 15).all()
    assert sliced.query("slice == 'stars'")["qwk"].isna().all()
    assert (sliced["mae_low"] <= sliced["mae_high"]).all()


def test_calibration_covers_the_sides_and_the_unclipped_t_methods_on_their_features(here: Path) -> None:
    spreads = table_of("calibration")
    expected = [(side, *line) for side, line in SIDES.items()]
    expected += [("", "text_stats", "Ta"), ("", "attention_pooling+text_stats", "T(1)")]
    assert list(spreads[["side", "features", "model"]].fillna("").itertuples(index=False, name=None)) == expected
    predictions = pd.read_parquet("reports/sample/predictions.parquet")
    slope = np.polyfit(predictions["stars"], predictions["text_stats / T(1)"], 1)[0]
    assert spreads["slope"][0] == pytest.approx(slope)
    bins = table_of("calibration_bins").fillna({"side": ""})
    assert (bins.groupby(["side", "features", "model"])["n_reviews"].sum() == 15).all()


def test_costs_are_those_of_the_lines_with_a_curve(here: Path) -> None:
    costs = table_of("costs").set_index(["features", "model"])
    assert set(costs.index) == {*SIDES.values(), ("text", "mean")}
    parts = json.loads(DatasetPaths("sample").feature_costs.read_text())
    line = costs.loc[("attention_pooling+text_stats", "Ridge")]
    encoded = parts["attention_pooling"]["encode_seconds"] + parts["text_stats"]["encode_seconds"]
    assert line["encode_seconds"] == pytest.approx(encoded)
    baseline = costs.loc[("text", "mean")]
    assert baseline["encode_seconds"] == baseline["learn_seconds"] == 0
    assert baseline["total_seconds"] == baseline["fit_seconds"]


def test_the_same_seed_gives_the_same_tables(here: Path) -> None:
    before = {name: DatasetPaths("sample").robust(name).read_bytes() for name in TABLES}
    robustness.run("sample")
    assert {name: DatasetPaths("sample").robust(name).read_bytes() for name in TABLES} == before
    manifest = read_manifest(DatasetPaths("sample").robustness)
    assert manifest["config"] == CONFIG.model_dump()
    assert manifest["n_reviews"] == 12


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (SIDES_CSV, None, "is missing: run the curves stage first"),
        (SIDES_CSV, "side\nx\n", "lacks the column 'n_train': run the curves stage again"),
        (SIDES_CSV, "side,n_train,features,model\na,5,text_stats,T(9)\n", "unknown model 'T(9)'"),
        (SIDES_CSV, "side,n_train,features,model\na,5,x,Ta\n", "unknown feature set 'x'"),
        (SIDES_CSV, "side,n_train,features,model\na,5,text_stats,Tb\n", "lacks text_stats / Tb"),
        ("reports/sample/predictions.parquet", "no Parquet", "cannot be read"),
        ("data/features/sample/costs.json", "{}", "does not know 'attention_pooling': run the features stage again"),
        ("data/features/sample/text_stats.skops", "no skops", "cannot be read"),
        ("data/features/sample/text_stats.parquet", None, "is missing: run the features stage first"),
    ],
)
def test_what_is_missing_or_damaged_stops_with_the_stage_to_run(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str | None, message: str
) -> None:
    shutil.copytree(here, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    Path(file).unlink()
    if content is not None:
        Path(file).write_text(content)
    with pytest.raises(PipelineError) as error:
        robustness.run("sample")
    assert message in str(error.value)


def test_predictions_of_other_reviews_are_refused(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(here, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    shutil.copy("reports/elsewhere/predictions.parquet", "reports/sample/predictions.parquet")
    with pytest.raises(PipelineError, match="of other reviews: run the score stage again"):
        robustness.run("sample")


# The arithmetic -------------------------------------------------------------------------------------------------------


def test_a_side_s_line_is_that_of_its_largest_size() -> None:
    sides = pd.DataFrame(
        [("a", 100, "x", "Ta"), ("b", 100, "x", "T(1)"), ("a", 20, "y", "Ridge"), ("b", 200, "y", "Ridge")],
        columns=["side", "n_train", "features", "model"],
    )
    assert last_lines(sides) == {"a": ("x", "Ta"), "b": ("y", "Ridge")}


def test_an_unclipped_line_is_named_once_and_only_where_it_was_predicted() -> None:
    sides = {"a": ("x", "Ta"), "b": ("x", "Ridge"), "c": ("y", "Ridge")}
    predicted = {line: np.zeros(3) for line in [*sides.values(), ("x", "T(1)"), ("z", "Ta")]}
    assert calibrated_lines(sides, predicted) == [*sides.items(), ("", ("x", "T(1)"))]


@given(st.lists(st.integers(1, 5), min_size=2, max_size=30), st.integers(0, 1000))
def test_slopes_and_spread_agree_and_bins_keep_the_means(stars: list[int], seed: int) -> None:
    predictions = np.array(stars) * 1.5 + np.random.default_rng(seed).normal(size=len(stars))
    result = calibration(stars, predictions)
    if len(set(stars)) > 1:
        correlation = np.corrcoef(stars, predictions)[0, 1]
        assert result["slope"] == pytest.approx(correlation * result["sd_ratio"], abs=1e-9)
        assert result["slope"] * result["slope_true"] == pytest.approx(correlation**2, abs=1e-9)
    else:
        assert np.isnan(result["slope"])
    bins = calibration_bins(stars, predictions)
    assert bins["n_reviews"].sum() == len(stars)
    assert bins["n_reviews"].max() - bins["n_reviews"].min() <= 1
    assert bins["predicted"].is_monotonic_increasing
    for column, mean in (("predicted", predictions.mean()), ("true", np.mean(stars))):
        assert np.average(bins[column], weights=bins["n_reviews"]) == pytest.approx(mean)


def test_a_constant_prediction_has_slope_zero_and_nothing_to_be_taken_at_its_word() -> None:
    result = calibration([1, 2, 3], [3, 3, 3])
    assert (result["slope"], result["sd_ratio"], result["bias"]) == (0, 0, 1)
    assert np.isnan(result["slope_true"])


def test_only_the_twelve_most_frequent_categories_of_twenty_reviews_or_more_are_slices() -> None:
    names = [f"c{i:02}" for i in range(15) for _ in range(40 - i)] + ["rare"] * 19 + [None] * 30
    reviews = pd.DataFrame({"text": "a few words", "stars": 3, "category": names})
    found = {value: rows.sum() for kind, value, rows in slices(reviews) if kind == "category"}
    assert found == {f"c{i:02}": 40 - i for i in range(12)}


def test_texts_of_one_length_are_in_one_slice_and_japanese_counts_characters() -> None:
    reviews = pd.DataFrame({"text": ["味は最高"] * 6 + ["it was good here"] * 6 + ["no"] * 4, "stars": [1, 5] * 8})
    found = {value: rows.sum() for kind, value, rows in slices(reviews) if kind == "length"}
    assert found == {"1": 4, "4": 12}


def test_qwk_is_left_out_where_all_stars_are_the_same_and_the_error_is_of_the_clipped_prediction() -> None:
    result = measured([5, 5, 5], [9.0, 4.0, 5.0], CONFIG)
    assert np.isnan([result["qwk"], result["qwk_low"], result["qwk_high"]]).all()
    assert result["mae"] == pytest.approx(1 / 3)


def test_a_change_that_reverses_the_predictions_is_seen_for_what_it_is() -> None:
    stars = np.tile([1, 2, 3, 4, 5], 20)
    line = ("x", "Ta")
    predictions = {"none": {line: stars.astype(float)}, "typos": {line: 6.0 - stars}}
    changes = change_table({"side": line}, stars, predictions, CONFIG)
    assert changes["qwk"].tolist() == [1, -1]
    assert changes["difference"].tolist() == [0, -2]
    assert changes["high"][1] < -1.8


def test_a_feature_set_pays_for_each_of_its_features_and_raw_text_for_none() -> None:
    metrics = pd.DataFrame(
        {
            "features": ["a+b", "text"],
            "model": ["Ridge", "mean"],
            "n_test": 100,
            "fit_seconds": [0.5, 0.25],
            "predict_seconds": [0.01, 0.02],
            "qwk": [0.8, 0.0],
        }
    )
    costs = {
        "a": {"encode_seconds": 3.0, "learn_seconds": 1.0, "transform_seconds_per_review": 0.002},
        "b": {"encode_seconds": 0.0, "learn_seconds": 2.0, "transform_seconds_per_review": 0.001},
    }
    table = cost_table(metrics, {"a+b": ["a", "b"]}, costs)
    assert table["encode_seconds"].tolist() == [3, 0]
    assert table["learn_seconds"].tolist() == [3, 0]
    assert table["total_seconds"].tolist() == [6.5, 0.25]
    assert table["predict_us"].tolist() == pytest.approx([3100, 200])
    assert table["peak_mb"].isna().all()
