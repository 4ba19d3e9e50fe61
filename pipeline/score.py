"""The score stage: every feature set x model, fitted on all training reviews and scored on the held-out ones."""

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
import skops.io
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from pipeline.config import ScoreConfig, check_names, feature_configs, score_config
from pipeline.errors import PipelineError
from pipeline.featurize import digests
from pipeline.fitting import RAW_TEXT, fit_models, load_material, one_thread
from pipeline.metrics import evaluate, intervals
from pipeline.models import BASELINES, MODELS, TAGUCHI_FAMILY, ExpectedStarRegressor
from pipeline.paths import CONF, DatasetPaths
from pipeline.store import (
    atomic_path,
    file_digest,
    file_name,
    first_line,
    read_made_from,
    read_parquet,
    write_csv,
    write_json,
    write_manifest,
    write_parquet,
)
from pipeline.taguchi import UnitSpaceClassifierCV
from pipeline.taguchi.integrated import IntegratedEstimator
from pipeline.tasks import Origin, Result, Task, groups, make_origin, run_tasks
from pipeline.workers import in_parallel

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
    "peak_mb",
]


@dataclass(frozen=True)
class Scored:
    """One line of the leaderboard, with what it stands on."""

    features: str
    model: str
    predictions: npt.NDArray[np.float64]
    metrics: dict[str, float]

    @property
    def name(self) -> str:
        """Unique within a dataset."""
        return f"{self.features} / {self.model}"


def full_tasks(config: ScoreConfig, n_train: int) -> list[Task]:
    """Return the tasks of the leaderboard: all training reviews, each model on its own."""
    sets = {features: models_of(features, config) for features in config.feature_sets} | {RAW_TEXT: config.baselines}
    return [Task(features, own, n_train) for features, names in sets.items() for own in groups(features, names)]


def score(results: list[Result], stars: npt.NDArray[np.int64], config: ScoreConfig) -> list[Scored]:
    """Score what the tasks of the leaderboard have predicted.

    Parameters
    ----------
    results : list of Result
    stars : ndarray of shape (n_test,)
        Of the held-out reviews.
    config : ScoreConfig

    Returns
    -------
    list of Scored
        Best QWK first; of equals the smaller MAE first, then by name. An ablation that the data do not allow (too few
        rows of a star for a unit space, say) is left out with a warning.

    Raises
    ------
    PipelineError
        If one of the models or baselines cannot be fitted.
    """
    scored = []
    for result in results:
        for model, why in result.refused.items():
            if model in (*config.models, *config.baselines):
                raise PipelineError(why)
            logger.warning("left out: %s", why)
        for model in map(str, result.predictions):
            predictions = result.predictions[model].to_numpy(dtype=np.float64)
            figures = {str(name): float(value) for name, value in result.figures.T[model].items()}
            metrics: dict[str, float] = {
                "n_train": result.task.n_train,
                "n_test": len(stars),
                "n_features": int(figures.pop("n_features")),
                **evaluate(stars, predictions),
                **intervals(stars, predictions, config.n_resamples, config.seed),
                **figures,
            }
            scored.append(Scored(result.task.features, model, predictions, metrics))
    # Where the held-out stars are all the same, QWK may not be defined: such lines come last.
    return sorted(
        scored, key=lambda line: (-np.nan_to_num(line.metrics["qwk"], nan=-np.inf), line.metrics["mae"], line.name)
    )


def models_of(features: str, config: ScoreConfig) -> list[str]:
    """Return the models that are fitted on a feature set, each once."""
    extra = config.ablations.models if config.ablations and features in config.ablations.feature_sets else []
    return [*config.models, *(name for name in extra if name not in config.models)]


