"""Where reviews come from: the sample, the hub, the user's files; each as a table of raw rows, nothing dropped."""

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.reviews import Source
from pipeline.progress import progress_bar
from pipeline.project.conf import YelpConfig

# A raw row: where it stood, its content as text (None where there is none), and why it cannot be read, if so.
_COLUMNS = ["line", "review_id", "text", "stars", "label", "problem", "category"]
_WANTED = ["review_id", "text", "stars", "label", "category"]
_ELSEWHERE = "use DATA=sample (embedded) or DATA=file FILE=path (your own reviews)"


def read_file(path: Path) -> pd.DataFrame:
    """Read a Parquet, CSV or JSON lines file.

    Parameters
    ----------
    path : Path
        With columns `text` and `stars` (1 to 5) or `label` (0 to 4), and `review_id` and `category` if it has them.
        The review file of the Yelp Open Dataset fits as it comes.

    Returns
    -------
    DataFrame with columns line, review_id, text, stars, label, problem, and category if the file has any
        Every line of the file, also the unreadable ones, whose `problem` says why.

    Raises
    ------
    PipelineError
        If the file is missing, empty, a directory, damaged as a whole, or lacks a column.
    """
    if not path.exists():
        raise PipelineError(f"{path} does not exist: check FILE=, TRAIN= and TEST=")
    if path.is_dir():
        raise PipelineError(f"{path} is a directory: name a Parquet, CSV or JSON lines file in it")
    if path.stat().st_size == 0:
        raise PipelineError(f"{path} is empty: it needs columns text and stars (1 to 5) or label (0 to 4)")
    readers = {".parquet": _read_parquet, ".csv": _read_lines, ".json": _read_lines, ".jsonl": _read_lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise PipelineError(f"{path} has the suffix {path.suffix!r}: expected one of {', '.join(readers)}")
    table = reader(path)
    if table.empty:
        raise PipelineError(f"{path} holds no review")
    return table


def read_hub(config: YelpConfig) -> Source:
    """Load the pinned Yelp reviews from the hub, with their official test split.

    Raises
    ------
    PipelineError
        If the hub cannot be reached and the data set is not in its local cache.
    """
    import datasets
    import huggingface_hub.utils.logging
    from huggingface_hub.errors import HTTPError

    # It retries for half a minute where there is no network; our own line says what to do then.
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        splits = datasets.load_dataset(config.repository, revision=config.revision)
    except (OSError, ValueError, HTTPError, datasets.exceptions.DatasetsError) as error:
        hidden = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
        raise PipelineError(
            f"{config.repository} cannot be loaded from the hub ({first_line(hidden or error)}): {_ELSEWHERE}"
        ) from None
    if not {"train", "test"} <= set(splits):
        raise PipelineError(f"{config.repository} has no train and test split: {_ELSEWHERE}")
    tables = {name: _raw(splits[name].to_pandas(), config.repository) for name in ("train", "test")}
    return Source(tables["train"], tables["test"])


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow
    import pyarrow.parquet

    try:
        columns = pyarrow.parquet.read_schema(path).names
        _check_columns(columns, path)
        table = pyarrow.parquet.ParquetFile(path).read(columns=[name for name in _WANTED if name in columns])
        if "review_id" in columns:
            # As numbers with gaps they would become floats, and long ones lose their last digits.
            position = table.column_names.index("review_id")
            table = table.set_column(position, "review_id", table["review_id"].cast(pyarrow.string()))
        if "category" in columns:
            table = _with_plain_category(table)
        return _raw(table.to_pandas(ignore_metadata=True), path)
    except (pyarrow.ArrowException, OSError) as error:
        raise PipelineError(f"{path} cannot be read as Parquet ({first_line(error)}): is it damaged?") from None


def _with_plain_category(table: Any) -> Any:
    """Return an Arrow table whose category is text, without one where it cannot be written as text (lists, say)."""
    import pyarrow

    category, others = table["category"], table.drop_columns("category")
    try:
        return others.append_column("category", category.cast(pyarrow.string()))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        return others


def _raw(table: pd.DataFrame, origin: Path | str) -> pd.DataFrame:
    _check_columns(list(table.columns), origin)
    raw = table.reindex(columns=_COLUMNS).astype(object)
    raw["line"] = range(1, len(raw) + 1)
    raw = raw.where(raw.notna(), None)
    for name in ("stars", "label", "category"):
        raw[name] = raw[name].map(str, na_action="ignore")
    wrong = ~raw["text"].map(lambda text: text is None or isinstance(text, str)).astype(bool)
    raw.loc[wrong, "problem"] = [_not_a_string(text) for text in raw.loc[wrong, "text"]]
    raw.loc[wrong, "text"] = None
    return _without_empty_category(raw)


def _without_empty_category(raw: pd.DataFrame) -> pd.DataFrame:
    return raw.drop(columns="category") if raw["category"].isna().all() else raw


def _not_a_string(text: Any) -> str:
    return f"text not a string: {type(text).__name__}"


def _check_columns(columns: list[str], origin: Path | str) -> None:
    for needed in ({"text"}, {"stars", "label"}):
        if not needed.intersection(columns):
            raise PipelineError(
                f"{origin} has no column {' or '.join(sorted(needed, reverse=True))}; found: {', '.join(columns)}; "
                "needed: text, and stars (1 to 5) or label (0 to 4)"
            )
    for name in _WANTED:
        if columns.count(name) > 1:
            raise PipelineError(f"{origin} has {columns.count(name)} columns {name}: keep one of them")


def _read_lines(path: Path) -> pd.DataFrame:
    """Read CSV or JSON lines by a generator that survives unreadable lines."""
    rows, first = (_csv_rows, _csv_header) if path.suffix.lower() == ".csv" else (_json_rows, _json_keys)
    columns = first(path)
    if columns is not None:
        _check_columns(columns, path)
    return _without_empty_category(pd.DataFrame(rows(path), columns=_COLUMNS, dtype=object))


def _row(line: int, content: dict[str, Any] | None = None, problem: str | None = None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_COLUMNS) | {"line": line, "problem": problem}
    for name in _WANTED:
        value = (content or {}).get(name)
        if value is not None and (value != "" or name not in ("review_id", "category")):
            row[name] = str(value)
    return row


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file, progress_bar(path.stat().st_size, f"read {path.name}", "B") as bar:
        for line, raw in enumerate(file, 1):
            bar.update(len(raw))
            if not raw.strip():
                continue
            try:
                content = json.loads(raw)
            except (ValueError, RecursionError) as error:
                text = raw.decode(errors="replace").strip()
                yield _row(line, {"text": text}, problem=f"unreadable line: {first_line(error)}")
                continue
            if not isinstance(content, dict):
                yield _row(line, problem=f"unreadable line: a {type(content).__name__}, expected a JSON object")
            elif not _is_unicode(content.values()):
                yield _row(line, problem="unreadable line: half of a surrogate pair")
            elif not isinstance(content.get("text", ""), str | None):
                yield _row(line, content, problem=_not_a_string(content["text"]))
            else:
                yield _row(line, content)


def _is_unicode(values: Iterable[Any]) -> bool:
    """Tell whether the strings among `values` can be written in UTF-8."""
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_keys(path: Path) -> list[str] | None:
    """Return the keys of the objects in the first lines, or None where there are none."""
    keys: dict[str, None] = {}
    with path.open("rb") as file:
        for raw, _ in zip(file, range(1000), strict=False):
            try:
                content = json.loads(raw)
            except (ValueError, RecursionError):
                continue
            if isinstance(content, dict):
                keys |= dict.fromkeys(content)
    return list(keys) or None


def _csv_rows(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)
    columns = _csv_header(path)
    with _open_csv(path) as file, progress_bar(path.stat().st_size, f"read {path.name}", "B") as bar:
        numbered = enumerate(file, 1)
        again: deque[tuple[int, str]] = deque()
        record: list[tuple[int, str]] = []

        def feed() -> Iterator[str]:
            while line := again.popleft() if again else next(numbered, None):
                record.append(line)
                bar.update(len(line[1]))
                yield line[1]

        reader = csv.reader(feed(), strict=True)
        next(reader)
        while True:
            record.clear()
            try:
                fields = next(reader)
                problem = f"{len(fields)} fields, expected {len(columns)}" if len(fields) != len(columns) else None
            except StopIteration:
                return
            except csv.Error as error:
                fields, problem = [], str(error)
            if not (fields or problem) or not "".join(text for _, text in record).strip():
                continue
            number, line = record[0]
            if problem:
                # A quote that is never closed swallows the lines behind it: they are read again, without the first.
                again.extendleft(reversed(record[1:]))
                reader = csv.reader(feed(), strict=True)
                raw = line.rstrip("\r\n").encode(errors="replace").decode()
                yield _row(number, {"text": raw}, problem=f"unreadable line: {problem}")
            elif not _is_unicode(fields):
                yield _row(number, problem="unreadable line: not UTF-8")
            else:
                yield _row(number, {name: field or None for name, field in zip(columns, fields, strict=True)})


def _csv_header(path: Path) -> list[str]:
    with _open_csv(path) as file:
        try:
            return [name.strip() for name in next(csv.reader(file))]
        except (StopIteration, csv.Error):
            raise PipelineError(f"{path} has no header line: expected column names such as text,stars") from None


def _open_csv(path: Path) -> Any:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
