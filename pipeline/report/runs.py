"""What the log stage sends, read from the files of the stages before it: plain values, nothing of MLflow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io

from pipeline.digest import file_digest
from pipeline.errors import PipelineError, first_line
from pipeline.files import read_csv, read_manifest, read_parquet
from pipeline.project.paths import CONF, DatasetPaths

# What a file of the score stage is made of besides numbers: the project's own types and scikit-learn's.
_TRUSTED = ("pipeline.", "sklearn.")
# The same number for every line: it stands with the dataset, not among the metrics.
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
class Line:
    """One line of the leaderboard, as a run shows it."""

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    qwk: float
    model_file: Path | None


@dataclass(frozen=True)
class Results:
    """Everything about one dataset that goes to MLflow; `lines` has the best first."""

    dataset: str
    reviews: pd.DataFrame
    digest: str
    leaderboard: pd.DataFrame
    lines: list[Line]
    points: list[Point]
    params: dict[str, str]
    verdict: list[str]
    files: list[tuple[Path, str | None]]

    @property
    def champion(self) -> Line | None:
        """The best line that has a model to load."""
        return next((line for line in self.lines if line.model_file), None)

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
            for row in self.leaderboard.head(10).to_dict("records")
        ]
        return _NOTE.format(
            verdict="\n\n".join(self.verdict),
            n_lines=len(self.lines),
            n_test=self.params["n_test"],
            table=_markdown(["features", "model", "QWK", "95% interval", "MAE", "seconds to fit"], rows),
            upload=upload,
            model=self.registered_name,
        )


def read_results(dataset: str, paths: DatasetPaths) -> Results:
    """Read what the stages from prepare to report have left on disk.

    Raises
    ------
    PipelineError
        If a file is missing or damaged, or if the reviews are not those that were scored.
    """
    reviews = read_parquet(paths.reviews, made_by="prepare")
    manifest, digest = read_manifest(paths.reports), file_digest(paths.reviews)
    if manifest.get("inputs", {}).get(str(paths.reviews)) != digest:
        raise PipelineError(f"{paths.reports} holds no scores of {paths.reviews}: run the score stage first")
    metrics = read_csv(paths.metrics, ["features", "model", "qwk"], "score")
    leaderboard = read_csv(paths.leaderboard, ["features", "model", "qwk"], "score")
    sides, curves = (read_csv(paths.curve(name), ["n_train", "qwk"], "curves") for name in ("sides", "curves"))
    if not paths.page.exists():
        raise PipelineError(f"{paths.page} is missing: run the report stage first")
    rows: dict[Any, Any] = {(row["features"], row["model"]): row for row in metrics.to_dict("records")}
    lines = []
    for entry in _read_json(paths.lines, "score"):
        key = (entry["features"], entry["model"])
        if key not in rows:
            raise PipelineError(f"{paths.metrics} has no line {entry['name']}: run the score stage again")
        points = line_points(rows[key], curves[(curves["features"] == key[0]) & (curves["model"] == key[1])])
        own = {"features": key[0], "model": key[1], "family": entry["family"]}
        params = {f"model__{name}": str(value)[:500] for name, value in entry["params"].items()}
        chosen = {f"chosen__{name}": str(value)[:500] for name, value in entry["chosen"].items()}
        lines.append(
            Line(
                name=entry["name"],
                tags={**own, **_side_tag(sides, *key)},
                params={**own, **params, **chosen},
                points=points,
                qwk=float(rows[key]["qwk"]),
                model_file=paths.models / entry["model_file"] if entry["model_file"] else None,
            )
        )
    sizes = {name: str(metrics[name].iloc[0]) for name in _SIZES}
    return Results(
        dataset=dataset,
        reviews=reviews,
        digest=digest,
        leaderboard=leaderboard,
        lines=lines,
        points=side_points(sides),
        params={**sizes, "n_lines": str(len(lines)), "reviews_sha256": digest},
        verdict=_read_json(paths.verdict, "curves")["sentences"],
        files=_files(paths),
    )


def line_points(metrics: dict[str, Any], curve: pd.DataFrame) -> list[Point]:
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
    >>> for point in line_points({"model": "Ta", "n_train": 99, "qwk": 0.5, "r2": 0.3}, curve):
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


def side_points(sides: pd.DataFrame) -> list[Point]:
    """Return the learning curve of each side as a metric `qwk_<side>`.

    Examples
    --------
    >>> side_points(pd.DataFrame({"side": ["T & attention"], "n_train": [10], "qwk": [0.25]}))
    [Point(name='qwk_T_attention', value=0.25, step=10)]
    """
    # A name that needs no quotes in the UI's search.
    names = sides["side"].str.replace(r"[^0-9A-Za-z-]+", "_", regex=True)
    rows = zip(names, sides["qwk"], sides["n_train"], strict=True)
    return [Point(f"qwk_{name}", float(value), int(step)) for name, value, step in rows if value == value]


def load_model(path: Path) -> tuple[Any, list[str]]:
    """Load a fitted pipeline that the score stage has saved.

    Returns
    -------
    (estimator, list of str)
        With the types that skops has to trust.

    Raises
    ------
    PipelineError
        If it is missing or damaged, or if it holds a type that is neither the project's nor scikit-learn's.
    """
    try:
        types = skops.io.get_untrusted_types(file=path)
        strange = [name for name in types if not name.startswith(_TRUSTED)]
        model = None if strange else skops.io.load(path, trusted=types)
    except Exception as error:
        raise PipelineError(f"{path} cannot be read ({first_line(error)}): run the score stage again") from None
    if strange:
        raise PipelineError(f"{path} holds {strange[0]}, which is no part of a model of this project: delete it")
    return model, types


def _side_tag(sides: pd.DataFrame, features: str, model: str) -> dict[str, str]:
    final = sides[sides["n_train"] == sides["n_train"].max()]
    of_line = final.loc[(final["features"] == features) & (final["model"] == model), "side"]
    return {"side": ", ".join(of_line)} if len(of_line) else {}


def _files(paths: DatasetPaths) -> list[tuple[Path, str | None]]:
    """Return every file for the parent run, with its directory there."""
    configuration = [(path, str(path.parent)) for path in sorted(CONF.rglob("*.yaml"))]
    tables = [(path, None) for path in sorted(paths.reports.glob("*.csv"))]
    stages = [
        (path, stage.name)
        for stage in (paths.curves, paths.robustness)
        for path in sorted(stage.glob("*.*"))
        if path.suffix in {".csv", ".json"}
    ]
    report = [(path, "report") for path in (paths.page, paths.summary) if path.exists()]
    figures = [(path, "figures") for path in sorted(paths.figures.glob("*.*"))]
    return [*configuration, *tables, *stages, *report, *figures]


def _read_json(path: Path, made_by: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing: run the {made_by} stage first") from None
    except ValueError as error:
        raise PipelineError(f"{path} cannot be read ({first_line(error)}): run {made_by} again") from None


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    # MLflow's page sets the cells of a table without a gap between them: a wide space makes one.
    cells = [[cell.replace("|", r"\|") + "\u2003" for cell in row] for row in (head, *rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])
