"""The report stage: one page that opens offline and says who won, and a summary for a pull request."""

import logging
import os
import platform
from importlib.metadata import version

from pipeline.files import git_commit, write_text
from pipeline.project.conf import report_config
from pipeline.project.paths import DatasetPaths
from pipeline.report import wording
from pipeline.report.page import render
from pipeline.report.pictures import draw
from pipeline.report.results import Results, read_results
from pipeline.report.summary import render_summary

logger = logging.getLogger(__name__)


_PACKAGES = ("numpy", "scikit-learn", "sentence-transformers", "torch")


def facts(paths: DatasetPaths, results: Results) -> dict[str, str]:
    """Return what it takes to make the same report again."""
    options = wording.read_options(paths.prepared / ".options")
    digests = results.manifests["score"].get("inputs", {})
    return {
        "Command": wording.make_command(options) if options else "unknown, since the stages were not run by make",
        "Commit": git_commit(),
        "Data, sha256": digests.get(str(paths.reviews), "unknown"),
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "Machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def run(dataset: str) -> None:
    """Run the stage: draw the figures, write the summary and, last, the page."""
    paths, config = DatasetPaths(dataset), report_config()
    results = read_results(paths)
    pictures = draw(results, config)
    for picture in pictures:
        write_text(paths.figures / picture.file, picture.svg)
    shown = {paths.figures / picture.file for picture in pictures}
    for stale in {*paths.figures.glob("*.svg"), *paths.figures.glob("*.png")} - shown:
        stale.unlink()
    write_text(paths.summary, render_summary(dataset, results))
    # Last, so that a report that was killed is made again.
    write_text(paths.page, render(dataset, results, pictures, config, facts(paths, results)))
    for sentence in results.sentences:
        logger.info("%s", sentence)
