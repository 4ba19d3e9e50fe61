"""What a unit space cannot measure: items that are constant in it, and covariances that few rows made."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from pipeline.taguchi import MahalanobisTaguchi, RTMethod, UnitSpaceClassifier, UnitSpaceClassifierCV, UnitSpaceItems
from pipeline.taguchi.adjoint import adjugate
from pipeline.taguchi.shrinkage import oas_shrinkage

NAMES = ["length", "hashtags", "capitals", "links"]
METHODS = ["mt", "mta", "svp"]


@pytest.fixture
def table():
    """Sixty rows of four items; nobody uses a hashtag, and each has one link."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4))
    values[:, 1], values[:, 3] = 0, 0.1
    return pd.DataFrame(values, columns=NAMES, index=[f"row {i}" for i in range(60)])


def new_rows():
    values = [[0, 0, 0, 0.1], [0, 1, 0, 0.1], [0, 2, 0, 0.3], [9, 0, 0, 0.1]]
    return pd.DataFrame(values, columns=NAMES, index=list("abcd"), dtype=float)


class TestConstantItems:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("shrinkage", [0.0, "auto"])
    def test_a_row_that_differs_in_one_is_an_outlier_and_named(self, table, method, shrinkage):
        model = MahalanobisTaguchi(method, shrinkage=shrinkage).fit(table)
        assert model.constant_items_.tolist() == [1, 3]
        told = r"2 of 4 rows differ in what is constant in the unit space \(hashtags, links\): outliers whatever"
        for ask in (model.predict, model.score_samples, model.decision_function, model.distance):
            with pytest.warns(UserWarning, match=told) as caught:
                ask(new_rows())
            assert len(caught) == 1
        with warnings.catch_warnings(action="ignore"):
            assert model.predict(new_rows()).tolist() == [1, -1, -1, -1]
            decision, scores = model.decision_function(new_rows()), model.score_samples(new_rows())
            np.testing.assert_array_equal(decision, scores - model.offset_)
            assert np.isfinite(decision).all()
            assert ((decision >= 0) == (model.predict(new_rows()) == 1)).all()
            distance = model.distance(new_rows())
        # The distance is that of the items that vary.
        without = MahalanobisTaguchi(method, shrinkage=shrinkage).fit(table[["length", "capitals"]])
        np.testing.assert_allclose(distance, without.distance(new_rows()[["length", "capitals"]]), rtol=1e-12)
        diagnosis = model.diagnosis(new_rows())
        assert diagnosis.index.tolist() == list("abcd")
        assert diagnosis["differs_in"].tolist() == ["", "hashtags", "hashtags, links", ""]
        assert diagnosis["ordinary"].tolist() == [True, False, False, False]
        np.testing.assert_array_equal(diagnosis["distance"], distance)

    @pytest.mark.parametrize("model", [MahalanobisTaguchi(), RTMethod(), UnitSpaceClassifier()])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_rows_of_the_unit_space_never_differ(self, table, model, dtype):
        X = table.to_numpy() + np.array([5, 0, 0, 1e6])
        y = np.tile([1, 2, 3], 20)
        fitted = clone(model).fit(X.astype(dtype), y)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for new in (X, X.astype(np.float32), X.astype(dtype)[::-1]):
                fitted.distance(new)
            if not hasattr(fitted, "classes_"):
                assert not fitted.diagnosis(X)["differs_in"].any()
            pickle.loads(pickle.dumps(fitted)).distance(X)

    @given(exponent=st.integers(-250, -130))
    def test_items_too_small_to_be_squared_are_constant_and_their_rows_ordinary(self, exponent):
        X = np.random.default_rng(0).normal(size=(30, 2)) * [1, 10.0**exponent]
        model = MahalanobisTaguchi().fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (model.predict(X) == 1).all()

    def test_many_items_are_counted(self):
        X = np.column_stack([np.arange(20.0), np.zeros((20, 8))])
        with pytest.warns(UserWarning, match=r"1 of 1 rows differ .* \(x1, x2, x3, x4, x5 and 3 more\)"):
            MahalanobisTaguchi().fit(X).predict(np.ones((1, 9)))

    def test_a_row_that_breaks_the_pattern_of_multiples_is_an_outlier_of_rt(self):
        X = np.outer([1.0, 2, 3, 4], [0.1, 0.7, 1.3])
        model = RTMethod().fit(X)
        assert model.constant_variables_.tolist() == ["y2"]
        rows = [[0.2, 1.4, 2.6], [0.5, 1.1, 2.6]]
        with pytest.warns(UserWarning, match=r"1 of 2 rows differ in what is constant in the unit space \(y2\)"):
            assert model.predict(rows).tolist() == [1, -1]
        assert model.diagnosis(rows)["differs_in"].tolist() == ["", "y2"]
        assert RTMethod(matrix="adjoint").fit(X).constant_variables_.tolist() == []

    @pytest.mark.parametrize("model", [UnitSpaceClassifier(), UnitSpaceClassifier("own"), UnitSpaceClassifierCV()])
    def test_classifiers_list_them_and_no_distance_is_silent(self, table, model):
        model = clone(model).fit(table, np.tile([1, 2, 3], 20))
        assert model.constant_items_.tolist() == [1, 3]
        with pytest.warns(UserWarning, match=r"2 of 4 rows differ .* \(hashtags, links\): no distance counts that"):
            model.distance(new_rows())

    def test_an_item_constant_in_one_class_is_measured_by_the_others(self):
        rng = np.random.default_rng(0)
        y = np.repeat([1, 5], 30)
        X = np.column_stack([rng.normal(size=60), np.where(y == 1, 0, rng.normal(size=60))])
        model = UnitSpaceClassifier("own").fit(X, y)
        assert not len(model.constant_items_)
        near, far = model.distance([[0, 0], [0, 5]])[:, 0]
        assert far > near + 3

    def test_unit_spaces_as_items_stay_numbers(self, table):
        y = np.tile([1, 2, 3], 20)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            items = UnitSpaceItems(MahalanobisTaguchi()).fit(table, y)
            assert np.isfinite(items.transform(new_rows())).all()


