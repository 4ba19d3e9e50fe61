"""What MLflow gets: plain values, nothing of MLflow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.experiment.line import Line
from pipeline.experiment.models import BASELINES, MODELS
from pipeline.format import escape_markdown
from pipeline.report.headline import Headline, headline
from pipeline.report.links import comparison, run_page
from pipeline.report.results import Results, of_line
from pipeline.report.table import Cell, cell, long_table
from pipeline.shipped import shipped_files

NOTE = "mlflow.note.content"  # the tag of what MLflow shows as a description
# Equal for all lines: they stand with the dataset, not among the metrics.
_SIZES = ["n_train", "n_test"]
# Metrics with a learning curve, and their columns of curves.csv.
_DRAWN = {"qwk": "qwk", "mae_clipped": "mae"}
_MOST_NAMED = 20  # data sets in the description of the experiment, whose length MLflow limits
_NOTE_CELLS: dict[str, Cell] = {
    "features": cell(str, "features"),
    "model": cell(str, "model"),
    "QWK": "{qwk:.3f}".format_map,
    "95% interval": "{qwk_low:.3f} to {qwk_high:.3f}".format_map,
    "MAE": "{mae:.3f}".format_map,
    "seconds to fit": "{fit_seconds:.2g}".format_map,
}
_NOTE = """**{headline}**

{advice}

### In detail

{verdict}

### The best of {n_lines} lines of the leaderboard, on {n_test} held-out reviews

{table}
"""
_WHERE = """
### Where to look

- **[Comparison]({comparison})**: the sides, each with the line that it chose on all training reviews, then the lines of
  the leaderboard, the best first; `qwk` is the agreement (higher is better), `mae` the error in stars.
- **[Learning curves]({curves})** of the sides. The step of `qwk`, with its 95% interval in `qwk_low` and `qwk_high`, is
  the number of training reviews. To compare lines, select them in the table, press *Compare* and choose `qwk` under
  *Metrics*.
- **Search**: `tags.kind = 'side'`, `tags.family = 'Taguchi'`, `params.model = 'Ridge'`; this log alone is
  `tags.upload = '{upload}'`.
- **Duration**: of the fit with all training reviews; here, of all fits together.
- **Report**: *Artifacts*, `report/index.html`.
- **Model**: `mlflow.pyfunc.load_model("models:/{model}@champion")` predicts stars from raw texts.
"""
# Folded, MLflow shows the first line alone.
_FOUND = "**{dataset}**: {headline} [Comparison]({comparison}) · [learning curves]({curves}) · [details]({details})"
_BESIDE_PEERS = ", beside peers"
_WITH_KNOW_HOW = ", with know-how"


@dataclass(frozen=True)
class Point:
    """One value of a metric; along a learning curve the step is the number of training reviews."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class Run:
    """What MLflow shows of a run, beside its files; `seconds` is how long the fit took."""

    name: str
    seconds: float
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]


class Runs(NamedTuple):
    """A parent run and its children, as the UI lists them: sides in their order, then lines, the best first."""

    parent: Run
    sides: list[Run]
    lines: dict[Line, Run]


def registered_name(dataset: str) -> str:
    """Return the name of the dataset's model in the registry."""
    return f"stars-{dataset}"


def runs_of(results: Results) -> Runs:
    """Return the runs that the results of all stages from prepare to report make.

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
    lines = {line: _line_run(results, line) for line in results.lines}
    seconds, said = sum(run.seconds for run in lines.values()), headline(results)
    tags = {"headline": said.sentence, NOTE: _found(results, said)}
    parent = Run(paths.dataset, seconds, tags, params, [])
    return Runs(parent, _side_runs(results), lines)


def _found(results: Results, said: Headline) -> str:
    """Return headline, advice, verdict and the ten best lines, in Markdown."""
    table = long_table("", results.metrics.head(10), _NOTE_CELLS, n_names=len(_NOTE_CELLS))
    also = [f"Also: {'; '.join(said.also)}."] if said.also else []
    return _NOTE.format(
        headline=escape_markdown(said.sentence),
        advice="\n".join(f"- {escape_markdown(sentence)}" for sentence in [*said.advice, *also]),
        verdict="\n\n".join([*results.sentences, *results.reading_notes]),
        n_lines=len(results.lines),
        n_test=results.metrics["n_test"].iloc[0],
        # MLflow's page sets the cells of a table without a gap between them: a wide space makes one.
        table=table.markdown(lambda text: text.replace("|", r"\|") + "\u2003"),
    )


def where_to_look(dataset: str, experiment: str, upload: str) -> str:
    """Return the end of the parent's note: links and searches, in Markdown."""
    return _WHERE.format(
        comparison=comparison(experiment, upload),
        curves=comparison(experiment, upload, curves=True),
        upload=upload,
        model=registered_name(dataset),
    )


