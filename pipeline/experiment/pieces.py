"""The work of the score and curves stages, cut into pieces that run on all cores and are kept when they are done."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, chdir
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.digest import code_digest, file_digest, source_digest, value_digest
from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.draws import draw
from pipeline.experiment.columns import token_record
from pipeline.experiment.fitting import Fitted, Material, fit_models, one_thread, what_is_fitted
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import BASELINES, MODELS, check_models, make_model
from pipeline.experiment.named import estimator_digest
from pipeline.experiment.transformers import learns, make_transformer, make_transformers, pools_tokens, table_digests
from pipeline.experiment.workers import in_parallel, n_cores
from pipeline.files import read_made_from, read_manifest, read_parquet, write_parquet
from pipeline.progress import progress_bar
from pipeline.project.conf import ScoreConfig, check_names, feature_configs, score_config
from pipeline.project.paths import CONF, DatasetPaths

_FIGURES = ["n_features", "fit_seconds", "predict_seconds", "peak_mb"]


@dataclass(frozen=True)
class Piece:
    """Some models on a feature set, fitted on a draw of training reviews.

    Attributes
    ----------
    features : str
        The feature set, or "text".
    models : tuple of str
    n_train, repeat : int
        Which draw.
    group : str
        What the models have in common where a draw is cut into several pieces; else empty.
    """

    features: str
    models: tuple[str, ...]
    n_train: int
    repeat: int = 0
    group: str = ""

    @property
    def cost(self) -> float:
        """About how many seconds it takes on one core: more reviews take longer, and few take some time, too."""
        return len(self.models) * (0.08 + 0.0002 * self.n_train)


@dataclass(frozen=True)
class RunContext:
    """What the results of pieces are made from.

    Attributes
    ----------
    dataset : str
    root : Path
        The project's directory, since a worker may have been started in another.
    seed : int
        Of the draws.
    columns : dict of str to str
        Digest of the reviews and the columns of each feature set.
    models : dict of str to str
        Digest of each model: its parameters and its code.
    """

    dataset: str
    root: Path
    seed: int
    columns: dict[str, str]
    models: dict[str, str]

    def in_project_root(self) -> AbstractContextManager[None]:
        """Work in the project's directory."""
        return chdir(self.root)

    def material(self) -> Material:
        """Return the reviews and what the features stage has made of them, read once per process."""
        return _load_material(self.dataset, self.root, value_digest(self.columns))

    def path(self, piece: Piece) -> Path:
        """Return where the results of a piece are kept: all models that were fitted on its draw."""
        draw_of = (self.seed, piece.features, piece.n_train, piece.repeat, piece.group)
        digest = value_digest(_code(), self.columns[piece.features], draw_of)
        return DatasetPaths(self.dataset).draws / f"{piece.n_train:06d}-{digest[:24]}.parquet"


@lru_cache(maxsize=1)
def _code() -> list[str]:
    """Return what decides on a result beside columns and models; these have digests of their own."""
    return [code_digest("pipeline.experiment.fitting", "pipeline.evaluation.draws"), source_digest(__name__)]


def run_context(dataset: str) -> RunContext:
    """Return the context of a dataset, after checking that the features are those of the reviews.

    Raises
    ------
    PipelineError
        If conf/score.yaml names something unknown, or a feature is missing or of other reviews or settings.
    """
    paths, config, where = DatasetPaths(dataset), score_config(), str(CONF / "score.yaml")
    check_score(config)
    read_parquet(paths.reviews, made_by="prepare")
    transformers = make_transformers(config.parts, feature_configs(), where)
    made_from = table_digests(transformers, paths.reviews)
    for part, digest in made_from.items():
        check_feature(paths, part, digest)
    columns = {name: value_digest([made_from[part] for part in parts]) for name, parts in config.feature_sets.items()}
    ablations = config.ablations.models if config.ablations else []
    lines = [Line(RAW_TEXT, name) for name in config.baselines]
    lines += [Line("", name) for name in [*config.models, *ablations]]
    models = {line.model: estimator_digest(make_model(line)) for line in lines}
    return RunContext(
        dataset, Path.cwd(), config.seed, {**columns, RAW_TEXT: value_digest(file_digest(paths.reviews))}, models
    )


