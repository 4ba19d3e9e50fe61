"""Learning curves of any estimators on nested stratified draws, with intervals and a verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import rankdata
from sklearn.base import clone

from pipeline.errors import first_line, needs_extra
from pipeline.evaluation.comparison import how_measured
from pipeline.evaluation.draws import draw, draw_sizes
from pipeline.evaluation.inputs import as_target, check_names, check_order, check_whole
from pipeline.evaluation.measured import Measured, measure, with_holm
from pipeline.evaluation.printed import Printed, shown_digits, too_few
from pipeline.evaluation.verdict import who_is_ahead
from pipeline.scale import Scale

SIZES = (10, 30, 100, 300, 1000)
_MANY_VALUES = 20  # of a target that is stratified by its tenths


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurve(Printed):
    """Scores of estimators by the number of training rows; print it, or take its tables.

    Attributes
    ----------
    scores : DataFrame with columns n_train, n_draws, name, score, low, high, sd
        Mean over the draws with its 95% interval, and standard deviation over them, nan where there is one draw.
    differences : DataFrame with columns n_train, a, b, difference, low, high, p, p_holm, ahead
        As in `Comparison`; `p_holm` is adjusted for all pairs at all sizes.
    verdict : str
        At which sizes which estimator is ahead.
    how : str
        How the largest size was measured.
    metric : str
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    verdict: str
    how: str
    metric: str

    def frame(self) -> pd.DataFrame:
        """Return a copy of `scores`."""
        return self.scores.copy()

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the curves with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default a new figure.
        **kwargs : dict
            Properties of the lines, passed to `Axes.plot`.

        Returns
        -------
        Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        with needs_extra("LearningCurve.plot", "workbench"):
            import matplotlib.pyplot as plt

        from pipeline.taguchi.plots.names import labels, legend

        ax = plt.subplots()[1] if ax is None else ax
        for name, curve in self.scores.groupby("name", sort=False):
            look = {"marker": "o", **kwargs, "label": labels([name])[0]}
            (line,) = ax.plot(curve["n_train"], curve["score"], **look)
            ax.fill_between(curve["n_train"], curve["low"], curve["high"], color=line.get_color(), alpha=0.15)
        ax.set(xscale="log", xlabel="training rows", ylabel=self.metric)
        sizes = sorted(set(self.scores["n_train"]))
        ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
        ax.set_xticks([], minor=True)
        legend(ax)
        return ax

    def _tables(self) -> list[pd.DataFrame]:
        return [self.scores]


