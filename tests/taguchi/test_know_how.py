"""A fit on rows and know-how is the fit on all rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from t_data import RULES, agree, noisy, options, seeds, with_gaps, with_zeros
from test_class_moments import starred

from pipeline.taguchi import TMethodRegressor, class_moments, t_moments

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
