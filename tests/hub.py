"""A stand-in for the Hugging Face hub on loopback: the same routes, headers and JSON, few enough to read."""

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from project import ROOT

# What the real hub keeps in LFS, and so serves from elsewhere after a redirect.
_LFS = (".parquet", ".safetensors", ".bin", ".gguf")


class Repository:
    """One commit of a repository: path to content."""

    def __init__(self, kind: str, name: str, sha: str, files: Mapping[str, bytes]):
        self.kind = kind
        self.name = name
        self.sha = sha
        self.files = dict(files)

    def entry(self, path: str) -> dict[str, object]:
        """One file as the tree and paths-info routes describe it."""
        content = self.files[path]
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        entry: dict[str, object] = {"type": "file", "oid": oid, "size": len(content), "path": path}
        if path.endswith(_LFS):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry

    def entries(self, folder: str, recursive: bool) -> list[dict[str, object]]:
        """Files and folders below `folder`."""
        prefix = f"{folder}/" if folder else ""
        paths = sorted(path for path in self.files if path.startswith(prefix))
        folders = {path[: i + len(prefix)] for path in paths for i, c in enumerate(path[len(prefix) :]) if c == "/"}
        found = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]
        found += [self.entry(path) for path in paths]
        return [entry for entry in found if recursive or "/" not in str(entry["path"])[len(prefix) :]]


class Hub:
    """Serve repositories while the `with` block lasts; `requests` lists (method, path) of what was asked for."""

    def __init__(self, *repositories: Repository):
        self.repositories = repositories
        self.requests: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"hub": self})
        # Clients follow a redirect to another origin only for the content itself, hence the second server.
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in ("hub", "storage")]
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers]
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.daemon_threads = True
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def asked(self, repository: str) -> set[tuple[str, str]]:
        """Every (revision, file) of `repository` whose content or head was asked for."""
        asked = set()
        for _, path in self.requests:
            before, found, after = unquote(path).partition("/resolve/")
            if found and before.endswith(f"/{repository}"):
                revision, _, file = after.partition("/")
                asked.add((revision, file))
        return asked


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def log_message(self, *_: object) -> None:
        """Keep the log in `Hub.requests`, not on the terminal."""

    def _route(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.hub.requests.append((self.command, url.path))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[0] == "api" and len(parts) >= 4:
            self._api(parts[1].removesuffix("s"), "/".join(parts[2:4]), parts[4:], parse_qs(url.query), body)
        elif parts[0] == "cdn":
            self._content(*self._stored(parts[1]))
        elif "resolve" in parts:
            at = parts.index("resolve")
            kind, owner = ("dataset", 1) if parts[0] == "datasets" else ("model", 0)
            self._resolve(kind, "/".join(parts[owner:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self._error(404, None, "Not Found")

    def _api(self, kind: str, name: str, rest: list[str], query: dict[str, list[str]], body: bytes) -> None:
        revision = rest[1] if len(rest) > 1 else "main"
        repository = self._repository(kind, name, revision)
        if repository is None:
            return
        if not rest or rest[0] == "revision":
            siblings = [{"rfilename": path} for path in sorted(repository.files)]
            self._json({"id": name, "sha": repository.sha, "private": False, "gated": False, "siblings": siblings})
        elif rest[0] == "tree":
            recursive = query.get("recursive", ["false"])[0].lower() == "true"
            entries = repository.entries("/".join(rest[2:]), recursive)
            if entries:
                self._json(entries)
            else:
                self._error(404, "EntryNotFound", "Entry not found")
        elif rest[0] == "paths-info":
            paths = parse_qs(body.decode())["paths"]
            folders = {str(entry["path"]): entry for entry in repository.entries("", recursive=True)}
            self._json([folders[path] for path in paths if path in folders])
        else:
            self._error(404, None, "Not Found")

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repository = self._repository(kind, name, revision)
        if repository is None:
            return
        if path not in repository.files:
            self._error(404, "EntryNotFound", "Entry not found", repository.sha)
            return
        content, entry = repository.files[path], repository.entry(path)
        if path.endswith(_LFS):
            digest = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            where = f"{self.hub.storage_url}/cdn/{digest}"
            self._send(302, b"", {"Location": where, "X-Repo-Commit": repository.sha, **linked})
        else:
            self._content(content, {"ETag": f'"{entry["oid"]}"', "X-Repo-Commit": repository.sha})

    def _repository(self, kind: str, name: str, revision: str) -> Repository | None:
        for repository in self.hub.repositories:
            if (repository.kind, repository.name) == (kind, name):
                if revision in ("main", repository.sha):
                    return repository
                self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
                return None
        # Who is not logged in is not told whether a repository exists.
        self._error(401, None, "Invalid username or password.")
        return None

    def _stored(self, digest: str) -> tuple[bytes, dict[str, str]]:
        contents = [content for repository in self.hub.repositories for content in repository.files.values()]
        return next(c for c in contents if hashlib.sha256(c).hexdigest() == digest), {"ETag": f'"{digest}"'}

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if first:
            start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            headers = {"Content-Range": f"bytes {start}-{end}/{len(content)}", **headers}
            self._send(206, content[start : end + 1], headers)
        else:
            self._send(200, content, {"Accept-Ranges": "bytes", **headers})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str | None, message: str, sha: str | None = None) -> None:
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        headers |= {"X-Error-Code": code} if code else {}
        headers |= {"X-Repo-Commit": sha} if sha else {}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def hub_environment(endpoint: str, home: Path, **more: str) -> dict[str, str]:
    """This process's environment, but with that hub, a cache in `home`, and no proxy, token or other settings of it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("HF_", "HUGGING"))
    }
    return kept | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **more,
    }