def check_feature(paths: DatasetPaths, part: str, made_from: str) -> pd.DataFrame:
    """Return the table of a feature.

    Raises
    ------
    PipelineError
        If it is missing, or made from anything else than `made_from`.
    """
    table = read_parquet(paths.feature(part), made_by="features")
    if read_made_from(paths.feature(part)) != made_from:
        raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")
    return table


def check_score(config: ScoreConfig) -> None:
    """Stop before any work if conf/score.yaml names what is not known.

    Raises
    ------
    PipelineError
        It lists the known names.
    """
    where = str(CONF / "score.yaml")
    check_models(config.models, MODELS, "model", where)
    check_models(config.baselines, BASELINES, "baseline", where)
    if config.ablations:
        check_models(config.ablations.models, MODELS, "model", where)
        check_names(config.ablations.feature_sets, list(config.feature_sets), "feature set", where)
    if RAW_TEXT in config.feature_sets:
        raise PipelineError(f"{where}: the name {RAW_TEXT!r} is taken by the baselines: call the feature set otherwise")


@lru_cache(maxsize=1)
def _load_material(dataset: str, root: Path, made_from: str) -> Material:
    paths, configs, config = DatasetPaths(dataset), feature_configs(), score_config()
    reviews = read_parquet(paths.reviews, made_by="prepare")
    tables = {part: read_parquet(paths.feature(part), made_by="features") for part in config.parts}
    transformers = {part: make_transformer(part, configs[part]) for part in config.parts}
    tokens = paths.tokens / str(read_manifest(paths.features).get("tokens"))
    learning = [part for part, transformer in transformers.items() if learns(transformer)]
    return Material(
        reviews["text"].to_numpy(dtype=object),
        reviews["stars"].to_numpy(),
        (reviews["split"] == "train").to_numpy(),
        config.feature_sets,
        {part: table.drop(columns="review_id").to_numpy() for part, table in tables.items()},
        {part: partial(make_transformer, part, configs[part]) for part in learning},
        {part: token_record(transformers[part], tokens) for part in learning if pools_tokens(transformers[part])},
    )


@dataclass(frozen=True)
class PieceResult:
    """What a piece has left.

    Attributes
    ----------
    piece : Piece
    predictions : DataFrame
        Stars of the held-out reviews, one float32 column per model.
    figures : DataFrame
        n_features, fit_seconds, predict_seconds and peak_mb by model.
    refused : dict of str to str
        Why, of models that did not take the draw.
    """

    piece: Piece
    predictions: pd.DataFrame
    figures: pd.DataFrame
    refused: dict[str, str]


