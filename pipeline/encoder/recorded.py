"""Token states of texts in files: encoded once, read again by whatever learns from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import TokenBatch, by_length, token_batches
from pipeline.encoder.layers import check_layer, state_size

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_ARRAYS = ("states", "ids", "starts", "lengths")
# Reading costs little beside encoding: as many tokens at once as keep the overhead small.
_TOKENS_AT_ONCE = 16_384
# Bytes of states that are kept in memory.
_AT_HAND = 2**29


@dataclass(frozen=True, eq=False)
class TokenStates:
    """The tokens of texts and their states in one layer: what transformers that pool tokens take in place of texts.

    Index it as a column of an array, with positions, booleans or a slice, to get some of the texts; nothing is copied.
    So scikit-learn cuts it: `train_test_split`, `cross_val_score`, `GridSearchCV`.

    Parameters
    ----------
    states : memmap of shape (n_tokens, n_dimensions), float16 in a record, float32 from `encode_tokens` and `at_hand`
        Text by text.
    ids : ndarray of int32 of shape (n_tokens,)
        Token ids.
    starts, lengths : ndarray of int of shape (n_texts,)
        Where the tokens of a text begin, and how many there are.
    layer : int
        Whose states; 0 is the input embeddings.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from pipeline.encoder import load_encoder, record
    >>> tokens = record(load_encoder(), ["Superb!", "Cold fries, again.", "Fine."], 3, Path(mkdtemp()))
    >>> len(tokens), len(tokens[np.array([0, 2])]), tokens.lengths.tolist()
    (3, 2, [4, 7, 4])
    >>> tokens[-1].lengths.tolist(), tokens[[True, True, False]].lengths.tolist()
    ([4], [4, 7])
    """

    states: npt.NDArray[np.floating]
    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.intp]
    layer: int

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shape(self) -> tuple[int]:
        """The number of texts: scikit-learn asks it of what it cuts into parts."""
        return (len(self),)

    def __getitem__(self, rows: Any) -> "TokenStates":
        # scikit-learn asks for `rows, ...`, as it would of an array with more axes.
        if isinstance(rows, tuple) and len(rows) == 2 and rows[1] is ...:
            rows = rows[0]
        chosen = rows if isinstance(rows, slice) else self._positions(rows)
        return replace(self, starts=self.starts[chosen], lengths=self.lengths[chosen])

    def _positions(self, rows: Any) -> npt.NDArray[np.intp]:
        """Return the positions, counted from the front, that a number or an array stands for."""
        array, n = np.atleast_1d(np.asarray(rows)), len(self)
        if not array.size and array.dtype.kind == "f":
            array = array.astype(np.intp)
        if array.ndim != 1 or array.dtype.kind not in "biu":
            raise IndexError(f"Token states of texts are chosen by positions, booleans or a slice, got {rows!r}.")
        if array.dtype.kind == "b":
            if len(array) != n:
                raise IndexError(f"Got {len(array)} booleans for the token states of {n} texts: give one for each.")
            return np.flatnonzero(array)
        outside = array[(array < -n) | (array >= n)]
        if len(outside):
            raise IndexError(f"Got the position {outside[0]} in token states of {n} texts: positions go to {n - 1}.")
        return np.where(array < 0, array + n, array).astype(np.intp)

    def of(self, row: int) -> slice:
        """Return where the tokens of a text are in `states` and `ids`."""
        return slice(int(self.starts[row]), int(self.starts[row] + self.lengths[row]))

    def at_hand(self) -> "TokenStates":
        """Return the texts with their states in memory as float32, unless these are many: for repeated reading."""
        n_tokens = int(self.lengths.sum())
        if not n_tokens or n_tokens * self.states.shape[1] * 4 > _AT_HAND:
            return self
        places = np.concatenate(
            [np.arange(start, start + n) for start, n in zip(self.starts, self.lengths, strict=True)]
        )
        starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        return replace(self, states=self.states[places].astype(np.float32), ids=self.ids[places], starts=starts)

    def batches(self, encoder: "SentenceTransformer", layers: Collection[int]) -> Iterator[TokenBatch]:
        """Yield the texts as `token_batches` does, those of similar length together, under the layers' given names.

        Raises
        ------
        ValueError
            If another layer than the recorded one is asked for.
        """
        for layer in layers:
            if check_layer(encoder, layer, lowest=0) != self.layer:
                raise ValueError(f"Got token states of layer {self.layer}, but layer={layer} is asked for.")
        for rows in by_length(self.lengths.tolist(), _TOKENS_AT_ONCE):
            yield self.batch(rows, layers)

    def batch(self, rows: Sequence[int], layers: Collection[int]) -> TokenBatch:
        """Return some of the texts, padded to one length, under the layers' given names."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        tokens = [self.of(row) for row in rows]
        ids = pad_sequence([torch.from_numpy(self.ids[part].astype(np.int64)) for part in tokens], batch_first=True)
        states = [torch.from_numpy(np.require(self.states[part], np.float32, "W")) for part in tokens]
        lengths = torch.from_numpy(self.lengths[rows].astype(np.int64))
        mask = (torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long()
        padded = pad_sequence(states, batch_first=True)
        return TokenBatch(list(rows), ids, mask, dict.fromkeys(layers, padded), {}, {}, None)


Texts = Sequence[str] | TokenStates


def batches_of(encoder: "SentenceTransformer", texts: Texts, layer: int, backend: Backend) -> Iterator[TokenBatch]:
    """Yield the token states of texts in a layer, recorded or encoded now."""
    if isinstance(texts, TokenStates):
        return texts.batches(encoder, [layer])
    return token_batches(encoder, texts, layers=[layer], backend=backend)


def encode_tokens(encoder: "SentenceTransformer", texts: Sequence[str], layer: int, backend: Backend) -> TokenStates:
    """Return the token states of texts, as they are encoded, in a file that has no name and goes with them.

    What passes over them several times encodes once. The file takes 4 bytes x dimensions for each token.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    layer : int
        Whose states.
    backend : Backend
        What runs the encoder.

    Raises
    ------
    ValueError
        If the encoder does not have the layer.

    Examples
    --------
    >>> from pipeline.encoder import load_encoder
    >>> encode_tokens(load_encoder(), ["Superb!", "Cold fries, again."], 3, Backend()).states.dtype
    dtype('float32')
    """
    absolute = check_layer(encoder, layer, lowest=0)
    lengths, starts = np.zeros(len(texts), dtype=np.intp), np.zeros(len(texts), dtype=np.intp)
    ids, n_tokens = [np.empty(0, dtype=np.int32)], 0
    with TemporaryFile() as file:
        for batch in token_batches(encoder, texts, layers=[layer], backend=backend):
            real = batch.mask.bool()
            lengths[batch.rows] = of_text = real.sum(dim=1).cpu().numpy()
            starts[batch.rows] = n_tokens + np.cumsum(of_text) - of_text
            ids.append(batch.ids[real].cpu().numpy().astype(np.int32))
            file.write(batch.states[layer][real].float().cpu().numpy().data)
            n_tokens += len(ids[-1])
        file.flush()
        shape = (n_tokens, state_size(encoder))
        states = np.memmap(file, np.float32, "r", shape=shape) if n_tokens else np.empty(shape, dtype=np.float32)
    return TokenStates(states, np.concatenate(ids), starts, lengths, absolute)


def is_recorded(directory: Path) -> bool:
    """Return whether a directory holds a finished record."""
    return all((directory / f"{name}.npy").exists() for name in _ARRAYS)


def read_record(directory: Path, layer: int) -> TokenStates:
    """Return a view of recorded token states.

    Raises
    ------
    OSError, ValueError
        If the files are missing or damaged.
    """
    arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    return TokenStates(**arrays, layer=layer)
