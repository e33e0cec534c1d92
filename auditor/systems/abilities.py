"""What a system can do, as it was measured before the first case and frozen with the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Readout(StrEnum):
    """A way to read a decision."""

    LOG_ODDS = "log_odds"
    CHOICE = "choice"
    AMOUNT = "amount"
    REASONS = "reasons"


class LogProbabilities(StrEnum):
    """What log-probabilities a system gives."""

    WHOLE = "whole answers"
    TOP = "likeliest tokens"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a system can do.

    Attributes
    ----------
    readouts
        The ways its decisions can be read.
    log_probabilities, top
        What it gives, and how many of the likeliest tokens.
    alike, asked
        Of so many identical questions, how many got the most frequent answer. Deterministic: all of at least two.
    json_schema, tool
        The schema, or the forced tool, was honoured when it was tried; ``None``: not tried.
    thinks
        It answered with a thinking part.
    model, fingerprint
        The dated id and the fingerprint its answers named.
    context
        The longest prompt in tokens, where it is known. Nothing on the wire says it.
    lacking
        For each thing that cannot be had, why.
    """

    readouts: frozenset[Readout]
    log_probabilities: LogProbabilities = LogProbabilities.NONE
    top: int = 0
    asked: int = 0
    alike: int = 0
    json_schema: bool | None = None
    tool: bool | None = None
    thinks: bool = False
    model: str = ""
    fingerprint: str = ""
    context: int | None = None
    lacking: Mapping[str, str] = field(default_factory=dict)

    @property
    def deterministic(self) -> bool | None:
        """Whether identical questions got identical answers; ``None`` where fewer than two were asked."""
        return None if self.asked < 2 else self.alike == self.asked

    def as_json(self) -> dict[str, Any]:
        """Plain data in a fixed order, to be frozen with a run."""
        return {
            "readouts": sorted(self.readouts),
            "log_probabilities": str(self.log_probabilities),
            "top": self.top,
            "deterministic": self.deterministic,
            "asked": self.asked,
            "alike": self.alike,
            "json_schema": self.json_schema,
            "tool": self.tool,
            "thinks": self.thinks,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "context": self.context,
            "lacking": dict(sorted(self.lacking.items())),
        }
