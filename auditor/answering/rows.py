"""What a chunk of a system's run holds and gives, as the ledger keeps it: questions, and what was read of answers."""

from __future__ import annotations

from typing import Literal

from auditor.chunk_rows import Asked
from auditor.records import Case, Decision, Outcome
from auditor.testing.rows import Row

ASKED: Literal["asked"] = "asked"
DRIFT: Literal["drift"] = "drift"


class SystemQuestions(Row):
    """Cases to ask about, whole applications in order; ``drift`` asks some of them again at a ``moment`` of the run."""

    kind: Literal["asked", "drift"]
    moment: str = ""
    cases: tuple[Case, ...]
    applications: tuple[Asked, ...] = ()


class SystemAnswer(Row):
    """What was read of one answer.

    Attributes
    ----------
    case_id, moment
        What was asked about, and when: empty, or the moment of a re-ask of the control.
    request
        The hash under which request and answer are kept.
    outcome, reason
        What was read, and why it is no decision where it is none.
    margin, mass
        As in a decision, where both answers were seen (nats, probability).
    at_least, at_most
        Bounds of the margin (nats) where it has no number; ``None`` where nothing is known.
    mass_at_least, mass_at_most
        Then also bounds of the probability of all planned answers together.
    amount, reasons
        What was read as the answer, or what a service returned beside its choice; ``None`` where it was not asked
        for or cannot be read.
    text
        The final answer, character by character.
    model, fingerprint
        What the answer says it comes from.
    prompt_tokens, answer_tokens
        As the server counted them; ``None`` where it does not say.
    """

    case_id: str
    moment: str
    request: str
    outcome: Outcome
    reason: str = ""
    margin: float | None = None
    mass: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    mass_at_least: float | None = None
    mass_at_most: float | None = None
    amount: float | None = None
    reasons: tuple[str, ...] | None = None
    text: str = ""
    model: str = ""
    fingerprint: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None

    @property
    def decision(self) -> Decision:
        """The decision of its case."""
        bounded = self.at_least is not None or self.at_most is not None
        return Decision(
            case_id=self.case_id,
            margin=self.margin,
            mass=self.mass,
            log_favourable=None,
            log_adverse=None,
            outcome=self.outcome,
            observation="scored" if self.margin is not None else "bounded" if bounded else "read",
        )


class SystemAnswers(Row):
    """An answer to every question, and how long that took."""

    answers: tuple[SystemAnswer, ...]
    seconds: float
