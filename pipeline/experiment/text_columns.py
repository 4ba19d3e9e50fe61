"""Columns of many reviews that need no encoder, on all cores."""

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.experiment.engine import in_parallel
from pipeline.experiment.fitting import one_thread
from pipeline.experiment.transformers import learns, naming_conf, without_warning_of_sentiment
from pipeline.progress import progress_bar

_AT_ONCE = 5_000  # reviews for which a worker is asked, of a transformer that learns nothing

Mask = npt.NDArray[np.bool_]


class TextColumns(NamedTuple):
    """A fitted transformer, its columns of all reviews, and the seconds that the training reviews took."""

    transformer: Any
    columns: npt.NDArray[Any]
    seconds: float


class _Job(NamedTuple):
    """A transformer and the reviews that it learns from and transforms, from `start` on among all."""

    name: str
    start: int
    transformer: Any
    texts: list[str]
    stars: npt.NDArray[Any]
    is_train: Mask


def text_columns(
    transformers: Mapping[str, Any], texts: npt.NDArray[np.object_], stars: npt.NDArray[Any], is_train: Mask
) -> dict[str, TextColumns]:
    """Fit transformers of texts on the training reviews, and transform all reviews.

    The numbers do not depend on how many workers there are: what learns does so in one of them, and what learns nothing
    takes some reviews at a time.

    Parameters
    ----------
    transformers : mapping of str to transformer
        By feature.
    texts, stars, is_train : ndarray of shape (n_reviews,)

    Returns
    -------
    dict of str to TextColumns
        The training reviews have what `fit_transform` gives them, the others what `transform` does.
    """
    n = len(texts)
    jobs = [
        _Job(name, start, each, texts[start : start + size].tolist(), *(stars[start:][:size], is_train[start:][:size]))
        for name, each in transformers.items()
        for size in [n if learns(each) else _AT_ONCE]
        for start in range(0, n, size)
    ]
    # What learns takes longest.
    jobs.sort(key=lambda job: -len(job.texts))
    parts: dict[str, dict[int, TextColumns]] = defaultdict(dict)
    with progress_bar(n * len(transformers), "text statistics", "review") as bar:
        for name, start, made in in_parallel(_run, jobs):
            parts[name][start] = made
            bar.update(len(made.columns))
    return {name: _together([made for _, made in sorted(parts[name].items())]) for name in transformers}


def _run(job: _Job) -> tuple[str, int, TextColumns]:
    started = time.perf_counter()
    with naming_conf(job.name), one_thread(), without_warning_of_sentiment():
        if learns(job.transformer):
            columns, seconds = _learned(job, started)
        else:
            columns = np.asarray(job.transformer.fit(job.texts, job.stars).transform(job.texts))
            seconds = (time.perf_counter() - started) * float(job.is_train.mean())
    return job.name, job.start, TextColumns(job.transformer, columns, seconds)


def _learned(job: _Job, started: float) -> tuple[npt.NDArray[Any], float]:
    train, test = np.flatnonzero(job.is_train).tolist(), np.flatnonzero(~job.is_train).tolist()
    of_train = np.asarray(job.transformer.fit_transform([job.texts[i] for i in train], job.stars[train]))
    seconds = time.perf_counter() - started
    columns = np.empty((len(job.texts), of_train.shape[1]), dtype=of_train.dtype)
    columns[train] = of_train
    for some in (test[start : start + _AT_ONCE] for start in range(0, len(test), _AT_ONCE)):
        columns[some] = job.transformer.transform([job.texts[i] for i in some])
    return columns, seconds


def _together(parts: list[TextColumns]) -> TextColumns:
    columns = np.concatenate([part.columns for part in parts])
    return TextColumns(parts[0].transformer, columns, sum(part.seconds for part in parts))
