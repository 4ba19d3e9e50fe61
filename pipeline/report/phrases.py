"""Parts of the sentences that tell the answer: sides, numbers of reviews, and how many times as fast."""

from collections.abc import Sequence
from itertools import groupby

from pipeline.format import listed

_TIMES = ("twice", *(f"{n} times" for n in ("three", "four", "five", "six", "seven", "eight", "nine", "ten")))


def the(name: str) -> str:
    """Return the name of a side inside a sentence: with an article where it names one method or model.

    Examples
    --------
    >>> [the(name) for name in ("T-method", "attention", "other models", "language model")]
    ['the T-method', 'attention', 'other models', 'the language model']
    """
    return f"the {name}" if name.lower().endswith(("method", "model")) else name


def verb(name: str, singular: str) -> str:
    """Return a verb in the form that the name of a side asks for.

    Examples
    --------
    >>> verb("T-method", "is"), verb("other models", "is"), verb("other models", "trains")
    ('is', 'are', 'train')
    """
    if not name.lower().endswith(("methods", "models")):
        return singular
    return "are" if singular == "is" else singular.removesuffix("s")


def spans(sizes: Sequence[int], measured: Sequence[int], full: int) -> str:
    """Return sizes in words, neighbours among the measured ones as a range.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of training reviews.
    measured : sequence of int
        All numbers that were measured, in ascending order.
    full : int
        How many training reviews there are: that size alone is named as all.

    Examples
    --------
    >>> measured = [10, 20, 30, 50, 1000]
    >>> [spans(sizes, measured, full=1000) for sizes in ([10, 20, 30], [10, 50], [10, 20, 1000])]
    ['10 to 30', '10 and 50', '10 to 20 and all 1,000']
    >>> spans([1000], measured, full=5000)
    '1,000'
    """
    places = [place for place, size in enumerate(measured) if size in sizes]
    runs = [[place for _, place in run] for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
    return listed([_span(measured[run[0]], measured[run[-1]], full) for run in runs])


def _span(first: int, last: int, full: int) -> str:
    if first != last:
        return f"{first:,} to {last:,}"
    return f"all {last:,}" if last == full else f"{last:,}"


def times(ratio: float) -> str:
    """Return how many times, up to ten in words, from there on with two digits.

    Examples
    --------
    >>> [times(ratio) for ratio in (2.0, 2.6, 10.4, 11.2, 137, 12345)]
    ['twice', 'three times', 'ten times', '11 times', '140 times', '12,000 times']
    """
    return _TIMES[round(ratio) - 2] if ratio < 10.5 else f"{float(f'{ratio:.2g}'):,.0f} times"
