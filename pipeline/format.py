"""Figures, tables and texts as they are shown to a reader."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

_DECIMALS = 6  # beyond which figures are written with a power of ten


def number(value: Any, digits: int = 2, sign: bool = False) -> str:
    """Return a figure with so many decimals, a dash where there is none; more than 6 are cut by a power of ten.

    Examples
    --------
    >>> number(0.125, 2), number(0.125, 2, sign=True), number(None), number(1.234e-9, 11)
    ('0.12', '+0.12', '–', '1.23e-09')
    """
    if pd.isna(value):
        return "–"
    written = f".{digits}f"
    if digits > _DECIMALS and value:
        written = f".{max(0, digits + math.floor(math.log10(abs(value))))}e"
    text = f"{value:{'+' if sign else ''}{written}}"
    return text.lstrip("+-") if float(text) == 0 else text


def interval(value: Any, low: Any, high: Any, digits: int = 2, sign: bool = False) -> str:
    """Return a figure with its 95% interval.

    Examples
    --------
    >>> interval(0.7, 0.65, 0.75), interval(float("nan"), 0, 1)
    ('0.70 (0.65 to 0.75)', '–')
    """
    shown = number(value, digits, sign)
    if pd.isna([value, low, high]).any():
        return shown
    return f"{shown} ({number(low, digits, sign)} to {number(high, digits, sign)})"


def short(value: Any) -> str:
    """Return a positive figure of any size with two or three digits.

    Examples
    --------
    >>> [short(value) for value in (0, 0.000012, 0.0456, 7.891, 12345.6)]
    ['0', '0.000012', '0.046', '7.89', '12346']
    """
    if pd.isna(value):
        return "–"
    if value <= 0:
        return "0"
    magnitude = math.floor(math.log10(value))
    return f"{value:.{max(0, 2 - magnitude) if magnitude >= 0 else 1 - magnitude}f}"


def p_text(p: Any) -> str:
    """Return a p-value; below a thousandth only that it is.

    Examples
    --------
    >>> p_text(0.0004), p_text(0.0312)
    ('< 0.001', '0.031')
    """
    return "< 0.001" if p < 0.001 else number(p, 3)


def duration(seconds: float) -> str:
    """Return a time in seconds, from three minutes on in minutes.

    Examples
    --------
    >>> duration(4.21), duration(42.1), duration(421)
    ('4.2 s', '42 s', '7 min')
    """
    if seconds < 180:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min"


def counted(n: int, noun: str) -> str:
    """Return a number with a noun, which gets an s but for 1.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2000 rows')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(parts: Sequence[str]) -> str:
    """Return parts as a list in a sentence.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def escape_markdown(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line.

    Examples
    --------
    >>> escape_markdown("t_metrics | *T*")
    't\\_metrics \\| \\*T\\*'
    """
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))


def printable(text: str) -> str:
    r"""Return a stranger's text with a space for each character that would steer a terminal; line breaks stay.

    Examples
    --------
    >>> printable("red \x1b[31m\nfood")
    'red  [31m\nfood'
    """
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def cut(text: str, width: int) -> str:
    """Return the text as one line of at most so many columns of a terminal; an ellipsis stands for what is cut.

    Examples
    --------
    >>> cut("attention", 5), cut("注意力機構", 5), cut("cat", 5)
    ('atte…', '注意…', 'cat')
    """
    from wcwidth import wcswidth

    whole = "".join(c if c.isprintable() else " " for c in text).rstrip()
    # A long text is not measured to its end; accents take no column.
    text = whole[: 4 * width]
    if text == whole and wcswidth(text) <= width:
        return text
    while wcswidth(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def split_long(text: str, length: int = 600) -> tuple[str, str]:
    """Return a text in two parts: what is shown at once, and the rest, empty where the text is short.

    Examples
    --------
    >>> split_long("Good food, lovely people", 12)
    ('Good food,', ' lovely people')
    """
    if len(text) <= length:
        return text, ""
    place = text.rfind(" ", length // 2, length)
    place = length if place < 0 else place
    return text[:place], text[place:]
