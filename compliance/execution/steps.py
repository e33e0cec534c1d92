"""What a worker is at, as it tells the process that watches over it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a process is at, and how long it may go without reporting progress.

    ``chunk`` is the index of the chunk it scores. What is none has words for people, ``what``, and the token under
    which it was claimed, ``claim_token``, if it was. ``setting`` is the variable that allows more ``seconds``.
    """

    seconds: float
    setting: str = "PLUMBLINE_STEP_SECONDS"
    what: str = ""
    chunk: int | None = None
    claim_token: str = ""

    @property
    def late(self) -> str:
        """How it is said that the time is up."""
        return f"took longer than {self.seconds:,.0f} s without reporting progress"
