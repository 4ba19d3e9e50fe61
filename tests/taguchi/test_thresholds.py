"""Thresholds of MT, MTA, SVP and RT: what they promise, how they are found, and the operating characteristic."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.taguchi import MahalanobisTaguchi, RTMethod
from pipeline.taguchi.thresholds import normal_limit, quantile_threshold, rates, roc_threshold

SEEDS = st.integers(0, 2**32 - 1)
METHODS = ["mt", "mta", "svp"]
RULES = [0.7, "quantile", "f", "roc"]


def rows(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ (np.eye(p) + np.triu(0.5 * rng.normal(size=(p, p)), 1)) + 5


def left_out_by_refit(model, X):
    """Return each row's distance from a unit space that was fitted without it."""
    found = []
    with warnings.catch_warnings(action="ignore"):
        for i in range(len(X)):
            part = sklearn.clone(model).set_params(threshold=1.0).fit(np.delete(X, i, axis=0))
            far = (part.score_samples(X[[i]]) == np.finfo(float).min)[0]
            found.append(np.inf if far else part.distance(X[[i]])[0])
    return np.array(found)


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    half = np.random.default_rng(0).permutation(len(y)) < len(y) // 2
    parts = {
        "unit": half & (y == 1),
        "abnormal": half & (y == 0),
        "ordinary": ~half & (y == 1),
        "far": ~half & (y == 0),
    }
    return {name: X[rows] for name, rows in parts.items()}


def left_out_by_definition(model, X):
    """Return `left_out_by_refit`, of an adjoint with the determinant of all rows in place of those of the others."""
    if not isinstance(model, MahalanobisTaguchi) or model.method != "mta":
        return left_out_by_refit(model, X)
    R = np.corrcoef(X.T) if X.shape[1] > 1 else np.eye(1)
    R = (1 - model.shrinkage) * R + model.shrinkage * np.eye(len(R))
    return np.sqrt(np.linalg.det(R)) * left_out_by_refit(sklearn.clone(model).set_params(method="mt"), X)


