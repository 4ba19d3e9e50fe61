"""What each item adds to a squared distance, and the table of a unit space's items."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer

from pipeline.taguchi import MahalanobisTaguchi, RTMethod

METHODS = ["mt", "mta", "svp"]
SEEDS = st.integers(0, 2**32 - 1)


def rows(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)) @ (np.eye(p) + np.triu(0.5 * rng.normal(size=(p, p)), 1)) + 5


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return X[y == 1], X[y == 0][:20]


def by_refit(model, X, new):
    """Return the squared distance less that of models fitted without each item."""
    squared = model.distance(new) ** 2
    found = []
    for item in range(X.shape[1]):
        others = MahalanobisTaguchi(model.method, shrinkage=model.shrinkage_).fit(np.delete(X, item, axis=1))
        found.append(squared - others.distance(np.delete(new, item, axis=1)) ** 2)
    return np.column_stack(found)


class TestContributions:
    @settings(max_examples=30)
    @given(
        seed=SEEDS,
        p=st.integers(2, 6),
        method=st.sampled_from(METHODS),
        shrinkage=st.sampled_from([0.0, 0.3, "auto"]),
    )
    def test_both_are_their_definitions(self, seed, p, method, shrinkage):
        X, new = rows(30, p, seed), rows(7, p, seed + 1)
        model = MahalanobisTaguchi(method, shrinkage=shrinkage).fit(X)
        terms = model.contributions(new)
        z = (new - model.center_) / model.scale_
        np.testing.assert_allclose(terms, z * (z @ model.matrix_) / p, rtol=1e-7, atol=1e-9 * np.abs(terms).max())
        np.testing.assert_allclose(terms.sum(axis=1), model.distance(new) ** 2, rtol=1e-9)
        expected = by_refit(model, X, new)
        atol = 1e-8 * np.abs(expected).max()
        np.testing.assert_allclose(model.contributions(new, by="leaving_out"), expected, rtol=1e-7, atol=atol)

    @pytest.mark.parametrize("method", METHODS)
    def test_on_breast_cancer(self, cancer, method):
        unit, far = cancer
        model = MahalanobisTaguchi(method).fit(unit)
        np.testing.assert_allclose(model.contributions(far).sum(axis=1), model.distance(far) ** 2, rtol=1e-9)
        expected = by_refit(model, unit, far)
        atol = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(model.contributions(far, by="leaving_out"), expected, atol=atol)

    def test_items_that_repeat_one_another(self):
        X, new = rows(30, 3), rows(7, 3, seed=1)
        X, new = (np.column_stack([items, items[:, 0] - items[:, 1]]) for items in (X, new))
        model = MahalanobisTaguchi().fit(X)
        np.testing.assert_allclose(model.contributions(new).sum(axis=1), model.distance(new) ** 2, rtol=1e-9)
        by_leaving_out = model.contributions(new, by="leaving_out")
        np.testing.assert_allclose(by_leaving_out, by_refit(model, X, new), atol=1e-8)
        # The others tell of each of the three.
        np.testing.assert_allclose(by_leaving_out[:, [0, 1, 3]], 0, atol=1e-8)

    @pytest.mark.parametrize("by", ["terms", "leaving_out"])
    @pytest.mark.parametrize("method", METHODS)
    def test_a_constant_item_adds_nothing(self, by, method):
        X, new = rows(30, 3), rows(7, 3, seed=1)
        wider = MahalanobisTaguchi(method).fit(np.insert(X, 1, 2.0, axis=1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = wider.contributions(np.insert(new, 1, 9.0, axis=1), by=by)
        assert not found[:, 1].any()
        expected = MahalanobisTaguchi(method).fit(X).contributions(new, by=by)
        np.testing.assert_allclose(np.delete(found, 1, axis=1), expected, rtol=1e-9, atol=1e-12)

    def test_a_single_item_is_all(self):
        model = MahalanobisTaguchi().fit(rows(30, 1))
        for by in ("terms", "leaving_out"):
            np.testing.assert_allclose(model.contributions([[9.0]], by=by)[:, 0], model.distance([[9.0]]) ** 2)

    @pytest.mark.parametrize("method", METHODS)
    def test_with_groups_of_the_farthest_one(self, method):
        X, new = rows(40, 4), rows(9, 4, seed=1)
        model = MahalanobisTaguchi(method, groups=[[0, 1], [2, 3], "items"]).fit(X)
        terms = model.contributions(new)
        np.testing.assert_allclose(terms.sum(axis=1), model.distance(new) ** 2, rtol=1e-9)
        farthest = model.group_distances(new).to_numpy().argmax(axis=1)
        assert ((terms != 0).sum(axis=1) == np.where(farthest < 2, 2, 1)).all()
        singles = model.contributions(new, by="leaving_out")[farthest >= 2]
        np.testing.assert_allclose(singles, terms[farthest >= 2])

    def test_the_diagnosis_of_an_adjoint_whose_squares_vanish(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(600, 1)) + 0.08 * rng.normal(size=(600, 150))
        new = X[:2] + 2.4 * np.eye(150)[[17, 90]]
        model, plain = (MahalanobisTaguchi(method).fit(X) for method in ("mta", "mt"))
        assert 0 < model.distance(new).max() < 1e-150
        assert model.diagnosis(new)["most"].tolist() == plain.diagnosis(new)["most"].tolist() == ["x17", "x90"]
        for refused in (model.contributions, model.explain, lambda X: model.contributions(X, by="leaving_out")):
            with pytest.raises(ValueError, match=r"^The distance \S+e-1\d\d of row 0 has no square in float64's range"):
                refused(new)
        grouped, expected = (MahalanobisTaguchi(method, groups=["all"]).fit(X) for method in ("mta", "mt"))
        for by in ("terms", "leaving_out"):
            assert np.abs(grouped.contributions(new, by=by)).max() > 1
        np.testing.assert_allclose(grouped.contributions(new), expected.contributions(new), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("model", [MahalanobisTaguchi(), MahalanobisTaguchi(groups=["all", "items"]), RTMethod()])
    @pytest.mark.parametrize("value", [1e160, 1e308])
    def test_a_row_whose_square_overflows(self, model, value):
        X = rows(30, 4)
        far = X[:2].copy()
        far[1, 2] = value
        model = model.fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert model.predict(far)[1] == -1
            diagnosis = model.diagnosis(far)
            assert np.isinf(diagnosis["md"].iloc[1])
            refused = [model.contributions, model.explain]
            if isinstance(model, MahalanobisTaguchi):
                assert diagnosis["most"].iloc[1] == "x2"
                refused.append(lambda X: model.contributions(X, by="leaving_out"))
            for method in refused:
                with pytest.raises(ValueError, match=r"^The distance \S+ of row 1 has no square in float64"):
                    method(far)

    @pytest.mark.parametrize("n", [40, 4000])
    def test_leaving_an_item_out_of_an_adjoint_of_many(self, n):
        X, new = rows(n, 12), rows(3, 12, seed=1)
        model = MahalanobisTaguchi("mta").fit(X)
        np.testing.assert_allclose(model.contributions(new, by="leaving_out"), by_refit(model, X, new), rtol=1e-6)

    def test_another_word(self):
        model = MahalanobisTaguchi().fit(rows(30, 3))
        with pytest.raises(ValueError, match="by='shapley' is not known: use 'terms' or 'leaving_out'"):
            model.contributions(rows(2, 3), by="shapley")

    @pytest.mark.parametrize("matrix", ["inverse", "adjoint"])
    def test_of_rt(self, matrix):
        X, new = rows(30, 5), rows(7, 5, seed=1)
        model = RTMethod(matrix=matrix).fit(X)
        d = model.transform(new)[:, :2] - model.y_mean_
        A = 2 * model.root_ @ model.root_.T
        np.testing.assert_allclose(model.contributions(new), d * (d @ A) / 2, rtol=1e-7)
        np.testing.assert_allclose(model.contributions(new).sum(axis=1), model.distance(new) ** 2, rtol=1e-9)
        bent = np.add(X[:1], [3, -3, 0, 0, 0])
        assert model.diagnosis(bent)["most"].tolist() == ["y2"]
        assert model.diagnosis(3 * X.mean(axis=0, keepdims=True))["most"].tolist() == ["y1"]


def test_the_diagnosis_names_the_item_that_adds_most():
    X = pd.DataFrame(rows(60, 4), columns=list("abcd"), index=range(100, 160))
    model = MahalanobisTaguchi().fit(X)
    off = X[:4] + 20 * X.std().to_numpy() * np.eye(4)
    diagnosis = model.diagnosis(off)
    assert diagnosis.columns.tolist() == ["distance", "md", "differs_in", "ordinary", "most"]
    assert diagnosis["most"].tolist() == list("abcd")
    assert diagnosis.index.tolist() == [100, 101, 102, 103]
    explained = model.explain(off)
    assert (explained.idxmax(axis=1) == diagnosis["most"]).all()
    np.testing.assert_allclose(explained.sum(axis=1), diagnosis["md"], rtol=1e-9)


@pytest.mark.parametrize(
    ("new", "most", "differs_in"),
    [([0.1, 0, 0, 5], "x3", "x3"), ([50, 0, 0, 5], "x0", "x3"), ([0, 3, 0, 1], "x1", "")],
)
def test_a_row_that_differs_in_a_constant_item_alone_accuses_no_other_one(new, most, differs_in):
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[:, 3] = 1
    (found,) = MahalanobisTaguchi().fit(X).diagnosis([new]).itertuples()
    assert (found.most, found.differs_in, found.ordinary) == (most, differs_in, not differs_in)


class TestItemsTable:
    def test_means_spreads_and_inflation(self):
        X = pd.DataFrame(rows(60, 4), columns=list("abcd"))
        for method in METHODS:
            table = MahalanobisTaguchi(method, shrinkage=0.5).fit(X).items_table()
            assert table.index.tolist() == list("abcd")
            assert table.index.name == "item"
            np.testing.assert_allclose(table["mean"], X.mean())
            np.testing.assert_allclose(table["sd"], X.std())
            np.testing.assert_allclose(table["vif"], np.linalg.inv(np.corrcoef(X.T)).diagonal())

    def test_constant_and_collinear_items(self):
        X = np.column_stack([rows(60, 3), np.ones(60)])
        X[:, 2] = X[:, 0]
        table = MahalanobisTaguchi().fit(X).items_table()
        assert np.isinf(table["vif"]).tolist() == [True, False, True, False]
        assert 1 <= table["vif"].iloc[1] < 10
        assert np.isnan(table["vif"].iloc[3])
        assert table["sd"].iloc[3] == 0
