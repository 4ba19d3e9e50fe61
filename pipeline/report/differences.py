"""The reports of two runs or two datasets: the lines that both have, by how much they differ and how sure that is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.bootstrap import holm
from pipeline.evaluation.sides import resample_reviews, score_lines
from pipeline.files import read_csv, read_manifest
from pipeline.project.paths import DatasetPaths

N_RESAMPLES = 2000
SEED = 0
DIRECTORIES = {"score": "", "curves": "curves", "robustness": "robustness"}

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reports:
    """What the stages have left in one reports directory; `sides` is empty where there are no curves."""

    directory: Path
    manifests: dict[str, dict[str, Any]]
    metrics: pd.DataFrame
    predictions: pd.DataFrame
    sides: pd.DataFrame

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return str(self.manifests["score"].get("dataset", self.directory.name))


def read_reports(name: str) -> Reports:
    """Read the reports of a dataset by its name, or those in a directory.

    Raises
    ------
    PipelineError
        If there are none, or they are incomplete or damaged.
    """
    own = DatasetPaths(name).reports
    directory = own if own.is_dir() else Path(name)
    if not directory.is_dir():
        raise PipelineError(
            f"{name!r} is neither a dataset ({own} is missing) nor a reports directory: run make all first"
        )
    manifests = {stage: read_manifest(directory / where) for stage, where in DIRECTORIES.items()}
    if not manifests["score"]:
        raise PipelineError(f"{directory} holds no complete score (no manifest.json): run the score stage first")
    try:
        metrics = read_csv(directory / "metrics.csv", ["features", "model", "n_train", "qwk", "mae"], "score")
        metrics = metrics.assign(name=metrics["features"] + " / " + metrics["model"])
        metrics = metrics.set_index("name")[["n_train", "qwk", "mae"]].astype(float)
        predictions = pd.read_parquet(directory / "predictions.parquet").set_index("review_id")
        predictions = predictions[["stars", *metrics.index]].astype(float)
        sides = pd.DataFrame(columns=["side", "n_train", "qwk"])
        if manifests["curves"]:
            sides = read_csv(directory / "curves/sides.csv", ["side", "n_train", "qwk"], "curves")
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(
            f"{directory} is damaged ({first_line(error)}): run the score and curves stages again"
        ) from None
    return Reports(directory, manifests, metrics, predictions, sides)


def is_paired(a: Reports, b: Reports) -> bool:
    """Return whether both have predicted the same reviews with the same stars."""
    stars_a, stars_b = a.predictions["stars"].sort_index(), b.predictions["stars"].sort_index()
    return stars_a.index.equals(stars_b.index) and stars_a.equals(stars_b)


def differences(a: Reports, b: Reports) -> pd.DataFrame:
    """Return the lines that both have, the largest difference in QWK first.

    Returns
    -------
    DataFrame with columns qwk_a, qwk_b, mae_a, mae_b, difference, low, high, p_holm; the line's name is the index
        difference is a less b, with its 95% bootstrap interval over the held-out reviews: paired where they are the
        same reviews, else from independent resamples. p is two-sided, of difference over the bootstrap's standard
        deviation, so that Holm's adjustment for many lines is not bounded by the number of resamples.
    """
    names = [name for name in a.metrics.index if name in b.metrics.index]
    seeds = (SEED, SEED if is_paired(a, b) else SEED + 1)
    qwk_a, qwk_b = (_resampled(each, names, seed) for each, seed in zip((a, b), seeds, strict=True))
    apart = qwk_a - qwk_b
    table = pd.DataFrame(
        {
            "qwk_a": qwk_a[0],
            "qwk_b": qwk_b[0],
            "mae_a": a.metrics["mae"][names].to_numpy(),
            "mae_b": b.metrics["mae"][names].to_numpy(),
            "difference": apart[0],
            "low": np.percentile(apart[1:], 2.5, axis=0),
            "high": np.percentile(apart[1:], 97.5, axis=0),
        },
        index=pd.Index(names, name="line"),
    )
    spread = apart[1:].std(axis=0)
    # Where nothing varies (twice the same run), there is no difference either.
    z = np.divide(np.abs(apart[0]), spread, out=np.zeros(len(names)), where=spread > 0)
    table["p_holm"] = holm(2 * norm.sf(z))
    return table.loc[table["difference"].abs().sort_values(ascending=False, kind="stable").index]


def _resampled(reports: Reports, names: list[str], seed: int) -> Array:
    """Return QWK of each line in each resample, the reviews as they are first: (1 + N_RESAMPLES, n_lines)."""
    if not names:
        return np.zeros((1 + N_RESAMPLES, 0))
    predictions = reports.predictions.sort_index()
    lines = {(name, ""): predictions[name].to_numpy()[None] for name in names}
    return score_lines(predictions["stars"], lines, resample_reviews(predictions["stars"], N_RESAMPLES, seed)).qwk[-1]