class TestLeftOut:
    @pytest.mark.parametrize("method", METHODS)
    @settings(max_examples=10)
    @given(seed=SEEDS, n=st.integers(9, 25), p=st.integers(1, 6))
    def test_the_closed_form_is_the_refit_without_the_row(self, method, seed, n, p):
        X = rows(n, p, seed)
        model = MahalanobisTaguchi(method).fit(X)
        np.testing.assert_allclose(model._left_out(X), left_out_by_definition(model, X), rtol=1e-7)

    @pytest.mark.parametrize("method", METHODS)
    def test_a_row_that_alone_varies_in_an_item_is_infinitely_far(self, method):
        X = np.column_stack([rows(20, 3), np.zeros(20)])
        X[4, 3] = 1
        model = MahalanobisTaguchi(method).fit(X)
        assert np.flatnonzero(np.isinf(model._left_out(X))).tolist() == [4]
        np.testing.assert_allclose(model._left_out(X), left_out_by_definition(model, X), rtol=1e-7)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("groups", [None, ["all", "items"]])
    def test_a_gross_outlier_is_not_infinitely_far(self, method, groups):
        X = rows(24, 3)
        X[7, 0] = 1e6
        model = MahalanobisTaguchi(method, groups=groups).fit(X)
        if groups is None:
            np.testing.assert_allclose(model._left_out(X), left_out_by_definition(model, X), rtol=1e-7)
        assert 1e3 < model._left_out(X)[7] < np.inf

    def test_a_row_that_alone_differs_from_all_others_is_infinitely_far(self):
        X = np.tile([1.0, 2.0], (12, 1))
        X[3] = 5, 7
        left_out = MahalanobisTaguchi().fit(X)._left_out(X)
        assert np.flatnonzero(np.isinf(left_out)).tolist() == [3]

    def test_a_row_that_alone_breaks_a_collinearity_is_measured_as_a_new_one(self):
        X = rows(20, 2)[:, [0, 1, 1]]
        X[5, 2] += 1
        model = MahalanobisTaguchi().fit(X)
        np.testing.assert_allclose(model._left_out(X), left_out_by_refit(model, X), rtol=1e-6)

    def test_collinear_items_change_nothing(self):
        X = rows(20, 3)
        wider = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
        expected = MahalanobisTaguchi().fit(X)._left_out(X)
        np.testing.assert_allclose(MahalanobisTaguchi().fit(wider)._left_out(wider), expected, rtol=1e-7)

    @pytest.mark.parametrize(
        "model",
        [MahalanobisTaguchi(shrinkage="auto"), MahalanobisTaguchi("mta", shrinkage=0.2), RTMethod()],
        ids=str,
    )
    def test_up_to_twenty_rows_refits_are_by_the_row(self, model):
        X = rows(18, 4)
        np.testing.assert_allclose(model.fit(X)._left_out(X), left_out_by_definition(model, X), rtol=1e-7)

    @pytest.mark.parametrize(("method", "n"), [("mt", 12), ("mt", 20), ("mt", 21), ("mta", 20), ("mta", 21)])
    @pytest.mark.parametrize("threshold", ["quantile", "roc", 4.0])
    def test_too_few_rows_for_the_items_are_refused(self, method, n, threshold):
        told = f"need 22 or more rows of the unit space for 20 items, got {n}: use shrinkage='auto', method='svp' or gr"
        with pytest.raises(ValueError, match=told):
            MahalanobisTaguchi(method, threshold, false_alarm_rate=0.2).fit(rows(n, 20), abnormal=rows(3, 20))
        for fitting in ({"shrinkage": "auto"}, {"groups": "items"}):
            MahalanobisTaguchi("mt", "quantile", false_alarm_rate=0.2, **fitting).fit(rows(n, 20))

    def test_of_adjoints_with_a_collinearity(self):
        X = rows(20, 3)
        wider = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
        model = MahalanobisTaguchi("mta", "quantile").fit(wider)
        assert model.threshold_ < 1e-6
        assert model.predict(np.add(wider[:1], [0, 0, 0, 1])).tolist() == [-1]

    def test_a_fold_that_cannot_be_fitted_says_so(self):
        X = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 2.0]])
        told = "Each row of the unit space is measured by the others, and they do not suffice: All 2 items are constant"
        with pytest.raises(ValueError, match=told):
            MahalanobisTaguchi(threshold="roc", shrinkage=0.5).fit(X, abnormal=[[3.0, 3.0]])

    @pytest.mark.parametrize("groups", ["items", ["all", [0, 1], "items"]])
    def test_the_farthest_group_left_out(self, groups):
        X = rows(25, 4)
        model = MahalanobisTaguchi(groups=groups).fit(X)
        parts = [
            group.factor * MahalanobisTaguchi().fit(X[:, group.items])._left_out(X[:, group.items])
            for group in model._groups
        ]
        np.testing.assert_allclose(model._left_out(X), np.max(parts, axis=0), rtol=1e-9)


