"""Lines fitted anew, to predict what the score stage has not: changed texts, and reviews from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import featurize
from pipeline.config import RobustnessConfig
from pipeline.errors import PipelineError
from pipeline.features import transform_together
from pipeline.fitting import one_thread, quiet
from pipeline.metrics import qwk_difference
from pipeline.models import MODELS
from pipeline.slices import Array, Line, measured
from pipeline.store import first_line

CHANGE_COLUMNS = ["side", "features", "model", "change", "n_reviews", "qwk", "qwk_low", "qwk_high"]
CHANGE_COLUMNS += ["difference", "low", "high"]
TRANSFER_COLUMNS = ["side", "features", "model", "trained_on", "tested_on", "n_reviews", "qwk", "qwk_low", "qwk_high"]

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Refitted:
    """Fitted lines and what they stand on.

    Attributes
    ----------
    parts : mapping of str to list of str
        The features that each feature set is made of.
    transformers : mapping of str to fitted transformer
        By feature.
    estimators : mapping of (features, model) to fitted estimator
    """

    parts: Mapping[str, list[str]]
    transformers: Mapping[str, Any]
    estimators: Mapping[Line, Any]

    def predict(self, columns: Columns) -> dict[Line, Array]:
        """Return each line's predictions from the columns of each feature, of shape (n_reviews, n_columns)."""
        return {
            line: np.asarray(estimator.predict(stacked(self.parts[line[0]], columns)), dtype=np.float64)
            for line, estimator in self.estimators.items()
        }

    def predict_texts(self, texts: list[str]) -> dict[Line, Array]:
        """Return each line's predictions from raw texts, by one forward pass for all features."""
        return self.predict(transform_together(self.transformers, texts))


def stacked(parts: list[str], columns: Columns) -> npt.NDArray[Any]:
    """Return the columns of a feature set side by side."""
    return np.hstack([columns[part] for part in parts])


def refit(
    lines: list[Line],
    parts: Mapping[str, list[str]],
    transformers: Mapping[str, Any],
    columns: Columns,
    stars: npt.ArrayLike,
) -> Refitted:
    """Fit lines on the columns of training reviews.

    Parameters
    ----------
    lines : list of (features, model)
    parts : mapping of str to list of str
        The features that each feature set is made of.
    transformers : mapping of str to fitted transformer
        What has made the columns.
    columns : mapping of str to ndarray of shape (n_reviews, n_columns)
        The columns of each feature.
    stars : array-like of shape (n_reviews,)

    Raises
    ------
    PipelineError
        If a model refuses the data.
    """
    estimators = {}
    for features, model in dict.fromkeys(lines):
        try:
            with one_thread(), quiet():
                estimators[features, model] = MODELS[model]().fit(stacked(parts[features], columns), stars)
        except ValueError as error:
            raise PipelineError(f"{model} on {features}: {first_line(error)}") from None
    return Refitted(parts, transformers, estimators)


def train_elsewhere(
    lines: list[Line],
    parts: Mapping[str, list[str]],
    transformers: dict[str, Any],
    elsewhere: pd.DataFrame,
    held_out: pd.DataFrame,
) -> dict[Line, Array]:
    """Return what lines predict for held-out reviews when all that is fitted is fitted on reviews from elsewhere.

    Parameters
    ----------
    lines, parts
        As in `refit`.
    transformers : dict of str to transformer
        The features, unfitted.
    elsewhere, held_out : DataFrame with columns review_id, text, stars
    """
    both = pd.concat([elsewhere.assign(split="train"), held_out.assign(split="test")], ignore_index=True)
    is_train = (both["split"] == "train").to_numpy()
    with TemporaryDirectory() as directory:
        tables, _ = featurize.fit_transform(transformers, both, Path(directory, "shards"), Path(directory, "tokens"))
    columns = {part: table.drop(columns="review_id").to_numpy() for part, table in tables.items()}
    learned = {part: own[is_train] for part, own in columns.items()}
    refitted = refit(lines, parts, transformers, learned, elsewhere["stars"])
    return refitted.predict({part: own[~is_train] for part, own in columns.items()})


def change_table(
    sides: Mapping[str, Line],
    stars: npt.ArrayLike,
    predictions: Mapping[str, Mapping[Line, Array]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return how each side's line does on changed texts, and how that differs from the texts as they are.

    Parameters
    ----------
    sides : mapping of str to (features, model)
    stars : array-like of shape (n_reviews,)
    predictions : mapping of str to mapping of (features, model) to ndarray of shape (n_reviews,)
        By change; "none" is that of the texts as they are.
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    rows: list[dict[str, Any]] = []
    for side, line in sides.items():
        for change, own in predictions.items():
            paired = qwk_difference(stars, own[line], predictions["none"][line], config.n_resamples, config.seed)
            row: dict[str, Any] = {"side": side, "features": line[0], "model": line[1], "change": change}
            row |= dict(zip(("difference", "low", "high"), paired, strict=True))
            rows.append(row | measured(stars, own[line], config))
    return pd.DataFrame(rows, columns=CHANGE_COLUMNS)


def transfer_table(
    sides: Mapping[str, Line],
    results: Mapping[tuple[str, str], tuple[npt.ArrayLike, Mapping[Line, Array]]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return how each side's line, trained on one dataset, does on another.

    Parameters
    ----------
    sides : mapping of str to (features, model)
    results : mapping of (trained on, tested on) to (stars, predictions by line)
    config : RobustnessConfig
        Uses n_resamples and seed.
    """
    rows = [
        {"side": side, "features": line[0], "model": line[1], "trained_on": trained_on, "tested_on": tested_on}
        | measured(stars, predictions[line], config)
        for side, line in sides.items()
        for (trained_on, tested_on), (stars, predictions) in results.items()
    ]
    return pd.DataFrame(rows, columns=TRANSFER_COLUMNS)
