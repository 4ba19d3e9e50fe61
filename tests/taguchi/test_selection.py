import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.taguchi import TMethodRegressor
from pipeline.taguchi.item_selection import fold_gains, item_gains
from pipeline.taguchi.orthogonal_arrays import orthogonal_array
from pipeline.taguchi.selection import OrthogonalArraySelector

RULES = ["middle", "low", "high", "all"]
SEEDS = st.integers(0, 2**32 - 1)


def stars_and_items(seed, n=60, informative=3, noise=4):
    """Stars with items that say something about them, then items that do not; rows in random order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.tile([1.0, 2, 3, 4, 5], n // 5))
    told = np.outer(y, rng.choice([-1, 1], size=informative)) + rng.normal(size=(n, informative))
    return np.column_stack([told, rng.normal(size=(n, noise))]), y


def sn_ratios_run_by_run(X, y, array, splits, mask=None, **parameters):
    """The definition: for each run and fold one regressor on the run's items."""
    responses = []
    for levels in array:
        items = np.flatnonzero(levels == 1)
        M, M_hat = [], []
        for train, test in splits:
            target = TMethodRegressor(**parameters)
            target.fit(X[train], y[train], None if mask is None else mask[train])
            M.append(y[test] - target.target_center_)
            if len(items):
                model = TMethodRegressor(**parameters)
                model.fit(X[np.ix_(train, items)], y[train], None if mask is None else mask[train])
                M_hat.append(model.predict(X[np.ix_(test, items)]) - model.target_center_)
            else:
                M_hat.append(np.zeros(len(test)))
        M, M_hat = np.concatenate(M), np.concatenate(M_hat)
        r, L, S_T = M @ M, M @ M_hat, M_hat @ M_hat
        S_beta = L**2 / r
        V_e = (S_T - S_beta) / (len(M) - 1)
        above = L > 0 and S_beta > V_e
        responses.append(10 * np.log10(S_beta / (r * V_e) if above else 1 / r))
    return np.array(responses)


def gains_of_means(array, responses):
    return [responses[levels == 1].mean() - responses[levels == 2].mean() for levels in array.T]


