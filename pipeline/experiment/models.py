"""From the names of models in conf/score.yaml to estimators.

A model of `MODELS` gets the columns of a feature set, one of `BASELINES` the raw texts. One of `PEERS` gets them, too,
but takes minutes to learn, so that conf/score.yaml does not know it. A dotted name such as
``my_package.make_model`` stands for a class or function that returns an estimator when it is called.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVR

from pipeline.errors import PipelineError
from pipeline.evaluation.most_likely import MostLikelyStarRegressor
from pipeline.evaluation.ordinal import ExpectedStarRegressor, MedianStarRegressor, OrdinalClassifier
from pipeline.experiment.column_as_prediction import ColumnAsPrediction
from pipeline.experiment.gram_ridge import GramRidgeCV
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.named import imported
from pipeline.experiment.tuned import Tuned
from pipeline.features.word_tfidf import word_tfidf
from pipeline.peers import SetFitClassifier
from pipeline.project.conf import check_names
from pipeline.project.paths import CONF
from pipeline.taguchi import (
    MahalanobisTaguchi,
    MeanRegressor,
    MSRRegressor,
    OrthogonalArraySelector,
    RTMethod,
    TbRegressor,
    TMethodRegressor,
    UnitSpaceClassifier,
    UnitSpaceClassifierCV,
    UnitSpaceItems,
)
from pipeline.text import check_texts

_THREE_FOLDS = KFold(3, shuffle=True, random_state=0)


# For what takes long: one split in place of three.
_ONE_SPLIT = ShuffleSplit(1, test_size=0.3, random_state=0)


def _tuned(estimator: BaseEstimator, cv: Any = _THREE_FOLDS, **grid: list[Any]) -> BaseEstimator:
    """Return the estimator after scaling, its parameter chosen by cross-validation inside the training reviews."""
    ((name, values),) = grid.items()
    # Whole stars for classifiers too: the mean error in stars is what all of them are chosen by.
    return Tuned(estimator, name, values, cv)


def _ridge() -> BaseEstimator:
    return make_pipeline(StandardScaler(), GramRidgeCV(alphas=np.logspace(-1, 4, 11)))


def _logistic_regression() -> BaseEstimator:
    return _tuned(LogisticRegression(max_iter=300, tol=1e-3), C=[0.01, 0.1, 1])


def _ordinal() -> BaseEstimator:
    return _tuned(OrdinalClassifier(LogisticRegression(max_iter=300, tol=1e-3)), classifier__C=[0.01, 0.1])


def _linear_svr() -> BaseEstimator:
    # The intercept is penalised like a weight: without scaling, few reviews would not lift it to the mean star.
    svr = LinearSVR(loss="squared_epsilon_insensitive", dual="auto", random_state=0)
    return _tuned(
        TransformedTargetRegressor(svr, transformer=StandardScaler(), check_inverse=False),
        regressor__C=[1e-3, 1e-2, 0.1],
    )


def _boosting() -> BaseEstimator:
    # Few bins and leaves: as good on these features as the usual ones, and several times as fast.
    model = HistGradientBoostingRegressor(
        learning_rate=0.2, max_iter=50, max_leaf_nodes=8, max_bins=31, early_stopping=False, random_state=0
    )
    return _tuned(model, _ONE_SPLIT, min_samples_leaf=[5, 20])


def _tfidf_ridge(words: str = "auto", ngram_range: tuple[int, int] = (1, 2)) -> BaseEstimator:
    tfidf = word_tfidf(words).set_params(ngram_range=ngram_range)
    ridge = GridSearchCV(Ridge(), {"alpha": [0.03, 0.1, 0.3, 1]}, scoring="neg_mean_absolute_error", cv=_THREE_FOLDS)
    return make_pipeline(FunctionTransformer(check_texts), tfidf, ridge)


def _setfit(**settings: Any) -> SetFitClassifier:
    # SetFit's defaults, but for what makes them affordable: the pairs grow with the square of the number of reviews.
    return SetFitClassifier(**{"max_steps": 100, "max_length": 128, "use_amp": True, "random_state": 0} | settings)


def _setfit_tuned() -> SetFitClassifier:
    # Larger steps, and a head that follows the few embeddings; chosen on training reviews outside the draws.
    head = {"C": 10.0, "class_weight": "balanced"}
    return _setfit(max_steps=40, num_iterations=20, body_learning_rate=1e-4, head_params=head)


def _unit_space_per_star(detector: Any) -> BaseEstimator:
    # A unit space wants several rows per item: the items with the largest S/N ratios make it.
    strongest = SelectFromModel(
        TMethodRegressor(), importance_getter="eta_", threshold=-np.inf, max_features=_few_items
    )
    reader = TMethodRegressor("all", "full", clip="range", limit_items=True)
    return make_pipeline(StandardScaler(), strongest, UnitSpaceItems(detector), reader)


def _few_items(X: npt.NDArray[Any]) -> int:
    return min(max(2, len(X) // 20), 20, X.shape[1])


def _selected(model: TMethodRegressor) -> BaseEstimator:
    return make_pipeline(OrthogonalArraySelector(unit_space=model.unit_space), model)


# No review that is unlike all others carries a prediction away; it costs nothing on those that are like them.
_T = partial(TMethodRegressor, limit_items=True)


_TAGUCHI_FAMILY: dict[str, Callable[[], Any]] = {
    "T(1)": lambda: _T("middle"),
    "T(1) clipped": lambda: _T("middle", clip="range"),
    "T(1) recalibrated": lambda: _T("middle", recalibrate=True),
    "T(1) selected": lambda: _selected(_T("middle")),
    "T(1) full": lambda: _T("middle", "full"),
    "T(1) full clipped": lambda: _T("middle", "full", clip="range"),
    "T(1) full recalibrated": lambda: _T("middle", "full", recalibrate=True),
    "T(2)": lambda: _T("low"),
    "Ta": lambda: _T("all"),
    "Ta selected": lambda: _selected(_T("all")),
    "Ta full clipped": lambda: _T("all", "full", clip="range"),
    "Tb": lambda: TbRegressor(limit_items=True),
    "MSR": lambda: MSRRegressor(limit_items=True),
    "unit spaces": lambda: ExpectedStarRegressor(UnitSpaceClassifierCV(limit_items=True)),
    "unit spaces (median star)": lambda: MedianStarRegressor(UnitSpaceClassifierCV(limit_items=True)),
    "Ta + unit spaces": lambda: MeanRegressor(  # the mean of both estimates
        [
            ("Ta", _T("all", clip="range")),
            ("unit spaces", ExpectedStarRegressor(UnitSpaceClassifierCV(limit_items=True))),
        ]
    ),
    "unit spaces recalibrated": lambda: ExpectedStarRegressor(
        UnitSpaceClassifierCV(recalibrate=True, limit_items=True)
    ),
    "unit spaces recalibrated (median star)": lambda: MedianStarRegressor(
        UnitSpaceClassifierCV(recalibrate=True, limit_items=True)
    ),
    "unit spaces (automatic shrinkage)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("shrunk", limit_items=True)),
    "unit spaces (unshrunk)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("pooled", limit_items=True)),
    "unit spaces (own covariances)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("own", limit_items=True)),
    "MT per star": lambda: _unit_space_per_star(MahalanobisTaguchi("mt")),
    "MTA per star": lambda: _unit_space_per_star(MahalanobisTaguchi("mta")),
    "SVP per star": lambda: _unit_space_per_star(MahalanobisTaguchi("svp")),
    "RT per star": lambda: _unit_space_per_star(RTMethod()),
}


_OTHERS: dict[str, Callable[[], Any]] = {
    "Ridge": _ridge,
    "PLS": lambda: _tuned(PLSRegression(scale=False), n_components=[1, 2, 4, 8]),
    "LogisticRegression": lambda: ExpectedStarRegressor(_logistic_regression()),
    "LogisticRegression (median star)": lambda: MedianStarRegressor(_logistic_regression()),
    "ordinal regression": lambda: ExpectedStarRegressor(_ordinal()),
    "linear SVR": _linear_svr,
    "HistGradientBoosting": _boosting,
    "k-nearest neighbours": lambda: _tuned(KNeighborsRegressor(weights="distance"), n_neighbors=[1, 3, 6, 12, 24]),
}


MODELS = {**_TAGUCHI_FAMILY, **_OTHERS}


BASELINES: dict[str, Callable[[], Any]] = {
    "mean": DummyRegressor,
    "TF-IDF + Ridge": _tfidf_ridge,
    # Of Japanese and Chinese; where a language has words, they stand in place of characters.
    "TF-IDF of characters + Ridge": lambda: _tfidf_ridge("characters", (1, 1)),
    "TF-IDF of pairs of characters + Ridge": lambda: _tfidf_ridge("characters", (2, 2)),
    "TF-IDF of characters and pairs + Ridge": lambda: _tfidf_ridge("characters"),
}


# What the peers stage compares: of columns that end in LocalLLM's, and of raw texts.
LLM_READERS: dict[str, Callable[[], Any]] = {"expectation": lambda: ColumnAsPrediction(-2)}
PEERS: dict[str, Callable[[], Any]] = {
    "SetFit": lambda: ExpectedStarRegressor(_setfit()),
    "SetFit (class)": lambda: MostLikelyStarRegressor(_setfit()),
    "SetFit tuned": lambda: ExpectedStarRegressor(_setfit_tuned()),
    "SetFit tuned (class)": lambda: MostLikelyStarRegressor(_setfit_tuned()),
}


def make_model(line: Line, where: str = str(CONF / "score.yaml")) -> Any:
    """Return the unfitted model of a line: one that is named here, or what a dotted name of conf makes.

    Parameters
    ----------
    line : Line
    where : str
        The file that names it, for errors.

    Raises
    ------
    PipelineError
        If the dotted name cannot be imported, or makes no model when it is called.
    """
    of_texts, of_columns = BASELINES | PEERS, MODELS | LLM_READERS
    makers = of_texts if line.features == RAW_TEXT else of_columns
    if line.model in makers:
        return makers[line.model]()
    make = imported(line.model, where)
    try:
        model = make()
    # What is called is the user's: whatever goes wrong in it is told in one line.
    except Exception as error:
        model = error
    if not (hasattr(model, "fit") and hasattr(model, "predict")):
        raise PipelineError(
            f"{where}: {line.model} makes no model, got {str(model)[:60]!r}: "
            "name a class or function that returns an estimator when it is called without arguments"
        )
    return model


def family(line: Line) -> str:
    """Return "Taguchi", "other" or "baseline"."""
    return "baseline" if line.features == RAW_TEXT else "Taguchi" if line.model in _TAGUCHI_FAMILY else "other"


def check_models(names: list[str], known: Iterable[str], what: str, where: str) -> None:
    """Stop at the first name that is neither known nor the dotted name of something that can be imported.

    Raises
    ------
    PipelineError
        It lists the known names, or says why the import failed.
    """
    for name in names:
        if "." in name:
            make_model(Line("", name), where)
    check_names([name for name in names if "." not in name], list(known), what, where)
