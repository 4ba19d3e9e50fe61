"""What docs/t-method.md claims, one test for each claim."""

import io
import re
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import ROOT
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation import ExpectedStarRegressor, MedianStarRegressor
from pipeline.taguchi import (
    MahalanobisTaguchi,
    TMethodRegressor,
    UnitSpaceClassifier,
    UnitSpaceClassifierCV,
    class_moments,
    sensitivity_and_sn_ratio,
    t_moments,
)

SEEDS = st.integers(0, 2**32 - 1)
PAGE = (ROOT / "docs/t-method.md").read_text(encoding="utf-8")


def correlated(seed, n=120, p=5):
    """Items with correlated errors, and a target with five values."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.resize([1.0, 2, 3, 4, 5], n))
    return np.outer(y, rng.normal(size=p)) + rng.normal(size=(n, p)) @ rng.normal(size=(p, p)), y


def error_variance(X, y):
    X, M = X - X.mean(axis=0), y - y.mean()
    return ((X - np.outer(M, M @ X / (M @ M))) ** 2).sum(axis=0) / (len(y) - 1)


def ta(**options):
    return TMethodRegressor(unit_space="all", subtract_error=False, **options)


def test_the_page_names_every_test_here_and_no_other(request):
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named | {request.node.name} == {name for name in globals() if name.startswith("test_")}


@given(seed=SEEDS)
def test_the_estimate_is_the_best_average_of_single_estimates_with_independent_errors(seed):
    X, y = correlated(seed)
    model = ta().fit(X, y)
    single = (X - X.mean(axis=0)) / model.beta_
    np.testing.assert_allclose(
        model.predict(X), y.mean() + np.average(single, axis=1, weights=model.eta_), rtol=1e-6, atol=1e-9
    )
    variance = error_variance(X, y) / model.beta_**2
    np.testing.assert_allclose(1 / model.eta_, variance, rtol=1e-6)
    weights = np.random.default_rng(seed).dirichlet(np.ones(5), size=100)
    best = model.eta_ / model.eta_.sum()
    assert best**2 @ variance <= (weights**2 @ variance).min() * (1 + 1e-9)


@given(seed=SEEDS)
def test_subtracting_the_error_variance_is_the_garrote_on_the_sensitivity(seed):
    X, y = correlated(seed)
    with_it, without = TMethodRegressor("all").fit(X, y), ta().fit(X, y)
    M = y - y.mean()
    F = (M @ M) * without.beta_**2 / error_variance(X, y)
    np.testing.assert_allclose(with_it.eta_, without.eta_ * np.maximum(1 - 1 / F, 0), rtol=1e-9, atol=1e-15)


@given(seed=SEEDS)
def test_ta_is_inverse_regression_with_a_diagonal_error_covariance(seed):
    X, y = correlated(seed)
    model, V_e = ta().fit(X, y), error_variance(X, y)
    weights = model.beta_ / V_e
    np.testing.assert_allclose(model.coef_, weights / (weights @ model.beta_), rtol=1e-8)


@given(seed=SEEDS)
def test_recalibrated_ta_is_pls_with_one_component_on_items_of_equal_error_variance(seed):
    X, y = correlated(seed)
    X = (X - X.mean(axis=0)) / np.sqrt(error_variance(X, y))
    pls = PLSRegression(n_components=1, scale=False).fit(X, y)
    np.testing.assert_allclose(ta(recalibrate=True).fit(X, y).predict(X), pls.predict(X).ravel(), atol=1e-8)


@given(seed=SEEDS)
def test_the_full_covariance_without_shrinkage_is_least_squares_divided_by_its_r2(seed):
    X, y = correlated(seed)
    ols = LinearRegression().fit(X, y)
    full = ta(covariance="full", shrinkage=0)
    expected = y.mean() + (ols.predict(X) - y.mean()) / ols.score(X, y)
    np.testing.assert_allclose(full.fit(X, y).predict(X), expected, atol=1e-6)
    np.testing.assert_allclose(full.set_params(recalibrate=True).fit(X, y).predict(X), ols.predict(X), atol=1e-6)


@given(seed=SEEDS, rule=st.sampled_from(["middle", "low", "all"]), subtract=st.booleans())
def test_the_full_covariance_with_all_shrinkage_is_the_t_method(seed, rule, subtract):
    X, y = correlated(seed)
    diagonal = TMethodRegressor(rule, subtract_error=subtract)
    full = TMethodRegressor(rule, "full", shrinkage=1.0, subtract_error=subtract)
    np.testing.assert_allclose(full.fit(X, y).predict(X), diagonal.fit(X, y).predict(X), atol=1e-8)


@given(seed=SEEDS)
def test_the_nearest_unit_space_with_a_pooled_covariance_is_linear_discriminant_analysis(seed):
    X, y = correlated(seed)
    lda = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.2] * 5).fit(X, y.astype(int))
    spaces = UnitSpaceClassifier("pooled", prior="uniform").fit(X, y.astype(int))
    np.testing.assert_array_equal(spaces.predict(X), lda.predict(X))
    np.testing.assert_array_equal(spaces.classes_[spaces.distance(X).argmin(axis=1)], lda.predict(X))


@given(seed=SEEDS)
def test_the_slope_on_the_target_is_one_and_r2_is_two_less_one_over_the_squared_correlation(seed):
    X, y = correlated(seed)
    y_hat = TMethodRegressor("all").fit(X, y).predict(X)
    M, M_hat = y - y.mean(), y_hat - y.mean()
    assert M @ M_hat / (M @ M) == pytest.approx(1, abs=1e-9)
    assert r2_score(y, y_hat) == pytest.approx(2 - 1 / np.corrcoef(y, y_hat)[0, 1] ** 2, abs=1e-9)


@given(seed=SEEDS)
def test_recalibration_gives_the_r2_of_the_ranks_back(seed):
    X, y = correlated(seed)
    plain, mended = (TMethodRegressor("all", recalibrate=r).fit(X, y).predict(X) for r in (False, True))
    assert r2_score(y, mended) == pytest.approx(np.corrcoef(y, plain)[0, 1] ** 2, abs=1e-9)
    assert spearmanr(plain, mended).statistic == pytest.approx(1)


@given(seed=SEEDS, exponents=st.lists(st.integers(-9, 9), min_size=5, max_size=5))
def test_units_of_measurement_do_not_matter(seed, exponents):
    X, y = correlated(seed)
    scale = 10.0 ** np.array(exponents)
    for options in ({}, {"covariance": "full"}):
        model = TMethodRegressor(**options)
        np.testing.assert_allclose(model.fit(scale * X, y).predict(scale * X), model.fit(X, y).predict(X), atol=1e-6)


@given(seed=SEEDS)
def test_shards_add_up(seed):
    X, y = correlated(seed)
    total = sum(t_moments(X[rows], y[rows], y[rows] == 3, gram=True) for rows in np.array_split(np.arange(len(y)), 4))
    for options in ({}, {"covariance": "full", "recalibrate": True}):
        model = TMethodRegressor(**options)
        np.testing.assert_allclose(
            clone(model).fit_moments(total).predict(X), model.fit(X, y, unit_space_mask=y == 3).predict(X), atol=1e-6
        )


@given(seed=SEEDS)
def test_contributions_sum_up_to_the_prediction(seed):
    X, y = correlated(seed)
    stars = y.astype(int)
    for model in (
        TMethodRegressor(clip="range").fit(X, y),
        ExpectedStarRegressor(UnitSpaceClassifier()).fit(X, stars),
        MedianStarRegressor(UnitSpaceClassifier()).fit(X, stars),
    ):
        base, items, _, rest = model.contributions(X)
        np.testing.assert_allclose(base + items.sum(axis=1) + rest, model.predict(X), rtol=0, atol=1e-9)


@settings(max_examples=20)
@given(seed=SEEDS)
def test_plants_that_exchange_sums_have_the_fit_on_all_rows(seed):
    X, y = correlated(seed)
    plants = np.array_split(np.random.default_rng(seed).permutation(len(y)), [20, 70])
    sums = [class_moments(X[rows], y[rows]) for rows in plants]
    for model in (TMethodRegressor(), ta(), TMethodRegressor("low", "full", recalibrate=True)):
        expected = clone(model).fit(X, y)
        for i, rows in enumerate(plants):
            here = clone(model).set_params(know_how=sum(sums[:i] + sums[i + 1 :])).fit(X[rows], y[rows])
            np.testing.assert_allclose(here.coef_, expected.coef_, rtol=0, atol=1e-9 * np.abs(expected.coef_).max())
            np.testing.assert_allclose(here.predict(X), expected.predict(X), rtol=1e-9, atol=1e-9)
    expected = UnitSpaceClassifier().fit(X, y).predict_proba(X)
    here = UnitSpaceClassifier(know_how=sums[1] + sums[2]).fit(X[plants[0]], y[plants[0]])
    np.testing.assert_allclose(here.predict_proba(X), expected, atol=1e-9)


@given(seed=SEEDS, w=st.sampled_from([0.125, 0.5, 2.0]))
def test_a_factor_is_a_weight_of_the_rows_elsewhere(seed, w):
    X, y = correlated(seed)
    known = class_moments(X[:90], y[:90])
    expected = TMethodRegressor().fit(X, y, sample_weight=np.append(np.full(90, w), np.ones(30))).predict(X)
    for sums in (known * w, known.counting_as(90 * w)):
        model = TMethodRegressor(know_how=sums).fit(X[90:], y[90:])
        np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9, atol=1e-9)


def errors(n_train, error_of, n_draws=20):
    """Mean absolute errors of Ta, Ta with full covariance and Ridge, over draws of 40 weak items."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(n_draws):
        y = rng.integers(1, 6, n_train + 500).astype(float)
        slopes = rng.choice([-1, 1], 40) * rng.uniform(0.2, 0.5, 40)
        X = np.outer(y, slopes) + error_of(rng, len(y))
        models = (
            TMethodRegressor("all"),
            TMethodRegressor("all", "full"),
            make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))),
        )
        predictions = [model.fit(X[:n_train], y[:n_train]).predict(X[n_train:]) for model in models]
        result.append([mean_absolute_error(y[n_train:], np.clip(each, 1, 5)) for each in predictions])
    return np.mean(result, axis=0)


