"""The watch over a worker: whatever it does at once ends in time, or its process is ended and that is counted.

A call that never returns cannot end itself: it may keep every thread of its process from running. So another process
watches, ``python -m compliance.execution.watchdog``. It is told through a pipe what is begun, that it goes on, and that
it ended. When nothing came for too long it enters that in the rows, ends the process, and ends. It also ends when the
pipe does. The process it watches writes nothing but a few bytes and needs no database for it. Every phase has it:
registering, preparing, loading the model, each chunk, concluding and writing the report.

    W → @{"chunk": 7, …}          a step begins: the time runs from here
    W → .                         it goes on: the time runs anew
    W → -                         it ended: no time runs
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from compliance.execution.steps import Step

logger = logging.getLogger(__name__)

BEGUN, GOES_ON, ENDED = b"@", b".", b"-"
#: How often at most it is said that a step goes on.
EVERY_SECONDS = 0.5
ROOT = Path(__file__).parents[2]


class Watchdog:
    """What a worker says of itself to the process that watches it.

    Parameters
    ----------
    kind
        ``audit`` or ``registration``.
    key
        Key of its row.
    seconds
        How long a step may go without reporting progress, unless it says otherwise.
    """

    def __init__(self, kind: str, key: int, *, seconds: float) -> None:
        self._kind = kind
        self._key = key
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._said = float("-inf")
        self._step = Step(seconds=seconds)

    def __enter__(self) -> Watchdog:
        """Nothing is watched yet: the process starts with the first step."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is watched any more."""
        self._let_go()

    @contextmanager
    def watching(self, **step: Any) -> Iterator[None]:
        """Watch over a step, described as `Step` has it; with this watchdog's seconds unless it has its own."""
        self._step = Step(**{"seconds": self._seconds, **step})
        self._begin()
        self._say(BEGUN + json.dumps(asdict(self._step)).encode())
        try:
            yield
        finally:
            self._say(ENDED)

    def goes_on(self) -> None:
        """The step in hand goes on."""
        now = time.monotonic()
        if self._process is not None and now - self._said > min(EVERY_SECONDS, self._step.seconds / 8):
            self._said = now
            self._say(GOES_ON)

    def _begin(self) -> None:
        if self._process is None:
            arguments = [str(os.getpid()), self._kind, str(self._key)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "compliance.execution.watchdog", *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                bufsize=0,
            )

    def _say(self, line: bytes) -> None:
        if self._process is None:
            return
        try:
            _pipe(self._process).write(line + b"\n")
        except OSError as error:  # it was ended: nobody watches until the next step begins
            logger.warning("nobody watches over this process (%s)", error)
            self._let_go()

    def _let_go(self) -> None:
        if self._process is not None:
            with suppress(OSError):
                _pipe(self._process).close()
            self._process.wait()
            self._process = None


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise ValueError("the process was started without a pipe")
    return process.stdin


def watch(stream: int) -> Step | None:
    """Watch until the pipe ends, or nothing came for too long during a step.

    Returns
    -------
    Step or None
        That step; ``None`` if the pipe ended.
    """
    step: Step | None = None
    due = float("inf")
    rest = b""
    while True:
        left = due - time.monotonic()
        if left <= 0:
            return step
        heard, _, _ = select.select([stream], [], [], None if left == float("inf") else left)
        if not heard:
            continue
        said = os.read(stream, 65_536)
        if not said:
            return None
        *lines, rest = (rest + said).split(b"\n")
        for line in lines:
            if line.startswith(BEGUN):
                step = Step(**json.loads(line[1:]))
            if line.startswith(ENDED):
                step = None
            due = float("inf") if step is None else time.monotonic() + step.seconds


def main() -> int:
    """Watch over a process; end it if it reports no progress in time."""
    process, kind, key = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # Whoever stops the worker by a signal to its group waits for the batch in hand: it is watched until then.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    step = watch(sys.stdin.fileno())
    if step is None:
        return 0
    try:
        _enter(kind, key, step)
    finally:
        # While the other end of the pipe is open the process lives, and its number is its own.
        if os.getppid() == process:
            os.kill(process, signal.SIGKILL)
    return 1


def _enter(kind: str, key: int, step: Step) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "compliance.settings")
    import django

    django.setup()
    from compliance.execution.stalls import enter_stall

    at = step.what or f"chunk {step.chunk}"
    logger.warning("%s %s: no progress for %s s (%s); its process is ended", kind, key, step.seconds, at)
    enter_stall(kind, key, step)


if __name__ == "__main__":
    sys.exit(main())
