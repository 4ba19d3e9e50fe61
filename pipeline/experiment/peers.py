"""What people pick today beside the curves: a language model whose answers are columns, and a fine-tuned encoder."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from pipeline.digest import file_digest, value_digest
from pipeline.errors import PipelineError, first_line, needs_extra
from pipeline.evaluation.draws import draw_in_order
from pipeline.evaluation.sides import Side
from pipeline.experiment.curves import check_resamples, models_of
from pipeline.experiment.fitting import Material
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import BASELINES, LLM_READERS, MODELS, PEERS, check_models, make_model
from pipeline.experiment.named import estimator_digest
from pipeline.experiment.pieces import Piece, PieceResult, RunContext, groups, held_out_rows, run_context
from pipeline.experiment.transformers import make_transformers, table_digests
from pipeline.features import LocalLLM
from pipeline.files import read_json, write_json
from pipeline.llm import LanguageModel, open_model
from pipeline.progress import one_bar
from pipeline.project.conf import CurvesConfig, PeersConfig, ScoreConfig, SideConfig, check_names, feature_configs
from pipeline.project.paths import CONF, DatasetPaths
from pipeline.project.scale import dataset_scale

_WHERE = str(CONF / "peers.yaml")
_DESCRIBED = ("model", "sha256", "architecture", "quantisation", "n_context", "template", "library")
_HOW = ("model", "base_url", "revision", "n_threads", "cache")
Rows = npt.NDArray[np.intp]
_NOTHING = {"prompts": 0, "seconds": 0.0, "peak_mb": 0.0}


@contextmanager
def _naming(feature: str) -> Iterator[None]:
    """Say which feature of conf/peers.yaml led to an error."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        raise PipelineError(f"{_WHERE}: {feature}: {first_line(error)}") from None


@dataclass(frozen=True)
class PeersContext(RunContext):
    """What the results of the peers stage are made from.

    Attributes
    ----------
    feature_sets : dict of str to list of str
        Those of conf/peers.yaml.
    llm : dict of str to LocalLLM
        The unfitted transformer of each feature that a language model makes.
    n_held_out : int
        How many of the held-out reviews are predicted.
    """

    feature_sets: dict[str, list[str]] = field(default_factory=dict)
    llm: dict[str, LocalLLM] = field(default_factory=dict)
    n_held_out: int = 0

    def material(self) -> Material:
        """Return the reviews with the columns of the features stage, and the features of the language model."""
        material = super().material()
        makers = material.makers | {part: partial(clone, each) for part, each in self.llm.items()}
        return replace(material, feature_sets=material.feature_sets | self.feature_sets, makers=makers)

    @property
    def directory(self) -> Path:
        """Where the pieces are kept."""
        return DatasetPaths(self.dataset).peer_draws


def all_sides(config: PeersConfig, curves: CurvesConfig) -> dict[str, SideConfig]:
    """Return the sides that are compared: some of conf/curves.yaml, then those of conf/peers.yaml.

    Raises
    ------
    PipelineError
        If a side of conf/curves.yaml is not there.
    """
    check_names(config.curves_sides, list(curves.sides), "side of conf/curves.yaml", _WHERE)
    return {name: curves.sides[name] for name in config.curves_sides} | config.sides


def check_peers(config: PeersConfig, curves: CurvesConfig, score: ScoreConfig) -> None:
    """Stop before any work if conf/peers.yaml names what is not known, or what is taken.

    Raises
    ------
    PipelineError
        It lists the known names.
    """
    for what, names, taken in (
        ("feature", config.features, [*feature_configs()]),
        ("feature set", config.feature_sets, [*score.feature_sets, RAW_TEXT]),
        ("side", config.sides, config.curves_sides),
    ):
        for name in names:
            if name in taken:
                raise PipelineError(f"{_WHERE}: the name {name!r} of a {what} is taken: call it otherwise")
    for name, parts in config.feature_sets.items():
        check_names(parts, [*config.features, *score.parts], f"feature of {name}", _WHERE)
    for name, side in config.sides.items():
        check_names(side.feature_sets, [*config.feature_sets, *score.feature_sets, RAW_TEXT], "feature set", _WHERE)
        for features in side.feature_sets:
            _check_models(name, features, side.models, config)
    sides = all_sides(config, curves)
    for pair in config.contrasts:
        check_names(pair, list(sides), "side", _WHERE)
    check_resamples(len(config.contrasts) * len(config.sizes), config.n_resamples, _WHERE)
    with _naming("sides"), needs_extra("The language model beside SetFit", "peers"):
        for package in ("setfit", "xllamacpp"):
            import_module(package)


def _check_models(side: str, features: str, models: list[str], config: PeersConfig) -> None:
    known = BASELINES | PEERS if features == RAW_TEXT else MODELS | LLM_READERS
    check_models(models, known, f"model of side {side} on {features}", _WHERE)
    if set(models) & set(LLM_READERS) and config.feature_sets.get(features, [""])[-1] not in config.features:
        reader = next(name for name in models if name in LLM_READERS)
        raise PipelineError(
            f"{_WHERE}: side {side}: {reader} reads a language model's columns, which do not end {features}"
        )


