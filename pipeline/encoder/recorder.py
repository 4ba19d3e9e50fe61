"""Writes token states as they are encoded, shard by shard, and puts the shards together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.digest import value_digest
from pipeline.encoder.batches import Shard, TokenBatch
from pipeline.encoder.pooling import Pooling
from pipeline.encoder.shards import read_shard, write_shard
from pipeline.files import atomic_path


class Recorder:
    """Takes batches, keeps finished shards, and puts them together.

    Parameters
    ----------
    directory : Path
        Of the finished record; its shards are in the folder `shards` there.
    layer : int
        Whose states.
    key : str
        From `encoder_key`: part of a shard's name.
    """

    def __init__(self, directory: Path, layer: int, key: str):
        self.directory, self.layer, self.key = directory, layer, key
        # It takes the states that this pooling would average.
        self.reads = Pooling("uniform", layer)
        self._paths: list[Path] = []
        self._parts: dict[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.float16]]] = {}

    def restore(self, shard: Shard) -> bool:
        """Return whether a shard is on disk and complete; all shards have to be asked for, in their order."""
        name = value_digest(self.key, self.layer, shard.texts)
        self._paths.append(self.directory / "shards" / f"{name}.safetensors")
        return bool(read_shard(self._paths[-1]))

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
        for row, row_ids, row_states in zip(batch.rows, np.split(ids, ends), np.split(states, ends), strict=False):
            self._parts[row] = (row_ids, row_states)

    def end_shard(self, shard: Shard) -> None:
        """Keep a shard, all of whose batches were added."""
        ids, states = zip(*(self._parts[row] for row in shard.rows), strict=True)
        lengths = np.array([len(each) for each in ids], dtype=np.int64)
        arrays = {"lengths": lengths, "ids": np.concatenate(ids), "states": np.concatenate(states)}
        write_shard(self._paths[-1], arrays)
        self._parts.clear()

    def finish(self, texts: Sequence[int]) -> None:
        """Put the shards together; `texts` holds the position in the shards of each text of the record."""
        lengths = np.concatenate([read_shard(path)["lengths"] for path in self._paths])
        starts, rows = np.cumsum(lengths) - lengths, np.asarray(texts, dtype=np.intp)
        ids = self._join_states(int(lengths.sum()))
        for name, array in {"ids": ids, "starts": starts[rows], "lengths": lengths[rows]}.items():
            with atomic_path(self.directory / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
        for path in self._paths:
            path.unlink()

    def _join_states(self, n_tokens: int) -> npt.NDArray[np.int32]:
        """Write the states of all shards one after the other; return the token ids."""
        n_dimensions = read_shard(self._paths[0])["states"].shape[1]
        ids = np.empty(n_tokens, dtype=np.int32)
        with atomic_path(self.directory / "states.npy") as temporary:
            states = np.lib.format.open_memmap(temporary, "w+", np.float16, (n_tokens, n_dimensions))
            start = 0
            for path in self._paths:
                shard = read_shard(path)
                end = start + len(shard["ids"])
                ids[start:end], states[start:end] = shard["ids"], shard["states"]
                start = end
            states.flush()
        return ids
