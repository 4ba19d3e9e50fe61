import pickle
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from pipeline.features import TextStats

NAMES = TextStats().get_feature_names_out().tolist()

# VADER's compound is valence / sqrt(valence^2 + 15); its lexicon has good at 1.9 and bad at -2.5.
GOOD, BAD = 1.9 / (1.9**2 + 15) ** 0.5, -2.5 / (2.5**2 + 15) ** 0.5


def statistics(text, words="characters"):
    return dict(zip(NAMES, TextStats(words).transform([text])[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Nice and clean.\nReally big breakfast!\n\nGo.",
            {
                "n_chars": 42,
                "n_words": 7,
                "n_sentences": 3,
                "n_paragraphs": 3,
                "log_n_words": np.log(8),
                "mean_word_length": (4 + 3 + 5 + 6 + 3 + 9 + 2) / 7,
                "long_word_share": 1 / 7,
                "mean_sentence_words": 7 / 3,
                "sd_sentence_words": (2 / 9 * 4) ** 0.5,
                "max_sentence_words": 3,
                "first_sentence_words": 3,
                "last_sentence_words": 1,
            },
            id="lengths",
        ),
        pytest.param(
            "The food, the wine and THE view",
            {"distinct_word_share": 5 / 7, "once_only_word_share": 4 / 7, "commas_per_word": 1 / 7},
            id="vocabulary",
        ),
        pytest.param(
            "GREAT place I say",
            {"capital_share": 6 / 14, "shouted_word_share": 1 / 4},
            id="one capital letter is no shouting",
        ),
        pytest.param(
            "Paid $20 plus 15€ or £9",
            {"money_signs": 3, "digit_share": 5 / 23, "punctuation_share": 3 / 23},
            id="money",
        ),
        pytest.param("ラーメン￥900", {"money_signs": 1, "digit_share": 3 / 8}, id="full-width yen"),
        pytest.param(
            'What?! So so... fine… "ok" “yes” really!! Why?',
            {"exclamation_marks": 3, "question_marks": 2, "ellipses": 2, "quotation_marks": 4, "repeated_marks": 2},
            id="marks",
        ),
        pytest.param(
            "Sooooo gooood, hmmm, book 1000 ____ --- !!!", {"repeated_letters": 3}, id="letters three times in a row"
        ),
        pytest.param(
            "I told my wife we'd go, but you think I’m mad", {"first_person_share": 4 / 11}, id="first person"
        ),
        pytest.param("Cheap but cold, however clean, though small. BUT!", {"contrast_share": 4 / 8}, id="contrast"),
    ],
)
def test_values_counted_by_hand(text, expected):
    actual = statistics(text)
    assert {name: actual[name] for name in expected} == pytest.approx(expected)


NEGATIONS = ["not", "NOT", "no", "No", "never", "nobody", "nothing", "nor", "cannot", "without", "hardly"]
WITH_APOSTROPHE = ["don't", "don’t", "Didn't", "can't", "won’t", "isn't", "weren't", "hadn't", "ain't", "shan't"]
WITHOUT_APOSTROPHE = ["dont", "didnt", "cant", "wont", "isnt", "wasnt", "werent", "havent", "couldnt", "aint"]
NO_NEGATIONS = ["want", "went", "Wanting", "plant", "elegant", "now", "note", "know", "north", "dent", "cent", "on"]


