"""What can stop the asking of a system; each text is one line and holds no key.

RunError
└── SystemStopped     nobody is asked any more; what was answered is kept, and the same command goes on from there
    ├── Paused        it does not answer, or asks to be left alone for longer than a run waits
    │   └── TokenDelayed   no token for the moment: tried again as a request is
    ├── Rejected      it refuses what is asked: a wrong key, an unknown model, a request it cannot read
    └── CapReached    the requests or the money that were allowed are used up
WireError             an answer that arrived whole and is not of its dialect
"""

from __future__ import annotations

from auditor.exceptions import AuditorError, ModelError, RunError


def _seen(text: str) -> str:
    """One line without marks that are not seen: strangers' words are in it, and databases refuse some of these."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


class SystemStopped(RunError):
    """The system is asked nothing more in this run. ``where`` names it."""

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(_seen(f"{where}: {what}"))


class Paused(SystemStopped):
    """The system does not answer, or wants to be left alone for longer than a run waits."""


class TokenDelayed(Paused):
    """The authorisation server gives no token for the moment; ``wait`` in seconds where it says how long."""

    def __init__(self, where: str, what: str, wait: float | None = None) -> None:
        super().__init__(where, what)
        self.wait = wait

    def again(self) -> TokenDelayed:
        """The same, for another thread."""
        return TokenDelayed(self.where, self.what, self.wait)


class Rejected(SystemStopped):
    """The system refuses what is asked, and would refuse it again."""


class CapReached(SystemStopped):
    """The requests or the money that were allowed are used up."""


class CannotAsk(ModelError):
    """A dialect has no words for what is asked: nothing is left out in silence."""


class WireError(AuditorError):
    """An answer that arrived whole and is not what its dialect promises; the text names the place, in one line."""

    def __init__(self, text: str) -> None:
        super().__init__(_seen(text))
