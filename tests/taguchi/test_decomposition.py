import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.taguchi import sensitivity_and_sn_ratio


def sums(M, X):
    """r, L, S_T and n of a signal M and items X, both measured from the centre of the unit space."""
    return M @ M, M @ X, (X**2).sum(axis=0), len(M)


def signal_and_items(seed, n, p):
    rng = np.random.default_rng(seed)
    M = rng.normal(size=n)
    return M, np.outer(M, rng.normal(size=p)) + rng.normal(size=(n, p))


def test_worked_example_by_hand():
    # r = 10, L = 20, S_T = 41, n = 5: S_beta = 40, S_e = 1, V_e = 1/4, eta = (40 - 1/4) / (10 / 4).
    M, X = np.array([-2.0, -1, 0, 1, 2]), np.array([[-4.0], [-2], [1], [2], [4]])
    beta, eta = sensitivity_and_sn_ratio(*sums(M, X))
    np.testing.assert_allclose(beta, [2])
    np.testing.assert_allclose(eta, [15.9])
    np.testing.assert_allclose(sensitivity_and_sn_ratio(*sums(M, X), subtract_error=False).eta, [16])


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 40), p=st.integers(1, 5))
def test_beta_is_the_least_squares_slope_through_the_zero_point(seed, n, p):
    M, X = signal_and_items(seed, n, p)
    expected = [np.linalg.lstsq(M[:, None], X[:, j], rcond=None)[0][0] for j in range(p)]
    np.testing.assert_allclose(sensitivity_and_sn_ratio(*sums(M, X)).beta, expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 40), p=st.integers(1, 5))
def test_eta_is_squared_slope_over_error_variance_less_one_over_r(seed, n, p):
    M, X = signal_and_items(seed, n, p)
    beta, eta = sensitivity_and_sn_ratio(*sums(M, X))
    error_variance = ((X - np.outer(M, beta)) ** 2).sum(axis=0) / (n - 1)
    without = sensitivity_and_sn_ratio(*sums(M, X), subtract_error=False).eta
    np.testing.assert_allclose(without, beta**2 / error_variance, rtol=1e-7)
    np.testing.assert_allclose(eta, np.maximum(without - 1 / (M @ M), 0), rtol=1e-7, atol=1e-9)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-40, 40))
def test_the_unit_of_an_item_scales_beta_and_leaves_eta_alone(seed, power):
    M, X = signal_and_items(seed, 12, 3)
    a, b = (sensitivity_and_sn_ratio(*sums(M, items)) for items in (X, X * 2.0**power))
    np.testing.assert_allclose(b.beta, a.beta * 2.0**power, rtol=1e-12)
    np.testing.assert_allclose(b.eta, a.eta, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_perfect_item_has_a_large_finite_sn_ratio_in_any_unit(scale):
    M = np.array([-2.0, -1, 0, 1, 2])
    eta = sensitivity_and_sn_ratio(*sums(M, 3 * scale * M[:, None])).eta
    assert np.isfinite(eta).all()
    assert (10 * np.log10(eta) > 120).all()


def test_items_without_signal_or_without_anything_have_sn_ratio_zero():
    M = np.array([-2.0, -1, 0, 1, 2])
    unrelated, weaker_than_noise, nothing = np.array([2.0, 1, 0, 1, 2]), 0.1 * M + [9, -9, 0, -9, 9], np.zeros(5)
    eta = sensitivity_and_sn_ratio(*sums(M, np.column_stack([unrelated, weaker_than_noise, nothing]))).eta
    assert eta.tolist() == [0, 0, 0]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), subtract=st.booleans())
def test_items_with_rows_of_their_own_are_items_alone(seed, subtract):
    # r and n of each item, as where values are missing.
    parts = [sums(*signal_and_items(seed + j, 5 + j, 1)) for j in range(4)]
    r, L, S_T, n = np.array([[r, L[0], S_T[0], n] for r, L, S_T, n in parts]).T
    together = sensitivity_and_sn_ratio(r, L, S_T, n, subtract)
    alone = [sensitivity_and_sn_ratio(*part, subtract) for part in parts]
    np.testing.assert_allclose(together.beta, [beta[0] for beta, _ in alone], rtol=1e-12)
    np.testing.assert_allclose(together.eta, [eta[0] for _, eta in alone], rtol=1e-12)


@pytest.mark.parametrize("subtract", [True, False])
def test_nothing_is_known_of_an_item_without_signal_or_with_one_row(subtract):
    beta, eta = sensitivity_and_sn_ratio([0, 4, 4, 4], [0, 2, 2, 2], [9, 3, 3, 3], [5, 1, 0, 5], subtract)
    assert beta.tolist() == [0, 0, 0, 0.5]
    assert eta[:3].tolist() == [0, 0, 0]
    assert eta[3] > 0


@pytest.mark.parametrize("r", [0, -0.0])
def test_without_signal_everything_is_zero(r):
    beta, eta = sensitivity_and_sn_ratio(r, [0.0, 1.0], [2.0, 3.0], 5)
    assert beta.tolist() == eta.tolist() == [0, 0]


@pytest.mark.parametrize("eps", [1e-7, 1e-3])
def test_the_error_is_never_below_the_rounding_of_the_item(eps):
    M = np.array([-2.0, -1, 0, 1, 2])
    r, L, S_T, n = sums(M, 3 * M[:, None])
    eta = sensitivity_and_sn_ratio(r, L, S_T, n, subtract_error=False, eps=eps).eta
    # S_beta = S_T and S_e = eps S_T.
    np.testing.assert_allclose(eta, (n - 1) / (r * eps))
    noisy = S_T * (1 + 1e-2)
    np.testing.assert_allclose(
        sensitivity_and_sn_ratio(r, L, noisy, n, eps=eps).eta, sensitivity_and_sn_ratio(r, L, noisy, n).eta
    )


def test_the_error_variance_is_subtracted_from_the_signal():
    M, X = signal_and_items(0, 12, 3)
    r, L, S_T, n = sums(M, X)
    with_error = sensitivity_and_sn_ratio(r, L, S_T, n, subtract_error=False)
    without = sensitivity_and_sn_ratio(r, L, S_T, n)
    np.testing.assert_array_equal(with_error.beta, without.beta)
    np.testing.assert_allclose(without.eta, np.maximum(with_error.eta - 1 / r, 0), rtol=1e-12)


@pytest.mark.parametrize("power", [-300, -150, 150, 300])
def test_extreme_units_give_nothing_that_is_not_finite(power):
    M, X = signal_and_items(1, 12, 3)
    r, L, S_T, n = sums(M, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beta, eta = sensitivity_and_sn_ratio(r, L * 10.0 ** (power / 2), S_T * 10.0**power, n)
    assert np.isfinite(beta).all()
    np.testing.assert_allclose(eta, sensitivity_and_sn_ratio(r, L, S_T, n).eta, rtol=1e-9)
