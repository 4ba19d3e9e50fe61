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
