"""Which reviews are examples: as many of each star in each prompt, and no review in its prompt."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline import load_sample
from pipeline.llm.examples import balanced_examples, nearest_examples

STARS = st.lists(st.integers(1, 5), min_size=4, max_size=30).filter(
    lambda stars: sum(stars.count(star) > 1 for star in set(stars)) > 1
)


@given(STARS, st.integers(1, 4))
def test_each_prompt_has_equally_many_of_each_star_and_never_the_review(stars: list[int], n: int) -> None:
    found = balanced_examples(stars, n)
    twice = {star for star in stars if stars.count(star) > 1}
    for row, each in enumerate(found.set_of):
        examples = found.sets[each]
        assert row not in examples
        counts = {star: sum(stars[other] == star for other in examples) for star in twice}
        assert len(set(counts.values())) == 1
        assert sum(counts.values()) == len(examples) > 0
        assert {stars[other] for other in examples} == twice


@given(STARS, st.integers(1, 4))
def test_new_reviews_have_the_first_of_each_star_and_so_have_those_that_are_no_example(
    stars: list[int], n: int
) -> None:
    found = balanced_examples(stars, n)
    twice = sorted({star for star in stars if stars.count(star) > 1})
    n = min(n, *(stars.count(star) for star in twice))
    first = [[row for row, other in enumerate(stars) if other == star][:n] for star in twice]
    assert found.of_new.tolist() == [rows[place] for place in range(n) for rows in first]
    assert balanced_examples(stars, n, "by star").of_new.tolist() == [row for rows in first for row in rows]
    others = np.setdiff1d(np.arange(len(stars)), found.of_new)
    assert all(found.sets[each] is found.of_new for each in found.set_of[others])


@given(STARS, st.lists(st.integers(1, 5), max_size=10))
def test_a_larger_draw_that_begins_alike_keeps_the_examples(stars: list[int], more: list[int]) -> None:
    both = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, *stars]
    assert balanced_examples([*both, *more], 2).of_new.tolist() == balanced_examples(both, 2).of_new.tolist()


def test_two_of_each_star_give_one_each_for_the_examples_themselves() -> None:
    found = balanced_examples([1, 2, 3, 4, 5, 1, 2, 3, 4, 5], 2)
    assert found.of_new.tolist() == list(range(10))
    assert [found.sets[each].tolist() for each in found.set_of[[0, 5]]] == [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]


def test_a_star_that_occurs_once_is_no_example_and_has_the_prompt_of_new_reviews() -> None:
    found = balanced_examples([1, 1, 3, 5, 5], 2)
    assert found.of_new.tolist() == [0, 3, 1, 4]
    assert found.sets[found.set_of[2]] is found.of_new


SKEWED = st.tuples(st.permutations([1, 2, 3, 4, 5]), st.integers(2, 8), st.integers(0, 4)).flatmap(
    lambda drawn: st.permutations([drawn[0][0]] * drawn[1] + drawn[0][1 : 1 + drawn[2]])
)


def shown_to(stars: list[int], n: int, row: int) -> list[int]:
    """Return the rows of the examples in the prompt of a training review."""
    found = balanced_examples(stars, n)
    return found.sets[found.set_of[row]].tolist()


@given(SKEWED, st.integers(1, 4))
def test_where_one_star_occurs_twice_all_prompts_show_as_many_of_it(stars: list[int], n: int) -> None:
    found = balanced_examples(stars, n)
    (star,) = (each for each in set(stars) if stars.count(each) > 1)
    n = min(n, stars.count(star) - 1)
    assert [stars[other] for other in found.of_new] == [star] * n
    for row in range(len(stars)):
        examples = shown_to(stars, n, row)
        assert row not in examples
        assert [stars[other] for other in examples] == [star] * n
        assert examples == sorted(set(examples))


@given(SKEWED, st.integers(1, 4), st.data())
def test_a_review_with_another_star_has_the_same_prompt(stars: list[int], n: int, data: st.DataObject) -> None:
    """As long as the same star alone occurs twice, and the number of examples stays."""
    row = data.draw(st.integers(0, len(stars) - 1))
    (star,) = (each for each in set(stars) if stars.count(each) > 1)
    other = 9 if stars[row] == star else star
    changed = [*stars[:row], other, *stars[row + 1 :]]
    n = min(n, *(each.count(star) - 1 for each in (stars, changed)))
    if n:
        assert shown_to(changed, n, row) == shown_to(stars, n, row)


@given(st.permutations([1, 2, 3, 4, 5]), st.integers(1, 4))
def test_where_no_star_occurs_twice_new_reviews_alone_have_examples(stars: list[int], n: int) -> None:
    found = balanced_examples(stars, n)
    assert [stars[row] for row in found.of_new] == [1, 2, 3, 4, 5]
    assert all(shown_to(stars, n, row) == [] for row in range(5))


def test_the_skewed_draw_of_ten_reviews() -> None:
    stars = [5, 4, 5, 5, 3, 5, 5, 2, 5, 5]
    assert balanced_examples(stars, 2).of_new.tolist() == [0, 2]
    assert [shown_to(stars, 2, row) for row in (0, 1, 2, 3)] == [[2, 3], [0, 2], [0, 3], [0, 2]]


def test_all_skewed_draws_of_the_sample_have_a_prompt() -> None:
    reviews = load_sample()
    for seed in range(30):
        stars = reviews["stars"].sample(8, weights=reviews["stars"] ** 3, random_state=seed).tolist()
        assert all(row not in shown_to(stars, 2, row) for row in range(8))
        assert len(balanced_examples(stars, 2).of_new)


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 100))
def test_the_nearest_ones_come_with_the_most_similar_last(n: int, n_training: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    similarities, allowed = rng.random((3, n_training)), rng.random((3, n_training)) < 0.7
    allowed[:, 0] = True
    for row, rows in enumerate(nearest_examples(similarities, allowed, n)):
        assert allowed[row, rows].all()
        assert len(rows) == min(n, allowed[row].sum())
        assert (np.diff(similarities[row, rows]) >= 0).all()
        left = np.setdiff1d(np.flatnonzero(allowed[row]), rows)
        assert not len(left) or similarities[row, left].max() <= similarities[row, rows].min()
