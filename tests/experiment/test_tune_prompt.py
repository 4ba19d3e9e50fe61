"""tune_prompt: on a reader of words whose best settings are known, and on a real language model."""

import re
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from tiny_gguf import CHAT, write_gguf

from pipeline import load_sample
from pipeline.evaluation import change_all, qwk, qwk_difference
from pipeline.experiment.tune_prompt import prompt_factors, tune_prompt
from pipeline.features import LocalLLM
from pipeline.scale import FIVE_STARS, Scale
from pipeline.taguchi import TMethodRegressor, output_sn_ratio

RNG = np.random.default_rng(0)
STARS = np.resize([1.0, 2, 3, 4, 5], 120)
WORDS = ["grim", "poor", "plain", "nice", "superb"]
TEXTS = [
    f"{' '.join(RNG.choice(WORDS, size=9, p=np.where(np.arange(5) == star - 1, 0.6, 0.1)))} {i}"
    for i, star in enumerate(STARS)
]
FACTORS = {"lowercase": [False, True], "n_words": [2, 50], "reading": ["expectation", "T-method"]}


class WordReader(TransformerMixin, BaseEstimator):
    """Counts the words of each star: what `LocalLLM` promises of its columns, without a model."""

    def __init__(
        self, lowercase=False, n_words=50, n_examples=0, examples="balanced", know_how=None, template="auto", scale=None
    ):
        self.lowercase = lowercase
        self.n_words = n_words
        self.n_examples = n_examples
        self.examples = examples
        self.know_how = know_how
        self.template = template
        self.scale = scale

    def fit(self, X, y=None):
        self.texts_, self.chat_ = list(X), True
        return self

    def transform(self, X):
        assert not set(X) & set(self.texts_)
        words = [(text.lower() if self.lowercase else text).split()[: self.n_words] for text in X]
        p = np.array([[each.count(word) for word in WORDS] for each in words]) + 0.1
        p /= p.sum(axis=1, keepdims=True)
        return np.column_stack([p, p @ np.arange(1.0, 6), -(p * np.log(p)).sum(axis=1)])

    def get_feature_names_out(self, input_features=None):
        return np.array([*(f"p_{star}" for star in range(1, 6)), "expected", "entropy"], dtype=object)


@pytest.fixture(scope="module")
def tuned():
    return tune_prompt(WordReader(), TEXTS[:80], STARS[:80], FACTORS, n_rated=30, array=None)


def test_the_settings_that_stand_the_noise_are_found(tuned):
    assert tuned.design.array == "L4"
    assert tuned.design.default == {"lowercase": False, "n_words": 50, "reading": "expectation"}
    assert tuned.design.optimum["lowercase"] is True
    assert tuned.design.optimum["n_words"] == 50
    assert (tuned.llm.lowercase, tuned.llm.n_words) == (True, 50)
    assert tuned.reading == tuned.design.optimum["reading"]


def test_examples_are_the_reviews_that_are_not_rated(tuned):
    assert len(tuned.llm.texts_) == 50
    assert set(tuned.llm.texts_) < set(TEXTS[:80])


def test_a_run_is_the_ratio_of_the_expectation_or_of_a_reading_that_has_not_seen_the_stars(tuned):
    rated = [text for text in TEXTS[:80] if text not in tuned.llm.texts_]
    stars = np.array([STARS[TEXTS.index(text)] for text in rated])
    noise = [None, "typos", "shouting", "truncated"]
    changed = [rated if change is None else change_all(rated, change, 0) for change in noise]
    for _, run in tuned.design.runs.iterrows():
        columns = [WordReader(run.lowercase, run.n_words).fit([]).transform(texts) for texts in changed]
        expected = output_sn_ratio([each[:, 5] for each in columns], "linear", stars).sn_ratio
        if run.reading == "expectation":
            assert run.sn_ratio == pytest.approx(expected)
        else:
            learned = TMethodRegressor("all", clip="range").fit(columns[0], stars)
            inside = output_sn_ratio([learned.predict(each) for each in columns], "linear", stars).sn_ratio
            assert run.sn_ratio != pytest.approx(inside, abs=1e-6)
            assert run.sn_ratio == pytest.approx(inside, abs=3)


