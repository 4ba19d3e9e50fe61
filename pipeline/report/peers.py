"""What the peers stage found: a language model and a fine-tuned encoder beside the T-method."""

from collections.abc import Iterator

import pandas as pd

from pipeline.format import number, short
from pipeline.report.curves import contrast_table, side_curves, sides_by_size
from pipeline.report.figure import Picture, picture
from pipeline.report.results import Results
from pipeline.report.table import LINE, Table, cell, long_table

_NO_CROSSOVERS = pd.DataFrame({"n": []})
PEERS = ", beside a language model and SetFit,"


def tables(results: Results) -> dict[str, Table]:
    """Return QWK by size, differences and costs."""
    costs, n_held_out = results.peer_costs, int(results.peers["n_held_out"]) if results.peers else 0
    most = costs[costs["n_train"] == costs["n_train"].max()]
    cells = {
        "side": cell(str, "side"),
        "its best line": LINE,
        "training, s": cell(short, "train_seconds"),
        "a review, ms": cell(short, "review_ms"),
        "peak MB": cell(short, "peak_mb"),
    }
    return {
        "peer_sizes": sides_by_size(results.peer_sides),
        "peer_contrasts": contrast_table(results.peer_contrasts, n_held_out),
        "peer_costs": long_table(f"Costs with {most['n_train'].max()} training reviews", most, cells, n_names=2),
    }


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the curves of the sides."""
    sides = results.peer_sides
    last = sides[sides["n_train"] == sides["n_train"].max()]
    ends = "; ".join(f"{line['side']} {number(line['qwk'])}" for line in last.to_dict("records"))
    text = f"Learning curves beside a language model and SetFit. QWK with most training reviews: {ends}."
    yield picture("peers", "peers", text, side_curves(sides, _NO_CROSSOVERS))
