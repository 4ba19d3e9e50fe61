import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.taguchi import TMethodRegressor
from pipeline.taguchi.orthogonal_arrays import orthogonal_array
from pipeline.taguchi.selection import OrthogonalArraySelector, _item_gains

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
        np.testing.assert_allclose(selector.gains_, gains, rtol=1e-9, atol=1e-9)

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
        np.testing.assert_allclose(_item_gains(array, -7 + (array == 1) @ effects), effects, atol=1e-12)

    @settings(max_examples=25)
    @given(seed=SEEDS, rule=st.sampled_from(RULES))
    def test_gains_do_not_change_when_items_or_the_target_are_shifted_and_scaled(self, seed, rule):
        X, y = stars_and_items(seed)
        rng = np.random.default_rng(seed)
        scale = rng.choice([-1, 1], size=7) * 10.0 ** rng.uniform(-4, 4, size=7)
        a = OrthogonalArraySelector(rule).fit(X, y)
        b = OrthogonalArraySelector(rule).fit((X + rng.normal(size=7)) * scale, 100 * y - 7)
        np.testing.assert_allclose(b.gains_, a.gains_, rtol=1e-6, atol=1e-6)

    def test_the_order_of_the_rows_is_no_difference_where_no_two_targets_are_equal(self):
        X, y = stars_and_items(3)
        y = y + np.random.default_rng(3).uniform(-0.1, 0.1, size=len(y))
        order = np.argsort(y)
        a, b = OrthogonalArraySelector().fit(X, y), OrthogonalArraySelector().fit(X[order], y[order])
        np.testing.assert_allclose(b.gains_, a.gains_, rtol=1e-9, atol=1e-9)


class TestSelection:
    @settings(max_examples=15)
    @given(seed=SEEDS, rule=st.sampled_from(RULES))
    def test_informative_items_are_kept_and_gain_more_than_noise(self, seed, rule):
        X, y = stars_and_items(seed, n=500, informative=4, noise=15)
        selector = OrthogonalArraySelector(rule).fit(X, y)
        assert selector.get_support()[:4].all()
        assert selector.gains_[:4].min() > selector.gains_[4:].max()

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
        gains = OrthogonalArraySelector().fit(X, y).gains_
        for threshold in (-100.0, -0.5, 0.0, float(np.median(gains))):
            support = OrthogonalArraySelector(threshold=threshold).fit(X, y).get_support()
            np.testing.assert_array_equal(support, gains > threshold)

    def test_where_no_gain_exceeds_the_threshold_the_best_item_is_kept(self):
        X, y = stars_and_items(5)
        selector = OrthogonalArraySelector(threshold=1000).fit(X, y)
        assert selector.get_support(indices=True).tolist() == [np.argmax(selector.gains_)]

    def test_items_that_carry_nothing_have_gain_zero_and_the_first_is_kept(self):
        y = np.tile([1.0, 2, 3, 4, 5], 4)
        selector = OrthogonalArraySelector().fit(np.full((20, 3), [0.1, 7, 0]), y)
        assert selector.gains_.tolist() == [0, 0, 0]
        assert selector.get_support().tolist() == [True, False, False]
        np.testing.assert_allclose(selector.run_sn_ratios_, selector.run_sn_ratios_[0])

    def test_a_constant_item_among_others_has_gain_exactly_zero(self):
        X, y = stars_and_items(6)
        selector = OrthogonalArraySelector().fit(np.column_stack([X, np.full(len(y), 0.1)]), y)
        assert selector.gains_[-1] == 0
        assert not selector.get_support()[-1]

    def test_an_estimate_that_runs_against_the_target_on_held_out_rows_is_at_the_floor(self):
        y = np.tile([1.0, 2, 3, 4, 5], 8)
        X = np.where(np.arange(40) < 20, y, -y)[:, None] + np.random.default_rng(0).normal(scale=0.1, size=(40, 1))
        first, second = np.arange(20), np.arange(20, 40)
        selector = OrthogonalArraySelector("all", cv=[(first, second), (second, first)]).fit(X, y)
        assert selector.gains_.tolist() == [0]
        np.testing.assert_allclose(selector.run_sn_ratios_, 10 * np.log10(1 / (40 * 2)))

    def test_a_perfect_item_has_a_large_finite_gain(self):
        X, y = stars_and_items(7)
        gains = OrthogonalArraySelector().fit(np.column_stack([X, 3 * y - 1]), y).gains_
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
        np.testing.assert_array_equal(a.gains_, b.gains_)

    def test_a_splitter_and_its_splits_agree(self):
        X, y = stars_and_items(9)
        cv = KFold(3, shuffle=True, random_state=1)
        a, b = OrthogonalArraySelector(cv=cv).fit(X, y), OrthogonalArraySelector(cv=list(cv.split(X))).fit(X, y)
        np.testing.assert_array_equal(a.gains_, b.gains_)


class TestErrors:
    X, y = stars_and_items(10, n=20)

    def test_fewer_rows_than_folds(self):
        with pytest.raises(ValueError, match=r"cv=30 needs 30 or more samples, got 20\."):
            OrthogonalArraySelector(cv=30).fit(self.X, self.y)

    def test_constant_target(self):
        with pytest.raises(ValueError, match=r"Training rows of fold 1: The target y is constant \(3\)"):
            OrthogonalArraySelector().fit(self.X, np.full(20, 3.0))

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

    def test_sparse_items(self):
        with pytest.raises(TypeError, match="dense data is required"):
            OrthogonalArraySelector().fit(csr_array(self.X), self.y)


class TestScikitLearn:
    @parametrize_with_checks([OrthogonalArraySelector(), OrthogonalArraySelector("all", cv=2, threshold=-1)])
    def test_contract(self, estimator, check):
        check(estimator)

    def test_clone_and_pickle_keep_parameters_and_support(self):
        X, y = stars_and_items(11)
        selector = OrthogonalArraySelector("low", cv=3, threshold=0.1).fit(X, y)
        assert clone(selector).get_params() == {"unit_space": "low", "subtract_error": True, "cv": 3, "threshold": 0.1}
        assert not hasattr(clone(selector), "gains_")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(selector)).transform(X), selector.transform(X))

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
        np.testing.assert_allclose(OrthogonalArraySelector().fit(X.astype(np.float32), y).gains_, a.gains_, atol=1e-3)

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
            np.testing.assert_allclose(estimator[1].gains_, alone.gains_, rtol=1e-6, atol=1e-6)

    def test_the_mask_is_routed_through_a_pipeline(self):
        X, y = stars_and_items(16)
        mask = np.random.default_rng(16).random(len(y)) < 0.4
        with sklearn.config_context(enable_metadata_routing=True):
            selector = OrthogonalArraySelector().set_fit_request(unit_space_mask=True)
            regressor = TMethodRegressor().set_fit_request(unit_space_mask=True)
            model = make_pipeline(StandardScaler(), selector, regressor).fit(X, y, unit_space_mask=mask)
        alone = OrthogonalArraySelector().fit(X, y, unit_space_mask=mask)
        np.testing.assert_allclose(model[1].gains_, alone.gains_, rtol=1e-6, atol=1e-6)
