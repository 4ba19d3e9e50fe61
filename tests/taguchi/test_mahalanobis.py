import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import no_warning_but_of_few_rows

from pipeline.taguchi.adjoint import adjugate
from pipeline.taguchi.mahalanobis import MahalanobisTaguchi
from pipeline.taguchi.rt import RTMethod
from pipeline.taguchi.unit_space_metric import unit_space_moments

METHODS = ["mt", "mta", "svp"]
MATRICES = ["inverse", "adjoint"]

REFERENCE = Path(__file__).parents[3] / "shared/reference/mts_reference.json"
needs_reference = pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference values of MTSYS are not there")


def same(actual, expected, rtol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=0)


def correlated(seed, n=30, p=4):
    """Rows whose items depend on one another, with different means and spreads."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(p) + np.triu(0.5 * rng.normal(size=(p, p)), 1)
    return (rng.normal(size=(n, p)) @ mixing + rng.normal(scale=3, size=p)) * 10 ** rng.uniform(-1, 1, size=p)


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def iris(reference):
    return reference["mt_methods"]["iris_versicolor_doc"]


@needs_reference
class TestReference:
    @pytest.mark.parametrize(
        ("method", "key", "matrix"), [("mt", "MT", "A_inverse_correlation"), ("mta", "MTA", "A_cofactor")]
    )
    def test_mt_and_mta_agree_with_mtsys(self, iris, method, key, matrix):
        model, expected = MahalanobisTaguchi(method).fit(iris["unit"]), iris[key]
        same(model.matrix_, expected[matrix])
        same(model.distance(iris["unit"]), expected["distance_unit"])
        same(model.distance(iris["newdata"]), expected["distance_new"])

    def test_the_threshold_decides_as_in_mtsys(self, iris):
        model = MahalanobisTaguchi(threshold=iris["MT"]["threshold"]).fit(iris["unit"])
        assert (model.predict(iris["newdata"]) == 1).tolist() == iris["MT"]["le_threshold"]

    @pytest.mark.parametrize("matrix", MATRICES)
    def test_rt_agrees_with_mtsys(self, iris, matrix):
        model, expected = RTMethod(matrix=matrix).fit(iris["unit"]), iris["RT"]
        same(model.effective_divider_, expected["r"])
        same(model.center_, expected["center"])
        same(model.y_mean_, expected["Y_mean"])
        same(model.y_cov_, expected["Y_cov"])
        same(model.transform(iris["unit"])[:, :2], expected["Y_unit"])
        same(model.transform(iris["newdata"])[:, :2], expected["Y_new"])
        same(model.distance(iris["newdata"]), expected[f"distance_new_{matrix}_cov"])

    def test_adjugate_agrees_with_mtsys(self, reference):
        same(adjugate(reference["cofactor_doc"]["input"]), reference["cofactor_doc"]["output"])


class TestAdjugate:
    @settings(max_examples=50)
    @given(M=arrays(float, st.integers(1, 6).map(lambda n: (n, n)), elements=st.integers(-9, 9)))
    def test_it_is_the_cofactors_also_of_singular_matrices(self, M):
        n = len(M)
        cofactors = np.array(
            [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(M, i, 0), j, 1)) for j in range(n)] for i in range(n)]
        )
        scale = max(1, np.abs(M).max()) ** n * n**n
        np.testing.assert_allclose(adjugate(M), cofactors.T, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(adjugate(M) @ M, np.linalg.det(M) * np.eye(n), rtol=0, atol=1e-12 * scale)

    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_of_the_inverse_times_determinant(self, n):
        M = np.random.default_rng(n).normal(size=(n, n))
        same(adjugate(M), np.linalg.det(M) * np.linalg.inv(M))

    def test_of_rank_two_below_full_is_zero(self):
        np.testing.assert_allclose(adjugate(np.ones((4, 4))), np.zeros((4, 4)), atol=1e-15)

    def test_of_hundreds_of_rows(self):
        small = adjugate(0.1 * np.eye(350))
        assert np.isfinite(small).all()
        with pytest.raises(OverflowError, match="adjoint of this 350 x 350 matrix exceeds float64: divide the matrix"):
            adjugate(10 * np.eye(350))

    def test_what_is_not_square_is_refused(self):
        with pytest.raises(ValueError, match=r"adjugate needs a square matrix, got shape \(2, 3\)"):
            adjugate(np.ones((2, 3)))
        with pytest.raises(ValueError, match="matrix contains NaN"):
            adjugate([[np.nan]])


class TestMoments:
    @given(seed=st.integers(0, 2**32 - 1))
    def test_weights_are_repeated_rows(self, seed):
        X, times = correlated(seed, n=12), np.random.default_rng(seed).integers(1, 4, size=12)
        rows = np.arange(12)
        weighted, repeated = unit_space_moments(X, rows, times * 1.0), unit_space_moments(X, np.repeat(rows, times))
        assert weighted.n == repeated.n
        same(weighted.mean, repeated.mean)
        np.testing.assert_allclose(weighted.scatter, repeated.scatter, atol=1e-12 * np.abs(repeated.scatter).max())

    def test_rows_beyond_one_block_give_the_formula_over_all_rows(self):
        X = np.random.default_rng(0).normal(loc=5, size=(300_000, 3)).astype(np.float32)
        rows = np.flatnonzero(X[:, 0] > 4)
        n, mean, scatter = unit_space_moments(X, rows)
        chosen = X[rows].astype(float)
        assert n == len(rows) > 2**22 / 8 / 3
        same(mean, chosen.mean(axis=0))
        same(scatter, np.cov(chosen.T) * (n - 1))


class TestMahalanobisTaguchi:
    @settings(max_examples=30)
    @given(
        seed=st.integers(0, 2**32 - 1),
        n=st.integers(2, 40),
        p=st.integers(1, 60),
        method=st.sampled_from(["mt", "svp"]),
    )
    def test_mean_squared_distance_of_the_unit_space_is_n_minus_one_over_n(self, seed, n, p, method):
        X = correlated(seed, n, p)
        squared = MahalanobisTaguchi(method).fit(X).distance(X) ** 2
        assert squared.mean() == pytest.approx((n - 1) / n, rel=1e-6)

    def test_mt_is_the_mahalanobis_distance_of_scikit_learn(self):
        X, new = correlated(0), correlated(1)
        squared = EmpiricalCovariance().fit(X).mahalanobis(new) * (len(X) - 1) / len(X)
        same(MahalanobisTaguchi().fit(X).distance(new), np.sqrt(squared / X.shape[1]))

    def test_mta_is_mt_times_the_root_of_the_determinant(self):
        X, new = correlated(0), correlated(1)
        factor = np.sqrt(np.linalg.det(np.corrcoef(X.T)))
        same(MahalanobisTaguchi("mta").fit(X).distance(new), factor * MahalanobisTaguchi("mt").fit(X).distance(new))

    def test_svp_is_the_root_mean_square_of_the_standardised_items(self):
        X, new = correlated(0), correlated(1)
        z = (new - X.mean(axis=0)) / X.std(axis=0, ddof=1)
        same(MahalanobisTaguchi("svp").fit(X).distance(new), np.sqrt((z**2).mean(axis=1)))

    def test_mta_measures_what_breaks_the_only_collinearity(self):
        X = correlated(0)
        X[:, 3] = X[:, 0] - 2 * X[:, 1]
        model = MahalanobisTaguchi("mta").fit(X)
        np.testing.assert_allclose(model.matrix_, adjugate(np.corrcoef(X.T)), rtol=0, atol=1e-12)
        kept, broken = (np.add(X[:1], [1, 1, 0, change]) for change in (-1, 0))
        assert model.distance(kept)[0] < 1e-6 < 0.01 < model.distance(broken)[0]

    def test_mta_of_two_collinearities_is_refused(self):
        X = correlated(0)[:, [0, 1, 0, 1]]
        with pytest.raises(ValueError, match=r"of 4 items is zero \(rank 2\): method='mta' allows one collinearity"):
            MahalanobisTaguchi("mta").fit(X)

    @pytest.mark.parametrize(("common", "expected"), [(1, -200), (4, -800)])
    def test_mta_of_hundreds_of_items_is_mt_times_the_root_of_the_determinant(self, common, expected):
        rng = np.random.default_rng(0)
        X = (rng.normal(size=(1000, 300)) + common * rng.normal(size=(1000, 1))).astype(np.float32)
        log_det = np.linalg.slogdet(np.corrcoef(X.T, dtype=np.float64))[1]
        assert log_det < expected
        mt, mta = (MahalanobisTaguchi(method).fit(X).distance(X[:5]) for method in ("mt", "mta"))
        same(mta, np.exp(log_det / 2) * mt)

    def test_mta_of_an_adjoint_below_float64_is_refused(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(500, 300)) + 100 * rng.normal(size=(500, 1))
        with pytest.raises(ValueError, match="of 300 items is below float64's range: use method='mt'"):
            MahalanobisTaguchi("mta").fit(X)

    @settings(max_examples=40)
    @given(
        seed=st.integers(0, 2**32 - 1),
        method=st.sampled_from(METHODS),
        exponents=st.lists(st.floats(-6, 6), min_size=4, max_size=4),
        signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
        shifts=st.lists(st.floats(-1000, 1000), min_size=4, max_size=4),
        order=st.permutations(range(30)),
    )
    def test_shift_scale_and_sign_of_items_and_order_of_rows_change_nothing(
        self, seed, method, exponents, signs, shifts, order
    ):
        X, new = correlated(seed), correlated(seed + 1)
        scale = signs * 10.0 ** np.array(exponents)
        a = MahalanobisTaguchi(method).fit(X).distance(new)
        b = MahalanobisTaguchi(method).fit((scale * (X + shifts))[list(order)]).distance(scale * (new + shifts))
        np.testing.assert_allclose(b, a, rtol=1e-5)

    def test_a_duplicated_item_changes_no_mt_distance(self):
        X, new = correlated(0), correlated(1)
        wider, wider_new = (np.column_stack([items, 7 * items[:, 0] - 3]) for items in (X, new))
        same(MahalanobisTaguchi().fit(wider).distance(wider_new), MahalanobisTaguchi().fit(X).distance(new), rtol=1e-8)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1])
    def test_a_constant_item_has_no_weight(self, method, value):
        X, new = correlated(0), correlated(1)
        wider, wider_new = np.column_stack([np.full(30, value), X]), np.column_stack([np.arange(30.0), new])
        model = MahalanobisTaguchi(method).fit(wider)
        assert not model.matrix_[0].any()
        same(model.distance(wider_new), MahalanobisTaguchi(method).fit(X).distance(new), rtol=1e-12)

    @settings(max_examples=40)
    @given(X=arrays(float, (6, 3), elements=st.floats(-1e6, 1e6)), method=st.sampled_from(["mt", "svp"]))
    def test_degenerate_items_never_give_nan_or_inf(self, X, method):
        X = np.column_stack([X, X[:, 0], X[:, 0] - X[:, 1], np.full(6, 0.1), np.arange(6) ** 2, -3.0 * np.arange(6)])
        with no_warning_but_of_few_rows():
            model = MahalanobisTaguchi(method).fit(X)
            assert np.isfinite(model.distance(X + np.arange(6)[:, None])).all()

    def test_all_items_constant_is_refused(self):
        with pytest.raises(ValueError, match="All 2 items are constant in the unit space of 5 rows: there is nothing"):
            MahalanobisTaguchi().fit(np.full((5, 2), 0.1))


class TestRTMethod:
    def test_the_formulas(self):
        X = correlated(0) + 5
        m = X.mean(axis=0)
        r, beta = m @ m, X @ m / (m @ m)
        V_e = ((X**2).sum(axis=1) - r * beta**2) / (X.shape[1] - 1)
        Y = np.column_stack([beta, np.sqrt(V_e)])
        model = RTMethod().fit(X)
        same(model.transform(X)[:, :2], Y)
        same(model.transform(X)[:, 2], MahalanobisTaguchi().fit(Y).distance(Y), rtol=1e-8)

    def test_both_matrices_differ_by_the_root_of_the_determinant(self):
        X, new = correlated(0) + 5, correlated(1) + 5
        inverse, adjoint = (RTMethod(matrix=matrix).fit(X) for matrix in MATRICES)
        same(adjoint.distance(new), np.sqrt(np.linalg.det(inverse.y_cov_)) * inverse.distance(new))

    @settings(max_examples=30)
    @given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-6, 6), order=st.permutations(range(30)))
    def test_one_scale_for_all_items_and_order_of_rows_change_no_inverse_distance(self, seed, exponent, order):
        X, new, scale = correlated(seed) + 5, correlated(seed + 1) + 5, 10.0**exponent
        a, b = RTMethod().fit(X).transform(new), RTMethod().fit(scale * X[list(order)]).transform(scale * new)
        same(b, a * [1, scale, 1], rtol=1e-6)

    def test_rows_that_are_multiples_of_one_pattern_differ_in_y1_only(self):
        X = np.outer([1.0, 2, 3, 4], [0.1, 0.7, 1.3])
        for matrix in MATRICES:
            model = RTMethod(matrix=matrix).fit(X)
            assert not model.transform(X)[:, 1].any()
            assert np.isfinite(model.distance(np.add(X, [1, 0, 0]))).all()
        # Only the adjoint sees that a row breaks a pattern which the unit space keeps without exception.
        assert model.distance(X)[1] < 1e-12 < 0.1 < model.distance(np.add(X[:1], [1, -1, 0]))[0]

    def test_a_unit_space_around_zero_is_refused(self):
        X = correlated(0)
        for centred in ((X - X.mean(axis=0)), (X - X.mean(axis=0)).astype(np.float32), np.zeros((3, 2))):
            with pytest.raises(ValueError, match=r"mean is 0 in all \d items \(r = .*\): RT has no pattern"):
                RTMethod().fit(centred)

    def test_one_item_is_refused(self):
        with pytest.raises(ValueError, match=r"1 feature\(s\).*minimum of 2 is required by RTMethod"):
            RTMethod().fit(np.arange(5.0)[:, None])

    def test_rows_that_are_all_alike_are_refused(self):
        with pytest.raises(ValueError, match=r"All 4 rows of the unit space have the same Y1 \(1\) and Y2 \(0\)"):
            RTMethod().fit(np.tile([0.1, 0.7], (4, 1)))

    def test_set_output_names_the_columns(self):
        X = pd.DataFrame(correlated(0) + 5, columns=list("abcd"), index=np.arange(100, 130))
        table = RTMethod().set_output(transform="pandas").fit_transform(X)
        assert table.columns.tolist() == ["y1", "y2", "distance"]
        assert table.index.equals(X.index)


# A threshold of 4 finds no outlier among the rows that define the unit space; scikit-learn's checks want to see one.
DETECTORS = [
    MahalanobisTaguchi(threshold=1),
    MahalanobisTaguchi("mta", threshold=0.5),
    MahalanobisTaguchi("svp", threshold=1),
    RTMethod(threshold=1),
    RTMethod(threshold=1, matrix="adjoint"),
]


@pytest.mark.parametrize("model", DETECTORS, ids=str)
def test_values_whose_squares_overflow_are_refused(model):
    with pytest.raises(ValueError, match="Input X holds values whose squares overflow: scale the items down"):
        clone(model).fit(1e200 * correlated(0))


def refuses_standardised_rows(estimator):
    if not isinstance(estimator, RTMethod):
        return {}
    checks = ["check_transformer_data_not_an_array", "check_transformer_general", "check_transformer_preserve_dtypes"]
    return dict.fromkeys(checks, "the check standardises the items, which leaves RT no pattern")


class TestScikitLearn:
    @parametrize_with_checks(DETECTORS, expected_failed_checks=refuses_standardised_rows)
    def test_contract(self, estimator, check):
        check(estimator)

    @pytest.mark.parametrize("model", DETECTORS, ids=str)
    def test_predict_score_and_decision_say_the_same(self, model):
        X, new = correlated(0) + 5, correlated(1) + 5
        model = clone(model).fit(X)
        distance = model.distance(new)
        np.testing.assert_array_equal(model.score_samples(new), -distance)
        np.testing.assert_array_equal(model.decision_function(new), model.threshold - distance)
        np.testing.assert_array_equal(model.predict(new), np.where(distance <= model.threshold, 1, -1))
        np.testing.assert_array_equal(clone(model).fit_predict(X), model.predict(X))

    @pytest.mark.parametrize("model", DETECTORS, ids=str)
    def test_clone_and_pickle_keep_parameters_and_distances(self, model):
        X = correlated(0) + 5
        fitted = clone(model).fit(X)
        assert clone(fitted).get_params() == model.get_params()
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).distance(X), fitted.distance(X))

    @pytest.mark.parametrize("model", DETECTORS, ids=str)
    def test_float32_items_give_what_their_float64_copies_give(self, model):
        X = (correlated(0) + 5).astype(np.float32)
        narrow, wide = clone(model).fit(X), clone(model).fit(X.astype(float))
        assert narrow.distance(X).dtype == (np.float32 if isinstance(model, RTMethod) else np.float64)
        same(narrow.distance(X), wide.distance(X.astype(float)), rtol=1e-6)

    @pytest.mark.parametrize("model", DETECTORS, ids=str)
    def test_column_names_are_checked_and_inputs_are_not_changed(self, model):
        X = pd.DataFrame(correlated(0) + 5, columns=list("abcd"))
        before = X.copy()
        model = clone(model).fit(X)
        model.predict(X)
        pd.testing.assert_frame_equal(X, before)
        assert model.feature_names_in_.tolist() == list("abcd")
        with pytest.raises(ValueError, match="feature names should match"):
            model.distance(X[list("dcba")])

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            (MahalanobisTaguchi("mts"), "'method' parameter of MahalanobisTaguchi must be a str among"),
            (MahalanobisTaguchi(threshold=-1), "'threshold' parameter of MahalanobisTaguchi must be a float"),
            (RTMethod(matrix="cofactor"), "'matrix' parameter of RTMethod must be a str among"),
        ],
    )
    def test_wrong_parameters_are_refused(self, model, message):
        with pytest.raises(ValueError, match=message):
            model.fit(correlated(0))


def test_float32_rows_that_follow_the_pattern_do_not_vary_by_their_rounding():
    rng = np.random.default_rng(0)
    P = np.outer(rng.uniform(1, 2, 50), rng.uniform(1, 5, 20))
    new = P[:1] + 1e-3 * rng.normal(size=20)
    exact, rounded = (RTMethod().fit(P.astype(dtype)).distance(new.astype(dtype)) for dtype in (float, np.float32))
    np.testing.assert_allclose(rounded, exact, rtol=1e-2)
