"""A prediction from raw text as a table: what each word and each column adds to it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import FeatureUnion, Pipeline

from pipeline.evaluation.ordinal import MedianStarRegressor
from pipeline.scale import Scale
from pipeline.taguchi import Contributions

_COLUMNS = ["feature", "item", "value", "contribution"]


def explain(model: Any, text: str, scale: Scale | None = None) -> pd.DataFrame:
    """Explain the prediction for one text; the contributions sum up to it.

    A column that is a sum over the words of the text is told as these words: each adds its part of the column less an
    n-th of the column's centre, times what the column adds per unit. For that its transformer has a method
    ``column_shares(text)``, which returns the items of the text (list of n_items str), the names of the columns that
    are sums over them (list of n_columns str), and the part of each item in each of these columns (ndarray of shape
    (n_items, n_columns), whose rows sum up to the columns).

    Parameters
    ----------
    model : fitted Pipeline
        A transformer of texts or a `FeatureUnion` of them, perhaps selections of columns, and a model that has
        `contributions`: a T-method, or unit spaces.
    text : str
    scale : Scale, default=None
        Limits of the prediction.

    Returns
    -------
    DataFrame
        Columns `feature`, `item` (a word or a column), `value` (of the column; 1 for a word that is there) and
        `contribution` (in units of the target). The first row is the base, what the model predicts at its centre, the
        same for every text. Items follow, those that add or take away most first. Where there is one, the step from the
        expected to the median star comes next, and at last the cut at the limit.
        None of these has a feature or a value.

    Raises
    ------
    ValueError
        If the model is of another kind, or if the parts of a column do not sum up to it.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from pipeline.features import TextStats
    >>> from pipeline.taguchi import TMethodRegressor
    >>> texts = ["Never again.", "Not good, not bad.", "Good food.", "Great food! Great wine!"]
    >>> model = make_pipeline(TextStats(), TMethodRegressor("all")).fit(texts, [1, 2, 4, 5])
    >>> table = explain(model, "A great day!")
    >>> table["item"].tolist()[:2]
    ['base', 'sentiment_positive']
    >>> round(float(table["contribution"].sum() - model.predict(["A great day!"])[0]), 9)
    0.0
    """
    features, selectors, estimator = _checked_steps(model)
    columns, given = _columns(features, selectors, estimator, text)
    for feature, transformer in features:
        if hasattr(transformer, "column_shares"):
            columns = _with_words(columns, feature, *transformer.column_shares(text))
    columns = columns.sort_values("contribution", key=np.abs, ascending=False, kind="stable")
    rest = [("median star" if isinstance(estimator, MedianStarRegressor) else "limit", float(given.rest[0]))]
    if scale is not None:
        prediction = float(given.total[0])
        rest.append(("limit", float(scale.clip(prediction)) - prediction))
    tables = [only_base(float(given.base[0])), columns[_COLUMNS], *(_without_value(*each) for each in rest if each[1])]
    return pd.concat(tables, ignore_index=True)


def only_base(prediction: float) -> pd.DataFrame:
    """Return the explanation of a prediction in which no item has a part."""
    return _without_value("base", prediction)


def _without_value(item: str, contribution: float) -> pd.DataFrame:
    return pd.DataFrame([("", item, np.nan, contribution)], columns=_COLUMNS)


def _columns(
    features: list[tuple[str, Any]], selectors: list[Any], estimator: Any, text: str
) -> tuple[pd.DataFrame, Contributions]:
    """Return a row for each column that the model reads: what it adds, and its slope."""
    read = np.array([text], dtype=object)
    X = np.hstack([np.asarray(transformer.transform(read)) for _, transformer in features])
    names = [(feature, name) for feature, each in features for name in each.get_feature_names_out()]
    kept = np.arange(X.shape[1])
    for selector in selectors:
        kept = kept[selector.get_support()]
    given: Contributions = estimator.contributions(X[:, kept])
    columns = pd.DataFrame(names, columns=_COLUMNS[:2]).assign(value=X[0].astype(np.float64)).iloc[kept]
    return columns.assign(contribution=given.items[0], slope=given.slopes[0]), given


def _with_words(
    columns: pd.DataFrame, feature: str, items: list[str], names: list[str], shares: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Tell the named columns of a feature as the items that they are sums of; without items they stay as they are."""
    told = (columns["feature"] == feature) & columns["item"].isin(names)
    sums = columns[told]
    parts = pd.DataFrame(shares, columns=names)[sums["item"]]
    if not np.allclose(parts.sum(), sums["value"]):
        wrong = sums["item"][~np.isclose(parts.sum(), sums["value"])].iloc[0]
        raise ValueError(f"The shares of {feature} do not sum up to its column {wrong!r}: mend its column_shares.")
    if not items or sums.empty:
        return columns
    added = parts.to_numpy() @ sums["slope"].to_numpy()
    # The centre of a column, and a limit that it was read within, are those of all its items.
    added += (sums["contribution"].sum() - added.sum()) / len(items)
    words = pd.DataFrame({"feature": feature, "item": items, "value": 1.0, "contribution": added, "slope": 0.0})
    return pd.concat([columns[~told], words], ignore_index=True)


def _steps(model: Pipeline) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline, and in place of a pipeline among them its steps."""
    return [step for each in model.steps for step in (_steps(each[1]) if isinstance(each[1], Pipeline) else [each])]


def _checked_steps(model: Any) -> tuple[list[tuple[str, Any]], list[Any], Any]:
    """Return the transformers of texts with their names, the selectors and the model of a pipeline."""
    steps = _steps(model) if isinstance(model, Pipeline) else []
    if len(steps) < 2:
        raise ValueError(f"explain needs a pipeline from texts to a model, got {type(model).__name__}: give both.")
    (name, first), *between, (_, estimator) = steps
    if not hasattr(estimator, "contributions"):
        raise ValueError(
            f"explain needs a model whose items add up, a T-method or unit spaces, got {type(estimator).__name__}."
        )
    for _, step in between:
        if not isinstance(step, SelectorMixin):
            raise ValueError(
                f"explain needs features, selections of their columns and a model, got {type(step).__name__} between."
            )
    features = first.transformer_list if isinstance(first, FeatureUnion) else [(name, first)]
    return features, [step for _, step in between], estimator
