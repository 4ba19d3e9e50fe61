"""What MLflow gets: plain values, nothing of MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.report.results import Results, of_line
from pipeline.report.table import Cell, cell, long_table
from pipeline.shipped import shipped_files

# Equal for all lines: they stand with the dataset, not among the metrics.
_SIZES = ["n_train", "n_test"]
# Metrics with a learning curve, and their columns of curves.csv.
_DRAWN = {"qwk": "qwk", "mae_clipped": "mae"}
_NOTE_CELLS: dict[str, Cell] = {
    "features": cell(str, "features"),
    "model": cell(str, "model"),
    "QWK": "{qwk:.3f}".format_map,
    "95% interval": "{qwk_low:.3f} to {qwk_high:.3f}".format_map,
    "MAE": "{mae:.3f}".format_map,
    "seconds to fit": "{fit_seconds:.2g}".format_map,
}
_NOTE = """{verdict}

### The best of {n_lines} lines of the leaderboard, on {n_test} held-out reviews

{table}

### Where to look

- **Lines**: in the list of runs, the plus sign before this run unfolds a child run for each line, the best first;
  *Columns* adds `qwk` (agreement, higher is better) and other metrics.
- **Learning curves**: the step of `qwk` and `mae_clipped` (error in stars, lower is better) is the number of training
  reviews. *Chart view*, beside the list, draws the curves of the runs with an open eye. To compare a few, select them,
  press *Compare* and choose `qwk` under *Metrics*. The sides of the comparison have theirs under *Model metrics* here.
- **Search**: `tags.side LIKE '%T-method%'`, `tags.family = 'Taguchi'`, `params.model = 'Ridge'`; this log alone is
  `tags.upload = '{upload}'`.
- **Report**: *Artifacts*, `report/index.html`.
- **Model**: `mlflow.pyfunc.load_model("models:/{model}@champion")` predicts stars from raw texts.
"""


@dataclass(frozen=True)
class Point:
    """One value of a metric; along a learning curve the step is the number of training reviews."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class Run:
    """What MLflow shows of a run, beside its files."""

    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]


def registered_name(dataset: str) -> str:
    """Return the name of the dataset's model in the registry."""
    return f"stars-{dataset}"


def runs_of(results: Results, upload: str) -> tuple[Run, dict[Line, Run]]:
    """Return the parent run that the results of all stages from prepare to report make, and the runs of its lines.

    Parameters
    ----------
    results : Results
    upload : str
        The tag by which the runs are found.

    Returns
    -------
    (Run, dict of Line to Run)
        The best line comes first.

    Raises
    ------
    PipelineError
        If a file is missing or damaged, or if the reviews are not those that were scored.
    """
    results.check_current()
    paths, digest = results.paths, str(results.reviews_sha256)
    # A page without a summary is an early one.
    for path in (paths.page, paths.summary):
        if not path.exists():
            raise PipelineError(f"{path} is missing: run the report stage first")
    sizes = {name: str(results.metrics[name].iloc[0]) for name in _SIZES}
    params = {**sizes, "n_lines": str(len(results.lines)), "scale": results.scale.written, "reviews_sha256": digest}
    points = _side_points(results.sides)
    if results.peers:
        points += _side_points(results.peer_sides, "peer_qwk")
    parent = Run({"mlflow.note.content": _note(results, upload)}, params, points)
    return parent, {line: _line_run(results, line) for line in results.lines}


def _note(results: Results, upload: str) -> str:
    """Return what the user reads first, in Markdown: the verdict, the ten best lines, where to look."""
    table = long_table("", results.metrics.head(10), _NOTE_CELLS, n_names=len(_NOTE_CELLS))
    return _NOTE.format(
        verdict="\n\n".join([*results.sentences, *results.reading_notes]),
        n_lines=len(results.lines),
        n_test=results.metrics["n_test"].iloc[0],
        # MLflow's page sets the cells of a table without a gap between them: a wide space makes one.
        table=table.markdown(lambda text: text.replace("|", r"\|") + "\u2003"),
        upload=upload,
        model=registered_name(results.paths.dataset),
    )


