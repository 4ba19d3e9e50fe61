"""Sums of classes agree with those of a T-method, and sums times a weight with weighted rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from t_data import close, noisy, seeds, with_gaps, with_zeros
from test_moments import agree

from pipeline.taguchi import ClassMoments, TMethodRegressor, TMoments, class_moments, t_moments

INTERVALS = [(3, 3), (1, 1), (4, 5), (1, 5), (6, 9)]


def starred(seed, n=40, p=4):
    """Items and stars from 1 to 5, every star at least four times."""
    X, y, _ = noisy(seed, n, p)
    return X, 1 + np.argsort(np.argsort(y)) * 5 // n


class TestClassMoments:
    @settings(max_examples=30)
    @given(
        seed=seeds,
        interval=st.sampled_from(INTERVALS),
        weighted=st.booleans(),
        form=st.sampled_from([np.asarray, sparse.csr_array, sparse.csc_array]),
    )
    def test_a_split_is_the_sums_of_the_rows_inside_and_outside(self, seed, interval, weighted, form):
        X, y = starred(seed)
        X = with_zeros(X, seed, 0.3) + (1e6 if form is np.asarray else 0)
        weight = np.random.default_rng(seed).uniform(0.1, 3, size=len(y)) if weighted else None
        low, high = interval
        expected = t_moments(form(X), y, (low <= y) & (y <= high), weight, gram=True)
        agree(class_moments(form(X), y, weight).split(low, high), expected)

    def test_sums_of_shards_unite_the_classes(self):
        X, y = starred(0)
        shards = [class_moments(X[rows], y[rows]) for rows in (y < 3, y > 3, y == 3)]
        total = sum(shards)
        np.testing.assert_array_equal(total.classes, [1, 2, 3, 4, 5])
        assert total.classes.dtype == y.dtype
        agree((shards[2] + shards[1] + shards[0]).split(3, 3), t_moments(X, y, y == 3, gram=True))
        first, second = class_moments(X[:25], y[:25]), class_moments(X[25:], y[25:])
        agree((first + second).split(2, 4), t_moments(X, y, (y > 1) & (y < 5), gram=True))
        agree(first.split(1, 2) + second.split(1, 2), t_moments(X, y, y < 3, gram=True))

    @given(seed=seeds, w=st.floats(1e-3, 1e3))
    def test_a_factor_is_a_weight_of_every_row(self, seed, w):
        X, y = starred(seed)
        weight = np.random.default_rng(seed).uniform(0.1, 3, size=len(y))
        sums, plain = class_moments(X, y, weight), t_moments(X, y, y == 3, weight, gram=True)
        expected = t_moments(X, y, y == 3, w * weight, gram=True)
        for total in ((sums * w).split(3, 3), (np.float64(w) * sums).split(3, 3), plain * w, np.float64(w) * plain):
            agree(total, expected)
        assert np.isclose(sums.counting_as(w).n_rows, w)
        assert np.isclose(plain.counting_as(w).n_rows, w)
        assert np.isclose(plain.n_rows, weight.sum())

    def test_gaps_stay_gaps_in_a_factor(self):
        X, y, mask = noisy(1)
        X = with_gaps(X, 1)
        agree(t_moments(X, y, mask) * 3, t_moments(X, y, mask, np.full(30, 3.0)))

    def test_numbers_may_be_written_and_rows_without_weight_bring_no_class(self):
        X, y = starred(2)
        assert class_moments(X, y.astype(str)).classes.tolist() == [1, 2, 3, 4, 5]
        assert class_moments(pd.DataFrame(X), pd.Series(y), y != 3).classes.tolist() == [1, 2, 4, 5]

    def test_it_says_what_it_holds(self):
        X, y = starred(3)
        assert repr(class_moments(X, y)) == "ClassMoments(classes=[1, 2, 3, 4, 5], n_rows=40, n_items=4)"
        assert repr(t_moments(X, y)) == "TMoments(n_rows=40, n_items=4, gram=False)"

    @pytest.mark.parametrize("w", [0, -1.0, np.nan, np.inf])
    def test_factors_that_are_none(self, w):
        X, y = starred(4)
        for sums in (class_moments(X, y), t_moments(X, y), t_moments(X, y).unit):
            with pytest.raises(ValueError, match=rf"finite number above 0, got {w:g}"):
                sums * w
        for sums in (class_moments(X, y), t_moments(X, y)):
            with pytest.raises(ValueError, match=rf"count as a finite number of rows above 0, got {w:g}"):
                sums.counting_as(w)
            with pytest.raises(TypeError, match="unsupported operand"):
                sums * None

    def test_what_cannot_be_summed(self):
        X, y = starred(5)
        for wrong, match in (
            ((with_gaps(X, 5), y), "Input X contains NaN"),
            ((sparse.csr_array(with_gaps(X, 5)), y), "Input X contains NaN"),
            ((X, np.where(y == 3, np.nan, y)), "Input y contains NaN"),
            ((X, np.where(y == 3, "good", "bad")), "class_moments needs numbers as target y, got 'bad'"),
            ((X, y[1:]), "inconsistent numbers of samples"),
            ((X, y, np.zeros(len(y))), "sample_weight must not be zero for every row"),
            ((np.zeros((200, 1)), np.arange(200)), "y has 200 different values: round them to 128 or fewer"),
            ((X, np.where(y == 3, 1e200, y)), "squares overflow"),
        ):
            with pytest.raises(ValueError, match=match):
                class_moments(*wrong)
        with pytest.raises(ValueError, match="must have the same items, got 4 and 3"):
            class_moments(X, y) + class_moments(X[:, 1:], y)
        with pytest.raises(TypeError, match="unsupported operand"):
            class_moments(X, y) + t_moments(X, y)
        with pytest.raises(ValueError, match="hold no rows, so that they cannot count as 3"):
            t_moments(X[:0], y[:0]).counting_as(3)


class TestArrays:
    def sums(self, seed=0):
        X, y = starred(seed)
        return class_moments(X, y) * 0.3 + class_moments(X + 1, y)

    @pytest.mark.parametrize("gram", [True, False])
    @pytest.mark.parametrize("gaps", [True, False])
    def test_sums_of_a_t_method_come_back(self, gram, gaps):
        X, y, mask = noisy(0)
        total = t_moments(with_gaps(X, 0) if gaps and not gram else X, y, mask, gram=gram)
        arrays = total.to_arrays()
        again = TMoments.from_arrays(arrays)
        agree(again, total, 0)
        assert again.eps == total.eps
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
        np.testing.assert_array_equal(
            TMethodRegressor().fit_moments(again).coef_, TMethodRegressor().fit_moments(total).coef_
        )

    def test_sums_of_classes_come_back(self):
        total = self.sums()
        for again in (ClassMoments.from_arrays(total.to_arrays()), pickle.loads(pickle.dumps(total))):
            assert again.classes.dtype == total.classes.dtype
            assert again.eps == total.eps
            agree(again.split(3, 3), total.split(3, 3), 0)

    def test_what_comes_back_is_a_copy(self):
        arrays = self.sums().to_arrays()
        again = ClassMoments.from_arrays(arrays)
        for array in arrays.values():
            array[...] = 7
        assert again.classes.tolist() == [1, 2, 3, 4, 5]
        assert not (again.means == 7).any()
        assert not (again.grams == 7).any()

    @pytest.mark.parametrize(
        ("name", "value", "match"),
        [
            ("classes", [1.0, 2, 2, 4, 5], "classes must be different and in ascending order"),
            ("classes", ["1", "2", "3", "4", "5"], "classes must hold numbers"),
            ("classes", np.zeros(0), r"classes must have the shape \(n,\), got \(0,\)"),
            ("weight", [1, 1, 1, 1, -2], "weight must be above 0 for each class, got -2"),
            ("weight", [1, 1], r"weight must have the shape \(5,\), got \(2,\)"),
            ("x_mean", np.full((5, 4), np.nan), "x_mean must be finite"),
            ("gram", np.ones((5, 4, 3)), r"gram must have the shape \(5, 4, 4\), got \(5, 4, 3\)"),
            ("gram", -np.ones((5, 4, 4)), "gram must have no negative sum of squares"),
            ("gram", np.triu(np.ones((5, 4, 4))), "gram must be symmetric"),
            ("eps", np.array(-1.0), "eps must not be below 0, got -1"),
            ("eps", None, "The array 'eps' is missing"),
        ],
    )
    def test_arrays_of_classes_that_are_refused(self, name, value, match):
        arrays = {key: array for key, array in self.sums().to_arrays().items() if key != name}
        with pytest.raises(ValueError, match=match):
            ClassMoments.from_arrays(arrays | ({} if value is None else {name: np.asarray(value)}))

    @pytest.mark.parametrize(
        ("name", "value", "match"),
        [
            ("unit_weight", -1.0, "unit_weight must not be below 0, got -1"),
            ("unit_weight", [1.0, 2], r"unit_weight must have the shape \(\) or \(4,\), got \(2,\)"),
            ("signal_xx", -np.ones(4), "signal_xx must not be below 0"),
            ("signal_target", [-1.0, 0, 0], "signal_target holds a negative weight"),
            ("signal_x_mean", np.ones(3), "signal_x_mean must have the shape"),
            ("unit_x_mean", np.ones((4, 1)), "unit_x_mean must have the shape"),
            ("signal_gram", np.triu(np.ones((4, 4))), "signal_gram must be symmetric"),
            ("signal_gram", None, "unit_gram and signal_gram must both be there"),
            ("target_range", [2.0, 1.0], "target_range must have the lower target first"),
            ("unit_yy", None, "The array 'unit_yy' is missing"),
        ],
    )
    def test_arrays_of_a_t_method_that_are_refused(self, name, value, match):
        X, y, mask = noisy(0)
        arrays = {key: array for key, array in t_moments(X, y, mask, gram=True).to_arrays().items() if key != name}
        with pytest.raises(ValueError, match=match):
            TMoments.from_arrays(arrays | ({} if value is None else {name: np.asarray(value)}))

    def test_classes_agree_in_their_last_digits(self):
        total = self.sums()
        close(total.grams, np.swapaxes(total.grams, 1, 2), 1e-15)
