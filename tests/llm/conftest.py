"""Tiny models, and servers of them in processes that a test may kill."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_gguf import CHAT, write_gguf

_SERVE = """
import sys, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.n_ctx, settings.n_parallel, settings.verbosity = sys.argv[1], 1024, 1, 0
settings.swa_full, settings.cpuparams.n_threads, settings.port = True, 1, int(sys.argv[2])
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a chat template."""
    return write_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template."""
    return write_gguf(tmp_path_factory.mktemp("chatty") / "chatty.gguf", chat_template=CHAT)


class Server:
    """llama.cpp's server of a model in another process."""

    def __init__(self, model: Path, port: int = 0):
        command = [sys.executable, "-c", _SERVE, str(model), str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers, which end with the test."""
    servers: list[Server] = []

    def start(model: Path, port: int = 0) -> Server:
        servers.append(Server(model, port))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
