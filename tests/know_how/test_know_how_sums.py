"""Know-how: sums of reviews in a file, what they leave out, what they add up to, and what reads them."""

import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from pipeline import load_sample
from pipeline.features import SentenceMetrics
from pipeline.features.word_sums import WordSums
from pipeline.know_how import KnowHow, load_know_how, make_know_how
from pipeline.know_how.know_how import WORD_FEATURES
from pipeline.know_how.sums_file import read_sums, write_sums
from pipeline.scale import Scale
from pipeline.shipped import SAMPLE_KNOW_HOW
from pipeline.taguchi import TMethodRegressor, UnitSpaceClassifierCV

REVIEWS = load_sample()
FEW = REVIEWS[::6].reset_index(drop=True)
PLAIN = ["Rude staff, cold food. Never again.", "It was okay, nothing special.", "Great food, wonderful people!"]
ORIGIN = {"origin": "a part of the sample", "licence": "BSD-3-Clause"}


@pytest.fixture(scope="module")
def few() -> KnowHow:
    """Know-how of 100 reviews, at least 16 of each star."""
    return make_know_how(FEW["text"], FEW["stars"], **ORIGIN)


@pytest.fixture
def saved(few: KnowHow, tmp_path: Path) -> Path:
    few.save(path := tmp_path / "few.safetensors")
    return path


def assert_close(a: KnowHow, b: KnowHow, rtol: float = 0) -> None:
    assert (a.about, a.names, list(a.words)) == (b.about, b.names, list(b.words))
    assert_words_close(a.words, b.words, rtol)
    for name, array in a.columns.to_arrays().items():
        np.testing.assert_allclose(array, b.columns.to_arrays()[name], rtol=rtol, atol=rtol * np.abs(array).max())


def assert_words_close(a: dict[str, WordSums], b: dict[str, WordSums], rtol: float) -> None:
    for name, sums in a.items():
        assert (sums.items, sums.range) == (b[name].items, b[name].range)
        for field in ("n", "mean", "squares", "df", "L"):
            got, expected = getattr(b[name], field), getattr(sums, field)
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


# The file -------------------------------------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_saved_to_the_last_bit(few: KnowHow, saved: Path) -> None:
    assert_close(load_know_how(saved), few)
    assert_close(load_know_how(str(saved)), few)


def test_equal_know_how_makes_equal_files(few: KnowHow, saved: Path, tmp_path: Path) -> None:
    make_know_how(FEW["text"].tolist(), FEW["stars"].tolist(), **ORIGIN).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_the_shipped_file_is_that_of_the_sample() -> None:
    shipped = load_know_how("sample")
    about = {"origin": shipped.about.origin, "licence": "BSD-3-Clause", "min_texts": 2}
    made = make_know_how(REVIEWS["text"], REVIEWS["stars"], **about)
    assert_close(replace(made, about=shipped.about), shipped, rtol=1e-9)
    assert (shipped.about.n_texts, shipped.about.min_texts, shipped.about.scale) == (600, 2, "1..5")
    assert SAMPLE_KNOW_HOW.stat().st_size < 1e6


def test_no_name_and_no_rare_word_is_in_the_file(tmp_path: Path) -> None:
    texts = FEW["text"].tolist()
    # A name in four reviews, one in five, and a phrase of common words.
    for i in range(4):
        texts[i] += " Ask for Zephyrinella."
    for i in range(5):
        texts[i] += " Ask for Quillonby."
    texts[7] += " the rude great"
    make_know_how(texts, FEW["stars"], **ORIGIN).save(tmp_path / "texts")
    written = (tmp_path / "texts").read_bytes().lower()
    assert b"quillonby" in written
    assert b"zephyrinella" not in written
    assert b"rude great" not in written
    for review in FEW["text"]:
        assert review[:30].lower().encode() not in written


def test_words_in_the_file_are_in_as_many_texts_as_it_says(few: KnowHow) -> None:
    for sums in few.words.values():
        assert sums.df.min() >= few.about.min_texts == 5


