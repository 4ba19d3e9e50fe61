"""Robustness: changed reviews, other data sets, and parts of the held-out reviews."""

import pandas as pd

from pipeline.format import interval
from pipeline.report.table import Table, interval_cells, wide_table


def change_table(changes: pd.DataFrame) -> Table:
    """Return QWK on the reviews as they are, and by how much each change lowers it."""
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
    table = wide_table(caption, cells, "side", "change", list(dict.fromkeys(changes["change"])))
    return Table(caption, ["unchanged" if name == "none" else name for name in table.columns], table.rows)


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
        parts = slices[slices["slice"] == kind]
        measure, title = ("mae", "MAE in stars") if kind == "stars" else ("qwk", "QWK")
        sizes = parts.drop_duplicates("value").set_index("value")["n_reviews"]
        names = [f"{value} ({sizes[value]} reviews)" for value in parts["value"].tolist()]
        cells = parts.assign(cell=interval_cells(parts, measure), value=names)
        caption = f"{title} (95%) by {'true star' if kind == 'stars' else kind}"
        table = wide_table(caption, cells, "value", "side", list(dict.fromkeys(parts["side"])))
        tables.append(Table(caption, [kind, *table.columns[1:]], table.rows))
    return tables
