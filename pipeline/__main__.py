"""The command line: ``python -m pipeline --help``."""

import logging
import os
import re
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import PipelineError, first_line
from pipeline.project.paths import MLFLOW_DB, DatasetPaths

app = typer.Typer(
    help="T-method vs attention on review texts. Run the stages in this order: prepare, features, score, curves, "
    "robustness, report, log.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Data(StrEnum):
    """Where reviews come from."""

    sample = "sample"
    yelp = "yelp"
    file = "file"


# What is wrong with the options themselves; typer exports no other name for it.
_UsageError: Any = typer.BadParameter.__base__

Dataset = Annotated[str, typer.Option(help="Name of the dataset, as the prepare stage was given it.")]


@app.command()
def prepare(
    data: Annotated[
        Data,
        typer.Option(help="The embedded sample, Yelp/yelp_review_full from the hub, or files of your own."),
    ] = Data.sample,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Your reviews, to be split into train and test: .parquet, .csv, .json or .jsonl with columns text and "
            "stars (1 to 5) or label (0 to 4).",
        ),
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Your training reviews, together with --test.")] = None,
    test: Annotated[Path | None, typer.Option(help="Your test reviews, together with --train.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=10, help="Keep at most so many reviews, stratified by star (yelp: 20000).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the dataset in paths and tags; by default the file's stem.")
    ] = None,
) -> None:
    """Load the reviews, check them, set bad ones aside and split the rest."""
    from pipeline.stages import prepare as stage

    given = {"--file": file, "--train": train, "--test": test}
    names = [option for option, value in given.items() if value is not None]
    if data is not Data.file and names:
        raise PipelineError(f"{names[0]} goes with --data file (DATA=file), got --data {data}")
    if data is Data.file and names not in (["--file"], ["--train", "--test"]):
        raise PipelineError(
            "--data file needs either --file PATH (FILE=) or both --train PATH and --test PATH (TRAIN= TEST=), "
            f"got {', '.join(names) or 'neither'}"
        )
    main_file = file or train
    stem = re.sub(r"[^\w.+-]", "_", main_file.stem) if main_file else str(data)
    stage.run(dataset_name(name or stem), str(data), file, train, test, limit)


@app.command()
def features(dataset: Dataset = "sample") -> None:
    """Turn the texts into the features of conf/features; what encoders make comes from one common pass."""
    from pipeline.stages import features as stage

    _run_stage("features", stage.run, dataset)


@app.command()
def score(dataset: Dataset = "sample") -> None:
    """Fit and score every feature set x model of conf/score.yaml on all training reviews."""
    from pipeline.stages import score as stage

    _run_stage("score", stage.run, dataset)


@app.command()
def curves(dataset: Dataset = "sample") -> None:
    """Fit the models of conf/curves.yaml on growing draws of training reviews; say what that shows."""
    from pipeline.stages import curves as stage

    _run_stage("curves", stage.run, dataset)


@app.command()
def robustness(dataset: Dataset = "sample") -> None:
    """Try the best line of each side on changed reviews, slices and other data; measure calibration and costs."""
    from pipeline.stages import robustness as stage

    _run_stage("robustness", stage.run, dataset)


@app.command()
def report(dataset: Dataset = "sample") -> None:
    """Write the self-contained page reports/<dataset>/index.html and print its path."""
    from pipeline.stages import report as stage

    _run_stage("report", stage.run, dataset)
    typer.echo(DatasetPaths(dataset).page.resolve())


@app.command()
def log(dataset: Dataset = "sample") -> None:
    """Send the results to MLflow: the file mlflow.db, or the server that MLFLOW_TRACKING_URI names."""
    from pipeline.stages import log as tracking

    _run_stage("log", tracking.run, dataset)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Name of a dataset, or a copy of its directory in reports/.")],
    b: Annotated[str, typer.Argument(help="What to compare it with.")],
) -> None:
    """Compare two runs, or two datasets, in the terminal."""
    from pipeline.report import compare as comparison

    typer.echo(comparison.compare(a, b))


@app.command()
def attend(
    text: Annotated[str, typer.Argument(help="A sentence in any language, in quotes.", show_default=False)],
    model: Annotated[
        str,
        typer.Option(help="bundled, a directory, or a name on the hub: an encoder (BERT) or a causal model (GPT-2)."),
    ] = "bundled",
    revision: Annotated[str | None, typer.Option(help="Commit of a model on the hub.")] = None,
    layer: Annotated[int | None, typer.Option(help="From 1 on; without it, the average of all layers.")] = None,
    head: Annotated[int | None, typer.Option(help="From 1 on; without it, the average of all heads.")] = None,
    word: Annotated[
        str | None, typer.Option(help="A word of the text: what it looks at in each layer, and how that changes.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a picture (.png, .svg), a page to explore (.html) or a table (.csv) instead."),
    ] = None,
) -> None:
    """Show which token of a sentence looks at which, by layer and head."""
    from pipeline.attention.view import attend as command

    typer.echo(command.run(text, model, revision, layer, head, word, out))


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open the MLflow UI over this project's runs; stop it with Ctrl+C."""
    if not MLFLOW_DB.exists():
        raise PipelineError(f"{MLFLOW_DB} is missing, there are no runs to show: run make all first")
    store = f"sqlite:///{MLFLOW_DB.resolve()}"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store, "--port", str(port)]
    os.execv(sys.executable, command)  # noqa: S606 - the server takes this process's place, and its Ctrl+C


def _run_stage(name: str, run: Callable[[str], None], dataset: str) -> None:
    from pipeline.stages.all import shown

    with shown(name, dataset_name(dataset)):
        run(dataset)


def dataset_name(name: str) -> str:
    """Return `name` if it can be part of a path and of a tag.

    Raises
    ------
    PipelineError
        If it has anything but letters, digits, `_`, `-`, `+` and `.`, or starts with a dot.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]*", name):
        raise PipelineError(f"{name!r} cannot be a dataset's name: use letters, digits and _ - + . (NAME=)")
    return name


def main() -> None:
    """Run the command line; what the user can mend ends in one line and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="python -m pipeline", standalone_mode=False))
    except _UsageError as error:
        message = f"{error.format_message().rstrip('.')}; see python -m pipeline --help"
    except (PipelineError, OSError) as error:
        message = first_line(error)
    except typer.Abort:
        sys.exit(130)
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
