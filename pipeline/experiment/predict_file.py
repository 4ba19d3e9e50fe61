"""The command predict for a file: the star of each row, some thousand rows at a time, into another file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.evaluation.word_contributions import WordContributions, word_contributions_of_texts
from pipeline.experiment.bounded import BoundedRegressor, Ratings
from pipeline.experiment.champion import SavedModel, find_model, load_model
from pipeline.experiment.fitting import one_thread
from pipeline.experiment.predict import UNKNOWN, by_word, reading_texts
from pipeline.experiment.unescape import unescape
from pipeline.experiment.usable import NO_TEXT, has_text
from pipeline.experiment.workers import in_parallel, kept
from pipeline.files import atomic_path
from pipeline.format import counted, duration, number
from pipeline.progress import no_bars, progress_bar
from pipeline.scale import Scale
from pipeline.sources.columns import NO_NAMES, ColumnNames
from pipeline.sources.raw import RawRows, read_files

_SUFFIXES = (".csv", ".jsonl", ".parquet")
# Texts for which a worker is asked; what explains reads each text hundreds of times.
_AT_ONCE, _AT_ONCE_EXPLAINED = 512, 16
_MOST_WORDS = 8
_DECIMALS = 4
_WORTH_WORKERS = 20  # seconds of work that are left: to start workers takes up to ten
# A worker reads its model once.
_loaded = lru_cache(maxsize=1)(load_model)


def run(
    file: Path,
    out: Path,
    dataset: str | None = None,
    model: Path | None = None,
    columns: ColumnNames = NO_NAMES,
    encoding: str | None = None,
    explain: bool = False,
    with_text: bool = False,
) -> str:
    """Write the star of each row of a file or directory, in its order; return what was done in one line.

    Columns are row (from 1), file (of a directory), review_id, text (where asked for), star (predicted, rounded to the
    scale), predicted (before it is rounded), p_<value> for each value of the scale where the model gives probabilities,
    words (where asked for) and reason. A row without a usable text keeps its place, with the reason in place of a star;
    one without a known word has the mean star, and a reason that says so.

    Parameters
    ----------
    file : Path
        As `read_files` takes it.
    out : Path
        .csv, .jsonl or .parquet.
    dataset, model
        As in `find_model`.
    columns, encoding
        As in `read_files`; only the text and the id count.
    explain : bool, default=False
        Whether a column tells the words that made a star.
    with_text : bool, default=False
        Whether the texts are repeated.

    Raises
    ------
    PipelineError
        If the file cannot be read, `out` is of another kind, a directory, or lies in what is read, or the model is not
        to be had.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise PipelineError(f"{out} has the suffix {out.suffix!r}: --out (OUT=) takes one of {', '.join(_SUFFIXES)}")
    if out.is_dir():
        raise PipelineError(f"{out} is a directory: name a file by --out (OUT=)")
    if file.resolve() in (out.resolve(), *out.resolve().parents):
        raise PipelineError(f"{out} lies in {file}, which is read: name another --out (OUT=)")
    started = time.perf_counter()
    rows = read_files(file, columns, encoding, with_stars=False)
    saved = find_model(dataset, model)
    # A model of before may have been under the same name.
    _loaded.cache_clear()
    # A model that is damaged is found before the work.
    _loaded(saved)
    read = partial(_read, saved, explain)
    left_out = ["file"] * file.is_file() + ["text"] * (not with_text)
    # So is what is damaged further on.
    n, counts = sum(map(len, rows.parts())), _Counts()
    with progress_bar(n, "predict", " reviews") as bar, no_bars(), kept(), _writer(out) as write:
        for table in _tables(rows, read, explain, bar):
            counts.add(table)
            write(table.drop(columns=left_out))
    seconds = duration(time.perf_counter() - started)
    return f"{out}: {counts.told(n)}, by {saved.about}, in {seconds}"


class _Counts:
    """How many rows have no star, and how many have the mean for want of a known word."""

    def __init__(self) -> None:
        self._empty, self._unknown, self._first = 0, 0, ""

    def add(self, table: pd.DataFrame) -> None:
        without = table["star"].isna()
        if without.any() and not self._first:
            row = table[without].iloc[0]
            self._first = f", the first in row {row['row']}: {row['reason']}"
        self._empty += int(without.sum())
        self._unknown += int((table["reason"] == UNKNOWN).sum())

    def told(self, n: int) -> str:
        parts = [counted(n, "row")]
        if self._empty:
            parts.append(f"{self._empty} of them without a star{self._first}")
        if self._unknown:
            parts.append(f"{self._unknown} without a known word, which get the mean")
        return "; ".join(parts)


class _Block(NamedTuple):
    """Some texts, from a row of a part on."""

    start: int
    texts: list[Any]
    problems: list[str | None]


