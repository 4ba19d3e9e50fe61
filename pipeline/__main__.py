"""The command line: ``python -m pipeline --help``, or ``tmva --help`` where the package is installed."""

import logging
import os
import re
import socket
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pipeline.errors import PipelineError, first_line, needs_extra

try:
    with needs_extra("The command line", "pipeline"):
        import typer

        from pipeline.experiment.engine import Engine, using
        from pipeline.project.fingerprint import STAGES
        from pipeline.project.paths import DatasetPaths
        from pipeline.scale import Scale
        from pipeline.shipped import SampleName
        from pipeline.sources.columns import ColumnNames
        from pipeline.sources.formats import dataset_name
        from pipeline.stages import all as stages
except ImportError as error:
    sys.exit(f"error: {error}")

app = typer.Typer(
    help="T-method vs attention on review texts. all runs the stages in this order, each where something has changed: "
    f"{', '.join(STAGES)}.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


# What is wrong with the options themselves; typer exports no other name for it.
_UsageError: Any = typer.BadParameter.__base__

_Data = Annotated[
    Literal[SampleName, "yelp", "file"],
    typer.Option(
        help="The embedded sample in English, Japanese (-ja) or Chinese (-zh), Yelp/yelp_review_full from the hub, or "
        "files of your own."
    ),
]
_File = Annotated[
    Path | None,
    typer.Option(
        help="Your reviews, to be split into train and test: Parquet, CSV or JSON, also compressed (.gz, .zst), or a "
        "directory of such files."
    ),
]
_Train = Annotated[Path | None, typer.Option(help="Your training reviews, together with --test.")]
_Test = Annotated[Path | None, typer.Option(help="Your test reviews, together with --train.")]
_Limit = Annotated[
    int | None, typer.Option(min=10, help="Keep at most so many reviews, stratified by star (yelp: 20000).")
]
_Text = Annotated[str | None, typer.Option(help="Column of the texts, by default text, review, content and so on.")]
_Stars = Annotated[
    str | None,
    typer.Option(help="Column of the stars, by default stars, rating, score and so on, or label (from 0 on)."),
]
_Id = Annotated[str | None, typer.Option(help="Column of the ids, by default review_id.")]
_Category = Annotated[str | None, typer.Option(help="Column of the categories, by default category.")]
_Scale = Annotated[
    str | None,
    typer.Option(
        help="Scale of the stars, such as 1..10, 0..4 or '1..5 step 0.5'; by default 1..5.", metavar="LOW..HIGH"
    ),
]
_Encoding = Annotated[str | None, typer.Option(help="Encoding of CSV and JSON, such as cp932; by default UTF-8.")]
_Name = Annotated[str | None, typer.Option(help="Name of the dataset in paths and tags; by default the file's stem.")]
_Engine = Annotated[
    Engine,
    typer.Option(
        help="What works in parallel: processes of this machine, or Ray on the cluster that RAY_ADDRESS names, else on "
        "this machine."
    ),
]
_Dataset = Annotated[str, typer.Option(help="Name of the dataset, as the prepare stage was given it.")]


@app.command("all")
def run_all(
    data: _Data = "sample",
    file: _File = None,
    train: _Train = None,
    test: _Test = None,
    limit: _Limit = None,
    name: _Name = None,
    text: _Text = None,
    stars: _Stars = None,
    id: _Id = None,  # noqa: A002 - the option's name
    category: _Category = None,
    scale: _Scale = None,
    encoding: _Encoding = None,
    engine: _Engine = "processes",
    until: Annotated[str, typer.Option(help="The last stage to run.")] = STAGES[-1],
) -> None:
    """Run all stages, each where its code, its settings or its data have changed; print the path of the report."""
    if until not in STAGES:
        raise PipelineError(f"--until {until!r} is no stage: use one of {', '.join(STAGES)}")
    dataset, options = _source(data, file, train, test, limit, name)
    options |= _table_options(data, ColumnNames(text, stars, id, category), scale, encoding)
    with using(engine):
        stages.run(dataset, options, until)
    if STAGES.index(until) >= STAGES.index("report"):
        typer.echo(DatasetPaths(dataset).page.resolve())
    if until == "log":
        _say_where_to_look(dataset)


@app.command()
def prepare(
    data: _Data = "sample",
    file: _File = None,
    train: _Train = None,
    test: _Test = None,
    limit: _Limit = None,
    name: _Name = None,
    text: _Text = None,
    stars: _Stars = None,
    id: _Id = None,  # noqa: A002 - the option's name
    category: _Category = None,
    scale: _Scale = None,
    encoding: _Encoding = None,
    engine: _Engine = "processes",
) -> None:
    """Load the reviews, check them, set bad ones aside and split the rest."""
    dataset, options = _source(data, file, train, test, limit, name)
    options |= _table_options(data, ColumnNames(text, stars, id, category), scale, encoding)
    with using(engine):
        stages.run_stage("prepare", dataset, options)


_STAGES = {
    "features": "Turn the texts into the features of conf/features; what encoders make comes from one common pass.",
    "score": "Fit and score every feature set x model of conf/score.yaml on all training reviews.",
    "curves": "Fit the models of conf/curves.yaml on growing draws of training reviews; say what that shows.",
    "robustness": "Try the best line of each side on changed reviews, slices and other data; measure the costs.",
    "report": "Write the self-contained page reports/<dataset>/index.html and print its path.",
    "log": "Send the results to MLflow: the file mlflow.db, or the server that MLFLOW_TRACKING_URI names.",
}


def _run_stage(context: typer.Context, dataset: _Dataset = "sample", engine: _Engine = "processes") -> None:
    stage = str(context.info_name)
    with using(engine):
        stages.run_stage(stage, _dataset_name(dataset))
    if stage == "report":
        typer.echo(DatasetPaths(dataset).page.resolve())
    if stage == "log":
        _say_where_to_look(dataset)


def _say_where_to_look(dataset: str) -> None:
    from pipeline.report.links import after_log

    if where := after_log(dataset):
        typer.echo(where, err=True)


for _stage, _help in _STAGES.items():
    app.command(_stage, help=_help)(_run_stage)


_Model = Annotated[
    str | None,
    typer.Option(help="A GGUF file, or owner/name/file.gguf on the hub, else bundled; with --base-url its name there."),
]
_BaseUrl = Annotated[
    str | None,
    typer.Option(help="A server of llama.cpp, or with OpenAI's routes, such as http://127.0.0.1:8080 (URL= of make)."),
]


@app.command()
def peers(
    dataset: _Dataset = "sample",
    model: _Model = None,
    base_url: _BaseUrl = None,
) -> None:
    """Set a language model on this machine and SetFit beside the curves; takes an hour, and goes on if stopped."""
    stages.run_stage("peers", _dataset_name(dataset), {"model": model, "base_url": base_url})
    stages.run_stage("report", dataset)
    typer.echo(DatasetPaths(dataset).page.resolve())


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Name of a dataset, or a copy of its directory in reports/.")],
    b: Annotated[str, typer.Argument(help="What to compare it with.")],
) -> None:
    """Compare two runs, or two datasets, in the terminal."""
    from pipeline.report.compare import compare as compare_runs

    typer.echo(compare_runs(a, b))


