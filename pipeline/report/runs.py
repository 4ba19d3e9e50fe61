"""What MLflow gets: plain values, nothing of MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.digest import file_digest
from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.format import markdown_table
from pipeline.project.paths import DatasetPaths
from pipeline.report.results import Results, lines_of
from pipeline.shipped import shipped_files

# Equal for all lines: they stand with the dataset, not among the metrics.
_SIZES = ["n_train", "n_test"]
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
class ChildRun:
    """One line of the leaderboard; `packages` are the user's, without which the model cannot be loaded."""

    line: Line
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    qwk: float
    model_file: Path | None
    packages: list[str]


@dataclass(frozen=True)
class ParentRun:
    """Everything about one dataset that goes to MLflow; the best line comes first, in metrics and children."""

    dataset: str
    reviews: pd.DataFrame
    digest: str
    metrics: pd.DataFrame
    children: list[ChildRun]
    points: list[Point]
    params: dict[str, str]
    verdict: list[str]
    files: list[tuple[Path, str | None]]

    @property
    def champion(self) -> ChildRun | None:
        """The best line that has a model to load."""
        return next((child for child in self.children if child.model_file), None)

    @property
    def registered_name(self) -> str:
        """Name of the dataset's model in the registry."""
        return f"stars-{self.dataset}"

    def note(self, upload: str) -> str:
        """Return what the user reads first, in Markdown: the verdict, the ten best lines, where to look."""
        rows = [
            [
                row["features"],
                row["model"],
                f"{row['qwk']:.3f}",
                f"{row['qwk_low']:.3f} to {row['qwk_high']:.3f}",
                f"{row['mae']:.3f}",
                f"{row['fit_seconds']:.2g}",
            ]
            for row in self.metrics.head(10).to_dict("records")
        ]
        head = ["features", "model", "QWK", "95% interval", "MAE", "seconds to fit"]
        # MLflow's page sets the cells of a table without a gap between them: a wide space makes one.
        columns, *cells = ([cell.replace("|", r"\|") + "\u2003" for cell in row] for row in (head, *rows))
        return _NOTE.format(
            verdict="\n\n".join(self.verdict),
            n_lines=len(self.children),
            n_test=self.params["n_test"],
            table=markdown_table(columns, cells, n_names=len(columns)),
            upload=upload,
            model=self.registered_name,
        )


def runs_of(results: Results) -> ParentRun:
    """Return the runs that the results of all stages from prepare to report make.

    Raises
    ------
    PipelineError
        If a file is missing or damaged, or if the reviews are not those that were scored.
    """
    paths, reviews, metrics = results.paths, results.reviews, results.metrics
    digest = file_digest(paths.reviews)
    if results.manifest("score").get("inputs", {}).get(str(paths.reviews)) != digest:
        raise PipelineError(f"{paths.reports} holds no scores of {paths.reviews}: run the score stage first")
    if not paths.page.exists():
        raise PipelineError(f"{paths.page} is missing: run the report stage first")
    rows = dict(zip(lines_of(metrics), metrics.to_dict("records"), strict=True))
    children = [_child(line, rows[line], results) for line in results.lines]
    sizes = {name: str(metrics[name].iloc[0]) for name in _SIZES}
    return ParentRun(
        dataset=paths.dataset,
        reviews=reviews,
        digest=digest,
        metrics=metrics,
        children=children,
        points=_side_points(results.sides),
        params={**sizes, "n_lines": str(len(children)), "reviews_sha256": digest},
        verdict=results.sentences,
        files=_files(paths),
    )


def _child(line: Line, metrics: dict[Any, Any], results: Results) -> ChildRun:
    entry, sides, curves = results.lines[line], results.sides, results.curves
    named = {**line._asdict(), "family": entry["family"]}
    params = {f"model__{name}": str(value)[:500] for name, value in entry["params"].items()}
    chosen = {f"chosen__{name}": str(value)[:500] for name, value in entry["chosen"].items()}
    final = _of_line(sides[sides["n_train"] == sides["n_train"].max()], line)
    return ChildRun(
        line=line,
        tags={**named, **({"side": ", ".join(final["side"])} if len(final) else {})},
        params={**named, **params, **chosen},
        points=_line_points(metrics, _of_line(curves, line)),
        qwk=float(metrics["qwk"]),
        model_file=results.paths.models / entry["model_file"] if entry["model_file"] else None,
        packages=entry.get("packages", []),
    )


def _of_line(table: pd.DataFrame, line: Line) -> pd.DataFrame:
    return table[(table["features"] == line.features) & (table["model"] == line.model)]


def _line_points(metrics: dict[str, Any], curve: pd.DataFrame) -> list[Point]:
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
    n_train = int(metrics["n_train"])
    points = []
    for name, column in (("qwk", "qwk"), ("mae_clipped", "mae")):
        if name in metrics:
            smaller = curve.loc[curve["n_train"] < n_train, ["n_train", column]]
            points += [Point(name, float(value), int(step)) for step, value in smaller.itertuples(index=False)]
            points.append(Point(name, float(metrics[name]), n_train))
    drawn = {point.name for point in points}
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    points += [Point(name, float(value)) for name, value in numbers.items() if name not in {*drawn, *_SIZES}]
    return [point for point in points if point.value == point.value]


def _side_points(sides: pd.DataFrame) -> list[Point]:
    """Return the learning curve of each side as a metric `qwk_<side>`.

    Examples
    --------
    >>> _side_points(pd.DataFrame({"side": ["T & attention"], "n_train": [10], "qwk": [0.25]}))
    [Point(name='qwk_T_attention', value=0.25, step=10)]
    """
    # A name that needs no quotes in the UI's search.
    names = sides["side"].str.replace(r"[^0-9A-Za-z-]+", "_", regex=True)
    rows = zip(names, sides["qwk"], sides["n_train"], strict=True)
    return [Point(f"qwk_{name}", float(value), int(step)) for name, value, step in rows if value == value]


def _files(paths: DatasetPaths) -> list[tuple[Path, str | None]]:
    """Return every file for the parent run, with its directory there."""
    conf = [(path, place) for place in ("conf", "conf/features") for path in shipped_files(f"{place}/*.yaml")]
    tables = [(path, None) for path in sorted(paths.reports.glob("*.csv"))]
    stages = [
        (path, stage.name)
        for stage in (paths.curves, paths.robustness)
        for path in sorted(stage.glob("*.*"))
        if path.suffix in {".csv", ".json"}
    ]
    report = [(path, "report") for path in (paths.page, paths.summary) if path.exists()]
    figures = [(path, "figures") for path in sorted(paths.figures.glob("*.*"))]
    return [*conf, *tables, *stages, *report, *figures]