class TestQuantile:
    def test_it_is_a_quantile_of_the_distances_left_out(self):
        X = rows(60, 4)
        model = MahalanobisTaguchi(threshold="quantile", false_alarm_rate=0.1).fit(X)
        assert model.threshold_ == pytest.approx(np.sort(left_out_by_refit(model, X))[55 - 1])
        assert model.offset_ == -model.threshold_

    @given(n=st.integers(1, 200), rate=st.floats(0.01, 0.99))
    def test_no_more_rows_exceed_it_than_the_rate_allows(self, n, rate):
        distances = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
        if n + 1 < 1 / rate * (1 - 1e-6):
            with pytest.raises(ValueError, match=rf"threshold='quantile' needs \d+ or more rows .* got {n}: give"):
                quantile_threshold(distances, rate)
        elif n + 1 > 1 / rate * (1 + 1e-6):
            above = (distances > quantile_threshold(distances, rate)).sum() + 1
            assert above <= rate * (n + 1) * (1 + 1e-6) < above + 1 + 1e-6

    @pytest.mark.parametrize(("rate", "needs"), [(0.05, 19), (0.01, 99), (0.1, 9)])
    def test_too_few_rows_for_the_rate(self, rate, needs):
        told = f"needs {needs} or more rows of the unit space for false_alarm_rate={rate:g}, got {needs - 1}: give more"
        with pytest.raises(ValueError, match=told):
            MahalanobisTaguchi(threshold="quantile", false_alarm_rate=rate).fit(rows(needs - 1, 2))
        MahalanobisTaguchi(threshold="quantile", false_alarm_rate=rate).fit(rows(needs, 2))
        with pytest.raises(ValueError, match=told):
            RTMethod("quantile", false_alarm_rate=rate).fit(rows(needs - 1, 4))

    def test_too_many_rows_that_differ_in_what_is_constant_in_the_others(self):
        X = np.column_stack([rows(30, 2), np.eye(30)[:, :3]])
        with pytest.raises(ValueError, match=r"is infinite: 3 of 30 rows .* more than false_alarm_rate=0.05 allows"):
            MahalanobisTaguchi("svp", threshold="quantile").fit(X)
        assert MahalanobisTaguchi("svp", threshold="quantile", false_alarm_rate=0.2).fit(X).threshold_ < 3

    def test_two_rows_are_too_few(self):
        with pytest.raises(ValueError, match="need 3 or more rows of the unit space, got 2"):
            MahalanobisTaguchi("svp", threshold="quantile", false_alarm_rate=0.5).fit(rows(2, 2))


class TestNormalModel:
    @pytest.mark.parametrize(("n", "p"), [(10, 3), (40, 1), (30, 20)])
    def test_the_law_of_a_new_row(self, n, p):
        rng = np.random.default_rng(0)
        squared = []
        with warnings.catch_warnings(action="ignore"):
            for _ in range(700):
                new = rng.normal(size=(1, p))
                squared.append(MahalanobisTaguchi().fit(rng.normal(size=(n, p))).distance(new)[0] ** 2)
        law = stats.f(p, n - p, scale=(n**2 - 1) / (n * (n - p)))
        assert stats.kstest(squared, law.cdf).pvalue > 0.01
        assert law.sf(normal_limit(n, p, 0.03) ** 2) == pytest.approx(0.03)

    def test_mta_and_rt_are_scaled_alike(self):
        X = rows(40, 4)
        mt, mta = (MahalanobisTaguchi(method, threshold="f").fit(X) for method in ("mt", "mta"))
        np.testing.assert_array_equal(mta.predict(rows(300, 4)), mt.predict(rows(300, 4)))
        inverse, adjoint = (RTMethod("f", matrix).fit(X) for matrix in ("inverse", "adjoint"))
        assert adjoint.threshold_ / inverse.threshold_ == pytest.approx(np.sqrt(np.linalg.det(inverse.y_cov_)))
        assert inverse.threshold_ == pytest.approx(normal_limit(40, 2, 0.05))

    def test_a_duplicated_item_does_not_count(self):
        X = rows(40, 4)
        wider = MahalanobisTaguchi(threshold="f").fit(np.column_stack([X, X[:, 0], np.ones(40)]))
        assert wider.threshold_ == pytest.approx(MahalanobisTaguchi(threshold="f").fit(X).threshold_)

    @pytest.mark.parametrize(
        ("model", "n", "told"),
        [
            (
                MahalanobisTaguchi("svp", threshold="f"),
                40,
                "no distribution of method='svp' .* use threshold='quantile'",
            ),
            (MahalanobisTaguchi(threshold="f", shrinkage=0.3), 40, "with shrinkage=0.3 for 4 items together"),
            (MahalanobisTaguchi(threshold="f"), 3, "needs 6 or more rows of the unit space for 4 items, got 3: give"),
            (MahalanobisTaguchi(threshold="f"), 5, "needs 6 or more rows of the unit space for 4 items, got 5: give"),
            (RTMethod("f"), 3, "needs 4 or more rows of the unit space, got 3"),
        ],
    )
    def test_where_the_law_is_not_known_it_is_refused(self, model, n, told):
        with warnings.catch_warnings(action="ignore"), pytest.raises(ValueError, match=told):
            model.fit(rows(n, 4))

    def test_an_adjoint_of_one_direction_is_refused(self):
        X = rows(40, 3)
        X[:, 2] = X[:, 0] + X[:, 1]
        with pytest.raises(ValueError, match="no distribution of method='mta'"):
            MahalanobisTaguchi("mta", threshold="f").fit(X)
        multiples = np.outer(np.arange(1.0, 9), [0.1, 0.7, 1.3])
        with pytest.raises(ValueError, match="no distribution of matrix='adjoint'"):
            RTMethod("f", "adjoint").fit(multiples)
        assert RTMethod("f").fit(multiples).threshold_ == pytest.approx(normal_limit(8, 1, 0.05))


