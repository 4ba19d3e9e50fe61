"""Which scale the stars of a source are on: the one that is given, the usual one if it fits, or a question."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import PipelineError
from pipeline.scale import FIVE_STARS, MAX_VALUES, Scale

# Scales in use, those with few values first: stars, labels, Likert scales, marks, percent.
_USUAL = [
    *(Scale(low, high) for low, high in ((0, 1), (-1, 1), (0, 2), (1, 5), (0, 4), (0, 5), (1, 6), (1, 7), (0, 6))),
    *(Scale(low, high, 0.5) for low, high in ((1, 5), (0.5, 5), (0, 5))),
    *(Scale(low, high) for low, high in ((-2, 2), (-3, 3), (1, 10), (0, 10), (-5, 5), (0, 20), (1, 20))),
    *(Scale(low, high, step) for low, high, step in ((20, 100, 20), (0, 100, 10), (10, 50, 10), (80, 100, 1))),
    *(Scale(low, high, step) for low, high, step in ((0, 100, 5), (0, 10, 0.5), (0, 1, 0.1), (0, 1, 0.05))),
]
_LABELS = Scale(0, 4)
# Fewer rows than this share, or than these, are mistakes of single rows.
_MISTAKES, _FEW = 0.01, 3
# As many rows may have a code for a missing star, such as 99.
_CODES = 0.1


class Rating(NamedTuple):
    """How the numbers of a source become stars.

    Attributes
    ----------
    scale : Scale
    offset : int
        Added to the numbers: 1 where labels are counted from 0.
    rounded : bool
        Whether numbers between the values of the scale are rounded to them: there are more than a scale can have.
    """

    scale: Scale = FIVE_STARS
    offset: int = 0
    rounded: bool = False

    def stars(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the stars of some numbers; NaN where a number is no value of the scale."""
        numbers = numbers + self.offset
        with np.errstate(invalid="ignore"):
            usable = (
                (numbers >= self.scale.low) & (numbers <= self.scale.high)
                if self.rounded
                else self.scale.contains(numbers)
            )
        stars = np.full(len(numbers), np.nan)
        stars[usable] = self.scale.round(numbers[usable])
        return stars


def likely_scale(numbers: npt.ArrayLike) -> Scale | None:
    """Return the usual scale with the fewest values that holds some numbers and whose highest value they reach.

    Parameters
    ----------
    numbers : array-like
        Finite.

    Returns
    -------
    Scale or None
        Where no usual scale fits, the narrowest one of whole steps; None if that has more than 21 values.

    Examples
    --------
    >>> print(likely_scale([2, 4, 6, 8, 10]))
    1 to 10
    >>> print(likely_scale([1, 3.5, 5]))
    1 to 5 in steps of 0.5
    """
    values = np.unique(np.asarray(numbers, dtype=np.float64))
    fitting = [scale for scale in _USUAL if scale.contains(values).all()]
    reached = [scale for scale in fitting if scale.high == values[-1]]
    if reached or fitting:
        return min(reached or fitting, key=lambda scale: len(scale.values))
    step = float(np.diff(values).min()) if len(values) > 1 else 1.0
    try:
        narrow = Scale(float(values[0]), float(values[-1]), round(step, 6))
    except ValueError:
        return None
    return narrow if narrow.contains(values).all() else None


def rating_of(
    numbers: npt.NDArray[np.float64], labels: bool, given: Scale | None, origin: str, column: str = "label"
) -> Rating:
    """Return how the numbers of a source become stars.

    Parameters
    ----------
    numbers : ndarray
        Of all rows; NaN where a row has none.
    labels : bool
        Whether they stand in a column of labels, which are counted from 0.
    given : Scale or None
        What the user says; rows outside are then mistakes.
    origin, column : str
        Names of the source and of its column of labels, for errors.

    Raises
    ------
    PipelineError
        If no scale is given and the numbers do not fit 1 to 5, or labels 0 to 4, but for mistakes of single rows. It
        names the likely scale and the option.
    """
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Rating(given or FIVE_STARS, int(labels and given is None))
    likely = _likely_without_mistakes(numbers)
    if given is not None:
        between = (numbers >= given.low) & (numbers <= given.high) & ~given.contains(numbers)
        n_values = len(np.unique(numbers[(numbers >= given.low) & (numbers <= given.high)]))
        return Rating(given, 0, rounded=n_values > MAX_VALUES and _are_many(between))
    expected, kind = (_LABELS, "labels") if labels else (FIVE_STARS, "stars")
    # Labels of two or three classes, or counted from 1, are none of five stars.
    others = labels and (numbers.min() > _LABELS.low or numbers.max() < _LABELS.high)
    strange = ~expected.contains(numbers)
    if not (others or _are_many(strange)):
        return Rating(FIVE_STARS, int(labels))
    found = np.unique(numbers[strange] if strange.any() else numbers)
    listed = ", ".join(f"{value:g}" for value in found[:5]) + (" and more" if len(found) > 5 else "")
    span = f"{origin}: the {kind} go from {numbers.min():g} to {numbers.max():g}"
    n_values = len(np.unique(numbers))
    if likely is None:
        many = f"{span} with {n_values} different values, which no scale of at most {MAX_VALUES} even steps holds"
        what = "one to round them to" if n_values > MAX_VALUES else "the one that is meant, the rest is rejected,"
        example = _coarse(numbers) if n_values > MAX_VALUES else FIVE_STARS
        raise PipelineError(f"{many}: give {what} by SCALE= (--scale), such as SCALE='{example.written}'")
    option = f"SCALE='{likely.written}'" if " " in likely.written else f"SCALE={likely.written}"
    if others and not strange.any() and numbers.min() > 0:
        raise PipelineError(
            f"{span}, where 0 is one star: give SCALE=1..5 (--scale) if 1 is one star, SCALE=0..4 if 1 is the second"
        )
    hint = {_LABELS: ", or call the column label if 0 is one star"}
    if labels:
        hint = {FIVE_STARS: f", or STARS={column} (--stars)"}
    where = f"{span}; not on the scale {expected}: {listed}" if strange.any() else f"{span}, not from {expected}"
    if n_fit := int(likely.contains(numbers).sum()) * (not likely.contains(numbers).all()):
        option += f", which {n_fit} of {len(numbers)} rows fit"
    raise PipelineError(f"{where}; give {option} (--scale){hint.get(likely, '')}")


def _are_many(rows: npt.NDArray[np.bool_]) -> bool:
    return int(rows.sum()) >= max(_FEW, _MISTAKES * len(rows))


def _likely_without_mistakes(numbers: npt.NDArray[np.float64]) -> Scale | None:
    """Return the likely scale of the numbers; where none holds all, the usual one that holds all but a few."""
    if likely := likely_scale(numbers):
        return likely
    held = {scale: scale.contains(numbers) for scale in _USUAL}
    good = {scale: numbers[inside] for scale, inside in held.items() if inside.mean() >= 1 - _CODES}
    most = max(map(len, good.values()), default=0)
    return likely_scale(next(found for found in good.values() if len(found) == most)) if good else None


def _coarse(numbers: npt.NDArray[np.float64]) -> Scale:
    """Return the finest scale of round steps around numbers that are too many for one.

    Examples
    --------
    >>> print(_coarse(np.arange(1.0, 102.0)))
    0 to 110 in steps of 10
    """
    low, high = float(numbers.min()), float(numbers.max())
    power = 10.0 ** np.floor(np.log10((high - low) / MAX_VALUES))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = np.floor(low / step), np.ceil(high / step)
        if last - first < MAX_VALUES:
            break
    return Scale(float(first * step), float(last * step), float(step))
