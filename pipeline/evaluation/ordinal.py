"""Classifiers of stars read as regressors, and ordinal regression."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.taguchi.contributions import Contributions
from pipeline.taguchi.target import as_numbers

_FINEST = 100  # parts of a star that make a class


class ExpectedStarRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """A classifier of stars, read as a regressor: it predicts the expected star, the sum of star x probability.

    Parameters
    ----------
    classifier : estimator with predict_proba
        It is cloned in `fit`; its classes are whole numbers, since scikit-learn's classifiers take no others.

    Attributes
    ----------
    classifier_ : estimator
        The fitted clone.
    classes_per_star_ : int
        1 for whole stars. Half stars are 2 classes a star: the classifier's class 3 stands for 1.5 stars.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = ExpectedStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 5, 5])
    >>> model.predict([[1.5]]).round(3).tolist()
    [3.0]
    >>> halves = ExpectedStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 1.5, 1.5])
    >>> halves.predict([[1.5]]).round(3).tolist()
    [1.25]
    """

    def __init__(self, classifier: Any):
        self.classifier = classifier

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the classifier was fitted with."""
        return self.classifier_.n_features_in_

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """Names of these columns, where they had names."""
        return self.classifier_.feature_names_in_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.classifier).input_tags
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit a clone of the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Stars: whole numbers, or evenly spaced parts of them such as halves; also written as text, or an ordered
            categorical, whose categories count from 1.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, for a classifier that takes weights.

        Raises
        ------
        ValueError
            If the labels are words without an order, or if the classifier refuses the data, a continuous target say.
        """
        y = as_numbers(y, type(self).__name__)
        self.classes_per_star_ = _classes_per_star(y)
        if self.classes_per_star_ > 1:
            # Equal steps stay equal: an error in classes is in proportion to the error in stars.
            y = np.rint(np.asarray(y, dtype=np.float64) * self.classes_per_star_).astype(np.int64)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.classifier_ = clone(self.classifier).fit(X, y, **weights)
        return self

    @property
    def stars_(self) -> npt.NDArray[np.float64]:
        """The star that each class of the classifier stands for."""
        return self.classifier_.classes_.astype(np.float64) / self.classes_per_star_

    def star_probabilities(self, X: Any) -> npt.NDArray[np.float64]:
        """Return how likely each star is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_stars)
            A column for each of `stars_`; a row adds up to 1.
        """
        check_is_fitted(self)
        return np.asarray(self.classifier_.predict_proba(X), dtype=np.float64)

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the expected star of each row."""
        return self.star_probabilities(X) @ self.stars_

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the expected star.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Contributions
            ``base + items.sum(axis=1) + rest`` is the prediction, see `UnitSpaceClassifier.contributions`.

        Raises
        ------
        ValueError
            If the classifier has no `contributions`, as unit spaces have, or refuses.
        """
        check_is_fitted(self)
        if not hasattr(self.classifier_, "contributions"):
            name = type(self.classifier_).__name__
            raise ValueError(f"contributions needs unit spaces as classifier, whose items add up, got {name}.")
        parts: Contributions = self.classifier_.contributions(X)
        return parts.on_line(0.0, 1 / self.classes_per_star_)


class MedianStarRegressor(ExpectedStarRegressor):
    """A classifier of stars, read as a regressor: it predicts the median star, which has the least absolute error.

    Parameters
    ----------
    classifier : estimator with predict_proba
        It is cloned in `fit`; its classes are whole numbers, since scikit-learn's classifiers take no others.

    Attributes
    ----------
    classifier_, classes_per_star_
        As in `ExpectedStarRegressor`.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = MedianStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 5, 5])
    >>> model.predict([[0.7], [2.8]]).tolist()
    [1.0, 5.0]
    """

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the first star at which the cumulated probability of each row reaches a half."""
        reached = self.star_probabilities(X).cumsum(axis=1) >= 0.5 - 1e-12
        return self.stars_[reached.argmax(axis=1)]

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the expected star; the rest is the step from there to the median star.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Contributions
            ``base + items.sum(axis=1) + rest`` is the prediction.

        Raises
        ------
        ValueError
            As in `ExpectedStarRegressor`.
        """
        return super().contributions(X).up_to(self.predict(X))


def _classes_per_star(y: Any) -> int:
    """Return by how much stars are multiplied to be whole numbers; 1 where nothing up to 100 makes them so.

    Examples
    --------
    >>> _classes_per_star([1, 2, 5]), _classes_per_star([1, 2.5]), _classes_per_star([0.1, 0.123456])
    (1, 2, 1)
    """
    values = np.asarray(y)
    if values.dtype.kind != "f":
        return 1
    values = np.unique(values)
    multiples = (n for n in range(1, _FINEST + 1) if np.allclose(values * n, np.rint(values * n), rtol=0, atol=1e-6))
    return next(multiples, 1)


def _order(classes: npt.NDArray[Any], kind: Any) -> npt.NDArray[np.intp]:
    """Return the order of sorted classes: as text, "10" comes before "2"."""
    labels = pd.Categorical(classes, dtype=kind) if isinstance(kind, pd.CategoricalDtype) else classes
    try:
        return np.argsort(as_numbers(labels, "OrdinalClassifier"), kind="stable")
    except ValueError:
        # Words: scikit-learn sorts them.
        return np.arange(len(classes))


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
        The classes in their order: that of their numbers, also where these are text, or of an ordered categorical.
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
        kind = getattr(y, "dtype", None)
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        order = _order(classes, kind)
        self.classes_ = classes[order]
        ranks = order.argsort()[codes]
        self.classifiers_ = [clone(self.classifier).fit(X, ranks > rank) for rank in range(len(classes) - 1)]
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
