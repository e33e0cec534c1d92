"""Several processes as one: started together, each one's end told, all stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

LOOK_SECONDS = 0.2
GRACE_SECONDS = 30.0
LONGEST_PAUSE = 60.0
LONG_ENOUGH = 60.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """A child: ``needed`` if nothing makes sense without it, else it is started again when it ends."""

    name: str
    command: Sequence[str]
    needed: bool = False


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    begun: float
    pause: float = 1.0
    again_at: float = field(default=float("inf"))


class Supervisor:
    """Runs programs until it is asked to stop or one that is needed ends.

    Parameters
    ----------
    programs
        In the order they are started; stopped in the reverse order.
    environment
        The variables they see.
    say
        Where a line is told.
    """

    def __init__(
        self, programs: Sequence[Program], *, environment: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._programs = programs
        self._environment = dict(environment)
        self._say = say

    def run(self, stop: Callable[[], bool]) -> bool:
        """Start everything and watch over it.

        Returns
        -------
        bool
            Whether it ended because ``stop`` said so; else because a needed program ended.
        """
        children: list[_Child] = []
        try:
            children += [self._start(program) for program in self._programs]
            while not stop():
                for child in children:
                    if not self._look(child):
                        return False
                time.sleep(LOOK_SECONDS)
            return True
        finally:
            self._stop(children)

    def _start(self, program: Program) -> _Child:
        # A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which then stops them in order.
        process = subprocess.Popen(
            list(program.command), env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        return _Child(program=program, process=process, begun=time.monotonic())

    def _look(self, child: _Child) -> bool:
        """See to a child; False if it has ended and is needed."""
        code = child.process.poll()
        if code is None:
            return True
        now = time.monotonic()
        if child.again_at == float("inf"):
            _end_group(child.process, signal.SIGKILL)  # what it started itself must not live on without it
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if child.program.needed:
                self._say(f"The {child.program.name} {how}; everything stops")
                return False
            pause = 1.0 if now - child.begun > LONG_ENOUGH else child.pause
            self._say(f"The {child.program.name} {how}; it is started again in {pause:.0f} s")
            child.again_at, child.pause = now + pause, min(pause * 2, LONGEST_PAUSE)
        elif now >= child.again_at:
            fresh = self._start(child.program)
            child.process, child.begun, child.again_at = fresh.process, fresh.begun, float("inf")
        return True

    def _stop(self, children: Sequence[_Child]) -> None:
        for child in reversed(children):
            if child.process.poll() is None:
                child.process.terminate()
        end = time.monotonic() + GRACE_SECONDS
        for child in reversed(children):
            try:
                child.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"The {child.program.name} does not stop; it is ended")
            _end_group(child.process, signal.SIGKILL)
            child.process.wait()


def _end_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
