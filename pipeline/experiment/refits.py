"""Lines fitted once more: to keep their estimators, and to predict what the score stage has not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.experiment import transformers as featurize
from pipeline.experiment.fitting import one_thread, quiet
from pipeline.experiment.models import MODELS
from pipeline.experiment.robustness import Array, Line
from pipeline.features import transform_together

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