def _tables(
    rows: RawRows, read: Callable[[_Block], tuple[int, pd.DataFrame]], explain: bool, bar: Any
) -> Iterator[pd.DataFrame]:
    """Yield the table of each part, in order."""
    size, before = _AT_ONCE_EXPLAINED if explain else _AT_ONCE, 0
    for part in rows.parts():
        texts, problems = part["text"].tolist(), part["problem"].tolist()
        blocks = [
            _Block(start, texts[start : start + size], problems[start : start + size])
            for start in range(0, len(part), size)
        ]
        done = {}
        for start, table in _read_all(blocks, read):
            done[start] = table
            bar.update(len(table))
        made = pd.concat([table for _, table in sorted(done.items())], ignore_index=True)
        beside = part[["file", "review_id", "text"]].astype("string")
        beside.insert(0, "row", np.arange(before + 1, before + len(part) + 1))
        before += len(part)
        yield pd.concat([beside, made], axis=1)


def _read_all(
    blocks: list[_Block], read: Callable[[_Block], tuple[int, pd.DataFrame]]
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the table of each block: from workers as soon as what is left is worth their start."""
    for n_read, block in enumerate(blocks, 1):
        started = time.perf_counter()
        table = read(block)
        seconds = time.perf_counter() - started
        yield table
        if seconds * (len(blocks) - n_read) > _WORTH_WORKERS:
            yield from in_parallel(read, blocks[n_read:])
            return


def _read(saved: SavedModel, explain: bool, block: _Block) -> tuple[int, pd.DataFrame]:
    """Return what a model makes of a block: star, predicted, probabilities, words, and the reason why there is none."""
    reasons = [problem or _fault(text) for text, problem in zip(block.texts, block.problems, strict=True)]
    usable = [row for row, reason in enumerate(reasons) if reason is None]
    texts = [block.texts[row] for row in usable]
    with one_thread(), reading_texts(saved.about):
        model = _loaded(saved)
        table = _rated(model, texts)
        if explain:
            words = map(_words, word_contributions_of_texts(model.predict, [unescape(text)[0] for text in texts]))
            table.insert(table.shape[1] - 1, "words", pd.Series(list(words), dtype="string"))
    table = table.set_axis(usable).reindex(range(len(reasons)))
    return block.start, table.assign(reason=table["reason"].fillna(pd.Series(reasons, dtype="string")))


def _rated(model: BoundedRegressor, texts: list[str]) -> pd.DataFrame:
    """Return a row for each text: star, predicted, probabilities, and the reason where nothing is known."""
    scale = Scale.parse(model.scale)
    n_values = len(scale.values) * model.gives_probabilities
    nothing = Ratings(np.empty(0), np.empty((0, n_values)), np.empty(0, dtype=bool))
    stars, probabilities, known = model.rate(texts) if texts else nothing
    star = pd.Series(scale.round(stars)).astype("Int64" if scale.is_whole else "Float64")
    table = pd.DataFrame({"star": star, "predicted": stars.round(_DECIMALS)})
    if probabilities is not None:
        for value, p in zip(scale.values[:n_values], probabilities.T, strict=True):
            table[f"p_{value:g}"] = p.round(_DECIMALS)
    return table.assign(reason=pd.Series([None if each else UNKNOWN for each in known], dtype="string"))


def _fault(text: Any) -> str | None:
    return None if has_text(text) and has_text(unescape(text)[0]) else NO_TEXT


def _words(found: WordContributions) -> str:
    """Return the base and the strongest words in one line.

    Examples
    --------
    >>> words = pd.DataFrame({"word": ["Good", "bad"], "contribution": [0.5, -0.7]})
    >>> _words(WordContributions(3.0, words, 2.8))
    'base 3.00; bad -0.70; good +0.50'
    """
    words = by_word(found.words)
    shown = [f"{word} {number(added, 2, sign=True)}" for word, added in words[:_MOST_WORDS].items()]
    rest = words[_MOST_WORDS:]
    more = [f"{counted(len(rest), 'more word')} {number(rest.sum(), 2, sign=True)}"] if len(rest) else []
    return "; ".join([f"base {number(found.base)}", *shown, *more])


@contextmanager
def _writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that adds rows to a file, which is there once the block is done."""
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".parquet":
            with _parquet_writer(temporary) as write:
                yield write
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:

            def write_text(table: pd.DataFrame) -> None:
                if path.suffix.lower() == ".csv":
                    table.to_csv(file, index=False, header=file.tell() == 0)
                else:
                    table.to_json(file, orient="records", lines=True, force_ascii=False)

            yield write_text


@contextmanager
def _parquet_writer(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None

    def write(table: pd.DataFrame) -> None:
        nonlocal writer
        rows = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows.cast(writer.schema))

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
