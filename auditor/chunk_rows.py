"""What a chunk of a run holds and gives, as the ledger keeps it: questions and decisions, or a test's own work."""

from __future__ import annotations

from typing import Any, Literal

from auditor.packing import Packing
from auditor.records import Case, Decision, Outcome
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


class TextRow(Row):
    """What was read of one generated text.

    Attributes
    ----------
    case_id, outcome, reason
        Of which case, what was read, and why it is no decision where it is none.
    text, thinking
        The final answer, character by character, and what the model said to itself before it.
    finish
        ``stop``: it ended. ``max_tokens``: it was cut off.
    tokens, ties
        Its length, and how many of its tokens the plain forward pass decided.
    largest_difference
        Of its tokens' log-probabilities to those read again, in nats.
    trouble
        Why the text may not be read; empty where its self-check held.
    amount, reasons
        What was read; ``None`` where it is not asked for, or cannot be read.
    """

    case_id: str
    outcome: Outcome
    reason: str = ""
    text: str
    thinking: str = ""
    finish: str
    tokens: int
    ties: int
    largest_difference: float | None
    trouble: str = ""
    amount: float | None = None
    reasons: tuple[str, ...] | None = None


class ChunkAnswers(Row):
    """A decision for every case, the texts it was read from (if any), how prompts were packed, and how long it took."""

    decisions: tuple[Decision, ...]
    packing: Packing
    seconds: float
    texts: tuple[TextRow, ...] = ()


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
