"""D by groups of items: which items make them, one scale for all, and what they catch."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from pipeline.taguchi import MahalanobisTaguchi
from pipeline.taguchi.item_groups import read_groups

NAMES = list("abcd")


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(80, 4)) @ np.triu(np.ones((4, 4))), columns=NAMES)


class TestReading:
    def test_words_names_and_numbers(self):
        found = read_groups(["all", ["d", 0], "items"], 4, NAMES)
        assert [items.tolist() for items in found] == [[0, 1, 2, 3], [3, 0], [0], [1], [2], [3]]
        assert [items.tolist() for items in read_groups("items", 2, None)] == [[0], [1]]

    @pytest.mark.parametrize(
        ("groups", "told"),
        [
            (
                [["a", "e"]],
                "groups holds the item 'e', which X does not have: its items are names of columns or numbers",
            ),
            ([[0, 4]], "groups holds the item 4, which X does not have"),
            ([[True]], "groups holds the item True"),
            ([[]], "a group has one item or more, each of them once"),
            ([["a", 0]], "a group has one item or more, each of them once"),
            (["a"], r"groups holds 'a': give 'all', 'items' or lists of items, \['a'\] for one"),
            ([0], r"groups holds 0: give 'all', 'items' or lists of items, \[0\] for one"),
            ([], "groups is empty: give 'items' or a list of groups, or None for the distance of all items together"),
        ],
    )
    def test_what_is_no_group_is_refused(self, table, groups, told):
        with pytest.raises(ValueError, match=told):
            MahalanobisTaguchi(groups=groups).fit(table)

    def test_names_need_named_items(self, table):
        with pytest.raises(ValueError, match="the item 'a', which X does not have: its items are numbers from 0 to 3"):
            MahalanobisTaguchi(groups=[["a"]]).fit(table.to_numpy())

    @pytest.mark.parametrize("wrong", ["all", "a", 3])
    def test_another_kind(self, table, wrong):
        with pytest.raises(ValueError, match="The 'groups' parameter of MahalanobisTaguchi must be"):
            MahalanobisTaguchi(groups=wrong).fit(table)


class TestDistances:
    @pytest.mark.parametrize("method", ["mt", "mta", "svp"])
    @pytest.mark.parametrize("shrinkage", [0.0, 0.4, "auto"])
    def test_items_are_the_largest_standardised_one(self, table, method, shrinkage):
        model = MahalanobisTaguchi(method, shrinkage=shrinkage, groups="items").fit(table)
        z = np.abs((table - table.mean()) / table.std()).to_numpy()
        np.testing.assert_allclose(model.group_distances(table), z, rtol=1e-9)
        np.testing.assert_allclose(model.distance(table), z.max(axis=1), rtol=1e-9)
        assert model.shrinkage_.shape == (4,)
        assert not hasattr(model, "root_")

    def test_one_limit_suits_all_groups(self, table):
        model = MahalanobisTaguchi(threshold="f", groups=["all", ["a", "b"], ["d"]], false_alarm_rate=0.06).fit(table)
        distances = model.group_distances(table)
        assert distances.columns.tolist() == ["all", "a, b", "d"]
        for items, name in ((NAMES, "all"), (["a", "b"], "a, b"), (["d"], "d")):
            alone = MahalanobisTaguchi(threshold="f", false_alarm_rate=0.02).fit(table[items])
            expected = alone.distance(table[items]) / alone.threshold_
            np.testing.assert_allclose(distances[name] / model.threshold_, expected, rtol=1e-9)
        np.testing.assert_array_equal(distances.max(axis=1), model.distance(table))

    def test_the_limit_is_the_one_of_a_single_item(self, table):
        t = stats.t(79).isf(0.05 / 2 / 5) * np.sqrt(81 / 80)
        for method, shrinkage in (("mt", 0.0), ("svp", 0.0), ("mt", 0.3)):
            model = MahalanobisTaguchi(method, "f", shrinkage, groups="items", false_alarm_rate=0.04)
            assert model.fit(table).threshold_ == pytest.approx(t)

    @pytest.mark.parametrize("method", ["svp", "mt"])
    def test_without_an_exact_law_groups_are_nearly_on_one_scale(self, method):
        rng = np.random.default_rng(0)
        X, new = (rng.normal(size=(n, 12)) + rng.normal(size=(n, 1)) for n in (400, 20_000))
        model = MahalanobisTaguchi(method, shrinkage=0.2, groups=[range(10), [10], [11, 0]], false_alarm_rate=0.03)
        exceeded = model.fit(X).group_distances(new) > 2.6
        assert exceeded.mean().max() / exceeded.mean().min() < 2

    def test_all_alone_orders_rows_as_without_groups(self, table):
        plain = MahalanobisTaguchi(threshold="f").fit(table)
        model = MahalanobisTaguchi(threshold="f", groups=["all"]).fit(table)
        np.testing.assert_allclose(model.distance(table) / model.threshold_, plain.distance(table) / plain.threshold_)
        assert plain.group_distances(table).columns.tolist() == ["all"]
        np.testing.assert_array_equal(plain.group_distances(table)["all"], plain.distance(table))

    def test_constant_items_are_no_group_and_still_tell(self, table):
        wider = table.assign(link=1.0)
        model = MahalanobisTaguchi(threshold="f", groups="items").fit(wider)
        assert model.group_distances(wider).columns.tolist() == NAMES
        assert model.threshold_ == MahalanobisTaguchi(threshold="f", groups="items").fit(table).threshold_
        with pytest.warns(UserWarning, match="1 of 1 rows differ"):
            assert model.predict(wider[:1].assign(link=2.0)).tolist() == [-1]
        with pytest.raises(ValueError, match="All groups of items are constant in the unit space"):
            MahalanobisTaguchi(groups=[["link"]]).fit(wider)

    @settings(max_examples=20)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_scale_and_shift_of_items_change_nothing(self, seed):
        rng = np.random.default_rng(seed)
        X, new = rng.normal(size=(30, 4)), rng.normal(size=(9, 4))
        scale, shift = 10 ** rng.uniform(-5, 5, size=4), rng.normal(size=4)
        model = MahalanobisTaguchi(threshold="quantile", groups=["all", "items"])
        a, b = clone(model).fit(X), clone(model).fit(scale * (X + shift))
        np.testing.assert_allclose(b.distance(scale * (new + shift)), a.distance(new), rtol=1e-6)
        assert b.threshold_ == pytest.approx(a.threshold_, rel=1e-6)

    @pytest.mark.parametrize(
        ("given", "once"),
        [([[0]] * 10, [[0]]), (["all", [3, 2, 1, 0], "items"], ["all", "items"]), ([[0, 4], [0]], [[0]])],
    )
    def test_items_given_twice_raise_no_limit(self, table, given, once):
        table = table.assign(link=1.0)[[*NAMES, "link"]]
        given, once = (MahalanobisTaguchi(threshold="f", groups=groups).fit(table) for groups in (given, once))
        if "all" not in once.groups:
            assert given.threshold_ == once.threshold_
        np.testing.assert_array_equal(given.distance(table), once.distance(table))
        assert given.group_distances(table).shape == once.group_distances(table).shape

    def test_names_of_groups_are_whole_and_distinct(self):
        X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 8)), columns=["all", *"bcdefgh"])
        model = MahalanobisTaguchi(groups=["all", ["all"], list("bcdefg"), list("bcdefh")]).fit(X)
        names = ["all [0]", "all [1]", "b, c, d, e, f, g [2]", "b, c, d, e, f, h [3]"]
        assert model.group_distances(X).columns.tolist() == names
        model = MahalanobisTaguchi(groups=[list("bcdefg"), list("bcdefh")]).fit(X)
        assert model.group_distances(X).columns.tolist() == ["b, c, d, e, f, g", "b, c, d, e, f, h"]

    def test_before_a_fit(self, table):
        with pytest.raises(NotFittedError):
            MahalanobisTaguchi(groups="items").group_distances(table)

    def test_memory_does_not_grow_with_the_groups(self):
        X = np.random.default_rng(0).normal(size=(4000, 200))
        model = MahalanobisTaguchi(threshold="f", groups="items").fit(X)
        tracemalloc.start()
        model.distance(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < X.nbytes

    def test_an_adjoint_of_collinear_items_has_no_scale(self, table):
        table["e"] = table["a"] + table["b"]
        with pytest.raises(ValueError, match=r"The group \(all\) has a collinearity.*Use method='mt'"):
            MahalanobisTaguchi("mta", groups=["all", "items"]).fit(table)

    def test_two_rows_are_too_few(self, table):
        with pytest.raises(ValueError, match="groups need 3 or more rows of the unit space to be comparable, got 2"):
            MahalanobisTaguchi("svp", groups="items").fit(table[:2])

    def test_few_rows_for_one_group_are_told(self):
        X = np.random.default_rng(0).normal(size=(15, 10))
        with pytest.warns(UserWarning, match="15 rows for a covariance of 10 items"):
            MahalanobisTaguchi(groups=["all", "items"]).fit(X)


def test_one_item_five_sigma_off_among_fifty():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(200, 50)), rng.normal(size=(300, 50))
    off = new + 5 * np.eye(50)[rng.integers(50, size=300)]
    fixed = MahalanobisTaguchi().fit(X)
    model = MahalanobisTaguchi(threshold="f", groups=["all", "items"]).fit(X)
    assert (fixed.predict(off) == -1).mean() < 0.01
    assert (model.predict(off) == -1).mean() > 0.85
    assert (model.predict(new) == -1).mean() < 0.08
