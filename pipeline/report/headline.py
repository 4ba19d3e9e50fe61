"""The answer in ten seconds: one sentence, what to take with how many reviews, and what else is sure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from pipeline.evaluation.verdict import ENOUGH, sure_leads
from pipeline.experiment.line import Line
from pipeline.format import number
from pipeline.report.results import Results, of_line

MATTERS = 0.1  # QWK: a change of the reviews that costs less is not told, and within it two sides are a tie
_TIMES = ("twice", *(f"{n} times" for n in ("three", "four", "five", "six", "seven", "eight", "nine", "ten")))
# All of them plural, since they stand before "hurt".
_CHANGES = {
    "typos": "typos",
    "shouting": "capitals",
    "truncated": "texts cut in half",
    "shuffled": "shuffled words",
    "no_punctuation": "texts without punctuation",
    "british": "British spellings",
    "boilerplate": "standard phrases",
    "added_sentence": "added sentences",
}


@dataclass(frozen=True)
class Headline:
    """What the run found, for the top of the report, the summary, the terminal and MLflow.

    Attributes
    ----------
    sentence : str
        Who is ahead with how many reviews, who trains faster, and what hurts.
    advice : list of str
        What to take, a sentence for each range of training reviews.
    also : list of str
        What is sure of the other pairs of sides; empty where nothing is.
    """

    sentence: str
    advice: list[str]
    also: list[str]


@dataclass(frozen=True)
class _Question:
    """The first contrast at every size, the last of which has all training reviews."""

    sides: tuple[str, str]
    sizes: list[int]
    leads: dict[str, list[int]]  # at which sizes each side is surely ahead
    tied: set[int]  # sizes whose interval is so narrow that no difference in it matters
    n_held_out: int
    faster: str | None  # the side that trains at least twice as fast with all reviews
    fast: str  # by how much, in words

    def ahead(self, size: int) -> str | None:
        return next((side for side, sizes in self.leads.items() if size in sizes), None)


def headline(results: Results) -> Headline:
    """Return the answer, from the tables of curves and robustness.

    Parameters
    ----------
    results : Results

    Returns
    -------
    Headline
        Plain text: names of sides are as in the configuration, so HTML and Markdown have to escape it.

    Raises
    ------
    PipelineError
        If a stage has not run; it names the stage.

    Examples
    --------
    >>> from pipeline.project.paths import DatasetPaths
    >>> headline(Results(DatasetPaths("nowhere")))
    Traceback (most recent call last):
    pipeline.errors.PipelineError: reports/nowhere/curves/contrasts.csv is missing: run the curves stage first
    """
    question = _question(results)
    hurt = _hurt(results.changes, question.sides)
    return Headline(_sentence(question, hurt), [*_without_reviews(results), *_advice(question)], _also(results))


def the(name: str) -> str:
    """Return the name of a side inside a sentence: with an article where it names one method or model.

    Examples
    --------
    >>> [the(name) for name in ("T-method", "attention", "other models", "language model")]
    ['the T-method', 'attention', 'other models', 'the language model']
    """
    return f"the {name}" if name.lower().endswith(("method", "model")) else name


def spans(sizes: Sequence[int], measured: Sequence[int]) -> str:
    """Return sizes in words, neighbours among the measured ones as a range; the largest is named as all.

    Examples
    --------
    >>> measured = [10, 20, 30, 50, 1000]
    >>> spans([10, 20, 30], measured), spans([10, 50], measured), spans([10, 20, 1000], measured)
    ('10 to 30', '10 and 50', '10 to 20 and all 1,000')
    """
    places = [place for place, size in enumerate(measured) if size in sizes]
    runs = [[place for _, place in run] for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0])]
    return _listed([_span(measured[run[0]], measured[run[-1]], measured[-1]) for run in runs])


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


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _question(results: Results) -> _Question:
    contrasts, n_held_out = results.contrasts, results.n_held_out
    sides = tuple(contrasts.iloc[0][["a", "b"]])
    at = contrasts[(contrasts["a"] == sides[0]) & (contrasts["b"] == sides[1])].sort_values("n_train")
    leads = {ahead: sizes for ahead, _, sizes in sure_leads(at, n_held_out)}
    narrow = at[(at["low"] >= -MATTERS) & (at["high"] <= MATTERS)] if n_held_out >= ENOUGH else at[:0]
    seconds = {side: _train_seconds(results, side) for side in sides}
    fast, slow = sorted(sides, key=seconds.__getitem__)
    # No comparison with a missing time is true.
    faster = fast if 0 < 2 * seconds[fast] <= seconds[slow] else None
    words = f"trains {times(seconds[slow] / seconds[fast])} as fast" if faster else ""
    return _Question(sides, at["n_train"].tolist(), leads, set(narrow["n_train"]), n_held_out, faster, words)


def _train_seconds(results: Results, side: str) -> float:
    """Return the seconds from raw texts to the fitted line of a side with all reviews, nan where not measured."""
    last = results.sides[results.sides["side"] == side].sort_values("n_train").iloc[-1]
    seconds = of_line(results.costs, Line(last["features"], last["model"]))["total_seconds"]
    return float(seconds.iloc[0]) if len(seconds) else float("nan")


def _hurt(changes: pd.DataFrame, sides: Sequence[str]) -> dict[str, list[str]]:
    """Return which sides each harmful change hurts, by the change in words."""
    harmful = changes[(changes["difference"] < -MATTERS) & (changes["high"] < 0)]
    hurt: dict[str, list[str]] = {}
    for change, side in zip(harmful["change"], harmful["side"], strict=True):
        if side in sides:
            hurt.setdefault(_CHANGES.get(change, change.replace("_", " ")), []).append(side)
    return hurt


def _sentence(question: _Question, hurt: dict[str, list[str]]) -> str:
    sizes, ahead_now = question.sizes, question.ahead(question.sizes[-1])
    parts = [] if ahead_now else [_neither(question)]
    subjects = []
    for side in sorted(question.sides, key=lambda side: side != ahead_now):
        does = []
        if won := question.leads.get(side):
            does.append(f"is ahead with {spans(won, sizes)}{'' if parts else ' reviews'}")
        if side == question.faster:
            does.append(question.fast)
        if does:
            subjects.append(side)
            parts.append(f"{the(side)} {' and '.join(does)}")
    parts += _what_hurts(hurt, subjects)
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _neither(question: _Question) -> str:
    """Say that neither side is ahead with all reviews, and where none is at any size, so."""
    *smaller, full = question.sizes
    nowhere = smaller and not question.leads
    if full in question.tied:
        return f"a tie with all {full:,} reviews{', and no sure winner with fewer' if nowhere else ''}"
    where = spans(question.sizes, question.sizes) if nowhere else f"all {full:,}"
    return f"no sure winner with {where} reviews (too few to test on: {question.n_held_out:,})"


def _what_hurts(hurt: dict[str, list[str]], subjects: list[str]) -> list[str]:
    """Say which changes hurt whom, those with the same victims together."""
    by_victims: dict[tuple[str, ...], list[str]] = {}
    for change, victims in hurt.items():
        by_victims.setdefault(tuple(victims), []).append(change)
    parts = []
    for who, changes in sorted(by_victims.items(), key=lambda item: len(item[0])):
        whom = "both" if len(who) > 1 else "it" if list(who) == subjects else the(who[0])
        parts.append(f"{_listed(changes)} hurt {whom}")
    return parts


def _advice(question: _Question) -> list[str]:
    """Say what to take with how many reviews; who trains faster is measured with all of them, so said with these."""
    lines = []
    for side, run in groupby(question.sizes, question.ahead):
        sizes = list(run)
        take = f"take {the(side)}" if side else "take either" if question.tied.issuperset(sizes) else "no sure winner"
        lines.append(f"With {spans(sizes, question.sizes)} reviews, {take}")
    if question.faster:
        lines[-1] += f": {the(question.faster)} {question.fast}"
    return [f"{line}." for line in lines]


def _without_reviews(results: Results) -> list[str]:
    """Say what the sides with know-how reach with no review at all, where there are such."""
    known = results.know_how
    known = known[known["n_train"] == 0] if len(known) else known
    if known.empty:
        return []
    agreement = known.set_index("side")["qwk"]
    a, b = results.know_how_contrasts.iloc[0][["a", "b"]]
    asked = results.know_how_contrasts.query("a == @a and b == @b and n_train == 0")
    for ahead, _, _ in sure_leads(asked, results.n_held_out):
        return [
            f"With no review at all, take {the(ahead)} with know-how from other reviews "
            f"(agreement {number(agreement[ahead])})."
        ]
    reached = ", ".join(f"{number(agreement[side])} with {the(side)}" for side in (a, b))
    return [f"With no review at all, take know-how from other reviews (agreement {reached}; no sure winner)."]


def _also(results: Results) -> list[str]:
    """Name every sure lead of the other pairs, and those of all pairs with know-how."""
    contrasts = results.contrasts
    a, b = contrasts.iloc[0][["a", "b"]]
    others = contrasts[(contrasts["a"] != a) | (contrasts["b"] != b)]
    tables = [(others, results.n_held_out, "")]
    if len(results.know_how):
        tables.append((results.know_how_contrasts, results.n_held_out, ", both with know-how"))
    if results.peers and results.peers_are_current:
        tables.append((results.peer_contrasts, int(results.peers["n_held_out"]), ""))
    return [
        f"{the(ahead)} ahead of {the(behind)} with {_spans_of(sizes, table)} reviews{beside}"
        for table, n_held_out, beside in tables
        for ahead, behind, sizes in sure_leads(table, n_held_out)
    ]


def _spans_of(sizes: Sequence[int], contrasts: pd.DataFrame) -> str:
    return spans(sizes, sorted(set(contrasts["n_train"])))
