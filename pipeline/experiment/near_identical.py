"""Which texts are nearly the same: an exact join on the Jaccard similarity of their word triples."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from pipeline.experiment.word_triples import TripleSets, distinct, triple_sets
from pipeline.progress import progress_bar

# What bounds the memory: triples looked up, pairs with a triple in common, and pairs compared.
_TRIPLES_AT_ONCE, _MEETINGS_AT_ONCE, _PAIRS_AT_ONCE = 1_000_000, 2_000_000, 50_000

_Numbers = npt.NDArray[np.int64]


def near_identical_groups(texts: list[str], threshold: float) -> npt.NDArray[np.int32]:
    r"""Return a number for each text such that nearly identical ones share a number.

    Two texts are nearly identical if the Jaccard similarity of their sets of three successive words reaches
    `threshold`; groups are the connected components. No pair is missed: sets of :math:`a \ge b` triples with
    similarity t or more share :math:`\frac{t}{1+t}(a + b)` of them, so that :math:`b \ge t a`, and the rarest triple
    that they share has so many behind it in both sets, the rare ones first. Only pairs for which that can be are
    compared [1]_ [2]_.

    Parameters
    ----------
    texts : list of str
        The texts.
    threshold : float
        Above 0, at most 1.

    Returns
    -------
    ndarray of shape (n_texts,), int32

    References
    ----------
    .. [1] R. J. Bayardo, Y. Ma, R. Srikant, "Scaling up all pairs similarity search", WWW 2007.
    .. [2] C. Xiao, W. Wang, X. Lin, J. X. Yu, "Efficient similarity joins for near duplicate detection", WWW 2008.

    Examples
    --------
    >>> near_identical_groups(["We waited an hour.", "we waited an hour!!", "Lovely staff."], 0.5).tolist()
    [0, 0, 1]
    """
    sets = triple_sets(texts)
    first_equal = _equal_sets(sets)
    rows = np.flatnonzero(first_equal == np.arange(len(texts)))
    # The smaller sets first: those of similar size stand side by side.
    rows = rows[np.argsort(sets.sizes[rows], kind="stable")]
    sizes, has = sets.sizes[rows], _as_matrix(sets)[rows]
    groups = np.arange(len(rows))
    for meeting in _meetings(has, sizes, threshold):
        # Only what is not one group yet is worth a comparison.
        first, second = np.divmod(distinct(meeting), len(rows))
        new = groups[first] != groups[second]
        first, second = first[new], second[new]
        same = _similar(has, sizes, first, second, threshold)
        groups = _joined(groups, first[same], second[same])
    place = np.empty(len(texts), dtype=np.int64)
    place[rows] = groups
    return pd.factorize(place[first_equal])[0].astype(np.int32)


def _equal_sets(sets: TripleSets) -> _Numbers:
    """Return for each text the first one that has its triples."""
    first: dict[bytes, int] = {}
    same = np.arange(len(sets.sizes))
    # What has a triple alone has no equal.
    for i in np.flatnonzero(np.diff(sets.indptr) == sets.sizes).tolist():
        same[i] = first.setdefault(sets.triples[sets.indptr[i] : sets.indptr[i + 1]].tobytes(), i)
    return same


def _as_matrix(sets: TripleSets) -> csr_array:
    shape = len(sets.sizes), int(sets.triples.max(initial=0)) + 1
    return csr_array((np.ones(len(sets.triples), dtype=np.int8), sets.triples, sets.indptr), shape)


def _at_least(share: float, of: npt.NDArray[Any]) -> _Numbers:
    """Return the smallest whole number that reaches a share, up to rounding."""
    return np.ceil(share * of - 1e-9).astype(np.int64)


def _meetings(has: csr_array, sizes: _Numbers, threshold: float) -> Iterator[_Numbers]:
    """Yield the pairs of sets that may be similar, as ``first * n_sets + second``, some of them several times.

    Parameters
    ----------
    has : sparse array of shape (n_sets, n_triples)
        1 where a set has a triple, rare ones first.
    sizes : ndarray of shape (n_sets,)
        Ascending.
    threshold : float
    """
    n, of_both = len(sizes), threshold / (1 + threshold)
    row = np.repeat(np.arange(n), np.diff(has.indptr))
    # So many triples of a set come from here on.
    left = has.indptr[row + 1] - np.arange(len(row))
    indexed = np.flatnonzero(left >= _at_least(2 * of_both, sizes)[row])
    keys = has.indices[indexed] * np.int64(n) + row[indexed]
    order = np.argsort(keys)
    keys, indexed = keys[order], indexed[order]
    smallest = np.searchsorted(sizes, _at_least(threshold, sizes))

    probes = np.flatnonzero(left >= _at_least(threshold, sizes)[row])
    before = np.where(np.arange(len(row)) > has.indptr[row], np.roll(has.indices, 1), -1)
    with progress_bar(len(probes), "compare texts", "triple") as bar:
        for start in range(0, len(probes), _TRIPLES_AT_ONCE):
            some = probes[start : start + _TRIPLES_AT_ONCE]
            # What is looked up in ascending order is found several times as fast.
            some = some[np.argsort(has.indices[some], kind="stable")]
            of_triple = has.indices[some] * np.int64(n)
            low = np.searchsorted(keys, of_triple + smallest[row[some]])
            n_partners = np.searchsorted(keys, of_triple + row[some]) - low
            for block in _blocks(n_partners, _MEETINGS_AT_ONCE):
                counts = n_partners[block]
                one = np.repeat(some[block], counts)
                step = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
                other = indexed[np.repeat(low[block], counts) + step]
                enough = np.minimum(left[one], left[other]) >= _at_least(of_both, sizes[row[one]] + sizes[row[other]])
                one, other = one[enough], other[enough]
                # Where the triples before are the same, too, the pair has met there.
                met = (before[one] >= 0) & (before[one] == before[other])
                yield row[one[~met]] * n + row[other[~met]]
            bar.update(len(some))


def _blocks(counts: _Numbers, at_once: int) -> Iterator[slice]:
    """Yield slices that hold about so many each, at least one item."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        held = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, held + at_once, side="right")))
        yield slice(start, stop)
        start = stop


def _similar(
    has: csr_array, sizes: _Numbers, first: _Numbers, second: _Numbers, threshold: float
) -> npt.NDArray[np.bool_]:
    """Tell which pairs of sets reach the similarity."""
    same = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        i, j = first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE]
        shared = np.diff(has[i].multiply(has[j]).tocsr().indptr)
        same[start : start + _PAIRS_AT_ONCE] = shared >= threshold * (sizes[i] + sizes[j] - shared) - 1e-9
    return same


def _joined(groups: _Numbers, first: _Numbers, second: _Numbers) -> _Numbers:
    """Return the groups after linking pairs; each is a star of links to its member with that number."""
    if not len(first):
        return groups
    n = len(groups)
    links = np.concatenate([first, np.arange(n)]), np.concatenate([second, groups])
    labels = connected_components(coo_array((np.ones(len(links[0]), dtype=np.int8), links), (n, n)), directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]
