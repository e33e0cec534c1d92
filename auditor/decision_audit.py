"""From a plan and a decision file to measurements: tests drafted, families adjusted, every test concluded."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.catalogue import OBSERVED, Test, find_tests
from auditor.conclusions import adjust_and_conclude
from auditor.observed.columns import Observed
from auditor.plan import Plan
from auditor.records import Measurement
from auditor.testing.context import Context
from auditor.testing.factory import not_tested
from auditor.testing.unadjusted import UnadjustedMeasurement

TESTS = tuple(test.CARD.name for test in OBSERVED)
"""Our tests on decision files."""
NO_ANSWERS = "it needs answers to prompts, and a decision file answers none"
NO_WEIGHTS = "it needs the weights of a model, and a decision file has none"


def context_of(plan: Plan, observed: Observed) -> Context:
    """What tests see where a decision file is audited and no system is asked: no case, no answer, the file."""
    return Context(
        plan=plan, cases=(), decisions={}, observed={}, values={}, observed_rate=None, decision_file=observed
    )


def drafts_of(tests: Iterable[Test], context: Context) -> list[UnadjustedMeasurement]:
    """What tests measure of a decision file; of one that needs more than it holds, why it is not tested."""
    return [draft for test in tests for draft in _drafts(test, context)]


def conclude_decisions(plan: Plan, observed: Observed) -> tuple[Measurement, ...]:
    """Run a plan's tests on a decision file and conclude them.

    Parameters
    ----------
    plan
        Its tests, attributes, packs and thresholds govern; its prompt is not used.
    observed
        The columns of the file (`auditor.observed.reading.read_decisions`).
    """
    tests = find_tests(plan.tests.run, where=plan.name)
    return adjust_and_conclude(drafts_of(tests, context_of(plan, observed)))


def _drafts(test: Test, context: Context) -> Iterable[UnadjustedMeasurement]:
    if test.CARD.needs_decision_file:
        return test.measure(context)
    reason = NO_WEIGHTS if test.CARD.needs_internals else NO_ANSWERS
    return [UnadjustedMeasurement(not_tested(test.CARD, reason, level=1 - context.plan.thresholds.alpha))]
