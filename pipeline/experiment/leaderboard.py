"""The leaderboard: lines scored on the held-out reviews, and what is told of each."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from pipeline.errors import PipelineError
from pipeline.evaluation.bootstrap import intervals
from pipeline.evaluation.metrics import evaluate
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import family, make_model
from pipeline.experiment.pieces import Piece, PieceResult, groups
from pipeline.experiment.tuned import Tuned
from pipeline.project.conf import ScoreConfig
from pipeline.scale import FIVE_STARS, Scale
from pipeline.taguchi import UnitSpaceClassifierCV
from pipeline.taguchi.integrated import IntegratedEstimator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredLine:
    """A line of the leaderboard with what it stands on."""

    line: Line
    predictions: npt.NDArray[np.float64]
    metrics: dict[str, float]


def full_pieces(config: ScoreConfig, n_train: int) -> list[Piece]:
    """Return the pieces of the leaderboard: all training reviews, each model apart."""
    sets = {features: _models_of(features, config) for features in config.feature_sets} | {RAW_TEXT: config.baselines}
    return [
        Piece(features, models, n_train, group=key)
        for features, names in sets.items()
        for key, models in groups(features, names).items()
    ]


def score(
    results: list[PieceResult], stars: npt.NDArray[Any], config: ScoreConfig, scale: Scale = FIVE_STARS
) -> list[ScoredLine]:
    """Score what the pieces of the leaderboard have predicted.

    Parameters
    ----------
    results : list of PieceResult
    stars : ndarray of shape (n_test,)
        Of the held-out reviews.
    config : ScoreConfig
    scale : Scale, default=1 to 5

    Returns
    -------
    list of ScoredLine
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
                "n_train": result.piece.n_train,
                "n_test": len(stars),
                "n_features": int(figures.pop("n_features")),
                **evaluate(stars, predictions, scale),
                **intervals(stars, predictions, config.n_resamples, config.seed, scale),
                **figures,
            }
            scored.append(ScoredLine(Line(result.piece.features, model), predictions, metrics))
    # Where the held-out stars are all the same, QWK may not be defined: such lines come last.
    return sorted(
        scored, key=lambda each: (-np.nan_to_num(each.metrics["qwk"], nan=-np.inf), each.metrics["mae"], str(each.line))
    )


def _models_of(features: str, config: ScoreConfig) -> list[str]:
    """Return the models that are fitted on a feature set, each once."""
    extra = config.ablations.models if config.ablations and features in config.ablations.feature_sets else []
    return [*config.models, *(name for name in extra if name not in config.models)]


def items_frame(fitted: Mapping[Line, Any], names: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return sensitivity, S/N ratio and weight (its share of the integrated estimate) of every item of every T-method.

    Parameters
    ----------
    fitted : mapping of Line to fitted estimator
    names : mapping of str to list of str
        The items of each feature set.
    """
    parts = [pd.DataFrame()]
    for line, estimator in fitted.items():
        steps = estimator if isinstance(estimator, Pipeline) else Pipeline([("model", estimator)])
        model, selectors = steps[-1], steps[:-1]
        items = names[line.features]
        parts.append(
            pd.DataFrame(
                {
                    "features": line.features,
                    "model": line.model,
                    "item": selectors.get_feature_names_out(items) if len(selectors) else items,
                    "beta": model.beta_,
                    "eta": model.eta_,
                    "sn_db": model.sn_ratio_,
                    "weight": model.weight_,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def has_items(line: Line) -> bool:
    """Return whether a model weighs the columns of its feature set by S/N ratios, perhaps after a selection."""
    if line.features == RAW_TEXT:
        return False
    made = make_model(line)
    steps = made if isinstance(made, Pipeline) else Pipeline([("model", made)])
    # What a step before has made of the columns is no item of this feature set.
    return isinstance(steps[-1], IntegratedEstimator) and all(isinstance(e, SelectorMixin) for e in steps[:-1])


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
    if isinstance(last, GridSearchCV | Tuned):
        return {key.split("__")[-1]: value for key, value in last.best_params_.items()}
    if isinstance(last, RidgeCV):
        return {"alpha": float(last.alpha_)}
    return {"shrinkage": last.shrinkage_} if isinstance(last, UnitSpaceClassifierCV) else {}


def describe(line: Line, config: ScoreConfig, estimator: Any = None, model_file: str | None = None) -> dict[str, Any]:
    """Return what lines.json says of a line."""
    parts = config.feature_sets.get(line.features)
    return {
        "name": str(line),
        **line._asdict(),
        "parts": parts,
        "family": family(line),
        "params": {
            key: str(value)
            for key, value in make_model(line).get_params(deep=False).items()
            if not hasattr(value, "fit") and key not in {"steps", "memory", "transform_input", "verbose"}
        },
        "chosen": {} if estimator is None else chosen(estimator),
        "model_file": model_file,
    }
