"""Every block on docs/workbench.md prints what stands below it."""

import re
from pathlib import Path

import pytest
from doc_blocks import check_blocks
from project import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/workbench.md").read_text(encoding="utf-8")


def test_each_block_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_blocks(ROOT / "docs/workbench.md")
    assert {path.name for path in tmp_path.iterdir()} == {"items.csv", "items.xlsx", "estimates.xlsx", "effects.png"}


@pytest.mark.parametrize("name", re.findall(r"`(test_\w+)`", PAGE))
def test_each_test_that_the_page_names_is_there(name: str) -> None:
    assert any(f"def {name}(" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
