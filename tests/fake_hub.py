"""A Hugging Face hub of a few repositories on 127.0.0.1, as far as files and commits go."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Commits by hash, each with its files, and what branches and tags point to."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], revision: str = "main") -> str:
        """Add a commit and point ``revision`` to it."""
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[name] = dict(files)
        self.revisions[revision] = name
        return name


class FakeHub:
    """The server; ``requests`` holds what was asked for, as ``"GET /path"``.

    Attributes:
        gated: Repositories that answer 403.
        broken: Names of files whose connection breaks halfway.
        down: Whether everything answers 503.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.gated: set[str] = set()
        self.broken: set[str] = set()
        self.down = False
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def downloads(self) -> set[str]:
        """Names of the files whose content was asked for."""
        return {
            r.rsplit("/", 1)[1] for r in self.requests if r.startswith("GET") and "/resolve/" in r
        }


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def do_HEAD(self) -> None:  # the name that http.server asks for
        self._route("HEAD", b"")

    def do_GET(self) -> None:
        self._route("GET", b"")

    def do_POST(self) -> None:
        self._route("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _route(self, method: str, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{method} {path}")
        parts = path.strip("/").split("/")
        if self.hub.down:
            self._answer(503, b"")
        elif parts[:3] == ["api", "repos", "create"]:
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            if name not in self.hub.repositories:
                self.hub.repositories[name] = made = Repository()
                made.commit({})  # as the real hub does
            self._json({"url": f"{self.hub.url}/{name}", "name": name})
        elif parts[:2] == ["api", "validate-yaml"]:
            self._json({"errors": [], "warnings": []})
        elif parts[:2] == ["api", "models"]:
            self._api("/".join(parts[2:4]), parts[4:], body)
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), method)
        else:
            self._answer(404, b"")

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        if (repository := self._repository(name)) is None:
            return
        what, revision = (*rest, "revision", "main")[:2] if rest else ("revision", "main")
        if what == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif what == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = repository.commit(files, revision)
            self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit})
        elif (commit := self._commit(repository, revision)) is not None:
            files = repository.commits[commit]
            if what == "tree":
                self._json(
                    [
                        {"type": "file", "path": p, "size": len(c), "oid": _etag(c)}
                        for p, c in files.items()
                    ]
                )
            else:
                siblings = [{"rfilename": path} for path in files]
                self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings})

    def _file(self, name: str, revision: str, path: str, method: str) -> None:
        repository = self._repository(name)
        commit = None if repository is None else self._commit(repository, revision)
        if repository is None or commit is None:
            return
        content = repository.commits[commit].get(path)
        if content is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        broken = path in self.hub.broken and method == "GET"
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": commit}
        headers["Content-Length"] = str(len(content))
        self._answer(200, content[: len(content) // 2] if broken else content, headers)

    def _repository(self, name: str) -> Repository | None:
        if name in self.hub.gated:
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif name not in self.hub.repositories:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        else:
            return self.hub.repositories[name]
        return None

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.revisions.get(revision, revision)
        if commit in repository.commits:
            return commit
        self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        return None

    def _json(self, content: object) -> None:
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
