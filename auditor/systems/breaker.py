"""A circuit breaker: many failures in a row rest the asking, a few rests in a row pause the audit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fuse:
    """When to rest and when to give up: failures in a row, seconds of a rest, rests in a row without an answer."""

    failures: int = 10
    seconds: float = 30.0
    rests: int = 3


class Breaker:
    """Shared by all threads that ask one system.

    Closed, everybody may ask. After so many failures in a row it rests; then one may try, and the others wait for what
    comes of it.
    """

    def __init__(self, fuse: Fuse, *, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._fuse = fuse
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._rests = 0
        self._until: float | None = None
        self._trying = False
        self._last = ""

    def may_ask(self) -> float | None:
        """``None``: ask. Else the seconds after which to come back."""
        with self._lock:
            if self._until is None:
                return None
            left = self._until - self._clock()
            if left > 0:
                return left
            if self._trying:
                return 0.05
            self._trying = True
            return None

    def good(self) -> None:
        """An answer came."""
        with self._lock:
            rested = self._until is not None
            self._failures, self._rests, self._until, self._trying = 0, 0, None, False
        if rested:
            self._tell("it answers again")

    def undecided(self) -> None:
        """Whoever asked learned nothing of the system's health."""
        with self._lock:
            self._trying = False

    def bad(self, note: str) -> str:
        """No answer came. Gives the reason to pause the audit; empty to go on."""
        with self._lock:
            self._failures += 1
            self._last = note
            tried, self._trying = self._trying, False
            if self._until is None and self._failures < self._fuse.failures:
                return ""
            if self._until is not None and not tried and self._until > self._clock():
                return ""  # it was under way when the rest began
            self._rests += 1
            if self._rests > self._fuse.rests:
                return f"{self._failures} failures in a row, {self._fuse.rests} rests between them; the last: {note}"
            self._until = self._clock() + self._fuse.seconds
            said = f"{self._failures} failures in a row ({note}); nobody asks for {self._fuse.seconds:g} s"
        self._tell(said)
        return ""