class TestAbnormalRows:
    def test_roc_needs_them(self):
        for model in (MahalanobisTaguchi(threshold="roc"), RTMethod("roc")):
            with pytest.raises(ValueError, match=r"threshold='roc' needs rows known to be abnormal: call fit\(X, abno"):
                model.fit(rows(20, 3))

    @given(
        ordinary=st.lists(st.integers(0, 9), min_size=1, max_size=20),
        abnormal=st.lists(st.integers(0, 12), min_size=1, max_size=20),
    )
    def test_no_threshold_has_a_larger_youden_index(self, ordinary, abnormal):
        ordinary, abnormal = np.array(ordinary, float), np.array(abnormal, float)
        chosen = roc_threshold(ordinary, abnormal)
        index = [(abnormal > t).mean() - (ordinary > t).mean() for t in [chosen, *np.arange(0, 13)]]
        assert index[0] == pytest.approx(max(index))

    def test_between_two_groups_that_are_apart_it_is_in_the_middle(self):
        assert roc_threshold(np.array([1.0, 2.0]), np.array([6.0, 7.0, np.inf])) == 4
        assert roc_threshold(np.array([1.0, 2.0]), np.array([np.inf])) == 2

    @pytest.mark.parametrize("threshold", RULES)
    @pytest.mark.parametrize("kind", [MahalanobisTaguchi, RTMethod])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_the_table_counts_rows(self, threshold, kind, dtype, cancer):
        unit, abnormal, ordinary, far = (cancer[name].astype(dtype) for name in ("unit", "abnormal", "ordinary", "far"))
        model = kind(threshold=threshold).fit(unit, abnormal=abnormal)
        for table, name in (
            (model.operating_characteristic_, "abnormal"),
            (model.operating_characteristic(ordinary, far), "far"),
        ):
            assert table.columns.tolist() == ["threshold", "false_alarm_rate", "detection_rate", "chosen"]
            assert table["threshold"].is_monotonic_increasing
            (point,) = table[table["chosen"]].itertuples()
            assert point.threshold == pytest.approx(model.threshold_)
            assert point.detection_rate == (model.predict(cancer[name].astype(dtype)) == -1).mean()
        assert point.false_alarm_rate == (model.predict(ordinary) == -1).mean()
        assert table.iloc[0, 1:3].tolist() == [1, 1]
        assert table.iloc[-1, 1:3].tolist() == [0, 0]
        for row in table.iloc[::37].itertuples():
            assert row.detection_rate == (model.distance(far) > row.threshold).mean()

    def test_the_rules_on_breast_cancer(self, cancer):
        def found(threshold, rate=0.05):
            model = MahalanobisTaguchi(threshold=threshold, false_alarm_rate=rate)
            model.fit(cancer["unit"], abnormal=cancer["abnormal"])
            return [(model.predict(cancer[name]) == -1).mean() for name in ("ordinary", "far")]

        assert found(4.0)[1] < 0.5 < 0.65 < found("quantile")[1] < 0.8 < found("quantile", 0.1)[1]
        assert found("quantile")[0] < 0.08
        # Items far from normal: the normal model calls three times as many ordinary rows outliers as it promises.
        assert found("f")[0] > 0.1
        assert found("roc")[1] > 0.85

    def test_float32_items_decide_and_count_alike_with_refits(self, cancer):
        unit, far = cancer["unit"].astype(np.float32), cancer["far"].astype(np.float32)
        model = MahalanobisTaguchi(shrinkage=0.1, threshold="quantile").fit(unit, abnormal=far)
        (point,) = model.operating_characteristic_[model.operating_characteristic_["chosen"]].itertuples()
        assert point.threshold == model.threshold_
        assert point.detection_rate == (model.predict(far) == -1).mean()

    def test_without_them_there_is_no_table(self):
        assert MahalanobisTaguchi().fit(rows(20, 3)).operating_characteristic_ is None

    def test_a_row_that_differs_in_a_constant_item_counts_at_every_threshold(self):
        X, abnormal = (np.column_stack([rows(n, 2), np.zeros(n)]) for n in (30, 4))
        abnormal[:2, 2] = 1
        model = MahalanobisTaguchi(threshold="roc")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = model.fit(X, abnormal=abnormal).operating_characteristic_
        assert table["detection_rate"].iloc[-1] == 0.5
        assert np.isfinite(table["threshold"]).all()
        assert rates(np.array([np.inf, 1.0]), np.array([np.inf]))["false_alarm_rate"].tolist() == [1, 0.5]

    @pytest.mark.parametrize("kind", [MahalanobisTaguchi, RTMethod])
    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (np.full((2, 3), np.nan), "^abnormal: Input X contains NaN"),
            (np.ones((2, 2)), "^abnormal: X has 2 features"),
            (np.ones(3), "^abnormal: Expected 2D array"),
        ],
    )
    def test_errors_about_them_name_them_in_one_line(self, kind, wrong, told):
        for call in (
            lambda: kind().fit(rows(20, 3), abnormal=wrong),
            lambda: kind().fit(rows(20, 3)).operating_characteristic(rows(20, 3), wrong),
        ):
            with pytest.raises(ValueError, match=told) as refused:
                call()
            assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("kind", [MahalanobisTaguchi, RTMethod])
    def test_a_fit_that_fails_leaves_nothing_fitted(self, kind):
        X, abnormal = rows(60, 3), rows(9, 3, seed=1) + 2
        model = kind("quantile") if kind is RTMethod else kind(threshold="quantile", groups="items")
        model.fit(X, abnormal=abnormal)
        with pytest.raises(ValueError, match="abnormal: "):
            model.fit(1000 * X, abnormal=abnormal[:, :2])
        with pytest.raises(NotFittedError):
            model.predict(X)
        for method in (model.predict, model.diagnosis, model.contributions, model.explain):
            with pytest.raises(NotFittedError):
                method(X)
        with pytest.raises(ValueError, match="threshold='roc' needs rows"):
            model.set_params(threshold="roc").fit(X)
        with pytest.raises(NotFittedError):
            model.distance(X)

    def test_column_names_are_checked(self):
        X = pd.DataFrame(rows(30, 3), columns=list("abc"))
        with pytest.raises(ValueError, match="feature names should match"):
            MahalanobisTaguchi(threshold="roc").fit(X, abnormal=X[list("cba")])

    def test_in_a_pipeline_they_are_routed_and_scaled(self):
        X, abnormal = rows(60, 3), rows(20, 3, seed=1) + 2
        plain = MahalanobisTaguchi(threshold="roc").fit(X, abnormal=abnormal)
        with sklearn.config_context(enable_metadata_routing=True):
            step = MahalanobisTaguchi(threshold="roc").set_fit_request(abnormal=True)
            model = make_pipeline(StandardScaler(), step, transform_input=["abnormal"]).fit(X, abnormal=abnormal)
            np.testing.assert_array_equal(model.predict(abnormal), plain.predict(abnormal))
        assert model[-1].threshold_ == pytest.approx(plain.threshold_)
        np.testing.assert_array_equal(
            MahalanobisTaguchi(threshold="roc").fit_predict(X, abnormal=abnormal), plain.predict(X)
        )