def _line_run(results: Results, line: Line) -> Run:
    entry, sides = results.lines[line], results.sides
    final = of_line(sides[sides["n_train"] == sides["n_train"].max()], line)
    named = {**line._asdict(), "family": entry["family"]}
    tags = {**named, "side": ", ".join(final["side"])} if len(final) else named
    given = {f"model__{name}": value for name, value in entry["params"].items()}
    chosen = {f"chosen__{name}": value for name, value in entry["chosen"].items()}
    params = named | {name: str(value)[:500] for name, value in (given | chosen).items()}
    (metrics,) = of_line(results.metrics, line).to_dict("records")
    return Run(tags, params, _line_points(metrics, of_line(results.curves, line)))


def _line_points(metrics: dict[Any, Any], curve: pd.DataFrame) -> list[Point]:
    """Return the metrics of one line, `qwk` and `mae_clipped` of them along its learning curve.

    The last point of a curve is the value of the leaderboard, with all training reviews; so it is what MLflow shows as
    the run's value.

    Parameters
    ----------
    metrics : dict
        The line's row of metrics.csv; what is no number is left out, as is nan.
    curve : DataFrame with columns n_train, qwk, mae
        The line's rows of curves.csv, none where it has no curve.

    Examples
    --------
    >>> curve = pd.DataFrame({"n_train": [10, 99], "qwk": [0.1, 0.5], "mae": [1.5, 1.0]})
    >>> for point in _line_points({"model": "Ta", "n_train": 99, "qwk": 0.5, "r2": 0.3}, curve):
    ...     point
    Point(name='qwk', value=0.1, step=10)
    Point(name='qwk', value=0.5, step=99)
    Point(name='r2', value=0.3, step=0)
    """
    n_train, points = int(metrics["n_train"]), []
    smaller = curve[curve["n_train"] < n_train]
    for name, value in metrics.items():
        if name in _DRAWN:
            drawn = zip(smaller["n_train"], smaller[_DRAWN[name]], strict=True)
            points += [Point(name, float(reached), int(step)) for step, reached in drawn]
        if name not in _SIZES and isinstance(value, int | float):
            points.append(Point(name, float(value), n_train if name in _DRAWN else 0))
    return [point for point in points if point.value == point.value]


def _side_points(sides: pd.DataFrame, name: str = "qwk") -> list[Point]:
    """Return the learning curve of each side as a metric `<name>_<side>`.

    Examples
    --------
    >>> _side_points(pd.DataFrame({"side": ["T & attention"], "n_train": [10], "qwk": [0.25]}))
    [Point(name='qwk_T_attention', value=0.25, step=10)]
    """
    # A name that needs no quotes in the UI's search.
    clean = sides["side"].str.replace(r"[^0-9A-Za-z-]+", "_", regex=True)
    rows = zip(clean, sides["qwk"], sides["n_train"], strict=True)
    return [Point(f"{name}_{side}", float(value), int(step)) for side, value, step in rows if value == value]


def files_of(results: Results) -> list[tuple[Path, str | None]]:
    """Return every file of the parent run, with its directory there."""
    conf = [(path, place) for place in ("conf", "conf/features") for path in shipped_files(f"{place}/*.yaml")]
    stages = ["curves", "robustness", *(["peers"] if results.peers else [])]
    patterns = [
        *(("*.csv", None), ("index.html", "report"), ("summary.md", "report"), ("figures/*.*", "figures")),
        *((f"{stage}/*.{kind}", stage) for stage in stages for kind in ("csv", "json")),
    ]
    return [
        *conf,
        *((path, place) for pattern, place in patterns for path in sorted(results.paths.reports.glob(pattern))),
    ]