def test_the_confirmation_compares_both_prompts_on_new_reviews(tuned):
    found = tuned.confirm(TEXTS[80:], STARS[80:], n_resamples=200, seed=1)
    assert found.gain.loc["gain", "confirmed"] > 1
    default = WordReader(n_words=50).fit([]).transform(TEXTS[80:])[:, 5]
    assert found.qwk_default == pytest.approx(qwk(STARS[80:], FIVE_STARS.round(default)))
    rated = [text for text in TEXTS[:80] if text not in tuned.llm.texts_]
    best = tuned.llm.transform(TEXTS[80:])[:, 5]
    if tuned.reading == "T-method":
        model = TMethodRegressor("all", clip="range")
        model.fit(tuned.llm.transform(rated), [STARS[TEXTS.index(text)] for text in rated])
        best = model.predict(tuned.llm.transform(TEXTS[80:]))
    expected = qwk_difference(STARS[80:], best, default, 200, 1)
    assert found[3:] == pytest.approx(expected)
    assert found.qwk_tuned - found.qwk_default == pytest.approx(found.qwk_difference)


def test_examples_a_star_are_so_many_whichever_way_they_are_chosen():
    factors = {"examples_a_star": [0, 2], "examples": ["nearest", "balanced"]}
    tuned = tune_prompt(WordReader(), TEXTS[:80], STARS[:80], factors, n_rated=10, noise=[None], array=None)
    fitted = tuned._ratings.fitted
    assert fitted({"examples_a_star": 2, "examples": "balanced"}).n_examples == 2
    assert fitted({"examples_a_star": 2, "examples": "nearest"}).n_examples == 10
    assert fitted({"examples_a_star": 0, "examples": "nearest"}).n_examples == 0
    nearest = tune_prompt(
        WordReader(n_examples=10, examples="nearest"), TEXTS, STARS, factors, n_rated=10, noise=[None], array=None
    )
    assert nearest.design.default == {"examples_a_star": 2, "examples": "nearest"}


def test_seven_factors_are_tried_in_sixteen_runs():
    factors = prompt_factors(WordReader(know_how="Rude is 1."))
    assert [len(levels) for levels in factors.values()] == [2] * 7
    assert factors["know_how"] == [None, "Rude is 1."]
    five, ten = (prompt_factors(WordReader(scale=scale))["know_how"] for scale in (None, Scale(1, 10)))
    assert five == [
        None,
        "5 is praise without a complaint, 4 is praise with a small complaint, 3 is as much good as bad, "
        "2 is a disappointment with something good, 1 is nothing good.",
    ]
    assert re.findall(r"\d+", ten[1]) == ["10", "7", "5", "3", "1"]
    assert "template" in factors
    del factors["order"]
    tuned = tune_prompt(WordReader(), TEXTS[:80], STARS[:80], factors, n_rated=10, noise=[None])
    assert len(tuned.design.runs) == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"factors": {"wording": [0, 1]}},
            "'wording' is no factor of a prompt: take examples_a_star, reading or",
        ),
        ({"factors": {"n_words": [5]}}, "The factor 'n_words' must have a list of 2 or 3 levels, got [5]."),
        ({"n_rated": 41}, "n_rated must be from 10 to half of the 80 reviews, got 41."),
        ({"n_rated": 9}, "n_rated must be from 10 to half of the 80 reviews, got 9."),
        (
            {"noise": [None, "mud"]},
            "noise must be of None, typos, shouting, truncated, shuffled, no_punct",
        ),
        ({"stars": np.full(80, 7.0)}, "7"),
    ],
)
def test_bad_input_is_one_line(options, message):
    given = {"stars": STARS[:80], "factors": FACTORS, "n_rated": 20, "array": None} | options
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        tune_prompt(WordReader(), TEXTS[:80], **given)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_real_model_is_tuned_by_all_factors_and_what_it_said_is_found_again(tmp_path):
    pytest.importorskip("xllamacpp", reason="the extra llm is not installed")
    reviews = load_sample().sample(70, random_state=0)
    texts, stars = reviews.text.tolist(), reviews.stars.to_numpy(dtype=float)
    model = write_gguf(tmp_path / "chatty.gguf", chat_template=CHAT)
    plain = LocalLLM(write_gguf(tmp_path / "plain.gguf"))
    assert set(prompt_factors(LocalLLM(model))) ^ set(prompt_factors(plain)) == {"template", "n_example_words"}
    llm = LocalLLM(model, n_example_words=5, cache=tmp_path / "cache")
    options = {"noise": [None], "n_rated": 10}
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # random weights know nothing
        tuned = tune_prompt(llm, texts[:60], stars[:60], **options)
        again = tune_prompt(llm, texts[:60], stars[:60], **options)
        found = tuned.confirm(texts[60:], stars[60:], n_resamples=100)
    assert tuned.design.runs.shape == (16, 9)
    assert again.design.runs.equals(tuned.design.runs)
    assert again.llm.info_.get("n_asked", 0) == 0
    assert tuned.design.default["template"] == "auto"
    assert np.isfinite(found.gain.to_numpy()).all()
    assert found.low <= found.qwk_difference <= found.high
