"""Shared by the tests of the T-methods: reference values of MTSYS, small data, options, and what "equal" means."""

import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import sparse

from pipeline.taguchi import TMethodRegressor

FIVE_STARS = np.array([1.0, 2, 3, 4, 5])
SEEDS = 2**32 - 1
RULES = ["middle", "median", "low", "high", "all"]
# What may be combined with everything else: weights, gaps, sparse items, shards, several targets.
DIAGONAL = [
    {},
    {"unit_space": "low", "subtract_error": False},
    {"unit_space": "high", "recalibrate": True},
    {"unit_space": "median"},
    {"unit_space": "all", "recalibrate": True, "clip": "range"},
]
FULL = [
    {"covariance": "full"},
    {"covariance": "full", "unit_space": "all", "shrinkage": 0.0, "subtract_error": False},
    {"covariance": "full", "unit_space": "low", "shrinkage": 0.3, "recalibrate": True, "clip": "range"},
]
OPTIONS = DIAGONAL + FULL
LEARNED = ["center_", "target_center_", "item_target_center_", "beta_", "eta_", "coef_", "recalibration_", "shrinkage_"]

seeds = st.integers(0, SEEDS)
options = st.sampled_from(OPTIONS)
diagonal_options = st.sampled_from(DIAGONAL)

_FILE = Path(__file__).parents[3] / "shared/reference/mts_reference.json"
_SKIPPED = pytest.param(None, marks=pytest.mark.skip(reason="the reference values of MTSYS are not there"), id="-")


@dataclass(frozen=True)
class Case:
    """One data set of the reference: rows are counted from 0 here."""

    values: dict[str, Any]

    @property
    def X(self):  # noqa: N802 - scikit-learn's name
        return np.delete(np.array(self.values["data"], dtype=float), self._target, axis=1)

    @property
    def y(self):
        return np.array(self.values["data"], dtype=float)[:, self._target]

    def rows(self, name):
        """`name` is one of unit_rows, signal_rows, train_rows_Ta_Tb and test_rows."""
        return np.array(self.values[name]) - 1

    @property
    def _target(self):
        return self.values["columns"].index(self.values["target"])


def reference_cases():
    """Return the cases as parameters of a test; one that is skipped where the file is not there."""
    if not _FILE.is_file():
        return [_SKIPPED]
    cases = json.loads(_FILE.read_text(encoding="utf-8"))["t_methods"]
    return [pytest.param(Case(values), id=name) for name, values in cases.items()]


def same(actual, expected, rtol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-12)


def close(actual, expected, tol=1e-9):
    """Equal up to the share `tol` of the largest value."""
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tol * max(1, largest))


def noisy(seed, n=30, p=4):
    """Items that each say something about the target, and a mask with some rows of a unit space."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    X = np.outer(y, rng.choice([-2, -1, 1, 2], size=p)) + rng.normal(size=(n, p))
    mask = np.zeros(n, dtype=bool)
    mask[rng.choice(n, size=n // 4, replace=False)] = True
    return X, y, mask


def with_gaps(X, seed, share=0.2):
    """Return a copy in which some values are missing, but none of the first three rows."""
    gaps = np.random.default_rng(seed).random(X.shape) < share
    gaps[:3] = False
    return np.where(gaps, np.nan, X)


def with_zeros(X, seed, share=0.6):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, 0, X)


def sparse_forms(X):
    """Yield X as sparse matrices and arrays: plain, with explicit zeros, with entries in parts, with long indices."""
    for form in (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array):
        yield form(X)
    stored = sparse.coo_array(np.ones_like(X))
    rows, columns = stored.coords
    full = (X[rows, columns], (rows, columns))
    first = full[0] / 2
    # A missing value and a number in one place make a missing value.
    halves = (np.concatenate([first, np.where(np.isnan(first), 1, first)]), (np.tile(rows, 2), np.tile(columns, 2)))
    for form in (sparse.csr_array, sparse.csc_array):
        yield form(full, shape=X.shape)
        yield in_parts(form, halves, X.shape)
        long = form(X)
        long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
        yield long


def in_parts(form, entries, shape):
    """Return a sparse array that stores every entry of `entries` as it is, several of one place too."""
    values, (rows, columns) = entries
    major, minor = (rows, columns) if form is sparse.csr_array else (columns, rows)
    order = np.argsort(major, kind="stable")
    indptr = np.searchsorted(major[order], np.arange(shape[form is sparse.csc_array] + 1))
    made = form((values[order], minor[order], indptr), shape=shape)
    assert made.nnz == len(values)
    return made


def agree(a, b, X, tol=1e-9):
    """Two models have learned the same and predict the same."""
    for name in LEARNED:
        close(getattr(a, name), getattr(b, name), tol)
    np.testing.assert_array_equal(a.target_range_, b.target_range_)
    close(a.predict(X), b.predict(X), tol)


@contextmanager
def no_warning_but_of_few_rows():
    """Raise every warning, of overflow say, but those that tell on how few rows the numbers rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", "The unit space|A row with the target|[0-9]+ of [0-9]+ rows differ", UserWarning
        )
        yield


def assert_finite(X, y, option):
    with no_warning_but_of_few_rows():
        model = TMethodRegressor(**option).fit(X, y)
        predictions = model.predict(X)
    for values in (model.center_, model.beta_, model.eta_, model.coef_, model.recalibration_, predictions):
        assert np.isfinite(values).all()
    assert not np.isnan(model.sn_ratio_).any()
    assert not np.isposinf(model.sn_ratio_).any()


def errors_of(model, X, y):
    """Errors ``x_j - beta_j M`` of the items."""
    return X - model.center_ - np.outer(y - model.target_center_, model.beta_)
