"""What a process that reads untrusted files takes away from itself, before it loads what parses."""

from __future__ import annotations

import resource

ANSWER_BYTES = 64 << 20


def bind(*, memory: int, seconds: int, reserving: bool = False) -> None:
    """Bound this process: bytes of memory, seconds of processor time, what it may write; no core dump.

    ``reserving`` is for a process that lays out more addresses than it uses (the engine that draws charts reserves
    tens of GB): then only memory that can be written counts.
    """
    bounds = {
        resource.RLIMIT_DATA if reserving else resource.RLIMIT_AS: memory,
        # The parent counts by the clock. This one holds where the parent is gone, or on one core of many threads.
        resource.RLIMIT_CPU: 2 * seconds,
        resource.RLIMIT_FSIZE: ANSWER_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in bounds.items():
        resource.setrlimit(which, (most, most))
