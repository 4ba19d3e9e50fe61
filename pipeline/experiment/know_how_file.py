"""Know-how made, added and shown for the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.review_file import read_review_file
from pipeline.experiment.strongest_words import strongest_words
from pipeline.features.word_sums import WordSums
from pipeline.format import printable
from pipeline.know_how.know_how import WORD_FEATURES, KnowHow, load_know_how, make_know_how
from pipeline.scale import Scale
from pipeline.sources.columns import ColumnNames
from pipeline.taguchi import TMethodRegressor

_DIGITS = {"n_texts": 0, "sn_db": 1}


@contextmanager
def _one_line() -> Iterator[None]:
    """Turn what the library refuses into the error that the command line prints."""
    try:
        yield
    except ValueError as error:
        raise PipelineError(first_line(error)) from None


def make(
    file: Path, columns: ColumnNames, encoding: str | None, scale: str | None, origin: str, licence: str, min_texts: int
) -> KnowHow:
    """Return the know-how of all usable reviews in a file, or in the files of a directory.

    Raises
    ------
    PipelineError
        If the file cannot be read, or its reviews do not suffice.
    """
    with _one_line():
        given = Scale.parse(scale) if scale else None
        reviews, used = read_review_file(file, columns, encoding, given)
        texts, stars = reviews["text"], reviews["stars"]
        return make_know_how(texts, stars, origin=origin, licence=licence, min_texts=min_texts, scale=used)


def add(files: list[str]) -> KnowHow:
    """Return the sum of know-how in files.

    Raises
    ------
    PipelineError
        If a file cannot be read, or the scales differ.
    """
    with _one_line():
        first, *others = map(load_know_how, files)
        return sum(others, first)


def save(know_how: KnowHow, out: Path) -> str:
    """Write know-how to a file; return what to say about it."""
    know_how.save(out)
    return f"{out}: {_counts(know_how)}, {out.stat().st_size / 1e6:.1f} MB"


def show(file: str, n: int) -> str:
    """Return what a file of know-how holds: where it comes from, its strongest words, its columns.

    Raises
    ------
    PipelineError
        If it cannot be read.
    """
    with _one_line():
        know_how = load_know_how(file)
    about = know_how.about
    stars = zip(know_how.columns.classes, know_how.columns.weight, strict=True)
    lines = [
        f"origin:   {about.origin}",
        f"licence:  {about.licence or 'none given'}",
        f"holds:    {_counts(know_how)}, made by version {about.version}",
        f"scale:    {know_how.scale}; " + ", ".join(f"{weight:g} x {star:g}" for star, weight in stars),
    ]
    if know_how.reading:
        lines.append(f"reads:    Japanese and Chinese with words={know_how.reading!r}")
    for feature, sums in know_how.words.items():
        words = _strongest(feature, sums, n)
        for title, some in (("up", words[words["difference"] > 0]), ("down", words[words["difference"] < 0])):
            lines += ["", f"{feature}: the strongest words that pull {title}", _shown(some)]
    columns = column_ratios(know_how)
    return printable("\n".join([*lines, "", "columns, in the order of their S/N ratios", _shown(columns)]))


def _strongest(feature: str, sums: WordSums, n: int) -> pd.DataFrame:
    """Return the words with the largest S/N ratios, as the feature learns them from the sums."""
    return strongest_words(sums, WORD_FEATURES[feature]().fit_sums(sums).metrics_, n)


def column_ratios(know_how: KnowHow) -> pd.DataFrame:
    """Return the columns with their sensitivities and S/N ratios (Ta), the largest first.

    Returns
    -------
    DataFrame
        column; beta, in units of the column per star; sn_db, in dB.
    """
    model = TMethodRegressor("all").fit_moments(know_how.columns)
    table = pd.DataFrame({"column": know_how.names, "beta": model.beta_, "sn_db": model.sn_ratio_})
    return table.sort_values("sn_db", ascending=False, kind="stable", ignore_index=True)


def _counts(know_how: KnowHow) -> str:
    items = sum(len(sums.df) for sums in know_how.words.values())
    about = know_how.about
    return f"{about.n_texts} reviews, {items} words and phrases in {about.min_texts} or more reviews"


def _shown(table: pd.DataFrame) -> str:
    """Return a table for the terminal."""
    numbers = table.select_dtypes("number").columns
    formats = {name: f"{{:.{_DIGITS.get(name, 2)}f}}".format for name in numbers}
    return table.to_string(index=False, formatters=formats)
