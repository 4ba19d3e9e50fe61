"""Which items texts have: a dict of items, counted in one pass."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Counts = npt.NDArray[np.int64]
# The items of each part of a text that has a row: the text itself, or its sentences.
Parts = list[list[str]]


class Lookup(NamedTuple):
    """Items, one a line in ascending order, and the place of each."""

    items: str
    places: Mapping[str, int]


def make_lookup(items: str) -> Lookup:
    """Return what finds items in texts."""
    return Lookup(items, {item: place for place, item in enumerate(items.split("\n"))} if items else {})


class Presence(NamedTuple):
    """Which item which part of texts has.

    Parameters
    ----------
    of_parts : sparse array of shape (n_parts, n_items)
        1 where a part has the item, else 0.
    n_parts : ndarray of shape (n_texts,)
        How many of the rows are parts of each text.
    """

    of_parts: csr_array
    n_parts: Counts

    def of_texts(self) -> csr_array:
        """Return 1 where a text has the item in any of its parts, else 0.

        Examples
        --------
        >>> found = presence([[["good"], ["good", "wine"]], [["wine"]]], {"good": 0, "wine": 1})
        >>> found.of_parts.toarray().tolist(), found.of_texts().toarray().tolist()
        ([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]])
        """
        X = self.of_parts
        return _ones(X.indices.copy(), X.indptr[np.concatenate([[0], np.cumsum(self.n_parts)])], X.shape[1])


def presence(texts: Iterable[Parts], places: Mapping[str, int]) -> Presence:
    """Return which part of texts has which item; items without a place count for nothing."""
    return _presence(texts, lambda part: [place for place in map(places.get, part) if place is not None], places)


def learn_items(texts: Iterable[Parts]) -> tuple[list[str], Presence]:
    """Return all items of texts, in the order in which they first occur, and which part has which.

    Examples
    --------
    >>> items, found = learn_items([[["good", "wine"]], [["good", "beer"]]])
    >>> items, found.of_parts.toarray().tolist()
    (['good', 'wine', 'beer'], [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    places: defaultdict[str, int] = defaultdict()
    places.default_factory = places.__len__
    found = _presence(texts, lambda part: [places[item] for item in part], places)
    return list(places), found


def with_columns(X: csr_array, items: list[str], places: Mapping[str, int]) -> csr_array:
    """Return the matrix of `items` with the columns of other items; those without a place are left out.

    Examples
    --------
    >>> with_columns(csr_array([[1.0, 0.0], [1.0, 1.0]]), ["wine", "good"], {"good": 0}).toarray().tolist()
    [[0.0], [1.0]]
    """
    moved = np.array([places.get(item, -1) for item in items], dtype=np.int32)[X.indices]
    kept = moved >= 0
    bounds = np.concatenate([[0], np.cumsum(kept)])[X.indptr]
    return csr_array((X.data[kept], moved[kept], bounds), shape=(X.shape[0], len(places)))


def _presence(texts: Iterable[Parts], find: Callable[[list[str]], list[int]], places: Mapping[str, int]) -> Presence:
    # A text's items are gone when the next one is read: those of all texts would fill the memory.
    found, ends, n_parts = array("i"), array("q", [0]), array("q")
    for parts in texts:
        n_parts.append(len(parts))
        for part in parts:
            found.extend(find(part))
            ends.append(len(found))
    X = _ones(np.array(found, dtype=np.int32), np.array(ends, dtype=np.int64), len(places))
    return Presence(X, np.array(n_parts, dtype=np.int64))


def _ones(places: npt.NDArray[np.int32], bounds: Counts, n_items: int) -> csr_array:
    # In 32 bits: it is half of the memory that a million reviews take.
    X = csr_array((np.ones(len(places), dtype=np.float32), places, bounds), shape=(len(bounds) - 1, n_items))
    X.sum_duplicates()
    X.data[:] = 1
    return X
