"""The models that conf/score.yaml may name.

To add one, add a line to `MODELS` (it gets the columns of a feature set) or to `BASELINES` (it gets the raw texts).
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi import TMethodRegressor
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


def _ridge() -> BaseEstimator:
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 4, 11)))


def _logistic_regression() -> BaseEstimator:
    # C=0.1 did best in a cross-validation inside the sample's training reviews.
    return ExpectedStarRegressor(make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)))


def _tfidf_ridge() -> BaseEstimator:
    words_and_pairs = TfidfVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    # As with C above, chosen inside the training reviews.
    return make_pipeline(FunctionTransformer(check_texts), words_and_pairs, Ridge(alpha=0.1))


MODELS: dict[str, Callable[[], Any]] = {
    "T(1)": lambda: TMethodRegressor(unit_space="middle"),
    "Ta": lambda: TMethodRegressor(unit_space="all"),
    "Ridge": _ridge,
    "LogisticRegression": _logistic_regression,
    "HistGradientBoosting": lambda: HistGradientBoostingRegressor(random_state=0),
}

BASELINES: dict[str, Callable[[], Any]] = {
    "mean": DummyRegressor,
    "TF-IDF + Ridge": _tfidf_ridge,
}