class TestGains:
    @pytest.mark.parametrize("n_items", [1, 2, 7, 11])
    @pytest.mark.parametrize("rule", RULES)
    def test_gains_are_those_of_a_regressor_per_run_and_fold(self, rule, n_items):
        X, y = stars_and_items(n_items, informative=n_items - n_items // 2, noise=n_items // 2)
        cv = KFold(3, shuffle=True, random_state=0)
        selector = OrthogonalArraySelector(rule, cv=cv).fit(X, y)
        expected = sn_ratios_run_by_run(X, y, orthogonal_array(n_items), list(cv.split(X)), unit_space=rule)
        np.testing.assert_allclose(selector.run_sn_ratios_, expected, rtol=1e-9, atol=1e-9)
        etas = [TMethodRegressor(unit_space=rule).fit(X[train], y[train]).eta_ for train, _ in cv.split(X)]
        gains = np.where(np.any(etas, axis=0), gains_of_means(orthogonal_array(n_items), expected), 0)
        np.testing.assert_allclose(selector.item_gains_, gains, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("size", [1e-100, 1e78, 1e100, 1e150])
    def test_gains_do_not_change_when_the_target_is_scaled(self, size):
        X, y = stars_and_items(3)
        a, b = OrthogonalArraySelector().fit(X, y), OrthogonalArraySelector().fit(X, y * size)
        np.testing.assert_allclose(b.item_gains_, a.item_gains_, rtol=1e-9)
        np.testing.assert_allclose(b.run_sn_ratios_, a.run_sn_ratios_ - 20 * np.log10(size), rtol=1e-9)

    def test_gains_with_a_mask_and_without_subtracting_the_error(self):
        X, y = stars_and_items(1)
        mask = np.random.default_rng(1).random(len(y)) < 0.4
        cv = KFold(4)
        selector = OrthogonalArraySelector(subtract_error=False, cv=cv).fit(X, y, unit_space_mask=mask.tolist())
        expected = sn_ratios_run_by_run(X, y, orthogonal_array(7), list(cv.split(X)), mask, subtract_error=False)
        np.testing.assert_allclose(selector.run_sn_ratios_, expected, rtol=1e-9, atol=1e-9)

    def test_rows_beyond_one_block_give_the_same_sums(self, monkeypatch):
        X, y = stars_and_items(2)
        whole = OrthogonalArraySelector().fit(X, y).run_sn_ratios_
        monkeypatch.setattr("pipeline.taguchi.base._BLOCK_BYTES", 8 * 8 * 3)
        np.testing.assert_allclose(OrthogonalArraySelector().fit(X, y).run_sn_ratios_, whole, rtol=1e-12)

    @settings(max_examples=30)
    @given(seed=SEEDS, n_items=st.integers(1, 30))
    def test_an_additive_response_gives_back_the_effect_of_each_item(self, seed, n_items):
        array, effects = orthogonal_array(n_items), np.random.default_rng(seed).normal(size=n_items)
        np.testing.assert_allclose(item_gains(array, -7 + (array == 1) @ effects), effects, atol=1e-12)

    @settings(max_examples=25)
    @given(seed=SEEDS, rule=st.sampled_from(RULES))
    def test_gains_do_not_change_when_items_or_the_target_are_shifted_and_scaled(self, seed, rule):
        X, y = stars_and_items(seed)
        rng = np.random.default_rng(seed)
        scale = rng.choice([-1, 1], size=7) * 10.0 ** rng.uniform(-4, 4, size=7)
        a = OrthogonalArraySelector(rule).fit(X, y)
        b = OrthogonalArraySelector(rule).fit((X + rng.normal(size=7)) * scale, 100 * y - 7)
        np.testing.assert_allclose(b.item_gains_, a.item_gains_, rtol=1e-6, atol=1e-6)

    def test_the_order_of_the_rows_is_no_difference_where_no_two_targets_are_equal(self):
        X, y = stars_and_items(3)
        y = y + np.random.default_rng(3).uniform(-0.1, 0.1, size=len(y))
        order = np.argsort(y)
        a, b = OrthogonalArraySelector().fit(X, y), OrthogonalArraySelector().fit(X[order], y[order])
        np.testing.assert_allclose(b.item_gains_, a.item_gains_, rtol=1e-9, atol=1e-9)


class TestSelection:
    @settings(max_examples=15)
    @given(seed=SEEDS, rule=st.sampled_from(RULES))
    def test_informative_items_are_kept_and_gain_more_than_noise(self, seed, rule):
        X, y = stars_and_items(seed, n=500, informative=4, noise=15)
        selector = OrthogonalArraySelector(rule).fit(X, y)
        assert selector.get_support()[:4].all()
        assert selector.item_gains_[:4].min() > selector.item_gains_[4:].max()

    def test_most_noise_that_would_have_weight_is_dropped_and_new_rows_are_estimated_better(self):
        train, test = slice(100), slice(100, None)
        kept, better = [], []
        for seed in range(10):
            X, y = stars_and_items(seed, n=600, informative=4, noise=200)
            plain = TMethodRegressor(subtract_error=False).fit(X[train], y[train])
            assert (plain.eta_ > 0).all()
            selector = OrthogonalArraySelector(subtract_error=False, threshold=0.5)
            chosen = make_pipeline(selector, clone(plain)).fit(X[train], y[train])
            assert selector.get_support()[:4].all()
            kept.append(selector.get_support()[4:].mean())
            chosen_error, plain_error = (np.abs(model.predict(X[test]) - y[test]).mean() for model in (chosen, plain))
            better.append(plain_error - chosen_error)
        assert np.mean(kept) < 0.2
        assert np.mean(better) > 0

    def test_the_threshold_is_exceeded_by_what_is_kept(self):
        X, y = stars_and_items(4)
        gains = OrthogonalArraySelector().fit(X, y).item_gains_
        for threshold in (-100.0, -0.5, 0.0, float(np.median(gains))):
            support = OrthogonalArraySelector(threshold=threshold).fit(X, y).get_support()
            np.testing.assert_array_equal(support, gains > threshold)

    def test_where_no_gain_exceeds_the_threshold_the_best_item_is_kept(self):
        X, y = stars_and_items(5)
        selector = OrthogonalArraySelector(threshold=1000).fit(X, y)
        assert selector.get_support(indices=True).tolist() == [np.argmax(selector.item_gains_)]

    def test_items_that_carry_nothing_have_gain_zero_and_the_first_is_kept(self):
        y = np.tile([1.0, 2, 3, 4, 5], 4)
        selector = OrthogonalArraySelector().fit(np.full((20, 3), [0.1, 7, 0]), y)
        assert selector.item_gains_.tolist() == [0, 0, 0]
        assert selector.get_support().tolist() == [True, False, False]
        np.testing.assert_allclose(selector.run_sn_ratios_, selector.run_sn_ratios_[0])

    def test_a_constant_item_among_others_has_gain_exactly_zero(self):
        X, y = stars_and_items(6)
        selector = OrthogonalArraySelector().fit(np.column_stack([X, np.full(len(y), 0.1)]), y)
        assert selector.item_gains_[-1] == 0
        assert not selector.get_support()[-1]

    def test_an_estimate_that_runs_against_the_target_on_held_out_rows_is_at_the_floor(self):
        y = np.tile([1.0, 2, 3, 4, 5], 8)
        X = np.where(np.arange(40) < 20, y, -y)[:, None] + np.random.default_rng(0).normal(scale=0.1, size=(40, 1))
        first, second = np.arange(20), np.arange(20, 40)
        selector = OrthogonalArraySelector("all", cv=[(first, second), (second, first)]).fit(X, y)
        assert selector.item_gains_.tolist() == [0]
        np.testing.assert_allclose(selector.run_sn_ratios_, 10 * np.log10(1 / (40 * 2)))

    def test_a_perfect_item_has_a_large_finite_gain(self):
        X, y = stars_and_items(7)
        gains = OrthogonalArraySelector().fit(np.column_stack([X, 3 * y - 1]), y).item_gains_
        assert np.isfinite(gains).all()
        assert gains[-1] > 100


class TestFolds:
    def test_sorted_targets_are_no_difficulty(self):
        y = np.repeat([1.0, 2, 3, 4, 5], 10)
        X = np.column_stack([y, -y]) + np.random.default_rng(0).normal(size=(50, 2))
        for order in (np.arange(50), np.arange(50)[::-1]):
            assert OrthogonalArraySelector().fit(X[order], y[order]).get_support().all()

    def test_none_means_five(self):
        X, y = stars_and_items(8)
        a, b = OrthogonalArraySelector(cv=None).fit(X, y), OrthogonalArraySelector(cv=5).fit(X, y)
        np.testing.assert_array_equal(a.item_gains_, b.item_gains_)

    def test_a_splitter_and_its_splits_agree(self):
        X, y = stars_and_items(9)
        cv = KFold(3, shuffle=True, random_state=1)
        a, b = OrthogonalArraySelector(cv=cv).fit(X, y), OrthogonalArraySelector(cv=list(cv.split(X))).fit(X, y)
        np.testing.assert_array_equal(a.item_gains_, b.item_gains_)


class TestErrors:
    X, y = stars_and_items(10, n=20)

    def test_fewer_rows_than_folds(self):
        with pytest.raises(ValueError, match=r"cv=30 needs 30 or more samples, got 20\."):
            OrthogonalArraySelector(cv=30).fit(self.X, self.y)

    def test_constant_target(self):
        with pytest.raises(ValueError, match=r"Training rows of fold 1: The target y is constant \(3\)"):
            OrthogonalArraySelector().fit(self.X, np.full(20, 3.0))

    def test_a_constant_target_among_several_is_named(self):
        with pytest.raises(ValueError, match=r"^Target 1: Training rows of fold 1: The target y is constant \(3\)"):
            OrthogonalArraySelector().fit(self.X, np.column_stack([self.y, np.full(20, 3.0)]))

    def test_a_fit_that_fails_leaves_no_gains(self):
        selector = OrthogonalArraySelector().fit(self.X, self.y)
        with pytest.raises(ValueError, match="is constant"):
            selector.fit(self.X[:, :2], np.full(20, 3.0))
        with pytest.raises(NotFittedError):
            selector.get_support()

    def test_held_out_rows_that_all_equal_the_unit_spaces_mean(self):
        middle, others = np.flatnonzero(self.y == 3), np.flatnonzero(self.y != 3)
        with pytest.raises(ValueError, match="target y of all held-out rows equals the unit space's mean"):
            OrthogonalArraySelector(cv=[(others, middle)]).fit(self.X, self.y)

    def test_mask_of_another_length(self):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 2\]"):
            OrthogonalArraySelector().fit(self.X, self.y, unit_space_mask=[True, False])

    def test_mask_that_leaves_a_fold_without_unit_space(self):
        with pytest.raises(ValueError, match=r"Training rows of fold \d: The unit space is empty"):
            OrthogonalArraySelector().fit(self.X, self.y, unit_space_mask=np.arange(20) == 7)

    @pytest.mark.parametrize(
        "wrong", [{"unit_space": "centre"}, {"cv": 1}, {"cv": "five"}, {"threshold": np.nan}, {"subtract_error": "no"}]
    )
    def test_wrong_parameters_are_named(self, wrong):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"The '{name}' parameter of OrthogonalArraySelector must be"):
            OrthogonalArraySelector(**wrong).fit(self.X, self.y)

    def test_infinite_items(self):
        X = self.X.copy()
        X[3, 1] = np.inf
        with pytest.raises(ValueError, match="Input X contains infinity"):
            OrthogonalArraySelector().fit(X, self.y)