@pytest.mark.parametrize("n_train", [20, 30, 100])
def test_it_wins_where_items_err_independently(n_train):
    t_method, _, ridge = errors(n_train, lambda rng, n: rng.normal(size=(n, 40)))
    assert t_method < 0.97 * ridge


def test_it_loses_where_items_share_their_errors_and_the_full_covariance_brings_most_of_that_back():
    def shared(rng, n):
        return 3 * rng.normal(size=(n, 3)) @ rng.normal(size=(3, 40)) + rng.normal(size=(n, 40))

    t_method, full, ridge = errors(400, shared)
    assert ridge < 0.5 * t_method
    assert full < 1.1 * ridge


def test_an_item_that_carries_nothing_has_weight_exactly_zero():
    _, eta = sensitivity_and_sn_ratio(r=10.0, L=[0.0, 1.0, 20.0], S_T=[5.0, 5.0, 41.0], n=5)
    assert eta[:2].tolist() == [0, 0]
    assert eta[2] > 0
    X, y = correlated(0)
    X[:, 1] = 7
    assert TMethodRegressor().fit(X, y).coef_[1] == 0


def test_it_says_where_it_rests_on_few_rows():
    rng = np.random.default_rng(0)
    y = np.append(rng.normal(150, 20, size=91), 1e4)
    X = np.append(y[:91] + rng.normal(size=91), 150)[:, None]
    with pytest.warns(UserWarning, match="The unit space holds 1 of 92 rows"):
        assert TMethodRegressor().fit(X, y).n_unit_space_ == 1
    with pytest.warns(UserWarning, match="A row with the target 10000 makes 100% of the sum of squares"):
        assert TMethodRegressor("median").fit(X, y).n_unit_space_ == 19
    usual = TMethodRegressor("median").fit(X, y, sample_weight=y < 1000)
    assert usual.predict([[140.0]])[0] == pytest.approx(140, abs=1)


