"""A model after scaling, its parameter chosen by folds; what candidates and models have in common is computed once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

Array = npt.NDArray[Any]

_shared: ContextVar[dict[Any, Any] | None] = ContextVar("shared", default=None)


class Tuned(MetaEstimatorMixin, BaseEstimator):
    """A model after scaling, one parameter chosen by the mean absolute error in held-out folds.

    It chooses as `sklearn.model_selection.GridSearchCV` does around a scaler and the model, in less time: rows are
    scaled and rotated once a fold, and candidates that nest in each other (components, neighbours) are fitted once.

    Parameters
    ----------
    estimator : estimator
        Its last step is fitted on standardised columns.
    name : str
        The parameter.
    values : sequence
        The candidates; of equals the first is chosen.
    cv : splitter

    Attributes
    ----------
    best_estimator_ : Pipeline
        Scaler and model with the chosen value, fitted on all rows.
    best_params_ : dict
        The chosen value by the name of the parameter.
    errors_ : ndarray of shape (n_values,)
        Mean absolute error of each candidate; NaN where a fold allows no such fit.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import KFold
    >>> model = Tuned(Ridge(), "alpha", [0.1, 1000.0], KFold(2)).fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 3, 4])
    >>> model.best_params_
    {'alpha': 0.1}
    """

    def __init__(self, estimator: Any, name: str, values: Sequence[Any], cv: Any):
        self.estimator = estimator
        self.name = name
        self.values = values
        self.cv = cv

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the model was fitted with."""
        return self.best_estimator_.n_features_in_

    @property
    def classes_(self) -> Array:
        """The classes of a classifier."""
        return self.best_estimator_.classes_

    def __sklearn_tags__(self) -> Tags:
        return get_tags(self.estimator)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the value, and fit scaler and model on all rows.

        Raises
        ------
        ValueError
            If no fold allows any candidate, or if the model refuses the data.
        """
        rows, target = np.asarray(X), np.asarray(y)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        # Rows and parameters are checked once, not by every one of many small fits; weights go to all steps by name.
        checked = {"assume_finite": bool(np.isfinite(rows).all()), "skip_parameter_validation": True}
        with config_context(**checked, enable_metadata_routing=False):
            self.errors_ = np.array([self._errors(fold, target) for fold in _folds(self.cv, rows, weight)]).mean(axis=0)
            if np.isnan(self.errors_).all():
                raise ValueError(f"no candidate for {self.name} can be fitted on {len(rows)} rows in folds")
            best = self.values[int(np.nanargmin(self.errors_))]
            self.best_params_ = {self.name: best}
            chosen = clone(self.estimator).set_params(**self.best_params_)
            pipeline = make_pipeline(StandardScaler(), chosen)
            weights = _weights(weight, *pipeline.named_steps)
            self.best_estimator_ = pipeline.fit(rows, target, **weights)
        return self

    def predict(self, X: Any) -> Array:
        """Return what the chosen model predicts."""
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the chosen model."""
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    def _errors(self, fold: "_Fold", y: Array) -> list[float]:
        """Return the mean absolute error of each candidate in a fold."""
        truth, weight = y[fold.test], None if fold.weight is None else fold.weight[fold.test]
        return [
            np.nan if predicted is None else float(np.average(np.abs(np.ravel(predicted) - truth), weights=weight))
            for predicted in _predicted(self.estimator, self.name, self.values, fold, y[fold.train])
        ]


@contextmanager
def sharing_folds() -> Iterator[None]:
    """Let models that are fitted in the block on one array share its folds, scaled and rotated; it must not change."""
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


