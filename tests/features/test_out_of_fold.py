import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from text_checks import check_text_transformer

from pipeline.deal import deal_folds
from pipeline.experiment.columns import fit_transform
from pipeline.features import RTMetrics, SentenceMetrics, TEstimates, TMetrics

# One letter a word: the tiny encoder knows them all.
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def random_texts(n, n_words=6):
    rng = np.random.default_rng(0)
    return [" ".join("".join(rng.choice(list(LETTERS), 3)) for _ in range(n_words)) for _ in range(n)]


@pytest.fixture(params=["words", "sentences", "estimates", "tokens"])
def metrics(request, tiny_encoder):
    if request.param == "tokens":
        return RTMetrics(model=tiny_encoder, cv=3)
    return {"words": TMetrics, "sentences": SentenceMetrics, "estimates": TEstimates}[request.param](cv=3)


def largest_correlation(columns, target):
    varying = columns[:, columns.std(axis=0) > 0]
    return np.abs(np.corrcoef(varying.T, target)[-1, :-1]).max()


class TestOutOfFold:
    def test_fit_transform_is_a_loop_over_the_folds(self, metrics, texts, stars):
        texts, stars = np.array(texts * 2, dtype=object), np.array(stars * 2)
        texts[12:] += " and more"
        columns = metrics.fit_transform(texts, stars)
        folds = deal_folds(stars, 3, random_state=0)
        for fold in range(3):
            other = clone(metrics).fit(texts[folds != fold], stars[folds != fold])
            np.testing.assert_allclose(columns[folds == fold], other.transform(texts[folds == fold]), atol=1e-9)

    def test_fit_transform_fits_on_all_texts(self, metrics, texts, stars):
        after = clone(metrics).fit(texts, stars).transform(["good food", "bad"])
        metrics.fit_transform(texts, stars)
        np.testing.assert_array_equal(metrics.transform(["good food", "bad"]), after)

    @pytest.mark.parametrize("metrics", [TMetrics(), SentenceMetrics()])
    def test_random_stars_leave_no_trace_in_the_words_out_of_fold(self, metrics):
        texts, stars = random_texts(400), np.random.default_rng(1).integers(1, 6, 400)
        assert largest_correlation(metrics.fit_transform(texts, stars), stars) < 0.2
        assert largest_correlation(metrics.transform(texts), stars) > 0.9

    def test_random_stars_leave_no_trace_in_the_tokens_out_of_fold(self, tiny_encoder):
        texts, stars = random_texts(400), np.random.default_rng(1).integers(1, 6, 400)
        metrics = RTMetrics(model=tiny_encoder)
        of_the_star = (np.arange(400), stars - 1)
        assert metrics.fit_transform(texts, stars)[of_the_star].mean() < 0.2
        assert metrics.transform(texts)[of_the_star].mean() == pytest.approx(1)

    def test_the_features_stage_gives_training_reviews_what_is_out_of_fold(self, metrics, tmp_path):
        texts, stars = random_texts(400), np.random.default_rng(1).integers(1, 6, 400)
        is_train = np.arange(400) % 4 > 0
        reviews = pd.DataFrame(
            {
                "review_id": [f"r{i}" for i in range(400)],
                "text": texts,
                "stars": stars,
                "split": np.where(is_train, "train", "test"),
            }
        )
        tables, costs = fit_transform({"metrics": metrics}, reviews, tmp_path / "shards", tmp_path / "tokens")
        assert set(costs["metrics"]) == {"learn_seconds", "encode_seconds", "transform_seconds_per_review"}
        table = tables["metrics"]
        assert table.columns.tolist() == ["review_id", *metrics.get_feature_names_out()]
        columns = table.drop(columns="review_id").to_numpy()
        assert largest_correlation(columns[is_train], stars[is_train]) < 0.2
        again = clone(metrics)
        np.testing.assert_array_equal(
            columns[is_train], again.fit_transform(reviews["text"][is_train], stars[is_train])
        )
        np.testing.assert_array_equal(columns[~is_train], again.transform(reviews["text"][~is_train]))

    def test_a_star_of_a_single_text_is_no_difficulty(self, metrics, texts):
        columns = metrics.fit_transform(texts, [1, *[3] * 10, 5])
        assert np.isfinite(columns).all()
        assert columns.shape == metrics.transform(texts).shape


class TestScikitLearn:
    @pytest.mark.filterwarnings("ignore:Can't test estimator")
    def test_contract(self, metrics):
        check_text_transformer(metrics)

    def test_the_same_texts_give_the_same_columns_in_any_kind_of_sequence(self, metrics, texts, stars):
        expected = metrics.fit_transform(texts, stars)
        for kind in (tuple, np.array, pd.Series, lambda texts: pd.DataFrame({"text": texts})):
            np.testing.assert_array_equal(clone(metrics).fit_transform(kind(texts), stars), expected)
        with pytest.raises(NotFittedError):
            clone(metrics).transform(texts)

    def test_it_survives_pickle_and_skops_as_the_stages_use_them(self, metrics, texts, stars, tmp_path):
        metrics.fit_transform(texts, stars)
        skops.io.dump(metrics, tmp_path / "metrics.skops")
        untrusted = skops.io.get_untrusted_types(file=tmp_path / "metrics.skops")
        assert all(name.startswith("pipeline.") for name in untrusted)
        for copy in (pickle.loads(pickle.dumps(metrics)), skops.io.load(tmp_path / "metrics.skops", trusted=untrusted)):
            np.testing.assert_array_equal(copy.transform(texts), metrics.transform(texts))

    def test_pandas_output_has_names_and_index(self, metrics, texts, stars):
        series = pd.Series(texts, index=[f"review-{i}" for i in range(12)])
        metrics.set_output(transform="pandas")
        for table in (metrics.fit_transform(series, stars), metrics.transform(series)):
            assert table.columns.tolist() == metrics.get_feature_names_out().tolist()
            assert table.index.tolist() == series.index.tolist()

    def test_a_grid_search_over_a_pipeline(self, metrics, texts, stars):
        model = Pipeline([("metrics", metrics), ("ridge", Ridge())])
        search = GridSearchCV(model, {"metrics__cv": [2, 4]}, cv=2, error_score="raise").fit(texts, stars)
        assert len(set(search.cv_results_["mean_test_score"])) == 2
        assert np.isfinite(search.predict(["Good food", ""])).all()

    def test_any_script_and_no_text_at_all(self, metrics):
        texts = ["味は最高", "味は最悪", "味道很好", "味道很差", "great", "awful"]
        columns = metrics.set_params(cv=2).fit_transform(texts, [5, 1, 5, 1, 5, 1])
        assert np.isfinite(columns).all()
        assert metrics.transform([]).shape == (0, columns.shape[1])


