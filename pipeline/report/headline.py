"""The answer in ten seconds: one sentence, what to take with how many reviews, and what else is sure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from pipeline.evaluation.verdict import ENOUGH, sure_leads
from pipeline.experiment.line import Line
from pipeline.format import listed, number
from pipeline.report.alerts import MATTERS, heavy_losses
from pipeline.report.phrases import spans, the, times, verb
from pipeline.report.results import Results, of_line

_NOBODY = "no sure winner"
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
    by: dict[int, float]  # the difference at each size
    leaning: dict[int, str]  # the side that looks better, where nothing is sure or tied but the interval leaves 0 out
    n_held_out: int
    measured: bool  # whether there is an interval with all reviews
    faster: str | None  # the side that trains at least twice as fast with all reviews
    fast: str  # by how much, in words

    def ahead(self, size: int) -> str | None:
        return next((side for side, sizes in self.leads.items() if size in sizes), None)

    def take(self, size: int) -> str:
        if side := self.ahead(size):
            return f"take {the(side)}"
        if size in self.tied:
            return "take either"
        if side := self.leaning.get(size):
            return f"{the(side)} {verb(side, 'looks')} better, but it may be chance"
        return _NOBODY

    def spans(self, sizes: Sequence[int]) -> str:
        return spans(sizes, self.sizes, self.sizes[-1])


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
    hurt = _hurt(results.changes, question.sides) if question.n_held_out >= ENOUGH else {}
    return Headline(_sentence(question, hurt), [*_advice(question), *_without_reviews(results)], _also(results))


def _question(results: Results) -> _Question:
    contrasts, n_held_out = results.contrasts, results.n_held_out
    sides = tuple(contrasts.iloc[0][["a", "b"]])
    at = contrasts[(contrasts["a"] == sides[0]) & (contrasts["b"] == sides[1])].sort_values("n_train")
    leads = {ahead: sizes for ahead, _, sizes in sure_leads(at, n_held_out)}
    enough = at if n_held_out >= ENOUGH else at[:0]
    narrow = enough[(enough["low"] >= -MATTERS) & (enough["high"] <= MATTERS)]
    apart = enough[(enough["low"] > 0) | (enough["high"] < 0)]
    seconds = {side: _train_seconds(results, side) for side in sides}
    fast, slow = sorted(sides, key=seconds.__getitem__)
    # No comparison with a missing time is true.
    faster = fast if 0 < 2 * seconds[fast] <= seconds[slow] else None
    words = f"{verb(fast, 'trains')} {times(seconds[slow] / seconds[fast])} as fast" if faster else ""
    return _Question(
        sides=sides,
        sizes=at["n_train"].tolist(),
        leads=leads,
        tied=set(narrow["n_train"]),
        by=dict(zip(at["n_train"], at["difference"], strict=True)),
        leaning={row["n_train"]: sides[int(row["difference"] < 0)] for row in apart.to_dict("records")},
        n_held_out=n_held_out,
        measured=bool(at.iloc[-1][["low", "high"]].notna().all()),
        faster=faster,
        fast=words,
    )


def _train_seconds(results: Results, side: str) -> float:
    """Return the seconds from raw texts to the fitted line of a side with all reviews, nan where not measured."""
    last = results.sides[results.sides["side"] == side].sort_values("n_train").iloc[-1]
    seconds = of_line(results.costs, Line(last["features"], last["model"]))["total_seconds"]
    return float(seconds.iloc[0]) if len(seconds) else float("nan")


def _hurt(changes: pd.DataFrame, sides: Sequence[str]) -> dict[str, list[str]]:
    """Return which sides each harmful change hurts, by the change in words."""
    harmful = heavy_losses(changes)
    hurt: dict[str, list[str]] = {}
    for change, side in zip(harmful["change"], harmful["side"], strict=True):
        if side in sides:
            hurt.setdefault(_CHANGES.get(change, change.replace("_", " ")), []).append(side)
    return hurt


def _sentence(question: _Question, hurt: dict[str, list[str]]) -> str:
    ahead_now = question.ahead(question.sizes[-1])
    parts = [] if ahead_now else [_neither(question)]
    subjects = []
    for side in sorted(question.sides, key=lambda side: side != ahead_now):
        does = []
        if won := question.leads.get(side):
            does.append(f"{verb(side, 'is')} ahead with {question.spans(won)}{'' if parts else ' reviews'}")
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
    full = question.sizes[-1]
    asked = [full] if question.leads else question.sizes
    tied = [size for size in asked if size in question.tied]
    open_ = [size for size in asked if size not in question.tied]
    why = f" (too few to test on: {question.n_held_out:,})" if question.measured and full in open_ else ""
    parts = [f"a tie with {question.spans(tied)} reviews"] if tied else []
    if open_:
        parts.append(f"{_NOBODY} with {question.spans(open_)}{'' if tied else ' reviews'}{why}")
    return " and ".join(parts)


def _what_hurts(hurt: dict[str, list[str]], subjects: list[str]) -> list[str]:
    """Say which changes hurt whom, those with the same victims together."""
    by_victims: dict[tuple[str, ...], list[str]] = {}
    for change, victims in hurt.items():
        by_victims.setdefault(tuple(victims), []).append(change)
    parts = []
    for who, changes in sorted(by_victims.items(), key=lambda item: len(item[0])):
        parts.append(f"{listed(changes)} hurt {_whom(who, subjects)}")
    return parts


def _whom(sides: tuple[str, ...], subjects: list[str]) -> str:
    if len(sides) > 1:
        return "both"
    if [*sides] != subjects:
        return the(sides[0])
    return "it" if verb(sides[0], "is") == "is" else "them"


def _advice(question: _Question) -> list[str]:
    """Say what to take with how many reviews; who trains faster is measured with all of them, so said with these."""
    lines = []
    for take, run in groupby(question.sizes, question.take):
        sizes = list(run)
        by = [abs(question.by[size]) for size in sizes if question.ahead(size)]
        better = f" (better by {_from_to(min(by), max(by))})" if by else ""
        lines.append(f"With {question.spans(sizes)} reviews, {take}{better}")
    if question.faster:
        joint = {None: ";", question.faster: ":"}.get(question.ahead(question.sizes[-1]), ", though")
        lines[-1] += f"{joint} {the(question.faster)} {question.fast}"
    return [f"{line}." for line in lines]


def _from_to(low: float, high: float) -> str:
    first, last = number(low), number(high)
    return first if first == last else f"{first} to {last}"


def _without_reviews(results: Results) -> list[str]:
    """Say what the sides with know-how reach with no review at all, where there are such."""
    known = results.know_how
    known = known[known["n_train"] == 0] if len(known) else known
    if known.empty:
        return []
    agreement = known.set_index("side")["qwk"]
    a, b = results.know_how_contrasts.iloc[0][["a", "b"]]
    asked = results.know_how_contrasts.query("a == @a and b == @b and n_train == 0")
    if leads := sure_leads(asked, results.n_held_out):
        best = leads[0][0]
        return [
            f"Before you have a review, take {the(best)} with know-how from the embedded reviews "
            f"(agreement {number(agreement[best])})."
        ]
    reached = ", ".join(f"{number(agreement[side])} with {the(side)}" for side in (a, b))
    return [f"Before you have a review, know-how from the embedded reviews reaches agreement {reached}: {_NOBODY}."]


def _also(results: Results) -> list[str]:
    """Name every sure lead of the other pairs, and those of all pairs with know-how."""
    contrasts = results.contrasts
    a, b = contrasts.iloc[0][["a", "b"]]
    full = contrasts["n_train"].max()
    others = contrasts[(contrasts["a"] != a) | (contrasts["b"] != b)]
    tables = [(others, results.n_held_out, "")]
    if len(results.know_how):
        tables.append((results.know_how_contrasts, results.n_held_out, ", both with know-how"))
    if results.peers and results.peers_are_current:
        tables.append((results.peer_contrasts, int(results.peers["n_held_out"]), ""))
    return [
        f"{the(ahead)} ahead of {the(behind)} with {spans(sizes, sorted(set(table['n_train'])), full)} reviews{beside}"
        for table, n_held_out, beside in tables
        for ahead, behind, sizes in sure_leads(table, n_held_out)
    ]
