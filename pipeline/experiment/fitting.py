"""Fit models on a draw of training reviews, everything inside the draw, and predict the held-out ones."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from pipeline.encoder import TokenStates
from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.experiment.models import BASELINES, MODELS

RAW_TEXT = "text"


Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted on a draw.

    Attributes
    ----------
    model : str
        Its name.
    estimator : estimator
    predictions : ndarray of shape (n_test,), float64
        Stars of the held-out reviews.
    n_features : int
        Number of columns that it read.
    fit_seconds, predict_seconds : float
        On one core, the columns given.
    peak_mb : float
        By how much fitting made the process grow at its peak, in MB; nan where the system does not tell.
    """

    model: str
    estimator: Any
    predictions: Array
    n_features: int
    fit_seconds: float
    predict_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Material:
    """Reviews and what the features stage made of them.

    Parameters
    ----------
    texts, stars, is_train : ndarray of shape (n_reviews,)
    feature_sets : dict of str to list of str
        The features whose columns stand side by side.
    tables : dict of str to ndarray of shape (n_reviews, n_columns)
        The columns of each feature, learned from all training reviews where it learns.
    transformers : dict of str to transformer
        Not fitted; those of features that learn.
    tokens : dict of str to TokenStates
        What those of them read that pool token states.
    """

    texts: npt.NDArray[np.object_]
    stars: npt.NDArray[np.int64]
    is_train: npt.NDArray[np.bool_]
    feature_sets: dict[str, list[str]]
    tables: dict[str, npt.NDArray[Any]]
    transformers: dict[str, Any]
    tokens: dict[str, TokenStates]

    @property
    def n_train(self) -> int:
        """Number of training reviews."""
        return int(self.is_train.sum())

    def columns(self, features: str, rows: npt.NDArray[np.intp]) -> tuple[Any, Any]:
        """Return the columns of some training reviews and of all held-out ones, learned from those reviews alone.

        Parameters
        ----------
        features : str
            A feature set, or "text" for the texts themselves.
        rows : ndarray of int
            Positions among the training reviews.
        """
        train, test = np.flatnonzero(self.is_train)[rows], np.flatnonzero(~self.is_train)
        if features == RAW_TEXT:
            return self.texts[train], self.texts[test]
        parts = []
        for part in self.feature_sets[features]:
            if part in self.transformers and len(rows) < self.n_train:
                X: Any = self.tokens.get(part, self.texts)
                transformer = self.transformers[part]()
                parts.append((transformer.fit_transform(X[train], self.stars[train]), transformer.transform(X[test])))
            else:
                parts.append((self.tables[part][train], self.tables[part][test]))
        return np.hstack([train for train, _ in parts]), np.hstack([test for _, test in parts])


def fit_models(
    features: str, names: list[str], train: tuple[Any, Any], X_test: Any
) -> Iterator[Fitted | PipelineError]:
    """Fit models by their names and predict; what a model does not take is yielded as an error, not raised.

    A classifier that two models read, one for the expected and one for the median star, is fitted once.

    Parameters
    ----------
    features : str
        The feature set, for errors.
    names : list of str
        Of `pipeline.models`.
    train : tuple of columns or texts, and stars
    X_test : columns or texts
    """
    makers = BASELINES if features == RAW_TEXT else MODELS
    classifiers: dict[str, tuple[Any, float, float]] = {}
    for name in names:
        model = makers[name]()
        shared = repr(model.classifier) if isinstance(model, ExpectedStarRegressor) else None
        try:
            with quiet():
                if shared in classifiers:
                    model.classifier_, seconds, peak = classifiers[shared]
                else:
                    with _peak() as grown:
                        started = time.perf_counter()
                        model.fit(*train)
                        seconds = time.perf_counter() - started
                    peak = grown[0]
                    if shared:
                        classifiers[shared] = (model.classifier_, seconds, peak)
                started = time.perf_counter()
                predictions = np.asarray(model.predict(X_test), dtype=np.float64).reshape(-1)
                predicting = time.perf_counter() - started
        except ValueError as error:
            yield PipelineError(f"{name} on {features}: {first_line(error)}")
            continue
        if not np.isfinite(predictions).all():
            yield PipelineError(f"{name} on {features} predicts values that are not finite: mend the model")
            continue
        last = model[-1] if isinstance(model, Pipeline) else model
        n_features = getattr(last, "n_features_in_", 0) if features == RAW_TEXT else train[0].shape[1]
        yield Fitted(name, model, predictions, n_features, seconds, predicting, peak)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, so that the last digit does not depend on how many workers share the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what small draws make scikit-learn say: too few rows for a candidate, or no convergence."""
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, FitFailedWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield


@contextmanager
def _peak() -> Iterator[list[float]]:
    """Give a list that will hold the growth of the process's memory in the block, at its peak, in MB."""
    grown = [float("nan")]
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except (OSError, KeyError):
        before = None
    yield grown
    if before is not None:
        grown[0] = max(0.0, _status("VmHWM") - before) / 1024


def _status(key: str) -> float:
    """Return a line of the process's status on Linux, in kB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(lines[key].split()[0])