@pytest.mark.parametrize("word", NEGATIONS + WITH_APOSTROPHE + WITHOUT_APOSTROPHE)
def test_negations_with_and_without_an_apostrophe(word):
    assert statistics(f"We {word} go")["negation_share"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("word", NO_NEGATIONS)
def test_words_that_only_look_like_negations(word):
    assert statistics(f"We {word} go")["negation_share"] == 0


def test_vader_of_the_whole_text_and_of_its_sentences():
    actual = statistics("The food was good. The room was bad. We sat at a table.")
    expected = {
        "sentiment_first_sentence": GOOD,
        "sentiment_last_sentence": 0,
        "sentiment_sentence_min": BAD,
        "sentiment_sentence_max": GOOD,
        "sentiment_sentence_mean": (GOOD + BAD) / 3,
        "sentiment_sentence_sd": ((GOOD**2 + BAD**2) / 3 - ((GOOD + BAD) / 3) ** 2) ** 0.5,
        "sentiment": -0.6 / (0.6**2 + 15) ** 0.5,
    }
    assert {name: actual[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    shares = [actual[f"sentiment_{name}"] for name in ("positive", "negative", "neutral")]
    assert sum(shares) == pytest.approx(1, abs=2e-3)
    assert min(shares) > 0


def test_one_sentence_has_no_spread():
    actual = statistics("The food was good")
    assert actual["sentiment_sentence_sd"] == 0
    same = [
        "sentiment",
        "sentiment_sentence_mean",
        "sentiment_sentence_min",
        "sentiment_first_sentence",
        "sentiment_last_sentence",
    ]
    assert [actual[name] for name in same] == pytest.approx([GOOD] * 5, abs=1e-4)


def test_there_are_many_columns_with_names_of_their_own():
    assert len(NAMES) >= 25
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.isidentifier() for name in NAMES)


def test_an_empty_text_is_all_zeros():
    assert not TextStats().transform([""]).any()


@pytest.mark.parametrize("text", ["   ", "\n\n\n", "\t \r\n"])
def test_blank_text_has_characters_and_nothing_else(text):
    assert {name for name, value in statistics(text).items() if value} == {"n_chars"}


@pytest.mark.parametrize(
    "text",
    ["", "Good", "😀👍🏽❤️ 😡", "味は最高。店員さんも親切！", "味道很好，服务太慢。", "\x00\u200d"],
    ids=["empty", "one word", "emoji", "Japanese", "Chinese", "invisible"],
)
def test_odd_texts_give_finite_values(text):
    vectors = TextStats().fit_transform([text, "an ordinary one"])
    assert vectors.shape == (2, len(NAMES))
    assert np.isfinite(vectors).all()


def test_japanese_and_chinese_count_characters_and_their_own_marks():
    japanese = statistics("安い。うまい！また行く？")
    assert (japanese["n_words"], japanese["n_sentences"]) == (9, 3)
    assert (japanese["exclamation_marks"], japanese["question_marks"], japanese["first_sentence_words"]) == (1, 1, 2)
    assert statistics("味道很好，服务太慢。")["commas_per_word"] == pytest.approx(1 / 8)


@settings(max_examples=30)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.randoms())
def test_any_texts_in_any_order_give_the_same_finite_rows(texts, random):
    order = random.sample(range(len(texts)), len(texts))
    vectors = TextStats().transform(texts)
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(TextStats().transform([texts[i] for i in order]), vectors[order])


@settings(max_examples=30)
@given(st.text(alphabet=st.sampled_from("aB c.!?,'\n1$店。"), max_size=60))
def test_shares_lie_between_zero_and_one(text):
    shares = {name: value for name, value in statistics(text).items() if name.endswith("_share")}
    assert len(shares) >= 8
    assert all(0 <= value <= 1 for value in shares.values()), shares


class TestScikitLearn:
    def test_pandas_output_has_the_names_and_the_index_of_the_given_series(self, texts):
        series = pd.Series(texts, index=[f"review-{i}" for i in range(12)])
        table = TextStats().set_output(transform="pandas").fit_transform(series)
        assert table.columns.tolist() == NAMES
        assert table.index.tolist() == series.index.tolist()
        np.testing.assert_array_equal(table.to_numpy(), TextStats().transform(texts))

    @pytest.mark.parametrize(
        "kind", [list, tuple, np.array, pd.Series, lambda texts: pd.DataFrame({"text": texts})], ids=range(5)
    )
    def test_any_sequence_of_texts_will_do_and_is_not_changed(self, kind, texts):
        given_texts = kind(texts)
        vectors = TextStats().fit_transform(given_texts)
        np.testing.assert_array_equal(vectors, TextStats().transform(texts))
        assert np.asarray(given_texts).ravel().tolist() == texts

    def test_clone_and_pickle(self, texts):
        stats = TextStats().fit(texts)
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(stats)).transform(texts), clone(stats).fit_transform(texts)
        )

    def test_in_a_pipeline(self, texts, stars):
        predictions = make_pipeline(TextStats(), Ridge()).fit(texts, stars).predict(["Great!"])
        assert np.isfinite(predictions).all()

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ("Great!", "single string 'Great!': put it into a list"),
            (["good", None], r"Expected str, got NoneType \(None\) at position 1"),
            ([1.5], r"Expected str, got float \(1.5\) at position 0"),
            ([["a", "b"], ["c", "d"]], r"one column of them, got shape \(2, 2\)"),
        ],
    )
    def test_what_is_no_sequence_of_texts_is_refused(self, wrong, message):
        for method in (TextStats().fit, TextStats().transform):
            with pytest.raises(ValueError, match=message):
                method(wrong)


