"""What the stars are read from: the strongest words, the strongest items of the T-method, and reviews word by word."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.format import number
from pipeline.report.bars import BarList, bar_lists
from pipeline.report.item_names import feature_in_words
from pipeline.report.items import strongest_items
from pipeline.report.readings import readings
from pipeline.report.results import Results


def section(results: Results, n: int, complete: bool = True) -> dict[str, Any]:
    """Return what the section on words shows.

    Parameters
    ----------
    results : Results
    n : int
        How many items, and how many words up and down each.
    complete : bool, default=True
        Whether the robustness stage has read reviews.

    Returns
    -------
    dict
        words, items: a dict with lists and what they are of, None where there are none; readings: as `readings`.
    """
    return {
        "words": strongest_words(results, n),
        "items": strongest_items(results, n),
        "readings": readings(results) if complete else None,
    }


def strongest_words(results: Results, n: int) -> dict[str, Any] | None:
    """Return the words with the largest S/N ratios of one feature: of the best line that reads words."""
    if results.words.empty:
        return None
    known = list(dict.fromkeys(results.words["features"]))
    # The lines are in the order of the leaderboard.
    used = [part for line in results.lines.values() for part in line["parts"] or [] if part in known]
    feature = (used or known)[0]
    words = results.words[(results.words["features"] == feature) & np.isfinite(results.words["sn_db"])]
    up = words["difference"] > 0
    tables = {("Push the stars up", True): words[up], ("Push the stars down", False): words[~up]}
    lists = bar_lists({title: _word_table(table.head(n)) for title, table in tables.items()})
    return {"feature": feature, "plain": feature_in_words(feature), "lists": _not_empty(lists)}


def _word_table(words: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": words["item"],
            "value": words["sn_db"],
            "stars": [number(each, 1, sign=True) for each in words["difference"]],
            "reviews": words["n_texts"].astype(int),
        }
    )


def _not_empty(lists: list[BarList]) -> list[BarList]:
    return [each for each in lists if each.bars]