def with_gaps(X, seed, share=0.2):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


class TestGapsSparseItemsAndTargets:
    @pytest.mark.parametrize("rule", RULES)
    @pytest.mark.parametrize("kind", [np.asarray, csr_array, csc_array, csr_matrix])
    def test_missing_values_and_sparse_items_as_the_regressor_of_each_run_takes_them(self, rule, kind):
        X, y = stars_and_items(20)
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.3, 0, with_gaps(X, 20))
        X[7] = np.nan
        cv = KFold(3, shuffle=True, random_state=0)
        selector = OrthogonalArraySelector(rule, cv=cv).fit(kind(X), y)
        expected = sn_ratios_run_by_run(X, y, orthogonal_array(7), list(cv.split(X)), unit_space=rule)
        np.testing.assert_allclose(selector.run_sn_ratios_, expected, rtol=1e-9, atol=1e-9)

    def test_sparse_items_without_gaps_have_the_gains_of_dense_ones_and_stay_as_they_are(self):
        X, y = stars_and_items(21, n=200)
        X[np.abs(X) < 1] = 0
        dense = OrthogonalArraySelector().fit(X, y)
        for kind in (csr_array, csc_array):
            items = kind(X)
            selector = OrthogonalArraySelector().fit(items, y)
            np.testing.assert_allclose(selector.item_gains_, dense.item_gains_, rtol=1e-9, atol=1e-9)
            np.testing.assert_array_equal(items.toarray(), X)
            np.testing.assert_array_equal(selector.transform(items).toarray(), dense.transform(X))

    def test_an_item_that_is_missing_everywhere_has_gain_zero(self):
        X, y = stars_and_items(22)
        X[:, 4] = np.nan
        assert OrthogonalArraySelector().fit(X, y).item_gains_[4] == 0

    def test_gaps_in_a_useful_item_cost_it_gain_but_in_a_folded_array_not_its_place(self):
        X, y = stars_and_items(23, n=300)
        X[::10, 0] = np.nan
        model = make_pipeline(OrthogonalArraySelector(fold_over=True), TMethodRegressor()).fit(X, y)
        assert model[0].get_support()[:3].all()
        assert model[0].item_gains_[0] < model[0].item_gains_[1:3].min()
        assert np.isfinite(model.predict(X)).all()

    def test_of_several_targets_the_gains_are_the_mean(self):
        X, y = stars_and_items(24, n=200)
        other = X[:, 3] + np.random.default_rng(24).normal(size=len(y))
        both = OrthogonalArraySelector().fit(X, np.column_stack([y, 1000 * other]))
        alone = [OrthogonalArraySelector().fit(X, target) for target in (y, other)]
        np.testing.assert_allclose(both.item_gains_, np.mean([each.item_gains_ for each in alone], axis=0), atol=1e-9)
        assert both.n_unit_space_.tolist() == [each.n_unit_space_ for each in alone]

    def test_splits_that_can_be_read_once_serve_all_targets(self):
        X, y = stars_and_items(25)
        splits = KFold(3).split(X)
        both = OrthogonalArraySelector(cv=splits).fit(X, np.column_stack([y, y]))
        alone = OrthogonalArraySelector(cv=KFold(3)).fit(X, y)
        np.testing.assert_allclose(both.item_gains_, alone.item_gains_)


