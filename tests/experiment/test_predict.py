"""The command predict: stars of one text and of files, from models as the score stage saves them."""

import gzip
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import ROOT, run_cli
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation import MedianStarRegressor
from pipeline.experiment import champion, predict, predict_file
from pipeline.experiment.bounded import BoundedRegressor
from pipeline.experiment.champion import find_model
from pipeline.experiment.saved import load, save
from pipeline.features import TextStats
from pipeline.files import MANIFEST, write_json
from pipeline.project.paths import DatasetPaths
from pipeline.sources import raw
from pipeline.taguchi import TMethodRegressor

BEST = "text_stats / LogisticRegression (median star)"
TEXT = "Great food and a kind waiter, but never so loud again!"
ODD = [TEXT, "", None, 5, "Xyzzy qwzz.", "bad \x1b[31m place", "  \n"]
WITHOUT_A_STAR = [1, 2, 3, 6]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a dataset of two models, and an earlier dataset."""
    root = tmp_path_factory.mktemp("predict")
    reviews = pd.read_json(ROOT / "data/sample/reviews.jsonl", lines=True).groupby("stars").head(12)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    models = {
        "text_stats / T(1)": TMethodRegressor(),
        BEST: MedianStarRegressor(classifier),
    }
    for name in ("earlier", "mine"):
        paths = DatasetPaths.of_reports(root / "reports" / name)
        lines = [{"name": "text_stats / Ridge", "model_file": None}]
        for line, model in reversed(models.items()):
            union = FeatureUnion([("text_stats", TextStats())])
            fitted = BoundedRegressor(make_pipeline(union, model)).fit(reviews["text"], reviews["stars"])
            lines.append({"name": line, "model_file": f"{len(lines)}.skops", "packages": []})
            save(paths.models / f"{len(lines) - 1}.skops", fitted)
        write_json(paths.lines, lines)
        write_json(paths.reports / MANIFEST, {"stage": "score"})
    return root


@pytest.fixture(autouse=True)
def _here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.fixture(scope="module")
def model(root: Path) -> BoundedRegressor:
    return load(root / "reports/mine/models/1.skops", "score")[0]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A file with usable texts and others, and a line that is no JSON."""
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps({"text": text, "review_id": f"r{i}"}) + "\n" for i, text in enumerate(ODD)))
    return path


class TestText:
    def test_the_star_its_probabilities_and_where_they_come_from(self, model: BoundedRegressor) -> None:
        about, *bars, star = predict.run(TEXT).splitlines()
        assert about == f"mine · {BEST} · scale 1 to 5"
        assert [float(bar.split()[1]) for bar in bars] == pytest.approx(model.rate([TEXT]).probabilities[0], abs=5e-4)
        predicted = model.predict([TEXT])[0]
        assert star == f"star {predicted:.1f}, rounded {predicted:.0f}"

    def test_the_base_and_the_words_add_up_to_the_star(self) -> None:
        told = predict.run(TEXT, explain=True).split("The words that made it, in stars:\n")[1]
        *parts, star = [float(line.split()[0]) for line in told.splitlines()]
        assert sum(parts) == pytest.approx(star, abs=0.005 * (len(parts) + 1))
        assert "  great  " in told
        up_then_down = parts[1 : len(re.findall(r"^ *[+-]\S+ +\w", told, re.MULTILINE)) + 1]
        assert up_then_down == sorted(up_then_down, reverse=True)

    def test_the_words_are_those_without_what_an_export_left(self) -> None:
        exported, plain = (
            "Tom &amp; Ann&#39;s food was great.&lt;br&gt;Never again!",
            "Tom & Ann's food was great.\nNever again!",
        )
        assert predict.run(exported, explain=True) == predict.run(plain, explain=True)

    def test_a_model_without_probabilities_by_its_file(self) -> None:
        about, star = predict.run(TEXT, model=Path("reports/earlier/models/2.skops")).splitlines()
        assert about == "earlier · text_stats / T(1) · scale 1 to 5"
        assert re.fullmatch(r"star \d\.\d, rounded \d", star)

    def test_a_text_without_a_known_word_gets_the_mean_and_is_told_so(self) -> None:
        _, star, *rest = predict.run("Xyzzy!", explain=True).splitlines()
        assert star == f"star 3.0, rounded 3; {predict.UNKNOWN}"
        assert rest[2:] == ["  3.00  (without a word)", "  0.00  (1 more word)", "  3.00  (the star)"]

    def test_a_copied_model_is_named_by_its_file(self, tmp_path: Path) -> None:
        copy = tmp_path / "copy.skops"
        copy.write_bytes(Path("reports/mine/models/1.skops").read_bytes())
        assert predict.run(TEXT, model=copy).startswith("copy.skops · scale 1 to 5\n")

    def test_a_model_in_the_root_of_a_disk_is_a_copied_one_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "is_file", lambda _: True)
        monkeypatch.setattr(champion, "_is_model", lambda _: True)
        assert find_model(None, Path("/copy.skops")).about == "copy.skops"

    def test_no_text_steers_the_terminal(self) -> None:
        assert "\x1b" not in predict.run("great \x1b[31mplace\x07", explain=True)


