"""What was answered is kept: by prompt, in files of 32, and before an error."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.llm.answers import ask
from pipeline.llm.prompts import Prompt
from pipeline.llm.readers import Reading

VALUES = ["1", "2"]


class Model:
    """Answers with the length of a review, and dies after so many."""

    def __init__(self, lives: int = 1000):
        self.lives, self.asked = lives, list[Prompt]()

    def __call__(self, prompt: Prompt, values: Sequence[str]) -> Reading:
        if len(self.asked) == self.lives:
            raise OSError("The server is gone.")
        self.asked.append(prompt)
        return Reading(np.array([0.5, len(prompt.review) / 1000]), len(prompt.review) > 50, 7, 3)


def prompts(n: int, shared: str = "") -> list[Prompt]:
    return [Prompt(shared, "", "x" * length, chat=False) for length in range(n)]


def shards(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.safetensors"))


def test_answers_come_in_the_order_of_the_prompts_and_equal_ones_are_asked_once() -> None:
    model, asked = Model(), prompts(3)
    found = ask([asked[2], asked[0], asked[2]], VALUES, model, "key", None)
    np.testing.assert_array_equal(found.probabilities, [[0.5, 0.002], [0.5, 0], [0.5, 0.002]])
    assert (found.n_asked, found.n_found, found.n_evaluated, found.n_shared) == (2, 0, 14, 6)
    assert ask([], VALUES, model, "key", None).probabilities.shape == (0, 2)


def test_prompts_with_the_same_beginning_are_asked_one_after_another() -> None:
    model = Model()
    both = [prompt for pair in zip(prompts(3, "a"), prompts(3, "b"), strict=True) for prompt in pair]
    ask(both, VALUES, model, "key", None)
    assert [prompt.shared for prompt in model.asked] == list("aaabbb")


def test_what_an_earlier_call_has_asked_is_not_asked_again(tmp_path: Path) -> None:
    first = ask(prompts(70), VALUES, Model(), "key", tmp_path)
    assert len(shards(tmp_path)) == 3
    model = Model()
    found = ask(prompts(80), VALUES, model, "key", tmp_path)
    assert (found.n_asked, found.n_found, len(model.asked)) == (10, 70, 10)
    np.testing.assert_array_equal(found.probabilities[:70], first.probabilities)
    np.testing.assert_array_equal(found.was_cut, np.arange(80) > 50)


@pytest.mark.parametrize(
    ("key", "values", "shared", "chat"),
    [
        ("other", VALUES, "", False),
        ("key", ["1", "3"], "", False),
        ("key", VALUES, "Rule.", False),
        ("key", VALUES, "", True),
    ],
)
def test_another_model_scale_prompt_or_template_is_asked_anew(
    tmp_path: Path, key: str, values: list[str], shared: str, chat: bool
) -> None:
    ask(prompts(3), VALUES, Model(), "key", tmp_path)
    changed = [Prompt(shared, "", prompt.review, chat) for prompt in prompts(3)]
    assert ask(changed, values, Model(), key, tmp_path).n_found == 0


def test_what_was_answered_before_an_error_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        ask(prompts(60), VALUES, Model(lives=40), "key", tmp_path)
    assert ask(prompts(60), VALUES, Model(), "key", tmp_path).n_found == 40


def test_a_kill_loses_no_finished_file(tmp_path: Path) -> None:
    """As if the process had ended without a word: only what was written is there."""
    kept: list[int] = []

    def model(prompt: Prompt, values: Sequence[str]) -> Reading:
        kept.append(len(shards(tmp_path)))
        return Reading(np.array([0.5, 0.1]))

    ask(prompts(70), VALUES, model, "key", tmp_path)
    assert kept == [0] * 32 + [1] * 32 + [2] * 6


def test_after_twenty_seconds_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.llm.answers._SECONDS", 0.0)
    ask(prompts(3), VALUES, Model(), "key", tmp_path)
    assert len(shards(tmp_path)) == 3


def test_a_damaged_file_is_asked_anew(tmp_path: Path) -> None:
    ask(prompts(40), VALUES, Model(), "key", tmp_path)
    first, second = shards(tmp_path)
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(b"")
    assert ask(prompts(40), VALUES, Model(), "key", tmp_path).n_asked == 40
