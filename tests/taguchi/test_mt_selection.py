import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.taguchi import MahalanobisTaguchi, MahalanobisTaguchiSelector, orthogonal_array, output_sn_ratio
from pipeline.taguchi.item_selection import fold_gains

SEEDS = st.integers(0, 2**32 - 1)


def normal_and_abnormal(seed, n=120, useful=3, noise=4, shift=3.0):
    """Two thirds normal rows of correlated items; abnormal ones are in states 1 to 4 off in the first items."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0.0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], n // 12))
    items = useful + noise
    X = rng.normal(size=(n, items)) + 0.7 * rng.normal(size=(n, 1))
    X[:, :useful] += shift * (y > 0)[:, None] + 0.3 * y[:, None]
    return X, y


def responses_run_by_run(X, y, array, splits, sn="larger", **parameters):
    """The definition: for each run and fold one unit space of the run's items."""
    responses = []
    for levels in array:
        items, D, states = np.flatnonzero(levels == 1), [], []
        for train, test in splits:
            normal = train[y[train] == 0]
            if len(items):
                D.append(
                    MahalanobisTaguchi(**parameters).fit(X[np.ix_(normal, items)]).distance(X[np.ix_(test, items)])
                )
            else:
                D.append(np.ones(len(test)))
            states.append(y[test])
        D, states = np.concatenate(D), np.concatenate(states)
        far = D[states > 0]
        if sn == "dynamic":
            M = states[states > 0]
            S_beta = (M @ far) ** 2 / (M @ M)
            responses.append(10 * np.log10(S_beta / (M @ M) / ((far @ far - S_beta) / (len(M) - 1))))
        else:
            near = D[states == 0]
            responses.append(output_sn_ratio(far, "larger").sn_ratio + output_sn_ratio(near, "smaller").sn_ratio)
    return np.array(responses)


