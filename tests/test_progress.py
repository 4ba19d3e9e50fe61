"""One bar for all stages: each goes on where the one before ended, and the bar tells the time left."""

import io
import math
import re
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from pipeline import progress
from pipeline.progress import Overall, no_bars, one_bar, overall_progress, progress_bar

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


class Terminal(io.StringIO):
    """A stream that passes for a terminal."""

    def isatty(self) -> bool:
        return True


def shown(total: float, unit: str | None, *steps: float, skipped: float = 0) -> str:
    """Return the last line that a bar on its own draws."""
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        with progress_bar(total, "work", unit) as bar:
            bar.fp, bar.ncols, bar.delay = stream, 100, 0
            bar.skip(skipped)
            for step in steps:
                bar.update(step)
            bar.refresh()
    return [line for line in stream.getvalue().replace("\n", "\r").split("\r") if line.strip()][-1]


@pytest.mark.parametrize("skipped", [0, 12.1])
def test_a_bar_of_expected_seconds_shows_a_share_and_no_raw_number(skipped: float) -> None:
    line = shown(637.3039999999936, None, *[0.1 * i for i in range(40)], skipped=skipped)
    assert re.fullmatch(rf"work: +{12 + 2 * bool(skipped)}%\|.*\| 00:0\d gone, \S+ left", line)


@given(
    total=strategies.floats(0.1, 1e9),
    share=strategies.just(0.0) | strategies.floats(1e-6, 1),
    unit=strategies.sampled_from([None, "B", "review"]),
)
def test_no_bar_shows_a_raw_number(total: float, share: float, unit: str | None) -> None:
    if unit is not None:
        total = math.ceil(total)
    done = total * share if unit is None else int(total * share)
    line = shown(total, unit, done / 3 if unit is None else done)
    assert not re.search(r"\d\.\d{3}", line), line


def test_a_bar_of_bytes_is_in_larger_units() -> None:
    assert "1.50G/3.00G" in shown(3_000_000_000, "B", 1_500_000_000)


def test_pieces_of_work_advance_one_bar_in_common() -> None:
    with one_bar(10, "all", "review") as bar:
        with progress_bar(4, "some", "review") as part:
            part.skip(1)
            part.update(3)
        with progress_bar(6, "others", "review") as part:
            part.update(2)
        assert bar.n == 5
        bar.skip(5)
        assert (bar.n, bar.initial) == (10, 5)
    with progress_bar(3, "alone", "review") as alone:
        assert alone is not bar


def test_pieces_of_work_beside_another_bar_show_and_move_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(10, "all", "review") as bar, no_bars():
        with progress_bar(4, "a piece", "review") as piece:
            piece.update(4)
            piece.skip(1)
        bar.update(5)
        assert bar.n == 5
    with progress_bar(4, "later", "review") as later:
        later.update(1)
        assert later.n == 1
    assert "a piece" not in capsys.readouterr().err
