"""Which raw rows are usable reviews: two passes over the rows, one for a few bytes of each, one for those wanted."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.experiment.rating import Rating, rating_of
from pipeline.experiment.unescape import unescape
from pipeline.scale import FIVE_STARS, Scale
from pipeline.sources.raw import RawRows
from pipeline.text import normalised

_IN_MEMORY = 1 << 20
NO_TEXT = "text empty or not a string"
# Why a row is no review, by its number in `_Survey.fault`.
_NONE, _UNREADABLE, _EMPTY, _STARS, _TWICE, _SAME_ID = range(6)


class Rejected:
    """Rejected rows, on disk where they are many; iterating yields them in their order."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, Any] | None = None
        self._file = SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115 - it lives as long as this

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row with file, line, reason and text."""
        self.first = self.first or row
        self.reasons[row["reason"].split(":")[0]] += 1
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def __len__(self) -> int:
        return self.reasons.total()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        yield from map(json.loads, self._file)


def has_text(text: Any) -> bool:
    """Return whether a value is a text that holds more than spaces."""
    return isinstance(text, str) and bool(normalised(text).strip())


class _Survey(NamedTuple):
    """All rows of a source in a few bytes each: numbers, and digests in place of texts and ids.

    Attributes
    ----------
    files : list of str
        Names of the files.
    file : ndarray of int32
        Which of them a row stands in.
    line : ndarray of int32
    number : ndarray of float64
        What stands for the stars; NaN where that is no number.
    text, review_id : ndarray of uint64
        Digests.
    fault : ndarray of int8
        Why a row is no review.
    """

    files: list[str]
    file: npt.NDArray[np.int32]
    line: npt.NDArray[np.int32]
    number: npt.NDArray[np.float64]
    text: npt.NDArray[np.uint64]
    review_id: npt.NDArray[np.uint64]
    fault: npt.NDArray[np.int8]


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _text_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _same_text(text: str) -> int:
    """Return a digest that texts share which differ in spaces and in how their characters are composed."""
    return _digest(" ".join(normalised(text).split()))


def _survey(rows: RawRows) -> _Survey:
    parts = [_survey_part(part) for part in rows.parts()]
    files = list(dict.fromkeys(file for part in parts for file in part.files))
    numbered = [part._replace(file=np.array([files.index(file) for file in part.files])[part.file]) for part in parts]
    return _Survey(files, *map(np.concatenate, list(zip(*numbered, strict=True))[1:]))


def _survey_part(part: pd.DataFrame) -> _Survey:
    fault = np.where(part["problem"].notna(), _UNREADABLE, np.where(part["text"].map(has_text), _NONE, _EMPTY))
    texts = [unescape(text)[0] if ok else "" for text, ok in zip(part["text"], fault == _NONE, strict=True)]
    # What holds nothing but markup is empty, too.
    fault[[ok and not has_text(text) for text, ok in zip(texts, fault == _NONE, strict=True)]] = _EMPTY
    ids = [given or _text_id(text) for given, text in zip(part["review_id"], texts, strict=True)]
    file, files = pd.factorize(part["file"])
    return _Survey(
        files.tolist(),
        file.astype(np.int32),
        part["line"].to_numpy(np.int32),
        _numbers(part["stars"]),
        np.array([_same_text(text) for text in texts], dtype=np.uint64),
        np.array(list(map(_digest, ids)), dtype=np.uint64),
        fault.astype(np.int8),
    )


def _numbers(values: "pd.Series[Any]") -> npt.NDArray[np.float64]:
    """Return numbers written with a point or a decimal comma, also in full width; NaN for anything else."""
    with_points = values.astype("str").str.normalize("NFKC")
    with_points = with_points.str.replace(r"^(\s*[+-]?\d+),(\d+\s*)$", r"\1.\2", regex=True)
    return pd.to_numeric(with_points, errors="coerce").to_numpy(np.float64)


def _find_faults(survey: _Survey, rating: Rating) -> npt.NDArray[np.intp]:
    """Fill in the faults that rows have beside others; return which row each repeats, itself if none."""
    fault, same = survey.fault, np.arange(len(survey.fault))
    fault[(fault == _NONE) & np.isnan(rating.stars(survey.number))] = _STARS
    for digests, kind in ((survey.text, _TWICE), (survey.review_id, _SAME_ID)):
        good = np.flatnonzero(fault == _NONE)
        _, first, group = np.unique(digests[good], return_index=True, return_inverse=True)
        same[good] = good[first[group]]
        fault[good[first[group] != np.arange(len(good))]] = kind
    return same


class UsableReviews:
    """The usable reviews of one source, of which some are drawn and then read.

    Attributes
    ----------
    n_read : int
        Number of rows in the source.
    stars : ndarray of float64 of shape (n_usable,)
    """

    def __init__(self, rows: RawRows, survey: _Survey, rating: Rating):
        self._rows, self._survey, self._rating = rows, survey, rating
        self._same = _find_faults(survey, rating)
        self._usable = np.flatnonzero(survey.fault == _NONE)
        self.n_read = len(survey.line)
        self.stars = rating.stars(survey.number[self._usable])

    def read(self, drawn: npt.NDArray[np.bool_], rejected: Rejected) -> tuple[pd.DataFrame, Counter[str]]:
        """Read the drawn ones of the usable reviews, and hand over the rows that are none.

        Returns
        -------
        reviews : DataFrame with columns file, line, review_id, text, stars, and category if there is any
        unescaped : Counter
            How many of the reviews held what, before it was undone.
        """
        wanted = np.zeros(self.n_read, dtype=bool)
        wanted[self._usable[drawn]] = True
        unescaped: Counter[str] = Counter()
        kept, start = [], 0
        for part in self._rows.parts():
            rows = slice(start, start + len(part))
            start += len(part)
            if start > self.n_read:
                raise self._has_changed()
            for row in np.flatnonzero(self._survey.fault[rows] != _NONE):
                rejected.add(self._rejected(part.iloc[row], rows.start + int(row)))
            some = part[wanted[rows]]
            undone = [unescape(text) for text in some["text"]]
            if [_same_text(text) for text, _ in undone] != self._survey.text[rows][wanted[rows]].tolist():
                raise self._has_changed()
            unescaped.update(kind for _, kinds in undone for kind in kinds)
            kept.append(some.assign(text=[text for text, _ in undone]))
        if start < self.n_read:
            raise self._has_changed()
        return self._reviews(pd.concat(kept, ignore_index=True), self.stars[drawn]), unescaped

    def _has_changed(self) -> PipelineError:
        return PipelineError(f"{self._rows.origin} has changed while it was read: run the command again")

    def _reviews(self, rows: pd.DataFrame, stars: npt.NDArray[np.float64]) -> pd.DataFrame:
        """Return the rows with stars, ids and categories in place of those that were given."""
        ids = [given or _text_id(text) for given, text in zip(rows["review_id"], rows["text"], strict=True)]
        category = rows["category"].str.strip().replace("", None) if len(rows) else rows["category"]
        columns = ["file", "line", "review_id", "text", "stars", *(["category"] if category.notna().any() else [])]
        kinds = {"line": int, "review_id": str, "text": str, "stars": int if self._rating.scale.is_whole else float}
        return rows.assign(stars=stars, review_id=ids, category=category)[columns].astype(kinds)

    def _rejected(self, row: "pd.Series[Any]", number: int) -> dict[str, Any]:
        given = self._given(row["stars"])
        first, survey = self._same[number], self._survey
        elsewhere = f" of {survey.files[survey.file[first]]}" if survey.file[first] != survey.file[number] else ""
        reason = {
            _UNREADABLE: row["problem"],
            _EMPTY: NO_TEXT,
            _STARS: f"stars not {self._values()}: {given}",
            _TWICE: f"duplicate text: same as line {survey.line[first]}{elsewhere}",
            _SAME_ID: f"review_id used before: {row['review_id']}",
        }[int(self._survey.fault[number])]
        return {"file": row["file"], "line": row["line"], "reason": reason, "text": row["text"]}

    def _values(self) -> str:
        scale = self._rating.scale
        return f"a whole number from {scale}" if scale.is_whole and scale.step == 1 else f"on the scale {scale}"

    def _given(self, stars: str | None) -> str:
        if stars is None:
            return "none given"
        return f"label {stars}" if self._rating.offset else stars


def find_usable(sources: list[RawRows], given: Scale | None, origin: str) -> tuple[list[UsableReviews], Rating]:
    """Return the usable reviews of sources that share a scale, and how their numbers become stars.

    Parameters
    ----------
    sources : list of RawRows
    given : Scale or None
    origin : str
        Name of the sources, for errors.

    Raises
    ------
    PipelineError
        As in `rating_of`.
    """
    surveys = [_survey(rows) for rows in sources]
    ratings = {
        labels: rating_of(
            np.concatenate([each.number for each, rows in zip(surveys, sources, strict=True) if rows.labels == labels]),
            *(labels, given, origin, sources[0].column),
        )
        for labels in {rows.labels for rows in sources}
    }
    usable = [UsableReviews(rows, survey, ratings[rows.labels]) for rows, survey in zip(sources, surveys, strict=True)]
    return usable, ratings[sources[0].labels]


def check(rows: RawRows, scale: Scale = FIVE_STARS) -> tuple[pd.DataFrame, Rejected]:
    """Divide raw rows into usable reviews and rejected ones.

    Parameters
    ----------
    rows : RawRows
    scale : Scale
        Of the stars; labels are counted from 0.

    Returns
    -------
    reviews : DataFrame with columns file, line, review_id, text, stars, and category if there is any
    rejected : Rejected
        file, line, reason and text of each row that is not in `reviews`.
    """
    rejected = Rejected()
    usable = UsableReviews(rows, _survey(rows), Rating(scale, int(rows.labels)))
    return usable.read(np.ones(len(usable.stars), dtype=bool), rejected)[0], rejected
