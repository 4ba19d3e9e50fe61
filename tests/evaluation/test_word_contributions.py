"""What words add to a prediction: the steps add up, and known models get their known values."""

from itertools import permutations
from math import isfinite

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.evaluation import word_contributions, word_contributions_of_texts
from pipeline.evaluation.word_contributions import _MOST_PLAYERS, _Pieces
from pipeline.text import word_spans, words

WEIGHTS = {"good": 1.0, "bad": -1.5, "soup": 0.25, "味": 0.5}


def linear(texts: list[str]) -> list[float]:
    return [3 + sum(WEIGHTS.get(word, 0.0) for word in words(text)) for text in texts]


def awkward(texts: list[str]) -> list[float]:
    """Depends on everything in a text: order, length, marks."""
    return [np.sin(sum(ord(character) * (1 + i) for i, character in enumerate(text))) for text in texts]


def of_words(text: str, **options: int) -> dict[str, float]:
    found = word_contributions(linear, text, **options).words
    return found.groupby("word")["contribution"].sum().to_dict()


TEXTS = st.text(st.sampled_from(list("ab'’ \n.!(\"味麺のアé\u0301😀5-")), max_size=30)


@given(TEXTS, st.sampled_from([2, 4]), st.integers(0, 2**32))
def test_base_and_contributions_add_up_to_the_prediction(text: str, n_orders: int, seed: int) -> None:
    found = word_contributions(awkward, text, n_orders=n_orders, seed=seed)
    assert found.prediction == awkward([text])[0]
    assert found.base == awkward(["" if len(found.words) else text])[0]
    assert found.base + found.words["contribution"].sum() == pytest.approx(found.prediction, abs=1e-9)
    assert [text[start:end] for start, end in zip(found.words["start"], found.words["end"], strict=True)] == (
        found.words["word"].tolist()
    )


