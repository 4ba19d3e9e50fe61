"""What a quality engineer looks at first: checks of the data, the split and the sides, each with a level."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from pipeline.evaluation.verdict import ENOUGH
from pipeline.experiment.read_notes import NOTED, notes
from pipeline.experiment.usable import NO_TEXT
from pipeline.format import listed, number
from pipeline.report.results import Results
from pipeline.shipped import SAMPLES

Level = Literal["warn", "note", "pass"]
_ORDER: tuple[Level, ...] = ("warn", "note", "pass")

# QWK: a change of the reviews that costs more takes more than most differences between sides.
MATTERS = 0.1
# At 1.25 a review two stars off the mean is predicted half a star too far, which rounds to another star.
_SPREAD = (1.05, 1.25)
_REJECTED = (0.01, 0.1)
_UNREAD = (NOTED, 0.2)
_CUT = (NOTED, 0.25)
# Below 200 held-out reviews an interval of QWK is about 0.1 wide.
_NARROW = 200
# Of an even share: 5% on a scale of five stars.
_RARE = 0.25
_LARGE_GROUP = 0.2
_LEAK = "nearly identical to a test review"
# What a change does to a review, and what helps.
_CHANGES = {
    "typos": ("typing errors", "correct the spelling first"),
    "shouting": ("capitals and doubled exclamation marks", "write them in lower case first"),
    "truncated": ("halved reviews", "score whole reviews only"),
    "shuffled": ("words in random order", "score whole sentences, not lists of words"),
    "no_punctuation": ("punctuation taken out", "keep it in the texts"),
    "british": ("British spelling", "train on both spellings"),
    "boilerplate": ("a form's sentence in front", "remove such sentences first"),
    "added_sentence": ("a sentence beside the point", "remove what is no review first"),
}


@dataclass(frozen=True)
class Alert:
    """What one check found: its level, a title of a few words, and unless it passed a sentence that says what to do."""

    level: Level
    title: str
    text: str = ""


def checks(results: Results, complete: bool = True) -> list[Alert]:
    """Return what all checks found, warnings first; a check without its data is left out.

    Parameters
    ----------
    results : Results
    complete : bool, default=True
        Whether the curves and robustness stages have run; without them their checks are left out.

    Examples
    --------
    >>> Alert("pass", "no empty texts")
    Alert(level='pass', title='no empty texts', text='')
    """
    found = [alert for check in (*_OF_SCORES, *(_OF_ROBUSTNESS if complete else ())) for alert in check(results)]
    return sorted(found, key=lambda alert: _ORDER.index(alert.level))


def level_of(value: float, limits: tuple[float, float]) -> Level:
    """Return the level of a value: note from the first limit on, warn from the second.

    Examples
    --------
    >>> [level_of(value, (0.01, 0.1)) for value in (0.005, 0.01, 0.3)]
    ['pass', 'note', 'warn']
    """
    return "warn" if value >= limits[1] else "note" if value >= limits[0] else "pass"


def heavy_losses(changes: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of changed reviews that cost a side more than `MATTERS`, with an interval below 0.

    Examples
    --------
    >>> changes = pd.DataFrame({"side": ["T", "A"], "difference": [-0.2, -0.2], "high": [-0.1, 0.1]})
    >>> heavy_losses(changes)["side"].tolist()
    ['T']
    """
    return changes[(changes["difference"] < -MATTERS) & (changes["high"] < 0)]


def _changes(results: Results) -> Iterator[Alert]:
    changes = results.changes[results.changes["change"] != "none"]
    heavy = heavy_losses(changes)
    for change, rows in heavy.groupby("change", sort=False):
        title, advice = _CHANGES.get(str(change), (str(change), "train on such reviews, too"))
        sides = [f"{side} {-loss:.2f}" for side, loss in zip(rows["side"], rows["difference"], strict=True)]
        what = f"This costs {listed(sides)} QWK. If your reviews are like this, {advice}."
        yield Alert("warn", f"Tested with {title}", what)
    if heavy.empty and changes["high"].notna().any():
        yield Alert("pass", f"no change of the reviews surely costs a side more than {MATTERS:g} QWK")


def _spread(results: Results) -> Iterator[Alert]:
    ratios = results.calibration.set_index("side")["sd_ratio"].reindex(results.sides["side"].unique()).dropna()
    wide = [f"{side} ({ratio:.2f} times)" for side, ratio in ratios.items() if ratio >= _SPREAD[0]]
    if wide:
        what = f"Predictions spread wider than the true stars for {listed(wide)}: take a recalibrated model there."
        yield Alert(level_of(ratios.max(), _SPREAD), "Over-dispersion", what)
    elif len(ratios):
        yield Alert("pass", f"predictions spread {number(ratios.max())} times as wide as the stars at most")


