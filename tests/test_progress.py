"""One bar for all stages: each goes on where the one before ended, and the bar tells the time left."""

import time
from collections.abc import Iterator

import pytest

from pipeline import progress
from pipeline.progress import Overall, overall_progress, progress_bar

EXPECTED = {"features": {"rest": 30.0}, "score": {"rest": 10.0, "work": 40.0}, "curves": {"rest": 15.0, "work": 5.0}}


@pytest.fixture
def overall() -> Iterator[Overall]:
    """The bar of a call that began a minute ago, after its first stage."""
    with overall_progress(EXPECTED, time.time() - 60) as bar:
        with bar.stage("features"):
            pass
        yield bar


def test_a_piece_of_work_on_its_own_has_a_bar_of_its_own() -> None:
    with progress_bar(10, "work", "step") as bar:
        bar.update(3)
        bar.skip(2)
        assert (bar.n, bar.total, bar.initial) == (5, 10, 2)


def test_pieces_of_work_move_the_bar_of_all_stages(overall: Overall) -> None:
    with overall.stage("score"):
        assert (overall.bar.n, overall.bar.total) == (30, 100)
        with progress_bar(4, "work", "step") as part:
            part.update()
            assert overall.bar.n == pytest.approx(40)
            part.update(2)
        assert overall.bar.n == pytest.approx(60)
        with progress_bar(2, "what nobody expects", "step") as part:
            part.update(2)
        with progress_bar(2, "work", "step") as part:
            part.update(2)
        # It counts once: 30 of 40 seconds are done.
        assert overall.bar.n == pytest.approx(60)
        overall.advance(99)
        # A stage that takes longer than expected waits for its end.
        assert overall.bar.n == pytest.approx(80)
    assert overall.bar.n == pytest.approx(80)


def test_a_stage_that_took_less_than_expected_is_counted_in_full(overall: Overall) -> None:
    assert overall.bar.n == pytest.approx(30)
    with overall.stage("score"), progress_bar(4, "work", "step") as part:
        part.update(1)
    assert overall.bar.n == pytest.approx(80)


def test_the_time_left_comes_from_the_speed_so_far_without_what_was_done_before(overall: Overall) -> None:
    with overall.stage("score"):
        with progress_bar(40, "work", "step") as part:
            part.skip(30)
            part.update(5)
        state = overall.bar.format_dict
        # 30 + 5 expected seconds of work in a minute; 35 are left.
        speed = (state["n"] - state["initial"]) / state["elapsed"]
        assert speed == pytest.approx(35 / 60, rel=0.05)
        assert (state["total"] - state["n"]) / speed == pytest.approx(60, rel=0.05)
        assert "gone, " in str(overall.bar)
        assert str(overall.bar).startswith("score: ")
        assert str(overall.bar).endswith(" left")


def test_a_stage_that_is_up_to_date_is_done_and_says_nothing_of_the_speed(overall: Overall) -> None:
    overall.skip_stage("score")
    assert (overall.bar.n, overall.bar.initial) == (80, 50)
    with overall.stage("curves"), progress_bar(5, "work", "step") as part:
        part.update(3)
        assert overall.bar.n == pytest.approx(83)


def test_no_time_is_told_before_there_is_a_speed() -> None:
    with (
        overall_progress(EXPECTED, time.time()) as overall,
        overall.stage("features"),
    ):
        overall.advance(3)
        assert str(overall.bar).endswith(" gone")


def test_an_error_in_a_stage_closes_the_bar() -> None:
    with (
        pytest.raises(ValueError, match="stop"),
        overall_progress(EXPECTED, time.time()) as overall,
        overall.stage("features"),
    ):
        raise ValueError("stop")
    assert progress._overall is None
