"""The report in short, as Markdown for a pull request."""

from pipeline.format import escape_markdown, markdown_table
from pipeline.report.costs import frontier_table
from pipeline.report.curves import sides_by_size, sides_now
from pipeline.report.differences import contrast_table
from pipeline.report.leaderboard import top_table
from pipeline.report.results import Results
from pipeline.report.table import Table


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
        top_table(results.metrics),
        frontier_table(results.costs),
    ]
    sentences = [f"{place}. {escape_markdown(text)}" for place, text in enumerate(results.sentences, start=1)]
    title = f"# T-method vs attention: {escape_markdown(dataset)}"
    return "\n\n".join([title, *sentences, *map(_section, tables)]) + "\n"


def _section(table: Table) -> str:
    columns, *rows = ([escape_markdown(cell) for cell in row] for row in (table.columns, *table.rows))
    return f"## {escape_markdown(table.caption)}\n\n{markdown_table(columns, rows, table.n_names)}"
