"""The models that conf/score.yaml may name.

To add one, add a line to `TAGUCHI_FAMILY` or `OTHERS` (it gets the columns of a feature set) or to `BASELINES` (it gets
the raw texts).
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVR
from sklearn.utils import Tags, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi import (
    MahalanobisTaguchi,
    MSRRegressor,
    OrthogonalArraySelector,
    RTMethod,
    TbRegressor,
    TMethodRegressor,
    UnitSpaceClassifier,
    UnitSpaceClassifierCV,
)
from pipeline.text import check_texts, words


class ExpectedStarRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """A classifier of stars, read as a regressor: it predicts the expected star, the sum of star x probability.

    Parameters
    ----------
    classifier : estimator with predict_proba
        It is cloned in `fit`; its classes are numbers.

    Attributes
    ----------
    classifier_ : estimator
        The fitted clone.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = ExpectedStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 5, 5])
    >>> model.predict([[1.5]]).round(3).tolist()
    [3.0]
    """

    def __init__(self, classifier: Any):
        self.classifier = classifier

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the classifier was fitted with."""
        return self.classifier_.n_features_in_

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """Names of those columns, where they had names."""
        return self.classifier_.feature_names_in_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.classifier).input_tags
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a clone of the classifier."""
        self.classifier_ = clone(self.classifier).fit(X, y)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the expected star of each row."""
        check_is_fitted(self)
        return self.classifier_.predict_proba(X) @ self.classifier_.classes_.astype(np.float64)


