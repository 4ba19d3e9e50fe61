import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, cross_val_score
from t_data import SEEDS, noisy, reference_cases, same

from pipeline.taguchi import TMethodRegressor, sn_ratio, sn_ratio_scorer

STARS = [1, 2, 3, 4, 5]
seeds = st.integers(0, SEEDS)


def guesses(seed, n=40, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(1, 6, size=n)
    y[:2] = 1, 5
    return y, y + rng.normal(scale=noise, size=n)


class TestValues:
    @pytest.mark.parametrize("method", ["T1", "Ta"])
    @pytest.mark.parametrize("case", reference_cases())
    def test_the_estimates_of_mtsys_have_its_overall_sn_ratio(self, case, method):
        name, rows = ("signal", "signal_rows") if method == "T1" else ("train", "train_rows_Ta_Tb")
        expected = case.values[method]
        center = expected["unit_mean_y" if method == "T1" else "mean_y"]
        M_hat = np.array(expected[f"M_hat_{name}"])
        same(sn_ratio(case.y[case.rows(rows)], center + M_hat, center=center), expected["overall"]["eta_db"])

    def test_worked_example_by_hand(self):
        # M = (-2, -1, 0, 1, 2), M-hat = (-1.9, -1.1, 0, 1.1, 1.9): r = 10, L = 9.8, S_T = 9.64, S_beta = 9.604,
        # V_e = 0.036 / 4 = 0.009, eta = (9.604 - 0.009) / (10 * 0.009) = 106.61.
        expected = 10 * np.log10(9.595 / 0.09)
        assert sn_ratio(STARS, [1.1, 1.9, 3.0, 4.1, 4.9]) == pytest.approx(expected)

    def test_half_the_noise_is_six_decibels_more(self):
        rng = np.random.default_rng(0)
        y = np.tile([1.0, 2, 3, 4, 5], 200)
        error = rng.normal(size=1000)
        error -= error.mean() + (y - 3) * ((y - 3) @ error) / ((y - 3) @ (y - 3))
        gain = sn_ratio(y, y + 0.1 * error) - sn_ratio(y, y + 0.2 * error)
        assert gain == pytest.approx(20 * np.log10(2), abs=0.01)

    def test_is_measured_from_the_centre_that_is_given(self):
        y, y_hat = guesses(0)
        assert sn_ratio(y, y_hat, center=y.mean()) == sn_ratio(y, y_hat)
        assert sn_ratio(y - 3.0, y_hat - 3.0, center=0) == pytest.approx(sn_ratio(y, y_hat, center=3))
        assert sn_ratio(y, y_hat, center=3) != pytest.approx(sn_ratio(y, y_hat, center=1))

    @settings(max_examples=30)
    @given(seed=seeds, center=st.sampled_from([None, 3.0]))
    def test_a_weight_is_that_many_rows(self, seed, center):
        y, y_hat = guesses(seed)
        times = np.random.default_rng(seed).integers(0, 4, size=len(y))
        times[:2] = 1
        repeated = sn_ratio(np.repeat(y, times), np.repeat(y_hat, times), center=center)
        assert sn_ratio(y, y_hat, sample_weight=times, center=center) == pytest.approx(repeated, rel=1e-9)

    @settings(max_examples=30)
    @given(seed=seeds, scale=st.floats(1e-3, 1e3))
    def test_the_unit_of_the_target_shifts_the_decibels(self, seed, scale):
        y, y_hat = guesses(seed, noise=0.5)
        assert sn_ratio(scale * y, scale * y_hat) == pytest.approx(sn_ratio(y, y_hat) - 20 * np.log10(scale))


class TestRules:
    @pytest.mark.parametrize(
        "estimate",
        [[3, 3, 3, 3, 3], [7.1] * 5, [2, 1, 0, 1, 2], [5, 4, 3, 2, 1], [4.9, 4.1, 3, 1.9, 1.1]],
        ids=["constant", "constant elsewhere", "unrelated", "falling", "falling nearly"],
    )
    def test_an_estimate_without_signal_has_minus_infinity(self, estimate):
        assert sn_ratio(STARS, estimate) == -np.inf

    @pytest.mark.parametrize("n", [3, 6, 7])
    @pytest.mark.parametrize("value", [3, 0, 1e9, 0.1, 0.7, 1e9 + 0.1])
    def test_a_target_that_never_leaves_the_centre_has_none(self, value, n):
        # The mean of equal values is off by rounding at times.
        target = [value] * n
        assert np.isnan(sn_ratio(target, np.arange(n)))
        assert np.isnan(sn_ratio(target, target))
        assert np.isnan(sn_ratio(target, np.arange(n), center=value))

    def test_rows_of_weight_zero_do_not_count(self):
        assert np.isnan(sn_ratio([3, 3, 3, 9], [1, 2, 3, 4], sample_weight=[1, 1, 1, 0]))

    def test_a_perfect_estimate_has_a_large_finite_one(self):
        assert 120 < sn_ratio(STARS, STARS) < np.inf

    def test_it_is_a_plain_float(self):
        assert {type(sn_ratio(STARS, estimate)) for estimate in (STARS, STARS[::-1], [3.1, 3, 3, 3, 3.3])} == {float}
        assert type(sn_ratio([3, 3, 3], [1, 2, 3])) is float

    def test_columns_are_accepted(self):
        y, y_hat = guesses(1)
        assert sn_ratio(y[:, None], y_hat[:, None]) == sn_ratio(y, y_hat)


class TestErrors:
    def test_lengths_that_differ(self):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[5, 3\]"):
            sn_ratio(STARS, [1, 2, 3])

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, value):
        for pair in (([1, 2, value], [1, 2, 3]), ([1, 2, 3], [1, value, 3])):
            with pytest.raises(ValueError, match="must be finite"):
                sn_ratio(*pair)

    def test_weights_below_zero_or_too_few(self):
        with pytest.raises(ValueError, match="Negative values"):
            sn_ratio(STARS, STARS, sample_weight=[1, 1, 1, 1, -1])
        with pytest.raises(ValueError, match="sample_weight"):
            sn_ratio(STARS, STARS, sample_weight=[1, 1])

    def test_two_columns(self):
        with pytest.raises(ValueError, match="1d array"):
            sn_ratio(np.ones((5, 2)), np.ones((5, 2)))


