"""The leaderboard: lines scored on the held-out reviews, and what is told of each."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from pipeline.errors import PipelineError
from pipeline.evaluation.bootstrap import intervals
from pipeline.evaluation.metrics import evaluate
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.experiment.fitting import RAW_TEXT, fit_models, one_thread
from pipeline.experiment.models import BASELINES, MODELS, TAGUCHI_FAMILY
from pipeline.experiment.pieces import Origin, Result, Task, groups, load_material
from pipeline.experiment.workers import in_parallel
from pipeline.project.conf import ScoreConfig
from pipeline.taguchi import UnitSpaceClassifierCV
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
