"""Everything that is fitted is fitted inside the draw: a planted leak is caught, and the real features have none."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import TargetEncoder

from pipeline.encoder import load_encoder, record
from pipeline.errors import PipelineError
from pipeline.experiment.fitting import Fitted, Material, fit_models, one_thread
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import make_model
from pipeline.experiment.transformers import learns, pools_tokens
from pipeline.features import AttentionPooling, TextStats, TMetrics

WORDS = ["food", "service", "good", "bad", "never", "the", "was", "and", "not", "a"]
N, N_TRAIN = 60, 40
ROWS = np.arange(0, N_TRAIN, 2)


def make_reviews(seed: int = 0, words: list[str] = WORDS) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    stars = np.tile([1, 2, 3, 4, 5], N // 5)
    texts = [
        " ".join([*rng.choice(words, 6), *["good"] * rng.integers(0, star), *["bad"] * rng.integers(0, 6 - star)])
        for star in stars
    ]
    return np.array(texts, dtype=object), stars


Maker = Callable[[], Any]


def make_material(make: Maker, texts: npt.NDArray[Any], stars: npt.NDArray[Any], directory: Path) -> Material:
    """What the features stage would leave of one feature, called "part"."""
    is_train = np.arange(N) < N_TRAIN
    made = make()
    tokens = {}
    if pools_tokens(made):
        path = directory / str(len(list(directory.iterdir())))
        tokens["part"] = record(load_encoder(made.model), texts.tolist(), made.layer, path)
    table = np.vstack(
        [made.fit_transform(texts[is_train].tolist(), stars[is_train]), made.transform(texts[~is_train].tolist())]
    )
    makers = {"part": make} if learns(made) else {}
    return Material(texts, stars, is_train, {"set": ["part"]}, {"part": table}, makers, tokens)


def fit(features: str, names: list[str], train: Any, X_test: Any) -> list[Any]:
    models = {name: make_model(Line(features, name)) for name in names}
    return list(fit_models(models, train, X_test, features))


def predictions(material: Material, features: str = "set", model: str = "Ridge") -> npt.NDArray[np.float64]:
    train, test = material.columns(features, ROWS)
    (fitted,) = fit(features, [model], (train, material.stars[material.is_train][ROWS]), test)
    assert isinstance(fitted, Fitted)
    return fitted.predictions


def leaks(make: Maker, directory: Path, features: str = "set", model: str = "Ridge") -> bool:
    """Whether predictions depend on anything but the draw's reviews and the text that is predicted.

    All other stars are turned round, the texts of all training reviews outside the draw, and of the second half of
    the held-out ones, are replaced: nothing may change for the first half.
    """
    texts, stars = make_reviews()
    drawn = np.isin(np.arange(N), ROWS)
    kept = drawn | ((np.arange(N) >= N_TRAIN) & (np.arange(N) < 50))
    other_texts, other_stars = (
        np.where(kept, texts, make_reviews(1, ["patio", "again", "waiter"])[0]),
        np.where(drawn, stars, 6 - stars),
    )
    before, after = (
        predictions(make_material(make, each, stars_of_draw, directory), features, model)[: 50 - N_TRAIN]
        for each, stars_of_draw in ((texts, stars), (other_texts, other_stars))
    )
    # Texts that are encoded together differ, and so does the last digit of float32.
    return bool(np.abs(before - after).max() > 1e-4)


class AllStarsKnown(TransformerMixin, BaseEstimator):
    """A planted leak: says that it learns nothing, so that its table, made with all training stars, is taken."""

    def fit(self, X: Any, y: Any) -> "AllStarsKnown":
        self.counter_ = CountVectorizer(binary=True).fit(X)
        return self

    def fit_transform(self, X: Any, y: Any) -> Any:
        self.fit(X, y)
        self.means_ = TargetEncoder(target_type="continuous").fit(self.counter_.transform(X).toarray(), y)
        return self.transform(X)

    def transform(self, X: Any) -> Any:
        return self.means_.transform(self.counter_.transform(X).toarray())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class AllTextsKnown(AllStarsKnown):
    """Another one: no star, but the words of all training reviews."""

    def fit_transform(self, X: Any, y: Any) -> Any:
        return self.fit(X, y).transform(X)

    def transform(self, X: Any) -> Any:
        counts = self.counter_.transform(X).toarray()
        return counts @ np.linspace(0, 1, counts.shape[1])[:, None]


class Honest(AllStarsKnown):
    """The same, but it says that it learns, and is fitted in every draw."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


@pytest.mark.parametrize("make", [AllStarsKnown, AllTextsKnown])
def test_a_planted_leak_is_caught(make: Maker, tmp_path: Path) -> None:
    assert leaks(make, tmp_path)


