import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from pipeline.features import TMetrics
from pipeline.features.t_metrics import _aggregate, words_and_pairs
from pipeline.features.word_sums import WordMetrics, distances, word_sums
from pipeline.taguchi import TMethodRegressor

presences = st.tuples(st.integers(3, 12), st.integers(1, 6)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0])),
        arrays(np.float64, shape[0], elements=st.floats(-3, 5, width=16)),
    )
)


def naive(x, y):
    """Sensitivity and S/N ratio of one item by the definition, item and target measured from their means."""
    x, M = x - x.mean(), y - y.mean()
    r, L, S_T = sum(M * M), sum(M * x), sum(x * x)
    if S_T < 1e-12 or r < 1e-12:
        return 0, 0
    return L / r, L**2 / r / max(S_T - L**2 / r, len(x) * np.finfo(float).eps * S_T)


class TestItems:
    def test_words_in_lower_case_and_pairs(self):
        assert words_and_pairs("Don’t go!") == ["don't", "go", "don't go"]
        assert words_and_pairs("味は") == ["味", "は", "味 は"]
        assert words_and_pairs("?!") == []

    def test_distances_of_stars_are_those_from_one_to_four_stars(self):
        np.testing.assert_array_equal(distances(np.array([2.0]), 1, 5), [[1, 0, 1, 2]])

    def test_distances_on_another_scale_are_from_a_quarter_half_and_three_quarters_of_it(self):
        np.testing.assert_array_equal(distances(np.array([2.0, 10.0]), 0, 10), [[2, 0.5, 3, 5.5], [10, 7.5, 5, 2.5]])
        np.testing.assert_array_equal(distances(np.array([1.5]), 1, 5), [[0.5, 0.5, 1.5, 2.5]])

    @pytest.mark.parametrize(("low", "step"), [(0, 1), (0, 2.5), (1, 0.5), (0, 25)])
    def test_what_is_learned_does_not_depend_on_where_a_scale_begins_nor_on_its_unit(self, low, step):
        texts = ["bad food", "bad wine", "good food", "good wine", "superb food", "no idea"]
        stars = np.array([1, 2, 4, 4, 5, 3])
        five, other = (TMetrics(cv=2).fit(texts, y) for y in (stars, low + (stars - 1) * step))
        assert other.range_ == (low, low + 4 * step)
        np.testing.assert_allclose(other.metrics_.eta, five.metrics_.eta)
        np.testing.assert_allclose(other.metrics_.beta, five.metrics_.beta / step)

    def test_the_points_are_those_of_the_scale_where_stars_of_its_ends_are_missing(self):
        texts = ["bad food", "bad wine", "good food", "good wine", "no idea", "so so"]
        stars = np.array([2, 3, 4, 4, 3, 3])
        metrics = TMetrics(cv=2, target_range=(1, 5)).fit(texts, stars)
        assert metrics.range_ == (1, 5)
        learned = word_sums(metrics.sums_.items, metrics._rows(texts), stars.astype(float), (1, 5)).metrics()
        np.testing.assert_allclose(metrics.metrics_.beta, learned.beta)

    @pytest.mark.parametrize("wrong", [(1, 3), (3, 5), (5, 1), (1, 2, 5), (1,)])
    def test_a_range_that_does_not_hold_the_target_is_refused(self, wrong):
        with pytest.raises(ValueError, match="must be two numbers, the lower one first, that hold the target"):
            TMetrics(cv=2, target_range=wrong).fit(["good", "bad", "so"], [2, 4, 3])


def metrics_of(X, y, min_df=1):
    """Sensitivities and S/N ratios against the target itself, measured from the lower end of the scale."""
    names = "\n".join(f"item{i}" for i in range(X.shape[1]))
    beta, eta, _ = word_sums(names, csr_array(X), np.asarray(y, dtype=float), (-10, 10), min_df).metrics()
    return beta[:, 0], eta[:, 0]


