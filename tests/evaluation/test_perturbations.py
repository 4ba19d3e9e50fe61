"""Changed texts: what each change keeps, in any script."""

from collections import Counter

import numpy as np
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.evaluation.perturbations import (
    _TYPO_RATE,
    CHANGES,
    _added_sentence,
    _boilerplate,
    _british,
    _no_punctuation,
    _shouting,
    _shuffled,
    _truncated,
    _typos,
    change_all,
)
from pipeline.features import TextStats
from pipeline.text import word_spans, words

# Spaces of every kind, apostrophes that join, scripts with and without spaces, letters whose case is not one letter.
AWKWARD = st.text(st.sampled_from(list("ab'’ \n\t\u3000.!！?_味麺のアé\u0301ßıİŉσς😀👩‍🍳१5")), max_size=40)
TEXTS = st.one_of(AWKWARD, st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
SEEDS = st.integers(0, 2**32)
REVIEWS = [
    "The ramen isn't superb! We waited 40 minutes.",
    "My favorite color is gray.",
    "ラーメンは最高！また行きたい。",
    "味道很好，但是abc太贵def了",
    "👩‍🍳😀",
    "Tre\u0300s bon\u00adne cre\u0300me, c´est 👍🏽 खाना स्वादिष्ट",
    "",
]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def not_letters(text: str) -> str:
    return "".join(character for character in text if not character.isalpha())


def between_words(text: str) -> list[str]:
    edges = [0, *(edge for span in word_spans(text) for edge in span), len(text)]
    return [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]


@given(TEXTS, SEEDS)
@example("味a味b'味'c", 1)
@example("a\u00ad1´b\u200dc e\u0301 か\u3099ﾞ \u1112\u1161\u11ab 👍🏽a❤\ufe0fb", 1)
def test_shuffling_keeps_every_word_and_all_that_stands_between(text: str, seed: int) -> None:
    result = _shuffled(text, generator(seed))
    assert Counter(words(result)) == Counter(words(text))
    assert Counter(result) == Counter(text)
    assert between_words(result) == between_words(text)


@pytest.mark.parametrize("text", ["one two three four five six seven eight nine", "一二三四五六七八九十"])
def test_every_word_can_come_first(text: str) -> None:
    assert {words(_shuffled(text, generator(seed)))[0] for seed in range(200)} == set(words(text))


@given(TEXTS)
def test_shouting_says_the_same_but_for_case_and_exclamation_marks(text: str) -> None:
    expected = text.replace("!", "!!").replace("！", "！！")
    assert _shouting(text).casefold() == expected.casefold()


@given(st.text(st.characters(codec="ascii")))
def test_shouting_leaves_no_small_letter_of_ascii(text: str) -> None:
    assert _shouting(text) == text.upper().replace("!", "!!")


@given(TEXTS)
def test_a_truncated_text_is_a_prefix_with_half_of_the_words_and_no_word_cut(text: str) -> None:
    result = _truncated(text)
    n = len(words(text))
    assert text.startswith(result)
    assert words(result) == words(text)[: (n + 1) // 2]


@given(TEXTS, SEEDS)
def test_typos_touch_letters_only(text: str, seed: int) -> None:
    result = _typos(text, generator(seed))
    assert not_letters(result) == not_letters(text)
    assert set(result) <= set(text)


def test_about_one_letter_in_twenty_slips_a_third_of_them_each_way() -> None:
    text = "abcdefghij" * 2000
    result = _typos(text, generator())
    doubled = sum(result.count(letter * 2) for letter in "abcdefghij")
    expected = len(text) * _TYPO_RATE / 3
    dropped = len(text) + doubled - len(result)
    swapped = sum(result.count(pair) for pair in ("ba", "cb", "dc", "ed", "fe", "gf", "hg", "ih", "ji", "aj"))
    for n in (doubled, dropped, swapped):
        assert abs(n - expected) < 5 * np.sqrt(expected)


@given(TEXTS)
@example("味!味b’!c!!Don't")
def test_without_punctuation_every_word_stays_and_no_mark_between_them(text: str) -> None:
    result = _no_punctuation(text)
    assert words(result) == words(text)
    assert not regex.search(r"\p{P}", "".join(between_words(result)))
    assert result.count("\n") == text.count("\n")
    assert _no_punctuation(result) == result


@given(TEXTS)
def test_a_sentence_before_or_behind_leaves_the_review_as_it_is(text: str) -> None:
    assert _boilerplate(text).endswith(f". {text}")
    assert _added_sentence(text).startswith(f"{text} ")
    for sentence in (_boilerplate(""), _added_sentence("")):
        assert TextStats().set_output(transform="pandas").transform([sentence])["sentiment"].tolist() == [0]


@given(TEXTS)
def test_british_spelling_changes_words_and_nothing_else(text: str) -> None:
    result = _british(text)
    assert not_letters(result) == not_letters(text)
    assert len(words(result)) == len(words(text))
    assert _british(result) == result


@pytest.mark.parametrize("change", CHANGES)
def test_a_seed_gives_the_same_texts_again(change: str) -> None:
    assert change_all(REVIEWS, change, seed=7) == change_all(REVIEWS, change, seed=7)
    assert change_all(REVIEWS * 4, change, seed=7) != REVIEWS * 4


@pytest.mark.parametrize("change", ["typos", "shuffled"])
def test_another_seed_gives_other_texts(change: str) -> None:
    assert change_all(REVIEWS * 4, change, seed=7) != change_all(REVIEWS * 4, change, seed=8)
