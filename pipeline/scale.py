"""The rating scale that stars are given on: 1 to 5 unless the data says otherwise."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MAX_VALUES = 21
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_WRITTEN = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+step\s+({_NUMBER}))?\s*")
_EXPECTED = "give it as LOW..HIGH or LOW..HIGH step STEP, such as 1..10 or 1..5 step 0.5"


@dataclass(frozen=True)
class Scale:
    """Evenly spaced values from the lowest to the highest star.

    Parameters
    ----------
    low, high : float
        The lowest and the highest value.
    step : float, default=1
        From one value to the next.

    Raises
    ------
    ValueError
        If `high` is not a whole number of steps above `low`, or the scale has more than 21 values.

    Examples
    --------
    >>> Scale.parse("1..5 step 0.5").values.tolist()
    [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    >>> print(Scale(0, 10))
    0 to 10
    """

    low: float
    high: float
    step: float = 1

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high, self.step]).all() and self.low < self.high and self.step > 0):
            raise ValueError(f"The scale {self.written} has no two values in ascending order: {_EXPECTED}.")
        n_steps = (self.high - self.low) / self.step
        if abs(n_steps - round(n_steps)) > 1e-9:
            raise ValueError(f"The scale {self.written} does not reach its highest value in whole steps: {_EXPECTED}.")
        if round(n_steps) >= MAX_VALUES:
            raise ValueError(
                f"The scale {self.written} has {round(n_steps) + 1} values, at most {MAX_VALUES} are possible: "
                "give larger steps and round the stars to them."
            )

    def __reduce__(self) -> tuple[type[Self], tuple[float, float, float]]:
        # What is cached is no part of a pickle, which names the scale in digests.
        return type(self), (self.low, self.high, self.step)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the scale that a text such as ``1..10`` or ``1..5 step 0.5`` names.

        Raises
        ------
        ValueError
            If the text names no scale.
        """
        if not (written := _WRITTEN.fullmatch(text)):
            raise ValueError(f"{text!r} is no scale: {_EXPECTED}.")
        low, high, step = written.groups(default="1")
        return cls(float(low), float(high), float(step))

    @property
    def written(self) -> str:
        """The scale as `parse` reads it."""
        return f"{_shown(self.low)}..{_shown(self.high)}" + ("" if self.step == 1 else f" step {_shown(self.step)}")

    def __str__(self) -> str:
        steps = "" if self.step == 1 else f" in steps of {_shown(self.step)}"
        return f"{_shown(self.low)} to {_shown(self.high)}{steps}"

    @cached_property
    def values(self) -> Array:
        """All values, in ascending order."""
        steps = np.arange(round((self.high - self.low) / self.step) + 1, dtype=np.float64)
        return np.round(self.low + self.step * steps, 9)

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return bool((self.values % 1 == 0).all())

    def contains(self, stars: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which of the stars are values of the scale; NaN is none."""
        stars = np.asarray(stars, dtype=np.float64)
        known = np.isfinite(stars)
        numbers = np.where(known, stars, self.low)
        return known & (np.abs(numbers - self.round(numbers)) < 1e-6 * self.step)

    def check(self, stars: npt.ArrayLike, name: str = "stars") -> Array:
        """Return stars as floats, each exactly a value of the scale.

        Parameters
        ----------
        stars : array-like
        name : str
            What the error calls them.

        Raises
        ------
        ValueError
            If one of them is no value of the scale.

        Examples
        --------
        >>> Scale(1, 5).check([1, 6])
        Traceback (most recent call last):
        ValueError: stars holds 6 at position 1, which is no value of the scale 1 to 5: give the scale of the data.
        """
        stars = np.asarray(stars, dtype=np.float64)
        if not (good := self.contains(stars)).all():
            position = int(np.flatnonzero(~good)[0])
            star = stars.ravel()[position]
            hint = "leave out what has no star" if np.isnan(star) else "give the scale of the data"
            raise ValueError(
                f"{name} holds {_shown(star)} at position {position}, which is no value of the scale {self}: {hint}."
            )
        return self.round(stars)

    def clip(self, predictions: npt.ArrayLike) -> Array:
        """Return predictions no lower than the lowest and no higher than the highest value.

        Raises
        ------
        ValueError
            If a prediction is NaN or infinite.
        """
        return np.clip(finite(predictions), self.low, self.high)

    def position(self, predictions: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Return which value each prediction is nearest to, from 0; halves go up.

        Raises
        ------
        ValueError
            If a prediction is NaN or infinite.
        """
        # Rounded as the values are, so that 1.15 lies half way from 1.1 to 1.2.
        middles = np.round((self.values[1:] + self.values[:-1]) / 2, 9)
        return np.searchsorted(middles, finite(predictions), side="right")

    def round(self, predictions: npt.ArrayLike) -> Array:
        """Return the value that each prediction is nearest to; halves go up.

        Raises
        ------
        ValueError
            If a prediction is NaN or infinite.

        Examples
        --------
        >>> Scale(1, 5).round([0.2, 2.5, 3.49, 7.0]).tolist()
        [1.0, 3.0, 3.0, 5.0]
        """
        return self.values[self.position(predictions)]

    def convert(self, stars: npt.ArrayLike, to: "Scale") -> Array:
        """Return stars on another scale: the lowest value becomes the lowest, the highest the highest.

        Examples
        --------
        >>> Scale(1, 5).convert([1, 3, 5.5], to=Scale(0, 10)).tolist()
        [0.0, 5.0, 11.25]
        """
        stars = np.asarray(stars, dtype=np.float64)
        if self == to:
            return stars
        return to.low + (stars - self.low) * (to.high - to.low) / (self.high - self.low)


def finite(predictions: npt.ArrayLike, name: str = "The predictions") -> Array:
    """Return predictions as floats.

    Parameters
    ----------
    predictions : array-like
    name : str
        What the error calls them.

    Raises
    ------
    ValueError
        If one of them is NaN or infinite.
    """
    predictions = np.asarray(predictions, dtype=np.float64)
    if len(wrong := np.flatnonzero(~np.isfinite(predictions))):
        value = predictions.ravel()[wrong[0]]
        raise ValueError(f"{name} must be finite numbers, got {value:g} at position {wrong[0]}: mend the model.")
    return predictions


def _shown(number: float) -> str:
    """Return a number in full, without an exponent."""
    return np.format_float_positional(number, trim="-")


FIVE_STARS = Scale(1, 5)
