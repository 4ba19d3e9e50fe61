"""llama.cpp's server in this process."""

import os
from functools import cache
from typing import Any

from joblib import cpu_count

from pipeline.errors import needs_extra
from pipeline.llm.gguf_file import ModelFile


def start_server(model: ModelFile, n_context: int, n_threads: int | None) -> Any:
    """Return a server of a model on this machine, which ends with this process.

    Parameters
    ----------
    model : ModelFile
    n_context : int
        Tokens that the prompt and the answer may have.
    n_threads : int or None
        None: OMP_NUM_THREADS where it is set, else as many as there are cores for this process.

    Returns
    -------
    xllamacpp.Server
        With its address in `listening_address`.

    Raises
    ------
    ValueError
        If llama.cpp cannot load the file.
    ImportError
        If the extra `llm` is not installed.
    """
    with needs_extra("LocalLLM", "llm"):
        import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model.path)
    settings.n_ctx = n_context
    settings.n_parallel = 1
    # A model with a sliding window forgets the beginning of the prompt otherwise, and evaluates it anew each time.
    settings.swa_full = True
    # Copies of other prompts' states in memory: prompts come in an order that needs none.
    settings.cache_ram_mib = 0
    settings.verbosity = 0
    # llama.cpp counts the cores of the machine, not those that this process may use; with more threads than cores it
    # is a hundred times slower.
    settings.cpuparams.n_threads = n_threads or _free_cores()
    settings.cpuparams_batch.n_threads = settings.cpuparams.n_threads
    try:
        return xllamacpp.Server(settings)
    except RuntimeError:
        raise ValueError(
            f"llama.cpp {library_version()} cannot load {model.path} (architecture {model.architecture or 'unknown'}, "
            f"context {n_context}): the file is damaged or too new, or memory is short."
        ) from None


def _free_cores() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else cpu_count(only_physical_cores=True)


@cache
def library_version() -> str:
    """Return the version of xllamacpp, "" where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("xllamacpp")
    except PackageNotFoundError:
        return ""


def resident_bytes() -> int:
    """Return the memory of this process that is in use, 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - no file, a number of the system
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
