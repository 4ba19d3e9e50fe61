"""Lines fitted once more: to keep their estimators, and to predict what the score stage has not."""

from collections.abc import Iterable, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import FeatureUnion, Pipeline

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.columns import fit_transform
from pipeline.experiment.fitting import one_thread, quiet
from pipeline.experiment.line import Line
from pipeline.experiment.models import make_model
from pipeline.experiment.pieces import RunContext
from pipeline.experiment.transformers import without_warning_of_sentiment
from pipeline.features import transform_together

Array = npt.NDArray[np.float64]


def refit(context: RunContext, line: Line) -> tuple[Line, Any]:
    """Return a line with its estimator, fitted on all training reviews; the numbers are those of its piece.

    What a piece leaves holds predictions alone: a fitted neighbours model, say, carries all of its training reviews.

    Raises
    ------
    PipelineError
        If the model refuses the data.
    """
    with chdir(context.root):
        material = context.material()
        X, _ = material.columns(line.features, np.arange(material.n_train))
        return line, _fit(line, X, material.stars[material.is_train])


def _fit(line: Line, X: Any, stars: npt.ArrayLike) -> Any:
    try:
        with one_thread(), quiet():
            return make_model(line).fit(X, stars)
    except ValueError as error:
        raise PipelineError(f"{line.model} on {line.features}: {first_line(error)}") from None


@dataclass(frozen=True)
class Reader:
    """Fitted lines and what they stand on, to predict any texts.

    Attributes
    ----------
    parts : mapping of str to list of str
        The features that each feature set is made of.
    transformers : mapping of str to fitted transformer
        By feature.
    estimators : mapping of Line to fitted estimator
    """

    parts: Mapping[str, list[str]]
    transformers: Mapping[str, Any]
    estimators: Mapping[Line, Any]

    def predict(self, columns: Mapping[str, npt.NDArray[Any]]) -> dict[Line, Array]:
        """Return the predictions of each line from the columns of each feature, of shape (n_reviews, n_columns)."""
        return {
            line: np.asarray(estimator.predict(_side_by_side(self.parts[line.features], columns)), dtype=np.float64)
            for line, estimator in self.estimators.items()
        }

    def predict_texts(self, texts: list[str]) -> dict[Line, Array]:
        """Return the predictions of each line from raw texts, by one forward pass for all features."""
        with without_warning_of_sentiment():
            columns = transform_together(self.transformers, texts)
        return self.predict(columns)


def _side_by_side(parts: list[str], columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.hstack([columns[part] for part in parts])


def predict_trained_on(
    elsewhere: pd.DataFrame,
    held_out: pd.DataFrame,
    lines: Iterable[Line],
    parts: Mapping[str, list[str]],
    transformers: Mapping[str, Any],
) -> dict[Line, Array]:
    """Fit on another data set, predict these reviews.

    Parameters
    ----------
    elsewhere, held_out : DataFrame with columns review_id, text, stars
        What all is fitted on, and what is predicted.
    lines : iterable of Line
    parts : mapping of str to list of str
        The features that each feature set is made of.
    transformers : mapping of str to transformer
        The features, unfitted.
    """
    reviews = pd.concat([elsewhere.assign(split="train"), held_out.assign(split="test")], ignore_index=True)
    is_train = (reviews["split"] == "train").to_numpy()
    with TemporaryDirectory() as directory:
        tables, _ = fit_transform(transformers, reviews, Path(directory, "shards"), Path(directory, "tokens"))
    columns = {part: table.drop(columns="review_id").to_numpy() for part, table in tables.items()}
    training = {part: table[is_train] for part, table in columns.items()}
    estimators = {line: _fit(line, _side_by_side(parts[line.features], training), elsewhere["stars"]) for line in lines}
    return Reader(parts, {}, estimators).predict({part: table[~is_train] for part, table in columns.items()})


def from_raw_text(estimator: Any, parts: list[str] | None, transformers: Mapping[str, Any]) -> Any:
    """Return a fitted model as one pipeline that predicts from raw texts; without parts it reads them itself."""
    if parts is None:
        return estimator
    union = FeatureUnion([(part, transformers[part]) for part in parts])
    return Pipeline([("features", union), ("model", estimator)])
