"""The reader of results: what is missing, damaged or of other lines is told in one line, with the stage to run."""

from functools import cached_property

import pandas as pd
import pytest

from pipeline.errors import PipelineError
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import table_path
from pipeline.report.results import Results


def read_all(paths: DatasetPaths) -> None:
    """Ask for every attribute that is read from a file, but for the tables of a stage that need not have run."""
    results = Results(paths)
    for name in [name for name, value in vars(Results).items() if isinstance(value, cached_property)]:
        if not name.startswith("peer_"):
            getattr(results, name)
    for stage in ("score", "curves", "robustness"):
        results.manifest(stage)


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("manifest.json", "score"),
        ("metrics.csv", "score"),
        ("lines.json", "score"),
        ("predictions.parquet", "score"),
        ("curves/manifest.json", "curves"),
        ("curves/sides.csv", "curves"),
        ("curves/verdict.json", "curves"),
        ("robustness/manifest.json", "robustness"),
        ("robustness/costs.csv", "robustness"),
        ("robustness/transfer.csv", "robustness"),
    ],
)
def test_a_missing_file_says_which_stage_to_run(missing: str, stage: str, paths: DatasetPaths) -> None:
    path, kept = paths.reports / missing, (paths.reports / missing).read_bytes()
    path.unlink()
    try:
        with pytest.raises(PipelineError, match=rf"run the {stage} stage") as error:
            read_all(paths)
    finally:
        path.write_bytes(kept)
    assert "\n" not in str(error.value)


def test_a_table_of_an_older_version_says_what_it_lacks(paths: DatasetPaths) -> None:
    path = table_path(paths, "contrasts")
    kept = path.read_bytes()
    pd.read_csv(path).drop(columns="p_holm").to_csv(path, index=False)
    try:
        with pytest.raises(PipelineError, match=r"contrasts\.csv lacks the column 'p_holm': run the curves stage"):
            read_all(paths)
    finally:
        path.write_bytes(kept)


def test_curves_of_other_lines_are_refused(paths: DatasetPaths) -> None:
    path = table_path(paths, "sides")
    kept = path.read_bytes()
    pd.read_csv(path).replace("Ridge", "Lasso").to_csv(path, index=False)
    try:
        with pytest.raises(PipelineError, match=r"lacks 'attention_pooling\+text_stats / Lasso': run the curves stage"):
            read_all(paths)
    finally:
        path.write_bytes(kept)


def test_descriptions_of_other_lines_are_refused(paths: DatasetPaths) -> None:
    kept = paths.lines.read_bytes()
    paths.lines.write_text("[]")
    try:
        with pytest.raises(PipelineError, match=r"lines\.json is of other lines than the metrics: run the score stage"):
            read_all(paths)
    finally:
        paths.lines.write_bytes(kept)
