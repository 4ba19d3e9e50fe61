"""The peers stage, run for real: a tiny language model, a fine-tuned encoder, and what was answered before a kill."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, SMALL_CURVES, SMALL_SCORE, make_project, module_environment, run_cli

from pipeline.evaluation.draws import draw_in_order
from pipeline.features import LocalLLM
from pipeline.files import read_json
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import read_table
from pipeline.stages import peers

pytest.importorskip("xllamacpp", reason="the extra llm is not installed")
pytest.importorskip("setfit", reason="the extra setfit is not installed")

from tiny_gguf import write_gguf

pytestmark = pytest.mark.slow

N_HELD_OUT = 10
PEERS = ["peers", "--model", "tiny.gguf"]
EXAMPLES = {"llm_examples": {"n_examples": 1, "n_words": 12, "n_example_words": 5}}
SETS = {"llm": ["llm"], "llm_examples": ["llm_examples"], "llm+text_stats": ["llm", "text_stats"]}
SETTINGS: dict[str, Any] = {
    "seed": 1,
    "n_resamples": 200,
    "n_held_out": N_HELD_OUT,
    "sizes": {10: 2, 15: 2},
    "features": EXAMPLES | {"llm": {"n_words": 12}},
    "feature_sets": SETS,
    "curves_sides": ["T-method"],
    "sides": {
        "LLM": {"feature_sets": ["llm", "llm_examples"], "models": ["expectation"]},
        "LLM read by T": {"feature_sets": ["llm_examples", "llm+text_stats"], "models": ["Ta"]},
        "SetFit": {"feature_sets": ["text"], "models": ["quick_models.setfit"]},
    },
    "contrasts": [["T-method", "SetFit"], ["LLM read by T", "LLM"]],
}
QUICK = """
from pipeline.evaluation import ExpectedStarRegressor
from pipeline.peers import SetFitClassifier


