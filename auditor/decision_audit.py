"""From a plan and a decision file to measurements: tests drafted, families adjusted, every test concluded."""

from __future__ import annotations

from auditor.catalogue import OBSERVED, find_tests
from auditor.conclusions import adjust_and_conclude
from auditor.observed.columns import Observed
from auditor.plan import Plan
from auditor.records import Measurement
from auditor.testing.context import Context

TESTS = tuple(test.CARD.name for test in OBSERVED)
"""Every test on decision files."""


def context_of(plan: Plan, observed: Observed) -> Context:
    """What tests see where a decision file is audited and no system is asked: no case, no answer, the file."""
    return Context(
        plan=plan, cases=(), decisions={}, observed={}, values={}, observed_rate=None, decision_file=observed
    )


def conclude_decisions(plan: Plan, observed: Observed) -> tuple[Measurement, ...]:
    """Run the plan's tests on decision files, or all of them where it names none, and conclude them.

    Parameters
    ----------
    plan
        Its attributes, packs and thresholds govern; its prompt is not used.
    observed
        The columns of the file (`auditor.observed.reading.read_decisions`).
    """
    names = [name for name in plan.tests.run if name in TESTS] or list(TESTS)
    context = context_of(plan, observed)
    drafts = [draft for test in find_tests(names, where=plan.name) for draft in test.measure(context)]
    return adjust_and_conclude(drafts)
