"""What fine-tuning needs around a library's trainer: a copy of the encoder, silence, and nothing left behind."""

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_consistent_length, column_or_1d

from pipeline.encoder import load_encoder
from pipeline.encoder.load import quiet_transformers
from pipeline.errors import needs_extra
from pipeline.text import check_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_PACKAGES = ["torch", "sentence_transformers", "setfit", "accelerate"]
_LOGGERS = ["setfit", "sentence_transformers", "accelerate", "datasets"]


def check_texts_and_target(X: Any, y: Any, name: str) -> tuple[list[str], npt.NDArray[Any]]:
    """Return texts as a list, and the target as an array of as many values.

    Raises
    ------
    ValueError
        If `X` is no sequence of str or is empty, or there is not one value of the target for each text.
    """
    texts = check_some_texts(X, name)
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    target = column_or_1d(y)
    check_consistent_length(texts, target)
    return texts, target


def check_some_texts(X: Any, name: str) -> list[str]:
    """Return texts as a list with at least one of them."""
    texts = check_texts(X)
    if not texts:
        raise ValueError(f"{name} got no texts: at least one is required.")
    return texts


def copy_encoder(model: str | Path, revision: str | None, max_length: int | None, name: str) -> "SentenceTransformer":
    """Return a copy of an encoder to train: others share the one in memory.

    Parameters
    ----------
    model, revision
        As in `load_encoder`.
    max_length : int or None
        Tokens at which a text is cut; None: the encoder's maximum, which is never exceeded.
    name : str
        What the user has called, for the error where the extra is missing.
    """
    with needs_extra(name, "setfit"):
        for package in _PACKAGES:
            import_module(package)
    encoder = deepcopy(load_encoder(model, revision))
    if max_length is not None:
        encoder.max_seq_length = min(max_length, encoder.max_seq_length or max_length)
    return encoder


@contextmanager
def training() -> Iterator[Path]:
    """Yield an empty directory for a trainer; after the block all is as before, and the directory is gone.

    Trainers seed the random numbers of the whole process, and talk. In the block they are silent, and afterwards the
    generators of Python, numpy and torch go on where they were.
    """
    import torch

    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the global one that trainers seed
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng())
            stack.enter_context(quiet_transformers())
            stack.enter_context(_quiet_loggers())
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield Path(stack.enter_context(TemporaryDirectory()))
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def silence(trainer: Any) -> None:
    """Let a trainer of transformers print nothing, and warn of no missing accelerator."""
    from transformers import PrinterCallback, ProgressCallback

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.args.dataloader_pin_memory = False


@contextmanager
def half_precision(encoder: "SentenceTransformer", use_amp: bool) -> Iterator[None]:
    """Multiply matrices in bfloat16 in the block, where that is wished for."""
    import torch

    # What is cached would be the weights of the first step.
    with torch.autocast(encoder.device.type, torch.bfloat16, enabled=use_amp, cache_enabled=False):
        yield


def finished(encoder: "SentenceTransformer") -> "SentenceTransformer":
    """Return a trained encoder without the gradients, ready to predict."""
    encoder.zero_grad(set_to_none=True)
    return encoder.eval()


def embed(encoder: "SentenceTransformer", texts: list[str]) -> npt.NDArray[np.float32]:
    """Return the embeddings of texts, of shape (n_texts, n_dimensions)."""
    embeddings: npt.NDArray[np.float32] = encoder.encode(texts, show_progress_bar=False)
    return embeddings
