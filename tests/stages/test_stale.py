"""What a change remakes, and what it leaves alone: real edits of code and settings, real runs of the stages."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import ROOT, SMALL_CURVES, SMALL_SCORE, make_project, module_environment

pytestmark = pytest.mark.slow

SETS = {"text_stats": ["text_stats"], "mean_pooling": ["mean_pooling"]}
MANIFESTS = {
    "prepare": "data/prepared/sample/manifest.json",
    "features": "data/features/sample/manifest.json",
    "score": "reports/sample/manifest.json",
    "curves": "reports/sample/curves/manifest.json",
    "robustness": "reports/sample/robustness/manifest.json",
    "report": "reports/sample/report.json",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its code in a directory of its own, after all stages but the log."""
    project = make_project(tmp_path_factory.mktemp("made"), n_per_star=8)
    settings = SMALL_SCORE | {"feature_sets": SETS, "models": ["T(1)", "Ridge"], "baselines": ["mean"]}
    (project / "conf/score.yaml").write_text(yaml.safe_dump(settings))
    sides = {
        "T-method": {"feature_sets": ["text_stats"], "models": ["T(1)"]},
        "attention": {"feature_sets": ["text_stats"], "models": ["Ridge"]},
    }
    (project / "conf/curves.yaml").write_text(
        yaml.safe_dump(SMALL_CURVES | {"sizes": {10: 2}, "feature_sets": ["text_stats"], "sides": sides})
    )
    shutil.copytree(ROOT / "pipeline", project / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    ran(project)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project", copy_function=shutil.copy2))


def ran(project: Path, until: str = "report") -> list[str]:
    """Run what is stale up to a stage, and return the stages that were run."""
    before = {stage: written(project / path) for stage, path in MANIFESTS.items()}
    result = subprocess.run(
        [sys.executable, "-m", "pipeline", "all", "--until", until],
        cwd=project,
        env=module_environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return [stage for stage, path in MANIFESTS.items() if written(project / path) != before[stage]]


def written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def features_of(project: Path) -> dict[str, int]:
    return {path.stem: written(path) for path in (project / "data/features/sample").glob("*.parquet")}


def draws_of(project: Path) -> dict[str, dict[str, list[float]]]:
    """The figures of each model in each piece: seconds among them, which no second fit repeats."""
    kept = {path.name: pd.read_parquet(path).attrs["models"] for path in (project / "reports/sample/draws").iterdir()}
    return {name: {model: each["figures"] for model, each in models.items()} for name, models in kept.items()}


def edit(project: Path, path: str, change: Callable[[str], str]) -> None:
    before = (project / path).read_text(encoding="utf-8")
    assert change(before) != before
    (project / path).write_text(change(before), encoding="utf-8")


def statement(text: str) -> str:
    return f"{text}\n_A_NEW_STATEMENT = 1\n"


def test_a_docstring_and_a_comment_change_nothing(project: Path) -> None:
    for path in sorted((project / "pipeline").rglob("*.py")):
        edit(
            project,
            str(path.relative_to(project)),
            lambda text: re.sub(r'^(\s*r?""")(?=\w)', r"\1Changed: ", text, flags=re.MULTILINE) + "\n# The end.\n",
        )
    assert ran(project) == []


def test_a_change_in_text_stats_remakes_its_table_and_what_stands_on_it_and_encodes_nothing(project: Path) -> None:
    features, draws = features_of(project), draws_of(project)
    edit(project, "pipeline/features/vader.py", lambda text: text.replace("_WORDS = 2000", "_WORDS = 9"))
    assert ran(project) == list(MANIFESTS)[1:]
    again = features_of(project)
    assert [name for name in again if again[name] != features[name]] == ["text_stats"]
    kept = {name: figures for name, figures in draws_of(project).items() if draws.get(name) == figures}
    # Of the set without text statistics with all reviews, and of the baseline there and in each of two draws.
    assert sorted(model for figures in kept.values() for model in figures) == ["Ridge", "T(1)", *["mean"] * 3]


def test_a_change_in_a_report_module_remakes_the_report_only(project: Path) -> None:
    edit(project, "pipeline/report/figure.py", statement)
    assert ran(project) == ["report"]
    edit(project, "pipeline/report/templates/sections/glossary.html", lambda text: f"{text}<p>!</p>\n")
    assert ran(project) == ["report"]


def test_a_change_in_a_stage_remakes_that_stage(project: Path) -> None:
    features, draws = features_of(project), draws_of(project)
    edit(project, "pipeline/stages/curves.py", statement)
    # The results are the same as before, so that nothing stands on other ones.
    assert ran(project) == ["curves"]
    edit(project, "pipeline/stages/score.py", statement)
    assert ran(project, "score") == ["score"]
    assert draws_of(project) == draws
    edit(project, "pipeline/stages/features.py", statement)
    assert ran(project, "features") == ["features"]
    again = features_of(project)
    assert [name for name in features if again[name] != features[name]] == list(features)


def test_a_model_that_is_added_is_the_only_one_that_is_fitted(project: Path) -> None:
    features, draws = features_of(project), draws_of(project)
    edit(project, "conf/score.yaml", lambda text: text.replace("- Ridge", "- Ridge\n- T(2)"))
    edit(project, "conf/curves.yaml", lambda text: text.replace("    - T(1)\n", "    - T(1)\n    - T(2)\n"))
    assert ran(project, "curves") == ["score", "curves"]
    assert features_of(project) == features
    for name, figures in draws_of(project).items():
        assert {model: values for model, values in figures.items() if model != "T(2)"} == draws.get(name, {})
    assert sum("T(2)" in figures for figures in draws_of(project).values()) == len(SETS) + 2


def test_a_feature_set_that_is_added_fits_its_lines_only_and_follows_the_code_of_the_user(project: Path) -> None:
    features, draws = features_of(project), draws_of(project)
    source = (ROOT / "docs/extend.md").read_text(encoding="utf-8")
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", source, re.DOTALL) if "class QuestionMarks" in code]
    (project / "my_features.py").write_text(block)
    (project / "conf/features/questions.yaml").write_text("transformer: my_features.QuestionMarks\n")
    settings = yaml.safe_load((project / "conf/score.yaml").read_text())
    settings["feature_sets"]["questions"] = ["questions"]
    (project / "conf/score.yaml").write_text(yaml.safe_dump(settings))
    assert ran(project, "score") == ["features", "score"]
    again, after = features_of(project), draws_of(project)
    assert {name: again[name] for name in features} == features
    assert set(again) - set(features) == {"questions"}
    assert {name: after[name] for name in draws} == draws
    assert sorted(model for name in set(after) - set(draws) for model in after[name]) == ["Ridge", "T(1)"]

    edit(project, "my_features.py", lambda text: text.replace('"?"', '"!"'))
    assert ran(project, "features") == ["features"]
    assert [name for name, time in features_of(project).items() if time != again[name]] == ["questions"]


def test_a_file_that_moves_without_a_change_costs_one_remake_at_most(project: Path) -> None:
    (project / "pipeline/report/figure.py").rename(project / "pipeline/report/drawing.py")
    for path in (project / "pipeline").rglob("*.py"):
        path.write_text(path.read_text().replace("pipeline.report.figure", "pipeline.report.drawing"))
    assert ran(project) in ([], ["report"])
    assert ran(project) == []


def test_what_is_lost_is_made_again(project: Path) -> None:
    (project / "reports/sample/curves/sides.csv").unlink()
    assert ran(project) == ["curves"]
    (project / "reports/sample/summary.md").unlink()
    assert ran(project) == ["report"]
