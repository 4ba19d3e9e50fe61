"""Progress bars: one for a piece of work on its own, or one for all stages that a call runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from multiprocessing import parent_process
from typing import Any

from tqdm import tqdm

_BEGINNING = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone"
_WITH_TIME_LEFT = f"{_BEGINNING}, {{remaining}} left"
# After this share of the work its speed says something.
_ENOUGH = 0.05

_overall: "Overall | None" = None
_common: Any = None


# Seconds that a stage takes beside other work: those of each bar in it, by what the bar shows, and those of the rest.
Expected = Mapping[str, Mapping[str, float]]


class Overall:
    """The bar of all stages, in expected seconds of work.

    Parameters
    ----------
    expected : mapping of str to mapping of str to float
        For each stage the seconds of its bars, by what they show, and of the rest.
    started : float
        When the call began, in seconds since 1970: the average speed since then tells the time left.
    """

    def __init__(self, expected: Expected, started: float):
        self._expected = {stage: sum(seconds.values()) for stage, seconds in expected.items()}
        self._bars = {stage: dict(seconds) for stage, seconds in expected.items()}
        self._of_stage: dict[str, float] = {}
        self._end, self._total = 0.0, sum(self._expected.values())
        self.bar = tqdm(total=self._total, leave=False, delay=2, mininterval=1, smoothing=0)
        self.bar.bar_format = _BEGINNING
        self.bar.start_t = started

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show the progress of a stage, which the block runs."""
        self.bar.desc = name
        self._of_stage = self._bars[name]
        self._end += self._expected[name]
        yield
        self.advance(self._expected[name])

    def seconds(self, desc: str) -> float:
        """Return what a bar counts in the stage that runs; a second one that shows the same counts nothing."""
        return self._of_stage.pop(desc, 0.0)

    def skip_stage(self, name: str) -> None:
        """Count a stage that is up to date."""
        self._end += self._expected[name]
        self.skip(self._expected[name])

    def advance(self, seconds: float) -> None:
        """Count work; a stage that takes longer than expected waits for its end."""
        if self.bar.n - self.bar.initial > _ENOUGH * self._total:
            self.bar.bar_format = _WITH_TIME_LEFT
        # The parts may add up to a rounding more than the whole.
        self.bar.update(max(0.0, min(seconds, min(self._end, self._total) - self.bar.n)))

    def skip(self, seconds: float) -> None:
        """Count work that an earlier call has done, which says nothing about the speed of this one."""
        self.bar.initial += seconds
        self.advance(seconds)


class _Part(nullcontext[Any]):
    """A piece of work that moves the bar of all stages."""

    def __init__(self, overall: Overall, total: float | None, seconds: float):
        super().__init__(self)
        self.overall, self.share = overall, seconds / total if total else 0.0

    def update(self, n: float = 1) -> None:
        self.overall.advance(n * self.share)

    def skip(self, n: float) -> None:
        self.overall.skip(n * self.share)


class _Share(nullcontext[Any]):
    """A piece of work that moves a bar in common."""

    def __init__(self, bar: Any):
        super().__init__(self)
        self.bar = bar

    def update(self, n: float = 1) -> None:
        self.bar.update(n)

    def skip(self, n: float) -> None:
        """Count nothing: who has the bar in common knows what was done before."""


class _Bar(tqdm):
    """A bar for a piece of work on its own."""

    def skip(self, n: float) -> None:
        """Count work that was done before."""
        self.initial += n
        self.update(n)


def progress_bar(total: float | None, desc: str, unit: str | None = None) -> Any:
    """Return a bar that shows itself only once the work has lasted two seconds.

    Parameters
    ----------
    total : float or None
        How many units the work has; None where nobody knows.
    desc : str
        What is shown.
    unit : str, default=None
        What is counted; "B" is shown as kB, MB or GB. None: expected seconds, which are shown as a share alone.

    Returns
    -------
    context manager with `update(n)`, and `skip(n)` for what was done before
    """
    if _common is not None:
        return _Share(_common)
    if _overall is not None:
        return _Part(_overall, total, _overall.seconds(desc))
    shown = {"bar_format": _WITH_TIME_LEFT} if unit is None else {"unit": unit, "unit_scale": unit == "B"}
    # A worker's bar would write across that of the process which started it.
    silent = parent_process() is not None
    return _Bar(total=total, desc=desc, delay=2, mininterval=1, leave=False, disable=silent, **shown)


@contextmanager
def one_bar(total: float, desc: str, unit: str | None = None) -> Iterator[Any]:
    """Advance one bar for all pieces of work in the block, which count the same units; give the bar.

    What a piece skips does not move it: call its `skip` for what was done before.

    Parameters
    ----------
    total, desc, unit
        As in `progress_bar`.
    """
    global _common
    with progress_bar(total, desc, unit) as bar:
        _common = bar
        try:
            yield bar
        finally:
            _common = None


@contextmanager
def no_bars() -> Iterator[None]:
    """Show no bar of the pieces of work in the block: a bar around it shows all of them."""
    global _common
    before, _common = _common, tqdm(disable=True)
    try:
        yield
    finally:
        _common = before


@contextmanager
def overall_progress(expected: Expected, started: float) -> Iterator[Overall]:
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
