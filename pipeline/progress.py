"""Progress bars: one for a piece of work on its own, or one for all stages that a call of make runs."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

# Set by make when it starts, in seconds since 1970: the bar of each stage goes on where the one before ended.
STARTED = "PIPELINE_STARTED"

_BEGINNING = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone"
_WITH_TIME_LEFT = f"{_BEGINNING}, {{remaining}} left"
# After this share of the work its speed says something.
_ENOUGH = 0.05

_whole: "_Whole | None" = None


class _Whole:
    """The bar of all stages, in expected seconds of work."""

    def __init__(self, done: float, seconds: float, after: float, desc: str):
        # The average speed since make was started tells the time left.
        self.bar = tqdm(total=done + seconds + after, desc=desc, leave=False, delay=2, mininterval=1, smoothing=0)
        self.bar.bar_format = _BEGINNING
        self.bar.start_t = float(os.environ[STARTED])
        self.bar.n = done
        self.end = done + seconds
        self.enough = _ENOUGH * (done + seconds + after)

    def advance(self, seconds: float) -> None:
        if self.bar.n - self.bar.initial > self.enough:
            self.bar.bar_format = _WITH_TIME_LEFT
        self.bar.update(min(seconds, self.end - self.bar.n))

    def skip(self, seconds: float) -> None:
        """Count work that an earlier call has done, which says nothing about the speed of this one."""
        self.bar.initial += seconds
        self.advance(seconds)


class _Part:
    """A piece of work that moves the bar of all stages."""

    def __init__(self, whole: _Whole, total: float, seconds: float):
        self.whole, self.share = whole, seconds / total if total else 0.0

    def update(self, n: float = 1) -> None:
        self.whole.advance(n * self.share)

    def skip(self, n: float) -> None:
        self.whole.skip(n * self.share)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Bar(tqdm):
    """A bar for a piece of work on its own."""

    def skip(self, n: float) -> None:
        """Count work that was done before."""
        self.initial += n
        self.update(n)


def progress_bar(total: float, desc: str, unit: str, seconds: float = 0.0) -> Any:
    """Return a bar that shows itself only once the work has lasted two seconds.

    Parameters
    ----------
    total : float
        How many units the work has.
    desc, unit : str
        What is shown.
    seconds : float, default=0.0
        How long it takes beside other work, for the bar of all stages, if that is what is shown.

    Returns
    -------
    context manager with `update(n)`, and `skip(n)` for what was done before
    """
    if _whole is not None:
        return _Part(_whole, total, seconds)
    return _Bar(total=total, desc=desc, unit=unit, delay=2, mininterval=1, leave=False)


@contextmanager
def one_bar_for_all(stage: str, expected: dict[str, float], ran: list[str]) -> Iterator[None]:
    """Show the progress of all stages in the block, which runs one of them.

    Parameters
    ----------
    stage : str
        The one that runs.
    expected : dict of str to float
        Seconds that each stage takes, in their order, from the first one that make runs to the last.
    ran : list of str
        Those that this call of make has run before.
    """
    global _whole
    names = list(expected)
    later = names[names.index(stage) + 1 :]
    done = sum(expected[name] for name in ran)
    _whole = _Whole(done, expected[stage], sum(expected[name] for name in later), stage)
    try:
        yield
    finally:
        _whole.bar.close()
        _whole = None


def started() -> float | None:
    """Return when make was started to run all stages; None if it was not."""
    value = os.environ.get(STARTED)
    return float(value) if value and float(value) <= time.time() else None
