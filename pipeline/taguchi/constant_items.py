"""Items that are constant in a unit space: they have no weight there, and a row that differs in one is not ordinary."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pipeline.taguchi.base import AnyArray, Array, Indices, Mask

_MOST_NAMES = 5


class ConstantItems(NamedTuple):
    """The constant items of a unit space.

    Parameters
    ----------
    items : ndarray of int of shape (n_constant_items,)
        Their columns.
    value : ndarray of shape (n_constant_items,)
        Their mean in the unit space.
    reach : ndarray of shape (n_constant_items,)
        The largest deviation from it there: what is called constant may vary by rounding.
    eps : float
        Rounding of the floating point numbers there.
    """

    items: Indices
    value: Array
    reach: Array
    eps: float

    def differs(self, X: AnyArray) -> Mask:
        """Return where rows differ from the unit space beyond rounding, of shape (n_rows, n_constant_items)."""
        eps = max(self.eps, float(np.finfo(X.dtype).eps))
        return np.abs(X[:, self.items] - self.value) > self.reach + 4 * eps * np.abs(self.value)


def find_constant(X: AnyArray, constant: Mask, center: Array) -> ConstantItems:
    """Return the constant items of a unit space, from its rows."""
    items, value = np.flatnonzero(constant), center[constant]
    reach = np.abs(X[:, items] - value).max(axis=0)
    return ConstantItems(items, value, reach, float(np.finfo(X.dtype).eps))


def item_name(estimator: Any, item: int) -> str:
    """Return the name of an item, or what scikit-learn calls it where the items have none."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"x{item}" if names is None else str(names[item])


def distinct(names: Iterable[Any]) -> list[str]:
    """Return the names of items; where two share one, with the number of the column.

    Examples
    --------
    >>> distinct(["a", "b"]), distinct(["a", "a"])
    (['a', 'b'], ['a [0]', 'a [1]'])
    """
    names = [str(name) for name in names]
    return names if len(set(names)) == len(names) else [f"{name} [{i}]" for i, name in enumerate(names)]


def describe(differs: Mask, names: list[str]) -> str:
    """Return how many rows differ in which constant items."""
    found = listed([names[item] for item in np.flatnonzero(differs.any(axis=0))])
    return f"{differs.any(axis=1).sum()} of {len(differs)} rows differ in what is constant in the unit space ({found})"


def listed(names: list[str]) -> str:
    """Return the first five names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
