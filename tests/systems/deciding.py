"""A decision service of several steps: an application is handed in, its decision is asked for until it is ready."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


@dataclass
class Deciding:
    """A running service: what was handed in, and how often each thing was asked."""

    url: str
    polls: int
    trouble: Callable[[str, str, int], Answer | None]
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, body: Any) -> Answer:
        with self.lock:
            key = f"{method} {path} {json.dumps(body, sort_keys=True)}"
            self.counts[key] += 1
            if (odd := self.trouble(method, path, self.counts[key])) is not None:
                return odd
            if method == "POST" and path == "/api/applications":
                name = f"a/{len(self.applications) + 1}"
                self.applications[name] = body
                return 201, {"application": {"id": name}}
            if method == "GET" and path.startswith("/api/applications/"):
                name = path.removeprefix("/api/applications/").replace("%2F", "/")
                if self.counts[key] <= self.polls:
                    return 200, {"status": "PENDING"}
                return 200, {"status": "DONE", **decision(self.applications[name])}
            return 404, {"detail": "nothing here"}


def decision(body: dict[str, Any]) -> dict[str, Any]:
    """Approved from an income of 3,000 on; nobody decides about boats."""
    if body["purpose"] == "boat":
        return {"decision": "NOT_OFFERED", "limit": None, "reasons": []}
    well = body["applicant"]["income"] >= 3000
    return {
        "decision": "APPROVED" if well else "DECLINED",
        "limit": body["applicant"]["income"] * 4 if well else 0,
        "reasons": [] if well else ["R01"],
    }


def no_trouble(_method: str, _path: str, _times: int) -> Answer | None:
    return None


@contextmanager
def deciding(*, polls: int = 2, trouble: Callable[[str, str, int], Answer | None] = no_trouble) -> Iterator[Deciding]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    state = Deciding(f"http://127.0.0.1:{server.server_address[1]}/api", polls, trouble)
    server.state = state  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        state: Deciding = self.server.state  # type: ignore[attr-defined]
        state.headers.append(dict(self.headers))
        code, content = state.answer(method, self.path, json.loads(raw) if raw else None)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
