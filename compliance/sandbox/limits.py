"""A limit of time and memory for work in this process: Python code that goes beyond it fails with one line.

Code of a library that does not come back is ended with its process by whoever watches over it from outside
(compliance/execution/watchdog.py).
"""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from auditor.exceptions import RunError

#: After which whoever watches from outside ends what does not heed.
GRACE_SECONDS = 5.0


class _TimeIsUpError(BaseException):
    """Not an Exception: what catches those must not swallow it."""


@contextmanager
def limited(what: str, *, seconds: float, memory: int) -> Iterator[None]:
    """Bound a block of the main thread; elsewhere, as in tests that use threads, nothing is bounded.

    Parameters
    ----------
    what
        How the line begins.
    memory
        Bytes beyond what the process has now.

    Raises
    ------
    RunError
        If the block took longer, or needed more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _interrupt)
    room = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        _leave_room(memory, room)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    except _TimeIsUpError:
        raise RunError(f"{what} takes longer than {seconds:,.0f} s; PLUMBLINE_PREPARE_SECONDS allows more") from None
    except MemoryError:
        line = f"{what} takes more than {memory >> 20:,} MiB of memory; PLUMBLINE_PREPARE_MB allows more"
        raise RunError(line) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_DATA, room)
        signal.signal(signal.SIGALRM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _TimeIsUpError


def _leave_room(memory: int, room: tuple[int, int]) -> None:
    status = Path("/proc/self/statm")
    if not status.is_file():  # no Linux: the time is bounded, the memory is not
        return
    has = int(status.read_text().split()[5]) * resource.getpagesize()
    most = has + memory if room[1] == resource.RLIM_INFINITY else min(has + memory, room[1])
    resource.setrlimit(resource.RLIMIT_DATA, (most, room[1]))
