"""Which items texts have: a dict of items, counted in one pass."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Sized
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array


class Lookup(NamedTuple):
    """Items, one a line in ascending order, and the place of each."""

    items: str
    places: Mapping[str, int]


def make_lookup(items: str) -> Lookup:
    """Return what finds items in texts."""
    return Lookup(items, {item: place for place, item in enumerate(items.split("\n"))} if items else {})


def presence(rows: Iterable[list[str]], places: Mapping[str, int]) -> csr_array:
    """Return 1 where a row has an item, else 0; items without a place count for nothing.

    Examples
    --------
    >>> presence([["good", "wine", "good"], ["beer"]], {"good": 0, "wine": 1}).toarray().tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    found = [[place for place in map(places.get, row) if place is not None] for row in rows]
    return _matrix(found, len(places))


def learn_items(rows: Iterable[list[str]]) -> tuple[list[str], csr_array]:
    """Return all items of rows, in the order in which they first occur, and which row has which.

    Examples
    --------
    >>> items, X = learn_items([["good", "wine"], ["good", "beer"]])
    >>> items, X.toarray().tolist()
    (['good', 'wine', 'beer'], [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    places: defaultdict[str, int] = defaultdict()
    places.default_factory = places.__len__
    found = [[places[item] for item in row] for row in rows]
    return list(places), _matrix(found, len(places))


def merged(X: csr_array, parts: Sequence[Sized]) -> csr_array:
    """Return which text has which item, from which of its parts has which.

    Examples
    --------
    >>> merged(csr_array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), ["ab", "c"]).toarray().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    bounds = X.indptr[np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])]
    return _ones(X.indices.copy(), bounds, X.shape[1])


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


def _matrix(found: list[list[int]], n_items: int) -> csr_array:
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in found], dtype=np.int64)])
    return _ones(np.fromiter(chain.from_iterable(found), dtype=np.int32, count=int(bounds[-1])), bounds, n_items)


def _ones(places: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64], n_items: int) -> csr_array:
    X = csr_array((np.ones(len(places)), places, bounds), shape=(len(bounds) - 1, n_items))
    X.sum_duplicates()
    X.data[:] = 1
    return X
