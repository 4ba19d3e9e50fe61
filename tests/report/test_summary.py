"""The summary: whole tables, and names that stay plain text."""

import re

from report_data import HOSTILE, SENTENCES

from pipeline.project.paths import DatasetPaths
from pipeline.report.results import Results
from pipeline.report.summary import render_summary


def test_the_summary_is_markdown_with_whole_tables(results: Results, paths: DatasetPaths) -> None:
    summary = paths.summary.read_text(encoding="utf-8")
    for sentence in SENTENCES:
        assert sentence in summary
    blocks = re.findall(r"(?:^\|.*\n)+", summary, re.MULTILINE)
    assert len(blocks) == 6
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert f"of {len(results.metrics)} lines" in summary


def test_the_summary_escapes_what_markdown_would_read(results: Results) -> None:
    assert render_summary(HOSTILE, results).startswith("# T-method vs attention: \\<script\\>alert(1)")
