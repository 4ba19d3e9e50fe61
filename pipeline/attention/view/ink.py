"""Ink that can be read on any colour: black or white, whichever has the higher contrast."""

from collections.abc import Sequence


def luminance(colour: Sequence[float]) -> float:
    """Return the relative luminance of red, green and blue from 0 to 1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


def contrast(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the contrast of two colours: 1 where they are alike, 21 for black on white.

    Examples
    --------
    >>> round(contrast((0, 0, 0), (1, 1, 1)), 2)
    21.0
    """
    low, high = sorted(luminance(colour) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def ink(colour: Sequence[float]) -> str:
    """Return "black" or "white": the one of the higher contrast, which is never below the square root of 21, 4.58.

    Examples
    --------
    >>> ink((1.0, 1.0, 0.9)), ink((0.0, 0.2, 0.35))
    ('black', 'white')
    """
    return "black" if contrast(colour, (0, 0, 0)) >= contrast(colour, (1, 1, 1)) else "white"