def test_a_star_with_few_reviews_is_refused() -> None:
    rare = FEW.groupby("stars").head(3)
    with pytest.raises(
        ValueError, match=r"^Fewer reviews of a star than min_texts=5 \(3 of 1, .*\): .* lower min_texts"
    ):
        make_know_how(rare["text"], rare["stars"], origin="x")
    assert make_know_how(rare["text"], rare["stars"], origin="x", min_texts=3).columns.weight.tolist() == [3] * 5


@pytest.mark.parametrize(
    ("texts", "stars", "options", "message"),
    [
        ("one text", [1], {}, "Expected a sequence of texts, got the single string"),
        (["good"] * 10, [1, 2] * 5, {"min_texts": 0}, "min_texts must be a whole number of 1 or more, got 0"),
        (["good"] * 10, [1, 6] * 5, {}, "stars holds 6 at position 1"),
        (["good"] * 10, [1, 2], {}, "inconsistent numbers of samples"),
        (["good"] * 10, [3] * 10, {}, "constant"),
        (["good"] * 10, [1, 2] * 5, {"min_texts": 2.5}, "min_texts must be a whole number of 1 or more, got 2.5"),
        (["good"] * 10, [1, 2] * 5, {"origin": None}, "origin must be a text, got None"),
        (["good"] * 10, [1, 2] * 5, {"scale": "2..5"}, "no value of the scale 2 to 5"),
        (["good", "bad"], [1, 5], {"min_texts": 1}, "Know-how is the sum of 5 reviews or more, got 2"),
        ([], [], {}, "Know-how is the sum of 5 reviews or more, got 0"),
        (["!"] * 10, [1, 2] * 5, {}, "No word occurs in min_df=5"),
    ],
)
def test_reviews_that_teach_nothing_are_refused(texts: Any, stars: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_know_how(texts, stars, **{"origin": "x", **options})


# What is no such file -------------------------------------------------------------------------------------------------


def lines_of(path: Path) -> str:
    with pytest.raises(ValueError, match=path.name) as refused:
        load_know_how(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_is_no_file_of_know_how_is_refused_in_one_line(few: KnowHow, saved: Path, tmp_path: Path) -> None:
    other, content = tmp_path / "other", saved.read_bytes()
    assert "other is missing" in lines_of(other)
    assert "is a directory" in lines_of(tmp_path)
    for damaged in (b"", b"PAR1", content[:-1], content[: len(content) // 2], content + b"\0", b"\xff" * 64):
        other.write_bytes(damaged)
        assert "cannot be read as know-how" in lines_of(other)
    other.write_bytes(pickle.dumps(few))
    assert "cannot be read as know-how" in lines_of(other)
    save_file({"weights": np.ones(3)}, other)
    assert "it holds other arrays" in lines_of(other)
    for header in ("[" * 100_000, "[]", '{"format": 2}', '{"format": 1}', "no JSON", '{"format": ' + "9" * 5000 + "}"):
        save_file({"weights": np.ones(3)}, other, {"know_how": header})
        assert "cannot be read as know-how" in lines_of(other)
    save_file({"weights": np.ones(3, dtype=np.float16)}, other, {"know_how": '{"format": 1}'})
    assert "'weights' holds neither float64 nor bytes" in lines_of(other)


def changed(arrays: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return arrays | {name: value} if value is not None else {key: a for key, a in arrays.items() if key != name}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sentence_metrics.df", lambda a: None, "'df' is missing"),
        ("sentence_metrics.df", lambda a: a[:-1], "df must have the shape"),
        ("sentence_metrics.df", lambda a: a + 1000, "df must be above 0 and not above n=100"),
        ("sentence_metrics.df", lambda a: 0 * a, "df must be above 0"),
        ("sentence_metrics.n", lambda a: a * np.nan, "n must be finite"),
        ("sentence_metrics.L", lambda a: a[:, :3], "L must have the shape"),
        ("sentence_metrics.L", lambda a: np.where(a == a.max(), np.inf, a), "L must be finite"),
        ("sentence_metrics.squares", lambda a: -a, "squares must not be below 0"),
        ("sentence_metrics.squares", lambda a: 20 * a, "squares must be sums of distances of at most 4"),
        ("sentence_metrics.mean", lambda a: a + 4, "mean must be sums of distances"),
        ("sentence_metrics.L", lambda a: 1e300 * a, "L must be sums of distances"),
        ("sentence_metrics.items", lambda a: a[::-1].copy(), "items must be words in ascending order"),
        ("sentence_metrics.items", lambda a: a[1:], "df must have the shape|ascending"),
        ("sentence_metrics.items", lambda a: np.full_like(a, 255), "utf-8"),
        ("sentence_metrics.items", lambda a: a.astype(float), "items must be a row of bytes"),
        ("sentence_metrics.items", lambda a: a[:0], "items must be words"),
        ("columns.gram", lambda a: a + np.triu(np.ones(a.shape[1:]), 1) * a.max(), "gram must be symmetric"),
        ("columns.gram", lambda a: a * np.nan, "gram must be finite"),
        ("columns.x_mean", lambda a: a[:, :-1], "gram must have the shape"),
        ("columns.classes", lambda a: a[::-1].copy(), "classes must be different and in ascending order"),
        ("columns.classes", lambda a: a + 1, "classes holds 6 at position 4"),
        ("columns.weight", lambda a: 0 * a, "weight must be above 0"),
    ],
)
def test_arrays_that_cannot_be_sums_are_refused(
    saved: Path, tmp_path: Path, name: str, change: Any, message: str
) -> None:
    header, arrays = read_sums(saved)
    write_sums(tmp_path / "made", changed(arrays, name, change(arrays[name])), header)
    with pytest.raises(ValueError, match=rf"made is no know-how of this version \(.*({message})"):
        load_know_how(tmp_path / "made")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"about": None}, "about must hold origin"),
        ({"about": {"origin": 1}}, "about must hold origin"),
        ({"columns": ["text_stats: n_chars"]}, "has made other columns"),
        ({"columns": None}, "has made other columns"),
        ({"columns": None, "version": "\x1b[2J"}, r"version '\\x1b\[2J' has made other columns"),
        ({"scale": "1..4"}, "classes holds 5 at position 4"),
        ({"scale": "five"}, "'five' is no scale"),
        ({"n_texts": 0}, "n_texts and min_texts must be 1 or more"),
        ({"n_texts": True}, "about must hold origin"),
        ({"origin": None}, "about must hold origin"),
    ],
)
def test_headers_that_cannot_be_true_are_refused(
    saved: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    header, arrays = read_sums(saved)
    about = {key: value for key, value in change.items() if key in header["about"]}
    header = header | {"about": header["about"] | about} | {k: v for k, v in change.items() if k not in about}
    write_sums(tmp_path / "made", arrays, header)
    with pytest.raises(ValueError, match=message):
        load_know_how(tmp_path / "made")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_a_file_with_changed_bytes_is_what_it_was_or_refused(few: KnowHow, saved: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    # Half of the changes hit the header.
    places = st.integers(0, 7000) | st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4), label="places"):
        content[place] = data.draw(st.integers(0, 255), label="byte")
    kept = data.draw(st.none() | st.integers(0, len(content)), label="length")
    damaged = saved.with_name("damaged")
    damaged.write_bytes(content[:kept])
    try:
        loaded: KnowHow | str = load_know_how(damaged)
    except ValueError as error:
        loaded = str(error)
    if isinstance(loaded, str):
        assert "damaged" in loaded
        assert "\n" not in loaded
    else:
        assert_close(loaded, few)