class TestFoldOver:
    @settings(max_examples=30)
    @given(seed=SEEDS, n_items=st.integers(2, 30))
    def test_the_effects_of_items_are_free_of_the_interactions_of_two(self, seed, n_items):
        rng = np.random.default_rng(seed)
        array, effects = orthogonal_array(n_items, fold_over=True), rng.normal(size=n_items)
        signs = 3.0 - 2 * array
        products = np.einsum("ri,rj,ij->r", signs, signs, rng.normal(size=(n_items, n_items)))
        np.testing.assert_allclose(item_gains(array, signs @ effects / 2 + products), effects, atol=1e-9)

    @settings(max_examples=30)
    @given(seed=SEEDS, n_items=st.integers(2, 30))
    def test_runs_without_items_do_not_count(self, seed, n_items):
        rng = np.random.default_rng(seed)
        array = orthogonal_array(n_items, fold_over=True)
        measured = rng.normal(size=len(array))
        empty = (array == 2).all(axis=1)
        assert empty.sum() == (2 if n_items == 2 else 1)
        responses, gains = fold_gains(array, np.where(empty, -1000, measured), True)
        model = LinearRegression().fit(array[~empty] == 1, measured[~empty])
        np.testing.assert_allclose(gains, model.coef_, atol=1e-9)
        np.testing.assert_allclose(responses[empty], model.intercept_, atol=1e-9)
        np.testing.assert_array_equal(responses[~empty], measured[~empty])

    def test_a_single_item_is_compared_with_runs_without_it(self):
        array = orthogonal_array(1, fold_over=True)
        assert (array == 2).sum() == 4
        responses, gains = fold_gains(array, np.where(array[:, 0] == 1, 5.0, 3.0), True)
        assert gains.tolist() == [2]
        assert sorted(responses.tolist()) == [3] * 4 + [5] * 4

    def test_fewer_items_of_noise_are_kept(self):
        kept = {False: [], True: []}
        for seed in range(8):
            X, y = stars_and_items(seed, n=100, informative=4, noise=35)
            for fold_over, found in kept.items():
                support = OrthogonalArraySelector(fold_over=fold_over).fit(X, y).get_support()
                assert support[:4].all()
                found.append(support[4:].sum())
        assert np.mean(kept[True]) < np.mean(kept[False])