def _held_out(results: Results) -> Iterator[Alert]:
    best = results.metrics.iloc[0]
    n, title = int(best["n_test"]), "Small test split"
    more = f"hold out {_NARROW} or more (test_size in conf/prepare.yaml, or more reviews)"
    if n < ENOUGH:
        yield Alert("warn", title, f"With {n} held-out reviews hardly any difference can be shown: {more}.")
    elif n < _NARROW:
        width = best["qwk_high"] - best["qwk_low"]
        wide = "intervals are wide" if pd.isna(width) else f"the interval of the best QWK is {width:.2f} wide"
        yield Alert("note", title, f"With {n} held-out reviews {wide}: {more}.")
    else:
        yield Alert("pass", f"{n:,} held-out reviews")


def _empty_texts(results: Results) -> Iterator[Alert]:
    reasons = results.prepared.get("rejected_reasons")
    if reasons is None:
        return
    if n := reasons.get(NO_TEXT, 0):
        rows = "row has no text and was" if n == 1 else "rows have no text and were"
        yield Alert("note", "Empty texts", f"{n:,} {rows} left out: the first one stands under Data.")
    else:
        yield Alert("pass", "no empty texts")


def _rejected(results: Results) -> Iterator[Alert]:
    read, rejected = results.prepared.get("read"), results.prepared.get("rejected")
    if not read or rejected is None:
        return
    level = level_of(rejected / read, _REJECTED)
    if level == "pass":
        yield Alert("pass", f"{rejected:,} of {read:,} rows rejected")
    else:
        what = f"{rejected:,} of {read:,} rows ({rejected / read:.0%}) were left out: see the reasons under Data."
        yield Alert(level, "Rejected rows", what)


def _scale(results: Results) -> Iterator[Alert]:
    options, scale = results.prepared.get("options") or {}, results.scale
    if results.prepared.get("rounded"):
        yield Alert("note", "Stars rounded", f"Numbers between the stars of the scale {scale} were rounded to them.")
    if options.get("scale") or options.get("data") in {*SAMPLES, "yelp"}:
        yield Alert("pass", f"stars from {scale}, a known scale")
    elif options:
        what = f"Stars from {scale} were taken for granted since the numbers fit: give SCALE= if others are meant."
        yield Alert("note", "Scale not given", what)


def _stars(results: Results) -> Iterator[Alert]:
    counts = results.prepared.get("stars")
    if not counts:
        return
    total, values = sum(counts.values()), [f"{star:g}" for star in results.scale.values]
    shares = {star: counts.get(star, 0) / total for star in values}
    rare = [f"{star} ({share:.0%})" for star, share in shares.items() if share < _RARE / len(values)]
    if rare:
        shown = rare if len(rare) <= 4 else [*rare[:3], f"{len(rare) - 3} more"]
        what = f"Few reviews have the stars {listed(shown)}: collect more of these, errors on them hardly count."
        yield Alert("note", "Rare stars", what)
    else:
        yield Alert("pass", "no star is rare")


def _near_identical(results: Results) -> Iterator[Alert]:
    reasons = results.prepared.get("rejected_reasons")
    if reasons is None:
        return
    groups = results.prepared.get("near_identical") or {}
    n = sum(results.prepared.get("kept", {}).values())
    if groups and groups["largest"] >= max(3, _LARGE_GROUP * n):
        what = (
            f"{groups['largest']:,} of {n:,} reviews are nearly the same text and were kept on one side of the split: "
            "remove copies from the source."
        )
        yield Alert("note", "Near-identical reviews", what)
        return
    removed, alike = reasons.get(_LEAK, 0), groups.get("reviews")
    title = "no near-identical reviews on both sides of the split"
    if removed:
        title += f" ({removed:,} removed)"
    elif alike:
        title += f" ({alike:,} kept together)"
    yield Alert("pass", title)


def _language(results: Results) -> Iterator[Alert]:
    read = results.read
    if "unknown_tokens" not in read:
        return
    found = [
        Alert(level_of(share["tokens"], _UNREAD), "Unknown text", f"{said} Take one for this language (conf/features).")
        for name, share in read["unknown_tokens"].items()
        for said in notes({"unknown_tokens": {name: share}})
    ]
    poor = {"poorly_read": read.get("poorly_read", 0)}
    found += [Alert(level_of(poor["poorly_read"], _UNREAD), "Foreign text", said) for said in notes(poor)]
    yield from found or [Alert("pass", "the features know the language")]


def _cut_off(results: Results) -> Iterator[Alert]:
    cut = results.read.get("cut_off")
    if cut is None:
        return
    for name, one in cut.items():
        level = level_of(one["texts"], _CUT)
        if level == "pass":
            yield Alert("pass", f"the {name} encoder reads {1 - one['texts']:.0%} of the reviews to their end")
            continue
        what = (
            f"The {name} encoder stops after {one['limit']} tokens, before the end of {one['texts']:.0%} of the reviews"
        )
        yield Alert(level, "Reviews cut off", f"{what}: take one that reads more (conf/features).")


_Check = Callable[[Results], Iterator[Alert]]
_OF_SCORES: tuple[_Check, ...] = (
    *(_held_out, _language, _cut_off, _scale, _rejected, _empty_texts, _stars, _near_identical),
)
_OF_ROBUSTNESS: tuple[_Check, ...] = (_changes, _spread)
