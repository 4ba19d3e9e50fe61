"""The key of a result: a line of the leaderboard."""

from typing import NamedTuple, Self

# The feature set of baselines, which read the texts themselves.
RAW_TEXT = "text"


class Line(NamedTuple):
    """A feature set and the model that reads it.

    Examples
    --------
    >>> str(Line("t_metrics+text_stats", "Ta"))
    't_metrics+text_stats / Ta'
    >>> Line.parse("t_metrics+text_stats / Ta").model
    'Ta'
    """

    features: str
    model: str

    def __str__(self) -> str:
        return f"{self.features} / {self.model}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the line that `str` has made a text of."""
        return cls(*text.rsplit(" / ", 1))
