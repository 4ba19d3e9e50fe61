"""The work of the score and curves stages, cut into pieces that run on all cores and are kept when they are done."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, chdir
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.digest import code_digest, value_digest
from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.draws import draw
from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.experiment.fitting import RAW_TEXT, Fitted, Material, fit_models, one_thread
from pipeline.experiment.models import BASELINES, MODELS
from pipeline.experiment.transformers import digests, learns, make_transformer, pools_tokens, token_record
from pipeline.experiment.workers import in_parallel, n_cores
from pipeline.files import (
    read_made_from,
    read_manifest,
    read_parquet,
    write_parquet,
)
from pipeline.progress import progress_bar
from pipeline.project.conf import check_names, feature_configs, score_config
from pipeline.project.paths import CONF, DatasetPaths

_CODE = ("taguchi", "features", "encoder", "models.py", "fitting.py", "featurize.py", "draws.py", "text.py")


_FIGURES = ("n_features", "fit_seconds", "predict_seconds", "peak_mb")


@dataclass(frozen=True)
class Task:
    """Some models on a feature set, fitted on a draw of training reviews.

    Attributes
    ----------
    features : str
        The feature set, or "text".
    models : tuple of str
    n_train, repeat : int
        Which draw.
    """

    features: str
    models: tuple[str, ...]
    n_train: int
    repeat: int = 0

    @property
    def cost(self) -> float:
        """About how many seconds it takes on one core: more reviews take longer, and few take some time, too."""
        return len(self.models) * (0.08 + 0.0002 * self.n_train)


@dataclass(frozen=True)
class Origin:
    """All that results are made from, beside the task.

    Attributes
    ----------
    dataset : str
    root : Path
        The directory that the command runs in, since a worker may have been started in another.
    seed : int
        Of the draws.
    made_from : str
        Digest of the reviews, the features and the code.
    """

    dataset: str
    root: Path
    seed: int
    made_from: str

    def here(self) -> AbstractContextManager[None]:
        """Work in that directory."""
        return chdir(self.root)

    def path(self, task: Task) -> Path:
        """Return where the result of a task is kept."""
        digest = value_digest(self.seed, self.made_from, vars(task))
        return DatasetPaths(self.dataset).draws / f"{task.n_train:06d}-{digest[:24]}.parquet"


def make_origin(dataset: str, seed: int, made_from: dict[str, list[str]]) -> Origin:
    """Return the origin of results; `made_from` holds the digests of the features of each feature set."""
    return Origin(dataset, Path.cwd(), seed, value_digest(made_from, code_digest(*_CODE)))


@dataclass(frozen=True)
class Result:
    """What a task has left.

    Attributes
    ----------
    task : Task
    predictions : DataFrame
        Stars of the held-out reviews, one float32 column per model.
    figures : DataFrame
        n_features, fit_seconds, predict_seconds and peak_mb by model.
    refused : dict of str to str
        Why, of models that did not take the draw.
    """

    task: Task
    predictions: pd.DataFrame
    figures: pd.DataFrame
    refused: dict[str, str]


def groups(features: str, models: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the models in groups that may be fitted apart: those that read the same classifier stay together.

    Examples
    --------
    >>> groups("embedding", ["Ridge", "LogisticRegression", "LogisticRegression (median star)"])
    [('Ridge',), ('LogisticRegression', 'LogisticRegression (median star)')]
    """
    makers = BASELINES if features == "text" else MODELS

    def what_is_fitted(name: str) -> str:
        model = makers[name]()
        return repr(model.classifier) if isinstance(model, ExpectedStarRegressor) else name

    order = {what_is_fitted(name): None for name in models}
    by_fit = sorted(models, key=lambda name: list(order).index(what_is_fitted(name)))
    return [tuple(names) for _, names in groupby(by_fit, key=what_is_fitted)]


def seconds(tasks: Sequence[Task]) -> float:
    """Return about how many seconds tasks take on the cores that there are."""
    return sum(task.cost for task in tasks) / n_cores()


def run_tasks(origin: Origin, tasks: Sequence[Task], desc: str) -> list[Result]:
    """Run the tasks that are not done yet, on all cores or as many as LOKY_MAX_CPU_COUNT says; return all results.

    The numbers do not depend on how many workers there are: each computes on one thread.

    Raises
    ------
    PipelineError
        If the features of a task cannot be made.
    """
    todo = sorted((task for task in tasks if not origin.path(task).exists()), key=lambda task: -task.cost)
    with progress_bar(seconds(tasks), desc, "s", seconds=seconds(tasks)) as bar:
        bar.skip(seconds(tasks) - seconds(todo))
        for task in in_parallel(partial(_run_task, origin), todo):
            bar.update(seconds([task]))
    return [_read(origin, task) for task in tasks]


