import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import FIVE_STARS, SEEDS, close, noisy

from pipeline.taguchi import MSRRegressor

seeds = st.integers(0, SEEDS)


def one_step(X, y, coef):
    """Return the coefficients after one more step of the formula, item by item."""
    D = X - X.mean(axis=0)
    z = y - y.mean() - D @ coef
    slopes, etas = [], []
    for x in D.T:
        r, L = x @ x, x @ z
        S_beta = L**2 / r
        slopes.append(L / r)
        etas.append(np.sqrt(S_beta / (z @ z - S_beta)))
    return coef + np.array(slopes) * etas / np.sum(etas)


def by_the_loop(X, y, tol, max_iter):
    """Return coefficients and number of steps: one model a fold, one on all rows, steps until the folds say stop."""
    n = len(y)
    fold = np.empty(n, dtype=int)
    # Sorted by the target, then dealt out like cards.
    fold[np.argsort(y, kind="stable")] = np.arange(n) % (n if n <= 50 else 2250 // n + 5)
    coef = {k: np.zeros(X.shape[1]) for k in [*np.unique(fold), "all"]}

    def cross_validated_error():
        errors = []
        for k in np.unique(fold):
            train, test = fold != k, fold == k
            y_hat = y[train].mean() + (X[test] - X[train].mean(axis=0)) @ coef[k]
            errors.append(((y[test] - y_hat) ** 2).sum())
        return sum(errors)

    error = cross_validated_error()
    for step in range(max_iter):
        before = coef["all"]
        coef = {k: one_step(X[fold != k], y[fold != k], each) if k != "all" else each for k, each in coef.items()}
        coef["all"] = one_step(X, y, before)
        smaller = cross_validated_error()
        if not smaller < error:
            return before, step
        if error - smaller <= tol * error:
            return coef["all"], step + 1
        error = smaller
    return coef["all"], max_iter


class TestDefinition:
    @settings(max_examples=30)
    @given(seed=seeds, n=st.integers(10, 60), p=st.integers(1, 6))
    def test_one_step_is_the_average_of_single_regressions(self, seed, n, p):
        X, y, _ = noisy(seed, n, p)
        model = MSRRegressor(max_iter=1).fit(X, y)
        assume(model.n_iter_ == 1)
        np.testing.assert_allclose(model.center_, X.mean(axis=0), atol=1e-12)
        assert model.target_center_ == pytest.approx(y.mean())
        close(model.coef_, one_step(X, y, np.zeros(p)))

    @settings(max_examples=20)
    @given(
        seed=seeds,
        n=st.sampled_from([6, 12, 30, 50, 51, 70, 200]),
        p=st.integers(2, 5),
        tol=st.sampled_from([0, 1e-4, 1e-2, 0.3]),
        max_iter=st.integers(1, 12),
    )
    def test_it_equals_the_plain_loop(self, seed, n, p, tol, max_iter):
        X, y, _ = noisy(seed, n, p)
        coef, steps = by_the_loop(X, y, tol, max_iter)
        model = MSRRegressor(tol=tol, max_iter=max_iter).fit(X, y)
        assert model.n_iter_ == steps
        close(model.coef_, coef, 1e-8)
        np.testing.assert_allclose(model.predict(X), y.mean() + (X - X.mean(axis=0)) @ coef, atol=1e-7)

    @settings(max_examples=20)
    @given(seed=seeds, p=st.integers(2, 10))
    def test_with_steps_enough_it_approaches_least_squares_and_never_passes_it(self, seed, p):
        X, y, _ = noisy(seed, 40, p)
        best = LinearRegression().fit(X, y).score(X, y)
        few, many = (MSRRegressor(max_iter=steps).fit(X, y).score(X, y) for steps in (2, 1000))
        assert few <= many + 1e-9
        assert many <= best + 1e-9

    def test_one_item_is_least_squares_after_one_step(self):
        X, y, _ = noisy(0, p=1)
        model = MSRRegressor().fit(X, y)
        close(model.coef_, LinearRegression().fit(X, y).coef_)
        assert model.n_iter_ <= 2

    def test_it_is_not_over_dispersed(self):
        # The T-method's slope on the target is 1; here the slope of the target on the estimate is at least 1.
        X, y, _ = noisy(1, n=200)
        y_hat = MSRRegressor(max_iter=1).fit(X, y).predict(X)
        assert np.polyfit(y_hat, y, 1)[0] >= 1
        assert r2_score(y, y_hat) > 0


class TestStop:
    def test_it_stops_on_its_own(self):
        X, y, _ = noisy(2, n=100, p=6)
        assert 1 <= MSRRegressor().fit(X, y).n_iter_ < 1000

    def test_a_larger_tolerance_stops_earlier(self):
        X, y, _ = noisy(3, n=100, p=6)
        steps = [MSRRegressor(tol=tol).fit(X, y).n_iter_ for tol in (0, 1e-6, 1e-3, 1e-1, 1)]
        assert steps == sorted(steps, reverse=True)
        assert steps[0] > steps[-1] == 1

    def test_max_iter_is_the_limit(self):
        X, y, _ = noisy(4, n=100, p=6)
        assert MSRRegressor(tol=0, max_iter=3).fit(X, y).n_iter_ == 3

    def test_items_that_say_nothing_of_rows_not_seen_are_left_out(self):
        y = np.array([0.0, 0, 0, 0, 0, 0, 0, 9])
        X = np.array([0.0, 0, 0, 0, 0, 0, 1, 1])[:, None]
        model = MSRRegressor().fit(X, y)
        assert model.coef_.tolist() == [0]
        assert model.n_iter_ == 0


class TestProperties:
    @settings(max_examples=40)
    @given(
        seed=seeds,
        exponents=st.lists(st.floats(-9, 9), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
    )
    def test_predictions_are_invariant_to_shift_scale_and_sign_of_each_item(self, seed, exponents, signs, shifts):
        X, y, _ = noisy(seed)
        changed = signs * 10.0 ** np.array(exponents) * (X + shifts)
        # A fixed number of steps: whether an error has fallen by just the share `tol` may depend on rounding.
        a, b = (MSRRegressor(tol=0, max_iter=3).fit(items, y) for items in (X, changed))
        np.testing.assert_allclose(b.predict(changed), a.predict(X), rtol=0, atol=1e-8)

    @settings(max_examples=20)
    @given(seed=seeds, exponent=st.floats(-9, 9), shift=st.floats(-1000, 1000))
    def test_predictions_follow_the_unit_and_the_zero_of_the_target(self, seed, exponent, shift):
        X, y, _ = noisy(seed)
        scale = 10.0**exponent
        a, b = (MSRRegressor(tol=0, max_iter=3).fit(X, target) for target in (y, scale * (y + shift)))
        np.testing.assert_allclose(b.predict(X) / scale - shift, a.predict(X), rtol=0, atol=1e-8)

    @settings(max_examples=20)
    @given(seed=seeds, p=st.integers(1, 4))
    def test_perfect_data_are_predicted_perfectly(self, seed, p):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=20)
        X = np.outer(y, rng.choice([-2, -1, 1, 2], size=p)) * rng.uniform(0.1, 9, size=p) + rng.normal(size=p)
        np.testing.assert_allclose(MSRRegressor().fit(X, y).predict(X), y, atol=1e-9)

    @pytest.mark.parametrize("value", [3.0, 0.1, 0.0, 1e9 + 0.1])
    @pytest.mark.parametrize("n", [5, 7, 60])
    def test_a_constant_target_is_predicted(self, n, value):
        X = np.random.default_rng(0).normal(size=(n, 3))
        model = MSRRegressor().fit(X, np.full(n, value))
        np.testing.assert_allclose(model.predict(X), value, rtol=1e-12)
        np.testing.assert_allclose(model.coef_, 0, atol=1e-12 * (1 + value))

    @pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e9 + 0.1, 1e-300])
    def test_a_constant_item_has_coefficient_exactly_zero(self, value):
        X, y, _ = noisy(5)
        wider = MSRRegressor().fit(np.column_stack([X, np.full(30, value)]), y)
        assert wider.coef_[4] == 0
        np.testing.assert_allclose(wider.coef_[:4], MSRRegressor().fit(X, y).coef_, rtol=1e-9)

    def test_an_item_that_varies_by_rounding_only_has_coefficient_exactly_zero(self):
        rounded = np.where(FIVE_STARS > 3, 0.1 + 0.2, 0.3)
        assert len(set(rounded)) == 2
        assert MSRRegressor().fit(np.tile(rounded, 3)[:, None], np.tile(FIVE_STARS, 3)).coef_.tolist() == [0]

    def test_an_item_that_is_constant_but_for_one_row(self):
        X, y, _ = noisy(6, n=20)
        X = np.column_stack([X, np.arange(20) == 7])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = MSRRegressor().fit(X, y)
        assert np.isfinite(model.coef_).all()

    @settings(max_examples=30)
    @given(
        X=arrays(float, (10, 3), elements=st.floats(-1, 1)),
        constant=st.floats(-1e9, 1e9),
        slope=st.floats(1e-6, 1e6),
        exponents=st.lists(st.sampled_from([-170, -150, -9, 0, 9, 150]), min_size=3, max_size=3),
    )
    def test_degenerate_items_never_give_nan_or_inf(self, X, constant, slope, exponents):
        y = np.tile(FIVE_STARS, 2)
        X = X * 10.0 ** np.array(exponents)
        perfect = slope * y + constant
        X = np.column_stack([X, X[:, 0], -2 * X[:, 0], np.full(10, constant), np.zeros(10), perfect, 3 * perfect])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = MSRRegressor().fit(X, y)
            predictions = model.predict(X)
        for values in (model.center_, model.coef_, predictions):
            assert np.isfinite(values).all()

    @settings(max_examples=10)
    @given(seed=seeds)
    def test_more_items_than_rows(self, seed):
        X, y, _ = noisy(seed, n=8, p=40)
        model = MSRRegressor().fit(X, y)
        assert np.isfinite(model.predict(X)).all()
        assert model.score(X, y) >= 0


