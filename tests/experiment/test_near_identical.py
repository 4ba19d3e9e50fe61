"""The join on word triples, against comparing every pair."""

import unicodedata
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.experiment import near_identical
from pipeline.experiment.near_identical import near_identical_groups

# Three words and short texts, so that many triples are shared by chance.
TEXT = st.lists(st.sampled_from(["ramen", "cold", "kind"]), min_size=1, max_size=9).map(" ".join)
TEXTS = st.lists(TEXT, min_size=1, max_size=14)


def triples(text: str) -> frozenset[tuple[str, ...]]:
    words = text.split()
    return frozenset(tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2)))


def similarity(one: str, other: str) -> Fraction:
    a, b = triples(one), triples(other)
    return Fraction(len(a & b), len(a | b))


def components_of_all_pairs(texts: list[str], threshold: str) -> list[int]:
    """Compare each pair in exact arithmetic, and let labels spread until nothing changes."""
    label = list(range(len(texts)))
    linked = [(i, j) for i, j in combinations(label, 2) if similarity(texts[i], texts[j]) >= Fraction(threshold)]
    for _ in texts:
        for i, j in linked:
            label[i] = label[j] = min(label[i], label[j])
    return label


def partition(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(np.asarray(labels) == label).tolist()) for label in set(labels)}


@pytest.mark.parametrize("threshold", ["0.01", "0.2", "0.34", "0.5", "0.55", "0.8", "1.0"])
@settings(max_examples=50, deadline=None)
@given(texts=TEXTS)
def test_groups_are_those_of_comparing_every_pair(threshold: str, texts: list[str]) -> None:
    groups = near_identical_groups(texts, float(threshold)).tolist()
    assert partition(groups) == partition(components_of_all_pairs(texts, threshold))


@pytest.mark.parametrize("threshold", ["0.2", "0.5", "0.8"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_groups_of_texts_dealt_from_the_same_sentences_are_those_of_comparing_every_pair(
    threshold: str, seed: int
) -> None:
    """Whole runs of triples are shared, of texts of very different lengths, some of them equal."""
    rng = np.random.default_rng(seed)
    sentences = [" ".join(f"w{word}" for word in rng.integers(60, size=n)) for n in rng.integers(1, 9, size=12)]
    texts = [" ".join(rng.choice(sentences, size=n)) for n in rng.integers(1, 9, size=40)]
    groups = near_identical_groups(texts, float(threshold)).tolist()
    assert partition(groups) == partition(components_of_all_pairs(texts, threshold))
    assert list(dict.fromkeys(groups)) == list(range(max(groups) + 1))


def test_what_is_done_in_blocks_does_not_depend_on_their_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sentences = [" ".join(f"w{word}" for word in rng.integers(60, size=n)) for n in rng.integers(1, 9, size=12)]
    texts = [" ".join(rng.choice(sentences, size=n)) for n in rng.integers(1, 9, size=60)]
    groups = near_identical_groups(texts, 0.5)
    assert 1 < len(set(groups.tolist())) < len(texts)
    for name, size in {"_TRIPLES_AT_ONCE": 7, "_MEETINGS_AT_ONCE": 5, "_PAIRS_AT_ONCE": 3}.items():
        monkeypatch.setattr(near_identical, name, size)
    np.testing.assert_array_equal(near_identical_groups(texts, 0.5), groups)


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS, seed=st.integers(0, 100))
def test_the_order_of_the_texts_does_not_matter(texts: list[str], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(texts))
    groups = near_identical_groups(texts, 0.5)
    shuffled = near_identical_groups([texts[i] for i in order], 0.5)
    assert partition(groups[order].tolist()) == partition(shuffled.tolist())


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_a_lower_threshold_only_joins_groups(texts: list[str]) -> None:
    strict, loose = (partition(near_identical_groups(texts, t).tolist()) for t in (0.7, 0.3))
    assert all(any(small <= large for large in loose) for small in strict)


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_group_numbers_are_0_to_n_groups_without_a_gap(texts: list[str]) -> None:
    groups = near_identical_groups(texts, 0.5)
    assert len(groups) == len(texts)
    assert set(groups.tolist()) == set(range(groups.max() + 1))


@pytest.mark.parametrize(
    ("threshold", "n_shared", "n_own"),
    [(0.5, 11, 11), (0.55, 11, 9), (0.28, 7, 18), (0.7, 7, 3), (0.1, 3, 27)],
)
def test_a_similarity_of_exactly_the_threshold_counts(threshold: float, n_shared: int, n_own: int) -> None:
    """Some of these products are not whole in floating point: 0.28 * 25 exceeds 7."""
    shared = " ".join(f"shared{i}" for i in range(n_shared + 2))
    one = " ".join([shared, *(f"one{i}" for i in range(n_own // 2))])
    other = " ".join([shared, *(f"other{i}" for i in range(n_own - n_own // 2))])
    assert similarity(one, other) == Fraction(str(threshold))
    assert len(set(near_identical_groups([one, other], threshold).tolist())) == 1
    further = f"{other} further"
    assert len(set(near_identical_groups([one, further], threshold).tolist())) == 2


def test_case_and_punctuation_make_no_difference() -> None:
    texts = ["We waited an HOUR; nobody came!", "we waited, an hour: nobody came", "Nobody came. We waited an hour."]
    assert near_identical_groups(texts, 1.0).tolist() == [0, 0, 1]


def test_a_chain_of_similar_texts_is_one_group() -> None:
    """The first and the last share no triple at all."""
    chain = [" ".join(f"w{i}" for i in range(start, start + 12)) for start in range(0, 15, 3)]
    assert near_identical_groups(chain, 0.5).tolist() == [0] * 5
    assert near_identical_groups(chain, 0.6).tolist() == [0, 1, 2, 3, 4]


def test_texts_without_a_word_are_compared_by_their_characters() -> None:
    assert near_identical_groups(["👍👍", "🍜", "👍👍", "!!!", "🍜 ", "good ramen"], 0.5).tolist() == [0, 1, 0, 2, 1, 3]


def test_texts_of_one_or_two_words_match_only_the_same_words() -> None:
    assert near_identical_groups(["Great", "great!", "Great food", "great, food", "great food here"], 0.1).tolist() == [
        0,
        0,
        1,
        1,
        2,
    ]


def test_texts_without_spaces_are_compared_by_their_characters() -> None:
    texts = ["ラーメンはとても美味しかった。", "ラーメンはとても美味しかった！", "店員さんが無愛想だった。"]
    assert near_identical_groups(texts, 0.9).tolist() == [0, 0, 1]


def test_more_pairs_than_fit_into_one_block_are_all_compared() -> None:
    """The common beginning makes each of 80,000 pairs a candidate, but only twins are similar enough."""
    opening = "we came here for dinner with the whole family and"
    texts = [f"{opening} a{i} b{i} c{i} d{i} e{i} f{i} g{i} h{i} i{i} j{i}" for i in range(400)]
    twins = [f"{text} again" for text in texts[::10]]
    groups = near_identical_groups(texts + twins, 0.3)
    assert len(set(groups.tolist())) == 400
    assert groups[400:].tolist() == groups[:400:10].tolist()


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("Très bon café, crème brûlée", unicodedata.normalize("NFD", "Très bon café, crème brûlée")),
        ("I don't like it", "I don´t like it"),
        ("Unbelievable food, good people", "Un\u00adbe\u00adliev\u00adable food, good people"),
        ("👍 ❤", "👍🏽 ❤\ufe0f"),
    ],
)
def test_what_only_looks_alike_is_identical(text: str, again: str) -> None:
    first, second = near_identical_groups([text, again], 1)
    assert first == second
