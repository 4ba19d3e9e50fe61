"""The report in short, as Markdown for a pull request."""

import re

from pipeline.report.results import Results
from pipeline.report.tables import (
    Table,
    contrast_table,
    frontier_table,
    interval,
    number,
    short,
    sides_by_size,
    sides_now,
)

_TOP = 10


def render_summary(dataset: str, results: Results) -> str:
    """Return the verdict, the top of the leaderboard, the sides by size, contrasts and costs.

    Returns
    -------
    str
        GitHub-flavoured Markdown, in which names from configuration and data stay plain text.
    """
    tables = [
        sides_now(results.final, results.costs),
        sides_by_size(results.sides),
        contrast_table(results.contrasts),
        _leaderboard(results),
        frontier_table(results.costs),
    ]
    return (
        "\n\n".join(
            [
                f"# T-method vs attention: {_plain(dataset)}",
                *(f"{place}. {_plain(sentence)}" for place, sentence in enumerate(results.sentences, start=1)),
                *(f"## {_plain(table.caption)}\n\n{_markdown(table)}" for table in tables),
            ]
        )
        + "\n"
    )


def _leaderboard(results: Results) -> Table:
    rows = [
        [
            str(place),
            line["features"],
            line["model"],
            interval(line["qwk"], line["qwk_low"], line["qwk_high"]),
            number(line["mae"]),
            short(line["fit_seconds"]),
        ]
        for place, line in enumerate(results.metrics.head(_TOP).to_dict("records"), start=1)
    ]
    caption = f"Top of the leaderboard, of {len(results.metrics)} lines"
    return Table(caption, ["#", "features", "model", "QWK (95%)", "MAE", "fit s"], rows, n_names=3)


def _markdown(table: Table) -> str:
    rule = ["---" if column < table.n_names else "---:" for column in range(len(table.columns))]
    rows = [[_plain(cell) for cell in row] for row in (table.columns, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))
