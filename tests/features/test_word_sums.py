"""Sums over texts: what adds up, what weights mean, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pipeline.features import TMetrics
from pipeline.features.word_sums import WordSums, word_sums

ITEMS = "abcdefgh"
STARS = st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0])
REAL = st.floats(1, 5, width=16)


def close(one: WordSums, other: WordSums) -> None:
    assert (one.items, one.range) == (other.items, other.range)
    for name in ("n", "mean", "squares", "df", "L"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9, err_msg=name)


def sums_of(texts, y, items=None, **options):
    """Sums over texts of one-letter items, which are those of the texts if no others are said."""
    items = sorted({*"".join(texts)}) if items is None else items
    X = np.array([[float(item in text) for item in items] for text in texts]).reshape(len(texts), len(items))
    return word_sums("\n".join(items), csr_array(X), np.asarray(y, dtype=float), (1, 5), **options)


def groups(target=REAL):
    texts = st.lists(st.tuples(st.sets(st.sampled_from(ITEMS)).map("".join), target), min_size=1, max_size=8)
    return texts.map(lambda pairs: tuple(zip(*pairs, strict=True)))


class TestAddition:
    @given(groups(), groups())
    def test_the_sums_of_two_groups_are_those_of_all_texts(self, here, there):
        both = sums_of([*here[0], *there[0]], [*here[1], *there[1]])
        close(sums_of(*here) + sums_of(*there), both)
        close(sum([sums_of(*here), sums_of(*there)]), both)

    @given(groups(STARS), groups(STARS))
    def test_so_are_their_metrics(self, here, there):
        both = sums_of([*here[0], *there[0]], [*here[1], *there[1]]).metrics()
        added = (sums_of(*here) + sums_of(*there)).metrics()
        np.testing.assert_allclose(added.beta, both.beta, atol=1e-9)
        np.testing.assert_allclose(added.eta / (1 + added.eta), both.eta / (1 + both.eta), atol=1e-9)

    @pytest.mark.slow
    @given(groups(), groups(), groups(), st.floats(0.01, 100))
    def test_order_and_brackets_do_not_matter(self, first, second, third, weight):
        a, b, c = sums_of(*first), sums_of(*second), weight * sums_of(*third)
        close((a + b) + c, a + (b + c))
        close(a + b, b + a)
        close(weight * (a + b), weight * a + weight * b)

    def test_vocabularies_are_united(self):
        both = sums_of(["ab"], [5]) + sums_of(["bc", "c"], [1, 2])
        assert both.names == ["a", "b", "c"]
        assert both.df.tolist() == [1, 2, 2]

    def test_sums_without_an_item_count_as_texts(self):
        empty = sums_of(["", ""], [1, 3])
        assert empty.names == []
        close(empty + sums_of(["a"], [5]), sums_of(["", "", "a"], [1, 3, 5]))
        assert (empty + empty).n == 4

    def test_what_is_added_stays_as_it_was(self):
        a, b = sums_of(["ab", "b"], [5, 2]), sums_of(["b"], [1])
        before = replace(a, mean=a.mean.copy(), squares=a.squares.copy(), df=a.df.copy(), L=a.L.copy())
        _ = a + b, b + a, 2 * a
        close(a, before)

    def test_another_scale_is_refused(self):
        other = replace(sums_of(["a"], [5]), range=(0, 10))
        with pytest.raises(ValueError, match=r"^Sums must be of one scale, got 1\.\.5 and 0\.\.10\.$"):
            sums_of(["a"], [5]) + other

    @pytest.mark.parametrize("other", [1, "a", None, [0]])
    def test_something_else_is_refused(self, other):
        with pytest.raises(TypeError, match="unsupported operand"):
            sums_of(["a"], [5]) + other


class TestWeights:
    @given(groups(), st.integers(1, 5))
    def test_sums_times_a_number_are_copies_of_all_texts(self, group, times):
        texts, y = group
        close(times * sums_of(texts, y), sums_of(list(texts) * times, list(y) * times))
        close(sums_of(texts, y) * times, times * sums_of(texts, y))

    @given(groups(), st.floats(0.01, 100))
    def test_a_weight_changes_no_metric(self, group, weight):
        sums = sums_of(*group)
        for one, other in zip((weight * sums).metrics()[:2], sums.metrics()[:2], strict=True):
            np.testing.assert_allclose(one / (1 + abs(one)), other / (1 + abs(other)), atol=1e-9)

    def test_counting_as_a_number_of_texts(self):
        sums = sums_of(["a", "ab", "b", "c"], [1, 2, 3, 5])
        few = sums.counting_as(1)
        close(few, 0.25 * sums)
        assert few.n == 1

    @pytest.mark.parametrize("weight", [0, -1, np.inf, np.nan])
    def test_no_weight(self, weight):
        with pytest.raises(ValueError, match=f"^The weight of sums must be a number above 0, got {weight}"):
            weight * sums_of(["a"], [5])
        with pytest.raises(ValueError, match="must be a number above 0"):
            sums_of(["a"], [5]).counting_as(weight)

    def test_what_is_no_number_is_no_weight(self):
        for weight in ("2", None, [2]):
            with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
                weight * sums_of(["a"], [5])

    def test_an_item_of_fewer_texts_than_min_df_counts_for_nothing(self):
        sums = sums_of(["a", "ab", "b", "c"], [1, 2, 3, 5], min_df=2)
        assert sums.df.tolist() == [2, 2, 0]
        assert sums.L[2].tolist() == [0] * 4


class TestItems:
    @given(groups(), st.sets(st.sampled_from(ITEMS)))
    def test_other_items_are_looked_up_and_new_ones_are_empty(self, group, others):
        texts, y = group
        others = sorted(others)
        close(sums_of(texts, y).on_items("\n".join(others)), sums_of(texts, y, others))

    def test_the_same_items_need_nothing(self):
        sums = sums_of(["ab", "b"], [5, 2])
        assert sums.on_items("a\nb") is sums

    def test_sums_in_an_estimator_are_shown_in_short(self):
        sums = sums_of(["ab", "b"], [5, 1])
        assert repr(sums) == "WordSums(n_items=2, n=2, range=(1, 5))"
        assert repr(TMetrics(know_how=sums)) == "TMetrics(know_how=WordSums(n_items=2, n=2, range=(1, 5)))"

    def test_names(self):
        assert sums_of(["ab", "b"], [5, 2]).names == ["a", "b"]
        assert sums_of([""], [5]).names == []
