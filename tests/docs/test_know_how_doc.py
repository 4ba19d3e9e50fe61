"""Every block on docs/know-how.md prints what stands below it."""

import re
from pathlib import Path

import pytest
from doc_blocks import check_blocks
from project import ROOT, run_cli

from pipeline import load_sample
from pipeline.know_how import load_know_how

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/know-how.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ python -m pipeline (.*)$", PAGE, flags=re.MULTILINE)


def test_each_block_prints_what_the_page_says() -> None:
    check_blocks(ROOT / "docs/know-how.md")


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
