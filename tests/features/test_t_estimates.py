import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from pipeline.features import TEstimates
from pipeline.features.t_estimates import _by_items, _by_rows, _scaled, _solve
from pipeline.features.t_metrics import words_and_pairs
from pipeline.features.word_sums import distances
from pipeline.taguchi import TMethodRegressor


@pytest.fixture
def estimates(texts, stars):
    return TEstimates(cv=3, target_range=(1, 5)).fit(texts, stars)


class TestTheEstimate:
    @settings(max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1))
    def test_without_shrinkage_it_is_ta_with_the_full_covariance(self, seed):
        rng = np.random.default_rng(seed)
        X, y = (rng.random((40, 5)) < 0.4).astype(float), rng.integers(1, 6, 40).astype(float)
        Z, targets = _scaled(csr_array(X), np.arange(5)), distances(y, 1, 5)
        coef, offset = _solve(Z, targets, shrinkage=0)
        ta = TMethodRegressor("all", "full", shrinkage=0, subtract_error=False).fit(Z.toarray(), targets)
        np.testing.assert_allclose(Z @ coef + offset, ta.predict(Z.toarray()), rtol=1e-6, atol=1e-6)

    @settings(max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1), shrinkage=st.floats(0, 1))
    def test_its_slope_on_the_target_is_one_and_its_mean_the_target_s(self, seed, shrinkage):
        rng = np.random.default_rng(seed)
        Z, targets = csr_array(rng.random((30, 4))), distances(rng.integers(1, 6, 30).astype(float), 1, 5)
        coef, offset = _solve(Z, targets, shrinkage)
        estimate, M = Z @ coef + offset, targets - targets.mean(axis=0)
        np.testing.assert_allclose((estimate * M).sum(axis=0), (M**2).sum(axis=0), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(estimate.mean(axis=0), targets.mean(axis=0), atol=1e-9)

    def test_full_shrinkage_takes_words_as_independent(self):
        X = csr_array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
        M = np.array([[3.0], [4.0], [1.0], [2.0]])
        coef, _ = _solve(X, M, shrinkage=1)
        # r = 5, L = 2 and S_T = 1 of the first item: r (L / S_T) / (L^2 / S_T).
        assert coef[0, 0] == pytest.approx(2.5)
        assert coef[1, 0] == pytest.approx(0)


class TestItems:
    def test_each_is_over_the_root_of_how_many_the_text_has(self):
        Z = _scaled(csr_array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), np.array([0, 2]))
        np.testing.assert_allclose(Z.toarray(), [[2**-0.5, 2**-0.5], [0, 1], [0, 0]])

    def test_the_strongest_are_taken(self, texts, stars):
        every = TEstimates(n_items=10_000).fit(texts, stars)
        few = TEstimates(n_items=3).fit(texts, stars)
        assert len(few.items_) == 3
        assert set(few.items_) < set(every.items_)
        held = [set(words_and_pairs(text)) for text in texts]

        def strength(item):
            has = np.array([item in each for each in held])
            middle = np.abs(np.array(stars) - 3)
            return max(abs(np.corrcoef(has, target)[0, 1]) for target in (stars, middle))

        weakest = min(map(strength, few.items_))
        assert all(strength(item) <= weakest + 1e-9 for item in set(every.items_) - set(few.items_))

    def test_a_word_of_the_middle_shows_in_the_distance_from_it(self):
        texts = ["okay place", "okay food", "great place", "great food", "awful place", "awful food"]
        columns = TEstimates().fit(texts, [3, 3, 5, 5, 1, 1]).transform(["okay", "great"])
        assert columns[0, 2] < columns[1, 2]

    def test_no_word_at_all(self):
        with pytest.raises(ValueError, match="No word occurs in the 2 texts: give others"):
            TEstimates(cv=2).fit(["?", "!"], [5, 1])

    def test_words_that_say_nothing_leave_the_mean(self):
        columns = TEstimates(cv=2).fit(["a", "a", "a", "a"], [1, 5, 1, 5]).transform(["a", "b", ""])
        np.testing.assert_allclose(columns, [[2, 2, 2, 2]] * 3)


class TestReading:
    def test_a_text_without_a_known_word_is_one_without_the_words(self, estimates):
        np.testing.assert_allclose(estimates.transform(["", "xyzzy"]), [estimates.metrics_.offset] * 2)

    def test_estimates_are_finite_where_there_are_more_words_than_texts(self, texts, stars):
        for shrinkage in (1e-12, 0.4, 1):
            columns = TEstimates(shrinkage=shrinkage, cv=2).fit_transform(texts, stars)
            assert np.isfinite(columns).all()

    @pytest.mark.parametrize("wrong", [{"n_items": 0}, {"shrinkage": 0}, {"shrinkage": 1.1}, {"cv": 1}])
    def test_wrong_parameters(self, texts, stars, wrong):
        with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of TEstimates must be"):
            TEstimates(**wrong).fit(texts, stars)

    def test_a_range_that_does_not_hold_the_target_is_refused(self):
        with pytest.raises(ValueError, match="must be two numbers, the lower one first, that hold the target"):
            TEstimates(cv=2, target_range=(1, 3)).fit(["good", "bad", "so"], [2, 4, 3])


class TestColumnShares:
    @pytest.mark.parametrize("text", ["The noodles were cold, good coffee!", "Worst haircut", "good", "xyzzy", ""])
    def test_they_sum_up_to_the_columns(self, estimates, text):
        items, columns, shares = estimates.column_shares(text)
        assert shares.shape == (len(items), len(columns))
        assert bool(items) == bool(columns)
        if items:
            assert columns == estimates.get_feature_names_out().tolist()
            np.testing.assert_allclose(shares.sum(axis=0), estimates.transform([text])[0], atol=1e-9)

    def test_what_is_no_text_is_refused(self, estimates):
        with pytest.raises(ValueError, match="Expected"):
            estimates.column_shares(5)


@pytest.mark.parametrize("shrinkage", [0.05, 0.4, 1.0])
def test_a_matrix_of_texts_gives_what_one_of_items_gives(shrinkage):
    rng = np.random.default_rng(0)
    Z = csr_array(np.where(rng.random((12, 40)) < 0.2, rng.random((12, 40)), 0))
    L, mean = rng.normal(size=(40, 4)), Z.mean(axis=0)
    by_rows, by_items = _by_rows(Z, mean, L, shrinkage), _by_items(Z, mean, L, shrinkage)
    np.testing.assert_allclose(by_rows, by_items, rtol=1e-6, atol=1e-6 * np.abs(by_items).max())