def item_table(fitted: list[tuple[Scored, Any]], names: dict[str, list[str]]) -> pd.DataFrame:
    """Return sensitivity, S/N ratio and weight (its share of the integrated estimate) of every item of every T-method.

    Parameters
    ----------
    fitted : list of (Scored, fitted estimator)
    names : dict of str to list of str
        The items of each feature set.
    """
    columns = ["features", "model", "item", "beta", "eta", "sn_db", "weight"]
    parts = []
    for line, estimator in fitted:
        steps = estimator if isinstance(estimator, Pipeline) else Pipeline([("model", estimator)])
        model, selectors = steps[-1], steps[:-1]
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


def has_items(model: str) -> bool:
    """Return whether a model weighs the columns of its feature set by S/N ratios, perhaps after a selection."""
    made = MODELS[model]()
    steps = made if isinstance(made, Pipeline) else Pipeline([("model", made)])
    # What a step before has made of the columns is no item of this feature set.
    return isinstance(steps[-1], IntegratedEstimator) and all(isinstance(e, SelectorMixin) for e in steps[:-1])


def refit(origin: Origin, lines: list[Scored]) -> dict[tuple[str, str], Any]:
    """Return the estimators of some lines by (features, model), fitted once more; the same numbers come out.

    A result of a task holds predictions alone: a fitted neighbours model, say, carries all of its training reviews.
    """
    todo = [(line.features, line.model) for line in lines]
    return dict(in_parallel(partial(_refit, origin), todo))


def _refit(origin: Origin, line: tuple[str, str]) -> tuple[tuple[str, str], Any]:
    features, model = line
    with origin.here(), one_thread():
        material = load_material(origin.dataset, origin.root, origin.made_from)
        rows = np.arange(material.n_train)
        X = material.columns(features, rows)
        (fitted,) = fit_models(features, [model], (X[0], material.stars[material.is_train]), X[1][:1])
        if isinstance(fitted, PipelineError):
            raise fitted
        return line, fitted.estimator


def from_raw_text(estimator: Any, parts: list[str] | None, transformers: dict[str, Any]) -> Any:
    """Return a fitted model as one pipeline that predicts from raw texts."""
    if parts is None:
        return estimator
    union = FeatureUnion([(part, transformers[part]) for part in parts])
    return Pipeline([("features", union), ("model", estimator)])


def chosen(estimator: Any) -> dict[str, Any]:
    """Return the hyperparameters that a fitted model has chosen inside its training reviews.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> chosen(RidgeCV(alphas=[1.0]).fit([[0.0], [1.0]], [1, 5]))
    {'alpha': 1.0}
    """
    if isinstance(estimator, ExpectedStarRegressor):
        estimator = estimator.classifier_
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, GridSearchCV):
        return {key.split("__")[-1]: value for key, value in last.best_params_.items()}
    if isinstance(last, RidgeCV):
        return {"alpha": float(last.alpha_)}
    return {"shrinkage": last.shrinkage_} if isinstance(last, UnitSpaceClassifierCV) else {}


def describe(line: Scored, config: ScoreConfig, model_file: str | None, estimator: Any = None) -> dict[str, Any]:
    """Return what lines.json says of a line."""
    made = (BASELINES if line.features == RAW_TEXT else MODELS)[line.model]()
    family = "baseline" if line.features == RAW_TEXT else "Taguchi" if line.model in TAGUCHI_FAMILY else "other"
    return {
        "name": line.name,
        "features": line.features,
        "model": line.model,
        "parts": config.feature_sets.get(line.features),
        "family": family,
        "params": {
            key: str(value)
            for key, value in made.get_params(deep=False).items()
            if not hasattr(value, "fit") and key not in {"steps", "memory", "transform_input", "verbose"}
        },
        "chosen": {} if estimator is None else chosen(estimator),
        "model_file": model_file,
    }


