"""Progress bars: one for a piece of work on its own, or one for all stages that a call runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

_BEGINNING = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone"
_WITH_TIME_LEFT = f"{_BEGINNING}, {{remaining}} left"
# After this share of the work its speed says something.
_ENOUGH = 0.05

_overall: "Overall | None" = None


class Overall:
    """The bar of all stages, in expected seconds of work.

    Parameters
    ----------
    expected : mapping of str to float
        Seconds that each stage takes.
    started : float
        When the call began, in seconds since 1970: the average speed since then tells the time left.
    """

    def __init__(self, expected: Mapping[str, float], started: float):
        self._expected = expected
        self._enough = _ENOUGH * sum(expected.values())
        self._end = 0.0
        self.bar = tqdm(total=sum(expected.values()), leave=False, delay=2, mininterval=1, smoothing=0)
        self.bar.bar_format = _BEGINNING
        self.bar.start_t = started

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show the progress of a stage, which the block runs."""
        self.bar.desc = name
        self._end += self._expected[name]
        yield
        self.advance(self._expected[name])

    def skip_stage(self, name: str) -> None:
        """Count a stage that is up to date."""
        self._end += self._expected[name]
        self.skip(self._expected[name])

    def advance(self, seconds: float) -> None:
        """Count work; a stage that takes longer than expected waits for its end."""
        if self.bar.n - self.bar.initial > self._enough:
            self.bar.bar_format = _WITH_TIME_LEFT
        self.bar.update(min(seconds, self._end - self.bar.n))

    def skip(self, seconds: float) -> None:
        """Count work that an earlier call has done, which says nothing about the speed of this one."""
        self.bar.initial += seconds
        self.advance(seconds)


class _Part:
    """A piece of work that moves the bar of all stages."""

    def __init__(self, overall: Overall, total: float, seconds: float):
        self.overall, self.share = overall, seconds / total if total else 0.0

    def update(self, n: float = 1) -> None:
        self.overall.advance(n * self.share)

    def skip(self, n: float) -> None:
        self.overall.skip(n * self.share)

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
        How long the work takes beside other work, for the bar of all stages.

    Returns
    -------
    context manager with `update(n)`, and `skip(n)` for what was done before
    """
    if _overall is not None:
        return _Part(_overall, total, seconds)
    return _Bar(total=total, desc=desc, unit=unit, delay=2, mininterval=1, leave=False)


@contextmanager
def overall_progress(expected: Mapping[str, float], started: float) -> Iterator[Overall]:
    """Advance one bar for all stages in the block, in place of a bar for each piece of work.

    Parameters
    ----------
    expected, started
        As in `Overall`.
    """
    global _overall
    _overall = Overall(expected, started)
    try:
        yield _overall
    finally:
        _overall.bar.close()
        _overall = None
