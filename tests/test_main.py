"""What a user gets for wrong input: one line that says what to do, exit code 2, no traceback."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from project import ROOT, make_project, module_environment, run_cli

from pipeline.project.store import sqlite_uri

Project = Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    make_project(tmp_path, n_per_star=4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(n: int, stars: list[int]) -> list[dict[str, object]]:
    return [
        {"text": f"Review number {i} says something else {i * i}.", "stars": stars[i % len(stars)]} for i in range(n)
    ]


def json_lines(path: Path, content: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in content))


def damaged_parquet(path: Path) -> None:
    pd.DataFrame(rows(50, [1, 5])).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])


def edit(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        file = project / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return change


def write(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda project: make(project / name)


PREPARE_FILE = ["prepare", "--data", "file", "--file"]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            edit("conf/prepare.yaml", "seed:", "sead: 1\nseed:"),
            ["prepare"],
            "prepare.yaml: unknown key 'sead'; known: seed,",
        ),
        (edit("conf/prepare.yaml", "0.25", "1.5"), ["prepare"], "test_size: Input should be less than 1, got '1.5'"),
        (edit("conf/prepare.yaml", "seed:", "seed: ["), ["prepare"], "prepare.yaml is not valid YAML"),
        (lambda project: None, [*PREPARE_FILE, "none.csv"], "none.csv does not exist"),
        (lambda project: None, [*PREPARE_FILE, "conf"], "conf is a directory without a file of reviews (found: "),
        (write("empty.csv", Path.touch), [*PREPARE_FILE, "empty.csv"], "empty.csv is empty"),
        (
            write("r.txt", lambda path: path.write_text("x")),
            [*PREPARE_FILE, "r.txt"],
            "suffix '.txt': expected one of .parquet",
        ),
        (write("r.parquet", damaged_parquet), [*PREPARE_FILE, "r.parquet"], "cannot be read as Parquet"),
        (
            write("r.csv", lambda path: path.write_text("remark,stars\nfine,5\n")),
            [*PREPARE_FILE, "r.csv"],
            "has no column text; found: remark, stars",
        ),
        (
            write("r.jsonl", lambda path: json_lines(path, [{"text": "fine", "mark": 5}])),
            [*PREPARE_FILE, "r.jsonl"],
            "has no column stars or label; found: text, mark",
        ),
        (
            write("r.jsonl", lambda path: json_lines(path, rows(30, [4]))),
            [*PREPARE_FILE, "r.jsonl"],
            "all 30 reviews have 4 stars: one class only",
        ),
        (
            write("r.jsonl", lambda path: json_lines(path, rows(9, [1, 5]))),
            [*PREPARE_FILE, "r.jsonl"],
            "9 usable reviews, at least 10 are needed",
        ),
        (
            write("r.jsonl", lambda path: path.write_text("[1, 2]\n")),
            [*PREPARE_FILE, "r.jsonl"],
            "0 usable reviews, at least 10 are needed; first rejected: line 1, unreadable line: a int",
        ),
        (
            write("r.jsonl", lambda path: json_lines(path, rows(40, list(range(1, 11))))),
            [*PREPARE_FILE, "r.jsonl"],
            "the stars go from 1 to 10; not on the scale 1 to 5: 6, 7, 8, 9, 10; give SCALE=1..10 (--scale)",
        ),
        (
            write(
                "r.csv",
                lambda path: pd.DataFrame(rows(40, [1, 2, 3, 4, 5])).rename(columns={"stars": "Label"}).to_csv(path),
            ),
            [*PREPARE_FILE, "r.csv"],
            "not on the scale 0 to 4: 5; give SCALE=1..5 (--scale), or STARS=Label (--stars)",
        ),
        (
            write("r.jsonl", lambda path: json_lines(path, rows(40, [1, 2]))),
            [*PREPARE_FILE, "r.jsonl", "--stars", "mark"],
            "has no column 'mark' (STARS=); found: text, stars",
        ),
        (lambda project: None, [*PREPARE_FILE, "r.csv", "--scale", "ten"], "--scale (SCALE=): 'ten' is no scale"),
        (lambda project: None, [*PREPARE_FILE, "r.csv", "--scale", "0..100"], "101 values, at most 21 are possible"),
        (lambda project: None, ["all", "--scale", "1..10"], "--scale (SCALE=) goes with --data file (DATA=file)"),
        (lambda project: None, ["prepare", "--data", "yelp", "--text", "body"], "--text (TEXT=) goes with --data file"),
        (lambda project: None, ["prepare", "--data", "file"], "--data file needs either --file PATH"),
        (lambda project: None, ["prepare", "--data", "file", "--train", "a.csv"], "got --train"),
        (lambda project: None, ["prepare", "--file", "a.csv"], "--file goes with --data file"),
        (lambda project: None, ["prepare", "--name", "../up"], "'../up' cannot be a dataset's name"),
        (lambda project: None, ["prepare", "--name", "-x"], "'-x' cannot be a dataset's name: use letters, digits"),
        (lambda project: None, ["all", "--name", "--limit"], "'--limit' cannot be a dataset's name"),
        (lambda project: None, ["score", "--dataset", "-"], "'-' cannot be a dataset's name"),
        (lambda project: None, ["log", "--dataset=-x"], "neither - nor . first"),
        (lambda project: None, [*PREPARE_FILE, "-mine.csv"], "'-mine' cannot be a dataset's name"),
        (
            lambda project: None,
            ["prepare", "--data", "foo"],
            "'foo' is not one of 'sample', 'sample-ja', 'sample-zh', 'yelp', 'file'",
        ),
        (lambda project: None, ["prepare", "--limit", "5"], "Invalid value for '--limit'"),
        (lambda project: None, ["prepare", "--bogus"], "No such option: --bogus"),
        (lambda project: None, ["nonsense"], "No such command 'nonsense'"),
        (lambda project: None, ["features"], "reviews.parquet is missing: run the prepare stage first"),
        (
            edit("conf/features/embedding.yaml", "SentenceEmbedding", "WordClouds"),
            ["features"],
            "unknown transformer 'WordClouds'",
        ),
        (
            edit("conf/features/attention_pooling.yaml", "layer: 3", "lair: 3"),
            ["features"],
            "attention_pooling.yaml: AttentionPooling.__init__() got an unexpected keyword argument 'lair'",
        ),
        (edit("conf/score.yaml", "- Ridge", "- Rigde"), ["score"], "unknown model 'Rigde'; known: T(1), T(1) clipped"),
        (
            edit("conf/score.yaml", "- Ta", "- Ridge"),
            ["score"],
            "score.yaml: models: Value error, duplicate entry 'Ridge'",
        ),
        (edit("conf/score.yaml", "seed: 1", "seed: 1\nseed: 2"), ["score"], "duplicate key 'seed'"),
        (
            edit("conf/score.yaml", "seed: 1", "seed: yes"),
            ["score"],
            "seed: Input should be a valid integer, got 'True'",
        ),
        (edit("conf/score.yaml", "seed: 1", "seed: 2026-13-45"), ["score"], "score.yaml is not valid YAML"),
        (edit("conf/score.yaml", "- mean", "- median"), ["score"], "unknown baseline 'median'"),
        (edit("conf/score.yaml", "- embedding", "- embeding"), ["score"], "unknown feature 'embeding'"),
        (
            edit("conf/features/embedding.yaml", "SentenceEmbedding", "no_such_features.Mine"),
            ["features"],
            "embedding.yaml: no_such_features.Mine cannot be imported (No module named 'no_such_features')",
        ),
        (
            edit("conf/score.yaml", "- Ridge", "- sklearn.linear_model.Rigde"),
            ["all"],
            "score.yaml: sklearn.linear_model.Rigde cannot be imported",
        ),
        (edit("conf/score.yaml", "- Ridge", "- Rigde"), ["all"], "unknown model 'Rigde'; known: T(1), T(1) clipped"),
        (
            lambda project: None,
            ["all", "--until", "scores"],
            "--until 'scores' is no stage: use one of prepare, features",
        ),
        (lambda project: None, ["all", "--data", "file"], "--data file needs either --file PATH"),
        (lambda project: None, ["score"], "run the prepare stage first"),
        (lambda project: None, ["report"], "holds no complete score (no manifest.json): run the score stage first"),
        (lambda project: None, ["ui"], "there are no runs to show"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_input_ends_in_one_line_and_exit_code_2(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    arguments: list[str],
    message: str,
) -> None:
    change(project)
    assert run_cli(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in captured.err


def test_ui_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    missing = tmp_path / "other runs.db"
    settings = module_environment() | {"MLFLOW_TRACKING_URI": sqlite_uri(missing), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipeline", "ui"]
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"error: {missing} is missing, there are no runs to show: run make all (tmva all) first\n")
    assert not missing.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit("conf/features/attention_pooling.yaml", "layer: 3", "layer: 99"), "attention_pooling.yaml: Got layer=99"),
        (edit("conf/features/attention_pooling.yaml", "received", "unicorn"), "'unicorn'"),
        (
            edit("conf/features/embedding.yaml", "SentenceEmbedding", "SentenceEmbedding\nparams: {model: ./none}"),
            "embedding.yaml: The model './none' is neither a directory",
        ),
    ],
)
def test_wrong_parameters_of_a_feature_are_named(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    message: str,
) -> None:
    assert run_cli(monkeypatch, "prepare") == 0
    change(project)
    assert run_cli(monkeypatch, "features") == 2
    assert message in capsys.readouterr().err


def test_a_stale_feature_table_is_not_scored(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = project / "conf/score.yaml"
    conf.write_text(
        "seed: 1\nn_resamples: 100\nfeature_sets: {text_stats: [text_stats]}\nmodels: [Ta]\nbaselines: []\n"
    )
    assert run_cli(monkeypatch, "prepare") == 0
    assert run_cli(monkeypatch, "features") == 0
    assert run_cli(monkeypatch, "prepare", "--limit", "15") == 0
    assert run_cli(monkeypatch, "score") == 2
    assert "text_stats.parquet is of other reviews or settings: run the features stage again" in capsys.readouterr().err


def only_text_stats(project: Project) -> None:
    (project / "conf/score.yaml").write_text(
        "seed: 1\nn_resamples: 100\nfeature_sets: {'1': [text_stats]}\nmodels: [Ta, Ridge]\nbaselines: []\n"
    )
    (project / "conf/curves.yaml").write_text(
        "seed: 1\nn_resamples: 200\nsizes: {10: 2}\nfeature_sets: ['1']\ncontrasts: [[T, R]]\n"
        "sides: {T: {feature_sets: ['1'], models: [Ta]}, R: {feature_sets: ['1'], models: [Ridge]}}\n"
    )


@pytest.fixture
def encoded(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    only_text_stats(project)
    assert run_cli(monkeypatch, "prepare") == 0
    assert run_cli(monkeypatch, "features") == 0
    return project


@pytest.mark.slow
def test_a_feature_without_its_token_record_is_not_scored(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "conf/score.yaml").write_text(
        "seed: 1\nn_resamples: 100\nfeature_sets: {sn: [sn_attention]}\nmodels: [Ta]\nbaselines: []\n"
    )
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert run_cli(monkeypatch, "prepare") == run_cli(monkeypatch, "features") == 0
    shutil.rmtree(project / "data/features/sample/tokens")
    assert run_cli(monkeypatch, "score") == 2
    assert "run the features stage again" in capsys.readouterr().err.splitlines()[-1]
    assert run_cli(monkeypatch, "features") == run_cli(monkeypatch, "score") == 0


@pytest.mark.parametrize("stage", ["curves", "robustness", "report", "log"])
def test_a_stage_without_what_it_reads_names_the_stage_to_run(
    encoded: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    assert run_cli(monkeypatch, stage) == 2
    assert re.search(r"run (the )?(score|curves|robustness|report)", capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- text_stats\n", "- text_stat\n", "curves.yaml: unknown feature set 'text_stat'; known: "),
        ("- Ridge", "- Rigde", "curves.yaml: unknown model of side attention 'Rigde'; known: "),
        ("- - T-method\n", "- - T-methods\n", "curves.yaml: unknown side 'T-methods'; known: "),
        ("10: 3", "1: 3", "curves.yaml: sizes.1"),
    ],
)
def test_unknown_names_in_the_curves_stop_before_any_work(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    message: str,
) -> None:
    edit("conf/curves.yaml", old, new)(project)
    assert run_cli(monkeypatch, "curves") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_a_full_disk_leaves_one_line_and_the_old_result(project: Project) -> None:
    """A limit on the size of files stands in for a full disk: the same calls fail, with another number."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = subprocess.run(
        [sys.executable, "-m", "pipeline", "prepare", "--data", "file", "--file", "data/sample/reviews.jsonl"],
        # Coverage would fail to write its own file.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "File too large" in result.stderr.splitlines()[-1]
    assert not (project / "data/prepared/reviews/reviews.parquet").exists()


def test_help_describes_every_stage_and_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run_cli(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    stages = ("prepare", "features", "score", "curves", "robustness", "report", "log")
    for stage in (*stages, "all", "predict", "compare", "ui"):
        assert stage in text
    assert run_cli(monkeypatch, "prepare", "--help") == 0
    text = capsys.readouterr().out
    for option in ("--data", "--file", "--train", "--test", "--limit", "--name"):
        (line,) = [line for line in text.splitlines() if line.strip("│ ").startswith(option)]
        assert len(line.strip("│ ").split()) > 4
