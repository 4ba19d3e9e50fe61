"""Work in processes: each item once, workers that are shared in a block, and an error where one is killed."""

import os
import signal

import pytest

from pipeline.errors import PipelineError
from pipeline.experiment.workers import in_parallel, kept


def process_of(_: int) -> int:
    return os.getpid()


def end(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(autouse=True)
def _two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.experiment.workers.n_cores", lambda: 2)


def test_calls_in_a_block_share_their_workers() -> None:
    with kept():
        first, second = set(in_parallel(process_of, range(8))), set(in_parallel(process_of, range(8)))
    assert os.getpid() not in first
    assert len(first | second) <= 2
    assert not (first | second) & set(in_parallel(process_of, range(2)))


def test_a_killed_worker_is_an_error_and_the_next_call_has_new_ones() -> None:
    with kept():
        with pytest.raises(PipelineError, match=r"a worker was killed.* fewer workers than 2"):
            list(in_parallel(end, [0, 1, 2]))
        assert sorted(in_parallel(end, [0, 2, 3])) == [0, 2, 3]


def test_one_item_is_done_here() -> None:
    assert list(in_parallel(process_of, [0])) == [os.getpid()]