@pytest.mark.parametrize("model", ["Ta", "unit spaces", "PLS", "LogisticRegression", "HistGradientBoosting"])
def test_what_learns_is_fitted_in_every_draw(model: str, tmp_path: Path) -> None:
    assert not leaks(Honest, tmp_path, model=model)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (TextStats, {}),
        (TMetrics, {}),
        *(
            (AttentionPooling, {"weights": w})
            for w in ("uniform", "received", "idf", "sn-ratio", "t-method", "trained")
        ),
    ],
    ids=str,
)
def test_no_feature_of_the_project_leaks(kind: Any, params: dict[str, Any], tmp_path: Path, tiny_encoder: str) -> None:
    if params:
        params = {**params, "layer": 1, "model": tiny_encoder, "cv": 2}
    with one_thread():
        assert not leaks(lambda: kind(**params), tmp_path)


@pytest.mark.parametrize("model", ["mean", "TF-IDF + Ridge"])
def test_the_vocabulary_of_a_baseline_is_that_of_the_draw(model: str, tmp_path: Path) -> None:
    assert not leaks(TextStats, tmp_path, RAW_TEXT, model)


def test_with_all_training_reviews_the_columns_are_those_of_the_features_stage(tmp_path: Path) -> None:
    texts, stars = make_reviews()
    material = make_material(TMetrics, texts, stars, tmp_path)
    train, test = material.columns("set", np.arange(N_TRAIN))
    np.testing.assert_array_equal(np.vstack([train, test]), material.tables["part"])
    fewer, _ = material.columns("set", ROWS)
    assert np.abs(fewer - material.tables["part"][ROWS]).max() > 0


def test_feature_sets_share_what_one_of_them_has_learned_from_a_draw(tmp_path: Path) -> None:
    texts, stars = make_reviews()
    alone = make_material(TMetrics, texts, stars, tmp_path)
    both = replace(alone, feature_sets={"set": ["part"], "other": ["part"]}, shared=tmp_path / "shared")
    expected = alone.columns("set", ROWS)
    for features in ("set", "other"):
        for columns, of_one in zip(both.columns(features, ROWS), expected, strict=True):
            np.testing.assert_array_equal(columns, of_one)
    assert len(list((tmp_path / "shared").iterdir())) == 1
    fewer, _ = both.columns("set", ROWS[:-1])
    assert len(fewer) == len(ROWS) - 1
    assert len(list((tmp_path / "shared").iterdir())) == 2


def test_a_classifier_that_is_read_twice_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y = np.tile([1, 2, 3, 4, 5], 12)
    X = y[:, None] + rng.normal(size=(60, 3))
    names = ["LogisticRegression", "Ridge", "LogisticRegression (median star)"]
    expected, _, median = fit("set", names, (X, y), X)
    assert isinstance(expected, Fitted)
    assert isinstance(median, Fitted)
    assert median.estimator.classifier_ is expected.estimator.classifier_
    assert median.fit_seconds == expected.fit_seconds
    (alone,) = fit("set", names[2:], (X, y), X)
    assert isinstance(alone, Fitted)
    np.testing.assert_array_equal(alone.predictions, median.predictions)


def test_a_model_that_refuses_the_draw_is_an_error_that_names_it_and_the_others_go_on() -> None:
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.array([1, 1, 1, 1, 1, 5])
    refused, fitted = fit("set", ["MT per star", "Ridge"], (X, y), X)
    assert isinstance(refused, PipelineError)
    assert str(refused).startswith("MT per star on set: The unit space of star 5 has 1 training row")
    assert isinstance(fitted, Fitted)


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system does not tell peak memory")
def test_the_peak_memory_of_a_fit_is_seen() -> None:
    rng = np.random.default_rng(0)
    y = np.tile([1, 2, 3, 4, 5], 800)
    small, large = rng.normal(size=(4000, 2)), rng.normal(size=(4000, 1500))
    peaks = [fit("set", ["Ridge"], (X, y), X)[0].peak_mb for X in (small, large)]
    # Scaling alone makes a copy of 48 MB.
    assert peaks[0] < 10 < 40 < peaks[1]


def test_one_thread_is_one_thread_and_gives_the_others_back() -> None:
    import torch
    from threadpoolctl import threadpool_info, threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            limits = [each["num_threads"] for each in threadpool_info()]
            assert max(limits) == 2
            with one_thread():
                assert torch.get_num_threads() == 1
                assert {each["num_threads"] for each in threadpool_info()} == {1}
            assert torch.get_num_threads() == 2
            assert [each["num_threads"] for each in threadpool_info()] == limits
    finally:
        torch.set_num_threads(before)
