"""Copy the tables of results behind the numbers of README.md and docs: numbers only, rounded to six digits.

    python docs/results/renew.py reports/sample docs/results/sample
    python docs/results/renew.py reports/yelp_reviews_5k docs/results/yelp-5000 score curves robustness

Without names of stages, all that have run are copied. Of the embedded sample, whose reviews are ours to publish, the
page and the summary are copied as well.
"""

import re
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.files import read_manifest, write_csv, write_text
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import TABLES, read_table, table_path

SAMPLE_REPORT = Path(__file__).parents[1] / "sample-report.html"
STAGES = ("score", "curves", "robustness", "peers")
# Words and items of reviews, and what metrics.csv has already.
LEFT_OUT = {"words", "items", "readings", "leaderboard"}
DIGITS = 6


def renew(source: DatasetPaths, target: DatasetPaths, stages: list[str]) -> None:
    """Replace the tables and manifests of some stages by those of a reports directory.

    Raises
    ------
    PipelineError
        If a table is missing or damaged, or a manifest names a place of this machine.
    """
    for name, table in TABLES.items():
        if table.stage in stages and name not in LEFT_OUT:
            path = table_path(target, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_csv(path, read_table(source, name).map(_rounded))
    for stage in stages:
        inside = Path("manifest.json") if stage == "score" else Path(stage, "manifest.json")
        manifest = _checked(source.reports / inside)
        write_text(target.reports / inside, manifest)
    if "curves" in stages:
        write_text(target.verdict, _checked(source.verdict))


def renew_pages(source: DatasetPaths, target: DatasetPaths) -> None:
    """Replace the rendered report of the sample, and its summary; no table lies beside this page."""
    page = re.sub(r'<a href="[\w/]+\.csv">(.*?)</a>', r"\1", _checked(source.page))
    beside = "The files lie beside this page: "
    if beside not in page:
        raise PipelineError(f"{source.page} does not say {beside!r}: mend {Path(__file__).name}")
    write_text(SAMPLE_REPORT, page.replace(beside, "A run of yours has these files beside the page: "))
    write_text(target.summary, _checked(source.summary))


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _checked(path: Path) -> str:
    """Return the text of a file that names no place of this machine."""
    text = path.read_text(encoding="utf-8")
    if found := re.search(r"(?<![\w.])/(?:home|root|work|tmp|Users)/\w+", text):
        raise PipelineError(f"{path} names {found[0]}, a place of this machine: run the stage with relative paths")
    return text


def main(source: str, target: str, *stages: str) -> None:
    """Copy the results of one directory into another one."""
    results, copies = (DatasetPaths.of_reports(Path(each)) for each in (source, target))
    has_run = [stage for stage in STAGES if stage == "score" or read_manifest(results.reports / stage)]
    renew(results, copies, list(stages) or has_run)
    if read_manifest(results.reports).get("dataset") == "sample":
        renew_pages(results, copies)


if __name__ == "__main__":
    main(*sys.argv[1:])