@given(TEXTS)
@example("5'の5")
@example("5の '5")
@example("味の \u0301a")
def test_a_text_without_some_of_its_words_has_the_others_as_they_were(text: str) -> None:
    if spans := word_spans(text):
        pieces = _Pieces(text, spans)
        assert "".join(pieces.pieces) == text
        assert pieces.joined(range(len(spans))) == text
        for kept in (range(0, len(spans), 2), range(1, len(spans), 2), range(len(spans) // 2, len(spans))):
            assert words(pieces.joined(kept)) == [words(text)[i] for i in kept]


def test_a_linear_model_of_words_gets_its_weights() -> None:
    assert of_words("The soup was good, not bad.") == pytest.approx(
        {"The": 0, "soup": 0.25, "was": 0, "good": 1, "not": 0, "bad": -1.5}
    )


def test_each_occurrence_of_a_repeated_word_has_a_row() -> None:
    found = word_contributions(linear, "good good soup good").words
    assert found["start"].tolist() == [0, 5, 10, 15]
    assert found["contribution"].tolist() == pytest.approx([1, 1, 0.25, 1])


def test_what_two_words_do_together_is_shared_equally() -> None:
    found = word_contributions(lambda texts: [4.0 * ("not" in t and "bad" in t) for t in texts], "It is not so bad")
    assert found.words.set_index("word")["contribution"].to_dict() == pytest.approx(
        {"It": 0, "is": 0, "not": 2, "so": 0, "bad": 2}
    )


def test_words_that_act_together_in_threes_get_nearly_their_shapley_values() -> None:
    names = ["a", "b", "c", "d"]

    def model(texts: list[str]) -> list[float]:
        return [6.0 * {"a", "b", "c"}.issubset(words(text)) + ("d" in words(text)) for text in texts]

    exact = dict.fromkeys(names, 0.0)
    for order in permutations(names):
        for n, name in enumerate(order):
            before, after = model([" ".join(order[:n]), " ".join(order[: n + 1])])
            exact[name] += (after - before) / 24
    found = word_contributions(model, "a b c d", n_orders=1000).words.set_index("word")["contribution"]
    assert exact == pytest.approx({"a": 2, "b": 2, "c": 2, "d": 1})
    assert found.to_dict() == pytest.approx(exact, abs=0.4)


def test_punctuation_goes_with_its_word() -> None:
    text = 'Good! (Really "good", 5/5.) 最高。また'
    pieces = _Pieces(text, word_spans(text))
    assert pieces.pieces == ["Good! ", "(Really ", '"good", ', "5/", "5.) ", "最", "高。", "ま", "た"]
    assert pieces.joined([0, 2]) == 'Good! "good",'


def test_no_two_words_grow_into_one() -> None:
    text = "abc太贵def"
    assert _Pieces(text, word_spans(text)).joined([0, 3]) == "abc def"
    assert _Pieces(text, word_spans(text)).joined([0, 2, 3]) == "abc贵def"


def test_japanese_is_cut_into_words() -> None:
    pytest.importorskip("fugashi")
    pytest.importorskip("unidic_lite")
    pytest.importorskip("rjieba")
    found = word_contributions(linear, "味は最高。また行きたい！")
    assert {"味", "は", "最高", "また"} < set(found.words["word"])
    assert found.words.set_index("word").loc["味", "contribution"] == pytest.approx(0.5)
    assert found.prediction == 3.5


@pytest.mark.parametrize("text", ["", " ", "!!!", "😀"])
def test_a_text_without_words_has_no_rows(text: str) -> None:
    found = word_contributions(awkward, text)
    assert found.base == found.prediction == awkward([text])[0]
    assert found.words.columns.tolist() == ["start", "end", "word", "contribution"]
    assert found.words.empty


def test_equal_seeds_give_equal_numbers_alone_and_in_company() -> None:
    texts = ["One two three four", "", "five six seven", "One two three four"]
    found = word_contributions_of_texts(awkward, texts, seed=3)
    for each, text in zip(found, texts, strict=True):
        pd.testing.assert_frame_equal(each.words, word_contributions(awkward, text, seed=3).words)
    other = word_contributions(awkward, texts[0], seed=4).words
    assert not np.allclose(found[0].words["contribution"], other["contribution"])


def test_predict_is_called_once_with_each_text_once() -> None:
    calls: list[list[str]] = []

    def counting(texts: list[str]) -> list[float]:
        calls.append(texts)
        return linear(texts)

    word_contributions_of_texts(counting, ["good good soup", "good soup"], n_orders=16)
    (texts,) = calls
    assert len(texts) == len(set(texts))
    # Every text of some of the words; without the last word, no other text has a blank behind it.
    assert set(texts) == {"", "good", "soup", "good good", "good soup", "good good soup"}


def test_neighbours_of_a_long_text_share_what_their_group_adds() -> None:
    n = 4 * _MOST_PLAYERS
    asked: list[str] = []

    def model(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return linear(texts)

    found = word_contributions(model, " ".join(["good", "bad", "x", "y"] * _MOST_PLAYERS), n_orders=2).words
    assert len(found) == n
    assert found["contribution"].tolist() == pytest.approx([-0.5 / 4] * n)
    assert len(asked) <= 2 * _MOST_PLAYERS + 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_orders": 3}, "n_orders must be even, as each order is also used backwards, got 3."),
        ({"n_orders": 0}, "n_orders must be a whole number from 2 on, got 0."),
        ({"predict": lambda texts: [0.0]}, r"predict must return one number for each of 4 texts, got shape \(1,\)."),
        ({"predict": lambda texts: [np.nan] * len(texts)}, "predict must return finite numbers, got nan."),
    ],
)
def test_wrong_input_is_refused_in_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        word_contributions(**{"predict": linear, "text": "a b", **options})


def test_no_texts_ask_for_nothing() -> None:
    assert word_contributions_of_texts(linear, []) == []
    assert isfinite(word_contributions(linear, "good").base)
