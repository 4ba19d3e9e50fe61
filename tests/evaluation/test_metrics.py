import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from pipeline.evaluation.metrics import clip_to_stars, evaluate, qwk, round_to_stars, spearman
from pipeline.taguchi import sn_ratio

pairs_of_stars = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=60)


def guesses(n, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(1, 6, size=n)
    return y, y + rng.normal(scale=noise, size=n)


class TestRounding:
    def test_halves_go_up_and_the_scale_is_kept(self):
        assert round_to_stars([-3, 1.49, 1.5, 2.5, 3.5, 4.5, 99]).tolist() == [1, 1, 2, 3, 4, 5, 5]

    @given(st.lists(st.floats(-1e9, 1e9), min_size=1))
    def test_stars_are_whole_and_at_most_half_a_star_from_the_clipped_prediction(self, predictions):
        stars, clipped = round_to_stars(predictions), clip_to_stars(predictions)
        assert set(stars) <= {1, 2, 3, 4, 5}
        assert np.abs(stars - clipped).max() <= 0.5
        assert clipped.min() >= 1
        assert clipped.max() <= 5


class TestQwk:
    @settings(max_examples=50)
    @given(pairs_of_stars)
    def test_equals_scikit_learns_quadratic_kappa(self, pairs):
        y_true, y_pred = np.array(pairs).T
        assume(len({*y_true, *y_pred}) > 1)
        expected = cohen_kappa_score(y_true, y_pred, weights="quadratic", labels=[1, 2, 3, 4, 5])
        assert qwk(y_true, y_pred) == pytest.approx(expected, abs=1e-9)

    @given(pairs_of_stars)
    def test_is_symmetric_and_at_most_one(self, pairs):
        y_true, y_pred = np.array(pairs).T
        assume(len({*y_true, *y_pred}) > 1)
        assert qwk(y_true, y_pred) == qwk(y_pred, y_true)
        assert -1 <= qwk(y_true, y_pred) <= 1
        assert (qwk(y_true, y_pred) == 1) == (y_true == y_pred).all()

    def test_leading_axes_are_broadcast(self):
        rng = np.random.default_rng(0)
        y, many = rng.integers(1, 6, size=30), rng.integers(1, 6, size=(4, 30))
        np.testing.assert_allclose(qwk(y, many), [qwk(y, one) for one in many])

    def test_is_zero_for_a_constant_prediction_and_nan_where_both_are_the_same_constant(self):
        assert qwk([1, 2, 3, 4, 5, 5], [3] * 6) == 0
        assert np.isnan(qwk([3, 3, 3], [3, 3, 3]))


class TestSpearman:
    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.integers(1, 5), st.floats(-10, 10)), min_size=3, max_size=40))
    def test_equals_scipys(self, pairs):
        y_true, y_pred = np.array(pairs).T
        assume(np.ptp(y_true) > 0)
        assume(np.ptp(y_pred) > 0)
        assert spearman(y_true, y_pred) == pytest.approx(spearmanr(y_true, y_pred).statistic, abs=1e-9)

    def test_is_nan_where_a_side_is_constant(self):
        assert np.isnan(spearman([1, 2, 3], [2, 2, 2]))
        assert np.isnan(spearman([2, 2, 2], [1, 2, 3]))


class TestEvaluate:
    @pytest.mark.parametrize("estimate", [[3, 3, 3, 3, 3], [2, 1, 0, 1, 2], [5, 4, 3, 2, 1]])
    def test_the_sn_ratio_is_nan_where_there_is_no_signal(self, estimate):
        assert sn_ratio([1, 2, 3, 4, 5], estimate) == -np.inf
        assert np.isnan(evaluate([1, 2, 3, 4, 5], estimate)["sn_db"])

    def test_the_sn_ratio_is_that_of_the_raw_prediction(self):
        y, y_hat = guesses(40, noise=2)
        assert evaluate(y, y_hat)["sn_db"] == sn_ratio(y, y_hat)

    @pytest.mark.parametrize("constant", [3.0, 2.71, -10.0])
    def test_a_constant_prediction_has_no_ranks_and_no_sn_ratio_and_nothing_else_is_nan(self, constant):
        result = evaluate([1, 2, 2, 4, 5, 5], [constant] * 6)
        assert {name for name, value in result.items() if np.isnan(value)} == {"spearman", "sn_db"}
        assert result["qwk"] == 0

    def test_perfect_predictions(self):
        y = [1, 2, 3, 4, 5, 5, 1]
        result = evaluate(y, y)
        sn_db = result.pop("sn_db")
        assert np.isfinite(sn_db)
        assert sn_db > 120
        zero = {"mae", "rmse", "mae_clipped", "rmse_clipped"}
        assert {name: value for name, value in result.items() if name in zero} == dict.fromkeys(zero, 0)
        assert [value for name, value in result.items() if name not in zero] == pytest.approx([1] * 5)

    def test_known_values(self):
        result = evaluate([1, 2, 4, 5], [0, 2, 5, 9])
        # Errors 1, 0, 1, 4 raw and 0, 0, 1, 0 clipped; the variation of y around 3 is 10. For the S/N ratio r = 10,
        # L = 21, S_T = 50, S_beta = 44.1, V_e = 5.9 / 3.
        expected = {
            "r2": 1 - 18 / 10,
            "mae": 1.5,
            "rmse": 4.5**0.5,
            "r2_clipped": 1 - 1 / 10,
            "mae_clipped": 0.25,
            "rmse_clipped": 0.5,
            "spearman": 1,
            "accuracy": 0.75,
            "sn_db": 10 * np.log10((44.1 - 5.9 / 3) / (10 * 5.9 / 3)),
        }
        assert {name: result[name] for name in expected} == pytest.approx(expected)

    def test_clipping_never_makes_an_error_larger(self):
        y, y_hat = guesses(300, noise=4)
        result = evaluate(y, y_hat)
        assert result["mae_clipped"] < result["mae"]
        assert result["rmse_clipped"] < result["rmse"]
        assert result["r2_clipped"] > result["r2"]

    def test_every_value_is_a_plain_float(self):
        assert {type(value) for value in evaluate(*guesses(20)).values()} == {float}
