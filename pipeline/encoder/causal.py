"""Load a causal model with its head, which predicts the next token: from safetensors or from a GGUF file."""

import os
from contextlib import redirect_stderr
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.digest import Stamp, directory_stamp
from pipeline.encoder.load import SAFE, know_the_unknown, model_files, naming, quiet_transformers
from pipeline.errors import needs_extra

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class NoHeadError(Exception):
    """Why a model that is there has no head for the next token."""


def load_causal(model: str | Path, revision: str | None) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    """Return tokenizer and network of a causal model, head included; the last one is kept in memory.

    Parameters
    ----------
    model : str or Path
        As in `load_encoder`, or the path of a GGUF file, whose weights are unpacked to 32 bits.
    revision : str or None
        Commit on the hub.

    Raises
    ------
    NoHeadError
        If it has no head for the next token.
    ValueError
        If it cannot be loaded.
    OSError
        If the model is not to be had.
    ImportError
        If a GGUF file is read without the extra `peers`.
    """
    path = Path(model)
    stamp = directory_stamp(path)
    if is_gguf(model) and path.is_file():
        fact = path.stat()
        stamp = ((fact.st_size, fact.st_ino, fact.st_mtime_ns),)
    return _load_causal(os.fspath(model), revision, stamp)


def is_gguf(model: str | Path) -> bool:
    """Return whether a name is that of a GGUF file."""
    return os.fspath(model).lower().endswith(".gguf")


@lru_cache(maxsize=1)
def _load_causal(model: str, revision: str | None, _stamp: Stamp) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    if not is_gguf(model):
        with model_files(model, revision) as directory:
            return _loaded(model, str(directory))
    with needs_extra(f"The GGUF file {model!r}", "peers"):
        import gguf  # noqa: F401 - transformers reads the file with it
    path = Path(model).absolute()
    # transformers draws a bar while it unpacks the weights, which none of its settings turns off.
    with naming(model), redirect_stderr(StringIO()):
        return _loaded(model, str(path.parent), gguf_file=path.name)


def _loaded(model: str, source: str, **file: str) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    import torch
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    options: dict[str, Any] = {"attn_implementation": "eager", "dtype": torch.float32, **file, **SAFE}
    with quiet_transformers():
        if not file:
            options["use_safetensors"] = True
            kind = AutoConfig.from_pretrained(source, **SAFE)
            if type(kind) not in MODEL_FOR_CAUSAL_LM_MAPPING:
                raise NoHeadError(f"{kind.model_type} has no causal head")
        tokenizer = AutoTokenizer.from_pretrained(source, **file, **SAFE)
        loaded: Any = AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **options)
        network, report = loaded
    if missing := sorted(report["missing_keys"]):
        raise NoHeadError(f"its weights lack {missing[0]} and {len(missing) - 1} others")
    know_the_unknown(tokenizer)
    return tokenizer, network.eval()