def test_a_curly_apostrophe_reads_like_a_straight_one():
    curly, straight = TextStats().fit_transform(["It isn’t good, they don’t care.", "It isn't good, they don't care."])
    np.testing.assert_array_equal(curly, straight)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I don´t like it. It isn´t good.", "I don't like it. It isn't good."),
        ("I don&#39;t like it. It isn&rsquo;t good.", "I don't like it. It isn't good."),
        ("I don&#x27;t like it. It isn&#8217;t good.", "I don't like it. It isn't good."),
        ("I donʼt like it. It isnʼt good.", "I don't like it. It isn't good."),
        ("I don`t like it. It isn′t good.", "I don't like it. It isn't good."),
        ("I don＇t like it. It isn‘t good.", "I don't like it. It isn't good."),
        ("Iʼm sure weˈd go, my ´great´ wife", "I'm sure we'd go, my 'great' wife"),
        ("The “great” soup, the ‘good’ bread.", "The \"great\" soup, the 'good' bread."),
        ("The soup ❤️", "The soup ❤"),
        ("The soup ❤︎", "The soup ❤"),
        ("Good soup 👍🏽👍🏿 ☝️🏽", "Good soup 👍👍 ☝"),
        ("Bad soup 🤦🏽‍♀️ 🤷‍♂️", "Bad soup 🤦 🤷"),
        ("Un\u00adbe\u00adliev\u00adable food\u2060, \ufeffgood", "Unbelievable food, good"),
        ("Good food\0bad people\u200bthere", "Good food bad people there"),
    ],
)
def test_what_looks_alike_has_the_same_statistics(text, plain):
    assert statistics(text) == statistics(plain)


def test_a_negation_with_any_apostrophe_is_one_and_vader_reads_it():
    actual = statistics("I don´t like it. It isn´t good.")
    assert actual["negation_share"] == pytest.approx(2 / 7)
    assert actual["sentiment"] == pytest.approx(-0.5448)
    assert statistics("The soup ❤️")["sentiment"] == pytest.approx(0.6369)


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_decomposed_and_composed_text_have_the_same_statistics(text):
    assert statistics(unicodedata.normalize("NFD", text)) == statistics(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("text", ["Très bon café, crème brûlée", "すばらしいガスト。パン", "맛있어요", "Phở ngon quá"])
def test_decomposed_text_has_the_statistics_of_composed_text(text):
    assert statistics(unicodedata.normalize("NFD", text)) == statistics(text)


def test_vowel_signs_are_neither_punctuation_nor_the_end_of_a_word():
    hindi = statistics("खाना बहुत स्वादिष्ट था। सेवा अच्छी थी।")
    assert (hindi["n_words"], hindi["n_sentences"], hindi["last_sentence_words"]) == (7, 2, 3)
    assert hindi["punctuation_share"] == pytest.approx(2 / hindi["n_chars"])
    arabic = statistics("هَلِ الطَّعَامُ لَذِيذٌ؟ نَعَمْ، جِدًّا!")
    assert (arabic["n_words"], arabic["n_sentences"]) == (5, 2)
    assert (arabic["question_marks"], arabic["commas_per_word"]) == (1, pytest.approx(1 / 5))
    assert arabic["punctuation_share"] == pytest.approx(3 / arabic["n_chars"])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 60_000,
        "a " * 30_000,
        "😀" * 60_000,
        "❤️" * 30_000,
        "e" + "\u0301" * 60_000,
        "खाना। " * 10_000,
        "最高！" * 20_000,
        "." * 60_000,
        " " * 59_999 + "a",
        "a`" * 30_000,
        "\0" * 60_000,
        "good " * 12_000,
    ],
    ids=lambda text: ascii(text[:3]),
)
def test_60_000_characters_have_finite_statistics(text):
    assert np.isfinite(TextStats().transform([text])).all()