@app.command()
def attend(
    text: Annotated[str, typer.Argument(help="A sentence in any language, in quotes.", show_default=False)],
    model: Annotated[
        str,
        typer.Option(
            help="bundled, a directory, or a name on the hub: an encoder (BERT) or a causal model (GPT-2); bundled-llm "
            "(Gemma 3 270M of the extra peers, many languages, about a minute to load) or a GGUF file."
        ),
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
    values: Annotated[
        bool | None,
        typer.Option(help="The value in every cell, or none; by default where there are at most 14 tokens."),
    ] = None,
    special: Annotated[
        bool | None,
        typer.Option(
            help="With [CLS], [SEP] and the like, or without, each row divided by its sum; by default only the line "
            "below a picture leaves them out."
        ),
    ] = None,
    next_token: Annotated[
        bool, typer.Option("--next", help="Instead, how likely a causal model finds each next token, the first ten.")
    ] = False,
) -> None:
    """Show which token of a sentence looks at which, by layer and head."""
    from pipeline.attention.view import attend as command

    if not next_token:
        typer.echo(command.run(text, model, revision, layer, head, word, out, values, special))
        return
    given = {"--layer": layer, "--head": head, "--word": word, "--values": values, "--special": special}
    if unused := [name for name, value in given.items() if value is not None]:
        raise PipelineError(f"--next shows what follows the text, not its attention: leave out {' and '.join(unused)}")
    typer.echo(command.run_next(text, model, revision, out))


@app.command()
def rate(
    text: Annotated[str, typer.Argument(help="A review, in quotes.", show_default=False)],
    model: _Model = None,
    base_url: _BaseUrl = None,
    know_how: Annotated[Path | None, typer.Option(help="A text file with your rules, placed in front.")] = None,
    examples: Annotated[Path | None, typer.Option(help="A file of reviews with stars to take examples from.")] = None,
    n_examples: Annotated[int | None, typer.Option(min=1, help="How many examples of each star; by default 2.")] = None,
    scale: _Scale = None,
    revision: Annotated[str | None, typer.Option(help="Commit of a model on the hub.")] = None,
) -> None:
    """Show how likely a language model finds each star of a review, and its prompt."""
    from pipeline.experiment import rate as command

    typer.echo(command.run(text, model, base_url, know_how, examples, n_examples, scale, revision))


@app.command()
def predict(
    review: Annotated[str | None, typer.Argument(help="A review, in quotes.", show_default=False)] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Reviews, with or without stars: Parquet, CSV or JSON, also compressed (.gz, .zst), or a directory of "
            "such files."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --file, what to write: .csv, .jsonl or .parquet.")] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Tell the words that made a star: a second for a review, minutes for a book.",
        ),
    ] = False,
    dataset: Annotated[
        str | None, typer.Option(help="Whose best model predicts, by default that of the last run.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Another model, a file of reports/<dataset>/models.")] = None,
    text: _Text = None,
    id: _Id = None,  # noqa: A002 - the option's name
    encoding: _Encoding = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="With --file, repeat the texts.")] = False,
) -> None:
    """Predict the star of a review, or of each review in a file, by the best model of the last run."""
    if dataset is not None and model is not None:
        raise PipelineError(
            f"got --dataset {dataset} and --model {model}: give one of them (NAME= and DATA=, or MODEL=)"
        )
    name = None if dataset is None else _dataset_name(dataset)
    of_file = {"--out": out, "--text": text, "--id": id, "--encoding": encoding, "--with-text": with_text or None}
    if file is None:
        if unused := [option for option, value in of_file.items() if value is not None]:
            raise PipelineError(f"{unused[0]} goes with --file (FILE=): name the file of reviews")
        if review is None:
            raise PipelineError('give a review, in quotes (TEXT="..."), or a file of reviews by --file (FILE=)')
        from pipeline.experiment import predict as command

        typer.echo(command.run(review, name, model, explain))
        return
    if review is not None:
        raise PipelineError(f"got a review and --file {file}: give one of them")
    if out is None:
        raise PipelineError(f"--file {file} needs --out (OUT=), such as --out stars.csv")
    from pipeline.experiment import predict_file

    columns = ColumnNames(text, None, id, None)
    typer.echo(predict_file.run(file, out, name, model, columns, encoding, explain, with_text))