def language_models(dataset: str, config: PeersConfig, source: Mapping[str, Any]) -> dict[str, LocalLLM]:
    """Return the unfitted transformer of each feature in conf/peers.yaml.

    Parameters
    ----------
    dataset : str
    config : PeersConfig
    source : mapping
        Where the model is: model or base_url of `LocalLLM`.

    Raises
    ------
    PipelineError
        If a parameter is unknown.
    """
    paths = DatasetPaths(dataset)
    fixed = {"scale": dataset_scale(paths), "cache": paths.answers, **source}
    made = {}
    for name, params in config.features.items():
        try:
            made[name] = LocalLLM(**params, **fixed)
        except TypeError as error:
            raise PipelineError(f"{_WHERE}: {name}: {first_line(error)}") from None
    return made


def peers_context(
    dataset: str, config: PeersConfig, sides: Mapping[str, SideConfig], llm: Mapping[str, LocalLLM]
) -> PeersContext:
    """Return the context of the peers stage, after checking that the features are those of the reviews.

    Parameters
    ----------
    dataset : str
    config : PeersConfig
    sides : mapping of str to SideConfig
    llm : mapping of str to LocalLLM
        By feature.
    """
    context, paths = run_context(dataset), DatasetPaths(dataset)
    others = sorted({part for parts in config.feature_sets.values() for part in parts} - set(config.features))
    transformers = make_transformers(others, feature_configs(), _WHERE, dataset_scale(paths))
    made_from = table_digests(transformers, paths.reviews)
    code, reviews = estimator_digest(LocalLLM()), file_digest(paths.reviews)
    for name, transformer in llm.items():
        with _naming(name):
            made_from[name] = value_digest(_what_is_asked(transformer), code, reviews)
    columns = {name: value_digest([made_from[part] for part in parts]) for name, parts in config.feature_sets.items()}
    lines = {Line(features, model) for features, models in models_of(sides).items() for model in models}
    digests = {line.model: estimator_digest(make_model(line)) for line in lines}
    return PeersContext(
        dataset,
        context.root,
        context.seed,
        context.columns | columns,
        context.models | digests,
        feature_sets=config.feature_sets,
        llm=dict(llm),
        n_held_out=config.n_held_out,
    )


def _model_of(transformer: LocalLLM) -> LanguageModel:
    where = transformer.model, transformer.base_url, transformer.revision
    return open_model(*where, transformer.n_context, transformer.n_threads)


def _what_is_asked(transformer: LocalLLM) -> str:
    """Return the digest of model and prompt; where the model is and how fast it runs count for nothing."""
    given = {name: value for name, value in transformer.get_params().items() if name not in _HOW}
    given["scale"] = transformer.scale.written if transformer.scale else None
    return value_digest(given, _model_of(transformer).digest)


def described(llm: Mapping[str, LocalLLM]) -> dict[str, str]:
    """Return what the report says of the language model."""
    info = next(iter(llm.values())).info_ if llm else {}
    return {name: str(info[name]) for name in _DESCRIBED if info.get(name) is not None}


def peer_pieces(config: PeersConfig, sides: Mapping[str, SideConfig], n_train: int) -> list[Piece]:
    """Return every draw x feature set below all training reviews; a model of raw texts is a piece by itself."""
    pieces = []
    for features, models in models_of(sides).items():
        parted = groups(features, models) if features == RAW_TEXT else {"": models}
        pieces += [
            Piece(features, names, n, repeat, group=key, n_held_out=config.n_held_out)
            for n, repeats in sorted(config.sizes.items())
            for repeat in range(repeats)
            for key, names in parted.items()
            if n < n_train
        ]
    return pieces


def ask(context: PeersContext, pieces: Sequence[Piece]) -> dict[str, dict[str, float]]:
    """Let the language model read every draw that pieces need, and keep its columns for them.

    The training reviews are given in the order of the repeat, so that a larger draw shows the examples of a smaller
    one, and the answers for held-out reviews are found again.

    Returns
    -------
    dict of str to dict
        By feature: `prompts` that were asked, their `seconds`, and `peak_mb` that the model takes.
    """
    material, path = context.material(), DatasetPaths(context.dataset).answers / "costs.json"
    kept = read_json(path)
    keys = {part: _what_is_asked(transformer) for part, transformer in context.llm.items()}
    costs = {part: kept.get(key, _NOTHING) for part, key in keys.items()}
    before = dict(costs)
    rows = {(n, repeat): _rows(context, material, n, repeat) for _, repeat, n in _draws(context, pieces)}
    todo = _with_new_prompts(context, _draws(context, pieces), rows)
    with one_bar(sum(todo.values()), "language model", "review") as bar:
        for (part, repeat, n), n_new in todo.items():
            model, (train, test), n_asked = context.llm[part], rows[n, repeat], 0
            if material.kept(part, np.sort(train), test) is None:
                already = model.info_.get("n_asked", 0)
                with _naming(part):
                    columns = model.fit_transform(material.texts[train], material.stars[train])
                    of_held_out = model.transform(material.texts[test])
                material.keep(part, np.sort(train), test, (columns[np.argsort(train)], of_held_out))
                costs[part] = _added(before[part], model.info_)
                write_json(path, kept | {keys[each]: cost for each, cost in costs.items()})
                n_asked = model.info_["n_asked"] - already
            bar.skip(max(0, n_new - n_asked))
    return costs


