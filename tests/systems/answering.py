"""A small server that answers in all four dialects, counts what reaches it, and has faults on demand."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.systems.faults import Asked, Fault, Faults, never
from tests.systems.speakers import MadeUp, Speaker
from tests.systems.wires import WIRES

HANG_SECONDS = 30.0


@dataclass
class Answering:
    """A running server: its address, and everything that reached it."""

    url: str
    speaker: Speaker
    faults: Faults
    structures: bool
    pause: float
    asked: list[Asked] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def note(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[Asked, str]:
        key = hashlib.sha256(path.encode() + b"|" + raw).hexdigest()
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode("utf-8", "replace")
        with self.lock:
            asked = Asked(path, headers, body, self.counts[key], len(self.asked))
            self.asked.append(asked)
            self.counts[key] += 1
            self.open += 1
            self.busiest = max(self.busiest, self.open)
        return asked, key


@contextmanager
def answering(
    speaker: Speaker | None = None,
    *,
    faults: Faults = never,
    structures: bool = True,
    pause: float = 0.0,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Answering]:
    """A server on a free port for the time of a ``with`` block.

    ``structures``: schemas and tools are honoured. ``pause``: seconds before each answer.
    """
    server = _Server((host, 0), _Handler)
    scheme = "http"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    name = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{name}:{server.server_address[1]}/v1"
    server.state = Answering(url, speaker or MadeUp(), faults, structures, pause)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    state: Answering

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no trouble of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        state = self.server.state
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:  # whoever asked is gone: half a request is none
            self.close_connection = True
            return
        asked, key = state.note(self.path, dict(self.headers), raw)
        try:
            if state.pause:
                state.ended.wait(state.pause)
            fault = state.faults(asked) or Fault()
            if fault.wire and self._broken(fault):
                return
            wire = WIRES.get(self.path)
            if wire is None:
                return self._send(404, {"error": {"message": "nothing here", "type": "not_found"}})
            answer = wire(state.speaker, asked.body, fault, structures=state.structures)
            with state.lock:
                state.answered[key] += 1
            self._send(200, answer, fault)
        finally:
            with state.lock:
                state.open -= 1

    def _send(self, code: int, content: Any, fault: Fault | None = None) -> None:
        fault = fault or Fault()
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        length = len(data)
        if fault.wire == "wrong json":
            data = data[: len(data) // 2]
            length = len(data)
        if fault.wire == "short length":
            length = len(data) // 2
        if fault.wire in ("long length", "half"):
            length = len(data) + 100
        if fault.wire == "half":
            data = data[: len(data) // 2]
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault.wire == "drip":
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.server.state.ended.wait(fault.seconds):
                    break
        else:
            self.wfile.write(data)
        self.wfile.flush()
        if fault.wire in ("long length", "half", "short length", "drip"):
            self.close_connection = True

    def _broken(self, fault: Fault) -> bool:
        """Faults that need no answer to be made; whether the request is done with."""
        if fault.wire == "status":
            content = fault.content if fault.content is not None else {"error": {"message": "not today", "type": "x"}}
            self._send(fault.code, content, fault)
        elif fault.wire == "hang":
            self.server.state.ended.wait(fault.seconds or HANG_SECONDS)
            self.close_connection = True
        elif fault.wire == "dripping headers":
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X-More: y\r\n" * 1000:
                self.wfile.write(bytes([byte]))
                if self.server.state.ended.wait(fault.seconds):
                    break
            self.close_connection = True
        elif fault.wire == "continue":
            while not self.server.state.ended.wait(fault.seconds):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.close_connection = True
        elif fault.wire == "reset":
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = True
        elif fault.wire == "large":
            self._send(200, b'{"x": "' + b"y" * int(fault.seconds or 1 << 22) + b'"}')
        else:
            return False
        return True


def wait_until(holds: Any, seconds: float = 10.0) -> None:
    """Wait for something another thread brings about."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)
