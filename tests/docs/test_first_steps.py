"""Every block of the first ten minutes prints what stands below it."""

import pytest
from doc_blocks import check_blocks
from project import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("reader", ["quality", "nlp"])
def test_each_block_prints_what_the_page_says(reader: str) -> None:
    check_blocks(ROOT / f"docs/first-steps-{reader}.md")
