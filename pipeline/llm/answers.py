"""Ask about many reviews, and keep what was answered: a call that was killed goes on where it stood."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.digest import value_digest
from pipeline.files import atomic_path
from pipeline.llm.prompts import Prompt
from pipeline.llm.readers import Reading
from pipeline.progress import progress_bar

Array = npt.NDArray[np.float64]
# Raised when the tokens sent for a prompt, or what is read off the answer, change: kept answers are then asked anew. A
# digest of the code would throw hours of answers away at each edit of a comment.
ANSWERS_VERSION = 1
# What is at most lost.
_SHARD, _SECONDS = 32, 20.0


class Answers(NamedTuple):
    """What was answered.

    Parameters
    ----------
    probabilities : ndarray of shape (n_prompts, n_values), float64
        As `value_probabilities` has them; they add up to less than 1.
    was_cut : ndarray of bool of shape (n_prompts,)
        Whether the review was cut to fit the context.
    n_asked, n_found : int
        How many different prompts were asked, and how many were found in the cache.
    n_evaluated, n_shared : int
        Tokens of the prompts that were asked, see `Reading`.
    seconds : float
        What asking took; 0 where nothing was asked.
    """

    probabilities: Array
    was_cut: npt.NDArray[np.bool_]
    n_asked: int
    n_found: int
    n_evaluated: int
    n_shared: int
    seconds: float


def ask(
    prompts: Sequence[Prompt],
    values: Sequence[str],
    read: Callable[[Prompt, Sequence[str]], Reading],
    key: str,
    cache: Path | None,
) -> Answers:
    """Return what a model answers to prompts, which is asked only what no call before has left in a directory.

    Prompts with the same beginning are asked one after another. Each 32 answers, or those of 20 seconds, become a
    file; so do those before an error.

    Parameters
    ----------
    prompts : sequence of Prompt
        Equal ones are asked once.
    values : sequence of str
        The values as they are written.
    read : callable
        From a `Reader`.
    key : str
        Of all that decides on an answer beside prompt and values.
    cache : Path or None
        Made where it is missing; many models share it. None: nothing is kept.
    """
    keys = [bytes.fromhex(value_digest(each.shared, each.examples, each.review, each.chat)) for each in prompts]
    folder = None if cache is None else cache / value_digest(key, list(values))
    known = {} if folder is None else _read(folder, len(values))
    wanted = dict(zip(keys, prompts, strict=True))
    missing = {each: prompt for each, prompt in wanted.items() if each not in known}
    started = time.perf_counter()
    pending: dict[bytes, Reading] = {}
    last, n_evaluated, n_shared = started, 0, 0
    with progress_bar(len(wanted), "language model", "review") as bar:
        bar.skip(len(wanted) - len(missing))
        try:
            for each in _by_beginning(missing):
                pending[each] = reading = read(missing[each], values)
                n_evaluated, n_shared = n_evaluated + reading.n_evaluated, n_shared + reading.n_shared
                bar.update(1)
                if len(pending) >= _SHARD or time.perf_counter() - last > _SECONDS:
                    _keep(folder, pending, known)
                    last = time.perf_counter()
        finally:
            _keep(folder, pending, known)
    found = [known[each] for each in keys]
    probabilities = np.array([each.probabilities for each in found], dtype=np.float64)
    return Answers(
        probabilities.reshape(len(prompts), len(values)),
        np.array([each.was_cut for each in found], dtype=bool),
        len(missing),
        len(wanted) - len(missing),
        n_evaluated,
        n_shared,
        time.perf_counter() - started if missing else 0.0,
    )


def _by_beginning(prompts: dict[bytes, Prompt]) -> list[bytes]:
    """Return the keys of prompts, those with the same beginning together, else as they came."""
    groups: dict[str, list[bytes]] = {}
    for key, prompt in prompts.items():
        groups.setdefault(prompt.shared, []).append(key)
    return [key for group in groups.values() for key in group]


def _keep(folder: Path | None, pending: dict[bytes, Reading], known: dict[bytes, Reading]) -> None:
    """Move what was answered into a file, and to what is known."""
    known |= pending
    if folder is not None and pending:
        from safetensors.numpy import save_file

        keys = np.frombuffer(b"".join(pending), dtype=np.uint8).reshape(len(pending), -1)
        probabilities = np.stack([each.probabilities for each in pending.values()])
        was_cut = np.array([each.was_cut for each in pending.values()], dtype=np.uint8)
        with atomic_path(folder / f"{value_digest(keys.tolist())}.safetensors") as temporary:
            save_file({"prompts": keys, "probabilities": probabilities, "was_cut": was_cut}, temporary)
    pending.clear()


def _read(folder: Path, n_values: int) -> dict[bytes, Reading]:
    """Return the answers in a folder by the sha256 of their prompts; a damaged file has none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    known: dict[bytes, Reading] = {}
    for path in folder.glob("*.safetensors"):
        try:
            shard = load_file(path)
            rows = map(Reading, shard["probabilities"], shard["was_cut"].astype(bool))
            if shard["probabilities"].shape[1:] == (n_values,):
                known |= zip(map(bytes, shard["prompts"]), rows, strict=True)
        except (OSError, ValueError, KeyError, SafetensorError):
            continue
    return known
