import numpy as np
import pandas as pd
import pytest

from pipeline.taguchi import MahalanobisTaguchi, RTMethod, UnitSpaceItems


@pytest.fixture
def table():
    """Three items that grow or shrink with the stars."""
    rng = np.random.default_rng(0)
    y = np.tile([1, 2, 3, 4, 5], 16)
    return np.outer(y, [1.0, -1.0, 0.5]) + rng.normal(scale=0.8, size=(80, 3)), y


def test_the_columns_are_the_distances_from_the_unit_space_of_each_star(table):
    X, y = table
    items = UnitSpaceItems(MahalanobisTaguchi()).fit(X, y).transform(X)
    for column, star in zip(items.T, range(1, 6), strict=True):
        np.testing.assert_array_equal(column, MahalanobisTaguchi().fit(X[y == star]).distance(X))


def test_a_transformers_columns_stand_side_by_side(table):
    X, y = table
    items = UnitSpaceItems(RTMethod()).fit(X, y)
    assert items.transform(X).shape == (80, 15)
    np.testing.assert_array_equal(items.transform(X)[:, 3:6], RTMethod().fit(X[y == 2]).transform(X))
    assert len(items.get_feature_names_out()) == 15


def test_tables_give_tables(table):
    X, y = table
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    items = UnitSpaceItems(MahalanobisTaguchi()).set_output(transform="pandas").fit_transform(frame, y)
    assert isinstance(items, pd.DataFrame)
    np.testing.assert_array_equal(items.to_numpy(), UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, y))


def test_no_training_row_is_read_against_a_unit_space_that_it_made():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8)), np.tile([1, 5], 30)
    items = UnitSpaceItems(MahalanobisTaguchi())
    in_class = np.arange(60) % 2
    apart = items.fit_transform(X, y)
    inside = items.transform(X)
    # In the space that it made a row is nearer than a new one, though the stars say nothing here.
    closer = [(rows[np.arange(60), 1 - in_class] - rows[np.arange(60), in_class]).mean() for rows in (apart, inside)]
    assert abs(closer[0]) < 0.15
    assert closer[1] > 0.2


def test_a_star_with_two_rows_is_dealt_to_two_parts_and_one_with_one_row_cannot_be():
    X = np.random.default_rng(0).normal(size=(12, 1))
    y = np.array([1] * 10 + [5] * 2)
    with pytest.raises(ValueError, match="The unit space of star 5 has 1 training row; 2 or more are needed"):
        UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, y)
    assert UnitSpaceItems(MahalanobisTaguchi("svp")).fit(X, y).transform(X).shape == (12, 2)


def test_half_stars_are_dealt_as_whole_ones_are(table):
    X, y = table
    halves, whole = (UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, stars) for stars in (y / 2, y))
    np.testing.assert_array_equal(halves, whole)