class _Fold:
    """Training and held-out rows, standardised by the training rows."""

    def __init__(self, X: Array, train: Array, test: Array, weight: Array | None):
        self.train, self.test, self.weight = train, test, weight
        scaler = StandardScaler().fit(X[train], sample_weight=self.train_weight)
        self.scaled: tuple[Array, Array] = scaler.transform(X[train]), scaler.transform(X[test])

    @property
    def train_weight(self) -> Array | None:
        return None if self.weight is None else self.weight[self.train]

    @cached_property
    def rotated(self) -> tuple[Array, Array]:
        """The rows in coordinates of the space that training rows span: with fewer rows than columns a smaller table.

        Inner products with training rows stay as they are: so do PLS and linear models with a penalty on the sum of
        squares.
        """
        train, test = self.scaled
        if len(train) >= train.shape[1]:
            return self.scaled
        axes, triangle = np.linalg.qr(train.T)
        return triangle.T, test @ axes


def _folds(cv: Any, X: Array, weight: Array | None) -> list[_Fold]:
    """Return the folds of rows, the shared ones where another model has made them."""
    shared = _shared.get()
    if shared is None:
        return [_Fold(X, train, test, weight) for train, test in cv.split(X)]
    key = id(X), repr(cv), None if weight is None else weight.tobytes()
    if key not in shared:
        # With the array, which so keeps its identity.
        shared[key] = X, [_Fold(X, train, test, weight) for train, test in cv.split(X)]
    folds: list[_Fold] = shared[key][1]
    return folds


def _predicted(estimator: Any, name: str, values: Sequence[Any], fold: _Fold, y: Array) -> list[Array | None]:
    """Return what each candidate predicts for the held-out rows; None where it cannot be fitted."""
    if isinstance(estimator, PLSRegression):
        return _components(estimator, values, *fold.rotated, y)
    if isinstance(estimator, KNeighborsRegressor):
        return _neighbours(values, *fold.scaled, y)
    train, test = fold.scaled if isinstance(estimator, HistGradientBoostingRegressor) else fold.rotated
    model, predicted = clone(estimator), list[Array | None]()
    if isinstance(estimator, LogisticRegression):
        # Along C each solution is the start of the next.
        model.set_params(warm_start=True)
    for value in values:
        model.set_params(**{name: value})
        if isinstance(model, HistGradientBoostingRegressor) and len(train) < 2 * model.min_samples_leaf:
            # No row can be split off.
            predicted.append(np.full(len(test), y.mean()))
            continue
        try:
            weights = {} if fold.train_weight is None else {"sample_weight": fold.train_weight}
            predicted.append(model.fit(train, y, **weights).predict(test))
        except ValueError:
            predicted.append(None)
    return predicted


def _components(model: PLSRegression, values: Sequence[int], train: Array, test: Array, y: Array) -> list[Array | None]:
    """Return what PLS predicts with each number of components: the first of them are those of a smaller model."""
    most = min(max(values), *train.shape)
    try:
        fitted = clone(model).set_params(n_components=most).fit(train, y)
    except ValueError:
        return [None] * len(values)
    weights, loadings, of_y = fitted.x_weights_, fitted.x_loadings_, fitted.y_loadings_[0]
    projected = (test - train.mean(axis=0)) @ weights

    def predicted(n: int) -> Array:
        # Without the components beyond: where nothing is left to explain, they are rounding.
        return y.mean() + projected[:, :n] @ (np.linalg.pinv(loadings[:, :n].T @ weights[:, :n]) @ of_y[:n])

    return [predicted(n) if n <= most else None for n in values]


def _neighbours(values: Sequence[int], train: Array, test: Array, y: Array) -> list[Array | None]:
    """Return the means of each number of neighbours, weighted by the inverse of their distance."""
    most = min(max(values), len(train))
    distance, nearest = NearestNeighbors(n_neighbors=most).fit(train).kneighbors(test)
    with np.errstate(divide="ignore"):
        weight = np.where(distance[:, :1] > 0, 1 / distance, distance == 0)
    means = (weight * y[nearest]).cumsum(axis=1) / weight.cumsum(axis=1)
    return [means[:, k - 1] if k <= most else None for k in values]


def _weights(weight: Array | None, *steps: str) -> dict[str, Array]:
    """Return the weights of rows as a pipeline takes them."""
    return {} if weight is None else {f"{step}__sample_weight": weight for step in steps}
