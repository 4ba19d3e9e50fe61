"""The robustness stage, run for real on a few reviews, and the arithmetic of its tables."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, make_project

from pipeline.errors import PipelineError
from pipeline.experiment.know_how import foreign_sample
from pipeline.experiment.line import Line
from pipeline.experiment.readings import BOTH, chosen_reviews, only
from pipeline.experiment.robustness import calibrated_lines, changes_frame, last_lines
from pipeline.project.conf import RobustnessConfig
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import TABLES, read_table, table_path, write_table
from pipeline.scale import Scale
from pipeline.stages import features as featurize
from pipeline.stages import prepare, robustness, score
from pipeline.text import word_spans

pytestmark = pytest.mark.slow

CONFIG = RobustnessConfig(seed=1, n_resamples=100, n_reviews=12, n_readings=3)
SIDES = {
    "T-method": Line("text_stats", "T(1)"),
    "attention": Line("attention_pooling+text_stats", "Ridge"),
    "combined": Line("attention_pooling+text_stats", "Ta"),
}
SIDES_CSV, CONTRASTS_CSV = (f"reports/sample/curves/{name}.csv" for name in ("sides", "contrasts"))
NAMES = [name for name, table in TABLES.items() if table.stage == "robustness"]
HEAD = "side,n_train,features,model,qwk,qwk_low,qwk_high"
TWO = "T-method,5,text_stats,{},0,0,0\nattention,5,text_stats,Ta,0,0,0\n"


def write_curves(paths: DatasetPaths) -> None:
    """What the curves stage would leave, as far as this stage reads it."""
    rows = [
        {"side": side, "n_train": n_train, "features": features, "model": model if n_train == 45 else "Ridge"}
        for side, (features, model) in SIDES.items()
        for n_train in (10, 45)
    ]
    write_table(paths, "sides", pd.DataFrame(rows))
    write_table(paths, "contrasts", pd.DataFrame([{"a": "T-method", "b": "attention", "n_train": 45}]))
    write_table(paths, "curves", pd.DataFrame([line._asdict() for line in (*SIDES.values(), Line("text", "mean"))]))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets after the robustness stage: the sample, and reviews that this project's sample does not hold."""
    directory = make_project(tmp_path_factory.mktemp("project"))
    (directory / "conf/robustness.yaml").write_text(yaml.safe_dump(CONFIG.model_dump()))
    sample = (directory / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
    others = [line for line in (ROOT / "data/sample/reviews.jsonl").read_text(encoding="utf-8").splitlines()
              if line not in sample]  # fmt: skip
    # Reviews of which no other holds a word.
    unknown = [json.dumps({"text": letter * 9, "stars": 1 + n % 5}) for n, letter in enumerate("bcdfghjklmnpqrst")]
    (directory / "elsewhere.jsonl").write_text("\n".join(others[::9] + unknown) + "\n", encoding="utf-8")
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
    return pd.read_csv(
        table_path(DatasetPaths(dataset), name), keep_default_na=False, na_values=[""], dtype={"side": str}
    )


def test_every_change_is_measured_for_every_side_on_the_same_reviews(here: Path) -> None:
    changes = table_of("changes")
    names = ["none", "typos", "shouting", "truncated", "shuffled"]
    names += ["no_punctuation", "british", "boilerplate", "added_sentence"]
    assert changes["side"].tolist() == [side for side in SIDES for _ in names]
    assert changes["change"].tolist() == names * len(SIDES)
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
    sample = pd.read_parquet("data/prepared/sample/reviews.parquet")
    other = pd.read_parquet("data/prepared/elsewhere/reviews.parquet")
    assert foreign_sample("copy", sample) is None
    some = foreign_sample("elsewhere", pd.concat([other, sample.head(20)]))
    assert some is not None
    assert sorted(some["text"]) == sorted(sample["text"][20:])


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


@pytest.mark.parametrize("dataset", ["sample", "elsewhere"])
def test_reviews_are_read_word_by_word_and_the_sums_are_the_lines_predictions(here: Path, dataset: str) -> None:
    paths = DatasetPaths(dataset)
    table, reviews = read_table(paths, "readings"), pd.read_parquet(paths.reviews).set_index("review_id")
    predictions = pd.read_parquet(paths.predictions).set_index("review_id")
    train = reviews[reviews["split"] == "train"]
    assert len(table)
    assert table["side"].unique().tolist() == ["T-method", "attention"]
    for (review_id, side), words in table.groupby(["review_id", "side"], sort=False):
        text, first = reviews["text"][review_id], words.iloc[0]
        assert reviews["split"][review_id] == "test"
        assert SIDES[side] == Line(first["features"], first["model"])
        assert words["word"].tolist() == [
            text[start:end] for start, end in zip(words["start"], words["end"], strict=True)
        ]
        assert list(zip(words["start"], words["end"], strict=True)) == word_spans(text)
        assert first["base"] == pytest.approx(train["stars"].mean())
        expected = np.clip(predictions.loc[review_id, str(SIDES[side])], 1, 5)
        assert first["predicted"] == pytest.approx(expected, abs=1e-4)
        assert first["base"] + words["contribution"].sum() == pytest.approx(first["predicted"], abs=1e-9)
        right = np.round(expected) == reviews["stars"][review_id]
        assert right == (first["reason"] in (BOTH, only(side)))


def test_the_same_seed_gives_the_same_tables(here: Path) -> None:
    before = {name: table_path(DatasetPaths("sample"), name).read_bytes() for name in NAMES}
    manifest = robustness.run("sample")
    assert {name: table_path(DatasetPaths("sample"), name).read_bytes() for name in NAMES} == before
    assert manifest == {"config": CONFIG.model_dump(), "n_reviews": 12}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (SIDES_CSV, None, "is missing: run the curves stage first"),
        (SIDES_CSV, "side\nx\n", "lacks the column 'n_train': run the curves stage again"),
        (SIDES_CSV, f"{HEAD}\na,5,text_stats,T(9),0,0,0\n", "unknown model 'T(9)'"),
        (SIDES_CSV, f"{HEAD}\na,5,x,Ta,0,0,0\n", "unknown feature set 'x'"),
        (SIDES_CSV, f"{HEAD}\n{TWO.format('Tb')}", "lacks text_stats / Tb"),
        (SIDES_CSV, f"{HEAD}\na,5,text_stats,Ta,0,0,0\n", "contrasts.csv: unknown side 'T-method'; known: a"),
        (CONTRASTS_CSV, None, "is missing: run the curves stage first"),
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
    sides = {"a": Line("x", "Ta"), "b": Line("x", "Ridge"), "c": Line("y", "Ridge")}
    predicted = {line: np.zeros(3) for line in [*sides.values(), Line("x", "T(1)"), Line("z", "Ta")]}
    assert calibrated_lines(sides, predicted) == [*sides.items(), ("", ("x", "T(1)"))]


def test_a_change_that_reverses_the_predictions_is_seen_for_what_it_is() -> None:
    stars = np.tile([1, 2, 3, 4, 5], 20)
    line = Line("x", "Ta")
    predictions = {"none": {line: stars.astype(float)}, "typos": {line: 6.0 - stars}}
    changes = changes_frame({"side": line}, stars, predictions, CONFIG)
    assert changes["qwk"].tolist() == [1, -1]
    assert changes["difference"].tolist() == [0, -2]
    assert changes["high"][1] < -1.8


def test_reviews_are_chosen_by_who_is_right_how_long_they_are_and_how_far_the_others_are_off() -> None:
    lengths = [20, 70, 20, 20, 20, 30, 29, 20]
    stars = [5, 5, 5, 5, 1, 4, 4, 2]
    a = [5.4, 5.0, 4.6, 5.0, 1.0, 4.0, 4.0, 3.0]
    b = [3.0, 1.0, 4.0, 2.0, 3.0, 4.4, 4.0, 1.0]
    reviews = pd.DataFrame({"text": [" ".join(["x"] * n) for n in lengths], "stars": stars})
    found = chosen_reviews(reviews, {"a": np.array(a), "b": np.array(b)})
    assert found == [(only("a"), 3), (only("a"), 0), (BOTH, 5)]
    swapped = chosen_reviews(reviews, {"b": np.array(b), "a": np.array(a)})
    assert swapped == found


def test_of_many_stars_five_are_shown_and_a_text_without_words_is_none() -> None:
    stars = np.arange(0, 101, 5)
    reviews = pd.DataFrame({"text": ["word " * 20] * 20 + ["!!!"], "stars": stars})
    exact = stars.astype(float)
    chosen = chosen_reviews(reviews, {"a": exact, "b": exact}, Scale(0, 100, 5))
    assert [stars[row] for _, row in chosen] == [75, 50, 25, 0]