# Sums add up ----------------------------------------------------------------------------------------------------------


def test_know_how_of_two_halves_adds_up_to_that_of_all() -> None:
    every = {"min_texts": 1, "licence": "free"}
    halves = [FEW[FEW.index % 2 == half] for half in (0, 1)]
    parts = [make_know_how(h["text"], h["stars"], origin=f"half {i}", **every) for i, h in enumerate(halves)]
    total, all_at_once = parts[0] + parts[1], make_know_how(FEW["text"], FEW["stars"], origin="all", **every)
    assert_words_close(all_at_once.words, total.words, 1e-9)
    assert total.about == replace(all_at_once.about, origin="half 0; half 1")
    # The columns of words are made out of fold of each half. Those of the text statistics learn nothing.
    n = sum(name.startswith("text_stats") for name in total.names)
    for name in ("weight", "means", "grams"):
        got, expected = getattr(total.columns, name), getattr(all_at_once.columns, name)
        some = (slice(None), *[slice(n)] * (got.ndim - 1))
        np.testing.assert_allclose(got[some], expected[some], rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_the_same_origin_is_named_once(few: KnowHow) -> None:
    other = replace(few, about=replace(few.about, origin="shop", licence=""))
    assert (sum([few, other, few])).about == replace(
        few.about, origin="a part of the sample; shop", n_texts=3 * few.about.n_texts
    )
    assert few.__add__("text") is NotImplemented  # type: ignore[arg-type]


def test_scales_do_not_mix(few: KnowHow) -> None:
    other = make_know_how(FEW["text"], FEW["stars"], **ORIGIN, scale=Scale(0, 10))
    with pytest.raises(ValueError, match=r"must be of one scale, got 1\.\.5 and 0\.\.10"):
        few + other


def test_steps_of_half_a_star_are_kept(tmp_path: Path) -> None:
    scale, stars = Scale(0, 2, 0.5), (FEW["stars"] - 1) / 2
    make_know_how(FEW["text"], stars, **ORIGIN, scale=scale).save(tmp_path / "half")
    loaded = load_know_how(tmp_path / "half")
    assert loaded.scale == scale
    assert loaded.columns.classes.tolist() == [0, 0.5, 1, 1.5, 2]
    # Unit spaces take whole stars only.
    for model in (loaded.reader(), loaded.pipeline().fit(FEW["text"][:1], stars[:1])):
        assert [(name, type(each)) for name, each in model["model"].estimators] == [("Ta", TMethodRegressor)]
        assert [type(each) for each in model["model"].estimators_] == [TMethodRegressor]
        columns = model["features"].transform(PLAIN)
        np.testing.assert_array_equal(model.predict(PLAIN), model["model"].estimators_[0].predict(columns))
        rude, _, kind = model.predict(PLAIN)
        assert 0 <= rude < kind <= 2


def test_whole_numbers_in_steps_are_read_by_both() -> None:
    tens = make_know_how(FEW["text"], 2 * FEW["stars"], **ORIGIN, scale=Scale(2, 10, 2)).reader()
    assert [name for name, _ in tens["model"].estimators] == ["Ta", "unit spaces"]
    low, middle, high = tens.predict(PLAIN)
    assert 2 <= low < middle < high <= 10


# What reads it --------------------------------------------------------------------------------------------------------


def test_the_sample_reads_plain_reviews_without_a_training_review() -> None:
    reader = load_know_how("sample").reader()
    check_is_fitted(reader)
    low, middle, high = reader.predict(PLAIN)
    assert 1 <= low < 2 < middle < 4 < high <= 5
    again = pickle.loads(pickle.dumps(reader))
    assert again.predict(PLAIN).tolist() == [low, middle, high]


def test_the_reader_is_the_fit_on_the_reviews_where_no_word_is_left_out() -> None:
    know_how = make_know_how(FEW["text"], FEW["stars"], origin="x", min_texts=1)
    reader = know_how.reader()
    # Sums alone cannot try shrinkages: unit spaces take the largest.
    largest = max(UnitSpaceClassifierCV().shrinkages)
    assert reader["model"].named_estimators_["unit spaces"].classifier_.shrinkage_ == largest
    fitted = clone(reader).set_params(**{"model__unit spaces__classifier__shrinkages": [largest]})
    fitted.fit(FEW["text"], FEW["stars"])
    np.testing.assert_allclose(reader.predict(PLAIN), fitted.predict(PLAIN), rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_a_few_reviews_are_enough_for_a_fit(few: KnowHow, n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = few.pipeline().fit(FEW["text"][:n], FEW["stars"][:n])
    assert model.predict(PLAIN).shape == (3,)
    assert ((model.predict(PLAIN) >= 1) & (model.predict(PLAIN) <= 5)).all()


def test_a_fit_is_that_of_the_sums_of_both(few: KnowHow) -> None:
    mine, rest = FEW[::10], REVIEWS[3::20]
    model = few.pipeline(rows=30).fit(mine["text"], mine["stars"])
    words = model["features"].named_transformers["sentence_metrics"]
    own = SentenceMetrics(target_range=(1, 5))
    own.fit(mine["text"], mine["stars"])
    assert_words_close({"": words.sums_}, {"": few.words["sentence_metrics"] + own.sums_}, 1e-12)
    t_method, spaces = model["model"].estimators_
    assert t_method.n_unit_space_ == pytest.approx(30 + len(mine))
    known, here = (np.bincount(each["stars"], minlength=6)[1:] for each in (FEW, mine))
    share = (30 * known / len(FEW) + here) / (30 + len(mine))
    np.testing.assert_allclose(spaces.classifier_.class_prior_, share, rtol=1e-12)
    heavy = few.pipeline(rows=3000).fit(mine["text"], mine["stars"]).predict(rest["text"])
    light = few.pipeline(rows=3).fit(mine["text"], mine["stars"]).predict(rest["text"])
    assert np.abs(heavy - light).max() > 0.1


def test_items_add_up_to_what_is_predicted(few: KnowHow) -> None:
    halves = make_know_how(FEW["text"], FEW["stars"] / 2, **ORIGIN, scale=Scale(0.5, 2.5, 0.5))
    texts = [*REVIEWS["text"][1:60:6], *PLAIN, "", "GREAT!!! " * 50]
    fitted = few.pipeline().fit(FEW["text"][::20], FEW["stars"][::20])
    for model in (fitted, few.reader(), halves.reader()):
        parts = model["model"].contributions(model["features"].transform(texts))
        np.testing.assert_allclose(parts.total, model.predict(texts), rtol=0, atol=1e-9)
        assert parts.items.shape == (len(texts), len(few.names))


def test_the_pipeline_can_be_cloned_and_kept(few: KnowHow, tmp_path: Path) -> None:
    pipeline = few.pipeline()
    with pytest.raises(NotFittedError):
        check_is_fitted(pipeline)
    text, star = FEW["text"][:5], FEW["stars"][:5]
    expected = pipeline.fit(text, star).predict(PLAIN)
    for other in (clone(pipeline).fit(text, star), pickle.loads(pickle.dumps(pipeline))):
        np.testing.assert_array_equal(other.predict(PLAIN), expected)
    for model in (pipeline, few.reader()):
        skops.io.dump(model, tmp_path / "model")
        types = skops.io.get_untrusted_types(file=tmp_path / "model")
        assert all(name.startswith(("pipeline.", "sklearn.")) for name in types)
        kept = skops.io.load(tmp_path / "model", trusted=types)
        np.testing.assert_array_equal(kept.predict(PLAIN), model.predict(PLAIN))


def test_a_reader_is_made_of_fitted_copies(few: KnowHow) -> None:
    model = few.reader()["model"]
    assert list(model.named_estimators_) == ["Ta", "unit spaces"]
    assert list(model.named_estimators_.values()) == model.estimators_
    for _, template in model.estimators:
        with pytest.raises(NotFittedError):
            check_is_fitted(template)


def test_names_are_those_of_the_columns(few: KnowHow) -> None:
    names = few.pipeline()["features"].fit(FEW["text"], FEW["stars"]).get_feature_names_out()
    assert [name.replace("__", ": ", 1) for name in names] == list(few.names)
    assert few.columns.n_items == len(few.names)
    assert list(few.words) == list(WORD_FEATURES)
    assert repr(few) == "KnowHow(origin='a part of the sample', n_texts=100, scale='1..5')"
