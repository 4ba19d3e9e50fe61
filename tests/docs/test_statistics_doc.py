"""docs/statistics.md prints what it shows."""

import io
import re
from contextlib import redirect_stdout
from typing import Any

import pytest
from project import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")


def test_every_block_prints_what_stands_below_it() -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == PAGE.count("```python")
    for code, shown in blocks:
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "statistics.md", "exec"), names)
        assert printed.getvalue() == shown


def test_two_models_are_compared_in_ten_lines_and_an_empty_one() -> None:
    (first, *_) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len([line for line in first.splitlines() if line]) == 10
