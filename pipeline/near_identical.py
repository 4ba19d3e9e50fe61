"""Which texts are nearly the same: an exact join on the Jaccard similarity of their word triples."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

from pipeline.text import words

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

    candidates = coo_array(prefixes @ prefixes.T)
    first, second = candidates.coords[0], candidates.coords[1]
    upper = first < second
    first, second = first[upper], second[upper]
    same = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        block = slice(start, start + _PAIRS_AT_ONCE)
        shared = np.asarray(sets[first[block]].multiply(sets[second[block]]).sum(axis=1)).ravel()
        same[block] = shared >= threshold * (sizes[first[block]] + sizes[second[block]] - shared) - 1e-9
    links = coo_array((np.ones(same.sum()), (first[same], second[same])), (len(texts), len(texts)))
    return connected_components(links, directed=False)[1]


def _triples(text: str) -> list[str]:
    tokens = [token.casefold() for token in words(text)] or [text]
    return [" ".join(tokens[i : i + 3]) for i in range(max(1, len(tokens) - 2))]
