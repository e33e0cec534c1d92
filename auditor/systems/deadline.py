"""One end for a whole answer, however it comes: the library bounds each read, and a server may make many small ones.

A status line or headers that come a byte at a time, or "continue" without end, arrive before anybody can look at a
clock. So the clock is looked at where bytes are read.
"""

from __future__ import annotations

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


class TimedStream:
    """A connection of the library's whose reads and writes end with the answer they are for."""

    def __init__(self, stream: Any, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes."""
        return bytes(self._stream.read(max_bytes, timeout=self._deadline.left(timeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All bytes."""
        self._stream.write(buffer, timeout=self._deadline.left(timeout))

    def start_tls(self, *args: Any, **named: Any) -> TimedStream:
        """The same connection, encrypted; its handshake has an end of its own."""
        return TimedStream(self._stream.start_tls(*args, **named), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class TimedBackend:
    """What the library opens its connections with."""

    def __init__(self, backend: Any, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(self, *args: Any, **named: Any) -> TimedStream:
        """A connection."""
        return TimedStream(self._backend.connect_tcp(*args, **named), self._deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