def setfit():
    return ExpectedStarRegressor(SetFitClassifier(max_steps=1, max_length=16, random_state=0))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after the peers stage."""
    directory = make_project(tmp_path_factory.mktemp("project"), n_per_star=8)
    settings = SMALL_SCORE | {"feature_sets": {"text_stats": ["text_stats"]}, "models": ["Ta", "Ridge"]}
    sides = {
        "T-method": {"feature_sets": ["text_stats"], "models": ["Ta"]},
        "others": {"feature_sets": ["text_stats"], "models": ["Ridge"]},
    }
    curves = SMALL_CURVES | {"feature_sets": ["text_stats"], "sides": sides, "contrasts": [["T-method", "others"]]}
    for name, content in (("score", settings), ("curves", curves), ("peers", SETTINGS)):
        (directory / f"conf/{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (directory / "quick_models.py").write_text(QUICK)
    write_gguf(directory / "tiny.gguf")
    for arguments in (["all", "--until", "report"], PEERS):
        ran = run(directory, arguments)
        assert ran.returncode == 0, ran.stderr
    return directory


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = Path(shutil.copytree(made, tmp_path / "project", copy_function=shutil.copy2))
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    return project


def run(directory: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(arguments), cwd=directory, env=environment(), capture_output=True, text=True, check=False
    )


def command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "pipeline", *arguments]


def environment() -> dict[str, str]:
    return module_environment() | {"PYTHONPATH": str(ROOT)}


def test_every_side_has_a_curve_a_difference_and_costs(here: Path) -> None:
    paths = DatasetPaths("sample")
    sides = read_table(paths, "peer_sides")
    assert set(zip(sides["side"], sides["n_train"], strict=True)) == {
        (side, n) for side in ("T-method", "LLM", "LLM read by T", "SetFit") for n in (10, 15)
    }
    assert sides["qwk"].between(-1, 1).all()
    contrasts = read_table(paths, "peer_contrasts").set_index(["a", "b", "n_train"])
    qwk = sides.set_index(["side", "n_train"])["qwk"]
    for (a, b, n), row in contrasts.iterrows():
        assert row["difference"] == pytest.approx(qwk[a, n] - qwk[b, n], abs=1e-9)
    costs = read_table(paths, "peer_costs").set_index(["side", "n_train"])
    assert (costs["review_ms"] > 0).all()
    assert (costs["train_seconds"] > 0).all()
    assert costs.loc[("SetFit", 10), "train_seconds"] > costs.loc[("T-method", 10), "train_seconds"]
    assert '<section aria-labelledby="peers-title"' in paths.page.read_text(encoding="utf-8")
    manifest = read_json(paths.peers / "manifest.json")
    assert manifest["n_held_out"] == N_HELD_OUT
    assert manifest["language_model"]["model"] == "tiny"
    assert len(manifest["sentences"]) == 2


def test_the_expectation_is_the_column_of_the_language_model(here: Path) -> None:
    paths = DatasetPaths("sample")
    reviews = pd.read_parquet(paths.reviews)
    train, test = reviews[reviews["split"] == "train"], reviews[reviews["split"] == "test"]
    # All held-out reviews but those that no stratified draw of 10 takes.
    seed = yaml.safe_load(Path("conf/score.yaml").read_text())["seed"]
    held_out = test.iloc[np.sort(draw_in_order(test["stars"], N_HELD_OUT, 0, seed))]
    order = draw_in_order(train["stars"], 10, 1, seed)
    model = LocalLLM("tiny.gguf", **SETTINGS["features"]["llm_examples"])
    model.fit(train["text"].iloc[order].tolist(), train["stars"].iloc[order])
    expected = model.transform(held_out["text"].tolist())[:, -2]
    pieces = [pd.read_parquet(path) for path in paths.peer_draws.glob("000010-*.parquet")]
    found = [piece["expectation"].to_numpy() for piece in pieces if "expectation" in piece]
    assert any(np.allclose(each, expected, atol=1e-5) for each in found)


def test_held_out_prompts_of_nested_draws_are_asked_once(here: Path) -> None:
    costs = read_json(DatasetPaths("sample").answers / "costs.json").values()
    plain, shown = sorted(costs, key=lambda cost: cost["prompts"])
    # Without examples: each text once. With one example of each star: the held-out reviews once a repeat.
    assert plain["prompts"] <= N_HELD_OUT + 2 * 15
    assert shown["prompts"] <= 2 * (N_HELD_OUT + 10 + 15)
    assert min(plain["seconds"], shown["seconds"]) > 0


def test_a_second_run_asks_and_trains_nothing(here: Path) -> None:
    paths = DatasetPaths("sample")
    before = {
        path: path.stat().st_mtime_ns for path in [*paths.answers.rglob("*.safetensors"), *paths.peer_draws.iterdir()]
    }
    tables = [read_table(paths, name) for name in ("peers", "peer_sides", "peer_contrasts", "peer_costs")]
    peers.run("sample", "tiny.gguf")
    after = {
        path: path.stat().st_mtime_ns for path in [*paths.answers.rglob("*.safetensors"), *paths.peer_draws.iterdir()]
    }
    assert after == before
    for name, table in zip(("peers", "peer_sides", "peer_contrasts", "peer_costs"), tables, strict=True):
        pd.testing.assert_frame_equal(read_table(paths, name), table)


def test_a_killed_run_keeps_what_was_answered(here: Path) -> None:
    paths = DatasetPaths("sample")
    shutil.rmtree(paths.answers)
    shutil.rmtree(paths.peers)
    running = subprocess.Popen(command(PEERS), cwd=here, env=environment(), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(paths.answers.rglob("*.safetensors")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = {path: path.read_bytes() for path in paths.answers.rglob("*.safetensors")}
    assert kept
    assert run(here, PEERS).returncode == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(read_table(paths, "peer_sides")) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curves_sides": ["T-metod"]}, "unknown side of conf/curves.yaml 'T-metod'"),
        ({"contrasts": [["T-method", "SetFitt"]]}, "unknown side 'SetFitt'"),
        ({"features": EXAMPLES | {"llm": {"n_word": 3}}}, "n_word"),
        ({"features": EXAMPLES | {"llm": {"n_words": 0}}}, "n_words"),
        ({"feature_sets": SETS | {"llm": ["lm"]}}, "unknown feature of llm 'lm'"),
        ({"sizes": {1000: 1}}, "fewer than the sizes"),
        ({"features": SETTINGS["features"] | {"text_stats": {}}}, "the name 'text_stats' of a feature is taken"),
        ({"feature_sets": SETS | {"text": ["llm"]}}, "the name 'text' of a feature set is taken"),
        ({"sides": SETTINGS["sides"] | {"T-method": SETTINGS["sides"]["LLM"]}}, "'T-method' of a side is taken"),
        (
            {"sides": SETTINGS["sides"] | {"LLM": {"feature_sets": ["llm+text_stats"], "models": ["expectation"]}}},
            "which do not end llm+text_stats",
        ),
        ({"n_resamples": 100}, "take"),
    ],
)
def test_what_is_unknown_stops_before_any_work(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    message: str,
) -> None:
    (here / "conf/peers.yaml").write_text(yaml.safe_dump(SETTINGS | change))
    assert run_cli(monkeypatch, "peers", "--model", "tiny.gguf") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "missing.gguf"], "missing.gguf"),
        (["--model", "quick_models.py"], "GGUF"),
        (["--base-url", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["--dataset", "nowhere", "--model", "tiny.gguf"], "reports/nowhere has no results yet"),
    ],
)
def test_a_model_that_is_not_to_be_had_is_one_line(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    assert run_cli(monkeypatch, "peers", *options) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert error.startswith("error: ")
    assert message in error
    assert json.loads((here / "reports/sample/peers/manifest.json").read_text())["sentences"]
