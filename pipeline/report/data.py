"""The reviews behind the results: where they come from, stars, lengths, categories, and what was left out or undone."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.experiment.read_notes import notes
from pipeline.format import cut, listed
from pipeline.report.figure import BLUE, ORANGE, Picture, new_axes, picture, star_ticks
from pipeline.report.results import Results
from pipeline.report.table import Table, cell, long_table
from pipeline.scale import Scale

_MOST_CATEGORIES = 10
_EXAMPLE = 70  # columns of an example's text
_CUT_AT = 0.99  # quantile of the lengths at which their picture ends
_SPLITS = {"train": ("training", BLUE, ""), "test": ("held-out", ORANGE, "///")}
_LANGUAGES = {"ja": "Japanese", "zh": "Chinese"}
_OPTIONS = ("data", "file", "train", "test", "limit", "text", "stars", "id", "category", "scale", "encoding")


def section(results: Results) -> dict[str, Any] | None:
    """Return what the section shows; None where the prepared reviews are not beside the results.

    Returns
    -------
    dict or None
        facts: texts by their name; tables: categories and rejected rows, as far as there are any; unescaped: texts by
        the kind of escape that was undone in them.
    """
    if not results.prepared:
        return None
    tables = [_rejected_table(results), *_category_tables(results)]
    return {
        "facts": {name: text for name, text in _facts(results).items() if text},
        "tables": [table for table in tables if table.rows],
        "unescaped": results.unescaped,
    }


def _facts(results: Results) -> dict[str, str]:
    prepared, options = results.prepared, results.make_options or {}
    given = {name.upper(): options[name] for name in _OPTIONS if options.get(name)}
    facts = {"Source": ", ".join(f"{name}={value}" for name, value in given.items()), "Rows": _rows(prepared)}
    if "language" in prepared:
        facts["Language"] = _languages(prepared["language"], results.read)
    facts["Read as"] = " ".join(notes({**results.read, "unknown_tokens": {}, "poorly_read": 0}))
    facts["Stars"] = f"from {results.scale}" + (", numbers between them rounded" if prepared.get("rounded") else "")
    if results.has_reviews:
        facts["Length"] = _lengths_in_words(*_lengths(results))
    if near := prepared.get("near_identical"):
        n = near["reviews"]
        facts["Near-identical"] = f"{n:,} reviews, kept on one side of the split" if n else "none"
    return facts


def _languages(main: str | None, read: Mapping[str, Any]) -> str:
    """Return the language of all texts, or which share of them is in Japanese or in Chinese."""
    found, n = read.get("languages", {}), read.get("n_texts", 0)
    if not found or found.get(str(main)) == n:
        return _LANGUAGES.get(str(main), "neither Japanese nor Chinese: words stand between spaces")
    parts = [f"{_LANGUAGES[name]} in {found[name] / n:.0%} of the texts" for name in sorted(found)]
    return f"{listed(parts)}{'; words stand between spaces in the others' if sum(found.values()) < n else ''}"


def _rows(prepared: dict[str, Any]) -> str:
    kept = prepared.get("kept")
    if not kept:
        return ""
    parts = [f"{prepared['read']:,} read", f"{kept['train']:,} to train on", f"{kept['test']:,} held out"]
    parts += [f"{prepared[key]:,} {key.replace('_', ' ')}" for key in ("not_drawn", "rejected") if prepared.get(key)]
    return ", ".join(parts)


def _rejected_table(results: Results) -> Table:
    """Return the reasons for which rows were left out, each with the first of its rows."""
    reasons = results.prepared.get("rejected_reasons") or {}
    examples = results.rejected_examples(set(reasons))
    rows = pd.DataFrame(
        {"reason": reasons.keys(), "rows": reasons.values(), "example": [_example(examples.get(r)) for r in reasons]}
    )
    cells = {"reason": cell(str, "reason"), "first of them": cell(str, "example"), "rows": "{rows:,}".format_map}
    return long_table("Rows that were left out", rows, cells, n_names=2)


def _example(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    detail = str(row["reason"]).partition(":")[2].strip()
    parts = [f"line {row['line']} of {row['file']}", detail, cut(" ".join(str(row["text"] or "").split()), _EXAMPLE)]
    return cut(": ".join(part for part in parts if part), 2 * _EXAMPLE)


def _category_tables(results: Results) -> Iterator[Table]:
    if not (results.has_reviews and "category" in results.reviews):
        return
    reviews = results.reviews
    counts = pd.crosstab(reviews["category"].fillna("none given"), reviews["split"])
    counts = counts.reindex(columns=list(_SPLITS), fill_value=0)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    shown = counts.head(_MOST_CATEGORIES).rename_axis("category").reset_index()
    cells = {"category": cell(str, "category"), "training": "{train:,}".format_map, "held-out": "{test:,}".format_map}
    more = f", the largest {_MOST_CATEGORIES} of {len(counts)}" if len(counts) > _MOST_CATEGORIES else ""
    yield long_table(f"Reviews by category{more}", shown, cells)


def pictures(results: Results) -> Iterator[Picture]:
    """Draw how many reviews have which star, and how long they are; nothing where the reviews are not at hand."""
    if not results.has_reviews:
        return
    reviews, scale = results.reviews, results.scale
    counts = reviews["stars"].value_counts().sort_index()
    shares = "; ".join(f"{star:g}: {n:,} ({n / len(reviews):.0%})" for star, n in counts.items())
    yield picture("data", "data_stars", f"Reviews by star. {shares}.", _star_bars(reviews, scale))
    lengths, unit = _lengths(results)
    text = f"Length of the reviews in {unit}: {_lengths_in_words(lengths, unit)}."
    yield picture("data", "data_lengths", text, _length_bars(lengths, unit))


def _lengths(results: Results) -> tuple["pd.Series[int]", str]:
    texts = results.reviews["text"]
    if results.prepared.get("language"):
        return texts.str.len(), "characters"
    return texts.str.count(r"\S+"), "words"


def _lengths_in_words(lengths: "pd.Series[int]", unit: str) -> str:
    half, most = lengths.quantile([0.5, 0.9])
    one = f"{half:,.0f} {unit[:-1] if round(half) == 1 else unit}"
    return f"half have {one} or fewer, nine of ten {most:,.0f} or fewer, the longest {lengths.max():,}"


def _star_bars(reviews: pd.DataFrame, scale: Scale) -> Figure:
    """Draw the share of each star, of the training and the held-out reviews side by side."""
    figure, axes = new_axes(4.2, 2.6, "Stars")
    width = 0.4 * scale.step
    for place, (split, (name, color, hatch)) in enumerate(_SPLITS.items()):
        stars = reviews.loc[reviews["split"] == split, "stars"]
        shares = [100 * float(np.isclose(stars, star).mean()) if len(stars) else 0.0 for star in scale.values]
        look: Any = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.bar(scale.values + (place - 0.5) * width, shares, width, label=f"{len(stars):,} {name}", **look)
    axes.set(xlabel="stars", ylabel="% of the reviews", xticks=star_ticks(scale))
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _length_bars(lengths: "pd.Series[int]", unit: str) -> Figure:
    """Draw how many reviews have which length; the few longest ones sit in the last bar."""
    figure, axes = new_axes(4.2, 2.6, "Length")
    most = max(float(lengths.quantile(_CUT_AT)), 1.0)
    axes.hist(lengths.clip(upper=most), bins=min(30, int(most) + 1), color=BLUE, edgecolor="white", linewidth=0.4)
    beyond = int((lengths > most).sum())
    last = f", {beyond:,} longer ones in the last bar" if beyond else ""
    axes.set(xlabel=f"{unit}{last}", ylabel="reviews", xlim=(0, None))
    axes.locator_params(axis="y", integer=True)
    axes.grid(visible=False, axis="x")
    return figure