class TestGains:
    @pytest.mark.parametrize("sn", ["larger", "dynamic"])
    @pytest.mark.parametrize("parameters", [{}, {"shrinkage": 0.3}, {"shrinkage": "auto"}, {"method": "svp"}])
    def test_responses_are_those_of_a_unit_space_per_run_and_fold(self, sn, parameters):
        X, y = normal_and_abnormal(0)
        splits = list(KFold(3, shuffle=True, random_state=0).split(X))
        selector = MahalanobisTaguchiSelector(sn=sn, cv=splits, **parameters).fit(X, y)
        expected = responses_run_by_run(X, y, orthogonal_array(7), splits, sn, **parameters)
        np.testing.assert_allclose(selector.run_sn_ratios_, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(selector.orthogonal_array_, orthogonal_array(7))
        means = [expected[levels == 1].mean() - expected[levels == 2].mean() for levels in orthogonal_array(7).T]
        np.testing.assert_allclose(selector.item_gains_, means, atol=1e-9)

    def test_with_fold_over(self):
        X, y = normal_and_abnormal(1)
        splits = list(KFold(3, shuffle=True, random_state=0).split(X))
        selector = MahalanobisTaguchiSelector(cv=splits, fold_over=True).fit(X, y)
        array = orthogonal_array(7, fold_over=True)
        responses, gains = fold_gains(array, responses_run_by_run(X, y, array, splits), True)
        np.testing.assert_allclose(selector.run_sn_ratios_, responses, atol=1e-9)
        np.testing.assert_allclose(selector.item_gains_, gains, atol=1e-9)

    @settings(max_examples=20)
    @given(seed=SEEDS, method=st.sampled_from(["mt", "svp"]), sn=st.sampled_from(["larger", "dynamic"]))
    def test_gains_do_not_change_when_items_or_states_are_scaled(self, seed, method, sn):
        X, y = normal_and_abnormal(seed)
        rng = np.random.default_rng(seed)
        scale = rng.choice([-1, 1], size=7) * 10.0 ** rng.uniform(-4, 4, size=7)
        a = MahalanobisTaguchiSelector(method, sn=sn).fit(X, y)
        b = MahalanobisTaguchiSelector(method, sn=sn).fit((X + rng.normal(size=7)) * scale, 10 * y)
        np.testing.assert_allclose(b.item_gains_, a.item_gains_, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("size", [1e-170, 1e-100, 1e80, 1e160])
    def test_gains_do_not_change_with_very_large_and_small_states(self, size):
        X, y = normal_and_abnormal(2)
        a, b = (MahalanobisTaguchiSelector(sn="dynamic").fit(X, states) for states in (y, y * size))
        np.testing.assert_allclose(b.item_gains_, a.item_gains_, rtol=1e-9)
        np.testing.assert_allclose(b.run_sn_ratios_, a.run_sn_ratios_ - 20 * np.log10(size), rtol=1e-9)

    def test_states_do_not_matter_without_the_dynamic_ratio(self):
        X, y = normal_and_abnormal(2)
        cv = KFold(3, shuffle=True, random_state=0)
        a, b = (MahalanobisTaguchiSelector(cv=cv).fit(X, target) for target in (y, y > 0))
        np.testing.assert_array_equal(a.item_gains_, b.item_gains_)

    def test_the_dynamic_ratio_prefers_an_item_that_grows_with_the_state(self):
        rng = np.random.default_rng(3)
        y = np.repeat([0.0, 1, 2, 3, 4], [200, 25, 25, 25, 25])
        X = rng.normal(size=(300, 4))
        X[:, 0] += 4 * y
        X[:, 1] += 10 * (y > 0)
        gains = MahalanobisTaguchiSelector(sn="dynamic", fold_over=True).fit(X, y).item_gains_
        assert gains[0] > 0 > gains[1]
        assert (MahalanobisTaguchiSelector(fold_over=True).fit(X, y).item_gains_[:2] > 0).all()


class TestSelection:
    def test_with_few_rows_the_form_of_the_books_rewards_any_item_and_the_honest_one_does_not(self):
        """Of noise alone: each item raises the distances of all new rows, and the books look at abnormal ones only."""
        array, books, honest = orthogonal_array(20), [], []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            X, y = rng.normal(size=(60, 20)), np.repeat([0.0, 1], [40, 20])
            ratios = []
            for levels in array:
                items = X[:, levels == 1]
                D = MahalanobisTaguchi().fit(items[y == 0]).distance(items[y > 0])
                ratios.append(output_sn_ratio(D, "larger").sn_ratio)
            books.append(fold_gains(array, np.array(ratios), False)[1].mean())
            honest.append(MahalanobisTaguchiSelector().fit(X, y).item_gains_.mean())
        assert np.mean(books) > 0.2
        assert abs(np.mean(honest)) < np.mean(books) / 3

    def test_useful_items_are_found(self):
        found, useless = [], []
        for seed in range(8):
            X, y = normal_and_abnormal(seed, n=240, useful=4, noise=12)
            support = MahalanobisTaguchiSelector("svp", fold_over=True).fit(X, y).get_support()
            found.append(support[:4].mean())
            useless.append(support[4:].mean())
        assert np.mean(found) > 0.95
        assert np.mean(useless) < 0.1

    def test_chosen_items_detect_more_of_the_malignant_rows_held_out(self):
        X, target = load_breast_cancer(return_X_y=True)
        y = 1 - target
        scores = []
        for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
            selector = MahalanobisTaguchiSelector().fit(X[train], y[train])
            normal = train[y[train] == 0]
            of_all = MahalanobisTaguchi().fit(X[normal]).distance(X[test])
            chosen = MahalanobisTaguchi().fit(selector.transform(X[normal])).distance(selector.transform(X[test]))
            scores.append([roc_auc_score(y[test], of_all), roc_auc_score(y[test], chosen)])
            assert selector.get_support().sum() < 20
        of_all, chosen = np.mean(scores, axis=0)
        assert chosen > of_all + 0.005

    def test_the_threshold_is_exceeded_by_what_is_kept_and_the_best_always_is(self):
        X, y = normal_and_abnormal(4)
        gains = MahalanobisTaguchiSelector().fit(X, y).item_gains_
        for threshold in (-100.0, 0.0, float(np.median(gains))):
            support = MahalanobisTaguchiSelector(threshold=threshold).fit(X, y).get_support()
            np.testing.assert_array_equal(support, gains > threshold)
        best = MahalanobisTaguchiSelector(threshold=1000).fit(X, y).get_support(indices=True)
        assert best.tolist() == [np.argmax(gains)]

    def test_a_pipeline_and_a_table(self):
        X, y = normal_and_abnormal(5)
        items = pd.DataFrame(X, columns=list("abcdefg"))
        selector = MahalanobisTaguchiSelector(fold_over=True).set_output(transform="pandas").fit(items, y)
        table = selector.items_table()
        assert table.index.tolist() == list("abcdefg")
        assert table.columns.tolist() == ["gain_db", "kept"]
        assert selector.transform(items).columns.tolist() == table.index[table["kept"]].tolist()
        scaled = make_pipeline(StandardScaler(), MahalanobisTaguchiSelector(fold_over=True)).fit(items, y)
        np.testing.assert_allclose(scaled[1].item_gains_, selector.item_gains_, rtol=1e-6)


class TestEdges:
    def test_constant_items_and_a_single_item(self):
        X, y = normal_and_abnormal(6)
        with_constant = np.column_stack([X, np.full(len(y), 0.1), np.where(y > 0, 1.0, 0)])
        selector = MahalanobisTaguchiSelector().fit(with_constant, y)
        assert selector.item_gains_[-2:].tolist() == [0, 0]
        assert np.isfinite(selector.run_sn_ratios_).all()
        constant = MahalanobisTaguchiSelector().fit(np.ones((len(y), 3)), y)
        assert constant.item_gains_.tolist() == [0, 0, 0]
        assert constant.run_sn_ratios_.tolist() == [0, 0, 0, 0]
        assert constant.get_support().tolist() == [True, False, False]
        for fold_over in (False, True):
            assert MahalanobisTaguchiSelector(fold_over=fold_over).fit(X[:, :1], y).item_gains_ > 0

    def test_collinear_items_and_more_items_than_rows(self):
        X, y = normal_and_abnormal(7)
        wide = np.column_stack([X] * 3 + [X @ np.random.default_rng(7).normal(size=(7, 90))])
        cv = list(KFold(3, shuffle=True, random_state=0).split(wide))
        selector = MahalanobisTaguchiSelector(cv=cv).fit(wide, y)
        expected = responses_run_by_run(wide, y, orthogonal_array(111), cv)
        np.testing.assert_allclose(selector.run_sn_ratios_, expected, rtol=1e-6)

    def test_an_abnormal_row_at_the_very_centre_has_a_finite_ratio(self):
        X, y = normal_and_abnormal(8)
        train, test = np.arange(60), np.arange(60, 120)
        X[60] = X[train][y[train] == 0].mean(axis=0)
        y[60] = 1
        selector = MahalanobisTaguchiSelector(cv=[(train, test)]).fit(X, y)
        assert np.isfinite(selector.run_sn_ratios_).all()

    @pytest.mark.parametrize(
        ("y", "sn", "told"),
        [
            ([0] * 30, "larger", "y must have normal rows (0) and abnormal ones (above 0), all 30 are 0."),
            ([2] * 30, "larger", "y must have normal rows (0) and abnormal ones (above 0), all 30 are above 0."),
            ([1] * 20 + [-1] * 10, "larger", "above 0 for abnormal ones, got -1: give `labels == -1`"),
            ([0] * 20 + [3] * 10, "dynamic", "two or more states of abnormal rows, got only y = 3: take sn='larger'."),
            (
                ["ok"] * 20 + ["bad"] * 10,
                "larger",
                "got 'ok' at position 0: give y == label, with the label of the abn",
            ),
            ([0] * 2 + [1] * 28, "larger", "Training rows of fold 1: a unit space needs 2 or more rows with y == 0"),
        ],
    )
    def test_targets_that_say_too_little(self, y, sn, told):
        X = np.random.default_rng(0).normal(size=(30, 3))
        with pytest.raises(ValueError, match=re.escape(told)):
            MahalanobisTaguchiSelector(sn=sn).fit(X, y)

    def test_splits_that_hold_out_no_abnormal_row(self):
        X, y = normal_and_abnormal(9)
        normal = np.flatnonzero(y == 0)
        with pytest.raises(ValueError, match="cv holds out no row with y == 0, or none above 0"):
            MahalanobisTaguchiSelector(cv=[(normal[:20], normal[20:])]).fit(X, y)

    def test_the_dynamic_ratio_needs_two_held_out_abnormal_rows(self):
        X, y = normal_and_abnormal(9)
        abnormal = np.flatnonzero(y > 0)
        held_out = np.r_[np.flatnonzero(y == 0)[:20], abnormal[:1]]
        cv = [(np.setdiff1d(np.arange(len(y)), held_out), held_out)]
        with pytest.raises(ValueError, match=r"sn='dynamic' needs 2 or more held-out rows above 0, got 1: give splits"):
            MahalanobisTaguchiSelector(sn="dynamic", cv=cv).fit(X, y)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("sn", ["larger", "dynamic"])
    def test_a_row_whose_squares_overflow_is_refused(self, sn):
        X, y = normal_and_abnormal(9)
        X[np.argmax(y)] = 1e200
        with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
            MahalanobisTaguchiSelector(sn=sn).fit(X, y)

    def test_missing_values_and_sparse_items_are_refused(self):
        X, y = normal_and_abnormal(10)
        gaps = np.where(X > 2, np.nan, X)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            MahalanobisTaguchiSelector().fit(gaps, y)
        with pytest.raises(TypeError, match="dense data is required"):
            MahalanobisTaguchiSelector().fit(csr_array(X), y)

    @pytest.mark.parametrize("wrong", [{"method": "mta"}, {"sn": "smaller"}, {"cv": 1}, {"shrinkage": 2}])
    def test_wrong_parameters_are_named(self, wrong):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"The '{name}' parameter of MahalanobisTaguchiSelector must be"):
            MahalanobisTaguchiSelector(**wrong).fit(*normal_and_abnormal(11))


def has_no_normal_row(estimator):
    return dict.fromkeys(
        ["check_estimators_dtypes", "check_fit2d_1feature"], "The target of this check has no 0: no row is normal."
    )


class TestScikitLearn:
    @parametrize_with_checks(
        [MahalanobisTaguchiSelector(), MahalanobisTaguchiSelector("svp", cv=2, threshold=-1, fold_over=True)],
        expected_failed_checks=has_no_normal_row,
    )
    def test_contract(self, estimator, check):
        check(estimator)

    def test_what_two_checks_are_about_with_a_target_that_has_normal_rows(self):
        X, y = normal_and_abnormal(12)
        plain = MahalanobisTaguchiSelector().fit(X, y)
        for dtype in (np.float32, np.int64, np.int32):
            fitted = MahalanobisTaguchiSelector().fit((100 * X).astype(dtype), y)
            np.testing.assert_allclose(fitted.item_gains_, plain.item_gains_, atol=0.2)
            assert fitted.transform((100 * X).astype(dtype)).dtype == dtype
        assert MahalanobisTaguchiSelector().fit(X[:, :1], y).transform(X[:, :1]).shape == (len(y), 1)

    def test_clone_pickle_and_inputs(self):
        X, y = normal_and_abnormal(13)
        before = X.copy(), y.copy()
        selector = MahalanobisTaguchiSelector("svp", cv=3, threshold=0.1).fit(X, y)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(y, before[1])
        assert clone(selector).get_params() == selector.get_params()
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(selector)).transform(X), selector.transform(X))
