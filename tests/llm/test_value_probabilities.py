"""The probability of each value of a scale from those of next tokens."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.llm.value_probabilities import as_columns, value_probabilities, written_probabilities

TOKENS = "ab1"
SEQUENCES = st.lists(st.text(TOKENS, min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


def made_up(seed: int) -> Callable[[Any], Mapping[str, float]]:
    """Return a model of three tokens whose probabilities depend on all that was before, in whichever form."""

    def next_log_probs(path: Any) -> Mapping[str, float]:
        weights = np.random.default_rng([seed, *map(ord, "".join(path))]).uniform(0.1, 1, len(TOKENS))
        return dict(zip(TOKENS, np.log(weights / weights.sum()), strict=True))

    return next_log_probs


def by_all_texts(values: list[str], model: Callable[[Any], Mapping[str, float]]) -> np.ndarray:
    """Follow each possible text of four tokens until no value goes on with it; there it is a value, or none."""
    found = np.zeros(len(values))
    for text in product(TOKENS, repeat=4):
        p = np.exp(sum(model(text[:place])[token] for place, token in enumerate(text)))
        length = next(n for n in range(5) if not any(v.startswith("".join(text[: n + 1])) for v in values))
        reached = "".join(text[:length])
        if reached in values:
            found[values.index(reached)] += p
    return found


@given(SEQUENCES, st.integers(0, 1000))
def test_it_is_the_share_of_all_texts_that_leave_the_tree_at_the_value(values: list[str], seed: int) -> None:
    model = made_up(seed)
    found = value_probabilities(values, model)
    np.testing.assert_allclose(found, by_all_texts(values, model), rtol=1e-9, atol=1e-12)
    assert 0 <= found.sum() <= 1 + 1e-12


@given(SEQUENCES, st.integers(0, 1000))
def test_texts_of_tokens_give_the_same_where_tokens_are_characters(values: list[str], seed: int) -> None:
    model = made_up(seed)
    found = value_probabilities(values, model)
    # What is less likely than 1 in 10,000 is not followed.
    assume(found.min() > 1e-3)
    np.testing.assert_allclose(written_probabilities(values, model), found, rtol=1e-9)


@given(SEQUENCES)
def test_the_model_is_asked_once_at_each_beginning_of_a_longer_value(values: list[str]) -> None:
    asked: list[tuple[str, ...]] = []

    def model(path: tuple[str, ...]) -> Mapping[str, float]:
        asked.append(path)
        return made_up(0)(path)

    value_probabilities(values, model)
    assert sorted(asked) == sorted({tuple(value[:n]) for value in values for n in range(len(value))})


def test_the_order_of_values_is_kept_and_one_whole_scale_adds_up() -> None:
    after = {(): {1: 0.5, 2: 0.5}, (1,): {0: 0.2, 9: 0.8}}
    found = value_probabilities([[2], [1, 0], [1]], lambda path: {t: np.log(p) for t, p in after[path].items()})
    np.testing.assert_allclose(found, [0.5, 0.1, 0.4])


def test_what_is_not_listed_gets_the_smallest_listed_probability() -> None:
    listed = {"1": np.log(0.6), "x": np.log(0.1)}
    np.testing.assert_allclose(value_probabilities(["1", "2"], lambda _: listed), [0.6, 0.1])
    np.testing.assert_allclose(written_probabilities(["1", "2"], lambda _: listed), [0.6, 0.1])


def test_one_token_of_spaces_may_stand_before_a_value_and_no_more() -> None:
    asked = []

    def model(written: str) -> Mapping[str, float]:
        asked.append(written)
        return {"\n": np.log(0.9), "1": np.log(0.1)}

    np.testing.assert_allclose(written_probabilities(["1"], model), [0.1 + 0.9 * 0.1])
    assert asked == ["", "\n"]


def test_a_chat_is_asked_once() -> None:
    def model(written: str) -> Mapping[str, float]:
        assert written == ""
        return {"1": np.log(0.6), " 2": np.log(0.2), "\n": np.log(0.1), "So": np.log(0.05)}

    np.testing.assert_allclose(written_probabilities(["1", "2"], model, goes_on=False), [0.6, 0.2])


@given(st.lists(st.lists(st.floats(1e-3, 0.2), min_size=5, max_size=5), min_size=1, max_size=4))
def test_columns_are_a_distribution_with_its_mean_and_entropy(rows: list[list[float]]) -> None:
    values = np.arange(1.0, 6)
    columns = as_columns(np.array(rows), values)
    p, expected, entropy = columns[:, :5], columns[:, 5], columns[:, 6]
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(expected, p @ values)
    assert ((entropy >= 0) & (entropy <= np.log(5) + 1e-12)).all()
    np.testing.assert_allclose(entropy, -(p * np.log(p)).sum(axis=1))


def test_a_model_that_never_says_a_value_is_refused_in_one_line() -> None:
    message = "The model gives the 5 values from 1 to 5 a probability of 5e-06 together: it does not go on"
    with pytest.raises(ValueError, match=message):
        as_columns(np.full((3, 5), 1e-6), np.arange(1.0, 6))
    with pytest.raises(ValueError, match=r"a probability of 0 together behind the text at position 1: it does not go"):
        as_columns(np.array([[0.1] * 5, [0.0] * 5]), np.arange(1.0, 6))
    # One text in a strange language is no reason.
    assert as_columns(np.array([[1e-6] * 5, [0.1] * 5]), np.arange(1.0, 6)).shape == (2, 7)
    assert as_columns(np.empty((0, 5)), np.arange(1.0, 6)).shape == (0, 7)