def learning_curve(
    estimators: Mapping[Any, Any],
    X: Any,
    y: npt.ArrayLike,
    X_test: Any,
    y_test: npt.ArrayLike,
    sizes: Mapping[int, int] | Sequence[int] = SIZES,
    *,
    n_draws: int = 10,
    metric: str | Callable[[Any, Any], float] = "qwk",
    scale: Scale | None = None,
    greater_is_better: bool | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> LearningCurve:
    """Fit estimators on growing draws of the training rows, and compare them at each size on held-out rows.

    Draws are nested and stratified: the draws of one repeat begin alike, and each holds its share of every target
    value, or of every tenth of a target with more than 20 values. All estimators get the same draws.

    Parameters
    ----------
    estimators : mapping of str to estimator
        Of scikit-learn's kind, by name; they are cloned.
    X, X_test : array, sparse matrix, DataFrame or list
        Rows to train on and held-out rows, whatever the estimators take.
    y, y_test : array-like of shape (n_train,), (n_test,)
    sizes : mapping of int to int, or sequence of int, default=(10, 30, 100, 300, 1000)
        Numbers of training rows, and of draws of each. Sizes below `n_train` are used, and `n_train` itself, once: its
        interval does not cover the choice of the training rows. Draws of more than half of them differ too little.
    n_draws : int, default=10
        Draws of each size of a sequence.
    metric, scale, greater_is_better, groups, n_resamples, random_state
        As in `compare`; `groups` are those of the held-out rows, and `random_state` decides on the draws, too.
    n_jobs : int, optional
        Fits at a time, as joblib takes it.

    Returns
    -------
    LearningCurve

    Raises
    ------
    ValueError
        If an estimator fails on a draw, sizes are no whole numbers, or for the reasons of `compare`.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> x = np.linspace(0, 1, 80)[:, None]
    >>> models = {"line": LinearRegression(), "mean": DummyRegressor()}
    >>> curve = learning_curve(models, x[::2], x[::2, 0], x[1::2], x[1::2, 0], {10: 3}, metric="mae")
    >>> curve.frame()[["n_train", "name", "score"]].round(2).to_numpy().tolist()
    [[10, 'line', 0.0], [10, 'mean', 0.25], [40, 'line', 0.0], [40, 'mean', 0.25]]
    """
    check_names(estimators, "estimators")
    target = as_target(y)
    for name, rows, targets in (("", X, target), ("_test", X_test, as_target(y_test, "y_test"))):
        if _n_rows(rows) != len(targets):
            message = f"X{name} has {_n_rows(rows)} rows and y{name} has {len(targets)}: give a target for each row."
            raise ValueError(message)
    check_order({"y": y, "X": X})
    check_order({"y_test": y_test, "X_test": X_test, "groups": groups})
    check_whole(random_state, "random_state")
    sizes = _sizes(sizes, n_draws)
    if any(n < 1 or repeats < 1 for n, repeats in sizes.items()):
        raise ValueError(f"Got {len(estimators)} estimators and sizes {sizes}: give one or more, above 0.")
    drawn, strata = draw_sizes(sizes, len(target)), _strata(target)
    work = [(name, n, repeat) for n, repeats in drawn.items() for repeat in range(repeats) for name in estimators]
    predicted = Parallel(n_jobs=n_jobs)(
        delayed(_predict)(name, estimators[name], X, target, X_test, draw(strata, n, repeat, random_state), n)
        for name, n, repeat in work
    )
    by_work = dict(zip(work, predicted, strict=True))
    options: dict[str, Any] = {"greater_is_better": greater_is_better, "groups": groups}
    options |= {"n_resamples": n_resamples, "random_state": random_state}
    measured = {}
    for n, repeats in drawn.items():
        predictions = {name: np.stack([by_work[name, n, repeat] for repeat in range(repeats)]) for name in estimators}
        measured[n] = measure(y_test, predictions, metric, scale, **options)
    return _curve(measured)


def _curve(measured: dict[int, Measured]) -> LearningCurve:
    largest = measured[max(measured)]
    metric = largest.metric
    tables = []
    for n, each in measured.items():
        spreads = each.by_draw.std(axis=1, ddof=1) if each.by_draw.shape[1] > 1 else np.nan
        tables.append(each.scores.assign(n_train=n, n_draws=each.by_draw.shape[1], sd=spreads))
    scores = pd.concat(tables, ignore_index=True)
    scores = scores[["n_train", "n_draws", "name", "score", "low", "high", "sd"]]
    differences = pd.concat([each.differences.assign(n_train=n) for n, each in measured.items()], ignore_index=True)
    differences.insert(0, "n_train", differences.pop("n_train"))
    differences = with_holm(differences, metric.greater_is_better, largest.n_units)
    verdict = (
        _verdict(differences, largest) if len(differences) else f"{largest.names[0]} is alone: nothing to compare."
    )
    return LearningCurve(scores, differences, verdict, how_measured(largest), metric.name)


def _verdict(differences: pd.DataFrame, measured: Measured) -> str:
    if few := too_few(measured.n_units, measured.n_rows):
        return few
    sign, digits = (1 if measured.metric.greater_is_better else -1), shown_digits(differences)
    ahead = differences.assign(**{key: sign * differences[key] for key in ("difference", "low", "high")})
    sentences = []
    n_pairs = len(list(combinations(measured.names, 2)))
    for start in range(n_pairs):
        # Each size has the pairs in the same order.
        sentences.append(f"{who_is_ahead(ahead[start::n_pairs], measured.n_units, 'training rows', digits)}.")
    return " ".join(sentences)


def _predict(
    name: Any, estimator: Any, X: Any, y: npt.NDArray[Any], X_test: Any, rows: npt.NDArray[np.intp], n: int
) -> npt.NDArray[Any]:
    try:
        return np.asarray(clone(estimator).fit(_take(X, rows), y[rows]).predict(X_test)).reshape(-1)
    except Exception as error:
        raise ValueError(f"{name!r} fails on a draw of {n} rows: {first_line(error)}") from error


def _sizes(sizes: Any, n_draws: int) -> dict[int, int]:
    """Return the number of draws of each size."""
    if not isinstance(sizes, Iterable):
        raise ValueError(f"sizes must be a list of numbers of rows, got {sizes!r}: give [{sizes!r}].")
    check_whole(n_draws, "n_draws")
    found = dict(sizes) if isinstance(sizes, Mapping) else dict.fromkeys(sizes, n_draws)
    for n, repeats in found.items():
        if not isinstance(n, Integral):
            raise ValueError(f"sizes must be whole numbers of rows, got {n}: give them as integers.")
        check_whole(repeats, f"The number of draws of {n} rows")
    return {int(n): int(repeats) for n, repeats in found.items()}


def _strata(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the stratum of each row: its value, or its tenth where a target of numbers has many values."""
    if y.dtype.kind not in "iuf" or len(np.unique(y)) <= _MANY_VALUES:
        return y
    return np.ceil(10 * rankdata(y) / len(y))


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _take(X: Any, rows: npt.NDArray[np.intp]) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "tocsr"):
        return X.tocsr()[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]
