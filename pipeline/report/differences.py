"""By how much the sides differ, and where the lead changes."""

import pandas as pd

from pipeline.format import interval, p_text
from pipeline.report.table import Table


def contrast_table(contrasts: pd.DataFrame) -> Table:
    """Return the QWK differences between sides."""
    rows = [
        [
            f"{line['a']} against {line['b']}",
            str(line["n_train"]),
            interval(line["difference"], line["low"], line["high"], 3, sign=True),
            p_text(line["p"]),
            p_text(line["p_holm"]),
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
