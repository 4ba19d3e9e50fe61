"""A parameter chosen by folds: as a grid search around a scaler and the model chooses it."""

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR

from pipeline.evaluation import OrdinalClassifier
from pipeline.experiment.tuned import Tuned, sharing_folds

FOLDS = KFold(3, shuffle=True, random_state=0)
EXACT = LogisticRegression(max_iter=5000, tol=1e-9)
BOOSTING = HistGradientBoostingRegressor(max_iter=5, max_leaf_nodes=4, early_stopping=False, random_state=0)
SVR = LinearSVR(loss="squared_epsilon_insensitive", dual="auto", random_state=0, tol=1e-9, max_iter=100_000)
MODELS = {
    "Ridge": partial(Tuned, Ridge(), "alpha", [0.1, 10.0, 1000.0], FOLDS),
    "PLS": partial(Tuned, PLSRegression(scale=False), "n_components", [1, 2, 4, 8], FOLDS),
    "LogisticRegression": partial(Tuned, EXACT, "C", [0.01, 0.1, 1], FOLDS),
    "ordinal": partial(Tuned, OrdinalClassifier(EXACT), "classifier__C", [0.01, 0.1], FOLDS),
    "SVR": partial(
        Tuned, TransformedTargetRegressor(SVR, transformer=StandardScaler()), "regressor__C", [1e-3, 1e-2, 0.1], FOLDS
    ),
    "boosting": partial(Tuned, BOOSTING, "min_samples_leaf", [2, 5, 20], ShuffleSplit(1, random_state=0)),
    "neighbours": partial(Tuned, KNeighborsRegressor(weights="distance"), "n_neighbors", [1, 3, 6, 12], FOLDS),
}


def rows(n, p):
    """Rows with a repeated one and a constant column, and stars from 1 to 5."""
    rng = np.random.default_rng(n + p)
    X = rng.normal(size=(n, p))
    y = np.clip(np.rint(3 + X[:, :4] @ [1.0, 0.6, 0.4, 0.2] + rng.normal(0, 0.4, n)), 1, 5)
    # Neighbours at the same distance are in any order: a repeated row has the stars of the other.
    X[1], y[1], X[:, -1] = X[0], y[0], 7
    return X, y


def searched(tuned):
    """The grid search that a tuned model stands for."""
    model = make_pipeline(StandardScaler(), tuned.estimator)
    grid = {f"{model.steps[-1][0]}__{tuned.name}": tuned.values}
    return GridSearchCV(model, grid, scoring="neg_mean_absolute_error", cv=tuned.cv)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize("shape", [(10, 6), (40, 6), (40, 90), (12, 30)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_it_chooses_and_predicts_as_a_grid_search_does(name, shape):
    X, y = rows(*shape)
    new, _ = rows(25, shape[1])
    tuned = MODELS[name]().fit(X, y)
    search = searched(MODELS[name]()).fit(X, y)
    np.testing.assert_allclose(tuned.errors_, -search.cv_results_["mean_test_score"], atol=1e-6)
    assert list(tuned.best_params_.values()) == list(search.best_params_.values())
    np.testing.assert_allclose(np.ravel(tuned.predict(new)), np.ravel(search.predict(new)), atol=1e-6)


def test_models_share_folds_in_a_block_only_and_on_one_array_only():
    X, y = rows(30, 60)
    other = X + 1
    alone = [MODELS[name]().fit(rows_, y).errors_ for name in ("PLS", "Ridge") for rows_ in (X, other)]
    with sharing_folds():
        shared = [MODELS[name]().fit(rows_, y).errors_ for name in ("PLS", "Ridge") for rows_ in (X, other)]
    for each, expected in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(each, expected)
    X *= -1
    X[0] = 5
    assert not np.array_equal(MODELS["PLS"]().fit(X, y).errors_, alone[0])


def test_it_is_cloned_pickled_and_tells_classes_and_columns():
    X, y = rows(40, 6)
    model = clone(MODELS["LogisticRegression"]()).fit(X, y)
    assert model.n_features_in_ == 6
    assert model.classes_.tolist() == np.unique(y).tolist()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not hasattr(MODELS["PLS"](), "predict_proba")


def test_rows_that_no_fold_can_learn_from_are_an_error():
    with pytest.raises(ValueError, match="no candidate for C can be fitted on 3 rows in folds"):
        MODELS["LogisticRegression"]().fit(np.eye(3), [1, 1, 1])
    with pytest.raises(ValueError, match="number of splits n_splits=3"):
        MODELS["Ridge"]().fit(np.eye(2), [1, 2])
