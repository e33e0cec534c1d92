"""What somebody at a terminal sees of a run, and how they stop it."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Protocol

from tqdm import tqdm

from compliance.shown import shown

BAR = "{desc} {percentage:3.0f}%|{bar}| {n:,.0f}/{total:,.0f} prompts [{elapsed}<{remaining}, {rate_fmt}]"


class Progress(Protocol):
    """Where a run tells how far it is."""

    def say(self, text: str) -> None:
        """A phase begins, or something is worth a line."""

    def begin(self, *, name: str, prompts: int, done: int) -> None:
        """Scoring begins: ``done`` of ``prompts`` were scored before."""

    def phase(self, name: str) -> None:
        """What the next chunk is part of."""

    def advance(self, prompts: int) -> None:
        """That many more prompts are scored."""

    def tick(self) -> None:
        """Still at work."""

    def end(self) -> None:
        """Scoring ended, one way or another."""


class Silence:
    """Tells nobody."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, *, name: str, prompts: int, done: int) -> None:
        """Nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def advance(self, prompts: int) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class TerminalProgress:
    """A bar on standard error; in a log file it is written twice a minute, not ten times a second."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._name = ""

    def say(self, text: str) -> None:
        """One line, above the bar if there is one."""
        tqdm.write(shown(text), file=sys.stderr)

    def begin(self, *, name: str, prompts: int, done: int) -> None:
        """Draw the bar."""
        tqdm.monitor_interval = 0  # no thread behind it: ``tick`` redraws
        self._name = name
        self._bar = tqdm(
            total=prompts,
            initial=done,
            desc=f"{name} scoring",
            unit=" prompts",
            bar_format=BAR,
            file=sys.stderr,
            mininterval=0.5 if sys.stderr.isatty() else 30,
            dynamic_ncols=True,
        )

    def phase(self, name: str) -> None:
        """Name it before the bar; drawn with the next step."""
        if self._bar is not None:
            self._bar.set_description_str(f"{self._name} {name}", refresh=False)

    def advance(self, prompts: int) -> None:
        """Move it on."""
        if self._bar is not None:
            self._bar.update(prompts)

    def tick(self) -> None:
        """Let the clock go on while a chunk is scored."""
        if self._bar is not None and sys.stderr.isatty():
            self._bar.refresh()

    def end(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class StopRequest:
    """Turns the first SIGINT or SIGTERM into a polite request; a second one ends the process where it stands.

    Used as a context; called, it says whether the request was made.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, progress: Progress, what: str = "stopping after the batch in hand") -> None:
        self._progress = progress
        self._what = what
        self._requested = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether somebody asked to stop."""
        return self._requested

    def __enter__(self) -> StopRequest:
        """Listen."""
        self._before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
        self._progress.say(f"{signal.Signals(number).name}: {self._what}; once more ends it at once")
