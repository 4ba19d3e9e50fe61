"""Words, sentences and the check of what a transformer is given."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import check_texts, normalised, sentences, words

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
