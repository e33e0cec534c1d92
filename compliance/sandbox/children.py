"""Child processes for work on files that nobody vouches for: bounded in time and memory, and gone when it is over."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0

#: No variable of this process is handed on unless it is asked for: they hold the keys of the installation.
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
KEYS = ("PLUMBLINE_SECRET_KEY", "PLUMBLINE_SECRETS", "PLUMBLINE_KEYS_FILE", "DATABASE_URL", "REDIS_URL")


class ChildError(Exception):
    """A child that gave no answer. ``late`` if its time was up, else it ended by itself or by its limits."""

    def __init__(self, *, late: bool, code: int | None) -> None:
        self.late = late
        self.code = code
        super().__init__("its time was up" if late else f"it ended with {code}")


def answer_of(
    module: str,
    job: Mapping[str, Any],
    *,
    where: str,
    seconds: int,
    environment: Mapping[str, str] | None = None,
    heartbeat: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """What ``python -m module`` answers to a job: JSON on standard input and output.

    ``heartbeat`` is called while it is waited for: whoever waits is well.

    Raises
    ------
    ChildError
        If it did not answer in time, or ended before. What it said is in the log.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as trace:
        asked.write(json.dumps(job).encode())
        asked.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=settings.BASE_DIR,
            env=dict(ENVIRONMENT if environment is None else environment),
            stdin=asked,
            stdout=said,
            stderr=trace,
            start_new_session=True,
        )
        code = _code(child, seconds, heartbeat)
        if code == 0:
            said.seek(0)
            # What a hostile file makes a child say is no answer either.
            with suppress(ValueError, TypeError):
                return dict(json.loads(said.read()))
        trace.seek(0, os.SEEK_END)
        trace.seek(max(0, trace.tell() - 2_000))
        told = trace.read().decode("utf-8", "replace")
    log.warning("%s: %s ended with %s: %s", where, module, code, told)
    raise ChildError(late=code is None or code == -signal.SIGXCPU, code=code)


def without_keys() -> dict[str, str]:
    """This process's variables but those that hold keys: for children that need caches, proxies and certificates."""
    return {name: value for name, value in os.environ.items() if name not in KEYS}


def _code(child: subprocess.Popen[bytes], seconds: int, heartbeat: Callable[[], None]) -> int | None:
    """The exit code of the child, ``None`` if its time was up; it and whatever it started are gone then."""
    limit = time.monotonic() + seconds
    try:
        while (left := limit - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(min(HEARTBEAT_SECONDS, left))
            heartbeat()
        return None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
