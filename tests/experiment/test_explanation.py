"""A prediction as a table of words and columns that sums up to it."""

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import load_sample
from pipeline.experiment.bounded import BoundedRegressor, known_words
from pipeline.experiment.explanation import explain
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import make_model
from pipeline.experiment.refits import from_raw_text
from pipeline.experiment.saved import load, save
from pipeline.features import TextStats, TMetrics
from pipeline.know_how import load_know_how
from pipeline.scale import FIVE_STARS
from pipeline.taguchi import TMethodRegressor, UnitSpaceClassifier
from pipeline.text import words

MODELS = ["T(1)", "Ta", "T(1) full clipped", "T(1) recalibrated", "T(1) selected", "Ta selected", "Tb"]
MODELS += ["unit spaces", "unit spaces (median star)", "unit spaces (unshrunk)", "Ta + unit spaces"]
SETS = {"text_stats": ["text_stats"], "t_metrics+text_stats": ["t_metrics", "text_stats"]}
# Praise and blame without end leave the scale; of some texts no word is known.
WILD = ["Awful, rude, worst, never again! " * 30, "Superb, perfect, best, great! " * 30, "EVERYTHING WAS FINE", "ok"]
UNKNOWN = ["", "味は最高", "xyzzy"]


class GoodAndBad(TransformerMixin, BaseEstimator):
    """Two sums over words, and the number of words, which is told as a column."""

    worth = {"good": (2.0, 1.0), "bad": (-1.0, 1.0), "so": (0.0, 0.0)}  # noqa: RUF012

    def fit(self, X: Any, y: Any = None) -> "GoodAndBad":
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        return np.array([[*self.column_shares(text)[2].sum(axis=0), len(words(text))] for text in X])

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        return np.array(["balance", "opinions", "length"], dtype=object)

    def column_shares(self, text: str) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
        items = [word for word in words(text) if word in self.worth]
        return items, ["balance", "opinions"], np.array([self.worth[item] for item in items]).reshape(-1, 2)

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Wrong(GoodAndBad):
    """Its columns are more than its shares."""

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        return super().transform(X) + 1


TEXTS = ["bad bad", "so bad", "so so", "so good", "good good", "bad"]
STARS = [1, 2, 3, 4, 5, 1]


@pytest.fixture(scope="module")
def reviews() -> pd.DataFrame:
    return load_sample().sample(140, random_state=0, ignore_index=True)


@pytest.fixture(scope="module")
def material(reviews: pd.DataFrame) -> dict[str, tuple[Any, npt.NDArray[np.float64]]]:
    """The two features, fitted on 100 reviews, with the columns that a model learns from."""
    made = {"text_stats": TextStats(), "t_metrics": TMetrics(target_range=(1, 5))}
    train = reviews[:100]
    return {name: (each, each.fit_transform(train["text"], train["stars"])) for name, each in made.items()}


@pytest.fixture(scope="module", params=[(features, name) for features in SETS for name in MODELS], ids=": ".join)
def model(request: pytest.FixtureRequest, reviews: pd.DataFrame, material: Any) -> BoundedRegressor:
    features, name = request.param
    train, parts = reviews[:100], SETS[features]
    estimator = make_model(Line(features, name)).fit(np.hstack([material[part][1] for part in parts]), train["stars"])
    union = from_raw_text(estimator, parts, {part: material[part][0] for part in parts})
    return BoundedRegressor.of_fitted(union, FIVE_STARS, train["stars"].mean(), known_words(train["text"]))


@pytest.mark.slow
def test_the_contributions_sum_up_to_the_predicted_star(model: BoundedRegressor, reviews: pd.DataFrame) -> None:
    texts = [*reviews["text"][100:], *WILD, *UNKNOWN, "Great food, isn&#39;t it?<br />But rude."]
    for text, star in zip(texts, model.predict(texts), strict=True):
        table = model.explain(text)
        assert table["contribution"].sum() == pytest.approx(star, abs=1e-9)
        assert list(table) == ["feature", "item", "value", "contribution"]
        assert table["item"].iloc[0] == "base"
        told = table[table["feature"] != ""]
        assert told.notna().all(axis=None)
        # Those that add most first.
        assert all(abs(a) >= abs(b) for a, b in pairwise(told["contribution"]))
        assert set(table["item"][table["feature"] == ""]) <= {"base", "median star", "limit"}


