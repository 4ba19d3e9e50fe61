"""Every block on docs/know-how.md prints what stands below it."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, run_cli

from pipeline import load_sample
from pipeline.know_how import load_know_how

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/know-how.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ python -m pipeline (.*)$", PAGE, flags=re.MULTILINE)


def test_each_block_prints_what_the_page_says() -> None:
    names: dict[str, Any] = {}
    printed = []
    for code, _ in BLOCKS:
        with redirect_stdout(io.StringIO()) as output:
            exec(compile(code, "know-how.md", "exec"), names)
        printed.append(output.getvalue())
    assert printed == [expected for _, expected in BLOCKS]


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    load_sample()[::6].to_csv("reviews.csv", index=False)
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        # The origin is in quotes.
        arguments = [quoted or plain for quoted, plain in re.findall(r'"(.*?)"|(\S+)', command)]
        assert run_cli(monkeypatch, *arguments) == 0
    assert load_know_how("both.safetensors").about.origin.endswith("; my shop, 2026")


def test_the_page_counts_the_columns() -> None:
    (n,) = re.findall(r"as many as there are columns \((\d+)\)", PAGE)
    assert int(n) == len(load_know_how("sample").names)
