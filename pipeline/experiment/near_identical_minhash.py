"""Which texts are nearly the same, where there are too many for one machine: MinHash, then the exact join."""

from functools import partial

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

from pipeline.experiment.engine import in_parallel
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.progress import progress_bar
from pipeline.text import normalised, words

# Missing a pair is worse than looking at one more: so the bands are many and short.
_N_HASHES, _WEIGHTS = 192, (0.001, 0.999)
# For a larger threshold than this there is no cut.
_LARGEST = 0.95
_TEXTS_OF_A_BLOCK = 5000


def near_identical_groups_by_minhash(texts: list[str], threshold: float) -> npt.NDArray[np.int32]:
    r"""Return a number for each text such that nearly identical ones share a number, but for a few that are missed.

    The smallest hashes of a text's word triples are cut into b bands of r [1]_. Only texts that share a band with
    another one go into the exact join, see `near_identical_groups`. A pair of similarity s shares none with
    probability :math:`(1 - s^r)^b`: 0.0005 at s = 0.5 and 0.000001 at 0.6, where the two have no other text like them.

    The bands are made block by block, on all workers; 8 b bytes a text come back.

    Parameters
    ----------
    texts : list of str
    threshold : float
        Above 0, at most 1.

    Returns
    -------
    ndarray of shape (n_texts,), int32

    References
    ----------
    .. [1] A. Z. Broder, "On the resemblance and containment of documents", SEQUENCES 1997; J. Leskovec, A. Rajaraman,
       J. D. Ullman, "Mining of Massive Datasets", chapter 3.

    Examples
    --------
    >>> groups = near_identical_groups_by_minhash(["We waited an hour.", "we waited an hour!!", "Lovely staff."], 0.5)
    >>> groups.tolist()
    [0, 0, 1]
    """
    starts = range(0, len(texts), _TEXTS_OF_A_BLOCK)
    blocks = [(start, texts[start : start + _TEXTS_OF_A_BLOCK]) for start in starts]
    with progress_bar(len(blocks), "compare texts", "block") as bar:
        bands = {}
        for start, made in in_parallel(partial(_bands_of_block, threshold), blocks):
            bands[start] = made
            bar.update()
    likely = np.flatnonzero(_shares_a_band(np.concatenate([bands[start] for start in starts])))
    groups = np.arange(len(texts))
    if len(likely):
        joined = near_identical_groups([texts[i] for i in likely], threshold)
        groups[likely] = likely[np.unique(joined, return_index=True)[1]][joined]
    return np.unique(groups, return_inverse=True)[1].astype(np.int32)


def _shares_a_band(bands: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which texts share a band with another one."""
    shares = np.zeros(len(bands), dtype=bool)
    for band in bands.T:
        _, which, counts = np.unique(band, return_inverse=True, return_counts=True)
        shares |= counts[which] > 1
    return shares


def _bands_of_block(threshold: float, block: tuple[int, list[str]]) -> tuple[int, npt.NDArray[np.uint64]]:
    """Return where a block starts, and the bands of its texts, of shape (n_texts, n_bands), each as one number."""
    start, texts = block
    cut = MinHashLSH(min(threshold, _LARGEST), _N_HASHES, weights=_WEIGHTS)
    hashed = MinHash.generator(map(_triples, texts), num_perm=_N_HASHES)
    hashes = np.array([each.hashvalues[: cut.b * cut.r] for each in hashed], dtype=np.uint64)
    # Equal hashes make equal numbers; others do so by accident, with a probability of about 2 to the power of -64.
    factors = np.random.default_rng(0).integers(2**64, size=cut.r, dtype=np.uint64) | np.uint64(1)
    return start, (hashes.reshape(len(texts), cut.b, cut.r) * factors).sum(axis=2, dtype=np.uint64)


def _triples(text: str) -> list[bytes]:
    tokens = [token.casefold() for token in words(text)] or [" ".join(normalised(text).split())]
    triples = (" ".join(tokens[i : i + 3]) for i in range(max(1, len(tokens) - 2)))
    # A surrogate that stands alone has no other bytes.
    return [triple.encode("utf-8", "surrogatepass") for triple in triples]
