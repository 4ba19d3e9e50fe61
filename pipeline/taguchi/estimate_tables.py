"""A T-method as tables: its items, and what each adds to predictions."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.taguchi.constant_items import item_name
from pipeline.taguchi.contributions import Contributions


def item_names(estimator: Any) -> list[str]:
    """Return the names of the items that a fitted estimator saw: those of the columns, or x0, x1, ..."""
    return [item_name(estimator, item) for item in range(estimator.n_features_in_)]


def explanation_table(parts: Contributions, names: list[str], X: Any) -> pd.DataFrame:
    """Return contributions as a table with the index of X and the columns base, the items, and rest.

    Parameters
    ----------
    parts : Contributions
    names : list of str
        Of the items. One that is called base or rest gets " (item)" behind its name.
    X : array-like, sparse matrix or DataFrame
        The rows, for their index.
    """
    columns = ["base", *names, "rest"]
    for place in range(1, len(columns) - 1):
        while columns[place] in {"base", "rest"} or columns.count(columns[place]) > 1:
            columns[place] += " (item)"
    values = np.column_stack([parts.base, parts.items, parts.rest])
    return pd.DataFrame(values, index=X.index if isinstance(X, pd.DataFrame) else None, columns=columns)


def items_table(model: Any, selector: Any = None) -> pd.DataFrame:
    """Return the table of `TMethodRegressor.items_table`."""
    columns = {"beta": model.beta_, "eta": model.eta_, "sn_ratio_db": model.sn_ratio_, "weight": model.weight_}
    several = np.ndim(model.beta_) > 1
    names = item_names(model) if selector is None else _names_before(model, selector)
    tables = [
        pd.DataFrame({name: values[target].astype(np.float64) for name, values in columns.items()}, index=names)
        for target in (range(len(model.beta_)) if several else [...])
    ]
    if selector is not None:
        tables = [_with_dropped(table, selector) for table in tables]
    tables = [table.rename_axis(index="item") for table in tables]
    return pd.concat(tables, keys=range(len(tables)), names=["target"]) if several else tables[0]


def _names_before(model: Any, selector: Any) -> list[str]:
    """Return the names of the model's items, as the selector calls them."""
    if not hasattr(selector, "item_gains_"):
        raise ValueError(
            f"items_table needs a fitted selector with item_gains_, such as OrthogonalArraySelector, got {selector!r}: "
            "leave it out, or give that one."
        )
    support = selector.get_support()
    if support.sum() != model.n_features_in_:
        raise ValueError(
            f"The selector keeps {support.sum()} items, but the model was fitted on {model.n_features_in_}: give the "
            "selector that stands before this model."
        )
    kept = [name for name, keeps in zip(item_names(selector), support, strict=True) if keeps]
    learned = getattr(model, "feature_names_in_", None)
    if learned is not None and hasattr(selector, "feature_names_in_") and kept != list(learned):
        these, those = (", ".join(names[:3]) for names in (kept, list(learned)))
        raise ValueError(
            f"The selector keeps {these}, ..., but the model was fitted on {those}, ...: give the selector that stands "
            "before this model."
        )
    return kept


def _with_dropped(table: pd.DataFrame, selector: Any) -> pd.DataFrame:
    """Return one row for each item that the selector saw, with its gain and whether it was kept."""
    table = table.reindex(item_names(selector))
    table["gain_db"], table["kept"] = selector.item_gains_, selector.get_support()
    table.loc[~table["kept"], "weight"] = 0.0
    return table
