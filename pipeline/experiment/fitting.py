"""Fit models on a draw of training reviews, everything inside the draw, and predict the held-out ones."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from pipeline.digest import value_digest
from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.experiment.line import RAW_TEXT
from pipeline.experiment.named import settings
from pipeline.experiment.weighted import fit_weighted
from pipeline.files import atomic_path
from pipeline.taguchi import MeanRegressor

if TYPE_CHECKING:
    from pipeline.encoder import TokenStates

Array = npt.NDArray[np.float64]

# By what is fitted: the classifier, its classes per star, seconds and MB.
_Known = dict[str, tuple[Any, int, float, float]]


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
    makers : dict of str to callable
        For each feature that learns: returns the unfitted transformer.
    tokens : dict of str to TokenStates
        What those of them read that pool token states.
    shared : Path, default=None
        Directory where feature sets find columns that another one has learned from the same draw; None: each learns
        its own.
    """

    texts: npt.NDArray[np.object_]
    stars: npt.NDArray[Any]
    is_train: npt.NDArray[np.bool_]
    feature_sets: dict[str, list[str]]
    tables: dict[str, npt.NDArray[Any]]
    makers: dict[str, Callable[[], Any]]
    tokens: dict[str, "TokenStates"]
    shared: Path | None = None
    _held_out: dict[tuple[str, bytes], "TokenStates"] = field(default_factory=dict)

    @property
    def n_train(self) -> int:
        """Number of training reviews."""
        return int(self.is_train.sum())

    def columns(
        self, features: str, rows: npt.NDArray[np.intp], held_out: npt.NDArray[np.intp] | None = None
    ) -> tuple[Any, Any]:
        """Return the columns of some training reviews and of held-out ones, learned from those training reviews alone.

        Parameters
        ----------
        features : str
            A feature set, or "text" for the texts themselves.
        rows : ndarray of int
            Positions among the training reviews.
        held_out : ndarray of int, optional
            Positions among the held-out reviews, all of them by default.
        """
        train, test = np.flatnonzero(self.is_train)[rows], np.flatnonzero(~self.is_train)
        test = test if held_out is None else test[held_out]
        if features == RAW_TEXT:
            return self.texts[train], self.texts[test]
        parts = []
        for part in self.feature_sets[features]:
            if part in self.makers and len(rows) < self.n_train:
                parts.append(self.learned(part, self.makers[part](), train, test))
            else:
                parts.append((self.tables[part][train], self.tables[part][test]))
        return np.hstack([train for train, _ in parts]), np.hstack([test for _, test in parts])

    def learned(
        self, part: str, transformer: Any, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], kind: str = ""
    ) -> tuple[Any, Any]:
        """Return the columns of `train` and `test` by an unfitted transformer that learns from `train`.

        Parameters
        ----------
        part : str
            The feature.
        transformer : transformer
        train, test : ndarray of int
            Positions of reviews.
        kind : str, default=""
            What tells this transformer from the one of the settings: a digest of its know-how.
        """
        if (kept := self.kept(part, train, test, kind)) is not None:
            return kept
        X: Any = self.tokens.get(part, self.texts)
        columns = transformer.fit_transform(X[train], self.stars[train]), transformer.transform(self._test(part, test))
        self.keep(part, train, test, columns, kind)
        return columns

    def kept(
        self, part: str, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], kind: str = ""
    ) -> tuple[Any, Any] | None:
        """Return the columns that `keep` has kept for `learned`, None where there are none."""
        path = self._shared_path(part, train, test, kind)
        if path is None or not path.exists():
            return None
        with np.load(path) as columns:
            return columns["train"], columns["test"]

    def keep(
        self,
        part: str,
        train: npt.NDArray[np.intp],
        test: npt.NDArray[np.intp],
        columns: tuple[Any, Any],
        kind: str = "",
    ) -> None:
        """Keep the columns of `train` and `test` for other feature sets, where there is a directory for them."""
        if (path := self._shared_path(part, train, test, kind)) is not None:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, train=columns[0], test=columns[1])

    def _shared_path(
        self, part: str, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp], kind: str
    ) -> Path | None:
        # Pooled token states are wide, and no two sets of the curves have them in common.
        if self.shared is None or part in self.tokens:
            return None
        return self.shared / f"{part}-{value_digest([kind, train.tolist(), test.tolist()])[:24]}.npz"

    def _test(self, part: str, test: npt.NDArray[np.intp]) -> Any:
        """Return the held-out texts, or their token states, which every draw reads."""
        if part not in self.tokens:
            return self.texts[test]
        if (key := (part, test.tobytes())) not in self._held_out:
            self._held_out[key] = self.tokens[part][test].at_hand()
        return self._held_out[key]


