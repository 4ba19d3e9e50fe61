"""The tables of results: which file holds which columns, and which stage writes it."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.files import reading, write_csv
from pipeline.project.paths import DatasetPaths

_LINE = ("features", "model")
_QWK = ("qwk", "qwk_low", "qwk_high")
_MAE = ("mae", "mae_low", "mae_high")
_RUN = ("fit_seconds", "predict_seconds", "peak_mb")
_ERRORS = ("r2", "mae", "rmse", "r2_clipped", "mae_clipped", "rmse_clipped")
_SECONDS = ("encode_seconds", "learn_seconds", "fit_seconds", "total_seconds")
_READ = ("review_id", "reason")
_SCORED = ("dataset", *_LINE, "n_train", "n_test", "n_features")
# Columns that name something; a feature set may be called 1, or None.
_NAMES = [
    *("dataset", "features", "model", "side", "item", "a", "b", "ahead_small", "ahead_large"),
    *("change", "slice", "value", "trained_on", "tested_on", *_READ, "word"),
]


class _TableFile(NamedTuple):
    """A file in the reports directory of a dataset."""

    file: str
    stage: str
    columns: tuple[str, ...]


_COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "score": {
        "leaderboard": (*_SCORED, "r2", "r2_clipped", "mae", "rmse", "spearman", *_QWK, "accuracy", "sn_db", *_RUN),
        "metrics": (*_SCORED, *_ERRORS, "spearman", "qwk", "accuracy", "sn_db", *_QWK[1:], *_MAE[1:], *_RUN),
        "items": (*_LINE, "item", "beta", "eta", "sn_db", "weight"),
        "words": ("features", "item", "n_texts", "difference", "sn_db"),
    },
    "curves": {
        "curves": (*_LINE, "n_train", "n_draws", *_QWK, *_MAE, "qwk_sd", "fit_seconds"),
        "sides": ("side", "n_train", *_LINE, *_QWK),
        "contrasts": ("a", "b", "n_train", "difference", "low", "high", "p", "p_holm"),
        "know_how": ("side", "n_train", *_LINE, *_QWK),
        "know_how_contrasts": ("a", "b", "n_train", "difference", "low", "high", "p", "p_holm"),
        "crossovers": ("a", "b", "found", "n", "n_low", "n_high", "ahead_small", "ahead_large"),
    },
    "peers": {
        "peers": (*_LINE, "n_train", "n_draws", *_QWK, *_MAE, "qwk_sd", "fit_seconds"),
        "peer_sides": ("side", "n_train", *_LINE, *_QWK),
        "peer_contrasts": ("a", "b", "n_train", "difference", "low", "high", "p", "p_holm"),
        "peer_costs": ("side", "n_train", *_LINE, "train_seconds", "review_ms", "peak_mb"),
    },
    "robustness": {
        "changes": ("side", *_LINE, "change", "n_reviews", *_QWK, "difference", "low", "high"),
        "transfer": ("side", *_LINE, "trained_on", "tested_on", "n_reviews", *_QWK),
        "slices": ("side", *_LINE, "slice", "value", "n_reviews", *_QWK, *_MAE),
        "calibration": ("side", *_LINE, "slope", "slope_true", "sd_ratio", "bias"),
        "calibration_bins": ("side", *_LINE, "predicted", "true", "n_reviews"),
        "costs": (*_LINE, *_SECONDS, "predict_us", "peak_mb", *_QWK),
        "readings": (*_READ, "side", *_LINE, "base", "predicted", "start", "end", "word", "contribution"),
    },
}
TABLES = {
    name: _TableFile(f"{name}.csv" if stage == "score" else f"{stage}/{name}.csv", stage, columns)
    for stage, tables in _COLUMNS.items()
    for name, columns in tables.items()
}


def table_path(paths: DatasetPaths, name: str) -> Path:
    """Return where a table of results is kept."""
    return paths.reports / TABLES[name].file


def write_table(paths: DatasetPaths, name: str, table: pd.DataFrame) -> None:
    """Write a table of results with its columns in their order, atomically."""
    write_csv(table_path(paths, name), table.reindex(columns=list(TABLES[name].columns)))


def read_table(paths: DatasetPaths, name: str) -> pd.DataFrame:
    """Read a table of results; what names something stays text, whatever it looks like.

    Raises
    ------
    PipelineError
        If the file is missing or damaged, or lacks a column; the error names the stage that writes it.
    """
    path, stage = table_path(paths, name), TABLES[name].stage
    with reading(path, stage):
        table = pd.read_csv(path, dtype=dict.fromkeys(_NAMES, "str"), keep_default_na=False, na_values=[""])
    if missing := [column for column in TABLES[name].columns if column not in table]:
        raise PipelineError(f"{path} lacks the column {missing[0]!r}: run the {stage} stage again")
    return table
