"""The system whose answers a run speaks of: what it is, how it was read, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from auditor.model_manifest import SystemIdentity
from auditor.records import Outcome
from auditor.run_record import HowRead


class Answered(Protocol):
    """What a test reads of one answer; see ``auditor.answering.rows.SystemAnswer``."""

    @property
    def case_id(self) -> str:
        """What it was asked about."""

    @property
    def moment(self) -> str:
        """When: empty, or the moment of a re-ask."""

    @property
    def outcome(self) -> Outcome:
        """What was read."""

    @property
    def margin(self) -> float | None:
        """In nats; ``None`` where it was not seen."""

    @property
    def amount(self) -> float | None:
        """In the plan's or the listing's unit; ``None`` where none was read."""

    @property
    def reasons(self) -> tuple[str, ...] | None:
        """Reasons against the application; ``None`` where they were not read."""

    @property
    def model(self) -> str:
        """The model that the answer names."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint that the answer names."""


@dataclass(frozen=True)
class AskedSystem:
    """A system that was asked.

    Attributes
    ----------
    identity
        What it is, as it was probed before the run.
    how
        How its answers are read.
    answers
        All of them, in the order of the chunks; empty where only decisions are at hand.
    """

    identity: SystemIdentity
    how: HowRead
    answers: Sequence[Answered] = ()