def groups(features: str, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the models in groups that may be fitted apart: those that read the same classifier stay together.

    Examples
    --------
    >>> list(groups("embedding", ["Ridge", "LogisticRegression", "LogisticRegression (median star)"]).values())
    [('Ridge',), ('LogisticRegression', 'LogisticRegression (median star)')]
    """
    key_of = {name: value_digest(what_is_fitted(make_model(Line(features, name)))) for name in models}
    order = list(dict.fromkeys(key_of.values()))
    by_key = sorted(models, key=lambda name: order.index(key_of[name]))
    return {key: tuple(names) for key, names in groupby(by_key, key=lambda name: key_of[name])}


def seconds(pieces: Sequence[Piece]) -> float:
    """Return about how many seconds pieces take on the cores that there are."""
    return sum(piece.cost for piece in pieces) / n_cores()


def run_pieces(context: RunContext, pieces: Sequence[Piece], desc: str) -> list[PieceResult]:
    """Fit what is not kept yet, on all cores or as many as LOKY_MAX_CPU_COUNT says; return all results.

    The numbers do not depend on how many workers there are: each computes on one thread.

    Raises
    ------
    PipelineError
        If the features of a piece cannot be made.
    """
    kept = {piece: _Kept.read(context, piece) for piece in pieces}
    todo = {piece: replace(piece, models=kept[piece].missing(piece)) for piece in pieces}
    waiting = sorted((piece for piece in pieces if todo[piece].models), key=lambda piece: -todo[piece].cost)
    with progress_bar(seconds(pieces), desc, "s", seconds=seconds(pieces)) as bar:
        bar.skip(seconds(pieces) - seconds([todo[piece] for piece in waiting]))
        for piece in in_parallel(partial(_run_piece, context), waiting):
            kept[piece] = _Kept.read(context, piece)
            bar.update(seconds([todo[piece]]))
    return [kept[piece].result(piece) for piece in pieces]


def _run_piece(context: RunContext, piece: Piece) -> Piece:
    """Fit the models of a piece that are missing, and keep them beside the others."""
    with context.in_project_root(), one_thread():
        material, kept = context.material(), _Kept.read(context, piece)
        models = {name: make_model(Line(piece.features, name)) for name in kept.missing(piece)}
        stars = material.stars[material.is_train]
        rows: npt.NDArray[np.intp] = draw(stars, piece.n_train, piece.repeat, context.seed)
        try:
            train, test = material.columns(piece.features, rows)
        except ValueError as error:
            raise PipelineError(f"{piece.features}, {piece.n_train} training reviews: {first_line(error)}") from None
        results = list(fit_models(models, (train, stars[rows]), test, piece.features))
        kept.with_models(models, results, context.models).write(context.path(piece))
    return piece


@dataclass(frozen=True)
class _Kept:
    """The models that were fitted on a draw; those whose parameters or code have changed are left out."""

    predictions: pd.DataFrame
    figures: dict[str, list[float]]
    refused: dict[str, str]
    made_from: dict[str, str]

    @classmethod
    def read(cls, context: RunContext, piece: Piece) -> "_Kept":
        path = context.path(piece)
        if not path.exists():
            return cls(pd.DataFrame(), {}, {}, {})
        table = read_parquet(path, made_by="score or curves")
        attributes: dict[str, dict[str, Any]] = table.attrs
        fresh = {name: digest for name, digest in attributes["made_from"].items() if context.models.get(name) == digest}
        figures, refused = (
            {name: value for name, value in attributes[key].items() if name in fresh} for key in ("figures", "refused")
        )
        return cls(table[list(figures)], figures, refused, fresh)

    def missing(self, piece: Piece) -> tuple[str, ...]:
        """Return the models of a piece that are not kept."""
        return tuple(name for name in piece.models if name not in self.made_from)

    def with_models(
        self, models: Mapping[str, Any], results: Sequence[Fitted | PipelineError], digests: Mapping[str, str]
    ) -> "_Kept":
        """Return these models and some that were fitted now."""
        fitted = [result for result in results if isinstance(result, Fitted)]
        refused = {
            name: str(result) for name, result in zip(models, results, strict=True) if isinstance(result, PipelineError)
        }
        new = pd.DataFrame({each.model: each.predictions for each in fitted}, dtype=np.float32)
        return _Kept(
            pd.concat([self.predictions, new], axis=1) if len(self.predictions.columns) else new,
            self.figures | {each.model: [getattr(each, name) for name in _FIGURES] for each in fitted},
            self.refused | refused,
            self.made_from | {name: digests[name] for name in models},
        )

    def write(self, path: Path) -> None:
        table = self.predictions.copy()
        table.attrs = {"figures": self.figures, "refused": self.refused, "made_from": self.made_from}
        write_parquet(path, table)

    def result(self, piece: Piece) -> PieceResult:
        """Return what is kept of the models of a piece, in their order."""
        names = [name for name in piece.models if name in self.figures]
        figures = pd.DataFrame.from_dict({name: self.figures[name] for name in names}, orient="index", columns=_FIGURES)
        refused = {name: self.refused[name] for name in piece.models if name in self.refused}
        return PieceResult(piece, self.predictions[names], figures, refused)
