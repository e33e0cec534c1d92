"""One end for a whole answer, however it comes: the library bounds each read, and a server may make many small ones.

A status line or headers that come a byte at a time, or "continue" without end, arrive before anybody can look at a
clock. So the clock is looked at where bytes are read. That is also where what is under way can be broken off at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any


class Deadline(threading.local):
    """When the answer that this thread waits for must be whole, on the clock that never runs back."""

    end: float = float("inf")

    def left(self, seconds: float | None) -> float | None:
        """The seconds that one read may take.

        Raises
        ------
        TimeoutError
            If there are none left.
        """
        rest = self.end - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        return rest if seconds is None else min(seconds, rest)


class BrokenOffError(Exception):
    """Nothing is sent any more."""


class Connections:
    """The open connections of a transport, which another thread can break off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.broken_off = False

    def add(self, handle: socket.socket) -> None:
        """Note one.

        Raises
        ------
        BrokenOffError
            If they were broken off.
        """
        with self._lock:
            if self.broken_off:
                handle.close()
                raise BrokenOffError
            self._open.add(handle)

    def remove(self, handle: socket.socket) -> None:
        """Forget one that is closed."""
        with self._lock:
            self._open.discard(handle)
            handle.close()

    def break_off(self) -> None:
        """End all of them, and allow no other: whoever waits for bytes on one waits no longer."""
        with self._lock:
            self.broken_off = True
            for handle in self._open:
                with contextlib.suppress(OSError):  # the server may have ended it
                    handle.shutdown(socket.SHUT_RDWR)


class TimedStream:
    """A connection of the library's whose reads and writes end with the answer they are for.

    ``spent``: nothing more is to be asked on it.
    """

    def __init__(self, stream: Any, deadline: Deadline, connections: Connections, handle: socket.socket) -> None:
        self._stream = stream
        self._deadline = deadline
        self._connections = connections
        self._handle = handle
        self.spent = False

    def get_extra_info(self, info: str) -> Any:
        """What the library asks of a connection; one that speaks before anybody asks is not used again."""
        return (info == "is_readable" and self.spent) or self._stream.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes."""
        return bytes(self._stream.read(max_bytes, timeout=self._deadline.left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All bytes."""
        self._stream.write(buffer, timeout=self._deadline.left(timeout))

    def start_tls(self, *args: Any, **named: Any) -> TimedStream:
        """The same connection, encrypted; its handshake has an end of its own."""
        try:
            encrypted = self._stream.start_tls(*args, **named)
        except BaseException:
            self.close()
            raise
        return TimedStream(encrypted, self._deadline, self._connections, self._handle)

    def close(self) -> None:
        """Close it."""
        self._connections.remove(self._handle)
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class TimedBackend:
    """What the library opens its connections with."""

    def __init__(self, backend: Any, deadline: Deadline, connections: Connections) -> None:
        self._backend = backend
        self._deadline = deadline
        self._connections = connections

    def connect_tcp(self, *args: Any, **named: Any) -> TimedStream:
        """A connection."""
        stream = self._backend.connect_tcp(*args, **named)
        # A handle of our own: it stands for the connection before, during and after its encryption.
        try:
            handle = stream.get_extra_info("socket").dup()
        except OSError:  # this process has no handle left
            stream.close()
            raise
        try:
            self._connections.add(handle)
        except BrokenOffError:
            stream.close()
            raise
        return TimedStream(stream, self._deadline, self._connections, handle)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
