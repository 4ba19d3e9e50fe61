"""Which texts are nearly the same: an exact join on the Jaccard similarity of their word triples."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

from pipeline.progress import progress_bar
from pipeline.text import normalised, words

_PAIRS_AT_ONCE = 50_000


def near_identical_groups(texts: list[str], threshold: float) -> npt.NDArray[np.int32]:
    r"""Return a number for each text such that nearly identical ones share a number.

    Two texts are nearly identical if the Jaccard similarity of their sets of three successive words reaches
    `threshold`; groups are the connected components. No pair is missed: texts with similarity t or more must share
    one of their :math:`\lfloor (1 - t) n \rfloor + 1` rarest triples [1]_, so that only those pairs are compared.

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

    Examples
    --------
    >>> near_identical_groups(["We waited an hour.", "we waited an hour!!", "Lovely staff."], 0.5).tolist()
    [0, 0, 1]
    """
    sets = csr_array(CountVectorizer(analyzer=_triples, binary=True, dtype=np.int32).fit_transform(texts))
    sizes = np.diff(sets.indptr)
    rare_first = np.argsort(np.argsort(np.asarray(sets.sum(axis=0)).ravel(), kind="stable"))
    row = np.repeat(np.arange(len(texts)), sizes)
    order = np.lexsort((rare_first[sets.indices], row))
    position = np.arange(len(row)) - sets.indptr[row]
    kept = position < sizes[row] - np.ceil(threshold * sizes[row] - 1e-9) + 1
    prefixes = csr_array((np.ones(kept.sum(), dtype=np.int32), (row[kept], sets.indices[order][kept])), sets.shape)

    groups = np.arange(len(texts), dtype=np.int32)
    block_size = max(64, len(texts) // 256)
    with progress_bar(len(texts), "compare texts", "review") as bar:
        for start in range(0, len(texts), block_size):
            block = coo_array(prefixes[start : start + block_size] @ prefixes.T)
            first, second = block.coords[0] + start, block.coords[1]
            # Only what is not one group yet is worth a comparison.
            new = (first < second) & (groups[first] != groups[second])
            first, second = first[new], second[new]
            same = _similar(sets, sizes, first, second, threshold)
            if same.any():
                links = np.concatenate([first[same], np.arange(len(texts))]), np.concatenate([second[same], groups])
                graph = coo_array((np.ones(len(links[0])), links), (len(texts), len(texts)))
                labels = connected_components(graph, directed=False)[1]
                # Each group is named by its first member, so that it is a star of links to it.
                groups = np.unique(labels, return_index=True)[1].astype(np.int32)[labels]
            bar.update(min(block_size, len(texts) - start))
    return np.unique(groups, return_inverse=True)[1].astype(np.int32)


def _similar(
    sets: csr_array, sizes: npt.NDArray[Any], first: npt.NDArray[Any], second: npt.NDArray[Any], threshold: float
) -> npt.NDArray[np.bool_]:
    """Tell which pairs of rows reach the similarity."""
    same = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        i, j = first[start : start + _PAIRS_AT_ONCE], second[start : start + _PAIRS_AT_ONCE]
        shared = np.asarray(sets[i].multiply(sets[j]).sum(axis=1)).ravel()
        same[start : start + _PAIRS_AT_ONCE] = shared >= threshold * (sizes[i] + sizes[j] - shared) - 1e-9
    return same


def _triples(text: str) -> list[str]:
    tokens = [token.casefold() for token in words(text)] or [" ".join(normalised(text).split())]
    return [" ".join(tokens[i : i + 3]) for i in range(max(1, len(tokens) - 2))]