def what_is_fitted(model: Any) -> str:
    """Return a key that models share which read the same classifier: one for the expected, one for the median star."""
    return str(settings(model.classifier if isinstance(model, ExpectedStarRegressor) else model))


def what_is_shared(model: Any) -> str:
    """Return a key that models share which are fitted best together: one holds what others are, or are made of."""
    if isinstance(model, MeanRegressor):
        parts = [part for _, part in model.estimators if isinstance(part, ExpectedStarRegressor)]
        return what_is_shared(parts[0]) if parts else what_is_fitted(model)
    if recalibrates(model):
        return str(settings(clone(model.classifier).set_params(recalibrate=False)))
    return what_is_fitted(model)


def fit_models(
    models: Mapping[str, Any], train: tuple[Any, ...], X_test: Any, features: str
) -> Iterator[Fitted | PipelineError]:
    """Fit models and predict; what a model does not take is yielded as an error, not raised.

    A classifier that several models read is fitted once, and so are unit spaces whose recalibrated kind came before.

    Parameters
    ----------
    models : mapping of str to unfitted model
        By their names.
    train : tuple of columns or texts, stars, and perhaps weights
    X_test : columns or texts
    features : str
        The feature set, for errors.
    """
    known: _Known = {}
    for name, model in models.items():
        try:
            with quiet():
                seconds, peak = _fit(model, train, known)
                started = time.perf_counter()
                predictions = np.asarray(model.predict(X_test), dtype=np.float64).reshape(-1)
                predicting = time.perf_counter() - started
        except ValueError as error:
            yield PipelineError(f"{name} on {features}: {first_line(error)}")
            continue
        if not np.isfinite(predictions).all():
            yield PipelineError(f"{name} on {features} predicts values that are not finite: mend the model")
            continue
        yield Fitted(name, model, predictions, _n_columns(model, train[0]), seconds, predicting, peak)


def recalibrates(model: Any) -> bool:
    """Return whether a model reads unit spaces a second time, so that it holds the plain ones, too."""
    return isinstance(model, ExpectedStarRegressor) and getattr(model.classifier, "recalibrate", False)


def _fit(model: Any, train: tuple[Any, ...], known: _Known) -> tuple[float, float]:
    """Fit a model, or hand it what is fitted already; return seconds and growth of memory in MB."""
    if isinstance(model, MeanRegressor) and "drop" not in dict(model.estimators).values():
        parts = [clone(part) for _, part in model.estimators]
        costs = [_fit(part, train, known) for part in parts]
        model.take_fitted(parts)
        return sum(seconds for seconds, _ in costs), max(peak for _, peak in costs)
    if (key := what_is_fitted(model)) in known:
        model.classifier_, model.classes_per_star_, seconds, peak = known[key]
        return seconds, peak
    with _peak() as grown:
        started = time.perf_counter()
        if len(train) > 2:
            fit_weighted(model, *train)
        else:
            model.fit(*train)
        seconds = time.perf_counter() - started
    if isinstance(model, ExpectedStarRegressor):
        known[key] = (model.classifier_, model.classes_per_star_, seconds, grown[0])
        if recalibrates(model):
            plain = clone(model.classifier).set_params(recalibrate=False)
            known[str(settings(plain))] = (model.classifier_.first_stage(), *known[key][1:])
    return seconds, grown[0]


def _n_columns(model: Any, X: Any) -> int:
    """Return how many columns a model read; what reads texts makes its columns itself."""
    last = model[-1] if isinstance(model, Pipeline) else model
    return X.shape[1] if X.ndim > 1 else getattr(last, "n_features_in_", 0)


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
