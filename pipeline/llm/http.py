"""JSON over HTTP, with errors in one line."""

import os
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import needs_extra
from pipeline.format import printable

KEY = "LLM_API_KEY"
# Seconds until the connection stands, and until the answer is there.
TIMEOUT = (5.0, 120.0)
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Http:
    """One server, whose key, if it wants one, is in the environment variable LLM_API_KEY and nowhere else.

    Parameters
    ----------
    base_url : str
        Such as ``http://127.0.0.1:8080``; a ``/v1`` at its end is left out.
    in_process : bool, default=False
        Whether it is a server of this process: it ends with it, so that one may wait for an answer as long as it takes
        on a busy machine.

    Raises
    ------
    ValueError
        If it is no address of a server, or holds a password, a query or a fragment.
    ImportError
        If the extra `llm` is not installed.
    """

    def __init__(self, base_url: str, in_process: bool = False):
        with needs_extra("LocalLLM", "llm"):
            import requests
        self.url = base_url.rstrip("/").removesuffix("/v1").rstrip("/")
        self._in_process = in_process
        host = _host(self.url)
        self._session = requests.Session()
        # No proxy knows this machine's servers.
        self._session.trust_env = host not in _LOCAL

    def get(self, route: str) -> Any:
        """Return the JSON of a route.

        Raises
        ------
        OSError
            In one line, if there is none; see `HttpError`.
        """
        return self._ask("GET", route, None)

    def post(self, route: str, **content: Any) -> Any:
        """Send JSON, and return that of the answer.

        Raises
        ------
        OSError
            In one line, if there is none; see `HttpError`.
        """
        return self._ask("POST", route, content)

    def _ask(self, method: str, route: str, content: Any) -> Any:
        import requests

        where = f"The server {self.url}"
        timeout = (TIMEOUT[0], None) if self._in_process else TIMEOUT
        auth = None if self._in_process else _with_key
        try:
            answer = self._session.request(
                method, self.url + route, json=content, auth=auth, timeout=timeout, allow_redirects=False
            )
        except requests.ReadTimeout:
            raise OSError(f"{where} has not answered {route} within {TIMEOUT[1]:g} s: try a smaller model.") from None
        except requests.ConnectionError as error:
            raise OSError(
                f"{where} cannot be reached ({_reason(error)}): start it, or give another base_url."
            ) from None
        except (requests.RequestException, ValueError) as error:
            raise OSError(f"{where} cannot be asked ({type(error).__name__}): give another base_url.") from None
        try:
            found = answer.json()
        except ValueError:
            found = None
        if answer.status_code != 200:
            raise HttpError(
                f"{where} answers {route} with {answer.status_code} ({_message(found)}).", answer.status_code
            )
        if not isinstance(found, dict):
            raise HttpError(f"{where} answers {route} with no JSON object: it is no server of a language model.", 200)
        return found


def _host(url: str) -> str:
    """Return the host of a server's address; errors show none of what may be a key."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # What stands before an @ is a password, and behind a ? a key.
        shown = url.rpartition("@")[2].partition("?")[0].partition("#")[0]
        raise ValueError(f"base_url={shown!r} is no server: give it as http://HOST:PORT.")
    if parts.username or parts.password:
        raise ValueError(f"base_url for {parts.hostname} holds a user or password: put the key into {KEY}.")
    if "?" in url or "#" in url:
        raise ValueError(f"base_url for {parts.hostname} holds a query or a fragment: put a key into {KEY}.")
    return parts.hostname


def _with_key(request: Any) -> Any:
    """Send the key, if there is one: without this, requests would send the password that a .netrc has for the host."""
    if key := os.environ.get(KEY):
        request.headers["Authorization"] = f"Bearer {key}"
    return request


class HttpError(OSError):
    """An answer that is none, with its status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


_REASONS = {
    "refused": "connection refused",
    "timed out": "timed out",
    "resolve": "no such host",
    "reset": "connection reset",
    "aborted": "connection closed",
    "ssl": "TLS",
}


def _reason(error: Exception) -> str:
    return next((reason for sign, reason in _REASONS.items() if sign in str(error).lower()), "no connection")


def _message(found: Any) -> str:
    """Return what a server says about an error, on one line."""
    error = found.get("error", found) if isinstance(found, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return printable(" ".join(str(message or "no reason given").split()))[:200]
