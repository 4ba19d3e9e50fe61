"""The work of the score and curves stages, cut into pieces that run on all cores and are kept when they are done."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
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
from pipeline.experiment.engine import in_parallel, n_workers
from pipeline.experiment.fitting import Fitted, Material, fit_models, one_thread, recalibrates, what_is_shared
from pipeline.experiment.know_how import KnowHowRows, beside_know_how, foreign_sample, read_know_how
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import BASELINES, MODELS, PEERS, check_models, make_model
from pipeline.experiment.named import estimator_digest
from pipeline.experiment.transformers import learns, make_transformer, make_transformers, pools_tokens, table_digests
from pipeline.experiment.tuned import sharing_folds
from pipeline.files import read_manifest, read_parquet, reading, write_parquet
from pipeline.progress import progress_bar
from pipeline.project.conf import ScoreConfig, check_names, feature_configs
from pipeline.project.language import dataset_score_config
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale

_FINE_TUNING = 30.0  # seconds that an encoder takes to be fine-tuned, at least
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
    know_how : float
        As how many rows the embedded reviews count beside the draw; 0: they are not used.
    n_held_out : int
        How many of the held-out reviews are predicted, see `held_out_rows`; 0: all of them.
    """

    features: str
    models: tuple[str, ...]
    n_train: int
    repeat: int = 0
    group: str = ""
    know_how: float = 0
    n_held_out: int = 0

    @property
    def cost(self) -> float:
        """About how many seconds it takes on one core: more reviews take longer, and few take some time, too."""
        usual = len(self.models) * (0.016 + 0.00015 * self.n_train + (0.05 if self.know_how else 0))
        return usual + _FINE_TUNING * len(set(self.models) & set(PEERS))


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
    known : str
        Digest of the know-how, where it is used.
    """

    dataset: str
    root: Path
    seed: int
    columns: dict[str, str]
    models: dict[str, str]
    known: str = ""

    def material(self) -> Material:
        """Return the reviews and what the features stage has made of them, read once per process."""
        return _load_material(self.dataset, self.root, value_digest(self.columns))

    def know_how(self) -> KnowHowRows:
        """Return the embedded reviews as know-how, read once per process."""
        return _load_know_how(self.dataset, self.root, value_digest(self.columns), self.known)

    def path(self, piece: Piece) -> Path:
        """Return where the results of a piece are kept: all models that were fitted on its draw."""
        draw_of: tuple[Any, ...] = (self.seed, piece.features, piece.n_train, piece.repeat, piece.group)
        if piece.know_how:
            draw_of += (piece.know_how, self.known)
        if piece.n_held_out:
            draw_of += ("held out", piece.n_held_out)
        digest = value_digest(_code(), self.columns[piece.features], draw_of)
        return self.directory / f"{piece.n_train:06d}-{digest[:24]}.parquet"

    @property
    def directory(self) -> Path:
        """Where the pieces are kept."""
        return DatasetPaths(self.dataset).draws


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
    paths, where = DatasetPaths(dataset), str(CONF / "score.yaml")
    config = dataset_score_config(paths)
    check_score(config)
    scale = dataset_scale(paths)
    transformers = make_transformers(config.parts, feature_configs(), where, scale)
    with reading(paths.reviews, made_by="prepare"):
        scale.check(read_parquet(paths.reviews, made_by="prepare")["stars"])
    made_from = table_digests(transformers, paths.reviews)
    for part, digest in made_from.items():
        if read_parquet(paths.feature(part), made_by="features").attrs.get("made_from") != digest:
            raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")
    columns = {name: value_digest([made_from[part] for part in parts]) for name, parts in config.feature_sets.items()}
    ablations = config.ablations.models if config.ablations else []
    lines = [Line(RAW_TEXT, name) for name in config.baselines]
    lines += [Line("", name) for name in [*config.models, *ablations]]
    models = {line.model: estimator_digest(make_model(line)) for line in lines}
    return RunContext(
        dataset, Path.cwd(), config.seed, {**columns, RAW_TEXT: value_digest(file_digest(paths.reviews))}, models
    )


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
    paths, configs = DatasetPaths(dataset), feature_configs()
    config = dataset_score_config(paths)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    tables = {part: read_parquet(paths.feature(part), made_by="features") for part in config.parts}
    scale = dataset_scale(paths)
    transformers = {part: make_transformer(part, configs[part], scale) for part in config.parts}
    tokens = paths.tokens / str(read_manifest(paths.features).get("tokens"))
    learning = [part for part, transformer in transformers.items() if learns(transformer)]
    return Material(
        reviews["text"].to_numpy(dtype=object),
        reviews["stars"].to_numpy(),
        (reviews["split"] == "train").to_numpy(),
        config.feature_sets,
        {part: table.drop(columns="review_id").to_numpy() for part, table in tables.items()},
        {part: partial(make_transformer, part, configs[part], scale) for part in learning},
        {part: token_record(transformers[part], tokens) for part in learning if pools_tokens(transformers[part])},
        paths.shared / made_from[:24],
    )


@lru_cache(maxsize=1)
def _load_know_how(dataset: str, root: Path, made_from: str, known: str) -> KnowHowRows:
    paths, material = DatasetPaths(dataset), _load_material(dataset, root, made_from)
    reviews = read_parquet(paths.reviews, made_by="prepare")
    sample = foreign_sample(dataset, reviews)
    assert sample is not None  # noqa: S101 - there are no pieces with know-how without it
    return read_know_how(paths, material, sample, known)


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


def held_out_rows(stars: npt.ArrayLike, n: int, seed: int) -> npt.NDArray[np.intp]:
    """Return which of the held-out reviews are predicted: `n`, stratified by star, or all where `n` is 0.

    Examples
    --------
    >>> held_out_rows([1, 5, 1, 5, 5, 5], 0, seed=0).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    return draw(stars, n or len(np.asarray(stars)), 0, seed)


