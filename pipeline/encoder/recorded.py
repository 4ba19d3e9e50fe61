"""Token states of texts in files: encoded once, read again by whatever learns from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pipeline.digest import value_digest
from pipeline.encoder.backend import Backend
from pipeline.encoder.batches import TokenBatch, token_batches
from pipeline.encoder.layers import check_layer
from pipeline.files import atomic_path

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_ARRAYS = ("states", "ids", "starts", "lengths")
# Reading costs little beside encoding: as many tokens at once as keep the overhead small.
_TOKENS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class TokenStates:
    """The tokens of texts and their states in one layer: what transformers that pool tokens take in place of texts.

    Index it with an array of rows to get some of the texts; nothing is copied.

    Parameters
    ----------
    states : memmap of shape (n_tokens, n_dimensions), float16
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
    """

    states: npt.NDArray[np.float16]
    ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.intp]
    layer: int

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "TokenStates":
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def of(self, row: int) -> slice:
        """Return where the tokens of a text are in `states` and `ids`."""
        return slice(int(self.starts[row]), int(self.starts[row] + self.lengths[row]))

    def batches(self, encoder: "SentenceTransformer", layers: Collection[int]) -> Iterator[TokenBatch]:
        """Yield the texts as `token_batches` does, those of similar length together, under the layers' given names.

        Raises
        ------
        ValueError
            If another layer than the recorded one is asked for.
        """
        import torch
        from torch.nn.utils.rnn import pad_sequence

        for layer in layers:
            if check_layer(encoder, layer, lowest=0) != self.layer:
                raise ValueError(f"Got token states of layer {self.layer}, but layer={layer} is asked for.")
        order = np.argsort(-self.lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = max(1, int(self.lengths[order[start]]))
            rows = order[start : start + max(1, _TOKENS_AT_ONCE // longest)].tolist()
            start += len(rows)
            own = [self.of(row) for row in rows]
            ids = pad_sequence([torch.from_numpy(self.ids[each].astype(np.int64)) for each in own], batch_first=True)
            states = pad_sequence(
                [torch.from_numpy(self.states[each].astype(np.float32)) for each in own], batch_first=True
            )
            lengths = torch.from_numpy(self.lengths[rows].astype(np.int64))
            mask = (torch.arange(ids.shape[1])[None, :] < lengths[:, None]).long()
            yield TokenBatch(rows, ids, mask, dict.fromkeys(layers, states), {}, {}, None)


Texts = Sequence[str] | TokenStates


def batches_of(encoder: "SentenceTransformer", texts: Texts, layer: int, backend: Backend) -> Iterator[TokenBatch]:
    """Yield the token states of texts in a layer, recorded or encoded now."""
    if isinstance(texts, TokenStates):
        return texts.batches(encoder, [layer])
    return token_batches(encoder, texts, layers=[layer], backend=backend)


def record(
    encoder: "SentenceTransformer",
    texts: Sequence[str],
    layer: int,
    directory: Path,
    backend: Backend = Backend(),  # noqa: B008 - frozen
) -> TokenStates:
    """Encode texts, keep the token states of a layer in a directory, and return a view of them.

    The files take 2 bytes x dimensions for each token: 768 MB for 10,000 reviews of 100 tokens with 384 dimensions.

    Parameters
    ----------
    encoder : SentenceTransformer
        From `load_encoder`.
    texts : sequence of str
        Texts.
    layer : int
        Whose states.
    directory : Path
        Made where it is missing.
    backend : Backend
        What runs the encoder.

    Raises
    ------
    ValueError
        If a state is too large for 2 bytes, 65,504, or not a number.
    """
    recorder = Recorder(directory, layer, made_by="")
    for batch in token_batches(encoder, texts, layers=[layer], backend=backend):
        recorder.add(batch)
    recorder.end_shard("all", range(len(texts)))
    return recorder.finish(check_layer(encoder, layer, lowest=0), ["all"], range(len(texts)))


class Recorder:
    """Takes batches, keeps finished shards, and puts them together.

    Parameters
    ----------
    directory : Path
        Of the finished record; its shards are in the folder `shards` there.
    layer : int
        Whose states.
    made_by : str
        Digest of encoder, backend and code: part of a shard's name.
    """

    def __init__(self, directory: Path, layer: int, made_by: str):
        self.directory, self.layer, self.made_by = directory, layer, made_by
        self._parts: dict[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.float16]]] = {}

    def has(self, key: str) -> bool:
        """Return whether a shard is complete."""
        try:
            return bool(load_file(self._path(key)))
        except (OSError, ValueError, SafetensorError):
            return False

    def add(self, batch: TokenBatch) -> None:
        """Take the tokens of a batch.

        Raises
        ------
        ValueError
            If a state is too large for 2 bytes, 65,504, or not a number.
        """
        real = batch.mask.bool()
        states = batch.states[self.layer][real].half().cpu().numpy()
        if not np.isfinite(states).all():
            largest = float(batch.states[self.layer][real].abs().max())
            raise ValueError(
                f"Got token states of up to {largest:g} in layer {self.layer}, but weights that are learned from token "
                "states keep them in 2 bytes, which hold 65504 at most: choose another layer."
            )
        ends = np.cumsum(real.sum(dim=1).cpu().numpy())
        ids = batch.ids[real].cpu().numpy().astype(np.int32)
        for row, own_ids, own_states in zip(batch.rows, np.split(ids, ends), np.split(states, ends), strict=False):
            self._parts[row] = (own_ids, own_states)

    def end_shard(self, key: str, rows: Sequence[int]) -> None:
        """Write the texts that were taken since the last shard, in the order of `rows`."""
        parts = [self._parts[row] for row in rows]
        content = {
            "lengths": np.array([len(ids) for ids, _ in parts], dtype=np.int64),
            "ids": np.concatenate([ids for ids, _ in parts]),
            "states": np.concatenate([states for _, states in parts]),
        }
        with atomic_path(self._path(key)) as temporary:
            save_file(content, temporary)
        self._parts.clear()

    def finish(self, layer: int, keys: Sequence[str], same: Sequence[int]) -> TokenStates:
        """Put the shards together; `same` says which text of theirs each text is."""
        paths = [self._path(key) for key in keys]
        lengths = np.concatenate([load_file(path)["lengths"] for path in paths])
        ends = np.cumsum(lengths)
        rows = np.asarray(same, dtype=np.intp)
        n_dimensions = load_file(paths[0])["states"].shape[1]
        with atomic_path(self._file("states")) as temporary:
            states = np.lib.format.open_memmap(temporary, "w+", np.float16, (int(ends[-1]), n_dimensions))
            start, ids = 0, []
            for path in paths:
                shard = load_file(path)
                states[start : start + len(shard["ids"])] = shard["states"]
                start += len(shard["ids"])
                ids.append(shard["ids"])
            states.flush()
        for name, array in (
            ("ids", np.concatenate(ids)),
            ("starts", (ends - lengths)[rows]),
            ("lengths", lengths[rows]),
        ):
            with atomic_path(self._file(name)) as temporary, temporary.open("wb") as file:
                np.save(file, array)
        for path in paths:
            path.unlink()
        return read_record(self.directory, layer)

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}.npy"

    def _path(self, key: str) -> Path:
        return self.directory / "shards" / f"{value_digest(self.made_by, self.layer, key)}.safetensors"


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