class MedianStarRegressor(ExpectedStarRegressor):
    """A classifier of stars, read as a regressor: it predicts the median star, which has the least absolute error.

    Parameters
    ----------
    classifier : estimator with predict_proba
        It is cloned in `fit`; its classes are numbers.

    Attributes
    ----------
    classifier_ : estimator
        The fitted clone.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = MedianStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 5, 5])
    >>> model.predict([[0.7], [2.8]]).tolist()
    [1.0, 5.0]
    """

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the first star at which the cumulated probability of each row reaches a half."""
        check_is_fitted(self)
        reached = self.classifier_.predict_proba(X).cumsum(axis=1) >= 0.5 - 1e-12
        return self.classifier_.classes_[reached.argmax(axis=1)].astype(np.float64)


class UnitSpaceItems(ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """One unit space per star, each with a detector of its own; a row becomes its distances from all of them.

    With a detector that transforms (`RTMethod`) its columns stand in place of the distance. Like scikit-learn's
    `TargetEncoder`, `fit_transform` measures each training row against unit spaces that were made without it, since a
    row looks nearer to a space that it helped to make; `transform` uses the spaces of all rows.

    Parameters
    ----------
    detector : estimator with `fit` on the rows of a unit space, and with `transform` or else `distance`
        It is cloned for each star.
    cv : int, default=5
        Parts into which `fit_transform` cuts the rows; fewer where a star has fewer rows.

    Attributes
    ----------
    detectors_ : list
        The fitted clones, one for each star in ascending order.

    Examples
    --------
    >>> from pipeline.taguchi import MahalanobisTaguchi
    >>> X = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> items = UnitSpaceItems(MahalanobisTaguchi(), cv=3).fit(X, [1, 1, 1, 5, 5, 5])
    >>> items.transform([[1.0], [12.0]]).tolist()
    [[0.0, 10.0], [11.0, 1.0]]
    """

    def __init__(self, detector: Any, cv: int = 5):
        self.detector = detector
        self.cv = cv

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one clone of the detector to the rows of each star.

        Raises
        ------
        ValueError
            If a star has fewer than two rows.
        """
        X, y = validate_data(self, X, y)
        self.detectors_ = self._detectors(X, y)
        self._n_features_out = self._read(self.detectors_, X[:1]).shape[1]
        return self

    def transform(self, X: Any) -> npt.NDArray[np.floating]:
        """Return what each detector makes of each row, side by side."""
        check_is_fitted(self)
        return self._read(self.detectors_, validate_data(self, X, reset=False))

    def fit_transform(self, X: Any, y: Any) -> npt.NDArray[np.floating]:
        """Fit, and return what detectors made without the row say of it."""
        X, y = validate_data(self, X, y)
        self.detectors_ = self._detectors(X, y)
        self._n_features_out = self._read(self.detectors_, X[:1]).shape[1]
        n_parts = min(self.cv, np.unique(y, return_counts=True)[1].min())
        if n_parts < 2:
            return self._read(self.detectors_, X)
        items = np.empty((len(X), self._n_features_out))
        for train, test in StratifiedKFold(n_parts, shuffle=True, random_state=0).split(X, y):
            items[test] = self._read(self._detectors(X[train], y[train]), X[test])
        return items

    def _detectors(self, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> list[Any]:
        detectors = []
        for star in np.unique(y):
            rows = X[y == star]
            if len(rows) < 2:
                raise ValueError(f"The unit space of star {star} has {len(rows)} training row; 2 or more are needed.")
            detectors.append(clone(self.detector).fit(rows))
        return detectors

    @staticmethod
    def _read(detectors: list[Any], X: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
        return np.column_stack(
            [each.transform(X) if hasattr(each, "transform") else each.distance(X) for each in detectors]
        )


class OrdinalClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Ordinal regression: one binary classifier for each question "more than c stars?".

    The probabilities of the classes are differences of :math:`P(y > c)`, which are made to fall with c by taking the
    running minimum.

    Parameters
    ----------
    classifier : estimator with predict_proba
        It is cloned for each question.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    classifiers_ : list of n_classes - 1 estimators
        The fitted clones.

    References
    ----------
    E. Frank, M. Hall, "A Simple Approach to Ordinal Classification", ECML 2001.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = OrdinalClassifier(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 4, 5])
    >>> model.predict([[-9.0], [9.0]]).tolist()
    [1, 5]
    """

    def __init__(self, classifier: Any):
        self.classifier = classifier

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one clone for each class but the highest."""
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.classifiers_ = [clone(self.classifier).fit(X, y > c) for c in self.classes_[:-1]]
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        above = np.ones((len(X), len(self.classes_) + 1))
        above[:, -1] = 0
        for c, classifier in enumerate(self.classifiers_, 1):
            above[:, c] = np.minimum(classifier.predict_proba(X)[:, 1], above[:, c - 1])
        return above[:, :-1] - above[:, 1:]

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


_THREE_FOLDS = KFold(3, shuffle=True, random_state=0)
# For what takes long: one split in place of three.
_ONE_SPLIT = ShuffleSplit(1, test_size=0.3, random_state=0)


def _tuned(estimator: BaseEstimator, cv: Any = _THREE_FOLDS, **grid: list[Any]) -> BaseEstimator:
    """Return the estimator after scaling, its parameters chosen by cross-validation inside the training reviews."""
    model = make_pipeline(StandardScaler(), estimator)
    step = model.steps[-1][0]
    # Whole stars for classifiers too: the mean error in stars is what all of them are chosen by.
    return GridSearchCV(
        model, {f"{step}__{name}": values for name, values in grid.items()}, scoring="neg_mean_absolute_error", cv=cv
    )


def _ridge() -> BaseEstimator:
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 4, 11)))


def _logistic_regression() -> BaseEstimator:
    return _tuned(LogisticRegression(max_iter=300, tol=1e-3), C=[0.01, 0.1, 1])


def _ordinal() -> BaseEstimator:
    return _tuned(OrdinalClassifier(LogisticRegression(max_iter=300, tol=1e-3)), classifier__C=[0.01, 0.1])


def _linear_svr() -> BaseEstimator:
    # The intercept is penalised like a weight: without scaling, few reviews would not lift it to the mean star.
    svr = LinearSVR(loss="squared_epsilon_insensitive", dual="auto", random_state=0)
    return _tuned(TransformedTargetRegressor(svr, transformer=StandardScaler()), regressor__C=[1e-3, 1e-2, 0.1])


