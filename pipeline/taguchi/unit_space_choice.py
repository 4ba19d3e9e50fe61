"""The shrinkage of unit spaces, chosen by held-out rows."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax, stdtrit
from sklearn.model_selection import KFold, check_cv

from pipeline.taguchi.base import AnyArray, Array, Indices, Mask
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.unit_space_correlation import Linear, fitted, fitted_sums
from pipeline.taguchi.unit_space_rows import ClassRows
from pipeline.taguchi.unit_space_sums import sums_of

# Of the t distribution, up to which a difference may be chance.
_QUANTILE = 0.975
# Of a logarithm from the mean: a second stage squares it.
_FARTHEST = 1e100

Folds = list[tuple[Indices, Indices]]


class Choice(NamedTuple):
    """The chosen shrinkage, and what speaks for it.

    Parameters
    ----------
    shrinkage : float
    scores : ndarray of shape (n_shrinkages,)
        Brier scores; NaN where no row is held out.
    held_out : ndarray of bool of shape (n_rows,)
        Which rows were held out.
    log_posterior : ndarray of shape (n_rows, n_classes)
        Of held-out rows, with this shrinkage, measured from the mean over the classes.
    """

    shrinkage: float
    scores: Array
    held_out: Mask
    log_posterior: Array


def _fitted_fold(
    data: ClassRows, classes: AnyArray, known: ClassMoments | None, shrinkages: Array
) -> tuple[Indices, list[Linear]]:
    """Return the codes of the classes in training rows and know-how together, and the model of each shrinkage."""
    if known is None:
        seen, codes = np.unique(data.codes, return_inverse=True)
        spaces, correlation = fitted(data._replace(codes=codes))
    else:
        sums = sums_of(data, classes) + known
        seen = np.searchsorted(classes, sums.classes)
        spaces, correlation = fitted_sums(sums)
    return seen, [correlation.linear(spaces, shrinkage) for shrinkage in shrinkages]


def _from_mean(log_posterior: Array) -> Array:
    """Measure each row's logarithms from their mean; a class without any counts as the least probable other one."""
    lowest = np.where(np.isfinite(log_posterior), log_posterior, np.inf).min(axis=-1, keepdims=True)
    log_posterior = np.maximum(log_posterior, lowest)
    return np.clip(log_posterior - log_posterior.mean(axis=-1, keepdims=True), -_FARTHEST, _FARTHEST)


def _largest_as_good(shrinkages: Array, errors: Array, weight: Array) -> float:
    """Return the largest shrinkage whose errors exceed the smallest ones by no more than chance.

    Parameters
    ----------
    shrinkages : ndarray of shape (n_shrinkages,)
    errors : ndarray of shape (n_shrinkages, n_held_out)
    weight : ndarray of shape (n_held_out,)
    """
    n = weight.sum()
    if n < 2:
        return float(shrinkages.max())
    scores = errors @ weight / n
    worse = errors - errors[scores.argmin()]
    mean = worse @ weight / n
    standard_error = np.sqrt((worse - mean[:, None]) ** 2 @ weight / (n * (n - 1)))
    chance = stdtrit(n - 1, _QUANTILE) * standard_error
    return float(shrinkages[mean <= chance + 1e-9 * scores.min()].max())


def folds_of(cv: Any, data: ClassRows, y: Any) -> Folds:
    """Return the places of training and held-out rows among the rows that count."""
    if cv is None or isinstance(cv, Integral):
        n_folds = min(5 if cv is None else int(cv), len(data.rows))
        return list(KFold(n_folds, shuffle=True, random_state=0).split(data.rows)) if n_folds > 1 else []
    train_and_test = check_cv(cv).split(data.X, y)
    return [(np.flatnonzero(np.isin(data.rows, a)), np.flatnonzero(np.isin(data.rows, b))) for a, b in train_and_test]


def choose(
    data: ClassRows, folds: Folds, classes: AnyArray, shrinkages: Array, known: ClassMoments | None = None
) -> Choice:
    """Choose the shrinkage.

    Parameters
    ----------
    data : ClassRows
    folds : list of (train, test)
        From `folds_of`. A row that is held out several times counts once, with the mean of its errors.
    classes : ndarray of shape (n_classes,)
        The class of each code.
    shrinkages : ndarray of shape (n_shrinkages,)
        The candidates.
    known : ClassMoments, optional
        Part of the training data of every fold.
    """
    n = len(data.rows)
    errors, times = np.zeros((len(shrinkages), n)), np.zeros(n)
    from_mean = np.zeros((len(shrinkages), n, len(classes)))
    for train, test in folds:
        seen, models = _fitted_fold(data.part(train), classes, known, shrinkages)
        # A class without a training row keeps the probability 0.
        log_posterior = np.full((len(shrinkages), len(test), len(classes)), -np.inf)
        X = data.X[data.rows[test]]
        for i, model in enumerate(models):
            log_posterior[i][:, seen] = model(X)
        truth = np.eye(len(classes))[data.codes[test]]
        errors[:, test] += ((softmax(log_posterior, axis=2) - truth) ** 2).sum(axis=2)
        from_mean[:, test] += _from_mean(log_posterior)
        times[test] += 1
    held_out = times > 0
    weight = (np.ones(n) if data.weight is None else data.weight)[held_out]
    errors = errors[:, held_out] / times[held_out]
    scores = errors @ weight / weight.sum() if held_out.any() else np.full(len(shrinkages), np.nan)
    chosen = _largest_as_good(shrinkages, errors, weight)
    columns = from_mean[np.argmax(shrinkages == chosen)] / np.maximum(times, 1)[:, None]
    return Choice(chosen, scores, held_out, columns)
