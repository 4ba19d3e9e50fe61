"""What items add to a prediction: it sums up, and it is what its definition says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad_vec
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from t_data import noisy, options, seeds, sparse_forms, with_gaps

from pipeline.evaluation import ExpectedStarRegressor, MedianStarRegressor
from pipeline.taguchi import TbRegressor, TMethodRegressor, UnitSpaceClassifier, UnitSpaceClassifierCV
from pipeline.taguchi.contributions import path_integrals

DISTANCES = [0.0, 1.0, 30.0, 1e3, 1e6]


def adds_up(parts, prediction, tol=1e-9):
    np.testing.assert_allclose(parts.base + parts.items.sum(axis=1) + parts.rest, prediction, rtol=tol, atol=tol)
    np.testing.assert_array_equal(parts.total, parts.base + parts.items.sum(axis=1) + parts.rest)


def stars_of(y):
    """Whole stars from 1 to 5 in the order of y."""
    return 1 + y.argsort().argsort() * 5 // len(y)


class TestTMethods:
    @given(seed=seeds, option=options, gaps=st.booleans(), far=st.sampled_from(DISTANCES))
    def test_they_sum_up_to_the_prediction(self, seed, option, gaps, far):
        X, y, _ = noisy(seed)
        gaps = gaps and option.get("covariance") != "full"
        model = TMethodRegressor(**option).fit(with_gaps(X, seed) if gaps else X, y)
        new = far * (with_gaps(X, seed + 1, 0.5) if gaps else X)
        parts = model.contributions(new)
        adds_up(parts, model.predict(new))
        # Where a value is missing, nothing is added.
        assert (parts.items[np.isnan(new)] == 0).all()
        np.testing.assert_allclose(parts.items, np.where(np.isnan(new), 0, parts.slopes * (new - model.center_)))

    @given(seed=seeds, gaps=st.booleans(), subtract=st.booleans())
    def test_those_of_tb_sum_up_too(self, seed, gaps, subtract):
        X, y, _ = noisy(seed)
        X = with_gaps(X, seed) if gaps else X
        model = TbRegressor(subtract_error=subtract).fit(X, y)
        adds_up(model.contributions(X), model.predict(X))
        assert (model.contributions(X).rest == 0).all()

    def test_an_item_adds_its_weight_times_its_distance_from_the_centre(self):
        X, y, _ = noisy(0)
        model = TMethodRegressor().fit(X, y)
        parts = model.contributions(X)
        np.testing.assert_array_equal(parts.base, np.full(30, model.target_center_))
        np.testing.assert_array_equal(parts.items, (X - model.center_) * model.coef_)
        np.testing.assert_array_equal(parts.rest, np.zeros(30))

    def test_a_recalibration_shows_in_base_and_items(self):
        X, y, _ = noisy(1)
        plain, mended = (TMethodRegressor(recalibrate=each).fit(X, y) for each in (False, True))
        intercept, slope = mended.recalibration_
        before, after = plain.contributions(X), mended.contributions(X)
        np.testing.assert_allclose(after.items, slope * before.items)
        np.testing.assert_allclose(after.base, intercept + slope * before.base)

    def test_what_is_clipped_is_the_rest(self):
        X, y, _ = noisy(2)
        plain, clipped = (TMethodRegressor(clip=clip).fit(X, y) for clip in (None, (-0.5, 0.5)))
        before, after = plain.contributions(X), clipped.contributions(X)
        inside = np.abs(plain.predict(X)) <= 0.5
        assert 0 < inside.sum() < 30
        np.testing.assert_array_equal(after.items, before.items)
        np.testing.assert_array_equal(after.rest[inside], 0)
        np.testing.assert_allclose(after.rest, np.clip(before.total, -0.5, 0.5) - before.total, atol=1e-12)

    def test_the_items_that_are_there_share_the_estimate(self):
        X, y, _ = noisy(3)
        model = TMethodRegressor("all").fit(X, y)
        row = X[:1].copy()
        row[0, 1] = np.nan
        full, gap = model.contributions(X[:1]), model.contributions(row)
        share = model.coef_ * model.beta_
        others = [0, 2, 3]
        np.testing.assert_allclose(gap.items[0, others], full.items[0, others] / share[others].sum())
        # No item is there: nothing is known but the target at the centre.
        nothing = model.contributions(np.full((1, 4), np.nan))
        assert nothing.total.tolist() == [model.target_center_]

    def test_sparse_items_add_what_dense_ones_add(self):
        X, y, _ = noisy(4)
        model = TMethodRegressor().fit(X, y)
        for form in sparse_forms(X):
            np.testing.assert_allclose(model.contributions(form).items, model.contributions(X).items, atol=1e-12)

    def test_float32_items_are_read_as_they_are(self):
        X, y, _ = noisy(5)
        X = X.astype(np.float32)
        model = TMethodRegressor().fit(X, y)
        parts = model.contributions(X)
        assert parts.items.dtype == np.float64
        adds_up(parts, model.predict(X), 1e-5)

    def test_a_table_of_targets_is_refused(self):
        X, y, _ = noisy(6)
        model = TMethodRegressor().fit(X, np.column_stack([y, -y]))
        with pytest.raises(ValueError, match="needs a target of one dimension, got 2 columns: fit each alone"):
            model.contributions(X)


class TestUnitSpaces:
    @given(
        seed=seeds,
        make=st.sampled_from(
            [
                UnitSpaceClassifier,
                lambda: UnitSpaceClassifier("pooled", prior="uniform"),
                UnitSpaceClassifierCV,
                lambda: UnitSpaceClassifierCV(recalibrate=True),
            ]
        ),
        far=st.sampled_from(DISTANCES),
    )
    def test_they_sum_up_to_the_expected_and_the_median_star(self, seed, make, far):
        X, y, _ = noisy(seed)
        new = far * np.random.default_rng(seed).normal(size=(7, 4))
        model = make().fit(X, stars_of(y))
        parts = model.contributions(new)
        adds_up(parts, model.expected_class(new))
        assert (parts.rest == 0).all()
        np.testing.assert_allclose(parts.items, parts.slopes * (new - model.center_), atol=1e-9)
        for reader in (ExpectedStarRegressor, MedianStarRegressor):
            halves = reader(make()).fit(X, stars_of(y) / 2)
            adds_up(halves.contributions(new), halves.predict(new))

    @given(seed=seeds, far=st.sampled_from([0.1, 1.0, 10.0]))
    def test_they_are_the_integrals_of_the_gradient_along_the_way_from_the_centre(self, seed, far):
        X, y, _ = noisy(seed)
        model = UnitSpaceClassifier().fit(X, stars_of(y))
        x = far * np.random.default_rng(seed).normal(size=4)
        deviation = x - model.center_

        def gradient(t):
            p = softmax(model.intercept_ + model.coef_ @ (model.center_ + t * deviation))
            return (p * (model.classes_ - p @ model.classes_)) @ model.coef_

        expected, _ = quad_vec(gradient, 0, 1, epsabs=1e-10)
        np.testing.assert_allclose(model.contributions(x[None]).items[0], expected * deviation, atol=1e-8)

    def test_units_do_not_matter_and_a_constant_item_adds_nothing(self):
        X, y, _ = noisy(0)
        X[:, 1] = 3
        stars = stars_of(y)
        plain = UnitSpaceClassifier().fit(X, stars).contributions(X)
        scaled = UnitSpaceClassifier().fit(1000 * X + 7, stars).contributions(1000 * X + 7)
        np.testing.assert_allclose(plain.items, scaled.items, atol=1e-9)
        assert (plain.items[:, 1] == 0).all()

    def test_equal_items_add_the_same(self):
        X, y, _ = noisy(1)
        X[:, 2] = X[:, 0]
        items = UnitSpaceClassifier(shrinkage=0.3).fit(X, stars_of(y)).contributions(X).items
        np.testing.assert_allclose(items[:, 0], items[:, 2], atol=1e-12)

    @pytest.mark.parametrize("size", [1.0, 1e2, 1e4, 1e6])
    def test_a_far_row_is_integrated_as_exactly_as_a_near_one(self, size):
        rng = np.random.default_rng(0)
        start, ends, stars = size * rng.normal(size=5), size * rng.normal(size=(50, 5)), np.arange(1.0, 6)
        rise = ((ends - start) * path_integrals(start, ends, stars)).sum(axis=1)
        expected = (softmax(ends, axis=1) - softmax(start)) @ stars
        np.testing.assert_allclose(rise, expected, rtol=0, atol=1e-15 * max(size, 100) * 10)

    def test_a_row_beyond_all_numbers_still_sums_up(self):
        X, y, _ = noisy(2)
        model = UnitSpaceClassifier().fit(X, stars_of(y))
        far = 1e200 * X[:5]
        adds_up(model.contributions(far), model.expected_class(far))

    def test_without_a_common_covariance_or_numbers_they_are_refused(self):
        X, y, _ = noisy(3, n=60)
        with pytest.raises(ValueError, match=r"one covariance for all classes.*got covariance='own'"):
            UnitSpaceClassifier("own").fit(X, stars_of(y)).contributions(X)
        with pytest.raises(ValueError, match="contributions needs classes that are numbers"):
            UnitSpaceClassifier().fit(X, np.where(y > 0, "good", "bad")).contributions(X)


def test_a_classifier_whose_items_do_not_add_up_is_refused():
    X, y, _ = noisy(4)
    model = ExpectedStarRegressor(LogisticRegression()).fit(X, stars_of(y))
    with pytest.raises(ValueError, match=r"contributions needs unit spaces as classifier.*got LogisticRegression"):
        model.contributions(X)


@pytest.mark.parametrize("make", [TMethodRegressor, TbRegressor, UnitSpaceClassifier, UnitSpaceClassifierCV])
def test_an_item_beyond_its_limits_adds_what_the_limit_adds(make):
    X, y, _ = noisy(5)
    model = make(limit_items=True).fit(X, stars_of(y))
    far, limited = model.contributions(10 * X), model.contributions(np.clip(10 * X, *model.item_limits_))
    np.testing.assert_array_equal(far.items, limited.items)
    adds_up(far, model.expected_class(10 * X) if hasattr(model, "classes_") else model.predict(10 * X))