class TestFile:
    def test_every_row_keeps_its_place_and_has_a_star_or_a_reason(
        self, odd: Path, tmp_path: Path, model: BoundedRegressor
    ) -> None:
        with odd.open("a") as file:
            file.write("{broken\n")
        told = predict_file.run(odd, tmp_path / "stars.csv", with_text=True)
        table = pd.read_csv(tmp_path / "stars.csv")
        assert table["row"].tolist() == list(range(1, len(ODD) + 2))
        assert table["review_id"].tolist()[:-1] == [f"r{i}" for i in range(len(ODD))]
        empty = [*WITHOUT_A_STAR, len(ODD)]
        assert np.flatnonzero(table["star"].isna()).tolist() == empty
        assert table.loc[empty, "reason"].notna().all()
        rated = table.drop(index=empty)
        predicted = model.predict(rated["text"].tolist())
        np.testing.assert_allclose(rated["predicted"], predicted, atol=5e-5)
        np.testing.assert_array_equal(rated["star"], np.floor(predicted + 0.5))
        np.testing.assert_allclose(rated.filter(like="p_").sum(axis=1)[[0, 5]], 1, atol=3e-4)
        assert rated["reason"].dropna().to_dict() == {4: predict.UNKNOWN}
        assert "8 rows; 5 of them without a star, the first in row 2: text empty" in told
        assert f"1 without a known word, which get the mean, by mine · {BEST}, in " in told

    @pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
    def test_other_formats_hold_the_numbers_of_csv(self, odd: Path, tmp_path: Path, suffix: str) -> None:
        out = tmp_path / f"stars{suffix}"
        for path in (out, tmp_path / "stars.csv"):
            predict_file.run(odd, path, explain=True)
        table = pd.read_parquet(out) if suffix == ".parquet" else pd.read_json(out, lines=True, precise_float=True)
        expected = pd.read_csv(tmp_path / "stars.csv")
        assert list(table) == list(expected)
        for name in expected:
            pair = [column.astype(object).where(column.notna(), None) for column in (table[name], expected[name])]
            assert pair[0].tolist() == pair[1].tolist(), name

    def test_neither_blocks_nor_parts_change_a_row(
        self, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        predict_file.run(odd, tmp_path / "whole.csv")
        monkeypatch.setattr(predict_file, "_AT_ONCE", 2)
        monkeypatch.setattr(raw, "_ROWS_AT_ONCE", 3)
        predict_file.run(odd, tmp_path / "pieces.csv")
        assert (tmp_path / "pieces.csv").read_text() == (tmp_path / "whole.csv").read_text()

    @pytest.mark.slow
    def test_two_workers_write_what_one_process_does(
        self, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(predict_file, "_AT_ONCE", 3)
        monkeypatch.setattr(predict_file, "_WORTH_WORKERS", 0)
        for n_workers in ("1", "2"):
            monkeypatch.setenv("LOKY_MAX_CPU_COUNT", n_workers)
            predict_file.run(odd, tmp_path / f"{n_workers}.csv")
        assert (tmp_path / "2.csv").read_text() == (tmp_path / "1.csv").read_text()

    def test_a_directory_names_the_file_of_each_row(self, odd: Path, tmp_path: Path) -> None:
        directory = tmp_path / "many"
        directory.mkdir()
        (directory / "b.csv").write_text("Stars,Comment\n5,Great\n", encoding="utf-16")
        (directory / "a.jsonl.gz").write_bytes(gzip.compress(odd.read_bytes()))
        assert predict_file.run(directory, tmp_path / "all.csv").startswith(f"{tmp_path / 'all.csv'}: 8 rows; ")
        files = pd.read_csv(tmp_path / "all.csv")["file"].tolist()
        assert files == [f"{directory / 'a.jsonl.gz'}"] * len(ODD) + [f"{directory / 'b.csv'}"]

    def test_the_words_of_a_row_add_up_to_its_star(self, odd: Path, tmp_path: Path) -> None:
        predict_file.run(odd, tmp_path / "stars.csv", explain=True)
        table = pd.read_csv(tmp_path / "stars.csv").dropna(subset="words")
        for words, expected in zip(table["words"], table["predicted"], strict=True):
            parts = [float(part.rsplit(" ", 1)[1]) for part in words.split("; ")]
            assert sum(parts) == pytest.approx(expected, abs=0.005 * (len(parts) + 1))

    def test_what_is_damaged_further_on_leaves_no_file_and_an_old_one_as_it_was(
        self, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        damaged, out = tmp_path / "odd.jsonl.gz", tmp_path / "stars.csv"
        damaged.write_bytes(gzip.compress(odd.read_bytes())[:-8])
        out.write_text("old")
        assert run_cli(monkeypatch, "predict", "--file", str(damaged), "--out", str(out)) == 2
        assert capsys.readouterr().err.startswith(f"error: {damaged} cannot be read")
        assert out.read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.jsonl", "odd.jsonl.gz", "stars.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], 'give a review, in quotes (TEXT="..."), or a file of reviews by --file (FILE=)'),
        (["good", "--file", "r.csv"], "got a review and --file r.csv: give one of them"),
        (["  \n"], "the text is empty: give a review, in quotes"),
        (["half \udc80"], "Got a text with half of a surrogate pair"),
        (["good", "--out", "stars.csv"], "--out goes with --file (FILE=)"),
        (["--file", "r.csv"], "--file r.csv needs --out (OUT=), such as --out stars.csv"),
        (["--file", "r.csv", "--out", "r.xlsx"], "--out (OUT=) takes one of .csv, .jsonl, .parquet"),
        (["--file", "r.csv", "--out", "a.csv"], "a.csv is a directory: name a file by --out (OUT=)"),
        (["--file", "r.csv", "--out", "r.csv"], "r.csv lies in r.csv, which is read"),
        (["--file", "reports", "--out", "reports/mine/o.csv"], "reports/mine/o.csv lies in reports, which is read"),
        (["--file", "r.csv", "--out", "o.csv"], "r.csv does not exist"),
        (["--file", "no_text.csv", "--out", "o.csv"], "no column text; found: a, b; needed: text: name yours by TEXT="),
        (["--file", "no_text.csv", "--text", "c", "--out", "o.csv"], "no_text.csv has no column 'c' (TEXT=)"),
        (
            ["good", "--dataset", "nowhere"],
            "reports/nowhere holds no complete score: name one of the datasets e",
        ),
        (["good", "--dataset", "../up"], "cannot be a dataset's name"),
        (["good", "--model", "none.skops"], "none.skops is no file: give a model of reports/<dataset>/models"),
        (["good", "--model", "damaged.skops"], "damaged.skops is no model"),
        (["good", "--model", "archive.zip"], "archive.zip is no model: give a file of reports/<dataset>/models"),
        (["good", "--model", "a.skops", "--dataset", "b"], "got --dataset b and --model a.skops: give one of them"),
        (["good", "--model", "features.skops"], "features.skops holds TextStats, which does not predict stars"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_input_ends_in_one_line(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (root / "no_text.csv").write_text("a,b\n1,2\n")
    (root / "a.csv").mkdir(exist_ok=True)
    (root / "damaged.skops").write_bytes(b"PK no more")
    with zipfile.ZipFile(root / "archive.zip", "w") as archive:
        archive.writestr("letter.txt", "good")
    save(root / "features.skops", TextStats().fit(["good"]))
    assert run_cli(monkeypatch, "predict", *arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not captured.out


def test_without_any_run_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(monkeypatch, "predict", "good") == 2
    assert capsys.readouterr().err == "error: there is no model in reports yet: run make all (tmva all) first\n"


def test_a_copied_directory_cannot_add_a_package_that_is_trusted(tmp_path: Path) -> None:
    paths = DatasetPaths.of_reports(tmp_path / "copied")
    write_json(paths.lines, [{"name": "text_stats / T(1)", "model_file": "0.skops", "packages": ["subprocess"]}])
    write_json(paths.reports / MANIFEST, {"stage": "score"})
    save(paths.models / "0.skops", TMethodRegressor())
    assert find_model(None, paths.models / "0.skops").packages == ()
