"""Words, sentences and the check of what a transformer is given."""

import json
import unicodedata
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import (
    check_texts,
    normalised,
    sentences,
    short_sentences,
    text_problem,
    undoubled,
    word_spans,
    words,
)

MIXED = st.text(alphabet=st.sampled_from(list("abcXÉ'’.,!?…。！？、\n\t \"()「」味は最高カ々3😀-_")), max_size=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't go: 2 stars!", ["Don't", "go", "2", "stars"]),
        ("It’s the chef’s table", ["It's", "the", "chef's", "table"]),
        ("rock 'n' roll", ["rock", "n", "roll"]),
        ("café crème-brûlée", ["café", "crème", "brûlée"]),
        ("$12.50 for eggs", ["12", "50", "for", "eggs"]),
        ("味は最高", ["味", "は", "最", "高"]),
        ("ラーメン屋", ["ラ", "ー", "メ", "ン", "屋"]),
        ("服务很好，下次再来", list("服务很好下次再来")),
        ("駅前のCafe Blueは4.5点", ["駅", "前", "の", "Cafe", "Blue", "は", "4", "5", "点"]),
        ("맛있어요 정말", ["맛있어요", "정말"]),
        ("Очень вкусно!", ["Очень", "вкусно"]),
        ("👍👍 !!! …", []),
        ("", []),
        ("   \n", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good food. Bad service!", ["Good food.", "Bad service!"]),
        ("Really?! Yes... maybe… No.", ["Really?!", "Yes...", "maybe…", "No."]),
        ("It was 4.5 stars. Not 3.2!", ["It was 4.5 stars.", "Not 3.2!"]),
        ("no full stop", ["no full stop"]),
        ("first line\nsecond line\n\n\nthird", ["first line", "second line", "third"]),
        ("安い。うまい！また来る？はい", ["安い。", "うまい！", "また来る？", "はい"]),
        ("环境不错。服务一般！", ["环境不错。", "服务一般！"]),
        ("安い。 Cheap. 또", ["安い。", "Cheap.", "또"]),
        ("", []),
        (" \n\t", []),
        ("👍👍", ["👍👍"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(MIXED)
def test_sentences_hold_every_word_once_and_in_order(text: str) -> None:
    assert [word for sentence in sentences(text) for word in words(sentence)] == words(text)


@given(MIXED)
def test_no_sentence_is_blank_or_padded(text: str) -> None:
    assert all(sentence == sentence.strip() != "" for sentence in sentences(text))


@given(st.lists(st.sampled_from(["Good food", "We waited", "Nobody came"]), min_size=1), st.sampled_from(".!?"))
def test_joined_sentences_come_apart_again(parts: list[str], mark: str) -> None:
    marked = [part + mark for part in parts]
    assert sentences(" ".join(marked)) == marked
    assert sentences("\n".join(parts)) == parts


@given(MIXED)
def test_words_have_neither_spaces_nor_marks_around_them(text: str) -> None:
    for word in words(text):
        assert word in normalised(text)
        assert words(word) == [word]
        assert word[0].isalnum() or word[0] == "_"
        assert word[-1].isalnum() or word[-1] == "_"


@pytest.mark.parametrize(
    "given_as",
    [list, tuple, np.array, pd.Series, lambda texts: np.array(texts, dtype=object).reshape(-1, 1)],
    ids=["list", "tuple", "array", "Series", "column"],
)
def test_any_sequence_of_str_becomes_a_list_of_str(given_as) -> None:
    texts = ["good", "", "味は最高"]
    checked = check_texts(given_as(texts))
    assert checked == texts
    assert all(type(text) is str for text in checked)


def test_a_table_with_one_column_becomes_a_list() -> None:
    assert check_texts(pd.DataFrame({"text": ["good", "bad"]}, index=[7, 3])) == ["good", "bad"]


def test_no_texts_are_an_empty_list() -> None:
    assert check_texts([]) == []


def test_a_single_string_is_refused_with_its_beginning() -> None:
    with pytest.raises(ValueError, match=r"got the single string 'The ramen was superb.': put it into a list"):
        check_texts("The ramen was superb.")
    with pytest.raises(ValueError, match=r"x{40}'") as caught:
        check_texts("x" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["good", None], r"Expected str, got NoneType \(None\) at position 1"),
        (["good", "bad", float("nan")], r"got float \(nan\) at position 2"),
        ([b"good"], r"got bytes \(b'good'\) at position 0"),
        ([1, 2], r"got int \(1\) at position 0"),
        (pd.Series(["good", None], index=[5, 6]), "at position 1"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"one column of them, got shape \(1, 2\)"),
        (np.array([["x", "y"], ["z", "w"]]), r"got shape \(2, 2\)"),
        (7, r"got shape \(\)"),
        (None, r"got shape \(\)"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(texts: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_texts(texts)


CASES = Path(__file__).parents[2] / "shared/cases/texts.json"


def cases(key: str) -> list[dict[str, Any]]:
    return [case for case in json.loads(CASES.read_text(encoding="utf-8")) if key in case] if CASES.exists() else []


def test_there_are_cases() -> None:
    if not CASES.exists():
        pytest.skip(f"{CASES} does not exist")
    assert cases("n_words")


@pytest.mark.parametrize("case", cases("n_words"), ids=lambda case: case["text"])
def test_the_shared_cases_have_as_many_words_as_they_say(case: dict[str, Any]) -> None:
    assert len(words(case["text"])) == case["n_words"]


@pytest.mark.parametrize(
    ("text", "n_words"),
    [
        ("खाना बहुत स्वादिष्ट था", 4),
        ("சாப்பாடு மிகவும் நன்றாக இருந்தது", 4),
        ("খাবার খুব সুস্বাদু ছিল", 4),
        ("ఆహారం చాలా రుచిగా ఉంది", 4),
        ("อาหาร อร่อย มาก", 3),
        ("ម្ហូប ឆ្ងាញ់ ណាស់", 3),
        ("အစားအစာ အရသာ ကောင်းတယ်", 3),
        ("الطَّعَامُ لَذِيذٌ جِدًّا", 3),
        ("הָאֹכֶל הָיָה טָעִים", 3),
        ('צה״ל דו"ח צ׳יפס', 3),
        ("غذا خیلی خوب بود و می\u200cخواهم برگردم", 7),
        ("ምግቡ፡በጣም፡ጥሩ፡ነበር።", 4),
        ("ինչպե՞ս է սնունդը", 3),
        ("Très bon café, crème brûlée géniale", 6),
        ("col·lecció molt bonica", 3),
        ("un\u00adbe\u00adliev\u00adable food", 2),
        ("foo\u2060bar \u200ebaz\u200f", 2),
        ("good\u200bfood", 2),
        ("don´t won`t isnʼt ain′t can＇t", 5),
        ("don&#39;t won&apos;t can&rsquo;t", 3),
        ("the `great´ soup", 3),
        ("Hawaiʻi Нам’ятка", 2),
        ("맛있어요 정말", 2),
        ("時々、人々", 4),
        ("ｶﾞｽﾄのﾗｰﾒﾝ", 3 + 1 + 4),
        ("か\u3099き\u309aガ", 3),
        ("カフェ・バー", 5),
        ("〆切は二〇二六年", 8),
        ("\U00020bb7野家 \U000304de", 4),
        ("葛\U000e0100城", 2),
        ("1️⃣ 👩‍🍳 ❤️ 👍🏽", 1),
        ("\u0301 \u200d \u00ad \u3164", 0),
    ],
)
def test_the_number_of_words_in_all_scripts_composed_or_not(text: str, n_words: int) -> None:
    for form in ("NFC", "NFD"):
        assert len(words(unicodedata.normalize(form, text))) == n_words


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("खाना अच्छा था। सेवा बुरी थी॥ फिर नहीं", 3),
        ("هل الطعام جيد؟ نعم۔ شكرا!", 3),
        ("ምግቡ ጥሩ ነበር። አመሰግናለሁ።", 2),
        ("အရသာရှိတယ်။ ကျေးဇူး။", 2),
        ("ម្ហូបឆ្ងាញ់។ អរគុណ។", 2),
        ("Լավ է։ Շատ լավ։", 2),
        ("最高！！！また行く？！", 2),
        ("「うまい！」と言った。｢はい｡｣", 3),
        ("Super‼ Come back⁉", 2),
        ("« Bon. » Il part.", 2),
        ("Он сказал: «Да.» Ушёл.", 2),
    ],
)
def test_the_number_of_sentences_in_all_scripts_composed_or_not(text: str, n_sentences: int) -> None:
    for form in ("NFC", "NFD"):
        assert len(sentences(unicodedata.normalize(form, text))) == n_sentences


ANY = st.one_of(
    st.text(
        st.sampled_from(list("aé\u0301'’`´ʼ\u00ad\u200d\u200b\ufe0f❤👍🏽♀味か\u3099ﾞखा।。！!.\"״צl·\0\n ")), max_size=40
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)


@given(ANY)
def test_a_text_reads_alike_composed_decomposed_and_normalised(text: str) -> None:
    plain = normalised(text)
    assert normalised(plain) == plain
    for form in ("NFC", "NFD"):
        again = unicodedata.normalize(form, text)
        assert normalised(again) == plain
        assert words(again) == words(plain)
        assert sentences(again) == sentences(plain)


@given(ANY)
def test_spans_are_where_the_words_are(text: str) -> None:
    spans = word_spans(text)
    assert [normalised(text[start:end]) for start, end in spans] == words(text)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_ascii_is_read_by_the_rules_of_all_scripts(text: str) -> None:
    plain = normalised(text)
    assert [plain[start:end] for start, end in word_spans(plain)] == words(text)
    assert sentences(text) == [part for part in sentences(f"{text}\n\n味") if part != "味"]


@pytest.mark.parametrize("apostrophe", "’‘‛ʼʻʽ´`′＇ʹ‵ꞌ❛❜")
def test_every_apostrophe_is_the_plain_one(apostrophe: str) -> None:
    assert normalised(f"I don{apostrophe}t") == "I don't"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The soup ❤️", "The soup ❤"),
        ("❤︎ 👍🏽 ☝🏿 ☝️🏿", "❤ 👍 ☝ ☝"),
        ("🤦🏽‍♀️ 🤦‍♂️ 👩‍🍳 👩🏿‍🍳 ❤️‍🔥 👨‍👩‍👧", "🤦 🤦 👩 👩 ❤ 👨"),
        ("“great” „great‟ «great»", '"great" "great" "great"'),
        ("a\0b", "a b"),
    ],
)
def test_what_looks_alike_is_written_alike(text: str, plain: str) -> None:
    assert normalised(text) == plain


@pytest.mark.parametrize("half", ["\ud83d", "good \ude00 food"])
def test_half_of_a_surrogate_pair_is_refused_with_its_place(half: str) -> None:
    assert text_problem(half) == "half of a surrogate pair"
    with pytest.raises(ValueError, match="half of a surrogate pair at position 1: it is no character, leave it out"):
        check_texts(["good", half])


def test_what_is_a_text_has_no_problem() -> None:
    assert [text_problem(text) for text in ("", "good", "😀", "\0", "味")] == [None] * 5
    assert text_problem(None) == "not a string: NoneType"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("gooood", "good"),
        ("soo", "so"),
        ("dissappointed", "disappointed"),
        ("ggood", "good"),
        ("lliittle", "lliittle"),  # one doubled letter alone is looked at
        ("ll", "ll"),
        ("11oo", "11oo"),
        ("too", "too"),
        ("", ""),
    ],
)
def test_fewer_repeated_letters_make_a_known_word(word: str, expected: str) -> None:
    assert undoubled(word, {"good", "so", "disappointed", "little", "l", "too", "to", "1oo"}) == expected


def test_a_string_longer_than_any_word_stays_as_it_is() -> None:
    # Each of its pairs would be tried: time and memory of the square of its length.
    string = "aab" * 100_000
    assert undoubled(string, {string[1:]}) == string
    assert undoubled("s" + "o" * 100_000, {"so"}) == "so"


@given(st.text("abo", max_size=8), st.sets(st.text("abo", max_size=5)))
def test_a_word_stays_or_becomes_a_known_one(word: str, known: set[str]) -> None:
    result = undoubled(word, known)
    assert result == word or (result in known and word not in known)
    assert [letter for letter, _ in groupby(result)] == [letter for letter, _ in groupby(word)]


@given(st.lists(st.sampled_from(["so", "good.", "Don't", "味", "!", "a\nb"]), max_size=200).map(" ".join))
def test_short_sentences_are_the_sentences_with_the_long_ones_cut(text: str) -> None:
    pieces = short_sentences(text)
    assert " ".join(pieces).split() == " ".join(sentences(text)).split()
    assert max((len(piece.split()) for piece in pieces), default=0) <= 40
    if all(len(sentence.split()) <= 40 for sentence in sentences(text)):
        assert pieces == sentences(text)
