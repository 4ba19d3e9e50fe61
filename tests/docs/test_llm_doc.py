"""What docs/llm.md shows runs, on a tiny model in place of the reader's."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, run_cli

from pipeline import load_sample

pytest.importorskip("xllamacpp", reason="the extra llm is not installed")

from tiny_gguf import write_gguf

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/llm.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ python -m pipeline (rate .*)$", PAGE, flags=re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_gguf(tmp_path / "model.gguf", n_context=4096)
    return tmp_path


def test_the_block_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "llm.md", "exec"), names)
    predicted, *prompt = capsys.readouterr().out.splitlines()
    assert 1 <= float(predicted.strip("[]")) <= 5
    assert prompt[0] == "Rude staff costs a star."
    assert prompt.count("Stars: 5") == 2
    assert list((here / "answers").rglob("*.safetensors"))


def test_the_commands_run(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    load_sample()[::30].to_csv("reviews.csv", index=False)
    Path("data/sample").mkdir(parents=True)
    shutil.copy(ROOT / "data/sample/reviews.jsonl", "data/sample")
    Path("rules.txt").write_text("Rude staff costs a star.")
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        arguments = [quoted or plain for quoted, plain in re.findall(r'"(.*?)"|(\S+)', command)]
        # The bundled model takes seconds.
        assert run_cli(monkeypatch, *arguments, *([] if "--model" in arguments else ["--model", "model.gguf"])) == 0
        assert "expected" in capsys.readouterr().out


@pytest.mark.parametrize("name", re.findall(r"`([A-Za-z_]+)`", PAGE))
def test_names_in_code_are_of_this_project(name: str) -> None:
    """A parameter, class or function that the page names is somewhere in the library."""
    known = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipeline").rglob("*.py"))
    assert re.search(rf"\b{name}\b", known)