@parametrize_with_checks(
    [
        MahalanobisTaguchi(threshold="quantile", groups=["all", "items"], false_alarm_rate=0.4),
        MahalanobisTaguchi(threshold="quantile", shrinkage="auto", false_alarm_rate=0.4),
        MahalanobisTaguchi("mta", threshold="f", groups="items", false_alarm_rate=0.4),
    ]
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("threshold", RULES)
@pytest.mark.parametrize("kind", [MahalanobisTaguchi, RTMethod])
def test_pickle_clone_and_a_second_fit(threshold, kind):
    X, abnormal = rows(40, 3), rows(9, 3, seed=1) + 2
    model = kind(threshold=threshold).fit(X, abnormal=abnormal)
    assert sklearn.clone(model).fit(X, abnormal=abnormal).threshold_ == model.threshold_ == -model.offset_
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.operating_characteristic_, model.operating_characteristic_)
    assert sorted(vars(model.fit(X, abnormal=abnormal))) == sorted(vars(again))


@pytest.mark.parametrize("kind", [MahalanobisTaguchi, RTMethod])
def test_a_model_of_an_earlier_version_is_refused_in_one_line(kind):
    earlier = {**vars(kind().fit(rows(20, 3))), "offset_": -4.0}
    with pytest.raises(ValueError, match=f"^This {kind.__name__} was saved by an earlier version: fit it again.$"):
        kind().__setstate__(earlier)


