"""A fit on rows and know-how is the fit on all rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import ttest_rel
from sklearn.base import clone
from sklearn.model_selection import KFold
from t_data import RULES, agree, noisy, options, seeds, with_gaps, with_zeros
from test_class_moments import starred

from pipeline.taguchi import TMethodRegressor, UnitSpaceClassifier, UnitSpaceClassifierCV, class_moments, t_moments

RULE_CHOICES = st.sampled_from([*RULES, (2, 4)])


def stacked(A, B):
    return np.concatenate([A[0], B[0]]), np.concatenate([A[1], B[1]])


class TestTMethod:
    @settings(max_examples=40)
    @given(seed=seeds, option=options, rule=RULE_CHOICES, w=st.sampled_from([None, 0.25, 2.0]), n=st.integers(1, 40))
    def test_know_how_of_classes_and_rows_are_all_rows(self, seed, option, rule, w, n):
        A, B = starred(seed), starred(seed + 1)
        B = B[0][:n], B[1][:n]
        X, y = stacked(A, B)
        option = option | {"unit_space": rule}
        weight = None if w is None else np.append(np.full(40, w), np.ones(n))
        expected = TMethodRegressor(**option).fit(X, y, sample_weight=weight)
        known = class_moments(*A) * (1 if w is None else w)
        agree(TMethodRegressor(**option, know_how=known).fit(*B), expected, X)
        agree(TMethodRegressor(**option).fit_moments(known + class_moments(*B)), expected, X)

    @settings(max_examples=20)
    @given(seed=seeds, option=options, form=st.sampled_from([np.asarray, sparse.csr_array]), w=st.floats(0.1, 3))
    def test_know_how_of_a_t_method_and_rows_are_all_rows(self, seed, option, form, w):
        X, y, mask = noisy(seed)
        X, rest = with_zeros(X, seed, 0.3), slice(20, 30)
        assume(mask[:20].any())
        known = w * t_moments(form(X[:20]), y[:20], mask[:20], gram=True)
        model = TMethodRegressor(**option, know_how=known).fit(form(X[rest]), y[rest], mask[rest])
        weight = np.append(np.full(20, w), np.ones(10))
        agree(model, TMethodRegressor(**option).fit(X, y, mask, weight), X)

    @given(seed=seeds)
    def test_gaps_on_both_sides(self, seed):
        X, y, mask = noisy(seed)
        X = with_gaps(X, seed)
        known = t_moments(X[:20], y[:20], mask[:20])
        agree(TMethodRegressor(know_how=known).fit(X[20:], y[20:], mask[20:]), TMethodRegressor().fit(X, y, mask), X)

    @settings(max_examples=20)
    @given(seed=seeds, option=options, rule=RULE_CHOICES)
    def test_the_first_batch_adds_it_once(self, seed, option, rule):
        A, B = starred(seed), starred(seed + 1)
        # The first batch and the know-how have all targets: the interval is that of all rows.
        option = option | {"unit_space": (3, 3) if rule == "median" else rule}
        model = TMethodRegressor(**option, know_how=class_moments(*A))
        for rows in (slice(0, 1), slice(1, 15), slice(15, 40)):
            model.partial_fit(B[0][rows], B[1][rows])
        agree(model, TMethodRegressor(**option).fit(*stacked(A, B)), A[0])

    @pytest.mark.parametrize("option", [{"unit_space": "all"}, {"unit_space": (3, 3), "covariance": "full"}])
    def test_three_plants_exchange_sums_and_no_rows(self, option):
        plants = [starred(seed, n) for seed, n in ((0, 20), (1, 35), (2, 9))]
        X, y = (np.concatenate(parts) for parts in zip(*plants, strict=True))
        expected = TMethodRegressor(**option).fit(X, y)
        unit = (lambda y: None) if option["unit_space"] == "all" else (lambda y: y == 3)
        sums = [t_moments(X, y, unit(y), gram=True) for X, y in plants]
        for i, rows in enumerate(plants):
            others = sum(sums[:i] + sums[i + 1 :])
            agree(TMethodRegressor(**option, know_how=others).fit(*rows), expected, X)

    def test_rows_without_the_ends_of_the_scale_have_its_middle(self):
        A, (X, y) = starred(0), starred(1)
        rows = np.flatnonzero(y >= 3)[:10]
        for known in (class_moments(*A), t_moments(*A, A[1] == 3)):
            model = TMethodRegressor(know_how=known.counting_as(5)).fit(X[rows], y[rows])
            np.testing.assert_allclose(model.unit_space_interval_, [2.6, 3.4])
            np.testing.assert_array_equal(model.target_range_, [1, 5])
        np.testing.assert_allclose(TMethodRegressor().fit(X[rows], y[rows]).unit_space_interval_[0], 3.8)

    @pytest.mark.parametrize("rule", [*RULES, (3, 3)])
    def test_one_row_is_enough(self, rule):
        A = starred(0)
        for known in (class_moments(*A), t_moments(*A, None if rule == "all" else A[1] == 3)):
            model = TMethodRegressor(rule, know_how=known).fit(A[0][:1], A[1][:1])
            assert np.isfinite(model.predict(A[0])).all()
            assert model.moments_.n_rows == 41

    def test_rows_of_weight_zero_leave_the_know_how(self):
        A, B = starred(0), starred(1)
        known = class_moments(*A)
        model = TMethodRegressor(know_how=known).fit(*B, sample_weight=np.zeros(40))
        agree(model, TMethodRegressor().fit_moments(known), A[0])

    def test_sums_of_no_rows_add_nothing(self):
        X, y = starred(0)
        model = TMethodRegressor(know_how=t_moments(X[:0], y[:0])).fit(X, y)
        agree(model, TMethodRegressor().fit(X, y), X, 1e-15)

    def test_several_targets_take_one_each(self):
        A, B = starred(0), starred(1)
        targets = [np.column_stack([y, 6 - y]) for _, y in (A, B)]
        known = [class_moments(A[0], column) for column in targets[0].T]
        model = TMethodRegressor(know_how=known).fit(B[0], targets[1])
        X, y = np.concatenate([A[0], B[0]]), np.concatenate(targets)
        agree(model, TMethodRegressor().fit(X, y), X)
        both = [known[0], known[1].split(3, 3)]
        alone = TMethodRegressor().fit_moments(both)
        agree(alone, TMethodRegressor().fit(A[0], targets[0]), A[0])
        assert not hasattr(alone, "unit_space_interval_")
        for wrong, number in ((known[0], 1), (known[:1], 1), (known * 2, 4)):
            with pytest.raises(ValueError, match=f"sums for each of 2 targets, got {number}"):
                TMethodRegressor(know_how=wrong).fit(B[0], targets[1])

    def test_a_batch_goes_on_from_sums_of_classes(self):
        A, B = starred(0), starred(1)
        model = TMethodRegressor().fit_moments(class_moments(*A)).partial_fit(*B)
        agree(model, TMethodRegressor().fit(*stacked(A, B)), A[0])

    def test_few_rows_are_told_of_rows_and_know_how_together(self, recwarn):
        A, B = starred(0, 200), starred(1)
        rare = B[1] != 3
        TMethodRegressor(know_how=class_moments(*A)).fit(B[0][rare], B[1][rare])
        assert not recwarn
        with pytest.warns(UserWarning, match=r"The unit space holds 1 of 33 rows"):
            TMethodRegressor((3, 3), know_how=class_moments(A[0][80:81], [3])).fit(B[0][rare], B[1][rare])

    def test_what_cannot_be_added(self):
        (X, y), B = starred(0), starred(1)
        products = "need know_how that was made with gram=True"
        for option, wrong, match in (
            ({}, class_moments(X[:, 1:], y), "know_how has 3 items, but X has 4"),
            ({"covariance": "full"}, t_moments(X, y, y == 3), products),
            ({"recalibrate": True}, t_moments(X, y, y == 3), products),
            ({"unit_space": "all"}, t_moments(X, y, y == 3), "needs know_how whose rows are all unit space"),
            ({}, [X], "must hold TMoments or ClassMoments, got ndarray"),
            ({}, X, "The 'know_how' parameter of TMethodRegressor must be"),
            ({"unit_space": (7, 9)}, class_moments(X, y), "The unit space is empty"),
        ):
            for fit in ("fit", "partial_fit"):
                if "empty" in match and fit == "partial_fit":
                    continue
                with pytest.raises(ValueError, match=match):
                    getattr(TMethodRegressor(**option, know_how=wrong), fit)(*B)
        with pytest.raises(ValueError, match="unit_space_mask does not tell which classes of know_how"):
            TMethodRegressor(know_how=class_moments(X, y)).fit(*B, B[1] == 3)
        with pytest.raises(ValueError, match="fit_moments takes the total of all sums"):
            TMethodRegressor(know_how=class_moments(X, y)).fit_moments(class_moments(*B))
        with pytest.raises(ValueError, match="Input X contains NaN"):
            TMethodRegressor(recalibrate=True, know_how=class_moments(X, y)).fit(with_gaps(B[0], 0), B[1])
        with pytest.raises(ValueError, match="constant"):
            TMethodRegressor(know_how=class_moments(X, np.ones(40))).fit(B[0], np.ones(40))

    def test_it_is_a_parameter_as_others_are(self, tmp_path):
        A, B = starred(0), starred(1)
        known = class_moments(*A)
        before = {name: array.copy() for name, array in known.to_arrays().items()}
        model = TMethodRegressor(know_how=known, covariance="full")
        copy = clone(model)
        assert model.get_params()["know_how"] is known
        assert copy.know_how is not known
        assert "ClassMoments(classes=[1, 2, 3, 4, 5], n_rows=40" in repr(model)
        model.fit(pd.DataFrame(B[0], columns=list("abcd")), B[1])
        assert model.feature_names_in_.tolist() == list("abcd")
        for name, array in before.items():
            np.testing.assert_array_equal(known.to_arrays()[name], array)
        agree(copy.fit(*B), TMethodRegressor(covariance="full").fit(*stacked(A, B)), A[0])
        path = tmp_path / "model.skops"
        skops.io.dump(copy, path)
        types = skops.io.get_untrusted_types(file=path)
        assert all(name.startswith(("pipeline.", "sklearn.")) for name in types)
        for again in (pickle.loads(pickle.dumps(copy)), skops.io.load(path, trusted=types)):
            np.testing.assert_array_equal(again.predict(A[0]), copy.predict(A[0]))
            agree(again.fit(*B), copy, A[0], 0)


SPACES = [
    UnitSpaceClassifier(),
    UnitSpaceClassifier("shrunk", shrinkage=0.3, prior="uniform"),
    UnitSpaceClassifier("pooled"),
    UnitSpaceClassifier("own"),
    UnitSpaceClassifier("own", shrinkage=0.2),
]


def agree_in_spaces(a, b, X, tol=1e-9):
    """Two classifiers have learned the same and predict the same."""
    np.testing.assert_array_equal(a.classes_, b.classes_)
    np.testing.assert_array_equal(a.constant_items_, b.constant_items_)
    for name in ("class_prior_", "means_", "center_", "scale_", "log_det_", "shrinkage_"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=tol, atol=tol)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=0, atol=tol)
    np.testing.assert_allclose(a.distance(X), b.distance(X), rtol=1e-8)


class TestUnitSpaces:
    @settings(max_examples=30)
    @given(seed=seeds, model=st.sampled_from(SPACES), w=st.sampled_from([None, 0.7, 2.0]), n=st.integers(1, 40))
    def test_know_how_and_rows_are_all_rows(self, seed, model, w, n):
        A, B = starred(seed), starred(seed + 1)
        few = B[0][:n], B[1][:n]
        weight = None if w is None else np.append(np.full(40, w), np.ones(n))
        known = class_moments(*A) * (1 if w is None else w)
        expected = clone(model).fit(*stacked(A, few), sample_weight=weight)
        agree_in_spaces(clone(model).set_params(know_how=known).fit(*few), expected, B[0])
        agree_in_spaces(clone(model).fit_moments(known + class_moments(*few)), expected, B[0])
        assert expected.classes_.dtype == clone(model).fit_moments(known).classes_.dtype

    @pytest.mark.parametrize("model", [*SPACES, UnitSpaceClassifierCV([0.2])], ids=repr)
    def test_classes_and_constant_items_are_those_of_both(self, model):
        (X, y), (new, _) = starred(0), starred(1)
        # Constant in the rows, constant in the know-how, constant in both.
        more = np.full((40, 3), 0.1)
        more[y < 3, 0], more[y >= 3, 1] = new[y < 3, 0], new[y >= 3, 1]
        X = np.column_stack([X, more])
        known = class_moments(X[y < 3], y[y < 3])
        model = clone(model).set_params(know_how=known).fit(X[y >= 3], y[y >= 3])
        expected = clone(model).set_params(know_how=None).fit(X, y)
        agree_in_spaces(model, expected, X)
        assert model.constant_items_.tolist() == [6]
        with pytest.warns(UserWarning, match="1 of 1 rows differ in what is constant"):
            model.distance(X[:1] + 1)

    def test_cross_validation_trains_on_know_how_and_chooses_by_rows(self):
        A, (X, y) = starred(0, p=6), starred(1, p=6)
        grid = (0.1, 0.4, 1.0)
        known = class_moments(*A) * 0.5
        model = UnitSpaceClassifierCV(grid, know_how=known).fit(X, y)
        errors = np.zeros((3, 40))
        for train, test in KFold(5, shuffle=True, random_state=0).split(X):
            for i, shrinkage in enumerate(grid):
                plain = UnitSpaceClassifier(shrinkage=shrinkage, know_how=known).fit(X[train], y[train])
                errors[i, test] = ((plain.predict_proba(X[test]) - np.eye(5)[y[test] - 1]) ** 2).sum(axis=1)
        np.testing.assert_allclose(model.scores_, errors.mean(axis=1), rtol=1e-9)
        best = model.scores_.argmin()
        as_good = [i == best or ttest_rel(errors[i], errors[best]).pvalue >= 0.05 for i in range(3)]
        assert model.shrinkage_ == np.array(grid)[as_good].max()
        weight = np.append(np.full(40, 0.5), np.ones(40))
        plain = UnitSpaceClassifierCV([model.shrinkage_]).fit(*stacked(A, (X, y)), weight)
        agree_in_spaces(model, plain, A[0])
        np.testing.assert_allclose(model.root_, plain.root_, rtol=1e-7, atol=1e-9)

    def test_many_rows_choose_less_shrinkage_than_few(self):
        rng = np.random.default_rng(0)
        y = rng.integers(1, 6, size=600)
        shared = rng.normal(size=(600, 1))
        X = y[:, None] * [0.5, 0.2, 0.1] + shared + 0.3 * rng.normal(size=(600, 3))
        known = class_moments(X[:60], y[:60])
        few, many = (UnitSpaceClassifierCV(know_how=known).fit(X[60:n], y[60:n]) for n in (62, 600))
        assert many.shrinkage_ < few.shrinkage_

    def test_without_rows_to_hold_out_the_largest_shrinkage_is_taken(self):
        A = starred(0, p=6)
        known = class_moments(A[0][1:], A[1][1:])
        expected = UnitSpaceClassifier(shrinkage=0.7).fit(*A)
        one = UnitSpaceClassifierCV([0.1, 0.7, 0.3], know_how=known).fit(A[0][:1], A[1][:1])
        none = UnitSpaceClassifierCV([0.1, 0.7, 0.3]).fit_moments(class_moments(*A))
        for model in (one, none):
            assert model.shrinkage_ == 0.7
            assert np.isnan(model.scores_).all()
            np.testing.assert_allclose(model.predict_proba(A[0]), expected.predict_proba(A[0]), atol=1e-9)
        two = UnitSpaceClassifierCV(know_how=known).fit(A[0][:2], A[1][:2])
        assert np.isfinite(two.scores_).all()

    @pytest.mark.parametrize("model", [UnitSpaceClassifier(), UnitSpaceClassifierCV()], ids=repr)
    def test_what_cannot_be_added(self, model):
        (X, y), known = starred(0), class_moments(*starred(1))
        taught = clone(model).set_params(know_how=known)
        with pytest.raises(ValueError, match="know_how has 4 items, but X has 3"):
            taught.fit(X[:, 1:], y)
        with pytest.raises(ValueError, match=r"know_how needs classes that are numbers, got \['bad', 'good'\]"):
            taught.fit(X, np.where(y > 3, "good", "bad"))
        with pytest.raises(ValueError, match="fit_moments takes the total of all sums"):
            taught.fit_moments(known)
        with pytest.raises(ValueError, match="fit_moments needs ClassMoments, got TMoments"):
            clone(model).fit_moments(t_moments(X, y))
        with pytest.raises(ValueError, match="The 'know_how' parameter of"):
            clone(model).set_params(know_how=t_moments(X, y)).fit(X, y)

    @pytest.mark.parametrize("model", [UnitSpaceClassifier("own"), UnitSpaceClassifierCV()], ids=repr)
    def test_it_is_a_parameter_as_others_are(self, model, tmp_path):
        A, B = starred(0), starred(1)
        model = clone(model.set_params(know_how=class_moments(*A).counting_as(30))).fit(*B)
        assert "n_rows=30" in repr(model)
        skops.io.dump(model, tmp_path / "model.skops")
        types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
        assert all(name.startswith(("pipeline.", "sklearn.")) for name in types)
        for again in (pickle.loads(pickle.dumps(model)), skops.io.load(tmp_path / "model.skops", trusted=types)):
            np.testing.assert_array_equal(again.predict_proba(A[0]), model.predict_proba(A[0]))
            agree_in_spaces(again.fit(*B), model, A[0], 0)

    def test_names_of_items_are_forgotten_by_a_fit_without_rows(self):
        X, y = starred(0)
        model = UnitSpaceClassifier().fit(pd.DataFrame(X, columns=list("abcd")), y).fit_moments(class_moments(X, y))
        assert not hasattr(model, "feature_names_in_")
