"""The score stage: fit every feature set x model on the training reviews, score it on the held-out ones."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import FeatureUnion, Pipeline

from pipeline import tracking
from pipeline.config import ScoreConfig, check_names, feature_configs, score_config
from pipeline.errors import PipelineError
from pipeline.featurize import digests
from pipeline.metrics import evaluate, intervals
from pipeline.models import BASELINES, MODELS
from pipeline.paths import CONF, DatasetPaths
from pipeline.progress import progress_bar
from pipeline.store import (
    atomic_path,
    file_digest,
    read_made_from,
    read_parquet,
    write_manifest,
    write_parquet,
)
from pipeline.taguchi.integrated import IntegratedEstimator

logger = logging.getLogger(__name__)

LEADERBOARD_COLUMNS = [
    "dataset",
    "features",
    "model",
    "n_train",
    "n_test",
    "n_features",
    "r2",
    "r2_clipped",
    "mae",
    "rmse",
    "spearman",
    "qwk",
    "qwk_low",
    "qwk_high",
    "accuracy",
    "sn_db",
    "fit_seconds",
    "predict_seconds",
]
RAW_TEXT = "text"


@dataclass(frozen=True)
class Scored:
    """One line of the leaderboard, with what it stands on."""

    features: str
    model: str
    estimator: Any
    predictions: npt.NDArray[np.float64]
    metrics: dict[str, float]

    @property
    def name(self) -> str:
        """Unique within a dataset."""
        return f"{self.features} / {self.model}"


def fit_and_score(
    features: str,
    model: str,
    estimator: Any,
    train: tuple[Any, npt.NDArray[np.int64]],
    test: tuple[Any, npt.NDArray[np.int64]],
    config: ScoreConfig,
) -> Scored:
    """Fit one estimator and measure it on the held-out reviews.

    Returns
    -------
    Scored
        Its metrics are those of `pipeline.metrics.evaluate` and `intervals`, sizes, and seconds.

    Raises
    ------
    PipelineError
        If the estimator refuses the data or predicts something that is not finite.
    """
    started = time.perf_counter()
    try:
        estimator.fit(*train)
    except ValueError as error:
        raise PipelineError(f"{model} on {features}: {error}") from None
    fitted = time.perf_counter()
    predictions = np.asarray(estimator.predict(test[0]), dtype=np.float64)
    predicted = time.perf_counter()
    if not np.isfinite(predictions).all():
        raise PipelineError(f"{model} on {features} predicts values that are not finite: mend the model")
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    metrics = {
        "n_train": len(train[1]),
        "n_test": len(test[1]),
        "n_features": getattr(last, "n_features_in_", 0) if features == RAW_TEXT else train[0].shape[1],
        **evaluate(test[1], predictions),
        **intervals(test[1], predictions, config.n_resamples, config.seed),
        "fit_seconds": fitted - started,
        "predict_seconds": predicted - fitted,
    }
    return Scored(features, model, estimator, predictions, metrics)


def score(reviews: pd.DataFrame, tables: dict[str, pd.DataFrame], config: ScoreConfig) -> list[Scored]:
    """Score every feature set x model and every baseline.

    Parameters
    ----------
    reviews : DataFrame with columns review_id, text, stars, split
    tables : dict of str to DataFrame
        The features by name: review_id and columns, rows as in `reviews`.
    config : ScoreConfig
        Which feature sets, models and baselines.

    Returns
    -------
    list of Scored
        Best QWK first; of equals the smaller MAE first. An ablation that the data do not allow (too few rows of a star
        for a unit space, say) is left out with a warning.

    Raises
    ------
    PipelineError
        If one of the models or baselines cannot be fitted.
    """
    is_train = (reviews["split"] == "train").to_numpy()
    stars = reviews["stars"].to_numpy()
    texts = reviews["text"].to_numpy(dtype=object)
    sets = [(features, models_of(features, config), MODELS) for features in config.feature_sets]
    sets.append((RAW_TEXT, config.baselines, BASELINES))
    scored = []
    with progress_bar(sum(len(names) for _, names, _ in sets), "score", "model") as bar:
        for features, names, makers in sets:
            X = texts if features == RAW_TEXT else _columns(config.feature_sets[features], tables)
            train, test = (X[is_train], stars[is_train]), (X[~is_train], stars[~is_train])
            for name in names:
                try:
                    scored.append(fit_and_score(features, name, makers[name](), train, test, config))
                except PipelineError as error:
                    if name in (*config.models, *config.baselines):
                        raise
                    logger.warning("left out: %s", error)
                bar.update()
    # Where the held-out stars are all the same, QWK may not be defined: such lines come last.
    return sorted(scored, key=lambda line: (-np.nan_to_num(line.metrics["qwk"], nan=-np.inf), line.metrics["mae"]))


def models_of(features: str, config: ScoreConfig) -> list[str]:
    """Return the models that are fitted on a feature set, each once."""
    extra = config.ablations.models if config.ablations and features in config.ablations.feature_sets else []
    return [*config.models, *(name for name in extra if name not in config.models)]


def _columns(parts: list[str], tables: dict[str, pd.DataFrame]) -> npt.NDArray[Any]:
    return np.hstack([tables[part].drop(columns="review_id").to_numpy() for part in parts])


def item_table(scored: list[Scored], names: dict[str, list[str]]) -> pd.DataFrame:
    """Return sensitivity, S/N ratio and weight (its share of the integrated estimate) of every item of every T-method.

    Parameters
    ----------
    scored : list of Scored
    names : dict of str to list of str
        The items of each feature set.
    """
    columns = ["features", "model", "item", "beta", "eta", "sn_db", "weight"]
    parts = []
    for line in scored:
        steps = line.estimator if isinstance(line.estimator, Pipeline) else Pipeline([("model", line.estimator)])
        model, selectors = steps[-1], steps[:-1]
        # What a step before has made of the columns is no item of this feature set.
        if not isinstance(model, IntegratedEstimator) or not all(isinstance(e, SelectorMixin) for e in selectors):
            continue
        own = names[line.features]
        parts.append(
            pd.DataFrame(
                {
                    "features": line.features,
                    "model": line.model,
                    "item": selectors.get_feature_names_out(own) if len(selectors) else own,
                    "beta": model.beta_,
                    "eta": model.eta_,
                    "sn_db": model.sn_ratio_,
                    "weight": model.coef_ * model.beta_,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def from_raw_text(line: Scored, parts: list[str], transformers: dict[str, Any]) -> Any:
    """Return the fitted model as one pipeline that predicts from raw texts."""
    if line.features == RAW_TEXT:
        return line.estimator
    union = FeatureUnion([(part, transformers[part]) for part in parts])
    return Pipeline([("features", union), ("model", line.estimator)])


def run(dataset: str) -> None:
    """Run the stage: score, write the results, then log them to MLflow."""
    paths, config = DatasetPaths(dataset), score_config()
    where = str(CONF / "score.yaml")
    check_names(config.models, list(MODELS), "model", where)
    if config.ablations:
        check_names(config.ablations.models, list(MODELS), "model", where)
        check_names(config.ablations.feature_sets, list(config.feature_sets), "feature set", where)
    check_names(config.baselines, list(BASELINES), "baseline", where)
    if RAW_TEXT in config.feature_sets:
        raise PipelineError(f"{where}: the name {RAW_TEXT!r} is taken by the baselines: call the feature set otherwise")
    used = sorted({part for parts in config.feature_sets.values() for part in parts})
    configs = feature_configs()
    check_names(used, list(configs), "feature", where)

    reviews = read_parquet(paths.reviews, made_by="prepare")
    made_from = digests(configs, paths.reviews)
    tables = {part: read_parquet(paths.feature(part), made_by="features") for part in used}
    for part in used:
        if read_made_from(paths.feature(part)) != made_from[part]:
            raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")

    scored = score(reviews, tables, config)
    metrics = pd.DataFrame(
        [{"dataset": dataset, "features": line.features, "model": line.model, **line.metrics} for line in scored]
    )
    items = {
        features: [f"{part}: {name}" if len(parts) > 1 else name for part in parts for name in tables[part].columns[1:]]
        for features, parts in config.feature_sets.items()
    }
    held_out = reviews.loc[reviews["split"] == "test", ["review_id", "stars"]].reset_index(drop=True)
    predictions = pd.concat([held_out, pd.DataFrame({line.name: line.predictions for line in scored})], axis=1)
    write_parquet(paths.predictions, predictions)
    for path, table in (
        (paths.items, item_table(scored, items)),
        (paths.metrics, metrics),
        (paths.leaderboard, metrics[LEADERBOARD_COLUMNS]),
    ):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False)

    transformers = {part: _load_transformer(paths, part) for part in used}
    # The lines are sorted, so the last one written here is the best of its model.
    best = {line.model: line.name for line in reversed(scored)}
    loadable = {
        line.name: from_raw_text(line, config.feature_sets.get(line.features, []), transformers)
        for line in scored
        if best[line.model] == line.name
    }
    tracking.log_scores(dataset, paths, reviews, {line.name: (line, loadable.get(line.name)) for line in scored})
    write_manifest(
        paths.reports,
        {
            "stage": "score",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": {
                str(path): file_digest(path) for path in (paths.reviews, *(paths.feature(part) for part in used))
            },
        },
    )
    first = scored[0]
    logger.info("%s: %d models scored; best %s, QWK %.3f", dataset, len(scored), first.name, first.metrics["qwk"])


def _load_transformer(paths: DatasetPaths, part: str) -> Any:
    path = paths.transformer(part)
    try:
        own = [name for name in skops.io.get_untrusted_types(file=path) if name.startswith("pipeline.")]
        return skops.io.load(path, trusted=own)
    except (OSError, TypeError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read ({error}): delete it and run the features stage again") from None
