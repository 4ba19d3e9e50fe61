"""Least squares, inverse regression and PLS as forms of the T-method; shrinkage, recalibration, many rows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.covariance import oas
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from t_data import (
    FIVE_STARS,
    agree,
    close,
    errors_of,
    noisy,
    options,
    same,
    seeds,
)

from pipeline.taguchi import TMethodRegressor
from pipeline.taguchi.shrinkage import oas_shrinkage
from pipeline.taguchi.t_estimate import _shares


class TestFacts:
    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(20, 60), p=st.integers(1, 8), weighted=st.booleans())
    def test_the_full_covariance_without_shrinkage_is_least_squares_over_its_r2(self, seed, n, p, weighted):
        X, y, _ = noisy(seed, n, p)
        weight = np.random.default_rng(seed).integers(1, 4, size=n) if weighted else None
        model = TMethodRegressor("all", covariance="full", shrinkage=0, subtract_error=False)
        model.fit(X, y, sample_weight=weight)
        least_squares = LinearRegression().fit(X, y, sample_weight=weight)
        mean, r2 = np.average(y, weights=weight), least_squares.score(X, y, sample_weight=weight)
        new = np.random.default_rng(seed).normal(size=(10, p))
        close(model.predict(new) - mean, (least_squares.predict(new) - mean) / r2, 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds)
    def test_with_a_unit_space_it_is_least_squares_through_its_centre(self, seed):
        X, y, mask = noisy(seed)
        model = TMethodRegressor(covariance="full", shrinkage=0, subtract_error=False).fit(X, y, mask)
        D, M = X[~mask] - X[mask].mean(axis=0), y[~mask] - y[mask].mean()
        coef = np.linalg.lstsq(D, M)[0]
        close(model.coef_, coef * (M @ M) / (M @ D @ coef), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 6), shrinkage=st.floats(0.1, 1), subtract=st.booleans())
    def test_the_full_covariance_by_its_definition(self, seed, p, shrinkage, subtract):
        X, y, mask = noisy(seed, n=60, p=p)
        option = {"covariance": "full", "shrinkage": shrinkage, "subtract_error": subtract}
        model = TMethodRegressor(**option).fit(X, y, mask)
        used = model.eta_ > 0
        assume(used.any())
        beta = model.beta_[used]
        E, M = errors_of(model, X[~mask], y[~mask])[:, used], y[~mask] - model.target_center_
        V_e, S_beta = (E**2).sum(axis=0) / (len(M) - 1), beta**2 * (M @ M)
        D = np.diag(np.sqrt(V_e))
        R = np.linalg.inv(D) @ (E.T @ E / (len(M) - 1)) @ np.linalg.inv(D)
        precision = np.linalg.inv(D @ ((1 - shrinkage) * R + shrinkage * np.eye(len(beta))) @ D)
        b = beta * (1 - V_e / S_beta) if subtract else beta
        coef = b @ precision
        # Where correlations leave nothing of what is subtracted from, another rule holds.
        assume(coef @ beta > 0.5 * (beta @ precision @ beta))
        close(model.coef_[used], coef / (coef @ beta), 1e-7)
        assert (model.coef_[~used] == 0).all()

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 40), subtract=st.booleans(), masked=st.booleans())
    def test_complete_shrinkage_is_the_diagonal_t_method(self, seed, p, subtract, masked):
        X, y, mask = noisy(seed, p=p)
        full, diagonal = (
            TMethodRegressor("all", covariance=covariance, shrinkage=1.0, subtract_error=subtract).fit(
                X, y, mask if masked else None
            )
            for covariance in ("full", "diagonal")
        )
        agree(full, diagonal, X)

    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(8, 60), p=st.integers(2, 40), masked=st.booleans())
    def test_the_automatic_shrinkage_is_scikit_learns_oas_of_the_standardised_errors(self, seed, n, p, masked):
        X, y, mask = noisy(seed, n, p)
        signal = ~mask if masked else np.ones(n, dtype=bool)
        model = TMethodRegressor("all", covariance="full", subtract_error=False).fit(X, y, mask if masked else None)
        E = errors_of(model, X[signal], y[signal])
        E /= np.sqrt((E**2).mean(axis=0))
        _, expected = oas(E, assume_centered=True)
        assert model.shrinkage_ == pytest.approx(expected, rel=1e-6)
        assert oas_shrinkage(E.T @ E / len(E), len(E)) == pytest.approx(expected, rel=1e-9)

    def test_the_share_of_shrinkage_is_kept(self):
        X, y, _ = noisy(0)
        assert TMethodRegressor(covariance="full", shrinkage=0.3).fit(X, y).shrinkage_ == 0.3
        assert TMethodRegressor(shrinkage=0.3).fit(X, y).shrinkage_ == 1

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(1, 40))
    def test_ta_without_subtraction_is_diagonal_inverse_regression(self, seed, p):
        X, y, _ = noisy(seed, p=p)
        model = TMethodRegressor("all", subtract_error=False).fit(X, y)
        V_e = (errors_of(model, X, y) ** 2).sum(axis=0) / (len(y) - 1)
        same(model.coef_, model.beta_ / V_e / (model.beta_**2 / V_e).sum(), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, p=st.integers(2, 40))
    def test_on_items_of_equal_error_it_is_the_first_component_of_pls(self, seed, p):
        X, y, _ = noisy(seed, p=p)
        model = TMethodRegressor("all", subtract_error=False).fit(X, y)
        X = X / errors_of(model, X, y).std(axis=0)
        coef = model.fit(X, y).coef_
        component = PLSRegression(n_components=1, scale=False).fit(X, y).x_weights_[:, 0]
        close(coef / np.linalg.norm(coef), component * np.sign(component @ coef), 1e-7)

    @settings(max_examples=30)
    @given(seed=seeds, option=options, weighted=st.booleans())
    def test_recalibration_leaves_residuals_that_have_nothing_to_do_with_the_estimate(self, seed, option, weighted):
        X, y, _ = noisy(seed)
        weight = np.random.default_rng(seed).uniform(0.5, 3, size=len(y)) if weighted else np.ones(len(y))
        option = option | {"recalibrate": False, "clip": None}
        estimate = TMethodRegressor(**option).fit(X, y, sample_weight=weight).predict(X)
        model = TMethodRegressor(**option | {"recalibrate": True}).fit(X, y, sample_weight=weight)
        assume(model.eta_.any())
        y_hat = model.predict(X)
        intercept, slope = model.recalibration_
        close(y_hat, intercept + slope * estimate)
        assert weight @ (y - y_hat) == pytest.approx(0, abs=1e-8)
        assert (weight * (y - y_hat)) @ y_hat == pytest.approx(0, abs=1e-8)
        covariance = np.cov(y, estimate, aweights=weight)
        rho = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert r2_score(y, y_hat, sample_weight=weight) == pytest.approx(rho**2, abs=1e-9)

    def test_recalibration_of_an_estimate_that_says_nothing_is_the_mean(self):
        y = np.array([1.0, 2, 3, 4, 5, 5])
        model = TMethodRegressor(recalibrate=True).fit(np.zeros((6, 2)), y)
        assert model.recalibration_.tolist() == pytest.approx([y.mean(), 0])
        assert model.predict([[0.0, 9]]) == pytest.approx([y.mean()])

    def test_without_recalibration_the_line_is_the_identity(self):
        X, y, _ = noisy(0)
        assert TMethodRegressor().fit(X, y).recalibration_.tolist() == [0, 1]

    @settings(max_examples=20)
    @given(seed=seeds, option=options)
    def test_clip_cuts_the_prediction(self, seed, option):
        X, y, _ = noisy(seed)
        free = TMethodRegressor(**option | {"clip": None}).fit(X, y)
        limits = [(-0.5, 0.25), [-0.5, 0.25], np.array([-0.5, 0.25])]
        for clip, low, high in [*((limit, -0.5, 0.25) for limit in limits), ("range", y.min(), y.max())]:
            model = TMethodRegressor(**option | {"clip": clip}).fit(X, y)
            np.testing.assert_array_equal(model.predict(3 * X), np.clip(free.predict(3 * X), low, high))
        assert model.target_range_.tolist() == [y.min(), y.max()]


class TestSharesOfCorrelatedItems:
    @pytest.mark.slow
    def test_where_shrunken_sensitivities_leave_no_signal_all_of_them_count(self):
        # Five items whose errors nearly cancel, with F between 1.3 and 31.
        rng = np.random.default_rng(0)
        fell_back = 0
        for _ in range(20_000):
            A = rng.normal(size=(5, 6))
            R = np.corrcoef(A)
            F = 1 + rng.exponential(5, 5) ** 2
            u, kept = np.sqrt(F) * rng.choice([-1, 1], 5), 1 - 1 / F
            inverse = np.linalg.inv(R)
            share = _shares(R, u, kept, 0.0)
            if u @ inverse @ (kept * u) < kept.min() * (u @ inverse @ u):
                fell_back += 1
                kept = np.ones(5)
            a = inverse @ (kept * u)
            np.testing.assert_allclose(share, u * a / (u @ a), rtol=1e-3, atol=1e-4)
        assert fell_back


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["middle", "all"])
def test_rows_beyond_one_block_give_the_formula_over_all_rows(rule, dtype):
    rng = np.random.default_rng(0)
    n, p = 200_000, 4
    y = rng.integers(1, 6, size=n).astype(float)
    X = (np.outer(y, [1, -2, 0.5, 0]) + rng.normal(scale=3, size=(n, p)) + [0, 5, 100, -7]).astype(dtype)
    model = TMethodRegressor(rule).fit(X, y)

    unit, signal = (y == 3, y != 3) if rule == "middle" else (y > 0, y > 0)
    assert signal.sum() > 2**22 / 8 / p
    center, target_center = X[unit].mean(axis=0, dtype=np.float64), y[unit].mean()
    M, D = y[signal] - target_center, X[signal] - center
    r, L = M @ M, M @ D
    V_e = ((D**2).sum(axis=0) - L**2 / r) / (len(M) - 1)
    eta = np.maximum((L**2 / r - V_e) / (r * V_e), 0)
    tol = 1e-10 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(model.center_, center, rtol=tol)
    np.testing.assert_allclose(model.eta_, eta, rtol=100 * tol, atol=1e-15 if dtype == np.float64 else 1e-9)
    expected = target_center + ((X - center) / (L / r) * eta).sum(axis=1) / eta.sum()
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=100 * tol)


class TestMemory:
    @pytest.fixture(params=[(50_000, 200), (100_000, 100)], ids=str)
    def data(self, monkeypatch, request):
        # Each processor has its blocks.
        monkeypatch.setattr("joblib.cpu_count", lambda: 2)
        X = np.random.default_rng(0).normal(size=request.param).astype(np.float32)
        return X, np.tile(FIVE_STARS, len(X) // 5)

    def peak(self, call):
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("option", [{}, {"unit_space": "all", "recalibrate": True}], ids=str)
    def test_a_fit_takes_little_beyond_its_input(self, data, option):
        X, y = data
        assert self.peak(lambda: TMethodRegressor(**option).fit(X, y)) < 0.1 * X.nbytes

    def test_a_prediction_takes_little_beyond_its_output(self, data):
        X, y = data
        model = TMethodRegressor(recalibrate=True, clip="range").fit(X[:1000], y[:1000])
        output = model.predict(X[:1]).itemsize * len(X)
        assert self.peak(lambda: model.predict(X)) < output + 0.1 * X.nbytes
