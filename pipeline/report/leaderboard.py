"""The leaderboard: all lines for the page, and its top for the summary."""

from typing import Any

import pandas as pd

from pipeline.format import number, short
from pipeline.report.results import Results, lines_of
from pipeline.report.table import Table, interval_cells

_TOP = 10


def leaderboard(results: Results) -> list[dict[Any, Any]]:
    """Return the lines of the leaderboard with their family and the hyperparameters that were chosen inside."""
    rows = []
    for line, row in zip(lines_of(results.metrics), results.metrics.to_dict("records"), strict=True):
        chosen = ", ".join(f"{key} = {value}" for key, value in results.lines[line]["chosen"].items())
        rows.append({**row, "family": results.family(line), "chosen": chosen})
    return rows


def top_table(metrics: pd.DataFrame) -> Table:
    """Return the best lines, with what their fit takes."""
    top = metrics.head(_TOP)
    rows = [
        [str(place), line["features"], line["model"], qwk, number(line["mae"]), short(line["fit_seconds"])]
        for place, (line, qwk) in enumerate(
            zip(top.to_dict("records"), interval_cells(top, "qwk"), strict=True), start=1
        )
    ]
    caption = f"Top of the leaderboard, of {len(metrics)} lines"
    return Table(caption, ["#", "features", "model", "QWK (95%)", "MAE", "fit s"], rows, n_names=3)
