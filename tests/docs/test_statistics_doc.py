"""docs/statistics.md prints what it shows."""

import pytest
from doc_blocks import check_blocks, python_blocks
from project import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs/statistics.md"


def test_every_block_prints_what_stands_below_it() -> None:
    check_blocks(PAGE)


def test_two_models_are_compared_in_ten_lines_and_an_empty_one() -> None:
    (first, _), *_ = python_blocks(PAGE)
    assert len([line for line in first.splitlines() if line]) == 10
