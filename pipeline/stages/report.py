"""The report stage: one page that opens offline and says who won, and a summary for a pull request."""

import logging

from pipeline.files import write_text
from pipeline.project.conf import report_config
from pipeline.project.paths import DatasetPaths
from pipeline.report.headline import headline
from pipeline.report.page import draw, render
from pipeline.report.results import Results
from pipeline.report.summary import render_summary

logger = logging.getLogger(__name__)


def run(dataset: str) -> None:
    """Run the stage: draw the figures, write the page and, last, the summary."""
    results = Results(DatasetPaths(dataset))
    for stage in ("score", "curves", "robustness"):
        results.manifest(stage)
    _write_page(dataset, results, complete=True)
    # Last, so that a report that was killed is made again.
    write_text(results.paths.summary, render_summary(dataset, results))
    found = headline(results)
    for sentence in (found.sentence, *found.advice, *results.sentences):
        logger.info("%s", sentence)


def run_early(dataset: str) -> None:
    """Write the page with what the score stage has found; what later stages left of earlier scores is not read."""
    results = Results(DatasetPaths(dataset))
    results.manifest("score")
    # A page without a summary is not the finished one.
    results.paths.summary.unlink(missing_ok=True)
    _write_page(dataset, results, complete=False)
    logger.info("%s: leaderboard; learning curves follow", results.paths.page)


def _write_page(dataset: str, results: Results, complete: bool) -> None:
    paths, config = results.paths, report_config()
    results.check_current()
    pictures = draw(results, config, complete)
    page = render(dataset, results, pictures, config, complete)
    figures = {paths.figures / picture.file: picture.svg for picture in pictures}
    for path, svg in figures.items():
        write_text(path, svg)
    for stale in {*paths.figures.glob("*.svg"), *paths.figures.glob("*.png")} - set(figures):
        stale.unlink()
    write_text(paths.page, page)