class TestTable:
    def test_gains_and_what_is_kept_by_the_names_of_the_items(self):
        X, y = stars_and_items(26, informative=2, noise=1)
        items = pd.DataFrame(X, columns=["food", "service", "weather"])
        selector = OrthogonalArraySelector().fit(items, y)
        table = selector.items_table()
        assert table.index.tolist() == ["food", "service", "weather"]
        assert table.columns.tolist() == ["gain_db", "kept"]
        np.testing.assert_array_equal(table["gain_db"], selector.item_gains_)
        assert table.index[table["kept"]].tolist() == selector.get_feature_names_out().tolist()
        assert OrthogonalArraySelector().fit(X, y).items_table().index.tolist() == ["x0", "x1", "x2"]

    def test_before_a_fit_there_is_none(self):
        with pytest.raises(NotFittedError):
            OrthogonalArraySelector().items_table()


class TestScikitLearn:
    @parametrize_with_checks(
        [OrthogonalArraySelector(), OrthogonalArraySelector("all", cv=2, threshold=-1, fold_over=True)]
    )
    def test_contract(self, estimator, check):
        check(estimator)

    def test_clone_and_pickle_keep_parameters_and_support(self):
        X, y = stars_and_items(11)
        selector = OrthogonalArraySelector("low", cv=3, threshold=0.1).fit(X, y)
        assert clone(selector).get_params() == {
            "unit_space": "low",
            "subtract_error": True,
            "cv": 3,
            "threshold": 0.1,
            "fold_over": False,
        }
        assert not hasattr(clone(selector), "item_gains_")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(selector)).transform(X), selector.transform(X))

    def test_a_selector_of_an_earlier_version_has_the_gains_by_their_new_name(self):
        X, y = stars_and_items(11)
        selector = OrthogonalArraySelector().fit(X, y)
        state = dict(selector.__getstate__())
        state["gains_"] = state.pop("item_gains_")
        del state["fold_over"]
        earlier = OrthogonalArraySelector.__new__(OrthogonalArraySelector)
        earlier.__setstate__(state)
        assert repr(earlier) == repr(selector)
        assert clone(earlier).get_params() == selector.get_params()
        pd.testing.assert_frame_equal(earlier.items_table(), selector.items_table())

    def test_names_of_kept_items(self):
        X, y = stars_and_items(12, n=200, informative=2, noise=1)
        table = pd.DataFrame(X, columns=["food", "service", "weather"])
        selector = OrthogonalArraySelector(threshold=0.5).set_output(transform="pandas").fit(table, y)
        assert selector.feature_names_in_.tolist() == ["food", "service", "weather"]
        assert selector.get_feature_names_out().tolist() == ["food", "service"]
        pd.testing.assert_frame_equal(selector.transform(table), table[["food", "service"]])

    def test_inputs_are_not_changed_and_float32_agrees(self):
        X, y = stars_and_items(13)
        before = X.copy(), y.copy()
        a = OrthogonalArraySelector().fit(X, y)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(y, before[1])
        np.testing.assert_allclose(
            OrthogonalArraySelector().fit(X.astype(np.float32), y).item_gains_, a.item_gains_, atol=1e-3
        )

    def test_grid_search_over_its_parameters_in_a_pipeline(self):
        X, y = stars_and_items(14)
        model = Pipeline([("select", OrthogonalArraySelector()), ("t", TMethodRegressor())])
        search = GridSearchCV(model, {"select__threshold": [-1.0, 0.0, 1000.0], "select__cv": [2, 5]}, cv=3).fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_selection_in_a_pipeline_cannot_see_the_test_part(self):
        X, y = stars_and_items(15)
        cv = KFold(3)
        model = make_pipeline(StandardScaler(), OrthogonalArraySelector(), TMethodRegressor())
        fitted = cross_validate(model, X, y, cv=cv, return_estimator=True)["estimator"]
        for estimator, (train, test) in zip(fitted, cv.split(X), strict=True):
            other_X, other_y = X.copy(), y.copy()
            # An item that knows the answer in the test part alone must gain nothing by it.
            other_X[test, -1], other_y[test] = 1e6 * y[test], -y[test]
            alone = OrthogonalArraySelector().fit(other_X[train], other_y[train])
            np.testing.assert_allclose(estimator[1].item_gains_, alone.item_gains_, rtol=1e-6, atol=1e-6)

    def test_the_mask_is_routed_through_a_pipeline(self):
        X, y = stars_and_items(16)
        mask = np.random.default_rng(16).random(len(y)) < 0.4
        with sklearn.config_context(enable_metadata_routing=True):
            selector = OrthogonalArraySelector().set_fit_request(unit_space_mask=True)
            regressor = TMethodRegressor().set_fit_request(unit_space_mask=True)
            model = make_pipeline(StandardScaler(), selector, regressor).fit(X, y, unit_space_mask=mask)
        alone = OrthogonalArraySelector().fit(X, y, unit_space_mask=mask)
        np.testing.assert_allclose(model[1].item_gains_, alone.item_gains_, rtol=1e-6, atol=1e-6)