class TestWordMetrics:
    @given(presences)
    def test_sparse_sums_are_the_dense_formula(self, case):
        X, y = case
        beta, eta = metrics_of(X, y)
        expected = np.array([naive(x, y) for x in X.T])
        np.testing.assert_allclose(beta, expected[:, 0], rtol=1e-9, atol=1e-9)
        # The rounding of S_T - S_beta grows with eta: what is compared is the explained share.
        explained = eta / (1 + eta)
        np.testing.assert_allclose(explained, expected[:, 1] / (1 + expected[:, 1]), rtol=1e-9, atol=1e-9)

    @given(presences)
    def test_eta_is_finite_and_never_negative(self, case):
        X, y = case
        _, eta = metrics_of(X, y)
        assert np.isfinite(eta).all()
        assert (eta >= 0).all()

    def test_a_rare_word_has_a_small_sn_ratio_and_a_useless_one_none(self):
        y = np.tile([1.0, 5.0], 50)
        X = np.zeros((100, 4))
        X[:, 0] = y == 5  # perfect
        X[1, 1] = 1  # once, in a 5-star text
        X[:, 2] = 1  # everywhere
        _, eta = metrics_of(X, y)
        assert eta[0] > 1e9
        assert eta[1:] == pytest.approx([1 / 98, 0, 0])  # rho^2 = 1/99

    def test_rarer_items_than_min_df_get_nothing(self):
        X, y = csr_array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]), np.array([5.0, 4.0, 1.0])
        beta, eta = metrics_of(X, y, min_df=2)
        assert beta[0] == eta[0] == 0
        assert eta[1] > 0


class TestColumns:
    def test_every_column_by_hand(self):
        X = csr_array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
        rng = np.random.default_rng(0)
        beta, eta = rng.normal(size=(4, 4)), rng.random((4, 4))
        beta[3] = eta[3] = 0  # an item that carries nothing is not counted
        beta[:2, 0] = [0.5, -0.25]
        items = [0, 1]
        explained = eta / (1 + eta)
        value, strength = explained[items] / beta[items], np.sign(beta[items]) * explained[items] ** 0.5
        v, w = value[:, 0], abs(strength[:, 0])
        mean = np.average(v, weights=w)
        expected = [
            np.log(3),
            *value.sum(axis=0) / 2**0.5,
            *strength.sum(axis=0) / 2**0.5,
            v[0] / 2**0.5,
            v[1] / 2**0.5,
            mean,
            np.average((v - mean) ** 2, weights=w) ** 0.5,
            (w[0] - w[1]) / w.sum(),
            w[0],
            -w[1],
            (eta[items, 0] / beta[items, 0]).sum() / eta[:, 0].sum(),
        ]
        columns = _aggregate(X, WordMetrics(beta, eta, eta[:, 0].sum()))
        np.testing.assert_allclose(columns, [expected, [0] * 17], atol=1e-12)

    def test_the_value_is_the_mean_with_the_word_less_the_mean_without(self):
        texts, y = ["good a", "good b", "c", "d", "e"], np.array([5, 4, 1, 2, 3.5])
        metrics = TMetrics().fit(texts, y)
        row = dict(zip(metrics.get_feature_names_out(), metrics.transform(["Good"])[0], strict=True))
        assert row["mean"] == row["t_0"] == row["up"] == pytest.approx(4.5 - 6.5 / 3)
        assert row["strongest_up"] == row["sn_0"] == pytest.approx(np.corrcoef([1, 1, 0, 0, 0], y)[0, 1])
        assert row["down"] == row["strongest_down"] == row["sd"] == 0

    def test_the_t_estimate_is_that_of_ta_on_the_presence_of_all_items(self, texts, stars):
        metrics = TMetrics().fit(texts, stars)
        counter = CountVectorizer(analyzer=words_and_pairs, binary=True, vocabulary=metrics.items_)
        X = counter.transform(texts).toarray().astype(float)
        ta = TMethodRegressor("all", subtract_error=False).fit(X, stars)
        difference = ta.predict(X) - ta.predict(np.zeros((1, X.shape[1])))
        names = metrics.get_feature_names_out().tolist()
        np.testing.assert_allclose(metrics.transform(texts)[:, names.index("t_estimate")], difference, atol=1e-9)

    def test_no_known_word_gives_zeros(self, texts, stars):
        metrics = TMetrics().fit(texts, stars)
        np.testing.assert_array_equal(metrics.transform(["", "?!", "Xyzzy plugh"]), np.zeros((3, 17)))

    def test_a_new_word_with_repeated_letters_is_read_as_the_known_one(self):
        metrics = TMetrics().fit(["so good", "so bad", "good food", "bad food"], [5, 1, 4, 2])
        as_typed, plain = metrics.transform(["Sooooo gooood", "so good"])
        np.testing.assert_array_equal(as_typed, plain)

    def test_a_word_of_the_middle_shows_in_the_distance_from_it(self):
        texts = ["okay", "okay", "great", "great", "awful", "awful"]
        names = TMetrics().get_feature_names_out().tolist()
        row = dict(zip(names, TMetrics().fit(texts, [3, 3, 5, 5, 1, 1]).transform(["okay"])[0], strict=True))
        assert row["t_0"] == pytest.approx(0)
        assert row["t_50"] == pytest.approx(-2)
        assert row["sn_50"] == pytest.approx(-1)

    def test_repeating_a_text_changes_nothing_but_the_pair_at_the_seam(self, texts, stars):
        metrics = TMetrics().fit(texts, stars)
        np.testing.assert_array_equal(
            metrics.transform([text + " xyzzy " + text for text in texts]), metrics.transform(texts)
        )

    def test_units_follow_the_target(self, texts, stars):
        names = TMetrics().get_feature_names_out()
        in_units = np.array([name.startswith("t_") or name in {"up", "down", "mean", "sd"} for name in names])
        one, other = (TMetrics().fit_transform(texts, y) for y in (np.array(stars), 10 * np.array(stars) - 7.5))
        np.testing.assert_allclose(other[:, in_units], 10 * one[:, in_units], atol=1e-9)
        np.testing.assert_allclose(other[:, ~in_units], one[:, ~in_units], atol=1e-9)


