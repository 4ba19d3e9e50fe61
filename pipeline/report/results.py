"""What the stages before the report have written, read and checked in one place."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.features import AttentionPooling
from pipeline.files import read_csv, read_manifest, read_parquet
from pipeline.project.paths import DatasetPaths

_SECONDS = ["encode_seconds", "learn_seconds", "fit_seconds", "total_seconds"]
_CURVES = {
    "curves": ["features", "model", "n_train", "n_draws", "qwk", "qwk_low", "qwk_high"],
    "sides": ["side", "n_train", "features", "model", "qwk", "qwk_low", "qwk_high"],
    "contrasts": ["a", "b", "n_train", "difference", "low", "high", "p", "p_holm"],
    "crossovers": ["a", "b", "found", "n", "n_low", "n_high", "ahead_small", "ahead_large"],
}
_ROBUSTNESS = {
    "changes": ["side", "change", "n_reviews", "qwk", "qwk_low", "qwk_high", "difference", "low", "high"],
    "transfer": ["side", "trained_on", "tested_on", "n_reviews", "qwk", "qwk_low", "qwk_high"],
    "slices": ["side", "slice", "value", "n_reviews", "qwk", "qwk_low", "qwk_high", "mae", "mae_low", "mae_high"],
    "calibration": ["side", "features", "model", "slope", "slope_true", "sd_ratio", "bias"],
    "calibration_bins": ["side", "features", "model", "predicted", "true", "n_reviews"],
    "costs": ["features", "model", *_SECONDS, "predict_us", "peak_mb", "qwk", "qwk_low", "qwk_high"],
}


@dataclass(frozen=True)
class Results:
    """Everything that the report stands on; `lines` is best first, and `sides` has one row for each side and size."""

    metrics: pd.DataFrame
    predictions: pd.DataFrame
    items: pd.DataFrame
    lines: list[dict[str, Any]]
    sentences: list[str]
    curves: pd.DataFrame
    sides: pd.DataFrame
    contrasts: pd.DataFrame
    crossovers: pd.DataFrame
    changes: pd.DataFrame
    transfer: pd.DataFrame
    slices: pd.DataFrame
    calibration: pd.DataFrame
    calibration_bins: pd.DataFrame
    costs: pd.DataFrame
    texts: pd.Series
    explained: pd.DataFrame | None
    feature_configs: dict[str, dict[str, Any]]
    manifests: dict[str, dict[str, Any]]

    @property
    def final(self) -> pd.DataFrame:
        """The sides with all training reviews: side, features, model, name of the line, and QWK with its interval."""
        last = self.sides.sort_values("n_train").groupby("side", sort=False).tail(1).set_index("side")
        last = last.loc[list(dict.fromkeys(self.sides["side"]))].reset_index()
        return last.assign(name=last["features"] + " / " + last["model"])

    @property
    def families(self) -> dict[str, str]:
        """Taguchi, other or baseline, by the name of the line."""
        return {line["name"]: line["family"] for line in self.lines}


def read_results(paths: DatasetPaths) -> Results:
    """Read the files of the score, curves and robustness stages.

    Raises
    ------
    PipelineError
        If some are missing, incomplete or do not belong together; it names the stage to run.
    """
    manifests = {
        "score": _manifest(paths.reports, "score"),
        "curves": _manifest(paths.curves, "curves"),
        "robustness": _manifest(paths.robustness, "robustness"),
    }
    metrics = read_csv(paths.metrics, ["features", "model", "qwk", "mae", "peak_mb"], "score")
    curves = {name: read_csv(paths.curve(name), columns, "curves") for name, columns in _CURVES.items()}
    robust = {name: read_csv(paths.robust(name), columns, "robustness") for name, columns in _ROBUSTNESS.items()}
    for name in ("calibration", "calibration_bins"):
        # Lines that are no side's are shown for their spread alone.
        line = robust[name]["model"] + " on " + robust[name]["features"]
        robust[name] = robust[name].assign(side=robust[name]["side"].fillna(line))
    reviews = read_parquet(paths.reviews, made_by="prepare")
    feature_configs = read_manifest(paths.features).get("config", {})
    explained = [name for name, config in feature_configs.items() if _learns_by_sums(config)]
    results = Results(
        metrics=metrics.assign(name=metrics["features"] + " / " + metrics["model"]),
        predictions=read_parquet(paths.predictions, made_by="score"),
        items=read_csv(paths.items, ["features", "model", "item", "beta", "eta", "sn_db"], "score"),
        lines=_json(paths.lines, "score"),
        sentences=[str(sentence) for sentence in _json(paths.verdict, "curves")["sentences"]],
        texts=reviews.set_index("review_id")["text"],
        explained=read_parquet(paths.explained(explained[0]), made_by="features") if explained else None,
        feature_configs=feature_configs,
        manifests=manifests,
        **curves,
        **robust,
    )
    if missing := set(results.final["name"]) - set(results.predictions.columns):
        raise PipelineError(
            f"{paths.curves} is of other lines than {paths.predictions}, which lacks {min(missing)!r}: "
            "run the curves stage again"
        )
    return results


def _manifest(directory: Path, stage: str) -> dict[str, Any]:
    manifest = read_manifest(directory)
    if "config" not in manifest:
        raise PipelineError(f"{directory} holds no complete {stage}: run the {stage} stage first")
    return manifest


def _json(path: Path, stage: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise PipelineError(f"{path}: {error}; run the {stage} stage again") from None


def _learns_by_sums(config: dict[str, Any]) -> bool:
    """Return whether a feature's attention comes from sums over the training reviews, so that it explains itself."""
    if config["transformer"] != AttentionPooling.__name__:
        return False
    return config["params"].get("weights") in {"sn-ratio", "t-method"}