class TestFewRows:
    @staticmethod
    def rows(n, p, seed=0):
        return np.random.default_rng(seed).normal(size=(n, p))

    @pytest.mark.parametrize(("n", "tells"), [(12, True), (21, False), (20, True), (5, True), (200, False)])
    def test_no_more_than_twice_as_many_rows_as_items_are_told(self, n, tells):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            MahalanobisTaguchi().fit(self.rows(n, 10))
        assert len(told) == tells
        if tells:
            directions = min(n - 1, 10)
            assert str(told[0].message) == (
                f"The unit space has {n} rows for a covariance of {directions} items: distances of new ordinary rows "
                f"come out too large. Give more than {2 * directions} rows or fewer items, or take shrinkage='auto' or "
                "method='svp'."
            )

    @pytest.mark.parametrize("other", [{"method": "svp"}, {"shrinkage": "auto"}, {"shrinkage": 0.7}])
    def test_what_it_recommends_is_quiet_and_mends_the_distances(self, other):
        with pytest.warns(UserWarning, match="The unit space has 14 rows"):
            plain = MahalanobisTaguchi().fit(self.rows(14, 10))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = MahalanobisTaguchi(**other).fit(self.rows(14, 10))
        new = self.rows(500, 10, seed=1)
        assert (plain.distance(new) ** 2).mean() > 5
        assert (model.distance(new) ** 2).mean() == pytest.approx(1, abs=0.6)

    @pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0, "auto"])
    def test_the_matrix_is_that_of_the_shrunk_correlations(self, shrinkage):
        X = self.rows(60, 4) @ np.triu(np.ones((4, 4)))
        R = np.corrcoef(X.T)
        share = oas_shrinkage(R, 59) if shrinkage == "auto" else shrinkage
        shrunk = (1 - share) * R + share * np.eye(4)
        for method, expected in (("mt", np.linalg.inv(shrunk)), ("mta", adjugate(shrunk)), ("svp", np.eye(4))):
            model = MahalanobisTaguchi(method, shrinkage=shrinkage).fit(X)
            np.testing.assert_allclose(model.matrix_, expected, rtol=1e-9, atol=1e-12)
            assert model.shrinkage_ == pytest.approx(0 if method == "svp" else share)

    def test_with_a_shrinkage_no_direction_is_left_out(self):
        X = self.rows(6, 10)
        model = MahalanobisTaguchi(shrinkage="auto").fit(X)
        assert model.root_.shape == (10, 10)
        blind = np.linalg.svd(X - X.mean(axis=0))[2][-1]
        assert model.distance([X.mean(axis=0) + 9 * blind])[0] > 2

    @pytest.mark.parametrize("wrong", [-0.1, 1.1, "oas", None])
    def test_a_shrinkage_out_of_range(self, wrong):
        with pytest.raises(ValueError, match="The 'shrinkage' parameter of MahalanobisTaguchi must be"):
            MahalanobisTaguchi(shrinkage=wrong).fit(self.rows(20, 2))

    @pytest.mark.parametrize(
        ("model", "told"),
        [
            (UnitSpaceClassifier("pooled"), "has 24 rows for a covariance of 12 items: .* with covariance='shrunk'"),
            (UnitSpaceClassifier("own", shrinkage=0.0), "has 8 rows for a covariance of 12 items: .*='auto'"),
            (UnitSpaceClassifier("shrunk", shrinkage=0.0), "has 24 rows for a covariance of 12 items"),
        ],
    )
    def test_classifiers_that_do_not_shrink(self, model, told):
        y = np.repeat([1, 2, 3], 8)
        with pytest.warns(UserWarning, match=told):
            model.fit(self.rows(24, 12), y)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            UnitSpaceClassifier().fit(self.rows(24, 12), y)
            UnitSpaceClassifier("own").fit(self.rows(24, 12), y)

    def test_unit_spaces_as_items_tell_it_once(self):
        X, y = self.rows(50, 8), np.repeat([1, 2, 3], [10, 30, 10])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            UnitSpaceItems(MahalanobisTaguchi()).fit_transform(X, y)
        (warning,) = told
        assert str(warning.message).startswith("Of star 1, 3: The unit space has 10 rows for a covariance of 8 items")
