"""From an answer to a decision: by its margin, by a bound of it, or by its text. What is none is said to be none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from auditor.answering.reading import grammar_of, sides
from auditor.answering.rows import SystemAnswer
from auditor.answering.words import ReadWords, by_amount, by_choice, by_reasons, read_words
from auditor.plan import Plan
from auditor.plan_reading import AMOUNT, CHOICE, LOG_ODDS, REASONS
from auditor.readouts.choice import read_choice
from auditor.readouts.log_odds import Bound, Margin, NoMargin, margin_of_scores, margin_of_tokens
from auditor.readouts.reading import ReadAs
from auditor.records import Outcome
from auditor.run_record import HowRead
from auditor.systems.asking import Finish, Response
from auditor.systems.service import ServiceAnswer


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
    read = (
        _of_log_odds(response, plan, how)
        if how.readout == LOG_ODDS
        else asdict(read_words(response, plan=plan, how=how))
    )
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


def decide_service(answer: ServiceAnswer, *, case_id: str, moment: str, plan: Plan, how: HowRead) -> SystemAnswer:
    """Read what a service returned: the choice, the amount or the reasons decide, and the others stand beside."""
    choice, amount, reasons = answer.choice, answer.amount, answer.reasons
    read = ReadWords(outcome=Outcome.UNREADABLE, reason=f"the service returns no {how.readout}")
    if how.readout == AMOUNT and amount is not None:
        read = by_amount(amount, plan)
    elif how.readout == REASONS and reasons is not None:
        read = by_reasons(reasons)
    elif how.readout == CHOICE and choice is not None:
        read = by_choice(choice)
    return SystemAnswer(
        case_id=case_id,
        moment=moment,
        request=answer.keys[-1],
        outcome=read.outcome,
        reason=read.reason,
        amount=None if amount is None or amount.value is None else float(amount.value),
        reasons=None if reasons is None else reasons.value,
        text=answer.text,
    )


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
        outcome, reason = _by_bound(found, cut=cut, floor=floor)
        return {
            "outcome": outcome,
            "reason": reason,
            "at_least": found.at_least,
            "at_most": found.at_most,
            "mass_at_least": found.mass_at_least,
            "mass_at_most": found.mass_at_most,
        }
    outcome = Outcome.FAVOURABLE if found.value >= cut else Outcome.ADVERSE
    if found.mass < floor:
        outcome = Outcome.INVALID
    return {"outcome": outcome, "margin": found.value, "mass": found.mass}


def _by_bound(bound: Bound, *, cut: float, floor: float) -> tuple[Outcome, str]:
    """A bound decides where it lies on one side of the cut-off and the answers surely have the mass of the plan."""
    if bound.mass_at_most < floor:
        return Outcome.INVALID, f"both answers together have at most {bound.mass_at_most:.3g}"
    if bound.mass_at_least < floor:
        return Outcome.UNREADABLE, f"{bound.reason}, nor is it known whether both answers together reach {floor:g}"
    if bound.at_least is not None and bound.at_least >= cut:
        return Outcome.FAVOURABLE, bound.reason
    if bound.at_most is not None and bound.at_most < cut:
        return Outcome.ADVERSE, bound.reason
    return Outcome.UNREADABLE, bound.reason