_know_how = typer.Typer(help="What reviews teach, as a file of sums: make it, add several, show what one holds.")
app.add_typer(_know_how, name="know-how")
_Out = Annotated[Path, typer.Option(help="The file to write, such as mine.safetensors.")]


@_know_how.command("make")
def make_know_how(
    file: Annotated[Path, typer.Argument(help="Reviews: Parquet, CSV or JSON, or a directory of such files.")],
    out: _Out,
    origin: Annotated[str | None, typer.Option(help="Where they come from; by default the file's name.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the reviews.")] = "",
    min_texts: Annotated[int, typer.Option(min=1, help="How many reviews must have a word, and a star.")] = 5,
    text: _Text = None,
    stars: _Stars = None,
    scale: _Scale = None,
    encoding: _Encoding = None,
) -> None:
    """Sum up what all reviews of a file teach; no review and no rare word is in the sums."""
    from pipeline.experiment import know_how_file

    columns = ColumnNames(text, stars, None, None)
    made = know_how_file.make(file, columns, encoding, scale, origin or file.name, licence, min_texts)
    typer.echo(know_how_file.save(made, out))


@_know_how.command("add")
def add_know_how(
    files: Annotated[list[str], typer.Argument(help='Files of know-how; "sample" is the embedded one.')], out: _Out
) -> None:
    """Add up know-how, each file's reviews in full."""
    from pipeline.experiment import know_how_file

    typer.echo(know_how_file.save(know_how_file.add(files), out))