def test_vader_reads_the_first_2000_words_emoji_included():
    assert statistics("good " + "so " * 2000)["sentiment"] == statistics("good " + "so " * 1999)["sentiment"]
    assert statistics("🍽 " * 1000 + "❤")["sentiment"] == 0 < statistics("🍽 " * 100 + "❤")["sentiment"]


ORDINARY = ["No! I'll come back, and I mean it.", "The café was great.\nWould I go again? Never!", "Don't. :D so..."]


@pytest.mark.parametrize("text", ORDINARY)
def test_a_text_in_capitals_has_the_statistics_of_the_ordinary_one(text):
    assert statistics(text.upper()) == statistics(text)


@settings(max_examples=30)
@given(st.text(alphabet=st.sampled_from("abi .!?,'\n"), max_size=60))
def test_capitals_alone_stress_nothing(text):
    small, capitals = statistics(text), statistics(text.upper())
    assert capitals["shouted_word_share"] == 0
    assert {**capitals, "capital_share": 0} == small


@pytest.mark.parametrize(
    "text", ["great food. never", "The GREAT food", "ＢＢＱ味は最高です", "店はBBQ専門", "A b", ""]
)
def test_a_text_with_both_cases_or_none_stays_as_it_is(text):
    letters = [char for char in text if char.isalpha()]
    capitals = sum(map(str.isupper, letters))
    assert statistics(text)["capital_share"] == pytest.approx(capitals / max(len(letters), 1))


def test_a_word_in_capitals_is_stressed_where_others_are_not():
    stressed, plain = statistics("The food was GREAT"), statistics("The food was great")
    assert stressed["sentiment"] > plain["sentiment"]
    assert statistics("THE FOOD WAS GREAT")["sentiment"] == plain["sentiment"]
    assert stressed["shouted_word_share"] == 1 / 4


def test_a_long_sentence_is_read_in_pieces_and_japanese_is_not():
    parts = [statistics("so " * n) for n in (40, 41, 60)]
    assert [part["n_sentences"] for part in parts] == [1, 2, 3]
    assert [part["max_sentence_words"] for part in parts] == [40, 21, 20]
    pieces = statistics("good " * 21 + "bad " * 21)
    assert pieces["sentiment_first_sentence"] > 0 > pieces["sentiment_last_sentence"]
    assert statistics("最高" * 40)["n_sentences"] == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The food was goood.", "The food was good."),
        ("It was SOOO BADDD, yes", "It was SO BAD, yes"),
        ("Boooks", "Boooks"),
    ],
)
def test_vader_reads_a_word_that_repeats_letters_as_the_one_it_knows(text, plain):
    typed, usual = statistics(text), statistics(plain)
    assert {name: typed[name] for name in NAMES if "sentiment" in name} == {
        name: usual[name] for name in NAMES if "sentiment" in name
    }
    assert typed["repeated_letters"] == sum(letters in text.lower() for letters in ("ooo", "ddd"))
