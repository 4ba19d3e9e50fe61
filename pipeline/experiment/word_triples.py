"""Texts as sets of three successive words, in numbers."""

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.progress import progress_bar
from pipeline.text import normalised, words

# Behind the words of a text that has fewer than three.
_NO_WORD = 0


class TripleSets(NamedTuple):
    """The triples of each text, those that fewer texts have first.

    Attributes
    ----------
    sizes : ndarray of shape (n_texts,), int64
        How many different triples a text has.
    indptr : ndarray of shape (n_texts + 1,), int64
        Where those of each text begin and end in `triples`.
    triples : ndarray, int32
        Numbers, which ascend in each text. A triple that no other text has is left out.
    """

    sizes: npt.NDArray[np.int64]
    indptr: npt.NDArray[np.int64]
    triples: npt.NDArray[np.int32]


class _Numbers(dict[str, int]):
    """The number of each word, from 1 on; words that differ in case alone share one."""

    def __init__(self) -> None:
        super().__init__()
        self.of_folded: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        number = self[word] = self.of_folded.setdefault(word.casefold(), len(self.of_folded) + 1)
        return number


def triple_sets(texts: Sequence[str]) -> TripleSets:
    """Return the sets of three successive words of texts.

    A text of one or two words has them as its single triple, a text without any its characters.

    Examples
    --------
    >>> sets = triple_sets(["We waited an hour.", "we waited an hour!!", "They waited an hour", "Lovely"])
    >>> sets.sizes.tolist(), sets.indptr.tolist(), sets.triples.tolist()
    ([2, 2, 2, 1], [0, 2, 4, 5, 5], [0, 1, 0, 1, 1])
    """
    triples, row = _all_triples(texts)
    n = int(triples.max(initial=0)) + 1
    # In the order of texts and triples; each triple of a text once.
    keys = distinct(row * n + triples)
    row, triples = np.divmod(keys, n)
    n_texts_with = np.bincount(triples)
    # Of equally rare ones those that came first: what stands side by side in one text stays together.
    rank = np.empty(len(n_texts_with), dtype=np.int64)
    rank[np.argsort(n_texts_with, kind="stable")] = np.arange(len(rank))
    n_alone = int((n_texts_with == 1).sum())
    sizes = np.bincount(row, minlength=len(texts))
    shared = n_texts_with[triples] > 1
    keys = row[shared] * n + rank[triples[shared]] - n_alone
    keys.sort()
    row, triples = np.divmod(keys, n)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(texts)))])
    return TripleSets(sizes, indptr, triples.astype(np.int32))


def distinct(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the different numbers in ascending order, and sort the array itself.

    On many numbers it takes a fiftieth of the time of `numpy.unique`, whose hash table has to grow.
    """
    keys.sort()
    return keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]


def _all_triples(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the number of each triple, in the order in which they come, and of the text that it stands in."""
    numbers, flat = _Numbers(), array("i")
    ends = np.empty(len(texts), dtype=np.int64)
    with progress_bar(len(texts), "word triples", "review") as bar:
        for i, text in enumerate(texts):
            found = words(text) or [" ".join(normalised(text).split())]
            flat.extend(map(numbers.__getitem__, found))
            flat.extend([_NO_WORD] * (3 - len(found)))
            ends[i] = len(flat)
            bar.update()
    word = np.frombuffer(flat, dtype=np.int32) if flat else np.empty(0, dtype=np.int32)
    starts = np.ones(len(word), dtype=bool)
    starts[ends - 1] = starts[ends - 2] = False
    row = np.repeat(np.arange(len(texts)), np.diff(ends, prepend=0) - 2)
    n_words = len(numbers.of_folded) + 1
    first, second = word[:-2].astype(np.int64), word[1:-1]
    # By way of the pairs, so that no product can pass what 64 bits hold.
    triple = _renumbered(first * n_words + second) * n_words + word[2:]
    return _renumbered(triple[starts[:-2]]), row


def _renumbered(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return numbers from 0 on in place of values, in the order in which they come."""
    return pd.factorize(values)[0]
