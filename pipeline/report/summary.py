"""The report in short, as Markdown for a pull request."""

import pandas as pd

from pipeline.format import escape_markdown, number, short
from pipeline.report.costs import frontier_table
from pipeline.report.curves import contrast_table, sides_by_size, sides_now
from pipeline.report.headline import headline
from pipeline.report.peers import PEERS
from pipeline.report.results import Results
from pipeline.report.table import QWK, Table, cell, long_table

_TOP = 10


def render_summary(dataset: str, results: Results) -> str:
    """Return the headline, the verdict, the top of the leaderboard, the sides by size, contrasts and costs.

    Returns
    -------
    str
        GitHub-flavoured Markdown, in which names from configuration and data stay plain text.
    """
    tables = [
        sides_now(results.final, results.costs),
        sides_by_size(results.sides),
        contrast_table(results.contrasts, results.n_held_out),
        *([sides_by_size(results.know_how, ", each side with know-how,")] if len(results.know_how) else []),
        *([sides_by_size(results.peer_sides, PEERS)] if results.peers else []),
        _top_table(results.metrics),
        frontier_table(results.costs),
    ]
    found = headline(results)
    top = [f"**{escape_markdown(found.sentence)}**", "\n".join(f"- {escape_markdown(line)}" for line in found.advice)]
    top += [escape_markdown(f"Also sure: {'; '.join(found.also)}.")] if found.also else []
    sentences = [f"{place}. {escape_markdown(text)}" for place, text in enumerate(results.sentences, start=1)]
    title = f"# T-method vs attention: {escape_markdown(dataset)}"
    sections = [f"## {escape_markdown(table.caption)}\n\n{table.markdown(escape_markdown)}" for table in tables]
    notes = [escape_markdown(note) for note in results.reading_notes]
    return "\n\n".join([title, *top, f"Stars from {results.scale}.", *notes, *sentences, *sections]) + "\n"


def _top_table(metrics: pd.DataFrame) -> Table:
    """Return the best lines, with what their fit takes."""
    ranked = metrics.assign(place=range(1, len(metrics) + 1))
    cells = {
        "#": cell(str, "place"),
        "features": cell(str, "features"),
        "model": cell(str, "model"),
        "QWK (95%)": QWK,
        "MAE": cell(number, "mae"),
        "fit s": cell(short, "fit_seconds"),
    }
    return long_table(f"Top of the leaderboard, of {len(metrics)} lines", ranked.head(_TOP), cells, n_names=3)
