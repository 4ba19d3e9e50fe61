"""Fitting rows that count more or less than once, whatever stands around a model."""

from typing import Any

import numpy.typing as npt
from sklearn import config_context
from sklearn.ensemble import VotingRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter


def fit_weighted(model: Any, X: Any, y: Any, weight: npt.ArrayLike) -> Any:
    """Fit a model, each row with its weight: in scaling, in fits, and where a grid search compares errors.

    Parameters
    ----------
    model : estimator
        Fitted in place; perhaps a pipeline, a grid search, or a classifier that is read as a regressor.
    X, y
        As the model takes them.
    weight : array-like of shape (n_rows,)

    Returns
    -------
    model

    Raises
    ------
    ValueError
        If part of the model takes no weights.
    """
    if not takes_weights(model):
        raise ValueError(f"{type(model).__name__} takes no sample_weight in all of its parts: leave it out.")
    with config_context(enable_metadata_routing=True):
        for each in _estimators(model):
            if has_fit_parameter(each, "sample_weight"):
                each.set_fit_request(sample_weight=True)
            elif isinstance(each, GridSearchCV):
                each.scoring = get_scorer(each.scoring).set_score_request(sample_weight=True)
        return model.fit(X, y, sample_weight=weight)


def takes_weights(model: Any) -> bool:
    """Return whether all parts of an unfitted model take weights of rows, or hand them on to those that do."""
    return all(
        has_fit_parameter(each, "sample_weight") or isinstance(each, Pipeline | GridSearchCV | VotingRegressor)
        for each in _estimators(model)
    )


def _estimators(model: Any) -> list[Any]:
    """Return a model and all estimators in it."""
    return [model, *(each for each in model.get_params().values() if hasattr(each, "fit"))]
