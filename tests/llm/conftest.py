"""Tiny models, and servers of them in processes that a test may kill."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from llama_server import Server
from tiny_gguf import CHAT, write_gguf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a chat template."""
    return write_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template."""
    return write_gguf(tmp_path_factory.mktemp("chatty") / "chatty.gguf", chat_template=CHAT)


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
