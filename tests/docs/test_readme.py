"""The README and its code do what they say."""

import re
import shutil
import subprocess
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from doc_blocks import check_blocks, python_blocks
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOT, make_project, run_cli

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
# Each block of these pages has a test of its own here.
PARTED = ("comparison", "parts", "extend")
TEXT = "\n".join((ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in PARTED)
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
TESTED = ("@champion", "train = load_sample()", "GridSearchCV", "class QuestionMarks", "def scaled_svr")


def code_with(part: str) -> str:
    assert part in TESTED
    (block,) = [block for block in PYTHON_BLOCKS if part in block]
    return block


def test_every_block_of_the_pages_that_the_readme_leads_to_is_tested() -> None:
    assert len({code_with(part) for part in TESTED}) == len(PYTHON_BLOCKS)


def test_the_readme_goes_from_what_it_is_by_pictures_and_five_lines_to_one_table() -> None:
    order = ["T-method**", "](docs/pictures/curves.svg)", "](docs/pictures/review.svg)", "quadratic weighted kappa"]
    order += ["pip install .", "```python", "make all ", "](docs/sample-report.html)", "make predict", "\n|---|"]
    places = [README.index(part) for part in order]
    assert places == sorted(places)
    assert README.count("\n|---|") == 1
    first, *_ = README.partition("![")[0].strip().split("\n\n")[1:]
    said = first.partition(" [日本語]")[0]
    assert len(re.findall(r"[.?!](?:\s|$)", said)) == 2
    assert len(README.splitlines()) < 120


def test_the_output_of_predict_is_that_of_the_best_line_of_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    best = pd.read_csv(ROOT / "docs/results/sample/metrics.csv").iloc[0]
    project = make_project(tmp_path, n_per_star=120)
    shutil.copy(ROOT / "data/sample/reviews.jsonl", project / "data/sample")
    parts = yaml.safe_load((ROOT / "conf/score.yaml").read_text(encoding="utf-8"))["feature_sets"]
    score_alone(project, {best["features"]: parts[best["features"]]}, best["model"])
    monkeypatch.chdir(project)
    assert run_cli(monkeypatch, "all", "--until", "score") == 0, capsys.readouterr().err
    ((review, shown),) = re.findall(r"make predict TEXT=\"(.*)\"\n```\n\n```text\n(.*?)```", README, flags=re.DOTALL)
    capsys.readouterr()
    assert run_cli(monkeypatch, "predict", review, "--explain") == 0
    assert capsys.readouterr().out == shown


def test_the_five_lines_print_words_with_their_sn_ratios() -> None:
    check_blocks(ROOT / "README.md")
    ((code, shown),) = python_blocks(ROOT / "README.md")
    assert len([line for line in code.splitlines() if line]) == 5
    assert "sn_db" in shown
    (sentence,) = re.findall(r'reviews with "(\w+)" have (\d\.\d) stars more', README)
    assert re.search(r"^ *{} +{} ".format(*sentence), shown, flags=re.MULTILINE)


def score_alone(project: Path, feature_sets: dict[str, list[str]], model: str) -> None:
    """Leave one model on these feature sets in the configuration of a project."""
    score = yaml.safe_load((project / "conf/score.yaml").read_text())
    score |= {"feature_sets": feature_sets, "models": [model], "baselines": []}
    score.pop("ablations", None)
    (project / "conf/score.yaml").write_text(yaml.safe_dump(score))
    curves = yaml.safe_load((project / "conf/curves.yaml").read_text())
    side = {"feature_sets": list(feature_sets), "models": [model]}
    curves |= {"feature_sets": list(feature_sets), "sides": {"T-method": side, "attention": side}}
    (project / "conf/curves.yaml").write_text(yaml.safe_dump(curves))


# Other tests run all blocks of these, with what they print: test_know_how_doc.py and its like.
WITH_OUTPUT = ("first-steps-quality", "first-steps-nlp", "know-how", "llm", "statistics", "workbench")
ELSEWHERE = {ROOT / f"docs/{name}.md" for name in (*WITH_OUTPUT, *PARTED)}
# These two only lead to the files in the root, which the site shows in their place.
PAGES = sorted(set((ROOT / "docs").glob("*.md")) - ELSEWHERE - {ROOT / "docs/README.md", ROOT / "docs/changelog.md"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)


def test_an_extractor_is_reused_in_five_lines_in_an_empty_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = code_with("train = load_sample()")
    assert len([line for line in code.splitlines() if line]) == 5
    names: dict[str, object] = {}
    exec(compile(code, "docs", "exec"), names)
    use = re.search(r"`(model\.predict\(.*?)` gives the stars", TEXT).group(1)
    assert 4 < eval(use, names) <= 5
    assert eval(use.replace("Good food, lovely people.", "Awful, rude, never again!"), names) < 2


def test_a_grid_search_behind_an_encoder_keeps_the_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code_with("GridSearchCV"), "docs", "exec"), names)
    assert names["search"].best_params_["ridge__alpha"] in (0.1, 1, 10)
    assert list((tmp_path / "vectors").iterdir())


def test_feature_and_model_of_the_readme_run_through_the_pipeline_and_the_model_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = make_project(tmp_path, n_per_star=6)
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    (project / "my_features.py").write_text(code_with("class QuestionMarks"))
    (project / "my_models.py").write_text(code_with("def scaled_svr"))
    (project / "conf/features/questions.yaml").write_text(re.search(r"`(transformer: [\w.]+)`", TEXT).group(1))
    model = re.search(r"`- (my_models\.\w+)`", TEXT).group(1)
    score_alone(project, yaml.safe_load(re.search(r"`(questions\+text_stats: .*?)`", TEXT).group(1)), model)
    assert run_cli(monkeypatch, "all") == 0, capsys.readouterr().err
    leaderboard = pd.read_csv(project / "reports/sample/leaderboard.csv")
    assert leaderboard[["features", "model", "n_features"]].to_numpy().tolist() == [["questions+text_stats", model, 40]]

    capsys.readouterr()
    exec(compile(code_with("@champion"), "docs", "exec"), {})
    assert 1 <= float(capsys.readouterr().out.strip("[]\n")) <= 5
    mlflow.end_run()


def test_the_constraints_are_what_is_installed_and_cover_every_requirement() -> None:
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, number = line.split("==")
            pinned[canonicalize_name(name)] = number
    for text in requires("t-method-vs-attention") or []:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} has no line in constraints.txt"
        assert requirement.specifier.contains(pinned[name]), (
            f"constraints.txt pins {name} outside {requirement.specifier}"
        )
        assert version(name).split("+")[0] == pinned[name], f"{name} is installed in another version"


def test_no_file_names_a_place_outside_the_project() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        if name.endswith((".md", ".py", ".yaml", ".toml", ".txt", "Makefile")):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/\w", text), name
