"""Every deal of rows keeps the share of every star."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deal import deal_folds, nested_order, stratified


class TestDealFolds:
    @given(st.lists(st.sampled_from([1, 2, 3, 4, 5]), min_size=5, max_size=60), st.integers(2, 5))
    def test_every_fold_has_its_share_of_every_star(self, stars, cv):
        stars, folds = np.array(stars), deal_folds(stars, cv, random_state=0)
        for rows in [np.ones(len(stars), dtype=bool), *(stars == star for star in set(stars.tolist()))]:
            counts = np.bincount(folds[rows], minlength=cv)
            assert counts.max() - counts.min() <= 1

    def test_a_continuous_target_is_spread_as_well(self):
        y = np.random.default_rng(0).normal(size=200)
        folds = deal_folds(y, 4, random_state=0)
        assert np.ptp([y[folds == fold].mean() for fold in range(4)]) < 0.1 * y.std()

    def test_rows_of_the_same_star_change_folds_with_the_seed(self):
        y = [3] * 30
        assert (deal_folds(y, 5, 0) == deal_folds(y, 5, 0)).all()
        assert (deal_folds(y, 5, 0) != deal_folds(y, 5, 1)).any()


@given(data=st.data(), stars=st.lists(st.integers(1, 5), min_size=1, max_size=80), seed=st.integers(0, 99))
def test_a_draw_has_the_right_size_and_every_star_its_share_to_within_one(
    data: st.DataObject, stars: list[int], seed: int
) -> None:
    n = data.draw(st.integers(0, len(stars)))
    drawn = stratified(stars, n, np.random.default_rng(seed))
    assert drawn.sum() == n
    for star, count in Counter(stars).items():
        assert abs((np.asarray(stars)[drawn] == star).sum() - count * n / len(stars)) < 1


def test_every_review_of_a_star_can_be_drawn() -> None:
    stars = [1] * 6 + [5] * 6
    times = sum(stratified(stars, 4, np.random.default_rng(seed)).astype(int) for seed in range(300))
    # Each is drawn in a third of 300 draws: 100 times, with a standard deviation of 8.
    assert (times > 60).all()
    assert (times < 140).all()


@given(st.lists(st.integers(1, 5), min_size=2, max_size=200), st.integers(0, 2**32 - 1))
def test_an_order_holds_every_review_once_and_every_beginning_is_stratified(stars, seed):
    stars = np.array(stars)
    order = nested_order(stars, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(stars)))
    share = np.bincount(stars, minlength=6) / len(stars)
    for n in range(1, len(stars) + 1):
        drawn = np.bincount(stars[order[:n]], minlength=6)
        # With five stars, rounding may put up to five half reviews before their turn.
        assert np.abs(drawn - n * share).max() <= 2.5