def _boosting() -> BaseEstimator:
    # Few bins and leaves: as good on these features as the usual ones, and several times as fast.
    model = HistGradientBoostingRegressor(
        learning_rate=0.2, max_iter=50, max_leaf_nodes=8, max_bins=31, early_stopping=False, random_state=0
    )
    return _tuned(model, _ONE_SPLIT, min_samples_leaf=[5, 20])


def _tfidf_ridge() -> BaseEstimator:
    words_and_pairs = TfidfVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    ridge = GridSearchCV(Ridge(), {"alpha": [0.03, 0.1, 0.3, 1]}, scoring="neg_mean_absolute_error", cv=_THREE_FOLDS)
    return make_pipeline(FunctionTransformer(check_texts), words_and_pairs, ridge)


def _unit_space_per_star(detector: Any) -> BaseEstimator:
    # A unit space wants several rows per item: the items with the largest S/N ratios make it.
    strongest = SelectFromModel(
        TMethodRegressor(), importance_getter="eta_", threshold=-np.inf, max_features=_few_items
    )
    reader = TMethodRegressor("all", "full", clip="range")
    return make_pipeline(StandardScaler(), strongest, UnitSpaceItems(detector), reader)


def _few_items(X: npt.NDArray[Any]) -> int:
    return min(max(2, len(X) // 20), 20, X.shape[1])


def _selected(model: TMethodRegressor) -> BaseEstimator:
    return make_pipeline(OrthogonalArraySelector(unit_space=model.unit_space), model)


TAGUCHI_FAMILY: dict[str, Callable[[], Any]] = {
    "T(1)": lambda: TMethodRegressor("middle"),
    "T(1) clipped": lambda: TMethodRegressor("middle", clip="range"),
    "T(1) recalibrated": lambda: TMethodRegressor("middle", recalibrate=True),
    "T(1) selected": lambda: _selected(TMethodRegressor("middle")),
    "T(1) full": lambda: TMethodRegressor("middle", "full"),
    "T(1) full clipped": lambda: TMethodRegressor("middle", "full", clip="range"),
    "T(1) full recalibrated": lambda: TMethodRegressor("middle", "full", recalibrate=True),
    "T(2)": lambda: TMethodRegressor("low"),
    "Ta": lambda: TMethodRegressor("all"),
    "Ta selected": lambda: _selected(TMethodRegressor("all")),
    "Ta full clipped": lambda: TMethodRegressor("all", "full", clip="range"),
    "Tb": TbRegressor,
    "MSR": MSRRegressor,
    "unit spaces": lambda: ExpectedStarRegressor(UnitSpaceClassifierCV()),
    "unit spaces (median star)": lambda: MedianStarRegressor(UnitSpaceClassifierCV()),
    "unit spaces (automatic shrinkage)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("shrunk")),
    "unit spaces (unshrunk)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("pooled")),
    "unit spaces (own covariances)": lambda: ExpectedStarRegressor(UnitSpaceClassifier("own")),
    "MT per star": lambda: _unit_space_per_star(MahalanobisTaguchi("mt")),
    "MTA per star": lambda: _unit_space_per_star(MahalanobisTaguchi("mta")),
    "SVP per star": lambda: _unit_space_per_star(MahalanobisTaguchi("svp")),
    "RT per star": lambda: _unit_space_per_star(RTMethod()),
}

OTHERS: dict[str, Callable[[], Any]] = {
    "Ridge": _ridge,
    "PLS": lambda: _tuned(PLSRegression(), n_components=[1, 2, 4, 8]),
    "LogisticRegression": lambda: ExpectedStarRegressor(_logistic_regression()),
    "LogisticRegression (median star)": lambda: MedianStarRegressor(_logistic_regression()),
    "ordinal regression": lambda: ExpectedStarRegressor(_ordinal()),
    "linear SVR": _linear_svr,
    "HistGradientBoosting": _boosting,
    "k-nearest neighbours": lambda: _tuned(KNeighborsRegressor(weights="distance"), n_neighbors=[1, 3, 6, 12, 24]),
}

MODELS = {**TAGUCHI_FAMILY, **OTHERS}

BASELINES: dict[str, Callable[[], Any]] = {
    "mean": DummyRegressor,
    "TF-IDF + Ridge": _tfidf_ridge,
}
