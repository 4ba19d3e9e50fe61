"""The outline of the page: which sections it has, and which files lie beside it."""

import re
from typing import NamedTuple

from markupsafe import Markup

from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import TABLES, table_path

_SECTION = re.compile(r'<section aria-labelledby="([^"]+)"[^>]*>\s*<h2 id="\1">(.*?)</h2>(.*?)</section>', re.DOTALL)
# Paper gets what the comparison found and where it comes from, and stays below ten pages.
_ON_PAPER = {"alerts", "curves", "words", "items", "attention", "differences", "verdict", "board", "predictions"}


class Section(NamedTuple):
    """A section of the page: its id, its heading, what stands below it, and whether it is printed."""

    id: str
    title: Markup
    body: Markup
    on_paper: bool


def sections(html: str) -> list[Section]:
    """Return the sections that stand in a part of the page; the contents list them, and the page folds most of them.

    Parameters
    ----------
    html : str
        Safe HTML, in which each section begins with a heading that names it, as the templates in `sections` do.

    Examples
    --------
    >>> [section] = sections('<section aria-labelledby="a"><h2 id="a">Costs</h2><p>9</p></section>')
    >>> section.id, str(section.title), str(section.body), section.on_paper
    ('a', 'Costs', '<p>9</p>', False)
    """
    return [
        Section(name, Markup(title), Markup(body), name in _ON_PAPER)  # noqa: S704
        for name, title, body in _SECTION.findall(html)
    ]


def tables_beside(paths: DatasetPaths, stages: tuple[str, ...]) -> list[str]:
    """Return the tables of these stages that lie beside the page, as links relative to it."""
    of_stages = [name for name, table in TABLES.items() if table.stage in stages]
    return [TABLES[name].file for name in of_stages if table_path(paths, name).exists()]
