"""Learning curves of any estimators on any rows."""

import importlib.util
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline

from pipeline.evaluation import compare, learning_curve
from pipeline.evaluation.draws import draw

SIZES = {10: 4, 40: 3}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ [3.0, 1.0, 0.0] + rng.normal(size=200)
    return X[:100], y[:100], X[100:], y[100:]


def models():
    return {"line": LinearRegression(), "mean": DummyRegressor()}


class Strata(RegressorMixin, BaseEstimator):
    """Remembers the targets that it was fitted on."""

    seen: list[np.ndarray] = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append(y)
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_each_point_is_what_compare_says_of_the_draws(table):
    X, y, X_test, y_test = table
    curve = learning_curve(models(), *table, SIZES, metric="mae", n_resamples=100)
    strata = np.ceil(np.argsort(np.argsort(y)) / 10 + 0.1)
    for n, repeats in (SIZES | {100: 1}).items():
        rows = [draw(strata, n, repeat, 0) for repeat in range(repeats)]
        fitted = {
            name: [model.fit(X[some], y[some]).predict(X_test) for some in rows] for name, model in models().items()
        }
        compared = compare(y_test, fitted, "mae", n_resamples=100)
        point = curve.frame()[curve.frame()["n_train"] == n]
        np.testing.assert_allclose(point[["score", "low", "high"]], compared.scores[["score", "low", "high"]])
        spreads = (
            [np.std([mean_absolute_error(y_test, each) for each in fitted[name]], ddof=1) for name in fitted]
            if (repeats > 1)
            else [np.nan] * 2
        )
        np.testing.assert_allclose(point["sd"], spreads)
        pair = curve.differences[curve.differences["n_train"] == n]
        assert pair["p"].item() == pytest.approx(compared.differences["p"].item())
        assert pair["p_holm"].item() >= pair["p"].item()
    assert curve.verdict.startswith(
        "Of the sizes from 10 to 100 training rows, line is ahead with 10, 40 and 100 train"
    )
    assert str(curve).startswith(f"{curve.verdict}\nMean absolute error (less is better), with 95% intervals from 100")


@pytest.mark.parametrize("kind", [csr_array, pd.DataFrame, np.ndarray.tolist], ids=["sparse", "frame", "list"])
def test_any_kind_of_rows_gives_equal_curves(table, kind):
    X, y, X_test, y_test = table
    options = {"metric": "mae", "n_resamples": 10}
    expected = learning_curve(models(), *table, SIZES, **options)
    with parallel_config("threading", n_jobs=2):
        found = learning_curve(models(), kind(X), list(y), kind(X_test), pd.Series(y_test), SIZES, **options)
    np.testing.assert_allclose(found.scores["score"], expected.scores["score"])


def test_texts_with_words_for_targets():
    texts, y = ["good food", "bad food", "good wine", "bad wine"] * 20, ["yes", "no"] * 40
    lines = {"words": make_pipeline(CountVectorizer(), LogisticRegression()), "one": DummyClassifier()}
    curve = learning_curve(lines, texts, y, texts, y, [8], n_draws=2, metric="accuracy")
    assert curve.frame()["score"].tolist() == [1.0, 0.5, 1.0, 0.5]
    assert curve.frame()["n_draws"].tolist() == [2, 2, 1, 1]


def test_draws_hold_each_tenth_of_a_continuous_target_and_are_nested():
    y = np.random.default_rng(0).exponential(size=100)
    Strata.seen.clear()
    learning_curve({"s": Strata()}, np.zeros((100, 1)), y, np.zeros((40, 1)), y[:40], {10: 3, 30: 3}, metric="mae")
    small, large = Strata.seen[:3], Strata.seen[3:6]
    edges = np.quantile(y, np.arange(0.1, 1, 0.1))
    for few, more in zip(small, large, strict=True):
        assert np.bincount(np.searchsorted(edges, few), minlength=10).tolist() == [1] * 10
        assert np.bincount(np.searchsorted(edges, more), minlength=10).tolist() == [3] * 10
        assert set(few) < set(more)
    assert set(small[0]) != set(small[1])


def test_one_estimator_has_a_curve_and_nothing_to_compare(table):
    curve = learning_curve({"line": LinearRegression()}, *table, SIZES, metric="mae", n_resamples=10)
    assert curve.verdict == "line is alone: nothing to compare."
    assert len(curve.differences) == 0
    assert "line" in str(curve)


def test_a_draw_that_an_estimator_cannot_be_fitted_on_is_named(table):
    X, y, X_test, y_test = table
    with pytest.raises(ValueError, match=r"'logistic' fails on a draw of 2 rows: .*at least 2 classes") as caught:
        learning_curve({"logistic": LogisticRegression()}, X, y > 9, X_test, y_test > 0, {2: 1}, metric="accuracy")
    assert "\n" not in str(caught.value)


def test_lengths_and_sizes_are_checked(table):
    X, y, X_test, y_test = table
    with pytest.raises(ValueError, match="X has 100 rows and y has 99: give a target for each row"):
        learning_curve(models(), X, y[:99], X_test, y_test)
    with pytest.raises(ValueError, match=r"Got 2 estimators and sizes \{0: 1\}: give one or more, above 0"):
        learning_curve(models(), *table, {0: 1})
    with pytest.raises(ValueError, match="X_test has 100 rows and y_test has 50: give a target"):
        learning_curve(models(), X, y, X_test, y_test[:50], SIZES, metric="mae")


