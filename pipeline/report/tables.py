"""The tables of the report in words, for the page and for the summary alike."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.report.curve_plots import frontier


@dataclass(frozen=True)
class Table:
    """A table that is ready to be shown: the first `n_names` columns are names, the others figures."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    n_names: int = 1


def number(value: Any, digits: int = 2, sign: bool = False) -> str:
    """Return a figure with so many decimals, a dash where there is none.

    Examples
    --------
    >>> number(0.125, 2), number(0.125, 2, sign=True), number(None)
    ('0.12', '+0.12', '–')
    """
    if pd.isna(value):
        return "–"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def interval(value: Any, low: Any, high: Any, digits: int = 2, sign: bool = False) -> str:
    """Return a figure with its 95% interval.

    Examples
    --------
    >>> interval(0.7, 0.65, 0.75), interval(float("nan"), 0, 1)
    ('0.70 (0.65 to 0.75)', '–')
    """
    if pd.isna(value):
        return "–"
    if pd.isna(low) or pd.isna(high):
        return number(value, digits, sign)
    return f"{number(value, digits, sign)} ({number(low, digits, sign)} to {number(high, digits, sign)})"


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


def p_value(p: Any) -> str:
    """Return a p-value; below a thousandth only that it is.

    Examples
    --------
    >>> p_value(0.0004), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    return "< 0.001" if p < 0.001 else number(p, 3)


def sides_now(final: pd.DataFrame, costs: pd.DataFrame) -> Table:
    """Return the line of each side with all training reviews, its QWK, and its cost where that was measured."""
    seconds = {(line["features"], line["model"]): line["total_seconds"] for line in costs.to_dict("records")}
    rows = [
        [
            line["side"],
            f"{line['model']} on {line['features']}",
            interval(line["qwk"], line["qwk_low"], line["qwk_high"]),
            short(seconds.get((line["features"], line["model"]))),
        ]
        for line in final.to_dict("records")
    ]
    return Table(
        f"The sides with all {final['n_train'].max()} training reviews",
        ["side", "its best line on all of them", "QWK of the side (95%)", "training seconds"],
        rows,
        n_names=2,
    )


def sides_by_size(sides: pd.DataFrame) -> Table:
    """Return QWK with its interval: sides as rows, training reviews as columns."""
    return _pivot(
        "QWK (95% interval) by number of training reviews",
        "side",
        sides.assign(cell=_intervals(sides, "qwk")),
        "n_train",
        sorted(sides["n_train"].unique()),
    )


def contrast_table(contrasts: pd.DataFrame) -> Table:
    """Return the QWK differences between sides."""
    rows = [
        [
            f"{line['a']} against {line['b']}",
            str(line["n_train"]),
            interval(line["difference"], line["low"], line["high"], 3, sign=True),
            p_value(line["p"]),
            p_value(line["p_holm"]),
        ]
        for line in contrasts.to_dict("records")
    ]
    columns = ["contrast", "training reviews", "QWK difference (95%)", "p", "p after Holm"]
    return Table("QWK of the first side less that of the second", columns, rows)


def crossover_table(crossovers: pd.DataFrame) -> Table:
    """Return where the lead changes, and in how many of the bootstrap resamples it does so."""
    rows = [
        [
            f"{line['a']} against {line['b']}",
            line["ahead_small"] if isinstance(line["ahead_small"], str) else "–",
            line["ahead_large"] if isinstance(line["ahead_large"], str) else "–",
            interval(line["n"], line["n_low"], line["n_high"], 0) if pd.notna(line["n"]) else "none found",
            f"{line['found']:.0%}",
        ]
        for line in crossovers.to_dict("records")
    ]
    columns = ["contrast", "ahead with few", "ahead with all", "lead changes at (95%)", "resamples with a change"]
    return Table("Training reviews at which the lead changes", columns, rows, n_names=3)


def cost_table(costs: pd.DataFrame, caption: str) -> Table:
    """Return what each line costs, in the order given."""
    rows = [
        [
            f"{line['model']} on {line['features']}",
            interval(line["qwk"], line["qwk_low"], line["qwk_high"]),
            *(short(line[f"{part}_seconds"]) for part in ("total", "encode", "learn", "fit")),
            short(line["predict_us"]),
            short(line["peak_mb"]),
        ]
        for line in costs.to_dict("records")
    ]
    columns = ["line", "QWK (95%)", "total s", "encode s", "learn s", "fit s", "predict, µs a review", "peak MB"]
    return Table(caption, columns, rows)


def frontier_table(costs: pd.DataFrame) -> Table:
    """Return the lines on the frontier of quality and cost, numbered as in the figure."""
    table = cost_table(frontier(costs), "The frontier: no other line is both better and cheaper")
    rows = [[f"{place}. {row[0]}", *row[1:]] for place, row in enumerate(table.rows, start=1)]
    return Table(table.caption, table.columns, rows)


def change_table(changes: pd.DataFrame) -> Table:
    """Return QWK on the reviews as they are, and what each change takes from it."""
    cells = changes.assign(
        cell=[
            interval(line["qwk"], line["qwk_low"], line["qwk_high"])
            if line["change"] == "none"
            else interval(line["difference"], line["low"], line["high"], sign=True)
            for line in changes.to_dict("records")
        ]
    )
    reviews = changes["n_reviews"].max() if len(changes) else 0
    caption = f"QWK on {reviews} held-out reviews as they are, and its difference after a change (95%)"
    table = _pivot(caption, "side", cells, "change", list(dict.fromkeys(changes["change"])))
    return Table(table.caption, ["unchanged" if name == "none" else name for name in table.columns], table.rows)


def transfer_table(transfer: pd.DataFrame) -> Table:
    """Return QWK of models that were trained on other reviews than they are tested on."""
    rows = [
        [
            line["side"],
            f"{line['trained_on']} to {line['tested_on']}",
            str(line["n_reviews"]),
            interval(line["qwk"], line["qwk_low"], line["qwk_high"]),
        ]
        for line in transfer.to_dict("records")
    ]
    return Table("Trained on one data set, tested on another", ["side", "from, to", "reviews", "QWK (95%)"], rows, 2)


def slice_tables(slices: pd.DataFrame) -> list[Table]:
    """Return QWK and MAE in parts of the held-out reviews, one table for each way of cutting them.

    Within one true star QWK is not defined or of no use, so there it is the MAE.
    """
    tables = []
    for kind in dict.fromkeys(slices["slice"]):
        own = slices[slices["slice"] == kind]
        measure, title = ("mae", "MAE in stars") if kind == "stars" else ("qwk", "QWK")
        sizes = own.drop_duplicates("value").set_index("value")["n_reviews"]
        names = [f"{value} ({sizes[value]} reviews)" for value in own["value"].tolist()]
        labelled = own.assign(cell=_intervals(own, measure), value=names)
        caption = f"{title} (95%) by {'true star' if kind == 'stars' else kind}"
        table = _pivot(caption, "value", labelled, "side", list(dict.fromkeys(own["side"])))
        tables.append(Table(caption, [kind, *table.columns[1:]], table.rows))
    return tables


def calibration_table(calibration: pd.DataFrame) -> Table:
    """Return how the predictions of each side are spread."""
    rows = [
        [
            line["side"],
            number(line["sd_ratio"]),
            number(line["slope"]),
            number(line["slope_true"]),
            number(line["bias"], sign=True),
        ]
        for line in calibration.to_dict("records")
    ]
    columns = ["side", "SD of prediction / SD of stars", "prediction on truth", "truth on prediction", "bias in stars"]
    return Table("Dispersion and calibration of the raw prediction", columns, rows)


def _intervals(table: pd.DataFrame, measure: str) -> list[str]:
    ends = (table[measure], table[f"{measure}_low"], table[f"{measure}_high"])
    return [interval(value, low, high) for value, low, high in zip(*ends, strict=True)]


def _pivot(caption: str, rows: str, table: pd.DataFrame, columns: str, order: list[Any]) -> Table:
    """Return the column `cell` of a long table as a wide one, rows in the order in which they come."""
    cells = {(line[rows], line[columns]): line["cell"] for line in table.to_dict("records")}
    names = dict.fromkeys(table[rows])
    return Table(
        caption,
        [rows, *(str(column) for column in order)],
        [[str(name), *(cells.get((name, column), "–") for column in order)] for name in names],
    )
