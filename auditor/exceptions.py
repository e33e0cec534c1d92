"""What can go wrong in the engine, as one tree. Users see the message of these and nothing else.

AuditorError
├── InputError            somebody gave us something we cannot use: where, what, what was expected (exit code 2)
│   ├── PlanError         the plan file
│   ├── DataError         the applications or their mapping
│   └── ModelError        the model source, its files or its answers
└── RunError              the run could not go on (exit code 3)
    ├── Interrupted       somebody asked it to stop; what was scored is kept
    ├── ScoringError      the model returned something that is not a number
    └── StorageError      evidence could not be written
"""

from __future__ import annotations


class AuditorError(Exception):
    """Root of every error the engine raises on purpose. Its text is one line, fit to be shown."""


class InputError(AuditorError):
    """Input that cannot be used.

    Parameters
    ----------
    where
        File or source, with the key, line or column where the trouble sits.
    what
        What was found there.
    expected
        What would have been accepted.
    """

    def __init__(self, where: str, what: str, expected: str = "") -> None:
        self.where = where
        self.what = what
        self.expected = expected
        text = f"{where}: {what}" + (f"; expected {expected}" if expected else "")
        super().__init__(" ".join(text.split()))


class PlanError(InputError):
    """The plan cannot be used."""


class DataError(InputError):
    """The applications or their mapping cannot be used."""


class ModelError(InputError):
    """The model cannot be imported, loaded or asked."""


class RunError(AuditorError):
    """The run stopped before its end. What was scored is kept, and the same command goes on from there."""


class Interrupted(RunError):
    """The run was asked to stop."""


class ScoringError(RunError):
    """The model returned something that is not a finite number; ``prompt`` is which of those it was given, if known."""

    def __init__(self, message: str, *, prompt: int | None = None) -> None:
        self.prompt = prompt
        super().__init__(message)


class StorageError(RunError):
    """Evidence could not be written, for example because the disk is full."""


def reason_of(error: BaseException) -> str:
    """Why a call to the system failed, as it reads behind a colon: ``permission denied``."""
    said = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return said if said[1:2].isupper() else said[:1].lower() + said[1:]
