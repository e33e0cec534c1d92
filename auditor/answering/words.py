"""What is read of an answer in words, by a system or by weights: a choice, an amount or reasons, refused, unreadable.

An amount decides by the plan's line: up to ``adverse_up_to`` nothing is granted. Reasons are those of a denial: an
answer that gives any is adverse, one that says there is none is favourable.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from auditor.answering.reading import amount_grammar_of, grammar_of, reason_grammar_of
from auditor.plan import Plan
from auditor.plan_reading import AMOUNT, REASONS
from auditor.readouts.amount import read_amount
from auditor.readouts.choice import Choice, read_choice
from auditor.readouts.reading import ReadAnswer, ReadAs
from auditor.readouts.reasons import read_reasons
from auditor.records import Outcome
from auditor.run_record import HowRead
from auditor.systems.asking import Response

CHOICES = {Choice.FAVOURABLE: Outcome.FAVOURABLE, Choice.ADVERSE: Outcome.ADVERSE}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWords:
    """What was read: the outcome, why it is none where it is none, and the amount or the reasons."""

    outcome: Outcome
    reason: str = ""
    amount: float | None = None
    reasons: tuple[str, ...] | None = None


def read_words(response: Response, *, plan: Plan, how: HowRead) -> ReadWords:
    """Read a text by the readout of the run.

    Parameters
    ----------
    response
        The answer.
    plan, how
        What a readable answer looks like, and by which readout it is read.
    """
    tool = how.form == "tool"
    if how.readout == AMOUNT:
        return by_amount(read_amount(response, amount_grammar_of(plan, how), tool=tool), plan)
    if how.readout == REASONS:
        return by_reasons(read_reasons(response, reason_grammar_of(plan, how), tool=tool))
    return by_choice(read_choice(response, grammar_of(plan, how)))


def by_choice(choice: ReadAnswer[Choice]) -> ReadWords:
    """A choice is the decision."""
    return _unread(choice) if choice.value is None else ReadWords(outcome=CHOICES[choice.value])


def by_amount(amount: ReadAnswer[Decimal], plan: Plan) -> ReadWords:
    """An amount above the plan's line is a favourable decision."""
    if amount.value is None:
        return _unread(amount)
    line = 0.0 if plan.reading.amount is None else plan.reading.amount.adverse_up_to
    granted = amount.value > Decimal(str(line))
    return ReadWords(outcome=Outcome.FAVOURABLE if granted else Outcome.ADVERSE, amount=float(amount.value))


def by_reasons(reasons: ReadAnswer[tuple[str, ...]]) -> ReadWords:
    """Any reason is one against the application."""
    if reasons.value is None:
        return _unread(reasons)
    return ReadWords(outcome=Outcome.ADVERSE if reasons.value else Outcome.FAVOURABLE, reasons=reasons.value)


def _unread(reading: ReadAnswer[Value]) -> ReadWords:
    """An answer that refuses or cannot be read: an outcome of its own."""
    refused = reading.read is ReadAs.REFUSED
    return ReadWords(outcome=Outcome.REFUSED if refused else Outcome.UNREADABLE, reason=reading.reason)
