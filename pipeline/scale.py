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
        written = f"{self.low:g}..{self.high:g} step {self.step:g}"
        if not (np.isfinite([self.low, self.high, self.step]).all() and self.low < self.high and self.step > 0):
            raise ValueError(f"The scale {written} has no two values in ascending order: {_EXPECTED}.")
        n_steps = (self.high - self.low) / self.step
        if abs(n_steps - round(n_steps)) > 1e-9:
            raise ValueError(f"The scale {written} does not reach its highest value in whole steps: {_EXPECTED}.")
        if round(n_steps) >= MAX_VALUES:
            raise ValueError(
                f"The scale {written} has {round(n_steps) + 1} values, at most {MAX_VALUES} are possible: "
                "give larger steps and round the stars to them."
            )

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
        return f"{self.low:g}..{self.high:g}" + ("" if self.step == 1 else f" step {self.step:g}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + ("" if self.step == 1 else f" in steps of {self.step:g}")

    @cached_property
    def values(self) -> Array:
        """All values, in ascending order."""
        return np.round(self.low + self.step * np.arange(round((self.high - self.low) / self.step) + 1), 9)

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return bool((self.values % 1 == 0).all())

    def contains(self, stars: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return which of the stars are values of the scale; NaN is none."""
        stars = np.asarray(stars, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            return (np.abs(stars - self.round(stars)) < 1e-6) & np.isfinite(stars)

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
            position = int(np.flatnonzero(~good.ravel())[0])
            raise ValueError(
                f"{name} holds {stars.ravel()[position]:g} at position {position}, which is no value of the scale "
                f"{self}: give the scale of the data."
            )
        return self.round(stars)

    def clip(self, predictions: npt.ArrayLike) -> Array:
        """Return predictions no lower than the lowest and no higher than the highest value."""
        return np.clip(np.asarray(predictions, dtype=np.float64), self.low, self.high)

    def position(self, predictions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return which value each prediction is nearest to, from 0; halves go up.

        Raises
        ------
        ValueError
            If a prediction is NaN: it is near to no value.
        """
        clipped = self.clip(predictions)
        if np.isnan(clipped).any():
            raise ValueError("The predictions hold NaN, which is near to no star: mend the model.")
        return np.floor((clipped - self.low) / self.step + (0.5 + 1e-9)).astype(np.int64)

    def round(self, predictions: npt.ArrayLike) -> Array:
        """Return the value that each prediction is nearest to; halves go up, NaN stays.

        Examples
        --------
        >>> Scale(1, 5).round([0.2, 2.5, 3.49, 7.0]).tolist()
        [1.0, 3.0, 3.0, 5.0]
        """
        clipped = self.clip(predictions)
        known = ~np.isnan(clipped)
        rounded = np.full(clipped.shape, np.nan)
        rounded[known] = self.values[self.position(clipped[known])]
        return rounded


FIVE_STARS = Scale(1, 5)