def test_wrong_words_are_refused():
    for wrong in ({"threshold": "chi2"}, {"false_alarm_rate": 0.0}, {"false_alarm_rate": 1.0}):
        for kind in (MahalanobisTaguchi, RTMethod):
            with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of {kind.__name__} must be"):
                kind(**wrong).fit(rows(20, 3))


def false_alarms(model, n, p, centre=0.0, draws=40):
    rng = np.random.default_rng(0)
    found = [
        (sklearn.clone(model).fit(centre + rng.normal(size=(n, p))).predict(centre + rng.normal(size=(200, p))) == -1)
        for _ in range(draws)
    ]
    return np.mean(found)


@pytest.mark.parametrize(
    ("model", "n"),
    [
        (MahalanobisTaguchi(threshold="quantile", shrinkage="auto"), 25),
        (MahalanobisTaguchi(threshold="quantile"), 32),
        (MahalanobisTaguchi(threshold="quantile"), 60),
        (MahalanobisTaguchi("mta", threshold="quantile"), 32),
        (MahalanobisTaguchi("mta", threshold="quantile"), 60),
        (MahalanobisTaguchi("mta", threshold="quantile", shrinkage=0.1), 40),
        (MahalanobisTaguchi("svp", threshold="quantile"), 25),
    ],
    ids=str,
)
def test_with_few_rows_the_quantile_promises_no_less(model, n):
    assert false_alarms(model, n, 30) < 0.06


def test_of_rt_the_quantile_keeps_its_promise_and_the_normal_model_with_many_rows_only():
    assert false_alarms(RTMethod("quantile"), 20, 50, centre=10) < 0.06
    assert false_alarms(RTMethod("f"), 20, 200, centre=10) > 0.08
    assert false_alarms(RTMethod("f"), 200, 200, centre=10) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        (MahalanobisTaguchi(threshold="f"), 0.05),
        (MahalanobisTaguchi(threshold="quantile", false_alarm_rate=0.1), 0.1),
        (MahalanobisTaguchi(threshold="f", groups="items"), 0.05),
    ],
    ids=["f", "quantile", "items"],
)
def test_the_promised_rate_holds_on_new_normal_rows(model, rate):
    rng = np.random.default_rng(0)
    found = [
        (sklearn.clone(model).fit(rng.normal(size=(50, 5))).predict(rng.normal(size=(200, 5))) == -1).mean()
        for _ in range(150)
    ]
    assert np.mean(found) == pytest.approx(rate, abs=0.01)
