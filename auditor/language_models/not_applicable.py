"""Why something cannot be had of this model, prompt or data; a result beside the thing itself, and no error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The reason, in a sentence without its full stop: a measurement's ``missing_reason``."""

    reason: str
