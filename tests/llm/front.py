"""A server in front of llama.cpp's that hides routes, breaks answers, is slow, or remembers what came."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import requests


class Front:
    """Serve while the `with` block lasts.

    Parameters
    ----------
    behind : str
        Address of the server that answers; "" for none.
    changed : callable
        Takes route and status and JSON of an answer, and returns what is sent instead.
    delay : float
        Seconds before an answer.
    """

    def __init__(self, behind: str = "", changed: Callable[..., tuple[int, Any]] | None = None, delay: float = 0):
        self.behind, self.changed, self.delay = behind, changed, delay
        self.requests: list[tuple[str, dict[str, str], Any]] = []

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"front": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    front: Front

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.front.requests.append((self.path, dict(self.headers), body))
        time.sleep(self.front.delay)
        status, content = 200, {}
        if self.front.behind:
            with requests.Session() as session:
                # Of the machine's settings for proxies.
                session.trust_env = False
                answer = session.request(self.command, self.front.behind + self.path, json=body, timeout=10)
            status, content = answer.status_code, answer.json()
        if self.front.changed:
            status, content = self.front.changed(self.path, status, content)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def only_openai(route: str, status: int, content: Any) -> tuple[int, Any]:
    """Hide all routes but OpenAI's, as Ollama and vLLM do."""
    return (status, content) if route.startswith("/v1/") else (404, {"error": {"message": "Not Found"}})
