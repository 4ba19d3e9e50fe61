import pickle
import unicodedata

import numpy as np
import pytest
from sklearn.base import clone

from pipeline.experiment.models import _TAGUCHI_FAMILY, BASELINES, MODELS
from pipeline.text import words


@pytest.fixture
def table():
    """Three items that grow or shrink with the stars."""
    rng = np.random.default_rng(0)
    y = np.tile([1, 2, 3, 4, 5], 16)
    return np.outer(y, [1.0, -1.0, 0.5]) + rng.normal(scale=0.8, size=(80, 3)), y


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_and_survives_clone_and_pickle(name, table):
    X, y = table
    model = MODELS[name]().fit(X, y)
    predictions = model.predict(X)
    assert predictions.shape == (80,)
    assert np.corrcoef(predictions, y)[0, 1] > 0.9
    np.testing.assert_allclose(clone(model).fit(X, y).predict(X), predictions)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), predictions)


@pytest.mark.parametrize("name", [*MODELS, *BASELINES])
def test_every_call_makes_an_estimator_of_its_own(name):
    make = {**MODELS, **BASELINES}[name]
    assert make() is not make()
    assert repr(make()) == repr(make())


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_reads_raw_texts(name, texts, stars):
    predictions = BASELINES[name]().fit(texts, stars).predict([*texts, ""])
    assert predictions.shape == (13,)
    assert np.isfinite(predictions).all()


def test_the_two_t_methods_differ_in_their_unit_space(table):
    X, y = table
    t1, ta = MODELS["T(1)"]().fit(X, y), MODELS["Ta"]().fit(X, y)
    np.testing.assert_allclose(t1.center_, X[y == 3].mean(axis=0))
    np.testing.assert_allclose(ta.center_, X.mean(axis=0))


def test_the_baseline_mean_predicts_the_training_mean(texts, stars):
    assert BASELINES["mean"]().fit(texts, stars).predict(["anything"]) == pytest.approx([np.mean(stars)])


def test_tfidf_learns_words(texts, stars):
    model = BASELINES["TF-IDF + Ridge"]().fit(texts, stars)
    assert model.predict(["good service"])[0] != pytest.approx(model.predict(["the waiter was rude"])[0])


@pytest.mark.parametrize(
    ("wrong", "message"), [("one text", "put it into a list"), (["text", None], "Expected str, got NoneType")]
)
def test_tfidf_refuses_what_is_no_sequence_of_texts(wrong, message):
    with pytest.raises(ValueError, match=message):
        BASELINES["TF-IDF + Ridge"]().fit(wrong, [1, 5])


@pytest.mark.parametrize(
    "texts",
    [
        ["とても美味しい", "最悪でした", "普通", "接客が良い", "高すぎる"],
        ["Great", "Bad", "Fine", "Lovely", "Rude"],
        ["😀", "😡", "!", "?", "…"],
    ],
    ids=["Japanese", "one word", "no word"],
)
def test_the_baselines_take_what_reviews_there_are(texts):
    for name, make in BASELINES.items():
        has_items = any(len(words(text)) >= (2 if "of pairs" in name else 1) for text in texts)
        if name.startswith("TF-IDF") and not has_items:
            with pytest.raises(ValueError, match="empty vocabulary"):
                make().fit(texts, [5, 1, 3, 4, 2])
            continue
        assert np.isfinite(make().fit(texts, [5, 1, 3, 4, 2]).predict(texts)).all()


def test_tfidf_reads_decomposed_texts_and_any_apostrophe_alike(texts, stars):
    given = [*texts, "Crème brûlée, İstanbul", "I don't like it"]
    typed = [unicodedata.normalize("NFD", text).replace("'", "´") for text in given]
    model = BASELINES["TF-IDF + Ridge"]().fit(given, [*stars, 5, 1])
    assert typed != given
    assert model.predict(typed).tolist() == model.predict(given).tolist()


@pytest.mark.parametrize("name", _TAGUCHI_FAMILY)
def test_no_item_carries_a_model_of_taguchi_away(name, table):
    X, y = table
    model = MODELS[name]().fit(X, y)
    far, farther = (model.predict(X[:9] * size) for size in (1e6, 1e9))
    np.testing.assert_allclose(far, farther)
    assert np.abs(far).max() < 30
