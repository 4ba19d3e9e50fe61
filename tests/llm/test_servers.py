"""Servers that refuse, die, are slow or answer something else: one line each, and what was done is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from front import Front, only_openai
from llama_server import Server

from pipeline.features import LocalLLM
from pipeline.llm.llama_reader import LlamaReader
from pipeline.llm.readers import Reading

TEXTS = [f"Food number {n} was {'good' if n % 3 else 'bad'}" for n in range(50)]

pytestmark = pytest.mark.slow


def message_of(base_url: str, **options: Any) -> str:
    """Return the one line that a call ends in."""
    with pytest.raises((OSError, ValueError)) as caught:
        LocalLLM(base_url=base_url, **options).fit_transform(TEXTS[:2])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_gives_the_same_as_the_file(serve: Callable[..., Server], tiny: Path) -> None:
    here = LocalLLM(tiny, n_context=1024, n_threads=1).fit_transform(TEXTS[:5])
    llm = LocalLLM(base_url=serve(tiny).url)
    np.testing.assert_array_equal(llm.fit_transform(TEXTS[:5]), here)
    assert llm.info_["n_context"] == 1024
    assert llm.info_["file"] == str(tiny)


def test_one_that_dies_in_the_middle_leaves_what_was_done(
    serve: Callable[..., Server], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(tiny)
    llm = LocalLLM(base_url=server.url, cache=tmp_path)
    read, answered = LlamaReader.read, 0

    def killing(self: LlamaReader, *asked: Any) -> Reading:
        nonlocal answered
        if answered == 40:
            server.kill()
        found = read(self, *asked)
        answered += 1
        return found

    monkeypatch.setattr(LlamaReader, "read", killing)
    with pytest.raises(
        OSError, match=f"^The server {server.url} cannot be reached .connection [a-z]+.: start it"
    ) as caught:
        llm.fit_transform(TEXTS)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    again = LocalLLM(base_url=serve(tiny, server.port).url, cache=tmp_path)
    found = again.fit_transform(TEXTS)
    assert (again.info_["n_found"], again.info_["n_asked"]) == (40, 10)
    np.testing.assert_array_equal(found, LocalLLM(tiny, n_context=1024, n_threads=1).fit_transform(TEXTS))


def test_none_at_all() -> None:
    with Front() as front:
        url = front.url
    assert message_of(url) == (
        f"The server {url} cannot be reached (connection refused): start it, or give another base_url."
    )


def test_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.llm.http.TIMEOUT", (5.0, 0.2))
    with Front(delay=1) as front:
        assert (
            message_of(front.url)
            == f"The server {front.url} has not answered /props within 0.2 s: try a smaller model."
        )


def test_one_in_this_process_may_be_as_slow_as_the_machine(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.llm.http.TIMEOUT", (5.0, 1e-6))
    assert LocalLLM(tiny, n_context=1024, n_threads=1).transform(TEXTS[:2]).shape == (2, 7)


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (500, {"error": {"message": "out of\nmemory"}}, "answers /props with 500 (out of memory)."),
        (503, {"error": {"message": "Loading model"}}, "answers /props with 503 (Loading model)."),
        (401, {"error": "Invalid API Key"}, "answers /props with 401 (Invalid API Key)."),
        (302, b"<html>", "answers /props with 302 (no reason given)."),
        (404, {}, "answers /v1/models with 404 (no reason given)."),
        (200, b"<html>Hello</html>", "answers /v1/models with no JSON object: it is no server of a language model."),
        (200, {}, "lists no model: load one there."),
    ],
)
def test_one_that_answers_something_else(status: int, content: Any, expected: str) -> None:
    with Front(changed=lambda *_: (status, content)) as front:
        assert message_of(front.url) == f"The server {front.url} {expected}"


@pytest.mark.parametrize("routes", ["llama", "openai"])
def test_one_that_answers_without_log_probabilities(serve: Callable[..., Server], tiny: Path, routes: str) -> None:
    def changed(route: str, status: int, content: Any) -> tuple[int, Any]:
        for choice in content.get("choices", [content]):
            choice.pop("logprobs", None)
            choice.pop("completion_probabilities", None)
        return only_openai(route, status, content) if routes == "openai" else (status, content)

    with Front(serve(tiny).url, changed) as front:
        expected = f"The server {front.url} answers without log probabilities: use another one."
        assert message_of(front.url) == expected
        assert message_of(front.url, template="chat") == expected


def test_a_prompt_that_is_too_long_for_it(serve: Callable[..., Server], tiny: Path) -> None:
    with Front(serve(tiny).url, only_openai) as front:
        message = message_of(front.url, know_how="Rule. " * 300)
    assert f"The server {front.url} answers /v1/completions with 400 (request (" in message
    assert "exceeds the available context size (1024 tokens)" in message


def test_the_key_is_sent_and_never_written(
    serve: Callable[..., Server], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_API_KEY", "very-secret")
    with Front(serve(tiny).url) as front:
        llm = LocalLLM(base_url=front.url, cache=tmp_path)
        llm.fit_transform(TEXTS[:2])
        assert {headers.get("Authorization") for _, headers, _ in front.requests} == {"Bearer very-secret"}
        written = json.dumps(llm.info_) + repr(llm) + llm.prompt("Good") + repr(vars(llm))
    assert "secret" not in written
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert list(tmp_path.rglob("*.safetensors"))


def test_no_key_is_sent_where_there_is_none(
    serve: Callable[..., Server], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLM_API_KEY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Front(serve(tiny).url) as front:
        LocalLLM(base_url=front.url).fit_transform(TEXTS[:1])
        assert not any("Authorization" in headers for _, headers, _ in front.requests)
