"""A model that stays within the scale and says the training mean where it knows nothing."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.evaluation import ExpectedStarRegressor
from pipeline.experiment.bounded import BoundedRegressor, known_words
from pipeline.experiment.saved import load, save
from pipeline.features import TextStats
from pipeline.scale import FIVE_STARS, Scale
from pipeline.text import words


class Lengths(RegressorMixin, BaseEstimator):
    """Predicts the number of characters, with a column's shape."""

    def fit(self, X: Any, y: Any) -> "Lengths":
        self.n_texts_ = len(X)
        return self

    def predict(self, X: Any) -> Any:
        return np.array([[float(len(text))] for text in X])


TEXTS = ["good food", "bad", "so so place", "Schön, aber teuer"]
STARS = [5, 1, 2, 4]
UNKNOWN = ["", " \n\t", "😀", "味は最高", "!!!", "…", "xyzzy", "\u200b", "GOODFOOD"]


@pytest.fixture
def model() -> BoundedRegressor:
    return BoundedRegressor(make_pipeline(TextStats(), LinearRegression())).fit(TEXTS, STARS)


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_text_without_a_known_word_gets_the_mean(model: BoundedRegressor, text: str) -> None:
    assert model.predict([text, "good"])[0] == np.mean(STARS)
    assert model.predict([text])[0] == np.mean(STARS)


@pytest.mark.parametrize("text", ["GOOD", "a bad, bad thing", "schön", "SCHÖN!", "xyzzy so"])
def test_one_known_word_is_enough_for_the_model_to_answer(model: BoundedRegressor, text: str) -> None:
    expected = np.clip(model.estimator_.predict([text]), 1, 5)
    np.testing.assert_array_equal(model.predict(["", text]), [np.mean(STARS), expected[0]])


@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from(["1..5", "0..10", "1..5 step 0.5", "-1..1"]))
def test_every_answer_is_on_the_scale_and_each_text_has_its_own(texts: list[str], scale: str) -> None:
    written = Scale.parse(scale)
    model = BoundedRegressor(Lengths(), scale).fit(TEXTS, [written.low, written.high, written.high, written.low])
    together = model.predict(texts)
    assert ((together >= written.low) & (together <= written.high)).all()
    np.testing.assert_array_equal(together, [model.predict([text])[0] for text in texts])
    known = set().union(*(words(text.lower()) for text in TEXTS))
    for text, star in zip(texts, together, strict=True):
        expected = written.clip(len(text)) if known & set(words(text.lower())) else model.mean_
        assert star == expected


def test_words_of_the_training_texts_are_all_known() -> None:
    every = [word for text in TEXTS for word in words(text.lower())]
    assert known_words(TEXTS).size == len(set(every))
    assert known_words([]).size == 0
    np.testing.assert_array_equal(known_words(TEXTS), known_words([text.upper() for text in TEXTS]))


@pytest.mark.parametrize("texts", [[], np.array([], dtype=object), pd.Series([], dtype=object)])
def test_no_text_is_refused(model: BoundedRegressor, texts: Any) -> None:
    with pytest.raises(ValueError, match=r"^Expected at least one text, got none"):
        model.predict(texts)


@pytest.mark.parametrize("texts", [[None], ["good", 5], [["good"], ["bad", "so"]], "good", [float("nan")]])
def test_what_is_no_text_is_refused(model: BoundedRegressor, texts: Any) -> None:
    with pytest.raises(ValueError, match=r"^Expected"):
        model.predict(texts)


def test_a_scale_that_is_none_is_refused_in_fit() -> None:
    with pytest.raises(ValueError, match="'five' is no scale"):
        BoundedRegressor(DummyRegressor(), "five").fit(TEXTS, STARS)


def test_it_is_cloned_pickled_and_saved_without_running_code(model: BoundedRegressor, tmp_path: Path) -> None:
    texts = [*TEXTS, *UNKNOWN]
    unfitted = clone(model)
    assert not hasattr(unfitted, "mean_")
    save(tmp_path / "model.skops", model)
    for copy in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skops", "score")[0]):
        np.testing.assert_array_equal(copy.predict(texts), model.predict(texts))
    np.testing.assert_array_equal(unfitted.fit(TEXTS, STARS).predict(texts), model.predict(texts))


def test_around_a_fitted_model_it_is_as_if_it_had_fitted_it(model: BoundedRegressor) -> None:
    inner = make_pipeline(TextStats(), LinearRegression()).fit(TEXTS, STARS)
    around = BoundedRegressor.of_fitted(inner, FIVE_STARS, float(np.mean(STARS)), known_words(TEXTS))
    np.testing.assert_array_equal(around.predict([*TEXTS, *UNKNOWN]), model.predict([*TEXTS, *UNKNOWN]))


def test_a_text_is_read_without_what_an_export_left_in_it(model: BoundedRegressor) -> None:
    escaped, plain = "Good, isn&#39;t it.<br />Not bad &quot;food&quot;", 'Good, isn\'t it.\nNot bad "food"'
    np.testing.assert_array_equal(model.predict([escaped]), model.predict([plain]))


def test_probabilities_are_of_the_values_of_the_scale(model: BoundedRegressor) -> None:
    assert not model.gives_probabilities
    assert model.rate(TEXTS).probabilities is None
    np.testing.assert_array_equal(model.rate(TEXTS).stars, model.predict(TEXTS))
    # A pipeline in a pipeline, half stars, and no text with 2, 3 or 4 stars.
    reader = make_pipeline(StandardScaler(), ExpectedStarRegressor(LogisticRegression()))
    halves = BoundedRegressor(make_pipeline(TextStats(), reader), "1..5 step 0.5").fit(TEXTS, [5, 1, 1.5, 4.5])
    texts = [*TEXTS, "xyzzy"]
    stars, probabilities, known = halves.rate(texts)
    np.testing.assert_allclose(stars, halves.predict(texts))
    assert known.tolist() == [True] * 4 + [False]
    assert probabilities is not None
    assert np.isnan(probabilities[4]).all()
    np.testing.assert_allclose(probabilities[:4] @ Scale.parse(halves.scale).values, stars[:4])
    np.testing.assert_array_equal(probabilities[:4, 2:7], 0)
    assert np.isnan(halves.rate(["?"]).probabilities).all()