def test_the_step_to_the_median_star_is_a_row_of_its_own(reviews: pd.DataFrame) -> None:
    train, texts = reviews[:100], reviews["text"][100:110]
    expected, median = (
        make_pipeline(TextStats(), make_model(Line("", name))).fit(train["text"], train["stars"])
        for name in ("unit spaces", "unit spaces (median star)")
    )
    for text, star in zip(texts, expected.predict(texts), strict=True):
        table = explain(median, text)
        assert table["item"].iloc[-1] == "median star"
        pd.testing.assert_frame_equal(table[:-1], explain(expected, text))
        assert table["contribution"][:-1].sum() == pytest.approx(star, abs=1e-9)


def test_the_mean_of_two_estimates_is_explained_by_the_mean_of_their_tables(reviews: pd.DataFrame) -> None:
    train = reviews[:100]
    both, ta, spaces = (
        make_pipeline(TextStats(), make_model(Line("", name))).fit(train["text"], train["stars"])
        for name in ("Ta + unit spaces", "Ta", "unit spaces")
    )
    for text in reviews["text"][100:105]:
        mean, *parts = (explain(model, text).set_index("item")["contribution"] for model in (both, ta, spaces))
        # Ta is cut at its limit only in the mean.
        pd.testing.assert_series_equal(mean.drop("limit", errors="ignore"), sum(parts)[mean.index] / 2, atol=1e-9)


def test_know_how_explains_its_predictions(reviews: pd.DataFrame) -> None:
    sample = load_know_how("sample")
    fitted = sample.pipeline().fit(reviews["text"][:3], reviews["stars"][:3])
    for model in (sample.reader(), fitted):
        texts = [*reviews["text"][100:104], *WILD, *UNKNOWN]
        for text, star in zip(texts, model.predict(texts), strict=True):
            table = explain(model, text)
            assert table["contribution"].sum() == pytest.approx(star, abs=1e-9)
            told = table[table["feature"] == "sentence_metrics"].set_index("item")["value"]
            metrics = model["features"].named_transformers["sentence_metrics"]
            items, columns, _ = metrics.column_shares(text)
            # Its words in place of the columns that are sums over them, and the other columns.
            others = [name for name in metrics.get_feature_names_out() if name not in columns]
            assert sorted(told.index) == sorted([*items, *(others if items else metrics.get_feature_names_out())])
            assert (told[items] == 1).all()
            values = dict(zip(metrics.get_feature_names_out(), metrics.transform([text])[0], strict=True))
            np.testing.assert_array_equal(told[others], [values[name] for name in others])


def test_a_text_without_a_known_word_has_the_base_alone(model: BoundedRegressor) -> None:
    for text in UNKNOWN:
        table = model.explain(text)
        assert table["item"].tolist() == ["base"]
        assert table["contribution"].tolist() == [model.mean_]


def test_the_values_are_those_of_the_columns(reviews: pd.DataFrame, material: Any) -> None:
    train = reviews[:100]
    model = make_pipeline(TextStats(), TMethodRegressor("all")).fit(train["text"], train["stars"])
    text = reviews["text"][100]
    table = explain(model, text).set_index("item")
    names = TextStats().get_feature_names_out()
    np.testing.assert_array_equal(table.loc[names, "value"], TextStats().transform([text])[0])
    expected = (TextStats().transform([text])[0] - model[-1].center_) * model[-1].coef_
    np.testing.assert_allclose(table.loc[names, "contribution"], expected, atol=1e-12)
    assert table.loc["base", "contribution"] == model[-1].target_center_


def test_items_that_a_selection_dropped_are_left_out(reviews: pd.DataFrame) -> None:
    train = reviews[:100]
    model = make_pipeline(TextStats(), make_model(Line("text_stats", "Ta selected"))).fit(train["text"], train["stars"])
    table = explain(model, reviews["text"][100])
    kept = model[-1][0].get_feature_names_out(TextStats().get_feature_names_out())
    assert 0 < len(kept) < 39
    assert set(table["item"]) == {"base", *kept}


