"""One run at a time: the next one waits, says for whom, and goes on when that one has ended, in whatever way."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT

pytestmark = pytest.mark.slow

HOLD = """
import logging, signal, sys
from pathlib import Path
from pipeline.project.lock import alone
# Whoever starts the tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
logging.basicConfig(level=logging.INFO, format="%(message)s")
with alone(Path("locks/.kc.lock"), "kc", sys.argv[1]):
    print("begun", flush=True)
    sys.stdin.readline()
print("ended", flush=True)
"""


def start(directory: Path, doing: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, doing],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def first(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it reads a line."""
    with start(tmp_path, "the stage score") as process:
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


@pytest.fixture
def second(tmp_path: Path, first: subprocess.Popen[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits for the first, and the line in which it says so."""
    with start(tmp_path, "the stage log") as process:
        yield process, process.stderr.readline()
        process.kill()


def test_the_second_says_who_is_at_work_and_waits(
    tmp_path: Path, first: subprocess.Popen[str], second: tuple[subprocess.Popen[str], str]
) -> None:
    process, line = second
    who = f"kc: waiting for process {first.pid} on {socket.gethostname()}, which does the stage score since 2"
    assert line.startswith(who)
    first.communicate("\n")
    assert process.stdout.readline() == "begun\n"
    assert f"process {process.pid} " in (tmp_path / "locks/.kc.holder").read_text()
    assert process.communicate("\n") == ("ended\n", "")
    assert process.returncode == first.returncode == 0
    assert [path.name for path in (tmp_path / "locks").iterdir()] == [".kc.lock"]


def test_a_killed_process_holds_nothing(
    first: subprocess.Popen[str], second: tuple[subprocess.Popen[str], str]
) -> None:
    process, _ = second
    first.kill()
    assert process.stdout.readline() == "begun\n"
    assert process.communicate("\n") == ("ended\n", "")


def test_ctrl_c_ends_the_wait_and_leaves_the_lock_to_its_holder(
    tmp_path: Path, first: subprocess.Popen[str], second: tuple[subprocess.Popen[str], str]
) -> None:
    process, _ = second
    process.send_signal(signal.SIGINT)
    assert "begun" not in process.communicate()[0]
    assert process.returncode == -signal.SIGINT
    assert f"process {first.pid} " in (tmp_path / "locks/.kc.holder").read_text()
    assert first.communicate("\n")[0] == "ended\n"