def groups(features: str, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the models in groups that may be fitted apart: those that share what is fitted stay together.

    Examples
    --------
    >>> list(groups("embedding", ["Ridge", "LogisticRegression", "LogisticRegression (median star)"]).values())
    [('Ridge',), ('LogisticRegression', 'LogisticRegression (median star)')]
    """
    key_of = {name: value_digest(what_is_shared(make_model(Line(features, name)))) for name in models}
    order = list(dict.fromkeys(key_of.values()))
    by_key = sorted(models, key=lambda name: order.index(key_of[name]))
    return {key: tuple(names) for key, names in groupby(by_key, key=lambda name: key_of[name])}


def seconds(pieces: Sequence[Piece]) -> float:
    """Return about how many seconds pieces take on the cores that there are."""
    return sum(piece.cost for piece in pieces) / n_workers()


def run_pieces(context: RunContext, pieces: Sequence[Piece], desc: str) -> list[PieceResult]:
    """Fit what is not kept yet, on all cores or as many as LOKY_MAX_CPU_COUNT says; return all results.

    The numbers do not depend on how many workers there are: each computes on one thread.

    Raises
    ------
    PipelineError
        If the features of a piece cannot be made.
    """
    kept = {piece: _read_kept(context, piece) for piece in pieces}
    todo = {piece: replace(piece, models=_missing(piece, models)) for piece, (_, models) in kept.items()}
    waiting = sorted((piece for piece in pieces if todo[piece].models), key=lambda piece: -todo[piece].cost)
    with progress_bar(seconds(pieces), desc) as bar:
        bar.skip(seconds(pieces) - seconds([todo[piece] for piece in waiting]))
        for piece, table, models in in_parallel(partial(_run_piece, context), waiting):
            kept[piece] = table, models
            bar.update(seconds([todo[piece]]))
    return [_result(piece, *kept[piece]) for piece in pieces]


def _run_piece(context: RunContext, piece: Piece) -> tuple[Piece, pd.DataFrame, dict[str, Any]]:
    """Fit the models of a piece that are missing, keep them beside the others, and return what is kept.

    On another node than this one a file that was just written may take a while to be seen.
    """
    with chdir(context.root), one_thread():
        material, (table, kept) = context.material(), _read_kept(context, piece)
        made = {name: make_model(Line(piece.features, name)) for name in _missing(piece, kept)}
        # First those that hold what others are.
        models = dict(sorted(made.items(), key=lambda item: not recalibrates(item[1])))
        stars = material.stars[material.is_train]
        held_out = held_out_rows(material.stars[~material.is_train], piece.n_held_out, context.seed)
        rows: npt.NDArray[np.intp] = draw(stars, piece.n_train, piece.repeat, context.seed)
        train: tuple[Any, ...]
        try:
            if piece.know_how:
                known = context.know_how()
                train, test = beside_know_how(material, known, piece.features, rows, piece.know_how, held_out)
            else:
                columns, test = material.columns(piece.features, rows, held_out)
                train = columns, stars[rows]
        except ValueError as error:
            raise PipelineError(f"{piece.features}, {piece.n_train} training reviews: {first_line(error)}") from None
        with sharing_folds():
            results = list(fit_models(models, train, test, piece.features))
        for name, result in zip(models, results, strict=True):
            kept[name] = {"made_from": context.models[name]}
            if isinstance(result, Fitted):
                table[name] = result.predictions.astype(np.float32)
                kept[name]["figures"] = [getattr(result, figure) for figure in _FIGURES]
            else:
                kept[name]["refused"] = str(result)
        table = table[_fitted(kept, kept)]
        table.attrs = {"models": kept}
        write_parquet(context.path(piece), table)
    return piece, table, kept


def _read_kept(context: RunContext, piece: Piece) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return what was predicted on the draw of a piece, and by model where that comes from.

    Models whose parameters or code have changed since are left out.
    """
    if not context.path(piece).exists():
        return pd.DataFrame(), {}
    table = read_parquet(context.path(piece), made_by="score or curves")
    models = table.attrs["models"].items()
    return table, {name: kept for name, kept in models if context.models.get(name) == kept["made_from"]}


def _missing(piece: Piece, kept: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in piece.models if name not in kept)


def _fitted(names: Iterable[str], kept: Mapping[str, Any]) -> list[str]:
    return [name for name in names if "figures" in kept[name]]


def _result(piece: Piece, table: pd.DataFrame, kept: Mapping[str, Any]) -> PieceResult:
    names = _fitted(piece.models, kept)
    figures = {name: kept[name]["figures"] for name in names}
    refused = {name: kept[name]["refused"] for name in piece.models if "refused" in kept[name]}
    return PieceResult(piece, table[names], pd.DataFrame.from_dict(figures, orient="index", columns=_FIGURES), refused)