class TestWords:
    @pytest.mark.parametrize("estimator", [TMethodRegressor("all"), TMethodRegressor("all", clip=(1, 4.5))])
    def test_a_column_that_is_a_sum_over_words_is_told_as_words(self, estimator: TMethodRegressor) -> None:
        model = make_pipeline(GoodAndBad(), estimator).fit(TEXTS, STARS)
        table = explain(model, "so good good bad").set_index("item")
        assert sorted(table.loc[["good", "bad", "so"]].index) == ["bad", "good", "good", "so"]
        assert table.loc["length", "value"] == 4
        weights, center = (values[:2] for values in (model[-1].coef_, model[-1].center_))
        for word in ("good", "bad", "so"):
            # Each of the four words is measured from a fourth of what an average text has.
            expected = weights @ (GoodAndBad.worth[word] - center / 4)
            assert np.atleast_1d(table.loc[word, "contribution"]) == pytest.approx(expected)
            assert np.atleast_1d(table.loc[word, "value"]).tolist() == [1.0] * (2 if word == "good" else 1)
        assert table.loc["base", "contribution"] == model[-1].target_center_
        assert ("limit" in table.index) == (estimator.clip is not None)
        assert table["contribution"].sum() == pytest.approx(model.predict(["so good good bad"])[0], abs=1e-9)

    def test_a_text_without_a_word_keeps_the_columns(self) -> None:
        model = make_pipeline(GoodAndBad(), TMethodRegressor("all")).fit(TEXTS, STARS)
        table = explain(model, "xyzzy").set_index("item")
        assert sorted(table.index) == ["balance", "base", "length", "opinions"]
        assert table.loc["balance", "contribution"] == -model[-1].coef_[0] * model[-1].center_[0]

    def test_words_of_the_columns_that_were_selected(self) -> None:
        model = make_pipeline(GoodAndBad(), make_model(Line("", "Ta selected"))).fit(TEXTS * 3, STARS * 3)
        for text in ("so good", "bad", "xyzzy"):
            assert explain(model, text)["contribution"].sum() == pytest.approx(model.predict([text])[0], abs=1e-9)

    def test_shares_that_do_not_sum_up_are_refused(self) -> None:
        model = make_pipeline(Wrong(), TMethodRegressor("all")).fit(TEXTS, STARS)
        with pytest.raises(ValueError, match="The shares of wrong do not sum up to its column 'balance'"):
            explain(model, "so bad")


def test_what_does_not_add_up_is_refused_in_one_line(reviews: pd.DataFrame) -> None:
    train = reviews[:100]
    linear = make_pipeline(TextStats(), LinearRegression()).fit(train["text"], train["stars"])
    with pytest.raises(ValueError, match="needs a model whose items add up, a T-method or unit spaces, got LinearReg"):
        explain(linear, "good")
    with pytest.raises(ValueError, match="explain needs a pipeline from texts to a model, got LinearRegression"):
        explain(linear[-1], "good")
    with pytest.raises(ValueError, match="explain needs a pipeline from texts to a model, got Pipeline: give both"):
        explain(linear[-1:], "good")
    scaled = make_pipeline(TextStats(), StandardScaler(), TMethodRegressor()).fit(train["text"], train["stars"])
    with pytest.raises(ValueError, match="selections of their columns and a model, got StandardScaler between"):
        explain(scaled, "good")
    own = make_pipeline(TextStats(), UnitSpaceClassifier("own")).fit(train["text"], train["stars"])
    with pytest.raises(ValueError, match="got covariance='own'"):
        explain(own, "good")
    baseline = from_raw_text(make_model(Line(RAW_TEXT, "TF-IDF + Ridge")).fit(train["text"], train["stars"]), None, {})
    bounded = BoundedRegressor.of_fitted(baseline, FIVE_STARS, 3.0, known_words(train["text"]))
    with pytest.raises(ValueError, match="needs a model whose items add up"):
        bounded.explain("good")
    with pytest.raises(ValueError, match=r"^Expected"):
        bounded.explain(5)  # type: ignore[arg-type]


def test_a_saved_model_explains_alike(tmp_path: Path, reviews: pd.DataFrame) -> None:
    train = reviews[:100]
    model = BoundedRegressor(make_pipeline(TextStats(), TMethodRegressor(clip="range")))
    model.fit(train["text"], train["stars"])
    save(tmp_path / "model.skops", model)
    for copy in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skops", "score")[0]):
        for text in (*reviews["text"][100:105], *WILD, *UNKNOWN):
            pd.testing.assert_frame_equal(copy.explain(text), model.explain(text))
