"""Numbers in a page and the files of results that they are read from."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# 0.77, -0.04, 1,250; not the parts of 1..5, 3.11.2, v2 or a name.
_NUMBER = r"(?<![\w.,])[-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|[.,]\d)"
_DECIMAL = re.compile(r"(?<![\w.,])[-+−]?\d+\.\d+(?![\w]|\.\d)")
_SEPARATED = re.compile(r"\s+")

# From the cells of a row and the heading of a column to the numbers in that cell; None where it holds no results.
CellRule = Callable[[list[str], str], Iterable[float] | None]


@dataclass(frozen=True)
class Sentence:
    """A passage with {} in the place of each number, and these numbers in their order."""

    passage: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """A table by the beginning of its heading, and what its cells hold."""

    heading: str
    rule: CellRule


def without_code(page: str) -> str:
    """Return a page with its code and the targets of its links blanked out, every other letter in its place."""
    blank = re.compile(r"```.*?```|`[^`\n]*`|(?<=\])\([^)\s]*\)", flags=re.DOTALL)
    return blank.sub(lambda found: re.sub(r"\S", " ", found[0]), page)


def agrees(printed: str, value: float) -> bool:
    """Return whether a number is the value, rounded to the digits that are printed.

    Examples
    --------
    >>> agrees("0.77", 0.7669), agrees("470", 468.3), agrees("471", 468.3), agrees("-0.0", 0.01)
    (True, True, False, False)
    """
    plain = printed.replace(",", "").replace("−", "-").lstrip("+")
    digits = len(plain.partition(".")[2])
    if digits:
        return f"{value:.{digits}f}" == plain
    zeros = len(plain) - len(plain.rstrip("0")) if plain.strip("-0") else 0
    return any(f"{round(value, -n):.0f}" == plain for n in range(zeros + 1))


def wrong(page: str, claims: Iterable[Sentence | Table]) -> list[str]:
    """Return what a page says otherwise than its results, or does not say any more."""
    text, found = without_code(page), []
    for claim in claims:
        places = list(_numbers(text, claim))
        if not places:
            found.append(f"{_name(claim)!r} does not stand in the page")
        for number, value in places:
            if value is None or not agrees(number[0], value):
                found.append(f"{_name(claim)!r}: the page has {number[0]}, the results have {value}")
    return found


def unclaimed(page: str, claims: Iterable[Sentence | Table], apart: Iterable[str]) -> list[str]:
    """Return the decimal numbers of a page that neither a claim nor a passage apart holds, with what stands around."""
    text = without_code(page)
    spans = [number.span() for claim in claims for number, _ in _numbers(text, claim)]
    for passage in apart:
        spans += [found.span() for found in _pattern(passage).finditer(text)]
    return [
        page[max(0, number.start() - 40) : number.end() + 20]
        for number in _DECIMAL.finditer(text)
        if not any(start <= number.start() and number.end() <= end for start, end in spans)
    ]


def _name(claim: Sentence | Table) -> str:
    return claim.passage if isinstance(claim, Sentence) else claim.heading


def _pattern(passage: str) -> re.Pattern[str]:
    """Return a passage as a pattern that takes any line breaks, with a group for each {}."""
    parts = [r"\s+".join(map(re.escape, _SEPARATED.split(part))) for part in passage.split("{}")]
    return re.compile(f"({_NUMBER})".join(parts))


def _numbers(text: str, claim: Sentence | Table) -> Iterator[tuple[re.Match[str], float | None]]:
    """Yield each number of a claim with its value; None where the page has more numbers than the results."""
    if isinstance(claim, Table):
        yield from _cells(text, claim)
        return
    for found in _pattern(claim.passage).finditer(text):
        for group, value in zip(range(1, len(claim.values) + 1), claim.values, strict=True):
            number = re.compile(_NUMBER).search(text, found.start(group), found.end(group))
            assert number
            yield number, value


def _cells(text: str, table: Table) -> Iterator[tuple[re.Match[str], float | None]]:
    start = text.find(table.heading)
    if start < 0:
        return
    lines = re.compile(r"^\|.*\|$", flags=re.MULTILINE)
    headings: list[str] = []
    end = text.find("\n\n", start)
    for line in lines.finditer(text, text.rfind("\n", 0, start) + 1, end if end > 0 else len(text)):
        cells = [cell.strip().strip("*") for cell in line[0].strip("|").split("|")]
        if not headings:
            headings = cells
            continue
        if set(line[0]) <= set("|-: "):
            continue
        place = line.start() + 1
        for heading, cell in zip(headings, line[0][1:-1].split("|"), strict=True):
            values = table.rule(cells, heading)
            if values is not None:
                numbers = list(re.compile(_NUMBER).finditer(text, place, place + len(cell)))
                expected: list[float | None] = list(values)
                expected += [None] * (len(numbers) - len(expected))
                yield from zip(numbers, expected, strict=False)
            place += len(cell) + 1
