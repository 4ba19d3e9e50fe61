from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.taguchi.orthogonal_arrays import orthogonal_array

PRIMES = [p for p in range(2, 400) if all(p % divisor for divisor in range(2, p))]
PALEY = {p + 1 for p in PRIMES if p % 4 == 3} | {2 * (p + 1) for p in PRIMES if p % 4 == 1}
ORDERS = sorted({order * 2**k for order in {2} | PALEY for k in range(8)} & set(range(4, 401)))


def pairs_of_levels(array, left, right):
    """How often each of the four pairs of levels comes."""
    return [np.sum((array[:, left] == a) & (array[:, right] == b)) for a, b in product((1, 2), repeat=2)]


def assert_strength_two(array):
    n_runs, n_items = array.shape
    assert np.isin(array, (1, 2)).all()
    signs = 3.0 - 2 * array
    # Balanced columns, and balanced products of two columns: all pairs of levels come equally often.
    np.testing.assert_array_equal(signs.sum(axis=0), 0)
    np.testing.assert_array_equal(signs.T @ signs, n_runs * np.eye(n_items))


def test_few_multiples_of_four_are_skipped():
    skipped = set(range(4, 401, 4)) - set(ORDERS)
    assert sorted(skipped)[:4] == [52, 92, 100, 116]
    assert len(skipped) == 20


@pytest.mark.parametrize("order", [*ORDERS, 768, 2004])
def test_a_saturated_array_has_strength_two_and_a_first_run_that_uses_everything(order):
    array = orthogonal_array(order - 1)
    assert array.shape == (order, order - 1)
    assert array.dtype == np.int8
    assert (array[0] == 1).all()
    assert_strength_two(array)


@pytest.mark.parametrize("name", [4, 8, 12, 16, 32])
def test_pairs_of_levels_are_balanced_by_count_in_the_arrays_that_taguchi_publishes(name):
    array = orthogonal_array(name - 1)
    for left, right in product(range(name - 1), repeat=2):
        if left != right:
            assert pairs_of_levels(array, left, right) == [name / 4] * 4


@settings(max_examples=60)
@given(n_items=st.integers(1, 399))
def test_the_array_is_the_smallest_that_has_a_column_for_each_item(n_items):
    array = orthogonal_array(n_items)
    assert array.shape == (min(order for order in ORDERS if order > n_items), n_items)
    assert (array[0] == 1).all()
    assert_strength_two(array)


@pytest.mark.parametrize(("n_items", "n_runs"), [(1, 4), (3, 4), (4, 8), (8, 12), (12, 16), (39, 40), (384, 388)])
def test_numbers_of_runs(n_items, n_runs):
    assert orthogonal_array(n_items).shape == (n_runs, n_items)


@pytest.mark.parametrize("order", [8, 16, 32, 64])
def test_powers_of_two_are_closed_under_the_product_of_columns_as_sylvesters_matrix_is(order):
    signs = 3 - 2 * orthogonal_array(order - 1)
    columns = {tuple(column) for column in signs.T}
    assert all(tuple(a * b) in columns for a in signs.T for b in signs.T if (a != b).any())


def test_in_l12_an_interaction_is_spread_evenly_over_the_other_columns():
    signs = 3 - 2 * orthogonal_array(11).astype(int)
    for left, right in product(range(11), repeat=2):
        if left != right:
            others = np.delete(signs, [left, right], axis=1)
            assert (np.abs((signs[:, left] * signs[:, right]) @ others) == 4).all()


@pytest.mark.parametrize("n_items", [0, -3, 2.0, 2.5, "3", None, True, np.nan])
def test_a_number_of_items_that_is_none_is_named(n_items):
    with pytest.raises(ValueError, match="n_items must be a whole number of 1 or more, got ") as caught:
        orthogonal_array(n_items)
    assert repr(n_items) in str(caught.value)


def test_numpy_integers_are_whole_numbers():
    np.testing.assert_array_equal(orthogonal_array(np.int32(5)), orthogonal_array(5))


@pytest.mark.parametrize("n_items", [1, 3, 4, 11, 20])
def test_a_folded_array_has_strength_three(n_items):
    array = orthogonal_array(n_items, fold_over=True)
    half = orthogonal_array(n_items)
    np.testing.assert_array_equal(array, np.vstack([half, 3 - half]))
    assert array.dtype == np.int8
    assert_strength_two(array)
    signs = 3 - 2 * array.astype(int)
    assert (np.einsum("ri,rj,rk->ijk", signs, signs, signs) == 0).all()