def test_shrinking_gives_new_ordinary_rows_their_distance_back():
    squared = np.empty((20, 2))
    for seed, means in enumerate(squared):
        X, new = np.random.default_rng(seed).normal(size=(2, 100, 10))
        with pytest.warns(UserWarning, match="The unit space has 15 rows for a covariance of 10 items"):
            plain = MahalanobisTaguchi().fit(X[:15])
        models = plain, MahalanobisTaguchi(shrinkage="auto").fit(X[:15])
        means[:] = [(model.distance(new) ** 2).mean() for model in models]
    # The mean of the formula in `MahalanobisTaguchi` is 5.
    assert squared.mean(axis=0)[0] > 4
    assert squared.mean(axis=0)[1] == pytest.approx(1, abs=0.4)


def test_probabilities_that_are_too_certain_are_repaired():
    rng = np.random.default_rng(0)
    y, new_y = rng.integers(1, 6, size=(2, 400))

    def items(y):
        # 40 copies of one measurement: without correlations they count as 40.
        return (y + rng.normal(size=len(y)))[:, None] + 0.5 * rng.normal(size=(len(y), 40))

    X, new = items(y), items(new_y)

    def brier_score(model):
        return ((model.fit(X, y).predict_proba(new) - np.eye(5)[new_y - 1]) ** 2).sum(axis=1).mean()

    right = brier_score(UnitSpaceClassifier(shrinkage=0.0))
    assert brier_score(UnitSpaceClassifierCV([1.0])) > 1.25 * right
    assert brier_score(UnitSpaceClassifierCV([1.0], recalibrate=True)) < 1.03 * right


@pytest.mark.slow
def test_eight_runs_tune_a_pipeline_and_new_reviews_confirm_the_gain():
    (found,) = re.findall(r"```python\n([^`]*parameter_design\(.*?)```\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
    code, expected = found
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "t-method.md", "exec"), names)
    assert output.getvalue() == expected
    design = names["design"]
    assert (design.array, len(design.runs)) == ("L8", 8)
    gain = design.confirm(names["predict"](slice(450, 600)), signal=names["stars"][450:600]).loc["gain"]
    assert gain["confirmed"] == pytest.approx(gain["predicted"], abs=0.1)