class TestLabels:
    def test_an_order_counts_as_numbers(self, metrics, texts, stars):
        expected = metrics.fit_transform(texts, stars)
        names = np.array(["awful", "bad", "so-so", "good", "superb"])
        for labels in (
            [str(star) for star in stars],
            np.array(stars, dtype=object),
            np.array([f"{star}.0" for star in stars]),
            pd.Series([str(star) for star in stars], index=[7] * len(stars)),
            pd.Series(stars, dtype="Int64"),
            pd.Categorical(stars),
            pd.Categorical(names[np.array(stars) - 1], categories=names, ordered=True),
            np.array(stars, dtype=np.uint8),
        ):
            np.testing.assert_array_equal(clone(metrics).fit_transform(texts, labels), expected)

    def test_a_column_is_ravelled_as_scikit_learn_does(self, metrics, texts, stars):
        expected = metrics.fit_transform(texts, stars)
        for column in (np.array(stars)[:, None], pd.DataFrame({"stars": stars}), [[str(star)] for star in stars]):
            with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected"):
                np.testing.assert_array_equal(clone(metrics).fit_transform(texts, column), expected)

    def test_a_far_number_is_told_and_a_rare_star_is_not(self, texts):
        texts, prices = texts * 4, np.random.default_rng(0).normal(150, 20, 48)
        with pytest.warns(UserWarning, match="A row with the target 10000 makes 98% of .* 48 rows") as told:
            TMetrics().fit(texts, np.append(prices[:-1], 1e4))
        assert told[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TMetrics().fit(texts, prices)
            TMetrics().fit(texts, [1] + [5] * 47)

    def test_true_and_false_are_one_and_zero(self, metrics, texts, stars):
        good = np.array(stars) > 3
        expected = metrics.fit_transform(texts, good.astype(int))
        np.testing.assert_array_equal(clone(metrics).fit_transform(texts, good), expected)


class TestErrors:
    @pytest.mark.parametrize("method", ["fit", "fit_transform"])
    @pytest.mark.parametrize(
        ("texts", "y", "message"),
        [
            ("Great!", [5], "single string 'Great!': put it into a list"),
            (["a", None, "b"], [1, 2, 3], "Expected str, got NoneType .* at position 1"),
            (["a", "b", "c"], None, "requires y to be passed, but the target y is None"),
            (["a", "b", "c"], [1, 2], "inconsistent numbers of samples"),
            (["a", "b", "c"], [1, np.nan, 2], "y contains NaN"),
            (["a", "b", "c"], [[1, 1], [2, 2], [3, 3]], r"must be one column, got shape \(3, 2\)"),
            (["a", "b", "c"], [1, np.inf, 2], "y contains infinity"),
            (["a", "b", "c"], [1, None, 2], "y contains NaN"),
            (
                ["a", "b", "c"],
                [1e200, -1e200, 0],
                "The target y holds values whose squares overflow: scale it down",
            ),
            (
                ["a", "b", "c"],
                [1e-200, 3e-200, 2e-200],
                "The target y varies so little that its squares",
            ),
            (["a", "b", "c"], [4, 4, 4], r"The target y is constant \(4\)"),
        ],
    )
    def test_wrong_texts_and_targets(self, metrics, method, texts, y, message):
        with pytest.raises(ValueError, match=message):
            getattr(metrics, method)(texts, y)

    @pytest.mark.parametrize(
        ("y", "got"),
        [
            (["good", "bad", "bad"], "'good' at position 0"),
            (["1", "2 stars", "3"], "'2 stars' at position 1"),
            (pd.Categorical(["good", "bad", "bad"]), "'bad' at position 0"),
            (np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="M8[D]"), "2020"),
            ([b"x", b"y", b"z"], "b'x' at position 0"),
        ],
    )
    def test_labels_without_an_order(self, y, got):
        message = f"^TMetrics needs numbers as target y, got .*{got}.*: give the stars"
        with pytest.raises(ValueError, match=message) as error:
            TMetrics(cv=2).fit(["a", "b", "c"], y)
        assert "\n" not in str(error.value)

    def test_fewer_texts_than_folds(self, metrics):
        with pytest.raises(ValueError, match="Got cv=3 folds but only 2 texts: give more texts or a smaller cv"):
            metrics.fit_transform(["good", "bad"], [5, 1])

    def test_a_single_fold(self, metrics):
        with pytest.raises(ValueError, match=r"'cv' parameter of \w+ must be an int in the range \[2, inf\)"):
            metrics.set_params(cv=1).fit(["good", "bad"], [5, 1])
