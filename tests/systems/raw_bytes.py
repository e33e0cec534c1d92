"""A server that writes any bytes at all: what a broken or hostile one may put on the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Reply = Callable[[int, bytes], tuple[bytes, bool]]
"""Of the number of a request and its bytes: what is written, and whether the connection stays open."""


@dataclass
class RawServer:
    """Its base URL, and every request as it came."""

    url: str = ""
    asked: list[bytes] = field(default_factory=list)


def plain(body: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def raw_server(reply: Reply) -> Iterator[RawServer]:
    """A server on a free port for the time of a ``with`` block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := _request(connection):
                with lock:
                    number = len(server.asked)
                    server.asked.append(request)
                written, stays = reply(number, request)
                connection.sendall(written)
                if not stays:
                    return

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _request(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        part = connection.recv(65536)
        if not part:
            return b""
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body