class TestScikitLearn:
    @parametrize_with_checks([MSRRegressor(), MSRRegressor(tol=0, max_iter=5)])
    def test_contract(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize(
        ("name", "value"), [("tol", -0.1), ("tol", 1.1), ("tol", "auto"), ("max_iter", 0), ("max_iter", 1.5)]
    )
    def test_parameters_out_of_range(self, name, value):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of MSRRegressor must be"):
            MSRRegressor(**{name: value}).fit([[1.0], [2]], [1, 2])

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, value):
        X, y, _ = noisy(0)
        X[3, 2] = value
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            MSRRegressor().fit(X, y)

    @pytest.mark.filterwarnings("error")
    def test_squares_that_overflow(self):
        X, y, _ = noisy(0)
        with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
            MSRRegressor().fit(X * 1e200, y)
        with pytest.raises(ValueError, match="The target y holds values whose squares overflow: scale it down"):
            MSRRegressor().fit(X, y * 1e200)

    def test_float32_items_give_what_their_float64_copies_give(self):
        X, y, _ = noisy(1)
        X = X.astype(np.float32)
        a, b = (MSRRegressor(tol=0, max_iter=3).fit(items, y) for items in (X, X.astype(np.float64)))
        assert a.predict(X).dtype == a.coef_.dtype == np.float32
        np.testing.assert_allclose(a.predict(X), b.predict(X.astype(np.float64)), atol=1e-5)

    def test_pickle_clone_and_column_names(self):
        X, y, _ = noisy(2)
        table = pd.DataFrame(X, columns=["w", "x", "y", "z"])
        model = MSRRegressor(tol=0.01).fit(table, y)
        assert clone(model).get_params() == {"tol": 0.01, "max_iter": 1000, "limit_items": False, "interval": None}
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(table), model.predict(table))
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[["z", "y", "x", "w"]])


@pytest.mark.filterwarnings("error")
def test_float32_weights_that_would_be_infinite_stay_float64():
    X, y, _ = noisy(0)
    model = MSRRegressor().fit((X * 1e-30).astype(np.float32), y * 1e12)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.predict((X * 1e-30).astype(np.float32))).all()


def test_the_order_of_the_rows_changes_nothing_beyond_fifty():
    X, y, _ = noisy(0, n=200)
    order = np.random.default_rng(1).permutation(200)
    a, b = MSRRegressor().fit(X, y), MSRRegressor().fit(X[order], y[order])
    assert a.n_iter_ == b.n_iter_
    np.testing.assert_allclose(a.coef_, b.coef_)
