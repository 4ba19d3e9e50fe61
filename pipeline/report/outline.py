"""The outline of the page: which sections it has, and which files lie beside it."""

from collections.abc import Collection
from typing import NamedTuple

from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import TABLES, table_path


class Section(NamedTuple):
    """A section of the page; its content is the template of its name in `templates/sections`.

    Attributes
    ----------
    id : str
    title : str
    stage : str
        Without this stage the section is left out.
    folded : bool
        Whether a reader has to open it.
    on_paper : bool
        Whether it is printed: paper gets what the comparison found and where it comes from, on less than ten pages.
    """

    id: str
    title: str
    stage: str = "score"
    folded: bool = True
    on_paper: bool = False


_SECTIONS = (
    Section("alerts", "Checks", folded=False, on_paper=True),
    Section("curves", "Learning curves", "curves", folded=False, on_paper=True),
    Section("words", "The words that make the stars", folded=False, on_paper=True),
    Section("differences", "Differences between the sides", "curves", on_paper=True),
    Section("verdict", "The verdict in full", "curves", on_paper=True),
    Section("peers", "A language model on the desk, and SetFit", "peers"),
    Section("board", "Leaderboard", on_paper=True),
    Section("costs", "Quality against cost", "robustness"),
    Section("predictions", "Predictions", on_paper=True),
    Section("mistakes", "What each side got wrong"),
    Section("robustness", "Robustness", "robustness"),
    Section("data", "Data"),
    Section("glossary", "Glossary"),
    Section("again", "Run it again"),
)
# Before the curves there are no sides.
_EARLY = {"mistakes": "What the best line of each family got wrong"}


def outline(stages: Collection[str]) -> list[Section]:
    """Return the sections of the page in their order, as far as these stages have found what they show.

    Examples
    --------
    >>> [section.id for section in outline(["score"]) if not section.folded]
    ['alerts', 'words']
    """
    titles = {} if "curves" in stages else _EARLY
    return [one._replace(title=titles.get(one.id, one.title)) for one in _SECTIONS if one.stage in stages]


def tables_beside(paths: DatasetPaths, stages: Collection[str]) -> list[str]:
    """Return the tables of these stages that lie beside the page, as links relative to it."""
    of_stages = [name for name, table in TABLES.items() if table.stage in stages]
    return [TABLES[name].file for name in of_stages if table_path(paths, name).exists()]
