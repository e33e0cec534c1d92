"""From an answer to a decision: by its margin, by a bound of it, or by its text. What is none is said to be none."""

from __future__ import annotations

from typing import Any

from auditor.answering.reading import grammar_of, sides
from auditor.answering.rows import SystemAnswer
from auditor.plan import Plan
from auditor.plan_reading import LOG_ODDS
from auditor.readouts.choice import Choice, read_choice
from auditor.readouts.log_odds import Bound, Margin, NoMargin, margin_of_scores, margin_of_tokens
from auditor.readouts.reading import ReadAnswer, ReadAs
from auditor.records import Outcome
from auditor.run_record import HowRead
from auditor.systems.asking import Finish, Response
from auditor.systems.service import ServiceAnswer

OUTCOMES = {Choice.FAVOURABLE: Outcome.FAVOURABLE, Choice.ADVERSE: Outcome.ADVERSE}


def decide(response: Response, *, case_id: str, moment: str, request: str, plan: Plan, how: HowRead) -> SystemAnswer:
    """Read one answer of a language model.

    Parameters
    ----------
    response
        The answer.
    case_id, moment
        What it was asked about, and when.
    request
        The hash of the request.
    plan, how
        The labels, the cut-off, and how answers are read.
    """
    read = _of_log_odds(response, plan, how) if how.readout == LOG_ODDS else _of_text(response, plan, how)
    said = response.tool if how.form == "tool" and response.tool else response.text or response.refusal
    return SystemAnswer(
        case_id=case_id,
        moment=moment,
        request=request,
        text=said,
        model=response.model,
        fingerprint=response.fingerprint,
        prompt_tokens=response.usage.prompt,
        answer_tokens=response.usage.answer,
        **read,
    )


def decide_service(answer: ServiceAnswer, *, case_id: str, moment: str) -> SystemAnswer:
    """Read what a service returned: its choice is the decision, amount and reasons stand beside it."""
    choice, amount, reasons = answer.choice, answer.amount, answer.reasons
    read: dict[str, Any] = {"outcome": Outcome.UNREADABLE, "reason": "the service returns no choice"}
    if choice is not None:
        read = _of_choice(choice)
    return SystemAnswer(
        case_id=case_id,
        moment=moment,
        request=answer.keys[-1],
        amount=None if amount is None or amount.value is None else float(amount.value),
        reasons=None if reasons is None else reasons.value,
        text=answer.text,
        **read,
    )


def _of_text(response: Response, plan: Plan, how: HowRead) -> dict[str, Any]:
    return _of_choice(read_choice(response, grammar_of(plan, how)))


def _of_choice(reading: ReadAnswer[Choice]) -> dict[str, Any]:
    if reading.value is not None:
        return {"outcome": OUTCOMES[reading.value]}
    refused = reading.read is ReadAs.REFUSED
    return {"outcome": Outcome.REFUSED if refused else Outcome.UNREADABLE, "reason": reading.reason}


def _of_log_odds(response: Response, plan: Plan, how: HowRead) -> dict[str, Any]:
    if how.scored:
        # Nothing is generated, so there is no text that could be a refusal; a filter still stands before the prompt.
        filtered = response.finish is Finish.FILTERED
    else:
        filtered = read_choice(response, grammar_of(plan, how)).read is ReadAs.REFUSED
    if filtered:
        return {"outcome": Outcome.REFUSED, "reason": response.trouble or "the system refused to answer"}
    return _by_margin(_margin(response, plan, how), plan)


def _margin(response: Response, plan: Plan, how: HowRead) -> Margin | Bound | NoMargin:
    up, down = sides(plan, how)
    if how.scored:
        return margin_of_scores(response.scored, favourable=up, adverse=down)
    return margin_of_tokens(
        [response.steps],
        favourable=up,
        adverse=down,
        trouble=response.trouble or "there are no log-probabilities",
    )


def _by_margin(found: Margin | Bound | NoMargin, plan: Plan) -> dict[str, Any]:
    cut, floor = plan.operating_point.natural_margin, plan.prompt.answers.mass_floor
    if isinstance(found, NoMargin):
        return {"outcome": Outcome.UNREADABLE, "reason": found.reason}
    if isinstance(found, Bound):
        return {
            "outcome": _by_bound(found, cut),
            "reason": found.reason,
            "at_least": found.at_least,
            "at_most": found.at_most,
        }
    outcome = Outcome.FAVOURABLE if found.value >= cut else Outcome.ADVERSE
    if found.mass < floor:
        outcome = Outcome.INVALID
    return {"outcome": outcome, "margin": found.value, "mass": found.mass}


def _by_bound(bound: Bound, cut: float) -> Outcome:
    """A bound decides where it lies on one side of the cut-off."""
    if bound.at_least is not None and bound.at_least >= cut:
        return Outcome.FAVOURABLE
    if bound.at_most is not None and bound.at_most < cut:
        return Outcome.ADVERSE
    return Outcome.UNREADABLE
