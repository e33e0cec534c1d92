"""What can stop the asking of a system; each text is one line and holds no key.

RunError
└── SystemStopped     nobody is asked any more; what was answered is kept, and the same command goes on from there
    ├── Paused        it does not answer, or asks to be left alone for longer than a run waits
    ├── Rejected      it refuses what is asked: a wrong key, an unknown model, a request it cannot read
    └── CapReached    the requests or the money that were allowed are used up
WireError             an answer that arrived whole and is not of its dialect
"""

from __future__ import annotations

from auditor.exceptions import AuditorError, ModelError, RunError


class SystemStopped(RunError):
    """The system is asked nothing more in this run. ``where`` names it."""

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(" ".join(f"{where}: {what}".split()))


class Paused(SystemStopped):
    """The system does not answer, or wants to be left alone for longer than a run waits."""


class Rejected(SystemStopped):
    """The system refuses what is asked, and would refuse it again."""


class CapReached(SystemStopped):
    """The requests or the money that were allowed are used up."""


class CannotAsk(ModelError):
    """A dialect has no words for what is asked: nothing is left out in silence."""


class WireError(AuditorError):
    """An answer that arrived whole and is not what its dialect promises; the text names the place."""