def origin_of(dataset: str) -> Origin:
    """Return what the results of a dataset are made from, after checking that the features are those of the reviews.

    Raises
    ------
    PipelineError
        If conf/score.yaml names something unknown, or a feature is missing or of other reviews or settings.
    """
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
    read_parquet(paths.reviews, made_by="prepare")
    made_from = digests(configs, paths.reviews)
    for part in used:
        read_parquet(paths.feature(part), made_by="features")
        if read_made_from(paths.feature(part)) != made_from[part]:
            raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")
    sets = {name: [made_from[part] for part in parts] for name, parts in config.feature_sets.items()}
    return make_origin(dataset, config.seed, sets)


def run(dataset: str) -> None:
    """Run the stage: fit and score all lines, write the results and the best line of each model."""
    paths, config = DatasetPaths(dataset), score_config()
    origin = origin_of(dataset)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    held_out = reviews.loc[reviews["split"] == "test", ["review_id", "stars"]].reset_index(drop=True)
    results = run_tasks(origin, full_tasks(config, len(reviews) - len(held_out)), "score")
    scored = score(results, held_out["stars"].to_numpy(), config)

    material = load_material(dataset, origin.root, origin.made_from)
    names = {part: list(read_parquet(paths.feature(part), made_by="features").columns[1:]) for part in material.tables}
    items = {
        features: [f"{part}: {name}" if len(parts) > 1 else name for part in parts for name in names[part]]
        for features, parts in config.feature_sets.items()
    }
    with_items = [line for line in scored if line.features != RAW_TEXT and has_items(line.model)]
    # The lines are sorted, so the first of a model is its best.
    main = {*config.models, *config.baselines}
    best = list({line.model: line for line in reversed(scored) if line.model in main}.values())
    # Those that take longest first.
    again = sorted(
        {line.name: line for line in (*with_items, *best)}.values(), key=lambda line: -line.metrics["fit_seconds"]
    )
    fitted = {f"{features} / {model}": estimator for (features, model), estimator in refit(origin, again).items()}
    transformers = {part: load_transformer(paths, part) for part in material.tables}
    shutil.rmtree(paths.models, ignore_errors=True)
    files = {line.name: f"{file_name(line.name)}.skops" for line in best}
    for line in best:
        pipeline = from_raw_text(fitted[line.name], config.feature_sets.get(line.features), transformers)
        with atomic_path(paths.models / files[line.name]) as temporary:
            skops.io.dump(pipeline, temporary)

    metrics = pd.DataFrame(
        [{"dataset": dataset, "features": line.features, "model": line.model, **line.metrics} for line in scored]
    )
    predictions = pd.concat([held_out, pd.DataFrame({line.name: line.predictions for line in scored})], axis=1)
    write_parquet(paths.predictions, predictions)
    write_csv(paths.items, item_table([(line, fitted[line.name]) for line in with_items], items))
    write_csv(paths.metrics, metrics)
    write_csv(paths.leaderboard, metrics[LEADERBOARD_COLUMNS])
    write_json(paths.lines, [describe(line, config, files.get(line.name), fitted.get(line.name)) for line in scored])
    write_manifest(
        paths.reports,
        {
            "stage": "score",
            "dataset": dataset,
            "config": config.model_dump(),
            "inputs": {
                str(path): file_digest(path) for path in (paths.reviews, *(paths.feature(part) for part in names))
            },
            "n_train": material.n_train,
            "n_test": len(held_out),
        },
    )
    first = scored[0]
    logger.info("%s: %d models scored; best %s, QWK %.3f", dataset, len(scored), first.name, first.metrics["qwk"])


def load_transformer(paths: DatasetPaths, part: str) -> Any:
    """Return a transformer that the features stage has fitted.

    Raises
    ------
    PipelineError
        If it is missing or damaged.
    """
    path = paths.transformer(part)
    try:
        own = [name for name in skops.io.get_untrusted_types(file=path) if name.startswith("pipeline.")]
        return skops.io.load(path, trusted=own)
    except (OSError, TypeError, ValueError, BadZipFile) as error:
        raise PipelineError(
            f"{path} cannot be read ({first_line(error)}): delete it and run the features stage again"
        ) from None
