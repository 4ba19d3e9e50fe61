"""Which column of a file holds the texts, the stars, the ids and the categories."""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.errors import PipelineError

logger = logging.getLogger(__name__)

# Names in exports of Yelp, Amazon, Google Play, TripAdvisor, IMDb and app stores; the first one that is there counts.
_TEXT = (
    *("text", "review_text", "review", "review_body", "body", "content", "review_content", "comment", "comments"),
    *("reviews.text", "review.text", "review_full", "review_detail", "review_comment", "comment_text", "user_review"),
    *(
        "customer_review",
        "verified_reviews",
        "translated_review",
        "reviews",
        "本文",
        "レビュー",
        "口コミ",
        "コメント",
    ),
    *("评论", "评论内容", "評論", "内容", "评价内容"),
)
_STARS = (
    *("stars", "star", "star_rating", "rating", "review_rating", "score", "overall", "review_stars", "review_score"),
    *("reviews.rating", "review.rating", "rating_review", "rating_value", "reviewer_score", "customer_rating"),
    *(
        "im:rating",
        "user_rating",
        "your_rating",
        "rate",
        "ratings",
        "points",
        "星",
        "星の数",
        "評価",
        "评分",
        "評分",
        "星级",
    ),
)
_LABEL = ("label", "labels")
_ID = ("review_id",)
_CATEGORY = ("category", "product_category")
_MAKE = {"text": "TEXT", "stars": "STARS", "review_id": "ID", "category": "CATEGORY"}


class ColumnNames(NamedTuple):
    """Names of columns; where a user gives none, None.

    Attributes
    ----------
    text, stars, review_id, category : str or None
    """

    text: str | None = None
    stars: str | None = None
    review_id: str | None = None
    category: str | None = None


NO_NAMES = ColumnNames()


class Columns(NamedTuple):
    """The columns that are read.

    Attributes
    ----------
    text : str
    stars, review_id, category : str or None
    labels : bool
        Whether the stars are counted from 0, as they are in a column called label.
    """

    text: str
    stars: str | None
    review_id: str | None
    category: str | None
    labels: bool

    @property
    def names(self) -> list[str]:
        """All of them."""
        return list(dict.fromkeys(name for name in self[:4] if name is not None))


def find_columns(found: Sequence[str], wanted: ColumnNames, origin: str, with_stars: bool = True) -> Columns:
    """Return the columns that a user names, or those whose names are known; case and separators do not matter.

    Parameters
    ----------
    found : sequence of str
        Names in the file.
    wanted : ColumnNames
    origin : str
        The file, for errors and the log.
    with_stars : bool, default=True
        Whether stars are needed; else none are looked for.

    Raises
    ------
    PipelineError
        If a named column is missing, if no name is known, or if two columns have it.

    Examples
    --------
    >>> find_columns(["reviewText", "overall"], ColumnNames(), "amazon.json")
    Columns(text='reviewText', stars='overall', review_id=None, category=None, labels=False)
    """
    text = _named(found, wanted.text, "text", origin) or _known(found, _TEXT)
    stars = _named(found, wanted.stars, "stars", origin) or _known(found, _STARS) if with_stars else None
    label = _known(found, _LABEL) if with_stars and not stars else None
    needed = "text, and stars (1 to 5) or label (0 to 4)" if with_stars else "text"
    for column, missing in ((text, "text"), *([(stars or label, "stars or label")] if with_stars else [])):
        if column is None:
            name = _MAKE[missing.split()[0]]
            raise PipelineError(
                f"{origin} has no column {missing}; found: {', '.join(map(str, found)) or 'none'}; needed: {needed}: "
                f"name yours by {name}= (--{name.lower()})"
            )
    columns = Columns(
        str(text),
        stars or label,
        _named(found, wanted.review_id, "review_id", origin) or _known(found, _ID),
        _named(found, wanted.category, "category", origin) or _known(found, _CATEGORY),
        labels=label is not None,
    )
    counts = Counter(found)
    for name in columns.names:
        if counts[name] > 1:
            raise PipelineError(f"{origin} has {counts[name]} columns {name}: keep one of them")
    if columns.text == columns.stars:
        raise PipelineError(f"{origin}: the column {columns.text!r} cannot hold both texts and stars: name two columns")
    if columns.text != "text" or columns.stars not in ("stars", "label", None):
        of_stars = f", {columns.stars!r} the stars" if columns.stars else ""
        logger.info("%s: %r are the texts%s", origin, columns.text, of_stars)
    return columns


def _named(found: Sequence[str], name: str | None, role: str, origin: str) -> str | None:
    """Return the column that the user names, by its exact name or without regard to case."""
    if name is None:
        return None
    if name in found:
        return name
    near = [column for column in found if _plain(column) == _plain(name)]
    if len(near) == 1:
        return near[0]
    raise PipelineError(f"{origin} has no column {name!r} ({_MAKE[role]}=); found: {', '.join(map(str, found))}")


def _known(found: Sequence[str], names: Sequence[str]) -> str | None:
    # A name as it stands comes before one in other letters.
    by_name = {_plain(column): column for column in sorted(found, key=lambda column: column in names)}
    return next((by_name[_plain(name)] for name in names if _plain(name) in by_name), None)


def _plain(name: str) -> str:
    """Return a name in lower case without what separates its words.

    Examples
    --------
    >>> _plain("Review Text") == _plain("reviewText") == _plain("review_text")
    True
    """
    return re.sub(r"[\s_-]", "", str(name)).casefold()