class TestExplain:
    def test_contributions_add_up_to_the_t_estimate(self, texts, stars):
        metrics = TMetrics().fit(texts, stars)
        estimates = metrics.transform(texts)[:, metrics.get_feature_names_out().tolist().index("t_estimate")]
        sums = [metrics.explain(text)["contribution"].sum() for text in texts]
        np.testing.assert_allclose(sums, estimates, atol=1e-9)

    def test_each_item_stands_once_with_what_was_learned(self):
        metrics = TMetrics().fit(["good food", "bad food", "good wine", "no idea"], [5, 1, 4, 3])
        table = metrics.explain("Good good wine, new food.").set_index("item")
        assert sorted(table.index) == ["food", "good", "good wine", "wine"]
        assert table.index[0] in ("good", "good wine", "wine")
        assert table["contribution"].is_monotonic_decreasing
        assert table.loc["good", ["n_texts", "value"]].tolist() == pytest.approx([2, 4.5 - 2])
        assert table.loc["good", "strength"] == pytest.approx(np.corrcoef([1, 0, 1, 0], [5, 1, 4, 3])[0, 1])
        assert table.loc["good", "sn_db"] == pytest.approx(10 * np.log10(metrics.metrics_.eta[3, 0]))

    def test_a_text_without_a_known_word_has_no_row(self, texts, stars):
        table = TMetrics().fit(texts, stars).explain("xyzzy")
        assert table.shape == (0, 6)

    @pytest.mark.parametrize("wrong", [None, 3])
    def test_something_else_is_refused(self, texts, stars, wrong):
        with pytest.raises(ValueError, match="Expected"):
            TMetrics().fit(texts, stars).explain(wrong)


class TestItemsThatWereLearned:
    def test_items_stand_beside_their_metrics(self):
        metrics = TMetrics().fit(["good food", "bad food"], [5, 1])
        assert metrics.items_.tolist() == ["bad", "bad food", "food", "good", "good food"]
        np.testing.assert_allclose(metrics.metrics_.beta[:, 0], [-0.25, -0.25, 0, 0.25, 0.25])

    def test_min_df(self, texts, stars):
        metrics = TMetrics(min_df=2).fit(texts, stars)
        counts = {item: sum(item in words_and_pairs(text) for text in texts) for item in metrics.items_}
        assert min(counts.values()) == 2
        assert len(metrics.items_) < len(TMetrics().fit(texts, stars).items_)

    @pytest.mark.parametrize(("texts", "min_df"), [(["?", "!"], 1), (["good", "bad"], 2), (["good", "bad"], 3)])
    def test_no_item_is_left(self, texts, min_df):
        with pytest.raises(ValueError, match=f"No word occurs in min_df={min_df} or more of the 2 texts: lower min_df"):
            TMetrics(min_df=min_df).fit(texts, [5, 1])

    def test_a_wrong_min_df(self):
        with pytest.raises(ValueError, match=r"'min_df' parameter of TMetrics must be an int in the range \[1, inf\)"):
            TMetrics(min_df=0).fit(["good", "bad"], [5, 1])
