"""The report stage: one page that opens offline and says who won, and a summary for a pull request."""

import logging

from pipeline.files import write_text
from pipeline.project.conf import report_config
from pipeline.project.paths import DatasetPaths
from pipeline.report.page import draw, render
from pipeline.report.results import Results
from pipeline.report.summary import render_summary

logger = logging.getLogger(__name__)


def run(dataset: str) -> None:
    """Run the stage: draw the figures, write the summary and, last, the page."""
    paths, config = DatasetPaths(dataset), report_config()
    results = Results(paths)
    for stage in ("score", "curves", "robustness"):
        results.manifest(stage)
    results.check_current()
    pictures = draw(results, config)
    page, summary = render(dataset, results, pictures, config), render_summary(dataset, results)
    figures = {paths.figures / picture.file: picture.svg for picture in pictures}
    for path, svg in figures.items():
        write_text(path, svg)
    for stale in {*paths.figures.glob("*.svg"), *paths.figures.glob("*.png")} - set(figures):
        stale.unlink()
    write_text(paths.summary, summary)
    # Last, so that a report that was killed is made again.
    write_text(paths.page, page)
    for sentence in results.sentences:
        logger.info("%s", sentence)