class TestScorer:
    def test_cross_validation_scores_are_those_of_the_metric(self):
        X, y, _ = noisy(0, n=60)
        scores = cross_val_score(TMethodRegressor("all"), X, y, scoring=sn_ratio_scorer, cv=3)
        expected = [
            sn_ratio(y[test], TMethodRegressor("all").fit(np.delete(X, test, 0), np.delete(y, test)).predict(X[test]))
            for test in np.split(np.arange(60), 3)
        ]
        np.testing.assert_allclose(scores, expected)

    def test_grid_search_takes_the_larger_one(self):
        X, y, _ = noisy(1, n=60)
        grid = {"unit_space": ["middle", "all"], "covariance": ["diagonal", "full"]}
        search = GridSearchCV(TMethodRegressor(), grid, scoring=sn_ratio_scorer, cv=3).fit(X, y)
        assert search.best_score_ == max(search.cv_results_["mean_test_score"])
        assert np.isfinite(search.best_score_)

    def test_it_passes_weights_on(self):
        X, y, _ = noisy(2)
        model, weight = TMethodRegressor("all").fit(X, y), np.arange(30.0)
        expected = sn_ratio(y, model.predict(X), sample_weight=weight)
        assert sn_ratio_scorer(model, X, y, sample_weight=weight) == expected


def test_weights_that_are_shares_are_an_error_and_no_missing_signal():
    y, y_hat = guesses(0)
    with pytest.raises(ValueError, match=r"sample_weight sums up to 1; weights count rows: scale them up"):
        sn_ratio(y, y_hat, sample_weight=np.full(40, 1 / 40))