def experiment_note(experiment: str, parents: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return the description of the experiment: the headline of the newest log of each dataset, in Markdown.

    Parameters
    ----------
    experiment : str
    parents : iterable of (str, mapping)
        Id and tags of parent runs, the newest first.

    Examples
    --------
    >>> tags = {"dataset": "sample", "upload": "12ab", "headline": "A tie."}
    >>> print(experiment_note("1", [("34cd", tags), ("56ef", {**tags, "headline": "Of old."})])[:31])
    **sample**: A tie. [Comparison]
    """
    newest: dict[str, str] = {}
    for run_id, tags in parents:
        if "headline" in tags and tags["dataset"] not in newest:
            newest[tags["dataset"]] = _FOUND.format(
                dataset=escape_markdown(tags["dataset"]),
                headline=escape_markdown(tags["headline"]),
                comparison=comparison(experiment, tags["upload"]),
                curves=comparison(experiment, tags["upload"], curves=True),
                details=run_page(experiment, run_id),
            )
    return "\n\n".join(list(newest.values())[:_MOST_NAMED])


def _line_run(results: Results, line: Line) -> Run:
    entry = results.lines[line]
    given = {f"model__{name}": value for name, value in _settings(line, entry["params"]).items()}
    chosen = {f"chosen__{name}": value for name, value in entry["chosen"].items()}
    named = {**line._asdict(), "family": entry["family"]}
    params = named | {name: str(value)[:500] for name, value in (given | chosen).items()}
    (metrics,) = of_line(results.metrics, line).to_dict("records")
    points = _line_points(metrics, of_line(results.curves, line))
    return Run(
        f"{line.model} · {line.features}", _seconds(metrics["fit_seconds"]), named | {"kind": "line"}, params, points
    )


def _settings(line: Line, params: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a model that are not defaults of its class, less the estimators in it.

    Examples
    --------
    >>> _settings(Line("words", "Ta"), {"unit_space": "all", "covariance": "diagonal", "clip": "None"})
    {'unit_space': 'all'}
    """
    make = (MODELS | BASELINES).get(line.model)
    known = signature(type(make())).parameters if make else {}
    defaults = {name: parameter.default for name, parameter in known.items()}
    return {
        name: value
        for name, value in params.items()
        if "(" not in value and str(defaults.get(name)) != value and defaults.get(name) is not Parameter.empty
    }


def _side_runs(results: Results) -> list[Run]:
    """Return a run for the curve of each side, also of those with know-how and of those beside peers."""
    full = results.metrics.drop_duplicates(["features", "model"]).set_index(["features", "model"])["fit_seconds"]
    runs = [
        _side_run(f"{side}{beside}", curve, full)
        for beside, table in (("", results.sides), (_WITH_KNOW_HOW, results.know_how))
        for side, curve in table.groupby("side", sort=False)
    ]
    if not results.peers:
        return runs
    costs = results.peer_costs.sort_values("n_train").drop_duplicates("side", keep="last")
    seconds = costs.set_index(["features", "model"])["train_seconds"]
    of_peers = results.peer_sides.groupby("side", sort=False)
    return runs + [_side_run(f"{side}{_BESIDE_PEERS}", curve, seconds) for side, curve in of_peers]


def _side_run(name: str, curve: pd.DataFrame, seconds: "pd.Series[float]") -> Run:
    """Return the run of a side: its curve, and the line that it has chosen with most training reviews."""
    curve = curve.sort_values("n_train")
    line = Line(*curve.iloc[-1][["features", "model"]])
    points = [
        Point(bound, float(value), int(step))
        for bound in ("qwk", "qwk_low", "qwk_high")
        for step, value in zip(curve["n_train"], curve[bound], strict=True)
        if value == value
    ]
    return Run(name, _seconds(seconds.get(line)), {"kind": "side", "side": name}, line._asdict(), points)


def _seconds(measured: float | None) -> float:
    """Return how long a fit took, 0 where nobody has measured it."""
    return float(measured) if measured is not None and measured == measured else 0.0


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
