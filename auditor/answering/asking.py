"""From cases to the requests of a run. A case has a request of its own, also where another's prompt is the same."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.answering.reading import LARGEST_SEED, answer_form_of
from auditor.counterfactuals import REASK
from auditor.plan import Plan
from auditor.records import Case
from auditor.replicates import replicate_of
from auditor.run_record import HowRead
from auditor.systems.asking import Request


def occasion(case: Case, moment: str) -> str:
    """Not sent: it keeps the answers of two applications apart that are word for word the same."""
    return f"{moment or 'case'}: {case.id}"


def _seed(case: Case, how: HowRead) -> int | None:
    """Each replicate of a case has a seed of its own, and so has a re-ask: one seed would give one draw again."""
    if how.seed is None:
        return None
    draw = how.replicates if case.role == REASK else replicate_of(case.cluster) - 1 if how.replicates > 1 else 0
    return (how.seed + draw) % LARGEST_SEED


def requests_of(cases: Sequence[Case], *, plan: Plan, how: HowRead, moment: str = "") -> list[Request]:
    """What is asked of a language model about these cases, in their order.

    Parameters
    ----------
    plan, how
        What is asked, and how it is read.
    moment
        Of a re-ask of the control; empty for a case.
    """
    answers = plan.prompt.answers
    system = plan.prompt.system if plan.prompt.form == "chat" else ""
    form = answer_form_of(plan, how)
    scored = answers.favourable + answers.adverse if how.scored else ()
    return [
        Request(
            prompt=case.prompt,
            system=system,
            max_tokens=how.max_tokens,
            temperature=how.temperature,
            seed=_seed(case, how),
            top=how.top,
            form=form,
            continuations=scored,
            occasion=occasion(case, moment),
        )
        for case in cases
    ]
