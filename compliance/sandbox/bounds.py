"""What a child process takes from itself before it loads anything: memory, time, files, children that outlive it.

Knows no Django, no database and no key.
"""

from __future__ import annotations

import ctypes
import resource
import signal
from contextlib import suppress

PR_SET_PDEATHSIG = 1


def bind(*, memory: int, seconds: int, written: int, mapped: bool = False) -> None:
    """Bound this process for good.

    Parameters
    ----------
    memory
        Bytes: of addresses or, where files are ``mapped`` into memory, of what is this process's own.
    seconds
        Of processor time, twice: the parent counts by the clock. This holds where the parent is gone, or on one core of
        many threads.
    written
        Bytes of any file it writes.
    """
    bounds = {
        resource.RLIMIT_DATA if mapped else resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: 2 * seconds,
        resource.RLIMIT_FSIZE: written,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in bounds.items():
        resource.setrlimit(which, (most, most))
    with suppress(OSError, AttributeError):  # Linux: whoever is left without a parent goes too
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