@_know_how.command("show")
def show_know_how(
    file: Annotated[str, typer.Argument(help='A file of know-how; "sample" is the embedded one.')],
    n: Annotated[int, typer.Option(min=1, help="How many words to show, up and down.")] = 20,
) -> None:
    """Show origin, licence, counts, the strongest words and the columns of know-how."""
    from pipeline.experiment import know_how_file

    typer.echo(know_how_file.show(file, n))


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Print the links to the comparisons and open the MLflow UI over this project's runs; stop it with Ctrl+C."""
    from pipeline.project.store import is_server, shown, sqlite_file, tracking_uri
    from pipeline.report.links import links_to_all, local

    store = tracking_uri()
    if is_server(store):
        typer.echo(f"The runs are on a server, which MLFLOW_TRACKING_URI names:\n{links_to_all(shown(store))}")
        return
    # MLflow would make the file.
    if (file := sqlite_file(store)) and not file.exists():
        raise PipelineError(f"{file} is missing, there are no runs to show: run make all (tmva all) first")
    _check_free(port)
    typer.echo(f"{links_to_all(local(port))}\nOpen a link as soon as the server has started; Ctrl+C stops it.")
    sys.stdout.flush()
    # One worker is enough for one person, and starts sooner than MLflow's four.
    options = ["--backend-store-uri", store, "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", *options]
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.execv(sys.executable, command)  # noqa: S606 - the server takes this process's place, and its Ctrl+C


def _check_free(port: int) -> None:
    """Stop where another program listens at a port of this machine."""
    with socket.socket() as probe:
        # What a server that has just ended leaves behind is no server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PipelineError(
                f"port {port} of this machine cannot be used ({error.strerror}): choose another, such as make ui "
                f"PORT={port + 1} (--port {port + 1})"
            ) from None


def _source(
    data: str, file: Path | None, train: Path | None, test: Path | None, limit: int | None, name: str | None
) -> tuple[str, dict[str, Any]]:
    """Return the name of the dataset and the options of the prepare stage."""
    given = {"--file": file, "--train": train, "--test": test}
    names = [option for option, value in given.items() if value is not None]
    if data != "file" and names:
        raise PipelineError(f"{names[0]} goes with --data file (DATA=file), got --data {data}")
    if data == "file" and names not in (["--file"], ["--train", "--test"]):
        raise PipelineError(
            "--data file needs either --file PATH (FILE=) or both --train PATH and --test PATH (TRAIN= TEST=), "
            f"got {', '.join(names) or 'neither'}"
        )
    main_file = file or train
    stem = dataset_name(main_file) if main_file else data
    options = {"data": data, "file": file, "train": train, "test": test, "limit": limit}
    return _dataset_name(name or stem), options


def _table_options(data: str, columns: ColumnNames, scale: str | None, encoding: str | None) -> dict[str, Any]:
    """Return the options of the prepare stage that say how a file is read."""
    given = dict(zip(("text", "stars", "id", "category"), columns, strict=True)) | {
        "scale": scale,
        "encoding": encoding,
    }
    names = [name for name, value in given.items() if value is not None]
    if data != "file" and names:
        raise PipelineError(f"--{names[0]} ({names[0].upper()}=) goes with --data file (DATA=file), got --data {data}")
    try:
        written = None if scale is None else Scale.parse(scale).written
    except ValueError as error:
        raise PipelineError(f"--scale (SCALE=): {first_line(error)}") from None
    return {"columns": columns, "scale": written, "encoding": encoding}


def _dataset_name(name: str) -> str:
    """Return `name` if it can be part of a path and of a tag.

    Raises
    ------
    PipelineError
        If it has anything but letters, digits, `_`, `-`, `+` and `.`, or starts with a dot or a hyphen.
    """
    if not re.fullmatch(r"[\w+][\w.+-]*", name):
        raise PipelineError(
            f"{name!r} cannot be a dataset's name: use letters, digits and _ - + ., neither - nor . first (NAME=)"
        )
    return name


def main() -> None:
    """Run the command line; what the user can mend ends in one line and exit code 2."""
    # An installed command does not look into the working directory, where features and models of the user may be.
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    program = "tmva" if Path(sys.argv[0]).stem == "tmva" else "python -m pipeline"
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name=program, standalone_mode=False))
    except _UsageError as error:
        message = f"{error.format_message().rstrip('.')}; see {program} --help"
    except (PipelineError, OSError) as error:
        message = first_line(error)
    except typer.Abort:
        sys.exit(130)
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