def _with_new_prompts(
    context: PeersContext, draws: Sequence[tuple[str, int, int]], rows: Mapping[tuple[int, int], tuple[Rows, Rows]]
) -> dict[tuple[str, int, int], int]:
    """Return draws with how many of their prompts those before do not have."""
    known: set[tuple[Any, ...]] = set()
    counts = {}
    for part, repeat, n in draws:
        shows = bool(context.llm[part].n_examples)
        train, test = ([(part, row) for row in each.tolist()] for each in rows[n, repeat])
        # The examples of a training review are of its draw, those of held-out reviews of its repeat.
        prompts = (
            {(*each, repeat, n) for each in train} | {(*each, repeat) for each in test} if shows else {*train, *test}
        )
        counts[part, repeat, n] = len(prompts - known)
        known |= prompts
    return counts


def _rows(context: PeersContext, material: Material, n: int, repeat: int) -> tuple[Rows, Rows]:
    """Return the training reviews of a draw in its order, and the held-out ones, as rows of all reviews."""
    train, test = np.flatnonzero(material.is_train), np.flatnonzero(~material.is_train)
    held_out = held_out_rows(material.stars[test], context.n_held_out, context.seed)
    return train[draw_in_order(material.stars[train], n, repeat, context.seed)], test[held_out]


def _draws(context: PeersContext, pieces: Sequence[Piece]) -> list[tuple[str, int, int]]:
    """Return feature, repeat and size of what is to be asked, prompts with equal examples one after another."""
    return sorted(
        {
            (part, piece.repeat, piece.n_train)
            for piece in pieces
            for part in context.feature_sets.get(piece.features, ())
            if part in context.llm
        }
    )


def _added(before: Mapping[str, float], info: Mapping[str, Any]) -> dict[str, float]:
    """Return what was asked in this run and before."""
    if not info["n_asked"]:
        return dict(before)
    return {
        "prompts": before["prompts"] + info["n_asked"],
        "seconds": before["seconds"] + info["seconds"],
        "peak_mb": max(before["peak_mb"], info.get("memory", 0) / 2**20),
    }


def cost_frame(
    context: PeersContext,
    sides: Mapping[str, Mapping[int, Side[Line]]],
    lines: Mapping[int, Mapping[Line, Sequence[PieceResult]]],
    asked: Mapping[str, Mapping[str, float]],
    n_train: int,
) -> pd.DataFrame:
    """Return peer_costs.csv: what the line of each side takes at every size, from raw texts on.

    Columns of the features stage take their share of the seconds that all training reviews take.

    Parameters
    ----------
    context : PeersContext
    sides : mapping of str to mapping of int to Side
    lines : mapping of int to mapping of Line to sequence of PieceResult
    asked : mapping of str to mapping
        From `ask`.
    n_train : int
        Number of all training reviews.
    """
    costs = read_json(DatasetPaths(context.dataset).feature_costs)
    parts = context.material().feature_sets
    rows = []
    for name, of_size in sides.items():
        for n, side in of_size.items():
            line, results = side.line, lines[n][side.line]
            figures = pd.concat([result.figures.loc[[line.model]] for result in results]).median()
            train, review = figures["fit_seconds"], figures["predict_seconds"] / len(results[0].predictions)
            peak = figures["peak_mb"]
            for part in parts.get(line.features, ()):
                if part in asked:
                    n_prompts = asked[part]["prompts"]
                    prompt = asked[part]["seconds"] / n_prompts if n_prompts else np.nan
                    train += 0 if line.model in LLM_READERS else n * prompt
                    review += prompt
                    peak = max(peak, asked[part]["peak_mb"])
                else:
                    cost = costs[part]
                    train += (cost["encode_seconds"] + cost["learn_seconds"]) * n / n_train
                    review += cost["transform_seconds_per_review"]
            row = {"side": name, "n_train": n, **line._asdict()}
            rows.append({**row, "train_seconds": train, "review_ms": 1000 * review, "peak_mb": peak})
    return pd.DataFrame(rows)


def held_out_stars(reviews: pd.DataFrame, n: int, seed: int) -> npt.NDArray[Any]:
    """Return the stars of the held-out reviews that peers are measured on."""
    stars = reviews.loc[reviews["split"] == "test", "stars"].to_numpy()
    rows: npt.NDArray[Any] = stars[held_out_rows(stars, n, seed)]
    return rows
