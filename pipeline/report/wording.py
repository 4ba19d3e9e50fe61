"""Sentences of the report that are made from figures."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

_MAKE_OPTIONS = {"--data": "DATA", "--file": "FILE", "--train": "TRAIN", "--test": "TEST"}
_MAKE_OPTIONS |= {"--limit": "LIMIT", "--name": "NAME"}


def draws_in_words(curves: pd.DataFrame) -> str:
    """Return how often the training reviews were drawn at which sizes.

    Examples
    --------
    >>> draws_in_words(pd.DataFrame({"n_train": [10, 20, 50, 384], "n_draws": [30, 30, 5, 1]}))
    '30 draws each of 10 to 20 reviews, 5 draws of 50, all 384 once'
    """
    sizes = curves.groupby("n_train")["n_draws"].max()
    *smaller, last = sizes.index
    parts: list[str] = []
    for n_draws, own in sizes.loc[smaller].groupby(sizes.loc[smaller], sort=False):
        first, final = own.index[0], own.index[-1]
        draws = f"{n_draws} draws" if n_draws > 1 else "one draw"
        reviews = "" if parts else " reviews"
        parts.append(f"{draws} each of {first} to {final}{reviews}" if len(own) > 1 else f"{draws} of {first}{reviews}")
    return ", ".join([*parts, f"all {last} once"])


def dispersion_in_words(line: dict[str, Any]) -> str:
    """Return what the calibration of a side means.

    Parameters
    ----------
    line : dict
        With side, sd_ratio, slope_true and bias: a row of calibration.csv.

    Examples
    --------
    >>> import textwrap
    >>> words = dispersion_in_words({"side": "T", "sd_ratio": 1.4, "slope_true": 0.6, "bias": 0.02})
    >>> print(textwrap.fill(words, 100))
    T is over-dispersed: its predictions spread 1.40 times as wide as the stars. One star more in the
    prediction goes with 0.60 stars more in truth; on average it is 0.02 stars too high.
    """
    ratio, slope = line["sd_ratio"], line["slope_true"]
    if pd.isna(ratio):
        return f"{line['side']}: the spread is not defined, since the held-out stars do not differ."
    kind = "over-dispersed" if ratio > 1.05 else "under-dispersed" if ratio < 0.95 else "about as wide as the stars"
    text = f"{line['side']} is {kind}: its predictions spread {ratio:.2f} times as wide as the stars."
    if pd.isna(slope):
        return text
    return (
        f"{text} One star more in the prediction goes with {slope:.2f} stars more in truth; "
        f"on average it is {abs(line['bias']):.2f} stars too {'high' if line['bias'] > 0 else 'low'}."
    )


def make_command(options: str) -> str:
    """Return the make command that repeats a run, for a shell.

    Parameters
    ----------
    options : str
        What make keeps in ``data/prepared/<dataset>/.options``.

    Examples
    --------
    >>> make_command("--data 'file' --name 'my reviews' --file 'a b.csv'")
    "make all DATA=file NAME='my reviews' FILE='a b.csv'"
    >>> make_command("--data 'sample' --name 'sample'")
    'make all'
    """
    words = shlex.split(options)
    given = dict(zip(words[::2], words[1::2], strict=False))
    if given == {"--data": "sample", "--name": "sample"}:
        return "make all"
    # make itself would read a dollar sign as the start of a variable.
    values = (f"{_MAKE_OPTIONS[key]}={shlex.quote(value.replace('$', '$$'))}" for key, value in given.items())
    return " ".join(["make all", *values])


def cut(text: str, length: int = 600) -> tuple[str, str]:
    """Return a text in two parts: what is shown at once, and the rest, empty where the text is short.

    Examples
    --------
    >>> cut("Good food, lovely people", 12)
    ('Good food,', ' lovely people')
    """
    if len(text) <= length:
        return text, ""
    place = text.rfind(" ", length // 2, length)
    place = length if place < 0 else place
    return text[:place], text[place:]


def read_options(path: Path) -> str | None:
    """Return the options that make kept, or None where the stages were not run by make."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