def _run_task(origin: Origin, task: Task) -> Task:
    with origin.here(), one_thread():
        material = load_material(origin.dataset, origin.root, origin.made_from)
        stars = material.stars[material.is_train]
        rows: npt.NDArray[np.intp] = draw(stars, task.n_train, task.repeat, origin.seed)
        try:
            train, test = material.columns(task.features, rows)
        except ValueError as error:
            raise PipelineError(f"{task.features}, {task.n_train} training reviews: {first_line(error)}") from None
        results = list(fit_models(task.features, list(task.models), (train, stars[rows]), test))
    fitted = [result for result in results if isinstance(result, Fitted)]
    table = pd.DataFrame({each.model: each.predictions for each in fitted}, dtype=np.float32)
    table.attrs = {
        "figures": {each.model: [getattr(each, name) for name in _FIGURES] for each in fitted},
        "refused": {
            name: str(each) for name, each in zip(task.models, results, strict=True) if isinstance(each, PipelineError)
        },
    }
    write_parquet(origin.path(task), table)
    return task


def _read(origin: Origin, task: Task) -> Result:
    table = read_parquet(origin.path(task), made_by="score or curves")
    figures = pd.DataFrame.from_dict(table.attrs["figures"], orient="index", columns=list(_FIGURES))
    return Result(task, table, figures, table.attrs["refused"])


@lru_cache(maxsize=1)
def load_material(dataset: str, root: Path, made_from: str) -> Material:
    """Return the material of a dataset, once per process for the directory and the digest that it is made from.

    Raises
    ------
    PipelineError
        If the features stage has not made what conf/score.yaml names.
    """
    paths, configs, config = DatasetPaths(dataset), feature_configs(), score_config()
    reviews = read_parquet(paths.reviews, made_by="prepare")
    used = sorted({part for parts in config.feature_sets.values() for part in parts})
    tables = {part: read_parquet(paths.feature(part), made_by="features") for part in used}
    made = {part: make_transformer(part, configs[part]) for part in used}
    makers = {part: _maker(part) for part in used if learns(made[part])}
    directory = paths.tokens / str(read_manifest(paths.features).get("tokens"))
    return Material(
        reviews["text"].to_numpy(dtype=object),
        reviews["stars"].to_numpy(),
        (reviews["split"] == "train").to_numpy(),
        config.feature_sets,
        {part: table.drop(columns="review_id").to_numpy() for part, table in tables.items()},
        makers,
        {part: token_record(made[part], directory) for part in makers if pools_tokens(made[part])},
    )


def _maker(part: str) -> Callable[[], Any]:
    return lambda: make_transformer(part, feature_configs()[part])


def origin_of(dataset: str) -> Origin:
    """Return what the results of a dataset are made from, after checking that the features are those of the reviews.

    Raises
    ------
    PipelineError
        If conf/score.yaml names something unknown, or a feature is missing or of other reviews or settings.
    """
    paths, config = DatasetPaths(dataset), score_config()
    where = str(CONF / "score.yaml")
    check_names(config.models, list(MODELS), "model", where)
    if config.ablations:
        check_names(config.ablations.models, list(MODELS), "model", where)
        check_names(config.ablations.feature_sets, list(config.feature_sets), "feature set", where)
    check_names(config.baselines, list(BASELINES), "baseline", where)
    if RAW_TEXT in config.feature_sets:
        raise PipelineError(f"{where}: the name {RAW_TEXT!r} is taken by the baselines: call the feature set otherwise")
    used = sorted({part for parts in config.feature_sets.values() for part in parts})
    configs = feature_configs()
    check_names(used, list(configs), "feature", where)
    read_parquet(paths.reviews, made_by="prepare")
    made_from = digests(configs, paths.reviews)
    for part in used:
        read_parquet(paths.feature(part), made_by="features")
        if read_made_from(paths.feature(part)) != made_from[part]:
            raise PipelineError(f"{paths.feature(part)} is of other reviews or settings: run the features stage again")
    sets = {name: [made_from[part] for part in parts] for name, parts in config.feature_sets.items()}
    return make_origin(dataset, config.seed, sets)
