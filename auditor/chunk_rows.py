"""What a chunk of a run holds and gives, as the ledger keeps it: questions and decisions, or a test's own work."""

from __future__ import annotations

from typing import Any, Literal

from auditor.packing import Packing
from auditor.records import Case, Decision
from auditor.testing.rows import Row

Asking = Literal["shared", "unshared"]
SHARED: Literal["shared"] = "shared"
UNSHARED: Literal["unshared"] = "unshared"


class Asked(Row):
    """An application that is asked about: its typed field values, and the recorded outcome where it has one."""

    id: str
    values: dict[str, str | int | float | bool | None]
    favourable: bool | None


class Questions(Row):
    """Cases to score, whole applications in order; ``unshared`` asks every prompt alone, by the plain forward pass."""

    kind: Asking
    cases: tuple[Case, ...]
    applications: tuple[Asked, ...]


class ChunkAnswers(Row):
    """A decision for every case, how prompts were packed, and how long it took."""

    decisions: tuple[Decision, ...]
    packing: Packing
    seconds: float


class OwnWork(Row):
    """Work of one test on internals: its payload, and the prompts that tell whether the model answers at all."""

    kind: str
    work: dict[str, Any]
    listened: tuple[str, ...]


class OwnResult(Row):
    """What a test's chunk gave, or why there was nothing to look into, and how long it took."""

    work: dict[str, Any] | None
    not_tested: str | None
    seconds: float