def test_the_plot_has_a_curve_for_each_estimator(table):
    plt = pytest.importorskip("matplotlib.pyplot", reason="the extra workbench is not installed")
    curve = learning_curve(models(), *table, SIZES, metric="mae", n_resamples=10)
    figure, ax = plt.subplots()
    assert curve.plot(ax) is ax
    assert [line.get_label() for line in ax.lines] == ["line", "mean"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve.frame()["score"][::2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training rows", "mean absolute error")
    plt.close(figure)


def test_the_plot_takes_any_names_and_properties_of_lines(table):
    plt = pytest.importorskip("matplotlib.pyplot", reason="the extra workbench is not installed")
    other = "cost in $" if importlib.util.find_spec("matplotlib_fontja") is None else "温度"
    named = dict(zip(("$a_{$ and $b$", other), models().values(), strict=True))
    ax = learning_curve(named, *table, SIZES, metric="mae", n_resamples=10).plot(linestyle="--", marker="s")
    with warnings.catch_warnings(action="error"):
        ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(named)
    assert [(line.get_linestyle(), line.get_marker()) for line in ax.lines] == [("--", "s")] * 2
    plt.close(ax.figure)


def test_less_is_better_or_greater_is_better_as_the_metric_says(table):
    lines, options = {"mean": DummyRegressor(), "line": LinearRegression()}, {"n_draws": 2, "n_resamples": 100}
    error = learning_curve(lines, *table, [20], metric="mae", **options)
    score = learning_curve(lines, *table, [20], metric=r2_score, **options)
    for curve in (error, score):
        assert "mean is ahead at no size, and line is ahead with 20 and 100 training rows" in curve.verdict
        assert curve.differences["ahead"].tolist() == ["line", "line"]
    assert error.differences["difference"].min() > 0 > score.differences["difference"].max()


def test_claims_have_the_digits_of_the_table_in_any_unit(table):
    X, y, X_test, y_test = table
    options = {"sizes": [20], "n_draws": 2, "metric": "mae", "n_resamples": 100}
    tiny = learning_curve(models(), X, 1e-9 * y, X_test, 1e-9 * y_test, **options)
    assert re.search(r"by up to \d\.\d\de-09 \(\d\.\d\de-09 to \d\.\d\de-09\) with 100,", tiny.verdict)
    large = learning_curve(models(), X, 1e9 * y, X_test, 1e9 * y_test, **options)
    assert re.search(r"by up to \d{10} \(\d{10} to \d{10}\) with 100,", large.verdict)


def test_on_few_held_out_rows_nothing_is_claimed(table):
    X, y, X_test, y_test = table
    curve = learning_curve(models(), X, y, X_test[:29], y_test[:29], SIZES, metric="mae", n_resamples=10)
    assert curve.verdict == "29 rows are too few to tell models apart: nothing is claimed with fewer than 30."


def test_names_of_any_kind_come_back_as_they_are_and_a_curve_shows_itself(table):
    lines = {False: DummyRegressor(), True: LinearRegression()}
    curve = learning_curve(lines, *table, SIZES, metric="mae", n_resamples=50)
    assert curve.differences["ahead"].tolist() == [True] * 3
    assert curve.verdict.startswith(
        "Of the sizes from 10 to 100 training rows, False is ahead at no size, and True is ah"
    )
    assert repr(curve) == str(curve)
    assert curve._repr_html_().count("<table") == 1


def test_rows_in_another_order_are_refused(table):
    X, y, X_test, y_test = table
    frame, target = pd.DataFrame(X), pd.Series(y)
    with pytest.raises(ValueError, match="y and X have different indexes, such as 99 and 0 in row 0"):
        learning_curve(models(), frame, target[::-1], X_test, y_test)
    for options in ({}, {"groups": target}):
        with pytest.raises(ValueError, match=r"y_test and (X_test|groups) have different indexes"):
            learning_curve(models(), X, y, X_test if options else frame, pd.Series(y_test)[::-1], **options)


class Broken(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        raise KeyError("no such item\nin the table")


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([LinearRegression()], {}, "Got list without names: give a dict of names and estimators"),
        ({None: LinearRegression()}, {}, "Got None as a name of estimators"),
        ({"a": LinearRegression}, {}, "'a' fails on a draw of 10 rows: .* instead of a class"),
        ({"a": Broken()}, {}, "'a' fails on a draw of 10 rows: 'no such item"),
        (models(), {"sizes": 20}, r"sizes must be a list of numbers of rows, got 20: give \[20\]"),
        (models(), {"sizes": {0.1, 0.5}}, "sizes must be whole numbers of rows, got 0"),
        (models(), {"sizes": np.logspace(1, 2, 3)}, "sizes must be whole numbers of rows, got "),
        (models(), {"sizes": {20: 2.5}}, "The number of draws of 20 rows must be a whole number from 0 on, got 2.5"),
        (models(), {"n_draws": 2.5}, "n_draws must be a whole number from 0 on, got 2.5"),
        (models(), {"random_state": None}, "random_state must be a whole number from 0 on, got None"),
    ],
)
def test_what_makes_no_curve_is_refused_in_one_line(table, lines, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        learning_curve(lines, *table, **{"sizes": SIZES, "metric": "mae", "n_resamples": 10} | options)
    assert "\n" not in str(caught.value)


def test_two_targets_are_refused(table):
    X, y, X_test, y_test = table
    with pytest.raises(ValueError, match=r"y must be one-dimensional, got shape \(100, 2\)"):
        learning_curve(models(), X, np.stack([y, y], axis=1), X_test, y_test)
    with pytest.raises(ValueError, match=r"y_test must be one-dimensional, got shape \(100, 2\)"):
        learning_curve(models(), X, y, X_test, np.stack([y_test, y_test], axis=1))
